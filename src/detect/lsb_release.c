/* lsb_release.c - /etc/lsb-release, for images older than os-release(5). */
#include "detect/detector.h"
#include "detect/distro.h"

#include <strings.h>

/* Names that are not os-release's ID in other letters: what lsb_release(1) is told begins so. */
static const struct {
    const char *starts, *id;
} other_names[] = {
    { "oracle", "ol" },           { "redhatenterprise", "rhel" },
    { "amazon", "amzn" },         { "vmware photon", "photon" },
    { "cbl-mariner", "mariner" }, { "microsoft azure linux", "azurelinux" },
};

static str usual_id(str id)
{
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++) {
        size_t n = strlen(other_names[i].starts);
        if (id.len >= n && !strncasecmp(id.ptr, other_names[i].starts, n))
            return str_from(other_names[i].id);
    }
    return id;
}

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
    out->distribution = distribution_from(out->arena, usual_id(id), version, codename, pretty);
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_lsb_release = {
    .name = "lsb-release",
    .version = 2,
    .paths = "etc/lsb-release",
    .priority = 5,
    .scan = lsb_release_scan,
};
