/* v1_post.c - POST /v1/layers: a layer is read, put on its parent and stored under its name (spec/api-v1.md 4, detection.md 4). */
#include "api/internal.h"

#include "api/flights.h"
#include "api/gate.h"
#include "api/source.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "index/blob.h"
#include "index/index.h"
#include "index/layer.h"
#include "index/named.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* ---- how many at once ---- */

/* A signed URL may live for a minute, and a layer may wait longer for its turn: so sources are opened first, and wait with their connection
 * open. All waiting is done by threads of the server (API_POST_THREADS): FLIGHTS_JOIN_MAX of them for the same post, ADMITTED_MAX for
 * work, and what is left tells the others at once: that their layer is stored, or to come again. */
#define OPEN_MAX     64
#define ADMITTED_MAX 192
_Static_assert(ADMITTED_MAX + FLIGHTS_JOIN_MAX < API_POST_THREADS, "some thread is always free");

struct posts {
    struct flights *flights;
    struct gate looks;   /* each takes a handle of the store */
    struct gate sources; /* open ones */
    struct gate work;    /* layers being indexed: as many as there are cores */
    atomic_uint admitted, running;
    atomic_uint_fast64_t refused;
};

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
    gate_init(&p->sources, 2 * n > OPEN_MAX ? 2 * n : OPEN_MAX);
    gate_init(&p->work, n);
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
    free(*p);
    *p = NULL;
}

void api_load(const struct api *a, struct api_load *ret)
{
    struct posts *p = a->posts;
    unsigned running = atomic_load(&p->running), admitted = atomic_load(&p->admitted);
    ret->running = running;
    ret->waiting = (admitted > running ? admitted - running : 0) + flights_waiting(p->flights);
    ret->refused = atomic_load(&p->refused);
}

#define BUSY 503

static void come_again(struct call *c) { response_header(c->response, "Retry-After", STR("10")); }

static void refuse(struct call *c)
{
    atomic_fetch_add(&c->api->posts->refused, 1);
    log_warning("too many layers are posted at once", LOG_TEXT("remote addr", str_from(c->request->peer)),
                LOG_REQUEST(c->request));
    v1_error(c, BUSY, STR("too many layers are waiting to be processed"));
    come_again(c);
}

/* ---- the work ---- */

enum step { STEP_LOOK, STEP_PARENT, STEP_SOURCE, STEP_FORMAT, STEP_READ, STEP_PLACE };

struct posting {
    struct call *call;
    struct v1_layer layer;
    str parent;     /* the name of the one it is put on */
    enum step step; /* at which it failed */
    enum blob_format format;
};

/* Law 9: the same failure means something else at another step. */
static const struct {
    enum step step;
    enum err_kind kind;
    unsigned status;
    const char *message;
} answers[] = {
    { STEP_PARENT, ERR_NOT_FOUND, 400, "worker: parent layer is unknown, it must be processed first" },
    { STEP_SOURCE, ERR_NOT_FOUND, 400, "could not find layer" },
    { STEP_SOURCE, ERR_FORMAT, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_FORMAT, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_LIMIT, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_OOM, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_CAGE, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_NETWORK, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_IO, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_UNSUPPORTED, 422, "tarutil: could not extract the archive" },
    { STEP_READ, ERR_FILE_LIMIT, 422,
      "tarutil: could not extract one or more files from the archive: file too big" },
    { STEP_READ, ERR_DIGEST, 422, NULL }, /* no old text says that: ours */
    { STEP_PLACE, ERR_NOT_FOUND, 400, "worker: parent layer is unknown, it must be processed first" },
    { STEP_PLACE, ERR_UNSUPPORTED, 422, "worker: OS and/or package manager are not supported" },
    { STEP_PLACE, ERR_LIMIT, 422, "tarutil: could not extract the archive" },
};

/* Whoever may fetch a layer often says so in its URL, and logs go far (spec/server.md 5). */
static str without_secrets(str path, struct arena *arena)
{
    if (!str_starts(path, STR("http://")) && !str_starts(path, STR("https://")))
        return path;
    str rest = str_skip(path, STR("https://").len - str_starts(path, STR("http://")));
    str scheme = str_head(path, path.len - rest.len), question = rest, hash = str_cut(&question, '?');
    str shown = str_cut(&hash, '#'), folder = shown, host = str_cut(&folder, '/');
    return arena_printf(arena, STR_FMT STR_FMT, STR_ARG(scheme),
                        STR_ARG(str_skip(shown, (size_t)(str_rfind(host, '@') + 1))));
}

