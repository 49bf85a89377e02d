#include "proxy/verifying.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "proxy/forward.h"
#include "proxy/http2.h"

#define WARN_MS 1000
#define REFUSED "Content-Type: text/plain\r\n"

struct verifying {
    struct verifying_options o;
    struct verifier rules;
    struct keys_source *keys;
    struct nonces *nonces; /* its own; NULL: o.used */
    struct upstream *upstream;
    struct listen *listen;
    int64_t warned_ms; /* atomic */
    char name[128];
};

static void say(const struct verifying *v, enum proxy_level level, const char *event, const char *error)
{
    if (v->o.log.say)
        v->o.log.say(v->o.log.ctx, level, event, v->name, error);
}

static enum keys_result find_key(void *ctx, str issuer, str kid, struct jwt_key **ret, struct err *e)
{
    return keys_find(((struct verifying *)ctx)->keys, issuer, kid, ret, e);
}

static enum nonce_result take_nonce(void *ctx, str issuer, str nonce, int64_t until, struct err *e)
{
    struct verifying *v = ctx;
    CLEANUP(buf_done) struct buf whose = { 0 };
    if (v->nonces)
        return nonces_take(v->nonces, issuer, nonce, until, e);
    buf_str(&whose, v->rules.audience); /* others have their own */
    buf_char(&whose, '\0');
    buf_str(&whose, issuer);
    if (whose.failed) {
        err_set(e, ERR_OOM, "out of memory");
        return NONCE_FAILED;
    }
    return nonces_take(v->o.used, buf_view(&whose), nonce, until, e);
}

