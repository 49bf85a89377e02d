/* Streams of HTTP/2 that live (SERVE_STREAM): messages in, and what is to be said to them, until one of the sides ends it. */
#include "net/server_http2.h"

#include "base/clock.h"
#include "net/grpc.h"

#define LIVE_MAX    1024               /* streams of all connections: each may hold all of what follows */
#define MESSAGE_MAX ((size_t)64 << 10) /* bytes, inflated or not */
#define MESSAGES_MAX                                                                                         \
    ((size_t)256 << 10)            /* of all of a stream: what handles them may keep something of each */
#define IN_MAX ((size_t)256 << 10) /* a message, a window of HTTP/2, and what comes in one piece */
#define OUT_ENOUGH                                                                                           \
    ((size_t)64 << 10)            /* that its client has not taken: nothing more is asked of the handler */
#define OUT_MAX ((size_t)1 << 20) /* with the answer to one message */
#define TICK_MS 1000

static size_t waiting(const struct stream *t) { return t->body.len - t->at; }

/* ---- what is said ---- */

static void resume(struct stream *t)
{
    if (t->body.failed)
        stream_reset(t, NGHTTP2_INTERNAL_ERROR);
    else
        nghttp2_session_resume_data(t->w->h2.session, t->id);
    wire_queue(t->w);
}

/* With the trailers of r, which holds what else is to be said. */
static void end(struct stream *t, struct response *r)
{
    buf_str(&t->body, buf_view(&r->body));
    for (size_t i = 0; i < r->trailer_count; i++)
        t->trailers[i] = (struct header){ str_from(r->trailers[i].name), r->trailers[i].value };
    t->trailer_count = r->trailer_count;
    t->over = true;
    t->moved_ms = clock_ms();
    t->cut_ms = send_limit(t->w->s, streams_left(t->w));
    response_done(r);
    buf_done(&t->in);
    exchange_told(t->x, 200);
    resume(t);
}

static void fail(struct stream *t, enum grpc_code code, const char *why)
{
    struct response r = { .status = 200 };
    grpc_end(&t->x->r, &r, code, str_from(why));
    end(t, &r);
}

/* What went long ago needs no room. */
static void forget_sent(struct stream *t)
{
    if (t->at < OUT_ENOUGH)
        return;
    memmove(t->body.ptr, t->body.ptr + t->at, waiting(t));
    t->body.len -= t->at;
    t->at = 0;
}

static void tell(struct stream *t, enum stream_event event, str message)
{
    const struct server_handler *h = &t->w->s->h;
    forget_sent(t);
    t->body.max = OUT_ENOUGH + OUT_MAX;
    size_t before = t->body.len;
    bool idle = !waiting(t);
    if (!h->message(h->ctx, &t->x->r, event, message, &t->body)) {
        struct response r = { 0 };
        h->handle(h->ctx, &t->x->r, &r);
        end(t, &r);
        return;
    }
    if (t->body.len == before && !t->body.failed)
        return;
    if (idle)
        t->moved_ms = clock_ms();
    resume(t);
}

/* ---- what has come ---- */

/* A whole frame. */
static void hear(struct stream *t, bool packed, str bytes)
{
    enum grpc_code code;
    const char *why;
    str message;
    if ((t->all += GRPC_PREFIX + bytes.len) > MESSAGES_MAX)
        fail(t, GRPC_RESOURCE_EXHAUSTED, "too much was asked on one stream");
    else if (grpc_unpack(&t->x->r, packed, bytes, MESSAGE_MAX, &message, &code, &why) < 0)
        fail(t, code, why);
    else if (packed && (t->all += message.len) > MESSAGES_MAX)
        fail(t, GRPC_RESOURCE_EXHAUSTED, "too much was asked on one stream");
    else
        tell(t, STREAM_MESSAGE, message);
}

