/* v3_post.c - PostAncestry: the layers of an image are fetched, those that are not known, and stored together under its name (spec/api-v3.md 4). */
#include "api/v3.h"

#include "api/posts.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/sha256.h"
#include "index/ancestry.h"
#include "index/index.h"
#include "index/layer.h"

#include <stdlib.h>

#define TRIES_MAX     3  /* while what was known is tidied away */
#define FETCHERS_MAX  16 /* threads of one post */
#define HEADERS_MAX   256
#define THREAD_MEMORY ((size_t)16 << 20) /* for one layer's path and headers */
#define DIGEST_MAX    80                 /* "aci:sha256:" and 64 digits */

typedef Coreos__Clair__PostAncestryRequest__PostLayer PostLayer;

enum step { STEP_LOOK = POSTED_TAKE + 1, STEP_PLACE };

struct failure {
    unsigned step; /* enum posted_step or enum step */
    size_t layer;  /* of the request; its number when it is of none */
    struct err err;
};

struct content { /* of one hash, however often it is there */
    const PostLayer *layer;
    size_t number; /* in the request: its first place */
    str key;       /* the hash, as the store knows it: the same bytes read as ACI are something else */
    char digest[DIGEST_MAX]; /* what it stands for; empty: not known yet */
};

struct posting {
    struct call *call;
    const Coreos__Clair__PostAncestryRequest *request;
    struct ancestry ancestry;
    enum blob_format format;
    struct content *contents;
    size_t content_count;
    size_t *places; /* of each layer, in contents */

    pthread_mutex_t lock; /* guards what follows */
    size_t next;
    bool failed;
    struct failure failure;
    atomic_bool stop;
};

/* ---- which failure is which answer (law 9) ---- */

#define REASON(text) "clair error reason: '" text "'"
#define DOWNLOAD     REASON("failed to download layer blob.")
#define EXTRACT      REASON("failed to extract files from layer blob.")
#define DATABASE     REASON("failed to query the database.")

static const struct {
    unsigned step;
    enum err_kind kind; /* ERR_NONE: any other */
    enum grpc_code code;
    const char *message; /* NULL: the error's own */
} answers[] = {
    { POSTED_SOURCE, ERR_FORMAT, GRPC_INTERNAL, EXTRACT }, /* a folder */
    { POSTED_SOURCE, ERR_NONE, GRPC_INTERNAL, DOWNLOAD },
    { POSTED_READ, ERR_DIGEST, GRPC_INVALID_ARGUMENT, NULL }, /* no old text says that: ours */
    { POSTED_READ, ERR_NONE, GRPC_INTERNAL, EXTRACT },
    { POSTED_TAKE, ERR_NONE, GRPC_UNKNOWN, NULL },
    { STEP_PLACE, ERR_LIMIT, GRPC_INTERNAL, EXTRACT },
    { STEP_PLACE, ERR_NONE, GRPC_INTERNAL, DATABASE },
    { STEP_LOOK, ERR_NONE, GRPC_INTERNAL, DATABASE },
};

