/* One request and its answer, whatever the protocol. */
#include "net/server_internal.h"

#include "base/clock.h"
#include "codec/gzip.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define ARENA_MAX    ((size_t)256 << 20)
#define SMALL_ANSWER ((size_t)64 << 10)

/* RFC 9112 3.2.2: a client may send the whole URL; path and query are what we serve. */
static str without_authority(str target)
{
    static const char *const schemes[] = { "http://", "https://" };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i]);
        if (target.len < n || strncasecmp(target.ptr, schemes[i], n))
            continue;
        str rest = str_skip(target, n);
        size_t at = 0;
        while (at < rest.len && rest.ptr[at] != '/' && rest.ptr[at] != '?')
            at++;
        return str_skip(rest, at);
    }
    return target;
}

struct exchange *exchange_new(struct server *s, const char *target, const struct conn *c)
{
    size_t n = strlen(target);
    struct exchange *x = calloc(1, sizeof *x + n + 1);
    struct arena *arena = x ? arena_new(ARENA_MAX) : NULL;
    if (!arena) {
        free(x);
        return NULL;
    }
    memcpy(x->target, target, n + 1);
    str rest = without_authority(str_of(x->target, n));
    x->r.target = rest.len ? rest : STR("/");
    rest = x->r.target;
    x->r.path = str_cut(&rest, '?');
    x->r.query = rest;
    x->r.arena = arena;
    x->r.loopback = c->loopback;
    snprintf(x->r.peer, sizeof x->r.peer, "%s", c->peer);
    x->body.max = x->r.body_max = s->o.body_max;
    x->s = s;
    x->refs = 1;
    return x;
}

char *exchange_headers(struct exchange *x, size_t count, size_t bytes)
{
    x->headers = malloc(count * sizeof *x->headers + bytes + 1);
    return x->headers ? (char *)(x->headers + count) : NULL;
}

struct exchange *exchange_hold(struct exchange *x)
{
    __atomic_add_fetch(&x->refs, 1, __ATOMIC_RELAXED);
    return x;
}

static void drop_body(struct exchange *x)
{
    __atomic_sub_fetch(&x->s->body_bytes, x->body.len, __ATOMIC_RELAXED);
    buf_done(&x->body);
}

bool exchange_receive(struct exchange *x, str bytes)
{
    size_t room = x->starved || x->body.len > x->body.max ? 0 : x->body.max - x->body.len;
    str kept = str_head(bytes, room);
    if (kept.len < bytes.len) {
        x->r.body_cut = true;
        x->dropped += bytes.len - kept.len;
    }
    size_t before = x->body.len;
    buf_str(&x->body, kept);
    size_t all = __atomic_add_fetch(&x->s->body_bytes, x->body.len - before, __ATOMIC_RELAXED);
    if (x->body.failed || all / BODIES_MAX >= x->s->o.body_max) {
        x->starved = true;
        drop_body(x);
    }
    return x->dropped <= BODY_DROP_MAX;
}

/* ---- from its head to its answer ---- */

/* 0: never. */
static int64_t late_after(const struct exchange *x, int64_t timeout_ms)
{
    return timeout_ms ? x->r.began_ns / 1000000 + timeout_ms : INT64_MAX;
}

void exchange_begin(struct exchange *x)
{
    struct server *s = x->s;
    x->r.began_ns = clock_ns();
    x->routed = true;
    x->service = s->h.route(s->h.ctx, &x->r);
    x->body.max = x->r.body_max;
    /* What lives until somebody ends it (server_live.c) has no time but its client's. */
    int64_t all = x->service == SERVE_UPLOAD                                ? 0
                  : x->service == SERVE_STREAM && x->stream && s->h.message ? 0
                                                                            : s->o.timeout_ms;
    x->late_ms = late_after(x, all);
    int64_t own = late_after(x, x->r.timeout_ms);
    x->late_ms = own < x->late_ms ? own : x->late_ms;
    if (x->service == SERVE_UPLOAD)
        upload_begin(x);
}

void exchange_complete(struct exchange *x)
{
    pthread_mutex_lock(&x->s->lock);
    x->s->active++;
    x->active = true;
    pthread_mutex_unlock(&x->s->lock);
}

void exchange_over(struct exchange *x)
{
    if (!x)
        return;
    struct server *s = x->s;
    pthread_mutex_lock(&s->lock);
    if (x->fate != FATE_LATE) /* then its work goes on */
        x->fate = FATE_CLOSED;
    upload_wake(x);
    if (x->active && --s->active == 0)
        pthread_cond_broadcast(&s->quiet);
    x->active = false;
    pthread_mutex_unlock(&s->lock);
    exchange_told(x, x->upload && x->upload->told ? x->response.status : 0);
    exchange_drop(x);
}

static struct response *late(struct exchange *x, struct response *r)
{
    if (x->s->h.timed_out)
        x->s->h.timed_out(x->s->h.ctx, &x->r, r);
    else
        r->status = 503;
    response_finish(r);
    return r;
}

