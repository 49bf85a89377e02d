/* v3_post.c - PostAncestry: the layers of an image are fetched, those that are not known, and stored together under its name (spec/api-v3.md 4). */
#include "api/v3_fetch.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/sha256.h"
#include "index/ancestry.h"
#include "index/index.h"
#include "index/layer.h"

#define TRIES_MAX 3 /* while what was known is tidied away */
struct posting {
    struct call *call;
    const Coreos__Clair__PostAncestryRequest *request;
    struct ancestry ancestry;
    enum blob_format format;
    struct fetch fetch;
};

/* ---- which failure is which answer (law 9) ---- */

#define REASON(text) "clair error reason: '" text "'"
#define DOWNLOAD     REASON("failed to download layer blob.")
#define EXTRACT      REASON("failed to extract files from layer blob.")
#define DATABASE     REASON("failed to query the database.")

static const struct {
    enum fetch_step step;
    enum err_kind kind; /* ERR_NONE: any other */
    enum grpc_code code;
    const char *message; /* NULL: the error's own */
} answers[] = {
    { FETCH_SOURCE, ERR_FORMAT, GRPC_INTERNAL, EXTRACT }, /* a folder */
    { FETCH_SOURCE, ERR_NONE, GRPC_INTERNAL, DOWNLOAD },
    { FETCH_READ, ERR_DIGEST, GRPC_INVALID_ARGUMENT, NULL }, /* no old text says that: ours */
    { FETCH_READ, ERR_NONE, GRPC_INTERNAL, EXTRACT },
    { FETCH_STORE, ERR_NONE, GRPC_UNKNOWN, NULL },
    { FETCH_PLACE, ERR_LIMIT, GRPC_INTERNAL, EXTRACT },
    { FETCH_PLACE, ERR_NONE, GRPC_INTERNAL, DATABASE },
    { FETCH_LOOK, ERR_NONE, GRPC_INTERNAL, DATABASE },
};

static void tell(const struct posting *p, struct v3_reply *ret)
{
    const struct fetch_failure *f = &p->fetch.failure;
    struct arena *arena = p->call->request->arena;
    bool layer = f->layer < p->request->n_layers;
    const PostLayer *l = layer ? p->request->layers[f->layer] : NULL;
    size_t i = 0;
    while (answers[i].step != f->step || (answers[i].kind && answers[i].kind != f->err.kind))
        i++;
    log_warning("could not process ancestry", LOG_TEXT("error", str_from(f->err.text)),
                LOG_TEXT("ancestry", p->ancestry.name), LOG_TEXT("layer", str_from(l ? l->hash : "")),
                LOG_TEXT("path", l ? posted_shown(str_from(l->path), arena) : STR("")),
                LOG_REQUEST(p->call->request));
    str own = arena_dup(arena, str_from(f->err.text));
    v3_fail(ret, answers[i].code, answers[i].message ? str_from(answers[i].message) : own);
}

/* ---- the work ---- */

/* 1: it is there, made of the same layers by this indexer. */
static int is_stored(struct posting *p, struct err *e)
{
    struct ancestry known;
    struct store *s = posts_look(p->call, e);
    int found = s ? store_ancestry_find(s, p->ancestry.name, p->call->request->arena, &known, e) : -1;
    posts_looked(p->call, s);
    if (found <= 0)
        return found;
    if (known.indexer != indexer_version() || known.hash_count != p->ancestry.hash_count)
        return 0;
    for (size_t i = 0; i < known.hash_count; i++)
        if (!str_eq(known.hashes[i], p->ancestry.hashes[i]))
            return 0;
    return 1;
}

static int place(struct posting *p, struct err *e)
{
    struct api *a = p->call->api;
    CLEANUP(arena_freep) struct arena *arena = arena_new(2 * LAYER_MEMORY_MAX);
    str *digests = arena ? arena_array(arena, str, p->ancestry.hash_count + 1) : NULL;
    if (!digests)
        return err_set(e, ERR_OOM, "arena");
    for (size_t i = 0; i < p->ancestry.hash_count; i++)
        digests[i] = str_from(p->fetch.contents[p->fetch.places[i]].digest);
    struct store *s = stores_take(a->stores, e);
    int64_t began = clock_ns();
    int result = s ? index_ancestry(s, &p->ancestry, digests, arena, e) : -1;
    v1_asked(p->call, "InsertAncestry", began);
    if (result < 0 && arena_failed(arena))
        layer_memory_error(e);
    stores_give(a->stores, s);
    return result;
}

/* 0; -1: p->fetch.failure tells why. */
static int work(struct posting *p)
{
    struct posts *posts = p->call->api->posts;
    for (unsigned tries = 1;; tries++) {
        struct err e = { 0 };
        if (fetch_layers(&p->fetch) < 0)
            return -1;
        posts_work(posts);
        int result = place(p, &e);
        posts_worked(posts);
        if (result == 0)
            return 0;
        if (e.kind != ERR_NOT_FOUND || tries == TRIES_MAX)
            return fetch_fail(&p->fetch, FETCH_PLACE, p->request->n_layers, &e);
    }
}

/* ---- the request ---- */

/* False: the reply is there. */
static bool check_layers(const struct posting *p, struct v3_reply *ret)
{
    const char *wrong = NULL;
    for (size_t i = 0; i < p->request->n_layers && !wrong; i++) {
        const PostLayer *l = p->request->layers[i];
        if (!*l->hash)
            wrong = "ancestry layer hash should not be empty";
        else if (!*l->path)
            wrong = "ancestry layer path should not be empty";
        else if (strlen(l->hash) > V1_NAME_MAX)
            wrong = "the hash of an ancestry layer has at most 1024 bytes";
        else if (*l->hash == '\1') /* the store keeps it for itself */
            wrong = "the hash of an ancestry layer should not begin with a control character";
        else if (l->n_headers > FETCH_HEADERS_MAX)
            wrong = "an ancestry layer has at most 256 headers";
    }
    if (wrong)
        v3_fail(ret, GRPC_INVALID_ARGUMENT, str_from(wrong));
    return !wrong;
}

