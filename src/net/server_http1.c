/* HTTP/1.1 by libmicrohttpd. Its one thread, the loop, runs every callback here. */
#include "net/server_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LENGTH_MAX 2048        /* of an answer with Content-Length (Go's rule) */
#define CHUNK      (8u << 10)  /* of an answer without; the connection's memory is 32 KiB */
#define MEMORY     (48u << 10) /* of a connection: 32 KiB of headers and what it makes of them */

static struct conn *conn_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

/* ---- connections ---- */

/* Before the first byte of a request there are idle_ms, which libmicrohttpd watches; a request that began then has
 * receive_ms. Seen from here both together are the limit until its head is there. */
static int64_t next_cut(const struct server *s) { return clock_ms() + s->o.idle_ms + s->o.receive_ms; }

/* The youngest of that socket: the number may have been another's that never came so far. */
static struct conn *find_handed(struct server *s, int fd)
{
    pthread_mutex_lock(&s->lock);
    struct conn *c = s->conns[CONN_HANDED];
    while (c && c->fd != fd)
        c = c->next;
    pthread_mutex_unlock(&s->lock);
    return c;
}

static void conn_open(struct server *s, struct MHD_Connection *connection, void **socket_context)
{
    struct conn *c =
        find_handed(s, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    if (!c)
        return; /* its first request is refused */
    c->cut_ms = next_cut(s);
    conn_move(s, c, CONN_HTTP1);
    *socket_context = c;
}

static void end_exchange(struct server *s, struct conn *c)
{
    pthread_mutex_lock(&s->lock);
    struct exchange *x = c->x;
    c->x = NULL;
    c->cut_ms = next_cut(s);
    pthread_mutex_unlock(&s->lock);
    exchange_over(x);
}

static void conn_close(struct server *s, struct conn *c)
{
    if (c)
        end_exchange(s, c);
    conn_freep(s, &c);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        conn_open(ctx, connection, socket_context);
    else
        conn_close(ctx, *socket_context);
}

/* ---- requests ---- */

/* The first that is known of a request: its target as sent. */
static void *on_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
    struct server *s = ctx;
    struct conn *c = conn_of(connection);
    if (!c)
        return NULL;
    struct exchange *x = exchange_new(s, target, c);
    if (!x)
        return NULL;
    x->connection = connection;
    int64_t cut = clock_ms() + s->o.receive_ms;
    pthread_mutex_lock(&s->lock);
    c->x = x;
    c->cut_ms = cut < c->cut_ms ? cut : c->cut_ms;
    pthread_mutex_unlock(&s->lock);
    return x;
}

static size_t leave_escaped(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx, (void)connection;
    return strlen(text);
}

struct header_copy {
    struct header *headers;
    char *text;
    size_t count, bytes; /* counted first, then copied */
};

static enum MHD_Result count_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                    const char *value, size_t value_len)
{
    struct header_copy *c = ctx;
    (void)kind, (void)name, (void)value;
    c->count++;
    c->bytes += name_len + value_len;
    return MHD_YES;
}

static enum MHD_Result copy_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                   const char *value, size_t value_len)
{
    struct header_copy *c = ctx;
    (void)kind;
    memcpy(c->text, name, name_len);
    if (value_len)
        memcpy(c->text + name_len, value, value_len);
    c->headers[c->count++] = (struct header){ { c->text, name_len }, { c->text + name_len, value_len } };
    c->text += name_len + value_len;
    return MHD_YES;
}

/* A copy, because handle() may outlive the connection. */
static bool take_headers(struct exchange *x, const char *method)
{
    struct header_copy c = { 0 };
    size_t n = strlen(method);
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, count_header, &c);
    char *text = exchange_headers(x, c.count, c.bytes + n);
    if (!text)
        return false;
    c = (struct header_copy){ .headers = x->headers, .text = text };
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, copy_header, &c);
    x->header_count = c.count;
    memcpy(c.text, method, n);
    x->r.method = str_of(c.text, n);
    return true;
}

/* ---- answers ---- */

static ssize_t give(void *ctx, uint64_t at, char *to, size_t room)
{
    const struct buf *b = ctx;
    if (at >= b->len)
        return MHD_CONTENT_READER_END_OF_STREAM;
    size_t n = b->len - (size_t)at;
    n = n < room ? n : room;
    memcpy(to, b->ptr + at, n);
    return (ssize_t)n;
}

static void give_done(void *ctx)
{
    buf_done(ctx);
    free(ctx);
}

