#include "proxy/http2_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <poll.h>

#define STREAMS    128
#define WINDOW     (1 << 20) /* of a connection */
#define OUT_MAX    ((size_t)256 << 10)
#define RESETS_MAX 1000
#define REST_MS    120000
#define STUCK_MS   (20 * 60000)
#define LEAVE_LOOK 200
#define BYE_MS     1000
#define RETRY_MS   1000 /* an upstream that could not be had is tried again */

/* ---- what nghttp2 tells ---- */

static enum side side_of(const struct h2 *h, const nghttp2_session *session)
{
    return session == h->sessions[CLIENT] ? CLIENT : UPSTREAM;
}

static struct stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;
    if (side_of(h, session) != CLIENT || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct stream *s = stream_new(h, frame->hd.stream_id);
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct stream *s = stream_of(session, frame->hd.stream_id);
    (void)flags;
    if (!s)
        return 0;
    return stream_add_field(s, side_of(ctx, session), str_of(name, name_len), str_of(value, value_len)) < 0
               ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
               : 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;
    enum side side = side_of(h, session);
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_RST_STREAM && side == CLIENT && ++h->resets > RESETS_MAX)
        return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    if (frame->hd.type == NGHTTP2_GOAWAY && side == UPSTREAM)
        nghttp2_submit_goaway(h->sessions[CLIENT], NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->sessions[CLIENT]), NGHTTP2_NO_ERROR,
                              NULL, 0);
    struct stream *s = frame->hd.stream_id ? stream_of(session, frame->hd.stream_id) : NULL;
    if (!s || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && stream_head(h, s, side, last) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (last)
        stream_last(h, s, side);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
                   void *ctx)
{
    struct h2 *h = ctx;
    struct stream *s = stream_of(session, id);
    (void)flags;
    if (s)
        stream_data(h, s, side_of(h, session), str_of(bytes, n));
    else
        nghttp2_session_consume(session, id, n);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct h2 *h = ctx;
    struct stream *s = stream_of(session, id);
    if (s && !code && h->resets && side_of(h, session) == CLIENT)
        h->resets--;
    if (s)
        stream_end(h, s, side_of(h, session), code);
    return 0;
}

/* ---- sessions ---- */

static int open_session(struct h2 *h, enum side side)
{
    nghttp2_session_callbacks *calls = NULL;
    nghttp2_option *options = NULL;
    const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS },
                                                { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 32 << 10 },
                                                { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
    if (nghttp2_session_callbacks_new(&calls) || nghttp2_option_new(&options)) {
        nghttp2_session_callbacks_del(calls);
        return -1;
    }
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
    int r = side == CLIENT ? nghttp2_session_server_new2(&h->sessions[side], calls, h, options)
                           : nghttp2_session_client_new2(&h->sessions[side], calls, h, options);
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(options);
    if (!r) /* push is a client's to forbid */
        r = nghttp2_submit_settings(h->sessions[side], NGHTTP2_FLAG_NONE, settings, side == CLIENT ? 2 : 3);
    return r ? -1 : nghttp2_session_set_local_window_size(h->sessions[side], NGHTTP2_FLAG_NONE, 0, WINDOW);
}

/* ---- bytes ---- */

/* What can be read without waiting. False: that side has ended, or is not to be understood. */
static bool receive(struct h2 *h, enum side side, bool *moved)
{
    struct link *l = h->links[side];
    for (int turn = 0; turn < 16; turn++) {
        str bytes = link_bytes(l);
        if (bytes.len) {
            ssize_t n = nghttp2_session_mem_recv(h->sessions[side], (const uint8_t *)bytes.ptr, bytes.len);
            if (n < 0)
                return false;
            link_use(l, (size_t)n);
            *moved = true;
        }
        ptrdiff_t n = link_read(l);
        if (n == LINK_AGAIN)
            return true;
        if (n <= 0)
            return false;
    }
    return true;
}

static bool transmit(struct h2 *h, enum side side, bool *moved)
{
    struct buf *out = &h->out[side];
    for (;;) {
        const uint8_t *bytes;
        ssize_t n = 0;
        while (out->len - h->at[side] < OUT_MAX &&
               (n = nghttp2_session_mem_send(h->sessions[side], &bytes)) > 0)
            buf_add(out, bytes, (size_t)n);
        if (n < 0 || out->failed)
            return false;
        if (h->at[side] == out->len)
            return true;
        ptrdiff_t sent = link_write(h->links[side], str_of(out->ptr + h->at[side], out->len - h->at[side]));
        if (sent == LINK_AGAIN)
            return true;
        if (sent < 0)
            return false;
        *moved = true;
        h->at[side] += (size_t)sent;
        if (h->at[side] == out->len)
            h->at[side] = out->len = 0;
    }
}

