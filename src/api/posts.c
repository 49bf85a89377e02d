#include "api/posts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "index/layer.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- how many at once ---- */

struct posts *posts_new(void)
{
    struct posts *p = calloc(1, sizeof *p);
    if (!p || !(p->flights = flights_new())) {
        free(p);
        return NULL;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = cores > 0 ? (unsigned)cores : 1;
    gate_init(&p->looks, 2 * n);
    gate_init(&p->sources, 2 * n > POSTS_OPEN_MAX ? 2 * n : POSTS_OPEN_MAX);
    gate_init(&p->work, n);
    gate_init(&p->bodies, 2 * n);
    return p;
}

void posts_freep(struct posts **p)
{
    if (!*p)
        return;
    flights_freep(&(*p)->flights);
    gate_done(&(*p)->looks);
    gate_done(&(*p)->sources);
    gate_done(&(*p)->work);
    gate_done(&(*p)->bodies);
    free(*p);
    *p = NULL;
}

void api_load(const struct api *a, struct api_load *ret)
{
    struct posts *p = a->posts;
    unsigned running = atomic_load(&p->running), admitted = atomic_load(&p->admitted);
    unsigned reading = atomic_load(&p->reading), uploads = atomic_load(&p->uploads);
    ret->running = running + reading;
    ret->waiting = (admitted > running ? admitted - running : 0) +
                   (uploads > reading ? uploads - reading : 0) + flights_waiting(p->flights);
    ret->refused = atomic_load(&p->refused);
}

struct store *posts_look(struct call *c, struct err *e)
{
    gate_enter(&c->api->posts->looks);
    struct store *s = stores_take(c->api->stores, e);
    if (!s)
        gate_leave(&c->api->posts->looks);
    return s;
}

void posts_looked(struct call *c, struct store *s)
{
    if (!s)
        return;
    stores_give(c->api->stores, s);
    gate_leave(&c->api->posts->looks);
}

bool posts_admit(struct posts *p) { return atomic_fetch_add(&p->admitted, 1) < POSTS_ADMITTED_MAX; }

void posts_leave(struct posts *p) { atomic_fetch_sub(&p->admitted, 1); }

void posts_come_again(struct call *c) { response_header(c->response, "Retry-After", STR("10")); }

void posts_refused(struct call *c)
{
    atomic_fetch_add(&c->api->posts->refused, 1);
    log_warning("too many layers are posted at once", LOG_TEXT("remote addr", str_from(c->request->peer)),
                LOG_REQUEST(c->request));
    posts_come_again(c);
}

bool posts_helper(struct posts *p)
{
    if (atomic_fetch_add(&p->helpers, 1) < POSTS_HELPERS_MAX)
        return true;
    posts_helper_end(p);
    return false;
}

void posts_helper_end(struct posts *p) { atomic_fetch_sub(&p->helpers, 1); }

bool posts_upload(struct posts *p) { return atomic_fetch_add(&p->uploads, 1) < POSTS_UPLOADS_MAX; }

void posts_uploaded(struct posts *p) { atomic_fetch_sub(&p->uploads, 1); }

void posts_work(struct posts *p)
{
    gate_enter(&p->work);
    atomic_fetch_add(&p->running, 1);
}

void posts_worked(struct posts *p)
{
    atomic_fetch_sub(&p->running, 1);
    gate_leave(&p->work);
}

/* ---- one layer ---- */

static void count_failure(const struct call *c, const struct err *e)
{
    static const struct {
        enum err_kind kind;
        const char *reason;
    } reasons[] = { { ERR_CAGE, "crashed" },  { ERR_LIMIT, "limit" },     { ERR_FILE_LIMIT, "limit" },
                    { ERR_OOM, "memory" },    { ERR_FORMAT, "format" },   { ERR_UNSUPPORTED, "format" },
                    { ERR_DIGEST, "digest" }, { ERR_NETWORK, "network" }, { ERR_IO, "network" } };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].kind == e->kind)
            metrics_add(c->options->metrics, METRIC_CAGE_FAILURES, 1, str_from(reasons[i].reason), STR(""));
}