/* The first frame of `rest`: its size; 0: it is not there yet, or it is none. */
static size_t next_frame(struct stream *t, str rest)
{
    size_t n = rest.len < GRPC_PREFIX ? 0 : grpc_size(rest);
    if (rest.len && (uint8_t)*rest.ptr > 1)
        fail(t, GRPC_INTERNAL, "grpc: received unexpected payload format");
    else if (n > MESSAGE_MAX)
        fail(t, GRPC_RESOURCE_EXHAUSTED, "grpc: received message larger than max (65536)");
    else if (rest.len >= GRPC_PREFIX + n)
        return GRPC_PREFIX + n;
    return 0;
}

void live_work(struct stream *t)
{
    size_t at = 0;
    while (!t->over && waiting(t) < OUT_ENOUGH) {
        str rest = str_skip(buf_view(&t->in), at);
        size_t n = next_frame(t, rest);
        if (!n)
            break;
        hear(t, *rest.ptr, str_skip(str_head(rest, n), GRPC_PREFIX));
        at += n;
    }
    t->paused = !t->over && waiting(t) >= OUT_ENOUGH;
    if (t->over)
        return;
    t->in.len -= at;
    if (t->in.len && at)
        memmove(t->in.ptr, t->in.ptr + at, t->in.len);
    if (!t->in.len)
        buf_done(&t->in);
    if (t->paused || !t->whole || t->ended)
        return;
    t->ended = true;
    if (t->in.len)
        fail(t, GRPC_INTERNAL, "grpc: the message is cut off");
    else
        tell(t, STREAM_ENDED, STR(""));
}

void live_receive(struct stream *t, str bytes)
{
    t->in.max = IN_MAX;
    if (!t->over)
        buf_str(&t->in, bytes);
    if (t->in.failed)
        return stream_reset(t, NGHTTP2_ENHANCE_YOUR_CALM);
    if (t->paused) {
        t->held += bytes.len;
        return;
    }
    nghttp2_session_consume_stream(t->w->h2.session, t->id, bytes.len);
    live_work(t);
}

/* ---- its life ---- */

void live_begin(struct stream *t)
{
    struct response r = { 0 };
    struct loop *l = &t->w->s->loop;
    const char *why = t->w->h2.leaving ? "the server stops" : l->live >= LIVE_MAX ? "too many streams" : NULL;
    if (why) {
        grpc_fail(&t->x->r, &r, t->w->h2.leaving ? GRPC_UNAVAILABLE : GRPC_RESOURCE_EXHAUSTED, str_from(why));
        stream_answer(t, &r, false);
        return;
    }
    t->live = true;
    l->live++;
    grpc_begin(&t->x->r, &r);
    stream_answer(t, &r, false);
    t->live_ms = t->ticked_ms = t->moved_ms;
}

void live_gave(struct stream *t)
{
    if (waiting(t))
        return;
    buf_done(&t->body); /* it may be silent for days */
    t->at = 0;
}

bool live_go_on(struct wire *w)
{
    bool some = false;
    for (struct stream *t = w->h2.streams; t; t = t->next) {
        if (!t->paused || t->over || waiting(t) >= OUT_ENOUGH)
            continue;
        nghttp2_session_consume_stream(w->h2.session, t->id, t->held);
        t->held = 0;
        live_work(t);
        some = true;
    }
    return some;
}

void live_tick(struct stream *t, int64_t now)
{
    if (t->over)
        return;
    if (t->x->late_ms <= now) {
        fail(t, GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
    } else if (now - t->ticked_ms >= TICK_MS && !t->paused) {
        t->ticked_ms = now;
        tell(t, STREAM_TICK, STR(""));
        t->paused = waiting(t) >= OUT_ENOUGH;
    }
}

void live_leave(struct stream *t)
{
    if (t->live && !t->over)
        fail(t, GRPC_UNAVAILABLE, "the server stops");
}

bool live_lasted(const struct stream *t) { return t->live && clock_ms() - t->live_ms >= TICK_MS; }
