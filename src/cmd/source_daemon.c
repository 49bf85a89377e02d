/* source_daemon.c - images of Docker and Podman: what a daemon would save goes straight into the cage, if it is not known already. */
#include "base/cleanup.h"
#include "cmd/scan_source.h"
#include "image/daemon.h"
#include "net/http.h"

struct giver {
    struct arena *arena;
    struct daemon *daemon;
    const char *image;
    struct image_platform platform;
    struct daemon_transfer *transfer;
};

static int giver_open(void *ctx, struct err *e)
{
    struct giver *g = ctx;
    daemon_save_close(&g->transfer);
    g->transfer = daemon_save_open(g->daemon, g->image, &g->platform, e);
    return g->transfer ? 0 : -1;
}

static int giver_read(void *ctx, str *ret, struct err *e)
{
    struct giver *g = ctx;
    return daemon_save_read(g->transfer, ret, e);
}

static void giver_close(void *ctx)
{
    struct giver *g = ctx;
    daemon_save_close(&g->transfer);
}

static void giver_free(void *ctx)
{
    struct giver *g = ctx;
    giver_close(g);
    daemon_freep(&g->daemon);
    arena_freep(&g->arena);
    free(g);
}

static void giver_freep(struct giver **g)
{
    if (*g)
        giver_free(*g);
}

/* Nobody asked for this daemon: that it is not there, or not to be reached by us, is no error yet. */
static void not_there(bool guessing, struct err *e)
{
    if (guessing && (e->kind == ERR_NETWORK || e->kind == ERR_UNSUPPORTED))
        e->kind = ERR_NOT_FOUND;
}

static struct giver *greet(int (*place)(struct arena *, struct daemon_options *, struct err *),
                           const char *image, bool guessing, struct err *e)
{
    struct daemon_options o;
    CLEANUP(giver_freep) struct giver *g = calloc(1, sizeof *g);
    if (!g || !(g->arena = arena_new(0)) || !(g->image = arena_cstr(g->arena, str_from(image)))) {
        err_set(e, ERR_OOM, "daemon");
        return NULL;
    }
    if (place(g->arena, &o, e) < 0)
        return NULL;
    if (!(g->daemon = daemon_new(&o, e)) || daemon_greet(g->daemon, e) < 0) {
        not_there(guessing, e);
        return NULL;
    }
    struct giver *ret = g;
    g = NULL;
    return ret;
}

/* Of what was demanded the daemon may have another image under that name: from API 1.48 on it is asked for, before that there is one only. */
static int check_platform(const struct giver *g, const struct daemon_image *i, bool *fits, struct err *e)
{
    *fits = !g->platform.demanded || image_platform_fits(&g->platform, &i->platform);
    if (*fits || daemon_saves_platform(g->daemon))
        return 0;
    return err_set(e, ERR_NOT_FOUND,
                   "no image for " STR_FMT "/" STR_FMT " in it, but for: " STR_FMT "/" STR_FMT,
                   STR_ARG(g->platform.os), STR_ARG(g->platform.architecture), STR_ARG(i->platform.os),
                   STR_ARG(i->platform.architecture));
}

static int open_daemon(int (*place)(struct arena *, struct daemon_options *, struct err *),
                       const struct scan_session *s, const char *image, bool guessing,
                       struct scan_input *input, struct err *e)
{
    struct daemon_image known;
    bool fits;
    if (http_init(e) < 0)
        return -1;
    CLEANUP(giver_freep) struct giver *g = greet(place, image, guessing, e);
    if (!g)
        return -1;
    g->platform = s->platform;
    if (daemon_inspect(g->daemon, image, &g->platform, g->arena, &known, e) < 0) {
        e->kind = guessing && e->kind == ERR_UNSUPPORTED ? ERR_NOT_FOUND : e->kind;
        return -1;
    }
    if (check_platform(g, &known, &fits, e) < 0)
        return -1;
    struct container_giver giver = { .open = giver_open,
                                     .read = giver_read,
                                     .close = giver_close,
                                     .free = giver_free,
                                     .ctx = g,
                                     .again = true,
                                     .key = fits ? known.id : STR("") };
    g = NULL;
    input->container = container_from(&giver, e);
    return input->container ? 0 : -1;
}

static int open_docker(const struct scan_session *s, const char *image, bool guessing,
                       struct scan_input *input, struct err *e)
{
    return open_daemon(daemon_place_docker, s, image, guessing, input, e);
}

static int open_podman(const struct scan_session *s, const char *image, bool guessing,
                       struct scan_input *input, struct err *e)
{
    return open_daemon(daemon_place_podman, s, image, guessing, input, e);
}

const struct scan_source source_docker = { "docker", "NAME", "an image of the Docker daemon", true,
                                           open_docker };
const struct scan_source source_podman = { "podman", "NAME", "an image of Podman, by its socket", true,
                                           open_podman };