static void tell(const struct posting *p, struct v3_reply *ret)
{
    const struct failure *f = &p->failure;
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

static int fail(struct posting *p, unsigned step, size_t layer, const struct err *e)
{
    pthread_mutex_lock(&p->lock);
    bool ours = e->kind == ERR_BUSY && atomic_load(&p->stop); /* given up because of another one */
    if (!p->failed && !ours) {
        p->failed = true;
        p->failure = (struct failure){ step, layer, *e };
    }
    atomic_store(&p->stop, true);
    pthread_mutex_unlock(&p->lock);
    return -1;
}

/* ---- what is known ---- */

static int find_content(struct posting *p, struct store *s, struct content *content, struct arena *arena,
                        struct err *e)
{
    str digest = content->key;
    bool named = digest_valid(str_from(content->layer->hash));
    int found =
        named ? store_layer_known(s, digest, indexer_version(), e) /* what is verified nobody else names */
              : store_hash_find(s, content->key, indexer_version(), arena, &digest, e);
    if (found > 0 && digest.len < DIGEST_MAX)
        snprintf(content->digest, DIGEST_MAX, STR_FMT, STR_ARG(digest));
    return found;
}

static int look_for(struct posting *p, struct content *content, struct arena *arena, struct err *e)
{
    struct store *s = posts_look(p->call, e);
    int found = s ? find_content(p, s, content, arena, e) : -1;
    posts_looked(p->call, s);
    return found;
}

static int look_for_all(struct posting *p, struct err *e)
{
    struct store *s = posts_look(p->call, e);
    int found = s ? 0 : -1;
    for (size_t i = 0; found >= 0 && i < p->content_count; i++) {
        *p->contents[i].digest = '\0';
        found = find_content(p, s, &p->contents[i], p->call->request->arena, e);
    }
    posts_looked(p->call, s);
    return found < 0 ? -1 : 0;
}

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

/* ---- a layer ---- */

struct fetching {
    struct posting *posting;
    struct content *content;
};

static int take(void *ctx, const struct layer_index *layer, struct err *e)
{
    const struct fetching *f = ctx;
    struct api *a = f->posting->call->api;
    struct store *s = stores_take(a->stores, e);
    int64_t began = clock_ns();
    int result = s ? store_layer_put(s, layer, indexer_version(), e) : -1;
    if (result == 0 && !str_eq(layer->digest, f->content->key))
        result = store_hash_put(s, f->content->key, layer->digest, indexer_version(), e);
    v1_asked(f->posting->call, "InsertLayer", began);
    stores_give(a->stores, s);
    return result < 0 ? -1 : 0;
}

/* Of a header that comes twice the last one counts, as in any map of protobuf. */
static bool comes_again(const PostLayer *l, size_t i)
{
    for (size_t k = i + 1; k < l->n_headers; k++)
        if (!strcmp(l->headers[i]->key, l->headers[k]->key))
            return true;
    return false;
}

static int place_of(const PostLayer *l, struct arena *arena, struct source_place *ret, struct err *e)
{
    struct v1_header *headers = arena_array(arena, struct v1_header, l->n_headers + 1);
    if (!headers)
        return err_set(e, ERR_OOM, "headers");
    *ret = (struct source_place){ .path = str_from(l->path), .headers = headers };
    for (size_t i = 0; i < l->n_headers; i++)
        if (!comes_again(l, i))
            headers[ret->header_count++] =
                (struct v1_header){ str_from(l->headers[i]->key), str_from(l->headers[i]->value) };
    return 0;
}

/* What would be fetched, for others who want the same. */
static str describe(const struct source_place *place, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    buf_add(&out, place->path.ptr, place->path.len + 1); /* with the NUL behind it, as all of these */
    for (size_t i = 0; i < place->header_count; i++) {
        buf_add(&out, place->headers[i].key.ptr, place->headers[i].key.len + 1);
        buf_add(&out, place->headers[i].value.ptr, place->headers[i].value.len + 1);
    }
    return out.failed ? STR("") : arena_dup(arena, buf_view(&out));
}

static int fetch_now(struct posting *p, struct content *content, const struct source_place *place, bool here,
                     struct arena *arena, unsigned *ret_step, struct err *e)
{
    *ret_step = STEP_LOOK;
    int found = look_for(p, content, arena, e);
    if (found)
        return found < 0 ? -1 : 0;
    const struct posted posted = { .name = str_from(content->layer->hash),
                                   .place = *place,
                                   .format = p->format,
                                   .here = here,
                                   .stop = &p->stop };
    struct fetching fetching = { p, content };
    enum posted_step step;
    int result = posted_read(p->call, &posted, arena, take, &fetching, &step, e);
    *ret_step = step;
    if (result < 0)
        return -1;
    *ret_step = STEP_LOOK;
    found = look_for(p, content, arena, e); /* of a hash that came meanwhile the first content stays */
    return found > 0 ? 0 : found < 0 ? -1 : err_set(e, ERR_INTERNAL, "a layer vanished from the store");
}

/* A failure as one number, for a flight. */
static unsigned pack(unsigned step, enum err_kind kind) { return 1 + step * ERR_KINDS + (unsigned)kind; }

static int landed(unsigned status, const struct buf *answer, unsigned *ret_step, struct err *e)
{
    *ret_step = (status - 1) / ERR_KINDS;
    return err_set(e, (enum err_kind)((status - 1) % ERR_KINDS), STR_FMT, STR_ARG(buf_view(answer)));
}

/* Posts that want the same hash at once fetch it once. */
static int fetch(struct posting *p, struct content *content, struct arena *arena, unsigned *ret_step,
                 struct err *e)
{
    struct flights *flights = p->call->api->posts->flights;
    CLEANUP(buf_done) struct buf answer = { 0 };
    struct source_place place;
    *ret_step = POSTED_SOURCE;
    if (place_of(content->layer, arena, &place, e) < 0)
        return -1;
    struct flight mine = { .kind = FLIGHT_HASH,
                           .name = content->key,
                           .body = describe(&place, arena),
                           .here = source_is_here(p->call->request) };
    unsigned status = 0;
    enum boarding boarding;
    if (!mine.body.len)
        return err_set(e, ERR_OOM, "a layer's path and headers");
    do /* it is stored now, or another one of that hash failed: look for ourselves */
        boarding = flight_begin(flights, &mine, &status, &answer);
    while (boarding == FLIGHT_LANDED && !status);
    if (boarding != FLIGHT_MINE)
        return landed(status, &answer, ret_step, e);
    int result = fetch_now(p, content, &place, mine.here, arena, ret_step, e);
    if (result < 0 && e->kind != ERR_BUSY) {
        mine.answer = str_from(e->text);
        mine.status = pack(*ret_step, e->kind);
    }
    flight_end(flights, &mine);
    return result;
}

/* ---- all layers ---- */

static struct content *next_unknown(struct posting *p)
{
    struct content *c = NULL;
    pthread_mutex_lock(&p->lock);
    while (!c && p->next < p->content_count)
        if (!*p->contents[p->next++].digest)
            c = &p->contents[p->next - 1];
    pthread_mutex_unlock(&p->lock);
    return c;
}

static void *fetch_some(void *ctx)
{
    struct posting *p = ctx;
    for (struct content *c; !atomic_load(&p->stop) && (c = next_unknown(p));) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(THREAD_MEMORY);
        struct err e = { 0 };
        unsigned step = POSTED_SOURCE;
        int result = arena ? fetch(p, c, arena, &step, &e) : err_set(&e, ERR_OOM, "arena");
        if (result < 0)
            fail(p, step, c->number, &e);
    }
    return NULL;
}

