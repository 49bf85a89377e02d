/* HTTP/1.1 by libmicrohttpd. Its one thread, the loop, runs every callback here. */
#include "net/server_internal.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LENGTH_MAX 2048        /* of an answer with Content-Length (Go's rule) */
#define CHUNK      (8u << 10)  /* of an answer without; the connection's memory is 32 KiB */
#define MEMORY     (48u << 10) /* of a connection: 32 KiB of headers and what it makes of them */

static struct conn *conn_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

/* ---- connections ---- */

static void name_peer(struct conn *c, const struct sockaddr *addr)
{
    char text[INET6_ADDRSTRLEN] = "?";
    const uint8_t *v4 = NULL;
    unsigned port = 0;
    if (addr && addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        v4 = (const uint8_t *)&in->sin_addr;
        port = ntohs(in->sin_port);
    } else if (addr && addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;
        port = ntohs(in->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
            v4 = in->sin6_addr.s6_addr + 12;
        } else {
            inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
            c->loopback = IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
        }
    }
    if (v4) {
        inet_ntop(AF_INET, v4, text, sizeof text);
        c->loopback = v4[0] == 127;
    }
    snprintf(c->peer, sizeof c->peer, v4 ? "%s:%u" : "[%s]:%u", text, port);
}

/* Before the first byte of a request there are idle_ms, which libmicrohttpd watches; a request that began then has
 * receive_ms. Seen from here both together are the limit until its head is there. */
static int64_t next_cut(const struct server *s) { return clock_ms() + s->o.idle_ms + s->o.receive_ms; }

static void conn_open(struct server *s, struct MHD_Connection *connection, void **socket_context)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return; /* its first request is refused */
    c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    name_peer(c, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    c->cut_ms = next_cut(s);
    *socket_context = c;
    pthread_mutex_lock(&s->lock);
    c->next = s->conns;
    c->self = &s->conns;
    if (c->next)
        c->next->self = &c->next;
    s->conns = c;
    pthread_mutex_unlock(&s->lock);
}

static void end_exchange(struct server *s, struct conn *c)
{
    pthread_mutex_lock(&s->lock);
    struct exchange *x = c->x;
    c->x = NULL;
    c->cut_ms = next_cut(s);
    if (x && x->active && --s->active == 0)
        pthread_cond_broadcast(&s->quiet);
    pthread_mutex_unlock(&s->lock);
    if (x)
        exchange_told(x, 0);
    exchange_drop(x);
}

static void conn_close(struct server *s, struct conn *c)
{
    if (c)
        end_exchange(s, c);
    pthread_mutex_lock(&s->lock);
    if (c) {
        *c->self = c->next;
        if (c->next)
            c->next->self = c->self;
    }
    bool was_full = s->conn_count-- >= s->o.connections;
    pthread_mutex_unlock(&s->lock);
    free(c);
    if (was_full)
        server_wake(s);
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
    struct exchange *x = exchange_new(s, target, c->peer, c->loopback);
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
    x->headers = malloc(c.count * sizeof *x->headers + c.bytes + n);
    if (!x->headers)
        return false;
    c = (struct header_copy){ .headers = x->headers, .text = (char *)(x->headers + c.count) };
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, copy_header, &c);
    x->header_count = c.count;
    memcpy(c.text, method, n);
    x->r.method = str_of(c.text, n);
    return true;
}

