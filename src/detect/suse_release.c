/* suse_release.c - /etc/SuSE-release, for images older than os-release(5): a title, then "VERSION = 11", "PATCHLEVEL = 4". */
#include "detect/detector.h"
#include "detect/distro.h"

static const struct {
    str starts;
    const char *id;
} products[] = {
    { STR("SUSE Linux Enterprise Server"), "sles" },
    { STR("SUSE LINUX Enterprise Server"), "sles" },
    { STR("SUSE Linux Enterprise Desktop"), "sled" },
    { STR("openSUSE"), "opensuse" },
};

static str product_id(str title)
{
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (str_starts(title, products[i].starts))
            return str_from(products[i].id);
    return str_word(&title); /* named, not covered */
}

static bool assigned(str line, const char *name, str *value)
{
    if (!str_eq(str_trim(str_cut(&line, '=')), str_from(name)))
        return false;
    *value = str_trim(line);
    return true;
}

static int suse_release_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content, title = { 0 }, version = { 0 }, patch = { 0 }, none = { 0 };
    while (content.len) {
        str line = str_trim(str_line(&content));
        if (!title.len)
            title = line;
        else if (!assigned(line, "VERSION", &version))
            assigned(line, "PATCHLEVEL", &patch);
    }
    /* A first release has no service pack: its os-release, where there is one, says "12", not "12.0". */
    if (version.len && version.len <= 16 && patch.len && patch.len <= 4 && !str_eq(patch, STR("0")))
        version = arena_printf(out->arena, STR_FMT "." STR_FMT, STR_ARG(version), STR_ARG(patch));
    if (version.len)
        out->distribution = distribution_from(out->arena, product_id(title), version, none, title);
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_suse_release = {
    .name = "suse-release",
    .version = 1,
    .paths = "etc/SuSE-release",
    .priority = 8,
    .scan = suse_release_scan,
};