static bool has_session(const struct h2 *h, enum side side) { return h->sessions[side] != NULL; }

static void lose_upstream(struct h2 *h)
{
    nghttp2_session_terminate_session(h->sessions[CLIENT], NGHTTP2_INTERNAL_ERROR);
    h->broken = true;
}

static bool step(struct h2 *h, bool *moved)
{
    if (!receive(h, CLIENT, moved))
        return false;
    if (has_session(h, UPSTREAM) && !h->broken &&
        (!receive(h, UPSTREAM, moved) || !transmit(h, UPSTREAM, moved)))
        lose_upstream(h);
    if (!transmit(h, CLIENT, moved))
        return false;
    bool waits = h->at[CLIENT] < h->out[CLIENT].len;
    return waits || nghttp2_session_want_read(h->sessions[CLIENT]) ||
           nghttp2_session_want_write(h->sessions[CLIENT]);
}

static short events_of(const struct h2 *h, enum side side)
{
    return (short)(POLLIN | (h->at[side] < h->out[side].len ? POLLOUT : 0));
}

/* 1 something can be done, 0 time is up. */
static int wait_for(struct h2 *h, int64_t since, bool *left)
{
    bool both = has_session(h, UPSTREAM) && !h->broken;
    int64_t end = since + (h->streams ? STUCK_MS : REST_MS);
    for (;;) {
        if (!*left && listen_is_leaving(h->o->is_leaving)) {
            *left = true;
            nghttp2_submit_goaway(h->sessions[CLIENT], NGHTTP2_FLAG_NONE,
                                  nghttp2_session_get_last_proc_stream_id(h->sessions[CLIENT]),
                                  NGHTTP2_NO_ERROR, NULL, 0);
            return 1;
        }
        int64_t now = clock_ms(), look = now + LEAVE_LOOK * 5;
        int r = link_wait(h->links[CLIENT], events_of(h, CLIENT), both ? h->links[UPSTREAM] : NULL,
                          both ? events_of(h, UPSTREAM) : 0, look < end ? look : end);
        if (r || clock_ms() >= end)
            return r;
    }
}

static void run(struct h2 *h)
{
    int64_t since = clock_ms();
    bool left = false, moved = false;
    while (step(h, &moved)) {
        if (moved)
            since = clock_ms();
        else if (wait_for(h, since, &left) <= 0)
            return;
        moved = false;
        if (left && !h->streams)
            nghttp2_session_terminate_session(h->sessions[CLIENT], NGHTTP2_NO_ERROR);
    }
}

bool http2_open_upstream(struct h2 *h)
{
    struct upstream *u = h->o->upstream;
    if (h->sessions[UPSTREAM])
        return true;
    if (clock_ms() < h->retry_ms) /* `why` stands */
        return false;
    h->why = (struct err){ 0 };
    bool speaks = upstream_speaks_http2(u, h->o->halt);
    h->links[UPSTREAM] = upstream_open(u, h->o->halt, true, NULL, &h->why);
    if (h->links[UPSTREAM] && speaks && open_session(h, UPSTREAM) == 0)
        return true;
    if (h->links[UPSTREAM])
        err_set(&h->why, ERR_UNSUPPORTED, "the upstream does not speak HTTP/2");
    nghttp2_session_del(h->sessions[UPSTREAM]);
    h->sessions[UPSTREAM] = NULL;
    link_freep(&h->links[UPSTREAM]);
    h->retry_ms = clock_ms() + RETRY_MS;
    return false;
}

void http2_run(const struct http2_options *o)
{
    struct h2 h = { .o = o, .links = { o->client, NULL } };
    if (open_session(&h, CLIENT) == 0)
        run(&h);
    while (h.streams)
        stream_free(h.streams);
    nghttp2_session_del(h.sessions[CLIENT]);
    nghttp2_session_del(h.sessions[UPSTREAM]);
    buf_done(&h.out[CLIENT]);
    buf_done(&h.out[UPSTREAM]);
    link_freep(&h.links[UPSTREAM]);
}
