/* v1_blob.c - /v1/blobs: a client sends a layer's bytes itself, and posts the layer by their digest. Nothing is kept but the index. */
#include "api/posts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "index/index.h"
#include "index/layer.h"

/* ---- answers ---- */

static void tell(struct call *c, unsigned status, str digest)
{
    struct json_writer w = { .out = &c->response->body, .go = true };
    json_w_object(&w);
    json_w_key(&w, "Blob");
    json_w_object(&w);
    json_w_text(&w, "Digest", digest);
    json_w_object_end(&w);
    json_w_object_end(&w);
    buf_char(&c->response->body, '\n');
    v1_headers(c, status);
    if (status == 201)
        response_header(c->response, "Location",
                        arena_printf(c->request->arena, "/v1/blobs/" STR_FMT, STR_ARG(digest)));
}

static bool is_digest(struct call *c, str digest)
{
    if (digest_valid(digest))
        return true;
    v1_error(c, 400, STR("a blob is named by \"sha256:\" and 64 small hex digits"));
    return false;
}

static int is_known(struct store *s, void *ctx, struct err *e)
{
    return store_layer_known(s, *(str *)ctx, indexer_version(), e);
}

void v1_get_blob(struct call *c)
{
    struct err e = { 0 };
    str digest = c->parameters[0];
    if (!is_digest(c, digest))
        return;
    int known = v1_ask(c, is_known, &digest, &e);
    if (v1_found(c, known, &e))
        tell(c, 200, digest);
}

/* ---- a body through the cage ---- */

struct sending {
    struct call *call;
    uint64_t size;
    int64_t end_ms; /* 0: any time */
    bool too_large;
    str digest; /* of what was stored */
};

static int next_of_body(void *ctx, str *ret, struct err *e)
{
    struct sending *s = ctx;
    uint64_t max = s->call->options->fetch.size_max;
    int more = request_read(s->call->request, ret, e);
    if (more <= 0)
        return more;
    s->size += ret->len;
    s->too_large = max && s->size > max;
    if (s->too_large)
        return err_set(e, ERR_LIMIT, "more than %llu bytes (fetch.maxsize)", (unsigned long long)max);
    if (s->end_ms && clock_ms() > s->end_ms)
        return err_set(e, ERR_NETWORK, "it took longer than fetch.timeout");
    return 1;
}

static int keep(void *ctx, const struct layer_index *content, struct err *e)
{
    struct sending *s = ctx;
    struct call *c = s->call;
    struct store *store = stores_take(c->api->stores, e);
    if (!store)
        return -1;
    int64_t began = clock_ns();
    int result = store_layer_put(store, content, indexer_version(), e);
    v1_asked(c, "InsertLayer", began);
    stores_give(c->api->stores, store);
    s->digest = arena_dup(c->request->arena, content->digest);
    return result;
}

/* What a post says of the same bytes. A wrong digest is the client's own word against its own bytes. */
static unsigned status_of(enum err_kind kind)
{
    return kind == ERR_DIGEST                            ? 400
           : kind == ERR_NETWORK                         ? 408
           : kind == ERR_FORMAT || kind == ERR_LIMIT     ? 422
           : kind == ERR_OOM || kind == ERR_FILE_LIMIT   ? 422
           : kind == ERR_CAGE || kind == ERR_UNSUPPORTED ? 422
                                                         : 0;
}

static void fail(const struct sending *s, enum posted_step step, const struct err *e)
{
    struct call *c = s->call;
    unsigned status = s->too_large ? 413 : step == POSTED_READ ? status_of(e->kind) : 0;
    if (!status) {
        v1_failure(c, e);
        return;
    }
    log_warning("could not process blob", LOG_TEXT("error", str_from(e->text)),
                LOG_TEXT("digest", c->parameters[0]), LOG_REQUEST(c->request));
    v1_error(c, status, arena_printf(c->request->arena, "could not read the blob: %s", e->text));
}

static void receive(struct call *c, str digest)
{
    int64_t timeout = c->options->fetch.timeout_ms;
    struct sending s = { .call = c, .end_ms = timeout ? clock_ms() + timeout : 0 };
    const struct cage_input input = { .fd = -1, .read = next_of_body, .ctx = &s };
    struct err e = { 0 };
    enum posted_step step;
    if (posted_body(c, &input, digest, keep, &s, &step, &e) < 0)
        fail(&s, step, &e);
    else
        tell(c, 201, s.digest);
}

static void receive_in_turn(struct call *c, str digest)
{
    struct posts *posts = c->api->posts;
    if (posts_upload(posts)) {
        receive(c, digest);
    } else {
        v1_error(c, 503, STR("too many blobs are being sent"));
        posts_refused(c);
    }
    posts_uploaded(posts);
}

void v1_put_blob(struct call *c)
{
    struct err e = { 0 };
    str digest = c->parameters[0];
    if (!is_digest(c, digest))
        return;
    struct store *s = posts_look(c, &e);
    int known = s ? is_known(s, &digest, &e) : -1;
    posts_looked(c, s);
    if (known < 0)
        v1_failure(c, &e);
    else if (known)
        tell(c, 200, digest);
    else
        receive_in_turn(c, digest);
}

void v1_post_blob(struct call *c) { receive_in_turn(c, STR("")); }
