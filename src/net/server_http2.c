/* HTTP/2 by nghttp2, in TLS or in plain text. A stream is an exchange. */
#include "net/server_http2.h"

#include "base/clock.h"

#include <ctype.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STREAMS_MAX      128
#define HEADERS_MAX      (32 << 10) /* bytes, names and values */
#define FIELD_COST       32         /* RFC 9113 6.5.2: what each header counts beside its bytes */
#define ACKS_MAX         64         /* that wait to be sent */
#define SETTINGS_AT_ONCE 16
#define RESETS_MAX       100  /* streams that end badly, beyond those that end well */
#define CHATTER_MAX      1000 /* frames that carry nothing, from one tick to the next */
#define ROUNDS           8
#define OUT_ENOUGH       ((size_t)16 << 10) /* is sent before more is made */

/* ---- streams ---- */

static struct stream *stream_new(struct wire *w, int32_t id)
{
    struct stream *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->w = w;
    t->id = id;
    t->cut_ms = clock_ms() + w->s->o.receive_ms;
    t->next = w->h2.streams;
    t->self = &w->h2.streams;
    if (t->next)
        t->next->self = &t->next;
    w->h2.streams = t;
    w->cut_ms = INT64_MAX;
    return t;
}

static void stream_free(struct stream *t)
{
    struct wire *w = t->w;
    *t->self = t->next;
    if (t->next)
        t->next->self = t->self;
    if (!w->h2.streams)
        w->cut_ms = clock_ms() + w->s->o.idle_ms;
    if (t->live)
        w->s->loop.live--;
    exchange_over(t->x);
    buf_done(&t->head);
    buf_done(&t->body);
    buf_done(&t->in);
    free(t);
}

void stream_reset(struct stream *t, uint32_t code)
{
    nghttp2_submit_rst_stream(t->w->h2.session, NGHTTP2_FLAG_NONE, t->id, code);
}

/* ---- answers ---- */

#define NAME_MAX_LEN 64
#define FIELDS       (RESPONSE_HEADERS + RESPONSE_TRAILERS + 3) /* status, date, length */
struct fields {
    nghttp2_nv list[FIELDS];
    char names[FIELDS][NAME_MAX_LEN];
    size_t count;
};

static void add_field(struct fields *f, const char *name, str value)
{
    f->list[f->count++] =
        (nghttp2_nv){ (uint8_t *)name, (uint8_t *)(value.ptr ? value.ptr : ""), strlen(name), value.len, 0 };
}

/* RFC 9113 8.2: names in small letters, none that speaks of the connection, no line ends. */
static void add_header(struct fields *f, const char *name, str value)
{
    static const char *const unwanted[] = { "connection",        "keep-alive", "proxy-connection",
                                            "transfer-encoding", "upgrade",    "content-length" };
    char *copy = f->names[f->count];
    size_t n = strlen(name);
    if (n >= NAME_MAX_LEN || !nghttp2_check_header_value((const uint8_t *)value.ptr, value.len))
        return;
    for (size_t i = 0; i <= n; i++)
        copy[i] = (char)tolower((unsigned char)name[i]);
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        if (!strcmp(copy, unwanted[i]))
            return;
    add_field(f, copy, value);
}

