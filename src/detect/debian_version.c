/* debian_version.c - /etc/debian_version: "12.5", or "trixie/sid" before a release. Ubuntu has the latter
 * too. */
#include "detect/detector.h"
#include "detect/distro.h"

static int debian_version_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content;
    str line = str_trim(str_line(&content)), none = { 0 }, codename = line;
    codename = str_cut(&codename, '/');
    struct distribution d = distribution_from(out->arena, STR("debian"), codename, none, none);
    if (d.version.len) {
        if (codename.len != line.len)
            d.namespace = none; /* testing or unstable: a guess, as in os_release.c */
        d.name = arena_printf(out->arena, "Debian GNU/Linux " STR_FMT, STR_ARG(str_head(line, 64)));
        out->distribution = d;
    }
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_debian_version = {
    .name = "debian-version",
    .version = 1,
    .paths = "etc/debian_version",
    .priority = 7,
    .scan = debian_version_scan,
};
