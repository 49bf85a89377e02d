/* redhat_release.c - "Rocky Linux release 8.10 (Green Obsidian)": one sentence in /etc, for Red Hat and its
 * kin. */
#include "detect/detector.h"
#include "detect/distro.h"

static const struct {
    str starts;
    const char *id;
} products[] = {
    { { "Amazon Linux", 12 }, "amzn" },
    { { "Oracle Linux", 12 }, "ol" },
    { { "Red Hat Enterprise Linux CoreOS", 31 }, "rhcos" }, /* its versions are OpenShift's */
    { { "Red Hat Enterprise Linux", 24 }, "rhel" },
    { { "CentOS", 6 }, "centos" },
    { { "Rocky Linux", 11 }, "rocky" },
    { { "AlmaLinux", 9 }, "almalinux" },
    { { "Fedora", 6 }, "fedora" },
};

/* Cuts "CentOS Linux release 7.6.1810 (Core)" into what stands before " release" and the version. */
static bool split(str line, str *product, str *version)
{
    static const char word[] = " release ";
    const char *at = line.len ? memmem(line.ptr, line.len, word, sizeof word - 1) : NULL;
    if (!at)
        return false;
    *product = str_trim((str){ line.ptr, (size_t)(at - line.ptr) });
    str rest = str_skip(line, (size_t)(at - line.ptr) + sizeof word - 1);
    *version = str_word(&rest);
    return product->len && version->len && version->ptr[0] >= '0' && version->ptr[0] <= '9';
}

static int redhat_release_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content;
    while (content.len && !out->distribution.id.len) {
        str line = str_trim(str_line(&content)), product, version, none = { 0 };
        if (line.len > 4096 || !split(line, &product, &version))
            continue;
        str id = str_word(&(str){ product.ptr, product.len }); /* "Scientific Linux": named, not covered */
        for (size_t i = 0; i < sizeof products / sizeof *products; i++)
            if (str_starts(product, products[i].starts)) {
                id = str_from(products[i].id);
                break;
            }
        out->distribution = distribution_from(out->arena, id, version, none, line);
    }
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_redhat_release = {
    .name = "redhat-release",
    .version = 2,
    /* The first one visible speaks: Oracle's redhat-release says Red Hat. */
    .paths =
        "etc/oracle-release etc/rocky-release etc/almalinux-release etc/fedora-release etc/centos-release "
        "etc/sl-release etc/amazon-linux-release etc/redhat-release etc/system-release "
        "usr/lib/fedora-release usr/lib/centos-release usr/lib/rocky-release usr/lib/almalinux-release "
        "usr/lib/redhat-release usr/lib/system-release", /* the latter are what links in /etc lead to */
    .priority = 3,
    .scan = redhat_release_scan,
};
