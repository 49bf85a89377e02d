/* scan_source.c - the table of image sources, and which of them an IMAGE means. */
#include "cmd/scan_source.h"
#include "base/cleanup.h"

const struct
    scan_source
        *const
            scan_sources
                [] = {
                    &source_disk,
                    &source_docker,
                    &source_podman,
                    &source_registry, /* guessed, in this order */
                    &source_docker_archive,
                    &source_oci_archive,
                    &source_oci,
                    &source_oci_dir,
                    &source_dir,
                    &source_rootfs,
                    &source_aci,
                    &source_sbom,
                    &source_purls,
                    NULL,
                };

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

static bool is_path(str image)
{
    return str_eq(image, STR("-")) || str_starts(image, STR("/")) || str_starts(image, STR("./")) ||
           str_starts(image, STR("../"));
}

static void add_said(struct buf *said, const struct scan_source *s, const struct err *found)
{
    buf_printf(said, "%s%s: %s", said->len ? "; " : "", s->name, found->text);
}

static int guess(const struct scan_session *s, const char *image, struct scan_input *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf said = { .max = 4096 };
    bool path = is_path(str_from(image));
    for (size_t i = 0; scan_sources[i]; i++) {
        struct err found = { 0 };
        if (!scan_sources[i]->guessed)
            continue;
        if (scan_sources[i]->open(s, image, true, ret, &found) == 0)
            return 0;
        *e = found;
        if (found.kind != ERR_NOT_FOUND || path)
            return -1;
        add_said(&said, scan_sources[i], &found);
    }
    return err_set(e, ERR_NOT_FOUND, "nowhere to be found: " STR_FMT, STR_ARG(buf_view(&said)));
}

int scan_source_open(const struct scan_session *s, const char *image, struct scan_input *ret, struct err *e)
{
    const struct scan_source *named = by_prefix(image);
    *ret = (struct scan_input){ 0 };
    if (!*image)
        return err_set(e, ERR_USAGE, "IMAGE is empty");
    const char *rest = named ? strchr(image, ':') + 1 : image;
    if (!*rest)
        return err_set(e, ERR_USAGE, "%s: what follows the colon is missing: IMAGE is empty", image);
    int r = named ? named->open(s, rest, false, ret, e) : guess(s, image, ret, e);
    return r < 0 ? err_wrap(e, "%s", image) : 0;
}

void scan_input_done(struct scan_input *i)
{
    container_freep(&i->container);
    arena_freep(&i->arena);
}

void scan_sources_help(FILE *to)
{
    fputs("\nWhere an IMAGE is; without a prefix the first of these that has it is taken, in this order:\n",
          to);
    for (int guessed = 1; guessed >= 0; guessed--) {
        if (!guessed)
            fputs("Only by their prefix:\n", to);
        for (size_t i = 0; scan_sources[i]; i++)
            if (scan_sources[i]->guessed == guessed) {
                char head[64];
                snprintf(head, sizeof head, "%s:%s", scan_sources[i]->name,
                         scan_sources[i]->rest ? scan_sources[i]->rest : "NAME");
                fprintf(to, "  %-28s %s\n", head, scan_sources[i]->summary);
            }
    }
}
