/* photon_release.c - /etc/photon-release: "VMware Photon OS 4.0", in the first ones "VMware Photon Linux 1.0". */
#include "detect/detector.h"
#include "detect/distro.h"

static int photon_release_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content, line = str_trim(str_line(&content)), rest = line, version = { 0 },
        none = { 0 };
    if (str_starts(line, STR("VMware Photon ")))
        for (str word; (word = str_word(&rest)).len && !version.len;)
            if (word.ptr[0] >= '0' && word.ptr[0] <= '9')
                version = word;
    if (version.len)
        out->distribution = distribution_from(out->arena, STR("photon"), version, none, line);
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_photon_release = {
    .name = "photon-release",
    .version = 1,
    .paths = "etc/photon-release",
    .priority = 9,
    .scan = photon_release_scan,
};
