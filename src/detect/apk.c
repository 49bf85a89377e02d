/* apk.c - the database of installed packages of Alpine and its kin: lines "X:value", entries end with an
 * empty line. */
#include "detect/detector.h"

struct entry {
    struct package package;
    size_t line; /* of its first line; 0 = no line yet */
};

static bool close_entry(struct entry *entry, struct detected *out)
{
    struct package *p = &entry->package;
    bool ok = true;
    if (p->name.len && p->name.ptr[0] == '.')
        ; /* a virtual package (".build-deps"): holds dependencies together and has no files */
    else if (p->name.len && p->version.len) {
        p->kind = STR("apk");
        if (!p->source.len)
            p->source = p->name;
        p->source_version = p->version;
        ok = detected_add(out, p);
    } else if (entry->line) {
        detected_note(out, "line %zu: an entry without %s was skipped", entry->line,
                      p->name.len ? "V:" : "P:");
    }
    *entry = (struct entry){ 0 };
    return ok;
}

static void set_field(struct package *p, char key, str value)
{
    switch (key) { /* keys are case-sensitive: "p" is provides, "o" the origin, "O" nothing we know */
    case 'P':
        p->name = value;
        break;
    case 'V':
        p->version = value;
        break;
    case 'A':
        p->arch = value;
        break;
    case 'o':
        p->source = value;
        break;
    }
}

static bool is_field(str line)
{
    char key = line.len > 1 && line.ptr[1] == ':' ? line.ptr[0] : 0;
    return (key >= 'A' && key <= 'Z') || (key >= 'a' && key <= 'z');
}

static int apk_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content;
    struct entry entry = { 0 };
    size_t number = 0, seen = 0, odd = 0, packages = 0; /* line numbers; seen: the first that is not blank */
    bool ok = true;

    while (ok && content.len) {
        str line = str_line(&content);
        number++;
        if (!str_trim(line).len) {
            ok = close_entry(&entry, out);
            continue;
        }
        if (!seen)
            seen = number;
        if (is_field(line)) {
            if (!entry.line)
                entry.line = number;
            packages += line.ptr[0] == 'P';
            set_field(&entry.package, line.ptr[0], str_trim(str_skip(line, 2)));
        } else if (!odd) {
            odd = number;
            detected_note(out, "line %zu is not of the form X:value", number);
        }
    }
    if (!ok || !close_entry(&entry, out))
        return err_set(e, ERR_OOM, "line %zu: no memory for more packages", number);
    if (seen && !packages)
        return err_set(e, ERR_FORMAT, "line %zu: not an apk database", odd ? odd : seen);
    return 0;
}

const struct detector detector_apk = {
    .name = "apk",
    .version = 1,
    .paths = "lib/apk/db/installed usr/lib/apk/db/installed", /* the latter since apk-tools 3 */
    .scan = apk_scan,
};