/* This thread and as many helpers as there may be. */
static int fetch_all(struct posting *p)
{
    pthread_t helpers[FETCHERS_MAX - 1];
    size_t n = 0, unknown = 0;
    struct posts *posts = p->call->api->posts;
    for (size_t i = 0; i < p->content_count; i++)
        unknown += !*p->contents[i].digest;
    p->next = 0;
    for (; n + 1 < unknown && n < FETCHERS_MAX - 1 && posts_helper(posts); n++)
        if (pthread_create(&helpers[n], NULL, fetch_some, p)) {
            posts_helper_end(posts);
            break;
        }
    fetch_some(p);
    for (size_t i = 0; i < n; i++) {
        pthread_join(helpers[i], NULL);
        posts_helper_end(posts);
    }
    return p->failed ? -1 : 0;
}

static int place(struct posting *p, struct err *e)
{
    struct api *a = p->call->api;
    CLEANUP(arena_freep) struct arena *arena = arena_new(2 * LAYER_MEMORY_MAX);
    str *digests = arena ? arena_array(arena, str, p->ancestry.hash_count + 1) : NULL;
    if (!digests)
        return err_set(e, ERR_OOM, "arena");
    for (size_t i = 0; i < p->ancestry.hash_count; i++)
        digests[i] = str_from(p->contents[p->places[i]].digest);
    struct store *s = stores_take(a->stores, e);
    int64_t began = clock_ns();
    int result = s ? index_ancestry(s, &p->ancestry, digests, arena, e) : -1;
    v1_asked(p->call, "InsertAncestry", began);
    if (result < 0 && arena_failed(arena))
        layer_memory_error(e);
    stores_give(a->stores, s);
    return result;
}

