/* os_release.c - os-release(5). */
#include "detect/detector.h"
#include "detect/distro.h"

/* "Debian GNU/Linux trixie/sid", "Debian GNU/Linux 8 (jessie)": the last word tells the codename. */
static str pretty_codename(str pretty)
{
    str last = { 0 };
    for (str word; (word = str_word(&pretty)).len;)
        last = word;
    if (last.len > 2 && last.ptr[0] == '(')
        last = (str){ last.ptr + 1, last.len - 2 };
    return str_cut(&last, '/');
}

static int os_release_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content;
    str id = { 0 }, version = { 0 }, codename = { 0 }, pretty = { 0 };
    const struct {
        str name;
        str *value;
    } wanted[] = {
        { STR("ID"), &id },
        { STR("VERSION_ID"), &version },
        { STR("VERSION_CODENAME"), &codename },
        { STR("PRETTY_NAME"), &pretty },
    };
    bool empty = !str_trim(content).len;
    while (content.len) {
        str line = str_trim(str_line(&content)), name, value;
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (str_starts(line, wanted[i].name) && release_assignment(out->arena, line, &name, &value) &&
                str_eq(name, wanted[i].name))
                *wanted[i].value = value; /* as in a shell, the last assignment wins */
    }
    if (!id.len && !empty)
        detected_note(out, "no ID");
    if (!debian_version(codename).len && !ubuntu_version(codename).len)
        codename = pretty_codename(pretty);
    out->distribution = distribution_from(out->arena, id, version, codename, pretty);

    /* Debian testing and unstable have the same file, without VERSION_ID: a guess, which apt's sources may
     * correct. */
    if (str_eq(out->distribution.id, STR("debian")) && !version.len)
        out->distribution.namespace = (str){ 0 };
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_os_release = {
    .name = "os-release",
    .version = 2,
    .paths = "etc/os-release usr/lib/os-release", /* the first one visible speaks */
    .priority = 4,
    .scan = os_release_scan,
};
