/* apk_repositories.c - /etc/apk/repositories: is it Alpine's rolling branch? Release files cannot always tell. */
#include "detect/detector.h"
#include "detect/distro.h"

/* The repository of a line that holds its packages for all: not a comment, not one for tagged packages ("@edge http://..."). */
static str enabled(str line)
{
    str url = str_word(&line);
    while (str_ends(url, STR("/")))
        url.len--;
    return url.len && url.ptr[0] != '#' && url.ptr[0] != '@' ? url : (str){ 0 };
}

static int apk_repositories_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str content = file->content;
    bool edge = false;
    while (content.len) {
        str url = enabled(str_line(&content));
        if (!str_ends(url, STR("/main")))
            continue;
        edge = str_ends(url, STR("/edge/main"));
        if (!edge)
            break; /* a release: its own files name it better */
    }
    if (edge)
        out->distribution =
            distribution_from(out->arena, STR("alpine"), STR("edge"), (str){ 0 }, STR("Alpine Linux edge"));
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_apk_repositories = {
    .name = "apk-repositories",
    .version = 1,
    .paths = "etc/apk/repositories",
    /* but heard only when another file says Alpine: derivatives have this file too (index/pick.h) */
    .priority = 1,
    .scan = apk_repositories_scan,
};