static struct response *busy(struct response *r)
{
    r->status = 503;
    response_header(r, "Content-Type", STR("text/plain; charset=utf-8"));
    response_header(r, "Retry-After", STR("1"));
    buf_str(&r->body, STR("busy\n"));
    response_finish(r);
    return r;
}

struct response *exchange_serve(struct exchange *x, struct response *other)
{
    struct server *s = x->s;
    if (x->upload)
        return upload_serve(x);
    x->r.body = buf_view(&x->body);
    if (x->starved)
        return busy(other);
    if (x->late_ms <= clock_ms())
        return late(x, other);
    if (x->service == SERVE_NOW || x->service == SERVE_STREAM) {
        exchange_run(x);
        return &x->response;
    }
    pthread_mutex_lock(&s->lock);
    bool closing = s->closing;
    bool taken = !closing && pool_add(x->service == SERVE_READ ? &s->read_pool : &s->long_pool, x);
    if (taken) {
        x->fate = FATE_WAITING;
        if (x->connection)
            http1_suspend(x);
    }
    pthread_mutex_unlock(&s->lock);
    return taken || closing ? NULL : busy(other);
}

struct response *exchange_go_on(struct exchange *x, struct response *other)
{
    pthread_mutex_lock(&x->s->lock);
    enum fate fate = x->fate;
    pthread_mutex_unlock(&x->s->lock);
    return fate == FATE_DONE ? &x->response : fate == FATE_LATE ? late(x, other) : NULL;
}

void exchange_resume(struct exchange *x)
{
    if (x->connection)
        http1_resume(x);
    else
        http2_resume(x);
}

bool exchange_late(struct exchange *x, int64_t now)
{
    if (x->fate != FATE_WAITING || x->late_ms > now)
        return false;
    x->fate = FATE_LATE;
    return true;
}

int64_t send_limit(const struct server *s, size_t bytes)
{
    return clock_ms() + s->o.idle_ms + (int64_t)bytes * 1000 / s->o.send_rate;
}

/* False: too much waits for clients already. One answer alone is never too much. */
static bool hold_answer(struct exchange *x)
{
    size_t n = x->response.body.len;
    if (n <= SMALL_ANSWER)
        return true;
    x->held = n;
    size_t all = __atomic_add_fetch(&x->s->answer_bytes, n, __ATOMIC_RELAXED);
    return all == n || all <= x->s->o.answers_max;
}

static void release_answer(struct exchange *x)
{
    __atomic_sub_fetch(&x->s->answer_bytes, x->held, __ATOMIC_RELAXED);
    x->held = 0;
}

void exchange_run(struct exchange *x)
{
    x->s->h.handle(x->s->h.ctx, &x->r, &x->response);
    response_finish(&x->response);
    if (hold_answer(x))
        return;
    release_answer(x);
    response_done(&x->response);
    x->response = (struct response){ 0 };
    busy(&x->response);
}

void exchange_drop(struct exchange *x)
{
    if (!x || __atomic_sub_fetch(&x->refs, 1, __ATOMIC_ACQ_REL))
        return;
    drop_body(x);
    upload_freep(&x->upload);
    release_answer(x);
    arena_freep(&x->r.arena);
    response_done(&x->response);
    free(x->headers);
    free(x);
}

void exchange_told(struct exchange *x, unsigned status)
{
    if (!x->routed || __atomic_exchange_n(&x->answered, true, __ATOMIC_RELAXED))
        return;
    if (x->s->h.answered)
        x->s->h.answered(x->s->h.ctx, &x->r, status, clock_ns() - x->r.began_ns);
}

str request_header(const struct request *r, const char *name)
{
    const struct exchange *x = (const struct exchange *)r;
    size_t n = strlen(name);
    for (size_t i = 0; i < x->header_count; i++)
        if (x->headers[i].name.len == n && !strncasecmp(x->headers[i].name.ptr, name, n))
            return x->headers[i].value;
    return (str){ 0 };
}

void response_header(struct response *r, const char *name, str value)
{
    if (r->header_count == RESPONSE_HEADERS)
        return;
    r->headers[r->header_count].name = name;
    r->headers[r->header_count++].value = value;
}

void response_trailer(struct response *r, const char *name, str value)
{
    if (r->trailer_count == RESPONSE_TRAILERS)
        return;
    r->trailers[r->trailer_count].name = name;
    r->trailers[r->trailer_count++].value = value;
}

void response_done(struct response *r) { buf_done(&r->body); }

void response_finish(struct response *r)
{
    if (r->gzip && !r->body.failed) {
        struct buf packed = { 0 };
        gzip_pack(buf_view(&r->body), &packed);
        buf_done(&r->body);
        r->body = packed;
        response_header(r, "Content-Encoding", STR("gzip"));
    }
    if (r->body.failed) { /* half an answer is none */
        r->status = 500;
        r->header_count = r->trailer_count = 0;
        buf_done(&r->body);
    }
    if (r->status < 200 || r->status > 599)
        r->status = 500;
}
