/* scan_source.c - the table of image sources, and which of them an IMAGE means. */
#include "cmd/scan_source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int open_disk(const struct scan_session *s, const char *path, bool guessing, struct scan_input *input,
                     struct err *e)
{
    (void)guessing;
    if (strcmp(path, "-") && access(path, F_OK) < 0 && errno == ENOENT)
        return err_set(
            e, ERR_NOT_FOUND,
            "no such file or folder (an image of a container engine: docker save NAME | eclair scan -)");
    input->container = container_open(s->cage, path, e);
    return input->container ? 0 : -1;
}

static const struct scan_source disk = {
    .name = "disk",
    .summary = "a file or folder: an archive, an OCI layout, an ACI, a root file system; - is standard input",
    .guessed = true,
    .open = open_disk,
};

const struct scan_source *const scan_sources[] = { &disk, &source_registry, NULL };

static const struct scan_source *by_prefix(const char *image)
{
    if (!strncmp(image, "docker://", strlen("docker://"))) /* as skopeo writes it */
        return &source_registry;
    for (size_t i = 0; scan_sources[i]; i++) {
        size_t n = strlen(scan_sources[i]->name);
        if (!strncmp(image, scan_sources[i]->name, n) && image[n] == ':')
            return scan_sources[i];
    }
    return NULL;
}

static void add_reason(struct err *all, const char *name, const struct err *found)
{
    const struct err before = *all;
    if (!before.kind)
        *all = *found;
    else
        err_set(all, ERR_NOT_FOUND, "%s; %s: %s", before.text, name, found->text);
}

int scan_source_open(const struct scan_session *s, const char *image, struct scan_input *ret, struct err *e)
{
    const struct scan_source *named = by_prefix(image);
    *ret = (struct scan_input){ 0 };
    if (!*image)
        return err_set(e, ERR_USAGE, "IMAGE is empty");
    if (named && named->open(s, strchr(image, ':') + 1, false, ret, e) < 0)
        return err_wrap(e, "%s", image);
    if (named)
        return 0;
    for (size_t i = 0; scan_sources[i]; i++) {
        struct err found = { 0 };
        if (!scan_sources[i]->guessed)
            continue;
        if (scan_sources[i]->open(s, image, true, ret, &found) == 0)
            return 0;
        if (found.kind != ERR_NOT_FOUND) {
            *e = found;
            break;
        }
        add_reason(e, scan_sources[i]->name, &found);
    }
    return err_wrap(e, "%s", image);
}

void scan_input_done(struct scan_input *i) { container_freep(&i->container); }

void scan_sources_help(FILE *to)
{
    fputs("\nWhere an IMAGE is (NAME:IMAGE; without a name they are asked in this order):\n", to);
    for (size_t i = 0; scan_sources[i]; i++)
        fprintf(to, "  %-24s %s\n", scan_sources[i]->name, scan_sources[i]->summary);
}