struct reading {
    struct call *call;
    const struct posted *posted;
    struct arena *arena;
    int (*take)(void *ctx, const struct layer_index *content, struct err *e);
    void *ctx;
    enum posted_step step;
};

static bool is_stopped(const struct posted *p) { return p->place.stop && atomic_load(p->place.stop); }

static int stopped(struct err *e) { return err_set(e, ERR_BUSY, "given up because another layer failed"); }

static int read_and_take(struct reading *r, const struct cage_input *input, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(LAYER_MEMORY_MAX);
    struct layer_index *content;
    r->step = POSTED_READ;
    if (is_stopped(r->posted))
        return stopped(e);
    if (!arena)
        return err_set(e, ERR_OOM, "arena");
    if (index_blob(r->call->api->options.cage, input, r->posted->format, r->posted->name, arena, &content,
                   e) < 0) {
        count_failure(r->call, e);
        return -1;
    }
    r->step = POSTED_TAKE;
    return r->take(r->ctx, content, e);
}

static int open_and_read(struct reading *r, struct err *e)
{
    struct posts *posts = r->call->api->posts;
    const struct posted *p = r->posted;
    CLEANUP(source_done) struct source source = { .fd = -1 };
    if (is_stopped(p))
        return stopped(e);
    if (source_open(r->call->options, &p->place, p->here, r->arena, &source, e) < 0)
        return -1;
    if (p->unknown_format)
        return 1;
    posts_work(posts);
    int result = read_and_take(r, &source.input, e);
    posts_worked(posts);
    return result;
}

int posted_read(struct call *c, const struct posted *p, struct arena *arena,
                int (*take)(void *ctx, const struct layer_index *content, struct err *e), void *ctx,
                enum posted_step *ret_step, struct err *e)
{
    struct reading r = { .call = c, .posted = p, .arena = arena, .take = take, .ctx = ctx };
    gate_enter(&c->api->posts->sources);
    int64_t began = clock_ns();
    int result = open_and_read(&r, e);
    if (result == 0)
        metrics_observe(c->options->metrics, METRIC_LAYER_SECONDS, (double)(clock_ns() - began) / 1e9,
                        STR(""), STR(""));
    gate_leave(&c->api->posts->sources);
    *ret_step = r.step;
    return result;
}

int posted_body(struct call *c, const struct cage_input *body, str want,
                int (*take)(void *ctx, const struct layer_index *content, struct err *e), void *ctx,
                enum posted_step *ret_step, struct err *e)
{
    const struct posted p = { .name = want, .format = BLOB_DOCKER };
    struct reading r = { .call = c, .posted = &p, .arena = c->request->arena, .take = take, .ctx = ctx };
    gate_enter(&c->api->posts->bodies);
    atomic_fetch_add(&c->api->posts->reading, 1);
    int64_t began = clock_ns();
    int result = read_and_take(&r, body, e);
    if (result == 0)
        metrics_observe(c->options->metrics, METRIC_LAYER_SECONDS, (double)(clock_ns() - began) / 1e9,
                        STR(""), STR(""));
    atomic_fetch_sub(&c->api->posts->reading, 1);
    gate_leave(&c->api->posts->bodies);
    *ret_step = r.step;
    return result;
}

str posted_shown(str path, struct arena *arena)
{
    if (!str_starts(path, STR("http://")) && !str_starts(path, STR("https://")))
        return path;
    str rest = str_skip(path, STR("https://").len - str_starts(path, STR("http://")));
    str scheme = str_head(path, path.len - rest.len), question = rest, hash = str_cut(&question, '?');
    str shown = str_cut(&hash, '#'), folder = shown, host = str_cut(&folder, '/');
    return arena_printf(arena, STR_FMT STR_FMT, STR_ARG(scheme),
                        STR_ARG(str_skip(shown, (size_t)(str_rfind(host, '@') + 1))));
}
