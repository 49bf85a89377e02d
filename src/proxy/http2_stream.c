#include "proxy/http2_internal.h"

#include "base/cleanup.h"

#define HEAD_BYTES ((size_t)32 << 10)
#define ROOM       ((size_t)1 << 20)

static enum side other(enum side s) { return s == CLIENT ? UPSTREAM : CLIENT; }

/* ---- life ---- */

struct stream *stream_new(struct h2 *h, int32_t id)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->h = h;
    s->of[CLIENT].id = id;
    for (int i = 0; i < SIDES; i++)
        s->of[i].data.max = ROOM;
    if ((s->next = h->streams))
        s->next->self = &s->next;
    s->self = &h->streams;
    h->streams = s;
    h->stream_count++;
    return s;
}

void stream_free(struct stream *s)
{
    *s->self = s->next;
    if (s->next)
        s->next->self = s->self;
    s->h->stream_count--;
    for (int i = 0; i < SIDES; i++) {
        buf_done(&s->of[i].head.bytes);
        buf_done(&s->of[i].trailers.bytes);
        buf_done(&s->of[i].data);
    }
    free(s);
}

/* What waited will not be taken: its place in the connection's window is given back. */
static void drop_data(struct h2 *h, struct stream *s, enum side from)
{
    struct half *half = &s->of[from];
    if (half->data.len > half->at)
        nghttp2_session_consume_connection(h->sessions[from], half->data.len - half->at);
    half->at = half->data.len = 0;
}

void stream_end(struct h2 *h, struct stream *s, enum side side, uint32_t code)
{
    enum side to = other(side);
    s->of[side].id = 0;
    s->of[to].open = false; /* nothing reads for this side any more */
    drop_data(h, s, to);
    bool cut = code || (side == UPSTREAM && !s->of[UPSTREAM].ended); /* also politely */
    uint32_t why = side == CLIENT ? NGHTTP2_CANCEL : code ? code : NGHTTP2_INTERNAL_ERROR;
    if (cut && s->of[to].id) /* cut off here, so there too */
        nghttp2_submit_rst_stream(h->sessions[to], NGHTTP2_FLAG_NONE, s->of[to].id, why);
    if (!code && side == CLIENT && s->of[UPSTREAM].id) /* it was answered before it had sent all */
        nghttp2_submit_rst_stream(h->sessions[UPSTREAM], NGHTTP2_FLAG_NONE, s->of[UPSTREAM].id,
                                  NGHTTP2_CANCEL);
    if (!s->of[CLIENT].id && !s->of[UPSTREAM].id)
        stream_free(s);
}

/* ---- heads ---- */

int stream_add_field(struct stream *s, enum side side, str name, str value)
{
    struct fields *f = &s->of[side].head;
    if (f->count == H2_FIELDS || f->bytes.len + name.len + value.len > HEAD_BYTES)
        return -1;
    buf_str(&f->bytes, name);
    buf_str(&f->bytes, value);
    if (f->bytes.failed)
        return -1;
    f->of[f->count].name = name.len;
    f->of[f->count++].value = value.len;
    return 0;
}

static bool is_dropped(str name, str value)
{
    static const char *const names[] = { "connection",        "keep-alive", "proxy-connection",
                                         "transfer-encoding", "upgrade",    "proxy-authorization",
                                         "proxy-authenticate" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(name, str_from(names[i])))
            return true;
    return str_eq(name, STR("te")) && !str_eq(value, STR("trailers"));
}

/* As nghttp2 wants them; the views live as long as `f`. */
static size_t list_fields(const struct fields *f, nghttp2_nv *ret)
{
    size_t n = 0;
    char *at = f->bytes.ptr;
    for (size_t i = 0; i < f->count; i++) {
        str name = str_of(at, f->of[i].name), value = str_of(at + f->of[i].name, f->of[i].value);
        if (!is_dropped(name, value))
            ret[n++] = (nghttp2_nv){ (uint8_t *)at, (uint8_t *)at + name.len, name.len, value.len,
                                     NGHTTP2_NV_FLAG_NONE };
        at += f->of[i].name + f->of[i].value;
    }
    return n;
}