static void count_failure(const struct posting *p, const struct err *e)
{
    static const struct {
        enum err_kind kind;
        const char *reason;
    } reasons[] = { { ERR_CAGE, "crashed" },  { ERR_LIMIT, "limit" },     { ERR_FILE_LIMIT, "limit" },
                    { ERR_OOM, "memory" },    { ERR_FORMAT, "format" },   { ERR_UNSUPPORTED, "format" },
                    { ERR_DIGEST, "digest" }, { ERR_NETWORK, "network" }, { ERR_IO, "network" } };
    for (size_t i = 0; p->step == STEP_READ && i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].kind == e->kind)
            metrics_add(p->call->options->metrics, METRIC_CAGE_FAILURES, 1, str_from(reasons[i].reason),
                        STR(""));
}

static void fail(const struct posting *p, const struct err *e)
{
    count_failure(p, e);
    const struct v1_layer *l = &p->layer;
    str path = without_secrets(l->path, p->call->request->arena);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (answers[i].step == p->step && answers[i].kind == e->kind) {
            log_warning("could not process layer", LOG_TEXT("error", str_from(e->text)),
                        LOG_TEXT("layer", l->name), LOG_TEXT("path", path), LOG_REQUEST(p->call->request));
            v1_error(p->call, answers[i].status, str_from(answers[i].message ? answers[i].message : e->text));
            return;
        }
    v1_failure(p->call, e);
}

/* 1: it is stored, in a state of which this program makes no better. One of before is made anew where it was. */
static int is_stored(struct store *s, struct posting *p, struct err *e)
{
    struct named_layer *known;
    int found = store_named_find(s, p->layer.name, p->call->request->arena, &known, e);
    p->parent = found > 0 ? known->parent : p->layer.parent;
    return found <= 0 ? found : known->engine >= V1_ENGINE && known->indexer == indexer_version();
}

static int look(struct posting *p, bool *stored, struct err *e)
{
    struct api *a = p->call->api;
    gate_enter(&a->posts->looks);
    struct store *s = stores_take(a->stores, e);
    struct named_layer *parent;
    int found = s ? is_stored(s, p, e) : -1;
    *stored = found > 0;
    if (found == 0 && p->parent.len) {
        p->step = STEP_PARENT;
        found = store_named_find(s, p->parent, p->call->request->arena, &parent, e);
        if (found == 0 || (found > 0 && parent->indexer != indexer_version()))
            found = err_set(e, ERR_NOT_FOUND, "parent " STR_FMT " is unknown%s", STR_ARG(p->parent),
                            found ? ": it was read by another version" : "");
    }
    stores_give(a->stores, s);
    gate_leave(&a->posts->looks);
    return found < 0 ? -1 : 0;
}

static bool find_format(struct posting *p)
{
    str f = p->layer.format;
    bool docker = f.len == 6 && !strncasecmp(f.ptr, "docker", 6),
         aci = f.len == 3 && !strncasecmp(f.ptr, "aci", 3);
    p->format = aci ? BLOB_ACI : BLOB_DOCKER;
    return docker || aci;
}

static int place(struct posting *p, const struct layer_index *content, struct err *e)
{
    struct api *a = p->call->api;
    CLEANUP(arena_freep) struct arena *arena = arena_new(2 * LAYER_MEMORY_MAX);
    p->step = STEP_LOOK; /* a database that is away says nothing against the layer */
    struct store *s = arena ? stores_take(a->stores, e) : NULL;
    if (!s)
        return arena ? -1 : err_set(e, ERR_OOM, "arena");
    p->step = STEP_PLACE;
    int64_t began = clock_ns();
    int result = index_named(s, p->layer.name, p->parent, content, V1_ENGINE, arena, e);
    v1_asked(p->call, "InsertLayer", began);
    if (result < 0 && arena_failed(arena))
        layer_memory_error(e);
    stores_give(a->stores, s);
    return result;
}