static void refuse(struct call *c, struct v3_reply *ret)
{
    v3_fail(ret, GRPC_UNAVAILABLE, STR("too many images are waiting to be processed"));
    posts_refused(c);
}

static void admit(struct posting *p, struct v3_reply *ret)
{
    struct posts *posts = p->call->api->posts;
    if (!posts_admit(posts))
        refuse(p->call, ret);
    else if (work(p) < 0)
        tell(p, ret);
    posts_leave(posts);
}

static void fetch_and_store(struct posting *p, struct v3_reply *ret)
{
    if (fetch_init(&p->fetch, p->call, p->request->layers, p->request->n_layers, p->format))
        admit(p, ret);
    else
        v3_fail(ret, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
    fetch_done(&p->fetch);
}

static void process(struct posting *p, struct v3_reply *ret)
{
    struct err e = { 0 };
    int stored = is_stored(p, &e);
    if (stored < 0)
        v3_failure(p->call, ret, "failed to query the database.", &e);
    else if (!stored && check_layers(p, ret))
        fetch_and_store(p, ret);
}

static void post(struct posting *p, struct v3_reply *ret)
{
    struct call *c = p->call;
    struct flights *flights = c->api->posts->flights;
    CLEANUP(buf_done) struct buf answer = { 0 };
    struct flight mine = { .kind = FLIGHT_ANCESTRY,
                           .name = p->ancestry.name,
                           .body = c->request->body,
                           .here = source_is_here(c->request) };
    unsigned status = 0;
    enum boarding boarding;
    do /* it is stored now, or another request failed: look for ourselves */
        boarding = flight_begin(flights, &mine, &status, &answer);
    while (boarding == FLIGHT_LANDED && !status);
    if (boarding == FLIGHT_LANDED) {
        v3_fail(ret, (enum grpc_code)status, arena_dup(c->request->arena, buf_view(&answer)));
        if (status == GRPC_UNAVAILABLE)
            posts_come_again(c);
        return;
    }
    if (boarding == FLIGHT_FULL) {
        refuse(c, ret);
        return;
    }
    process(p, ret);
    mine.status = ret->code;
    mine.answer = ret->why;
    flight_end(flights, &mine);
}

/* Without a name it is called by its layers: the sum of their hashes. The client is told. */
static bool name_it(struct posting *p, struct err *e)
{
    struct call *c = p->call;
    uint8_t sum[32];
    char hex[65];
    CLEANUP(buf_done) struct buf joined = { 0 };
    for (size_t i = 0; i < p->ancestry.hash_count; i++)
        buf_printf(&joined, "%s" STR_FMT, i ? "," : "", STR_ARG(p->ancestry.hashes[i]));
    if (joined.failed || sha256_of(joined.ptr ? joined.ptr : "", joined.len, sum, e) < 0)
        return false;
    hex_encode(sum, sizeof sum, hex);
    p->ancestry.name = arena_dup(c->request->arena, str_from(hex));
    log_warning("an ancestry was posted without a name: it is called by its layers",
                LOG_TEXT("ancestry", p->ancestry.name), LOG_REQUEST(c->request));
    response_header(c->response, "Clair-Ancestry-Name", p->ancestry.name);
    return p->ancestry.name.len;
}

static bool read_request(struct posting *p, struct v3_reply *ret, struct err *e)
{
    const Coreos__Clair__PostAncestryRequest *r = p->request;
    str *hashes = arena_array(p->call->request->arena, str, r->n_layers + 1);
    if (r->n_layers > ANCESTRY_LAYERS_MAX)
        v3_fail(ret, GRPC_INVALID_ARGUMENT, STR("an ancestry has at most 1024 layers"));
    else if (strlen(r->ancestry_name) > V1_NAME_MAX)
        v3_fail(ret, GRPC_INVALID_ARGUMENT, STR("the name of an ancestry has at most 1024 bytes"));
    if (ret->code)
        return false;
    for (size_t i = 0; hashes && i < r->n_layers; i++)
        hashes[i] = str_from(r->layers[i]->hash);
    p->ancestry =
        (struct ancestry){ .name = str_from(r->ancestry_name), .hashes = hashes, .hash_count = r->n_layers };
    if (!hashes || (!p->ancestry.name.len && !name_it(p, e)))
        v3_fail(ret, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
    return !ret->code;
}

void v3_post_ancestry(struct call *c, const ProtobufCMessage *request, struct v3_reply *ret)
{
    struct posting p = { .call = c, .request = (const Coreos__Clair__PostAncestryRequest *)request };
    struct err e = { 0 };
    if (!blob_format_find(str_from(p.request->format), &p.format)) {
        v3_fail(ret, GRPC_INVALID_ARGUMENT, STR("image blob format is not supported"));
        return;
    }
    Coreos__Clair__PostAncestryResponse *m = arena_alloc(c->request->arena, 1, sizeof *m);
    Coreos__Clair__ClairStatus *status = m ? v3_status(c, &e) : NULL;
    if (!status) {
        v3_fail(ret, e.kind ? GRPC_INTERNAL : GRPC_RESOURCE_EXHAUSTED,
                e.kind ? arena_dup(c->request->arena, str_from(e.text)) : STR("out of memory"));
        return;
    }
    if (read_request(&p, ret, &e))
        post(&p, ret);
    if (ret->code)
        return;
    coreos__clair__post_ancestry_response__init(m);
    m->status = status;
    ret->message = &m->base;
}