/* Once a second: who is refused may come again at once. */
static bool may_warn(struct verifying *v)
{
    int64_t now = clock_ms(), last = __atomic_load_n(&v->warned_ms, __ATOMIC_RELAXED);
    return now - last >= WARN_MS &&
           __atomic_compare_exchange_n(&v->warned_ms, &last, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static void log_verdict(struct verifying *v, const struct verdict *d)
{
    bool ours = d->status == 503 || !strcmp(d->what, "key-server");
    char text[800];
    snprintf(text, sizeof text, "%s%s%s", d->body, d->why.kind ? ": " : "", d->why.kind ? d->why.text : "");
    if (!d->good)
        say(v, ours && may_warn(v) ? PROXY_WARNING : PROXY_DEBUG, "request refused", text);
}

static void judge(struct verifying *v, str authorization, struct verdict *ret)
{
    int64_t began = clock_ns();
    verifier_judge(&v->rules, authorization, clock_now(), ret);
    log_verdict(v, ret);
    if (v->o.judged)
        v->o.judged(v->o.log.ctx, ret->what, ret->good ? 200 : ret->status, clock_ns() - began);
}

/* More than one could be read differently behind us. */
static bool one_authorization(const struct head *h, str *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < h->count; i++)
        n += head_is(h->fields[i].name, "Authorization");
    *ret = head_field(h, "Authorization");
    return n < 2;
}

static bool is_origin_form(const struct head *h)
{
    return h->target.ptr[0] == '/' || str_eq(h->target, STR("*"));
}

/* http://host/path: as if only the path had been said. */
static str target_of(const struct head *h)
{
    str rest = h->target;
    for (size_t i = 0; i + 3 < rest.len && !is_origin_form(h); i++)
        if (!memcmp(rest.ptr + i, "://", 3)) {
            rest = str_skip(rest, i + 3);
            size_t end = 0;
            while (end < rest.len && rest.ptr[end] != '/')
                end++;
            return end < rest.len ? str_skip(rest, end) : STR("/");
        }
    return is_origin_form(h) ? h->target : STR("/");
}

static bool pass(struct verifying *v, struct link *client, struct head *h)
{
    struct err e = { 0 };
    unsigned status;
    CLEANUP(buf_done) struct buf target = { .max = HEAD_MAX * 2 };
    char peer[LINK_PEER], extra[LINK_PEER + 32];
    link_peer(client, peer);
    snprintf(extra, sizeof extra, "X-Forwarded-For: %s\r\n", peer); /* who is not on the upstream's machine */
    upstream_target(v->upstream, target_of(h), &target);
    const struct forward f = { .client = client,
                               .head = h,
                               .upstream = v->upstream,
                               .target = buf_view(&target),
                               .extra = str_from(extra),
                               .halt = listen_halt(v->listen) };
    bool keep = !target.failed && forward_run(&f, &status, &e);
    if (e.kind)
        say(v, PROXY_WARNING, "request failed", e.text);
    return keep;
}

static bool serve(void *ctx, struct link *client, struct head *h)
{
    struct verifying *v = ctx;
    struct verdict d;
    str authorization;
    if (!one_authorization(h, &authorization))
        return proxy_answer_head(client, h, 400, REFUSED,
                                 STR("jwtproxy: more than one Authorization header"));
    judge(v, authorization, &d);
    return d.good ? pass(v, client, h) : proxy_answer_head(client, h, d.status, REFUSED, str_from(d.body));
}

/* ---- HTTP/2 ---- */

static bool wants_http2(void *ctx)
{
    struct verifying *v = ctx;
    return upstream_speaks_http2(v->upstream, listen_halt(v->listen));
}

static bool judge_stream(void *ctx, str authorization, unsigned *status, char *body, size_t room)
{
    struct verdict d;
    judge(ctx, authorization, &d);
    *status = d.status;
    snprintf(body, room, "%s", d.body);
    return d.good;
}

static void serve_http2(void *ctx, struct link *client)
{
    struct verifying *v = ctx;
    const struct http2_options o = { .client = client,
                                     .upstream = v->upstream,
                                     .halt = listen_halt(v->listen),
                                     .judge = judge_stream,
                                     .is_leaving = v->listen,
                                     .ctx = v };
    http2_run(&o);
}

/* ---- life ---- */

static int make(struct verifying *v, struct err *e)
{
    const struct verifying_options *o = &v->o;
    const struct upstream_options up = { .url = o->upstream, .name = v->name, .log = o->log };
    const struct listen_options l = { .name = v->name,
                                      .address = o->address,
                                      .permissions = o->permissions,
                                      .certfile = o->certfile,
                                      .keyfile = o->keyfile,
                                      .stop_ms = o->stop_ms,
                                      .log = o->log,
                                      .serve = serve,
                                      .wants_http2 = wants_http2,
                                      .http2 = serve_http2,
                                      .ctx = v };
    bool own = o->nonce_database || !o->used;
    if (!(v->upstream = upstream_new(&up, e)) || !(v->keys = keys_source_new(&o->keys, e)) ||
        (own && !(v->nonces = nonces_new(o->nonce_database, e))))
        return -1;
    return (v->listen = listen_new(&l, e)) ? 0 : -1;
}

struct verifying *verifying_new(const struct verifying_options *o, struct err *e)
{
    struct verifying *v = calloc(1, sizeof *v);
    if (!v) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    v->o = *o;
    snprintf(v->name, sizeof v->name, "verifier %.100s", o->address);
    v->rules = o->rules;
    v->rules.find_key = find_key;
    v->rules.take_nonce = take_nonce;
    v->rules.ctx = v;
    if (make(v, e) < 0)
        verifying_freep(&v);
    return v;
}

int verifying_start(struct verifying *v, struct err *e) { return listen_start(v->listen, e); }
unsigned verifying_port(const struct verifying *v) { return listen_port(v->listen); }
void verifying_freep(struct verifying **vp)
{
    struct verifying *v = *vp;
    if (!v)
        return;
    listen_freep(&v->listen);
    upstream_freep(&v->upstream);
    keys_source_freep(&v->keys);
    nonces_freep(&v->nonces);
    free(v);
    *vp = NULL;
}