/* Takes r's body. NULL when out of memory. */
static struct MHD_Response *pack_response(struct response *r, bool head)
{
    if (head || (r->body.len <= LENGTH_MAX && !r->trailer_count)) {
        struct MHD_Response *m =
            MHD_create_response_from_buffer(r->body.len, r->body.ptr, MHD_RESPMEM_MUST_FREE);
        if (m)
            r->body = (struct buf){ 0 };
        return m;
    }
    struct buf *b = malloc(sizeof *b);
    struct MHD_Response *m =
        b ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK, give, b, give_done) : NULL;
    if (!m) {
        free(b);
        return NULL;
    }
    *b = r->body;
    r->body = (struct buf){ 0 };
    return m;
}

/* False when out of memory. libmicrohttpd refuses a value with a line end in it: that one is left out. */
static bool add_field(struct MHD_Response *m, const char *name, str value, bool trailer)
{
    char room[256];
    char *copy = value.len < sizeof room ? room : malloc(value.len + 1);
    if (!copy)
        return false;
    if (value.len)
        memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    if (trailer)
        MHD_add_response_footer(m, name, copy);
    else
        MHD_add_response_header(m, name, copy);
    if (copy != room)
        free(copy);
    return true;
}

static bool add_header(struct MHD_Response *m, const char *name, str value)
{
    return add_field(m, name, value, false);
}

/* RFC 9110 6.6.2: said before, so that somebody looks for it. */
static bool add_trailer(struct MHD_Response *m, const char *name, str value)
{
    return add_header(m, "Trailer", str_from(name)) && add_field(m, name, value, true);
}

static enum MHD_Result answer(struct exchange *x, struct response *r)
{
    int64_t limit = send_limit(x->s, r->body.len);
    struct MHD_Response *m = pack_response(r, str_eq(x->r.method, STR("HEAD")));
    if (!m)
        return MHD_NO;
    bool whole = true;
    for (size_t i = 0; i < r->header_count; i++)
        whole &= add_header(m, r->headers[i].name, r->headers[i].value);
    for (size_t i = 0; i < r->trailer_count; i++)
        whole &= add_trailer(m, r->trailers[i].name, r->trailers[i].value);
    if (__atomic_load_n(&x->s->stopping, __ATOMIC_RELAXED))
        MHD_add_response_header(m, "Connection", "close");
    pthread_mutex_lock(&x->s->lock);
    conn_of(x->connection)->cut_ms = limit;
    pthread_mutex_unlock(&x->s->lock);
    enum MHD_Result ok = whole ? MHD_queue_response(x->connection, r->status, m) : MHD_NO;
    MHD_destroy_response(m);
    if (ok == MHD_YES)
        exchange_told(x, r->status);
    return ok;
}

/* A thread has it, or had it and will have this connection resumed. */
static bool is_held(struct exchange *x)
{
    pthread_mutex_lock(&x->s->lock);
    bool held = x->fate != FATE_OPEN && x->fate != FATE_CLOSED;
    pthread_mutex_unlock(&x->s->lock);
    return held;
}

/* `r` is what to send now, if anything; `other` may hold it. */
static enum MHD_Result answer_if(struct exchange *x, struct response *r, struct response *other)
{
    enum MHD_Result ok = MHD_NO;
    if (r)
        ok = answer(x, r);
    else if (is_held(x))
        ok = MHD_YES;
    response_done(other);
    return ok;
}

/* The request is complete. */
static enum MHD_Result serve(struct exchange *x)
{
    struct response other = { 0 };
    pthread_mutex_lock(&x->s->lock);
    conn_of(x->connection)->cut_ms = INT64_MAX;
    pthread_mutex_unlock(&x->s->lock);
    exchange_complete(x);
    return answer_if(x, exchange_serve(x, &other), &other);
}

static enum MHD_Result go_on(struct exchange *x)
{
    struct response other = { 0 };
    return answer_if(x, exchange_go_on(x, &other), &other);
}

/* ---- uploads ---- */

static void set_cut(struct exchange *x, int64_t limit)
{
    pthread_mutex_lock(&x->s->lock);
    conn_of(x->connection)->cut_ms = limit;
    pthread_mutex_unlock(&x->s->lock);
}

