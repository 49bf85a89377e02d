/* dpkg.c - Debian's database of packages: stanzas of "Field: value", the next lines of a field begin with a
 * blank. */
#include "detect/detector.h"

#include <strings.h>

struct stanza {
    struct package package;
    str status;
    bool foreign; /* vcpkg writes a file of the same shape */
    size_t line;  /* of its first field; 0 = none yet */
};

enum field { F_PACKAGE, F_VERSION, F_STATUS, F_ARCHITECTURE, F_SOURCE, F_VCPKG, F_TYPE, F_OTHER };

static const struct {
    const char *name;
    enum field field;
} fields[] = {
    { "Package", F_PACKAGE },        { "Version", F_VERSION },
    { "Status", F_STATUS },          { "Architecture", F_ARCHITECTURE },
    { "Source", F_SOURCE },          { "Type", F_TYPE },
    { "Feature", F_VCPKG },          { "Port-Version", F_VCPKG },
    { "Default-Features", F_VCPKG },
};

static bool same_word(str a, const char *b) { return a.len == strlen(b) && !strncasecmp(a.ptr, b, a.len); }

static enum field field_of(str name)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (same_word(name, fields[i].name))
            return fields[i].field;
    return F_OTHER;
}

/* "Source: glibc (2.36-9)" names a source of another version; without it the binary's own names are used. */
static void set_source(struct package *p, str value)
{
    p->source = str_trim(str_cut(&value, '('));
    p->source_version = str_trim(str_cut(&value, ')'));
}

static void set_field(struct stanza *s, str name, str value)
{
    switch (field_of(name)) {
    case F_PACKAGE:
        s->package.name = value;
        break;
    case F_VERSION:
        s->package.version = value;
        break;
    case F_STATUS:
        s->status = value;
        break;
    case F_ARCHITECTURE:
        s->package.arch = value;
        break;
    case F_SOURCE:
        set_source(&s->package, value);
        break;
    case F_VCPKG:
        s->foreign = true;
        break;
    case F_TYPE:
        s->foreign = s->foreign || same_word(value, "Port");
        break;
    case F_OTHER:
        break;
    }
}

/* The third word says whether the package's files are there (dpkg(1), "Package states"). Files of status.d
 * have no Status. */
static bool on_disk(str status)
{
    if (!status.len)
        return true;
    str_word(&status);
    str_word(&status);
    str state = str_word(&status);
    return same_word(state, "installed") || same_word(state, "unpacked") ||
           same_word(state, "half-configured") || same_word(state, "triggers-awaited") ||
           same_word(state, "triggers-pending");
}

static bool close_stanza(struct stanza *s, struct detected *out)
{
    struct package *p = &s->package;
    bool ok = true;
    if (!s->line || !on_disk(s->status))
        ;
    else if (s->foreign)
        detected_note(out, "line %zu: a stanza of vcpkg was skipped", s->line);
    else if (!p->name.len || !p->version.len)
        detected_note(out, "line %zu: a stanza without %s was skipped", s->line,
                      p->name.len ? "Version" : "Package");
    else {
        p->kind = STR("dpkg");
        if (!p->source.len)
            p->source = p->name;
        if (!p->source_version.len)
            p->source_version = p->version;
        ok = detected_add(out, p);
    }
    *s = (struct stanza){ 0 };
    return ok;
}

/* Splits "Field: value"; a field name is printable ASCII without blanks (deb822(5)). */
static bool split(str line, str *name, str *value)
{
    ptrdiff_t colon = str_find(line, ':');
    *name = str_head(line, colon < 0 ? 0 : (size_t)colon);
    for (size_t i = 0; i < name->len; i++)
        if (name->ptr[i] <= ' ' || name->ptr[i] > '~')
            return false;
    *value = str_trim(str_skip(line, name->len + 1));
    return name->len > 0;
}

/* status.d also holds lists of sums and, made by some tools, maintainer scripts: only `status` must be a
 * database. */
static bool may_be_other(str path) { return str_starts(path, STR("var/lib/dpkg/status.d/")); }

static int dpkg_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str path = file->path, content = file->content;
    if (may_be_other(path) && str_ends(path, STR(".md5sums")))
        return 0;

    struct stanza stanza = { 0 };
    size_t number = 0, seen = 0, odd = 0, packages = 0; /* line numbers; seen: the first that is not blank */
    bool ok = true;
    while (ok && content.len) {
        str line = str_line(&content), name, value;
        number++;
        if (!str_trim(line).len) {
            ok = close_stanza(&stanza, out);
            continue;
        }
        if (!seen)
            seen = number;
        if (stanza.line && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
            continue;
        } else if (split(line, &name, &value)) {
            if (!stanza.line)
                stanza.line = number;
            packages += same_word(name, "Package");
            set_field(&stanza, name, value);
        } else if (!odd) {
            odd = number;
            detected_note(out, "line %zu is not a field", number);
        }
    }
    if (!ok || !close_stanza(&stanza, out))
        return err_set(e, ERR_OOM, "line %zu: no memory for more packages", number);
    if (seen && !packages && !may_be_other(path))
        return err_set(e, ERR_FORMAT, "line %zu: not a dpkg database", odd ? odd : seen);
    return 0;
}

const struct detector detector_dpkg = {
    .name = "dpkg",
    .version = 1,
    .paths = "var/lib/dpkg/status var/lib/dpkg/status.d/*",
    .scan = dpkg_scan,
};