static str value_of(const struct fields *f, const char *want, size_t *count)
{
    const char *at = f->bytes.ptr;
    str found = { 0 };
    *count = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (str_eq(str_of(at, f->of[i].name), str_from(want)) && !(*count)++)
            found = str_of(at + f->of[i].name, f->of[i].value);
        at += f->of[i].name + f->of[i].value;
    }
    return found;
}

/* ---- data ---- */

/* What the other side has sent, for this one. */
static ssize_t give(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                    nghttp2_data_source *source, void *ctx)
{
    struct half *half = source->ptr;
    struct h2 *h = ctx;
    size_t n = half->data.len - half->at;
    bool to_client = session == h->sessions[CLIENT];
    nghttp2_nv list[H2_FIELDS];
    (void)id;
    if (!n && !half->ended) {
        half->open = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    n = n < room ? n : room;
    if (n)
        memcpy(to, half->data.ptr + half->at, n);
    half->at += n;
    if (half->at == half->data.len)
        half->at = half->data.len = 0;
    nghttp2_session *from = h->sessions[to_client ? UPSTREAM : CLIENT];
    if (n && from && half->id)
        nghttp2_session_consume(from, half->id, n);
    else if (n && from)
        nghttp2_session_consume_connection(from, n);
    if (!half->ended || half->data.len)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (half->has_trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, list, list_fields(&half->trailers, list));
    }
    return (ssize_t)n;
}

static void wake(struct h2 *h, struct stream *s, enum side from)
{
    struct half *half = &s->of[from];
    enum side to = other(from);
    if (half->open && s->of[to].id && h->sessions[to]) {
        half->open = false;
        nghttp2_session_resume_data(h->sessions[to], s->of[to].id);
    }
}

void stream_data(struct h2 *h, struct stream *s, enum side side, str bytes)
{
    struct half *half = &s->of[side];
    bool taken = s->of[other(side)].id || !s->begun;
    if (taken)
        buf_str(&half->data, bytes);
    if (!taken || half->data.failed) { /* of no use to anybody */
        nghttp2_session_consume(h->sessions[side], half->id, bytes.len);
        if (half->data.failed)
            nghttp2_submit_rst_stream(h->sessions[side], NGHTTP2_FLAG_NONE, half->id,
                                      NGHTTP2_FLOW_CONTROL_ERROR);
        return;
    }
    wake(h, s, side);
}

void stream_last(struct h2 *h, struct stream *s, enum side side)
{
    s->of[side].ended = true;
    wake(h, s, side);
}

