/* rpm_manifest.c - the list of packages that Azure Linux (CBL-Mariner) leaves in images from which rpm and its database were
 * taken away: a line each, columns separated by tabs (spec/packages.md 2). */
#include "detect/rpm_header.h"

enum {
    C_NAME,
    C_EVR,
    C_INSTALLED,
    C_BUILT,
    C_VENDOR,
    C_EPOCH,
    C_SIZE,
    C_ARCH,
    C_EPOCHNUM,
    C_SOURCE,
    COLUMNS
};

static str present(str s) { return str_eq(s, STR("(none)")) ? (str){ 0 } : s; }

/* False: not a line of the list. */
static bool read_line(str line, struct rpm_header *ret)
{
    str column[COLUMNS] = { { 0 } };
    size_t n = 0;
    for (; n < COLUMNS && line.ptr; n++) {
        bool more = str_find(line, '\t') >= 0;
        column[n] = str_trim(str_cut(&line, '\t'));
        if (!more)
            line = (str){ 0 };
    }
    ptrdiff_t dash = str_rfind(column[C_EVR], '-');
    if (n < COLUMNS || dash <= 0)
        return false;
    uint64_t epoch = 0;
    str text = present(column[C_EPOCH]);
    if (text.len && (!str_to_u64(text, &epoch) || epoch > UINT32_MAX))
        return false;
    *ret = (struct rpm_header){
        .name = column[C_NAME],
        .version = str_head(column[C_EVR], (size_t)dash),
        .release = str_skip(column[C_EVR], (size_t)dash + 1),
        .arch = present(column[C_ARCH]),
        .source_rpm = present(column[C_SOURCE]),
        .vendor = present(column[C_VENDOR]),
        .has_epoch = text.len > 0,
        .epoch = (uint32_t)epoch,
    };
    return ret->name.len && ret->release.len;
}

static int manifest_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    struct rpm_vendors vendors = { 0 };
    size_t number = 0, good = 0, odd = 0; /* odd: the first line that is none of the list */
    for (str rest = file->content; rest.len;) {
        str line = str_line(&rest);
        struct rpm_header h;
        number++;
        if (!str_trim(line).len)
            continue;
        if (!read_line(line, &h)) {
            if (!odd)
                detected_note(out, "line %zu is not a package in %d columns", odd = number, COLUMNS);
            continue;
        }
        good++;
        if (!rpm_header_add(&h, out) || !rpm_vendors_add(&vendors, h.vendor, out))
            return err_set(e, ERR_OOM, "line %zu: no memory for more packages", number);
    }
    if (odd && !good)
        return err_set(e, ERR_FORMAT, "line %zu: not a list of packages", odd);
    return 0;
}

const struct detector detector_rpm_manifest = {
    .name = "rpm-manifest",
    .version = 1,
    .paths = "var/lib/rpmmanifest/container-manifest-2",
    .scan = manifest_scan,
};
