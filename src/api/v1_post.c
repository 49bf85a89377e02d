/* v1_post.c - POST /v1/layers: a layer is read, put on its parent and stored under its name (spec/api-v1.md 4, detection.md 4). */
#include "api/posts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/sha256.h"
#include "index/index.h"
#include "index/layer.h"
#include "index/named.h"

#define BUSY 503

static void refuse(struct call *c)
{
    v1_error(c, BUSY, STR("too many layers are waiting to be processed"));
    posts_refused(c);
}

/* ---- the work ---- */

enum step { STEP_LOOK, STEP_PARENT, STEP_SOURCE, STEP_FORMAT, STEP_READ, STEP_PLACE };

struct posting {
    struct call *call;
    struct v1_layer layer;
    str parent;     /* the name of the one it is put on */
    enum step step; /* at which it failed */
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

static void fail(const struct posting *p, const struct err *e)
{
    const struct v1_layer *l = &p->layer;
    str path = posted_shown(l->path, p->call->request->arena);
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
    struct store *s = posts_look(p->call, e);
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
    posts_looked(p->call, s);
    return found < 0 ? -1 : 0;
}

static int place(void *ctx, const struct layer_index *content, struct err *e)
{
    struct posting *p = ctx;
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
    return result < 0 ? -1 : 0;
}

static void refuse_format(struct posting *p)
{
    str format = p->layer.format;
    v1_error(
        p->call, 400,
        arena_printf(p->call->request->arena, "unsupported image format '" STR_FMT "'", STR_ARG(format)));
}

/* 0; 1: refused with an answer already given; -1. */
static int read_layer(struct posting *p, struct err *e)
{
    struct request *r = p->call->request;
    struct posted posted = { .name = p->layer.name,
                             .place = { p->layer.path, p->layer.headers, p->layer.header_count },
                             .here = source_is_here(r) };
    posted.unknown_format = !blob_format_find(p->layer.format, &posted.format);
    enum posted_step step;
    int result = posted_read(p->call, &posted, r->arena, place, p, &step, e);
    if (result > 0)
        refuse_format(p);
    if (result < 0 && step != POSTED_TAKE)
        p->step = step == POSTED_SOURCE ? STEP_SOURCE : STEP_READ;
    return result;
}

/* The same, of a layer whose Path is the digest of a blob: what its client sent before (v1_blob.c), or anybody else. */
static int find_blob(struct posting *p, struct arena *arena, struct layer_index **ret, struct err *e)
{
    struct stores *stores = p->call->api->stores;
    enum blob_format format;
    if (!blob_format_find(p->layer.format, &format))
        return 1;
    p->step = STEP_READ;
    if (digest_valid(p->layer.name) && !str_eq(p->layer.name, p->layer.path))
        return err_set(e, ERR_DIGEST, "content is " STR_FMT ", but it is named " STR_FMT,
                       STR_ARG(p->layer.path), STR_ARG(p->layer.name));
    str digest =
        format == BLOB_ACI ? arena_printf(arena, "aci:" STR_FMT, STR_ARG(p->layer.path)) : p->layer.path;
    p->step = STEP_LOOK;
    struct store *s = stores_take(stores, e);
    if (!s)
        return -1;
    int found = store_layer_find(s, digest, indexer_version(), arena, ret, e);
    stores_give(stores, s);
    if (found)
        return found < 0 ? -1 : 0;
    p->step = STEP_SOURCE;
    return err_set(e, ERR_NOT_FOUND, "no blob of that digest is known");
}

static int read_blob(struct posting *p, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(LAYER_MEMORY_MAX);
    struct layer_index *content;
    posts_work(p->call->api->posts);
    int result = arena ? find_blob(p, arena, &content, e) : err_set(e, ERR_OOM, "arena");
    if (result == 0)
        result = place(p, content, e);
    posts_worked(p->call->api->posts);
    if (result > 0)
        refuse_format(p);
    return result;
}

/* The same. */
static int work(struct posting *p, struct err *e)
{
    struct posts *posts = p->call->api->posts;
    int result = 1;
    if (posts_admit(posts))
        result = digest_valid(p->layer.path) ? read_blob(p, e) : read_layer(p, e);
    else
        refuse(p->call);
    posts_leave(posts);
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
            posts_come_again(c);
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