/* ---- what is to become of a head ---- */

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx)
{
    struct stream *s = source->ptr;
    size_t n = strlen(s->body);
    (void)session, (void)id, (void)ctx;
    n = n < room ? n : room;
    memcpy(to, s->body, n);
    memmove(s->body, s->body + n, strlen(s->body + n) + 1);
    if (!*s->body)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

#define NV(name, text)                                                                                       \
    {                                                                                                        \
        (uint8_t *)(name), (uint8_t *)(text), sizeof(name) - 1, strlen(text), NGHTTP2_NV_FLAG_NONE           \
    }

static int answer(struct h2 *h, struct stream *s, unsigned status, const char *type)
{
    char code[8], length[24];
    snprintf(code, sizeof code, "%u", status);
    snprintf(length, sizeof length, "%zu", strlen(s->body));
    const nghttp2_nv list[] = { NV(":status", code), NV("content-type", type), NV("content-length", length) };
    const nghttp2_data_provider body = { .source.ptr = s, .read_callback = give_body };
    s->begun = true;
    return nghttp2_submit_response(h->sessions[CLIENT], s->of[CLIENT].id, list, 3, &body);
}

static bool judge(struct h2 *h, struct stream *s, unsigned *status)
{
    size_t count;
    str authorization = value_of(&s->of[CLIENT].head, "authorization", &count);
    if (count < 2)
        return h->o->judge(h->o->ctx, authorization, status, s->body, sizeof s->body);
    *status = 400;
    snprintf(s->body, sizeof s->body, "jwtproxy: more than one Authorization header");
    return false;
}

static int ask(struct h2 *h, struct stream *s, bool last)
{
    struct half *half = &s->of[CLIENT];
    nghttp2_nv list[H2_FIELDS + 1];
    char peer[LINK_PEER];
    CLEANUP(buf_done) struct buf target = { .max = HEAD_BYTES * 2 };
    size_t count, n = list_fields(&half->head, list);
    upstream_target(h->o->upstream, value_of(&half->head, ":path", &count), &target);
    const char *scheme = h->links[UPSTREAM]->tls ? "https" : "http";
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(list[i].name, list[i].namelen), STR(":path")))
            list[i].value = (uint8_t *)target.ptr, list[i].valuelen = target.len;
        else if (str_eq(str_of(list[i].name, list[i].namelen), STR(":scheme")))
            list[i].value = (uint8_t *)scheme, list[i].valuelen = strlen(scheme);
    link_peer(h->links[CLIENT], peer);
    list[n++] = (nghttp2_nv)NV("x-forwarded-for", peer); /* who is not on the upstream's machine */
    const nghttp2_data_provider body = { .source.ptr = half, .read_callback = give };
    int32_t id = target.failed
                     ? -1
                     : nghttp2_submit_request(h->sessions[UPSTREAM], NULL, list, n, last ? NULL : &body, s);
    if (id < 0)
        return nghttp2_submit_rst_stream(h->sessions[CLIENT], NGHTTP2_FLAG_NONE, half->id,
                                         NGHTTP2_REFUSED_STREAM);
    s->of[UPSTREAM].id = id;
    return 0;
}

static int begin_request(struct h2 *h, struct stream *s, bool last)
{
    unsigned status;
    size_t count;
    if (!value_of(&s->of[CLIENT].head, ":path", &count).len)
        return nghttp2_submit_rst_stream(h->sessions[CLIENT], NGHTTP2_FLAG_NONE, s->of[CLIENT].id,
                                         NGHTTP2_PROTOCOL_ERROR);
    if (!judge(h, s, &status))
        return answer(h, s, status, "text/plain");
    if (!http2_open_upstream(h)) {
        snprintf(s->body, sizeof s->body, "%s\n", h->why.text);
        return answer(h, s, 500, "text/plain; charset=utf-8");
    }
    s->body[0] = '\0';
    return ask(h, s, last);
}

static int begin_response(struct h2 *h, struct stream *s, bool last)
{
    struct half *half = &s->of[UPSTREAM];
    nghttp2_nv list[H2_FIELDS];
    size_t count, n = list_fields(&half->head, list);
    str status = value_of(&half->head, ":status", &count);
    const nghttp2_data_provider body = { .source.ptr = half, .read_callback = give };
    if (status.len && status.ptr[0] == '1') /* of no interest: another head follows */
        return 0;
    s->begun = true;
    return s->of[CLIENT].id
               ? nghttp2_submit_response(h->sessions[CLIENT], s->of[CLIENT].id, list, n, last ? NULL : &body)
               : 0;
}

static void clear(struct fields *f)
{
    buf_clear(&f->bytes);
    f->count = 0;
}

int stream_head(struct h2 *h, struct stream *s, enum side side, bool last)
{
    struct half *half = &s->of[side];
    bool first = side == CLIENT ? !s->of[UPSTREAM].id && !s->begun : !s->begun;
    int r = 0;
    if (last)
        half->ended = true;
    if (first) {
        r = side == CLIENT ? begin_request(h, s, last) : begin_response(h, s, last);
        clear(&half->head);
        return r;
    }
    struct fields keep = half->trailers;
    half->trailers = half->head;
    half->head = keep;
    clear(&half->head);
    half->has_trailers = true;
    return 0;
}
