/* webhook.c - a POST to the endpoint, as Clair's (spec/server.md 10, spec/golden-v1/58). */
#include "notify/sender.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "jwt/token.h"
#include "net/http.h"

#define ANSWER_MAX (64u << 10) /* that is read, for the connection's sake */
#define TOKEN_S    300         /* that a JWT is good */
#define HEADER_MAX 8192

struct webhook {
    const struct notify_webhook *to;
    struct jwt_key *key;    /* NULL: a secret, or none */
    struct http_pool *pool; /* its connection stays open from one to the next */
};

static bool configured(const struct notify_options *o) { return o->webhook.endpoint != NULL; }

static void webhook_free(void *self)
{
    struct webhook *w = self;
    if (w) {
        http_pool_freep(&w->pool);
        jwt_key_freep(&w->key);
    }
    free(w);
}

static void *webhook_new(const struct notify_options *o, struct err *e)
{
    struct webhook *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    w->to = &o->webhook;
    if ((w->pool = http_pool_new(e)) &&
        (!w->to->jwt_key.len || (w->key = jwt_key_read_private(w->to->jwt_key, STR(""), e))))
        return w;
    webhook_free(w);
    return NULL;
}

static int add_jwt(const struct webhook *hook, str name, struct buf *out, struct err *e)
{
    CLEANUP(buf_done) struct buf claims = { 0 };
    struct json_writer w = { .out = &claims };
    const struct notify_webhook *to = hook->to;
    str kid = str_from(to->jwt_key_id);
    int64_t now = clock_now();
    json_w_object(&w);
    json_w_text(&w, "iss", str_from(to->jwt_issuer ? to->jwt_issuer : "clair"));
    json_w_text(&w, "aud", str_from(to->endpoint));
    json_w_number(&w, "iat", now);
    json_w_number(&w, "exp", now + TOKEN_S);
    json_w_text(&w, "jti", name);
    json_w_object_end(&w);
    buf_str(out, STR("Authorization: Bearer "));
    if ((hook->key ? jwt_sign(hook->key, 0, kid, buf_view(&claims), out, e)
                   : jwt_sign_secret(to->jwt_secret, kid, buf_view(&claims), out, e)) < 0)
        return -1;
    buf_char(out, '\0');
    return claims.failed || out->failed ? err_set(e, ERR_LIMIT, "notifier.http.jwt: a token that is too long")
                                        : 0;
}

static int read_away(struct http *h, struct err *e)
{
    str chunk;
    int r;
    for (size_t n = 0; (r = http_read(h, &chunk, e)) > 0;)
        if ((n += chunk.len) > ANSWER_MAX)
            return 0; /* the connection goes */
    return r;
}

/* The status tells; what stands behind it is of no interest, but must come in time. */
static int ask(struct webhook *w, const char *const own[], const char *const shared[], str body,
               struct err *e)
{
    const struct notify_webhook *to = w->to;
    const struct http_options options = { .body = body,
                                          .ca = to->tls.ca,
                                          .cert = to->tls.cert,
                                          .key = to->tls.key,
                                          .proxy = to->proxy ? to->proxy : "",
                                          .servername = to->servername,
                                          .shared = shared,
                                          .max_redirects = 10 };
    const struct http_limits limits = { NOTIFY_SEND_MS, NOTIFY_SEND_MS, NOTIFY_SEND_MS };
    CLEANUP(http_freep) struct http *h = http_open(w->pool, to->endpoint, own, &options, &limits, e);
    if (!h)
        return -1;
    unsigned status = http_head(h)->status;
    if (read_away(h, e) < 0)
        return -1;
    return status == 200 || status == 201 ? 0
                                          : err_set(e, ERR_FORMAT, "got status %u, expected 200/201", status);
}

static int webhook_send(void *self, str name, struct err *e)
{
    struct webhook *w = self;
    char body[NOTIFY_BODY], key[NOTIFY_BODY], signature[128], mac[65];
    CLEANUP(buf_done) struct buf token = { .max = HEADER_MAX }, proxied = { .max = HEADER_MAX };
    size_t n = sender_body(name, body), shared_count = 2;
    const char *own[3] = { NULL }, *shared[4] = { "Content-Type: application/json", key, NULL, NULL };
    snprintf(key, sizeof key, "Idempotency-Key: " STR_FMT, STR_ARG(name));
    if (w->to->hmac.len) {
        uint8_t raw[SHA256_BYTES];
        if (hmac_sha256(w->to->hmac, str_of(body, n), raw, e) < 0)
            return -1;
        hex_encode(raw, sizeof raw, mac);
        snprintf(signature, sizeof signature, "Clair-Signature: sha256=%s", mac);
        shared[shared_count] = signature;
    }
    if (w->to->jwt_secret.len || w->to->jwt_key.len) {
        if (add_jwt(w, name, &token, e) < 0)
            return -1;
        own[0] = token.ptr;
    }
    if (w->to->sign) {
        if (w->to->sign(w->to->sign_ctx, w->to->endpoint, &proxied, e) < 0)
            return -1;
        own[own[0] ? 1 : 0] = proxied.ptr;
    }
    int64_t began = clock_ms();
    if (ask(w, own, shared, str_of(body, n), e) == 0)
        return 0;
    if (e->kind == ERR_NETWORK && clock_ms() - began >= NOTIFY_SEND_MS - 100)
        e->kind = ERR_BUSY;
    return -1;
}

const struct sender_kind sender_webhook = {
    .name = "webhook",
    .threads = 4,
    .configured = configured,
    .new = webhook_new,
    .send = webhook_send,
    .free = webhook_free,
};