/* libmicrohttpd takes no answer while a body comes: so by ourselves, and then the connection is of no more use. */
void http1_answer_early(struct exchange *x)
{
    struct response *r = &x->response;
    CLEANUP(buf_done) struct buf out = { 0 };
    buf_printf(&out, "HTTP/1.1 %u %s\r\n", r->status, MHD_get_reason_phrase_for(r->status));
    for (size_t i = 0; i < r->header_count; i++)
        if (str_find(r->headers[i].value, '\n') < 0 && str_find(r->headers[i].value, '\r') < 0)
            buf_printf(&out, "%s: " STR_FMT "\r\n", r->headers[i].name, STR_ARG(r->headers[i].value));
    buf_printf(&out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", r->body.len);
    buf_str(&out, buf_view(&r->body));
    int fd = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    ssize_t sent = out.failed ? -1 : send(fd, out.ptr, out.len, MSG_NOSIGNAL);
    x->upload->told = sent == (ssize_t)out.len;
    x->upload->broken = sent > 0 && !x->upload->told;
}

static enum MHD_Result drop_upload(struct exchange *x, size_t n)
{
    x->dropped += n;
    if (x->upload->small)
        return MHD_YES;
    if (!x->upload->told)
        return MHD_NO;
    exchange_told(x, x->response.status);
    return x->response.status < 400 || x->dropped <= BODY_DROP_MAX ? MHD_YES : MHD_NO;
}

/* Behind a pause, which is no fault of the client's, its time begins anew. */
static int64_t next_limit(struct exchange *x, size_t n)
{
    pthread_mutex_lock(&x->s->lock);
    bool was_paused = conn_of(x->connection)->cut_ms == INT64_MAX;
    pthread_mutex_unlock(&x->s->lock);
    return upload_limit(x, was_paused ? 0 : n);
}

static enum MHD_Result take_upload(struct exchange *x, const char *bytes, size_t *size)
{
    size_t n = *size;
    enum upload_put put = upload_put(x, str_of(bytes, n));
    if (put == UPLOAD_BROKEN)
        return MHD_NO;
    int64_t limit = put == UPLOAD_PAUSED ? INT64_MAX : next_limit(x, n);
    if (limit)
        set_cut(x, limit);
    if (put == UPLOAD_PAUSED)
        return MHD_YES; /* the same comes again */
    *size = 0;
    return put == UPLOAD_TAKEN ? MHD_YES : drop_upload(x, n);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload, size_t *size,
                                  void **con_cls)
{
    struct exchange *x = *con_cls;
    (void)ctx, (void)connection, (void)url, (void)version;
    if (!x)
        return MHD_NO;
    if (!x->routed) {
        if (!take_headers(x, method))
            return MHD_NO;
        exchange_begin(x);
        if (x->upload)
            set_cut(x, upload_limit(x, 0));
        return MHD_YES;
    }
    if (*size && x->upload)
        return take_upload(x, upload, size);
    if (*size) {
        bool ok = exchange_receive(x, str_of(upload, *size));
        *size = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    if (x->upload && (x->upload->told || x->upload->broken))
        return MHD_NO; /* it has its answer, or what there is of it */
    return x->active ? go_on(x) : serve(x);
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **con_cls,
                   enum MHD_RequestTerminationCode code)
{
    struct conn *c = conn_of(connection);
    (void)code;
    if (c)
        end_exchange(ctx, c);
    *con_cls = NULL;
}

/* ---- life ---- */

void http1_suspend(struct exchange *x) { MHD_suspend_connection(x->connection); }

void http1_resume(struct exchange *x) { MHD_resume_connection(x->connection); }

void http1_take(struct server *s, struct conn *c, sa_family_t family)
{
    struct sockaddr_storage addr = { .ss_family = family }; /* which peer it is, conn knows */
    socklen_t len = family == AF_UNIX ? sizeof(struct sockaddr_un) : sizeof(struct sockaddr_in);
    if (MHD_add_connection(s->http1, c->fd, (const struct sockaddr *)&addr, len) != MHD_YES)
        conn_freep(s, &c);
}

int http1_start(struct server *s, struct err *e)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->http1 = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO,
        0, NULL, NULL, on_request, s, MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_end, s, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, s, MHD_OPTION_CONNECTION_LIMIT, s->o.connections + 16,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (s->o.idle_ms + 999) / 1000, MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->http1 ? 0 : err_set(e, ERR_IO, "cannot start the HTTP server: %s", strerror(errno));
}

void http1_stop(struct server *s)
{
    if (s->http1)
        MHD_stop_daemon(s->http1);
    s->http1 = NULL;
}