static bool begin(struct exchange *x, const char *method)
{
    struct server *s = x->s;
    if (!take_headers(x, method))
        return false;
    x->r.began_ns = clock_ns();
    x->late_ms = s->o.timeout_ms ? x->r.began_ns / 1000000 + s->o.timeout_ms : INT64_MAX;
    x->routed = true;
    x->service = s->h.route(s->h.ctx, &x->r);
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
    if (head || r->body.len <= LENGTH_MAX) {
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
static bool add_header(struct MHD_Response *m, const char *name, str value)
{
    char room[256];
    char *copy = value.len < sizeof room ? room : malloc(value.len + 1);
    if (!copy)
        return false;
    if (value.len)
        memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    MHD_add_response_header(m, name, copy);
    if (copy != room)
        free(copy);
    return true;
}

static enum MHD_Result answer(struct exchange *x, struct response *r)
{
    struct MHD_Response *m = pack_response(r, str_eq(x->r.method, STR("HEAD")));
    if (!m)
        return MHD_NO;
    bool whole = true;
    for (size_t i = 0; i < r->header_count; i++)
        whole &= add_header(m, r->headers[i].name, r->headers[i].value);
    if (__atomic_load_n(&x->s->stopping, __ATOMIC_RELAXED))
        MHD_add_response_header(m, "Connection", "close");
    enum MHD_Result ok = whole ? MHD_queue_response(x->connection, r->status, m) : MHD_NO;
    MHD_destroy_response(m);
    if (ok == MHD_YES)
        exchange_told(x, r->status);
    return ok;
}

static enum MHD_Result answer_late(struct exchange *x)
{
    struct response r = { 0 };
    if (x->s->h.timed_out)
        x->s->h.timed_out(x->s->h.ctx, &x->r, &r);
    else
        r.status = 503;
    response_finish(&r);
    enum MHD_Result ok = answer(x, &r);
    response_done(&r);
    return ok;
}

static enum MHD_Result answer_busy(struct exchange *x)
{
    struct response r = { .status = 503 };
    response_header(&r, "Content-Type", STR("text/plain; charset=utf-8"));
    response_header(&r, "Retry-After", STR("1"));
    buf_str(&r.body, STR("busy\n"));
    response_finish(&r);
    enum MHD_Result ok = answer(x, &r);
    response_done(&r);
    return ok;
}

/* The request is complete. */
static enum MHD_Result serve(struct exchange *x)
{
    struct server *s = x->s;
    x->r.body = buf_view(&x->body);
    if (x->starved)
        return answer_busy(x);
    if (x->late_ms <= clock_ms())
        return answer_late(x);
    if (x->service == SERVE_NOW) {
        exchange_run(x);
        return answer(x, &x->response);
    }
    pthread_mutex_lock(&s->lock);
    bool closing = s->closing;
    bool taken = !closing && pool_add(x->service == SERVE_READ ? &s->read_pool : &s->long_pool, x);
    if (taken) {
        x->fate = FATE_WAITING;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&s->lock);
    return taken ? MHD_YES : closing ? MHD_NO : answer_busy(x);
}

static enum fate take_fate(struct exchange *x)
{
    pthread_mutex_lock(&x->s->lock);
    enum fate fate = x->fate;
    pthread_mutex_unlock(&x->s->lock);
    return fate;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload, size_t *size,
                                  void **con_cls)
{
    struct server *s = ctx;
    struct exchange *x = *con_cls;
    (void)connection, (void)url, (void)version;
    if (!x)
        return MHD_NO;
    if (!x->routed)
        return begin(x, method) ? MHD_YES : MHD_NO;
    if (*size) {
        bool ok = exchange_receive(x, str_of(upload, *size));
        *size = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    switch (take_fate(x)) {
    case FATE_OPEN:
        pthread_mutex_lock(&s->lock);
        conn_of(connection)->cut_ms = INT64_MAX;
        s->active++;
        x->active = true;
        pthread_mutex_unlock(&s->lock);
        return serve(x);
    case FATE_WAITING:
        return MHD_YES;
    case FATE_DONE:
        return answer(x, &x->response);
    case FATE_LATE:
        return answer_late(x);
    case FATE_CLOSED:
        break;
    }
    return MHD_NO;
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

void http1_resume(struct exchange *x) { MHD_resume_connection(x->connection); }

bool http1_take(struct server *s, int fd, const struct sockaddr *addr, socklen_t len)
{
    return MHD_add_connection(s->http1, fd, addr, len) == MHD_YES;
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