/* 0; -1: p->failure tells why. */
static int work(struct posting *p)
{
    struct err e = { 0 };
    for (unsigned tries = 1;; tries++) {
        e = (struct err){ 0 };
        if (look_for_all(p, &e) < 0)
            return fail(p, STEP_LOOK, p->request->n_layers, &e);
        if (fetch_all(p) < 0)
            return -1;
        posts_work(p->call->api->posts);
        int result = place(p, &e);
        posts_worked(p->call->api->posts);
        if (result == 0)
            return 0;
        if (e.kind != ERR_NOT_FOUND || tries == TRIES_MAX)
            return fail(p, STEP_PLACE, p->request->n_layers, &e);
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
        else if (l->n_headers > HEADERS_MAX)
            wrong = "an ancestry layer has at most 256 headers";
    }
    if (wrong)
        v3_fail(ret, GRPC_INVALID_ARGUMENT, str_from(wrong));
    return !wrong;
}

static bool list_contents(struct posting *p)
{
    struct arena *arena = p->call->request->arena;
    CLEANUP(strmap_done) struct strmap known = { 0 };
    p->contents = arena_array(arena, struct content, p->request->n_layers + 1);
    p->places = arena_array(arena, size_t, p->request->n_layers + 1);
    for (size_t i = 0; p->contents && p->places && i < p->request->n_layers; i++) {
        const PostLayer *l = p->request->layers[i];
        void **at = strmap_at(&known, p->ancestry.hashes[i]);
        if (!at)
            return false;
        if (!*at) {
            struct content *c = *at = &p->contents[p->content_count++];
            *c = (struct content){ .layer = l, .number = i, .key = p->ancestry.hashes[i] };
            if (p->format == BLOB_ACI)
                c->key = arena_printf(arena, "aci:%s", l->hash);
        }
        p->places[i] = (size_t)((struct content *)*at - p->contents);
    }
    return !arena_failed(arena);
}

static void refuse(struct call *c, struct v3_reply *ret)
{
    v3_fail(ret, GRPC_UNAVAILABLE, STR("too many images are waiting to be processed"));
    posts_refused(c);
}

static void process(struct posting *p, struct v3_reply *ret)
{
    struct posts *posts = p->call->api->posts;
    struct err e = { 0 };
    int stored = is_stored(p, &e);
    if (stored < 0)
        fail(p, STEP_LOOK, p->request->n_layers, &e);
    if (stored == 0 && (!check_layers(p, ret) || !list_contents(p))) {
        if (!ret->code)
            v3_fail(ret, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
        return;
    }
    if (stored == 0) {
        if (posts_admit(posts))
            work(p);
        else
            refuse(p->call, ret);
        posts_leave(posts);
    }
    if (p->failed)
        tell(p, ret);
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
    pthread_mutex_init(&p.lock, NULL);
    if (read_request(&p, ret, &e))
        post(&p, ret);
    pthread_mutex_destroy(&p.lock);
    if (ret->code)
        return;
    coreos__clair__post_ancestry_response__init(m);
    m->status = status;
    ret->message = &m->base;
}
