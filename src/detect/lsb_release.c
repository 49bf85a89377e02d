/* lsb_release.c - /etc/lsb-release, for images older than os-release(5). */
#include "detect/detector.h"
#include "detect/distro.h"

#include <strings.h>

static int lsb_release_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content;
    str id = { 0 }, version = { 0 }, codename = { 0 }, pretty = { 0 };
    while (content.len) {
        str line = str_trim(str_line(&content)), name, value;
        if (!str_starts(line, STR("DISTRIB_")) || !release_assignment(out->arena, line, &name, &value))
            continue;
        if (str_eq(name, STR("DISTRIB_ID")))
            id = value;
        else if (str_eq(name, STR("DISTRIB_RELEASE")))
            version = value;
        else if (str_eq(name, STR("DISTRIB_CODENAME")))
            codename = value;
        else if (str_eq(name, STR("DISTRIB_DESCRIPTION")))
            pretty = value;
    }
    if (id.len == 6 && !strncasecmp(id.ptr, "oracle", 6)) /* both names are seen (spec/detection.md 2) */
        id = STR("ol");
    out->distribution = distribution_from(out->arena, id, version, codename, pretty);
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_lsb_release = {
    .name = "lsb-release",
    .version = 1,
    .paths = "etc/lsb-release",
    .priority = 5,
    .scan = lsb_release_scan,
};