/* Behind the last bytes. */
static void end_with_trailers(const struct stream *t, uint32_t *flags)
{
    struct fields f = { .count = 0 };
    for (size_t i = 0; i < t->trailer_count; i++)
        add_header(&f, t->trailers[i].name.ptr, t->trailers[i].value);
    if (nghttp2_submit_trailer(t->w->h2.session, t->id, f.list, f.count) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

static ssize_t give(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                    nghttp2_data_source *source, void *ctx)
{
    struct stream *t = source->ptr;
    size_t left = t->body.len - t->at, n = left < room ? left : room;
    (void)session, (void)id, (void)ctx;
    if (!left && t->live && !t->over)
        return NGHTTP2_ERR_DEFERRED;
    if (n)
        memcpy(to, t->body.ptr + t->at, n);
    t->at += n;
    t->moved_ms = clock_ms();
    if (t->live)
        live_gave(t);
    if (n == left && (!t->live || t->over)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (t->trailer_count)
            end_with_trailers(t, flags);
    }
    return (ssize_t)n;
}

static str date_now(char room[40])
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    return str_of(room, strftime(room, 40, "%a, %d %b %Y %H:%M:%S GMT", &tm));
}

/* Of all answers: streams share what their client takes. */
size_t streams_left(const struct wire *w)
{
    size_t n = 0;
    for (const struct stream *t = w->h2.streams; t; t = t->next)
        n += t->body.len - t->at;
    return n;
}

void stream_answer(struct stream *t, struct response *r, bool head_only)
{
    char status[8], date[40], length[24];
    struct fields f = { .count = 0 };
    snprintf(status, sizeof status, "%u", r->status);
    snprintf(length, sizeof length, "%zu", r->body.len);
    add_field(&f, ":status", str_from(status));
    add_field(&f, "date", date_now(date));
    bool empty = !t->live && (head_only || !r->body.len || r->status == 204 || r->status == 304);
    if (r->status != 204 && r->status != 304 && !r->trailer_count && !t->live)
        add_field(&f, "content-length", str_from(length));
    for (size_t i = 0; i < r->header_count; i++)
        add_header(&f, r->headers[i].name, r->headers[i].value);
    t->trailer_count = empty ? 0 : r->trailer_count;
    for (size_t i = 0; i < r->trailer_count; i++)
        if (empty) /* one frame says it all: "Trailers-Only" */
            add_header(&f, r->trailers[i].name, r->trailers[i].value);
        else
            t->trailers[i] = (struct header){ str_from(r->trailers[i].name), r->trailers[i].value };

    t->body = r->body;
    r->body = (struct buf){ 0 };
    t->sending = true;
    t->moved_ms = clock_ms();
    t->cut_ms = t->live ? INT64_MAX : send_limit(t->w->s, streams_left(t->w));
    const nghttp2_data_provider data = { .source.ptr = t, .read_callback = give };
    if (nghttp2_submit_response(t->w->h2.session, t->id, f.list, f.count, empty ? NULL : &data) < 0)
        stream_reset(t, NGHTTP2_INTERNAL_ERROR);
    else if (t->x && !t->live)
        exchange_told(t->x, r->status);
}

static void answer_if(struct stream *t, struct response *r, struct response *other)
{
    if (r)
        stream_answer(t, r, str_eq(t->x->r.method, STR("HEAD")));
    response_done(other);
}

static void refuse(struct stream *t, unsigned status, str text)
{
    struct response r = { .status = status };
    response_header(&r, "Content-Type", STR("text/plain; charset=utf-8"));
    buf_str(&r.body, text);
    stream_answer(t, &r, false);
    response_done(&r);
}

static bool has_no_room(const struct stream *t)
{
    nghttp2_session *session = t->w->h2.session;
    return nghttp2_session_get_stream_effective_recv_data_length(session, t->id) >=
           nghttp2_session_get_stream_effective_local_window_size(session, t->id);
}

/* What was read of an upload may come again. Only who waited for that has his time anew: else each byte that is read would give it. */
static void give_room(struct stream *t)
{
    size_t n = upload_taken(t->x);
    if (!n || t->whole)
        return;
    nghttp2_session_consume_stream(t->w->h2.session, t->id, n);
    if (t->cut_ms == INT64_MAX && !has_no_room(t))
        t->cut_ms = upload_limit(t->x, 0);
}

/* An answer before the body is whole is too much for some clients (curl 7.88 takes it for an error, or waits for ever): they may send it to
 * its end, unless it is refused and long. */
static bool may_go_on_sending(const struct stream *t)
{
    const struct exchange *x = t->x;
    return x->upload && !t->whole && (x->response.status < 400 || x->dropped <= BODY_DROP_MAX);
}

static void receive_upload(struct stream *t, str bytes)
{
    nghttp2_session *session = t->w->h2.session;
    nghttp2_session_consume_connection(session, bytes.len);
    int64_t limit = upload_limit(t->x, bytes.len);
    if (limit)
        t->cut_ms = limit;
    enum upload_put put = upload_put(t->x, bytes);
    if (put == UPLOAD_BROKEN)
        stream_reset(t, NGHTTP2_CANCEL);
    if (put == UPLOAD_UNWANTED) {
        t->x->dropped += bytes.len;
        http2_go_on(t->x);
        return;
    }
    if (has_no_room(t))
        t->cut_ms = INT64_MAX; /* it is our turn */
    give_room(t);
}

void http2_go_on(struct exchange *x)
{
    struct response other = { 0 };
    pthread_mutex_lock(&x->s->lock);
    bool done = x->fate == FATE_DONE;
    /* else it has gone, or was answered */
    struct stream *t = done || (x->upload && x->fate == FATE_WAITING) ? x->stream : NULL;
    pthread_mutex_unlock(&x->s->lock);
    if (!t || t->sending)
        return;
    if (x->upload)
        give_room(t);
    if (!done || may_go_on_sending(t))
        return wire_queue(t->w);
    answer_if(t, exchange_go_on(x, &other), &other);
    wire_queue(t->w);
}

void http2_resume(struct exchange *x)
{
    if (x->listed)
        return;
    x->listed = true;
    x->next = x->s->loop.done;
    x->s->loop.done = exchange_hold(x);
    loop_wake(x->s);
}

/* ---- requests ---- */

/* Headers as HTTP/1.1 has them: the target apart, the authority as Host. False when out of memory, or without a path (CONNECT). */
static bool make_exchange(struct stream *t, const struct conn *c)
{
    const char *target = NULL;
    size_t method = 0;
    str all = buf_view(&t->head), method_name = { 0 };
    for (str rest = all; rest.len;) {
        str name = str_cut(&rest, '\0'), value = str_cut(&rest, '\0');
        if (str_eq(name, STR(":path")))
            target = value.ptr; /* with a NUL behind it */
        else if (str_eq(name, STR(":method")))
            method_name = value, method = (size_t)(value.ptr - all.ptr);
    }
    struct exchange *x = target ? exchange_new(t->w->s, target, c) : NULL;
    char *text = x ? exchange_headers(x, t->head_count, all.len) : NULL;
    if (!text) {
        exchange_drop(x);
        return false;
    }
    memcpy(text, all.ptr, all.len);
    x->r.http2 = true;
    x->r.method = str_of(text + method, method_name.len);
    for (str rest = str_of(text, all.len); rest.len;) {
        str name = str_cut(&rest, '\0'), value = str_cut(&rest, '\0');
        if (str_eq(name, STR(":authority")))
            name = STR("host");
        if (!str_starts(name, STR(":")))
            x->headers[x->header_count++] = (struct header){ name, value };
    }
    x->stream = t;
    t->x = x;
    buf_done(&t->head);
    return true;
}

static void serve(struct stream *t)
{
    struct response other = { 0 };
    t->whole = true;
    if (t->live)
        live_work(t);
    if (!t->x || t->sending)
        return;
    t->cut_ms = INT64_MAX;
    exchange_complete(t->x);
    if (t->x->upload) {
        upload_whole(t->x);
        return http2_go_on(t->x);
    }
    answer_if(t, exchange_serve(t->x, &other), &other);
}

static void on_head(struct stream *t, bool ends)
{
    t->head_there = true;
    if (t->head_large)
        return refuse(t, 431, STR("too many headers\n"));
    if (!make_exchange(t, t->w->c))
        return stream_reset(t, NGHTTP2_REFUSED_STREAM);
    exchange_begin(t->x);
    if (t->x->upload)
        t->cut_ms = upload_limit(t->x, 0);
    if (t->x->service == SERVE_STREAM && t->w->s->h.message)
        live_begin(t);
    if (ends)
        return serve(t);
    static const nghttp2_nv go_on = { (uint8_t *)":status", (uint8_t *)"100", 7, 3, 0 };
    if (str_eq(request_header(&t->x->r, "expect"), STR("100-continue")))
        nghttp2_submit_headers(t->w->h2.session, NGHTTP2_FLAG_NONE, t->id, NULL, &go_on, 1, NULL);
}

/* ---- what nghttp2 tells ---- */

static bool is_request(const nghttp2_frame *f)
{
    return f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *ctx)
{
    struct wire *w = ctx;
    if (!is_request(f))
        return 0; /* trailers */
    struct stream *t = stream_new(w, f->hd.stream_id);
    if (!t)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return nghttp2_session_set_stream_user_data(session, f->hd.stream_id, t);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct stream *t = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    (void)flags, (void)ctx;
    if (!t || !is_request(f) || t->head_large)
        return 0;
    t->head_size += name_len + value_len + FIELD_COST;
    t->head_large = t->head_size > HEADERS_MAX;
    buf_add(&t->head, name, name_len);
    buf_char(&t->head, '\0');
    buf_add(&t->head, value, value_len);
    buf_char(&t->head, '\0');
    t->head_count++;
    if (t->head_large)
        buf_done(&t->head);
    return t->head.failed ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
                   void *ctx)
{
    struct stream *t = nghttp2_session_get_stream_user_data(session, id);
    (void)flags, (void)ctx;
    if (t && t->live) {
        nghttp2_session_consume_connection(session, n);
        live_receive(t, str_of(bytes, n));
        return 0;
    }
    if (t && t->x && t->x->upload && !t->sending) {
        receive_upload(t, str_of(bytes, n));
        return 0;
    }
    nghttp2_session_consume(session, id, n);
    if (t && t->x && !t->sending && !exchange_receive(t->x, str_of(bytes, n)))
        stream_reset(t, NGHTTP2_CANCEL);
    return 0;
}

static void calm_down(struct wire *w)
{
    w->h2.broken = true;
    nghttp2_session_terminate_session(w->h2.session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *ctx)
{
    struct wire *w = ctx;
    struct stream *t = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    bool ends = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    bool data = f->hd.type == NGHTTP2_DATA, window = f->hd.type == NGHTTP2_WINDOW_UPDATE;
    bool useful = is_request(f) || window || (data && (ends || f->hd.length));
    if (!useful && ++w->h2.chatter > CHATTER_MAX)
        calm_down(w);
    if (!t)
        return 0;
    if (is_request(f))
        on_head(t, ends);
    else if (ends && (data || f->hd.type == NGHTTP2_HEADERS))
        serve(t);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct wire *w = ctx;
    struct stream *t = nghttp2_session_get_stream_user_data(session, id);
    if (!t)
        return 0;
    if (code == NGHTTP2_NO_ERROR || live_lasted(t)) /* a client has no other way to end such a one */
        w->h2.finished++;
    else if (++w->h2.resets > RESETS_MAX + w->h2.finished)
        calm_down(w);
    stream_free(t);
    return 0;
}

/* A live stream that is over before its client has ended it is over for both, and so is an upload. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *f, void *ctx)
{
    const struct stream *t = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    bool ends = (f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) &&
                (f->hd.flags & NGHTTP2_FLAG_END_STREAM);
    (void)ctx;
    if (t && ends && (t->live || (t->x && t->x->upload)) && !t->whole)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- the connection ---- */

/* As much as is worth a call. False: it is over. */
static bool gather(struct wire *w)
{
    while (w->out.len < OUT_ENOUGH) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(w->h2.session, &bytes);
        if (n < 0)
            return false;
        if (n == 0)
            break;
        wire_add(w, bytes, (size_t)n);
    }
    return !w->out.failed;
}

static enum step end(struct wire *w)
{
    http2_done(w);
    return wire_finish(w);
}

static enum step http2(struct wire *w)
{
    struct loop *l = &w->s->loop;
    for (int i = 0; i < ROUNDS; i++) {
        int r = wire_flush(w);
        if (r == IO_AGAIN)
            return STEP_WAIT; /* who does not take is not read */
        if (r == IO_ERROR || !gather(w))
            return STEP_CLOSE;
        if (w->out.len)
            continue;
        buf_done(&w->out);
        if (live_go_on(w))
            continue;
        if (w->h2.broken ||
            (!nghttp2_session_want_read(w->h2.session) && !nghttp2_session_want_write(w->h2.session)))
            return end(w);
        ssize_t n = wire_recv(w, l->scratch, sizeof l->scratch);
        if (n == IO_AGAIN)
            return STEP_WAIT;
        if (n == IO_END)
            return end(w);
        if (n == IO_ERROR)
            return STEP_CLOSE;
        if (nghttp2_session_mem_recv(w->h2.session, (const uint8_t *)l->scratch, (size_t)n) < 0)
            w->h2.broken = true; /* not its protocol, or a flood: it may still be told which */
    }
    return STEP_AGAIN;
}

void http2_done(struct wire *w)
{
    while (w->h2.streams)
        stream_free(w->h2.streams);
    nghttp2_session_del(w->h2.session);
    w->h2.session = NULL;
}

void http2_leave(struct wire *w)
{
    if (w->h2.leaving)
        return;
    w->h2.leaving = true;
    for (struct stream *t = w->h2.streams; t; t = t->next)
        live_leave(t);
    nghttp2_submit_goaway(w->h2.session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(w->h2.session), NGHTTP2_NO_ERROR, NULL, 0);
    wire_queue(w);
}

/* False: its connection does not even take that it is to end. */
static bool stream_tick(struct stream *t, int64_t now)
{
    const struct wire *w = t->w;
    struct response other = { 0 };
    bool waits = !t->live || t->over || t->body.len > t->at; /* for its client to take something */
    bool stuck = t->sending && waits && now - t->moved_ms >= w->s->o.idle_ms;
    if (t->cut_ms <= now || stuck) {
        if (!t->head_there || w->out.len)
            return false;
        stream_reset(t, NGHTTP2_CANCEL);
        t->cut_ms = INT64_MAX;
        t->moved_ms = INT64_MAX;
        return true;
    }
    if (t->live)
        live_tick(t, now);
    if (!t->whole || t->sending || !t->x)
        return true;
    pthread_mutex_lock(&w->s->lock);
    bool late = exchange_late(t->x, now);
    pthread_mutex_unlock(&w->s->lock);
    if (late)
        answer_if(t, exchange_go_on(t->x, &other), &other);
    return true;
}

bool http2_tick(struct wire *w, int64_t now)
{
    w->h2.chatter = 0;
    for (struct stream *t = w->h2.streams, *next; t; t = next) {
        next = t->next;
        if (!stream_tick(t, now))
            return false;
    }
    if (w->h2.streams)
        wire_queue(w);
    return true;
}

/* 0, or an error of nghttp2. */
static int make_session(struct wire *w)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *options = NULL;
    int r = nghttp2_session_callbacks_new(&callbacks);
    if (r == 0)
        r = nghttp2_option_new(&options);
    if (r == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
        nghttp2_option_set_max_outbound_ack(options, ACKS_MAX);
        nghttp2_option_set_max_settings(options, SETTINGS_AT_ONCE);
        nghttp2_option_set_no_closed_streams(options, 1);
        nghttp2_option_set_no_auto_window_update(options, 1);
        r = nghttp2_session_server_new2(&w->h2.session, callbacks, w, options);
    }
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    return r;
}

enum step http2_begin(struct wire *w)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX },
    };
    if (make_session(w) != 0 || nghttp2_submit_settings(w->h2.session, NGHTTP2_FLAG_NONE, settings, 2) != 0)
        return STEP_CLOSE;
    w->step = http2;
    w->cut_ms = clock_ms() + w->s->o.idle_ms; /* for the first stream */
    return STEP_AGAIN;
}
