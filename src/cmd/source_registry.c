/* source_registry.c - an image in a registry, as a source of `eclair scan` and its kind. */
#include "cmd/scan_source.h"
#include "image/registry.h"
#include "net/http.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

/* What a person who writes it means is a file: nobody else is told its name. */
static bool looks_like_file(const char *image)
{
    static const char *const endings[] = { ".tar", ".tgz", ".gz",   ".zst", ".xz",  ".bz2", ".aci",
                                           ".zip", ".oci", ".json", ".xml", ".txt", ".spdx" };
    size_t n = strlen(image);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t k = strlen(endings[i]);
        if (n > k && !strcasecmp(image + n - k, endings[i]))
            return true;
    }
    return !n || strchr("/.~-", *image);
}

static int check_options(const struct scan_options *o, struct err *e)
{
    if (o->ca && access(o->ca, R_OK) < 0)
        return err_errno(e, "--ca %s", o->ca);
    if (o->registry_mirror && !strstr(o->registry_mirror, "http://") &&
        !strstr(o->registry_mirror, "https://"))
        return err_set(e, ERR_USAGE, "--registry-mirror: '%s' has no URL of http or https",
                       o->registry_mirror);
    return 0;
}

static int open_named(const struct scan_session *s, const char *image, struct scan_input *input,
                      struct err *e)
{
    const struct registry_options o = { .mirror = s->o->registry_mirror,
                                        .ca = s->o->ca,
                                        .insecure = s->o->insecure };
    struct image_remote *remote = http_init(e) < 0 ? NULL : registry_open(str_from(image), &o, e);
    if (!remote)
        return -1;
    input->container = container_of_remote(remote, e);
    return input->container ? 0 : -1;
}

static int open_registry(const struct scan_session *s, const char *image, bool guessing,
                         struct scan_input *input, struct err *e)
{
    if (!strncmp(image, "//", 2) && !guessing) /* docker://NAME */
        image += 2;
    if (guessing && looks_like_file(image))
        return err_set(e, ERR_NOT_FOUND, "no name of an image in a registry");
    if (check_options(s->o, e) < 0)
        return -1;
    if (open_named(s, image, input, e) == 0)
        return 0;
    /* a guess that nobody can confirm: what the others said matters as much */
    if (guessing && (e->kind == ERR_USAGE || e->kind == ERR_DENIED || e->kind == ERR_NETWORK))
        e->kind = ERR_NOT_FOUND;
    return -1;
}

const struct scan_source source_registry = {
    .name = "registry",
    .rest = "[HOST/]NAME[:TAG]",
    .summary = "an image in a registry; also docker://NAME",
    .guessed = true,
    .open = open_registry,
};