static int read_and_place(struct posting *p, struct source *source, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(LAYER_MEMORY_MAX);
    struct layer_index *content;
    p->step = STEP_READ;
    if (!arena)
        return err_set(e, ERR_OOM, "arena");
    if (index_blob(p->call->api->options.cage, &source->input, p->format, p->layer.name, arena, &content, e) <
        0)
        return -1;
    return place(p, content, e) < 0 ? -1 : 0;
}

/* 0; 1: refused with an answer already given; -1. */
static int open_and_read(struct posting *p, struct err *e)
{
    struct posts *posts = p->call->api->posts;
    CLEANUP(source_done) struct source source = { .fd = -1 };
    p->step = STEP_SOURCE;
    if (source_open(p->call->options, p->call->request, &p->layer, &source, e) < 0)
        return -1;
    if (!find_format(p)) { /* only now: as the old server did (golden-v1/11, 12) */
        v1_error(p->call, 400,
                 arena_printf(p->call->request->arena, "unsupported image format '" STR_FMT "'",
                              STR_ARG(p->layer.format)));
        return 1;
    }
    gate_enter(&posts->work);
    atomic_fetch_add(&posts->running, 1);
    int result = read_and_place(p, &source, e);
    atomic_fetch_sub(&posts->running, 1);
    gate_leave(&posts->work);
    return result;
}

/* The same. */
static int work(struct posting *p, struct err *e)
{
    struct posts *posts = p->call->api->posts;
    int result = 1;
    if (atomic_fetch_add(&posts->admitted, 1) < ADMITTED_MAX) {
        gate_enter(&posts->sources);
        int64_t began = clock_ns();
        result = open_and_read(p, e);
        if (result == 0)
            metrics_observe(p->call->options->metrics, METRIC_LAYER_SECONDS,
                            (double)(clock_ns() - began) / 1e9, STR(""), STR(""));
        gate_leave(&posts->sources);
    } else {
        refuse(p->call);
    }
    atomic_fetch_sub(&posts->admitted, 1);
    return result;
}

static void created(struct posting *p)
{
    v1_layer_write(&p->layer, V1_ENGINE, &p->call->response->body);
    v1_headers(p->call, 201);
}

static void process(struct posting *p)
{
    struct err e = { 0 };
    bool stored;
    int result = look(p, &stored, &e);
    if (result == 0 && !stored)
        result = work(p, &e);
    if (result < 0)
        fail(p, &e);
    else if (result == 0)
        created(p);
}

/* The answer of a failure, for those who wait with the same request. */
static void keep_answer(const struct posting *p, struct flight *mine)
{
    str body = buf_view(&p->call->response->body);
    if (p->call->response->status == 201)
        return;
    mine->status = p->call->response->status;
    mine->answer = arena_dup(p->call->request->arena, body);
}

static void post(struct posting *p)
{
    struct call *c = p->call;
    struct flights *flights = c->api->posts->flights;
    struct flight mine = { .name = p->layer.name,
                           .body = c->request->body,
                           .here = source_is_here(c->request) };
    unsigned status = 0;
    enum boarding boarding;
    do /* it is stored now, or another request failed: look for ourselves */
        boarding = flight_begin(flights, &mine, &status, &c->response->body);
    while (boarding == FLIGHT_LANDED && !status);
    if (boarding == FLIGHT_LANDED) {
        v1_headers(c, status);
        if (status == BUSY)
            come_again(c);
        return;
    }
    if (boarding == FLIGHT_FULL) {
        refuse(c);
        return;
    }
    process(p);
    keep_answer(p, &mine);
    flight_end(flights, &mine);
}

void v1_post_layer(struct call *c)
{
    struct posting p = { .call = c };
    struct err e = { 0 };
    if (v1_layer_read(c->request, &p.layer, &e) < 0)
        v1_error(c, 400, str_from(e.text));
    else if (!p.layer.name.len)
        v1_error(c, 400, STR("could not process a layer which does not have a name"));
    else if (!p.layer.path.len)
        v1_error(c, 400, STR("could not process a layer which does not have a path"));
    else if (!p.layer.format.len)
        v1_error(c, 400, STR("could not process a layer which does not have a format"));
    else if (p.layer.name.len > V1_NAME_MAX)
        v1_error(c, 400, STR("the name of a layer has at most 1024 bytes"));
    else
        post(&p);
}
