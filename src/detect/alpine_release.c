/* alpine_release.c - /etc/alpine-release: one line with the version. */
#include "detect/detector.h"
#include "detect/distro.h"

static int alpine_release_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content;
    while (content.len && !out->distribution.id.len) {
        str line = str_trim(str_line(&content)), none = { 0 };
        struct distribution d = line.len ? distribution_from(out->arena, STR("alpine"), line, none, none)
                                         : (struct distribution){ 0 };
        if (!d.namespace.len)
            continue;
        d.name = arena_printf(out->arena, "Alpine Linux " STR_FMT, STR_ARG(d.version));
        out->distribution = d;
    }
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_alpine_release = {
    .name = "alpine-release",
    .version = 1,
    .paths = "etc/alpine-release",
    .priority = 2,
    .scan = alpine_release_scan,
};
