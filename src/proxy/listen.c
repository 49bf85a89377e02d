#include "proxy/listen.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "proxy/credentials.h"
#include "proxy/listen_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define CONNECTIONS  1024u
#define SHARE        (CONNECTIONS / 8 * 7) /* of one address */
#define HANDSHAKE_MS 10000
#define HEAD_MS      30000
#define REST_MS      120000
#define FULL_MS      20
#ifdef ECLAIR_SANITIZED
#define STACK ((size_t)4 << 20)
#else
#define STACK ((size_t)512 << 10) /* libpq and GnuTLS run on it */
#endif
#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"

struct conn {
    struct conn *next, **self;
    struct listen *l;
    int fd;
    uint8_t host[16];
};

struct listen {
    struct listen_options o;
    struct sockets at;
    int leaving, halt; /* events: no more requests; nothing any more */
    bool is_leaving;   /* atomic */
    struct credential_store *certificate;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a connection has ended */
    struct conn *conns;
    unsigned count;
};

static void say(const struct listen *l, enum proxy_level level, const char *event, const char *error)
{
    if (l->o.log.say)
        l->o.log.say(l->o.log.ctx, level, event, l->o.name, error);
}

bool listen_is_leaving(const struct listen *l) { return __atomic_load_n(&l->is_leaving, __ATOMIC_ACQUIRE); }
int listen_halt(const struct listen *l) { return l->halt; }
unsigned listen_port(const struct listen *l) { return l->at.port; }

/* ---- one connection ---- */

/* The head of the next request: its bytes stay in the link until they are used. 1, 0 the connection ends quietly, -1 with an answer. */
static int await_head(struct listen *l, struct link *c, size_t *size, unsigned *status)
{
    size_t seen = 0;
    int64_t rest_end = clock_ms() + REST_MS, head_end = 0;
    for (;;) {
        str bytes = link_bytes(c);
        while (bytes.len >= 2 && bytes.ptr[0] == '\r' && bytes.ptr[1] == '\n') /* RFC 9112 2.2 */
            link_use(c, 2), seen = 0, bytes = link_bytes(c);
        *size = head_find_end(str_head(bytes, HEAD_MAX), &seen);
        if (*size)
            return 1;
        *status = 431;
        if (bytes.len >= HEAD_MAX)
            return -1;
        if (bytes.len && !head_end)
            head_end = clock_ms() + HEAD_MS;
        ptrdiff_t n = link_read(c);
        if (n > 0)
            continue;
        if (n != LINK_AGAIN)
            return 0;
        c->halt = bytes.len ? l->halt : l->leaving;
        int w = link_wait(c, POLLIN, NULL, 0, bytes.len ? head_end : rest_end);
        c->halt = l->halt;
        *status = 408;
        if (w <= 0)
            return bytes.len && w == 0 ? -1 : 0;
    }
}

static bool refuse(struct link *c, unsigned status, const char *why)
{
    char text[600];
    int n = snprintf(text, sizeof text, "%u: %s", status, why);
    return proxy_answer(c, status, TEXT, str_of(text, (size_t)n), false);
}

/* False: it ends. The head's views are into a copy, for the body comes into the link meanwhile. */
static bool one_request(struct listen *l, struct link *c, struct head *head, struct buf *copy)
{
    size_t size;
    unsigned status;
    struct err e = { 0 };
    int r = await_head(l, c, &size, &status);
    if (r < 0)
        return refuse(c, status, status == 408 ? "the request did not come in time" : "the head is too long");
    if (r == 0)
        return false;
    buf_clear(copy);
    buf_str(copy, str_head(link_bytes(c), size));
    link_use(c, size);
    if (copy->failed)
        return false;
    if (head_read_request(buf_view(copy), head, &e) < 0)
        return refuse(c, 400, e.text);
    return l->o.serve(l->o.ctx, c, head) && !listen_is_leaving(l);
}

static int begin_tls(struct listen *l, struct link *c, struct credentials *with, struct err *e)
{
    const gnutls_datum_t protocols[] = { { (unsigned char *)"h2", 2 }, { (unsigned char *)"http/1.1", 8 } };
    bool http2 = l->o.http2 && l->o.wants_http2(l->o.ctx);
    gnutls_session_t session;
    if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
        return err_set(e, ERR_OOM, "out of memory");
    int r = gnutls_priority_set_direct(session, PROXY_TLS_SERVER, NULL);
    if (r >= 0)
        r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_of(with));
    if (r >= 0)
        r = gnutls_alpn_set_protocols(session, http2 ? protocols : protocols + 1, http2 ? 2 : 1,
                                      GNUTLS_ALPN_SERVER_PRECEDENCE);
    if (r < 0) {
        gnutls_deinit(session);
        return err_set(e, ERR_INTERNAL, "TLS: %s", gnutls_strerror(r));
    }
    return link_handshake(c, session, clock_ms() + HANDSHAKE_MS, e);
}

/* HTTP/2 with prior knowledge: its preface is no request that HTTP/1.1 has. */
static bool opens_http2(struct link *c)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    int64_t end = clock_ms() + HEAD_MS;
    for (;;) {
        str bytes = link_bytes(c);
        size_t n = bytes.len < sizeof preface - 1 ? bytes.len : sizeof preface - 1;
        if (memcmp(bytes.ptr, preface, n) != 0 || n == sizeof preface - 1)
            return n == sizeof preface - 1 && !memcmp(bytes.ptr, preface, n);
        ptrdiff_t r = link_read(c);
        if (r == 0 || r == LINK_ERROR || (r == LINK_AGAIN && link_wait(c, POLLIN, NULL, 0, end) <= 0))
            return false;
    }
}

static void talk(struct listen *l, struct link *c)
{
    if (l->o.http2 && (link_is_http2(c) || (!c->tls && opens_http2(c)))) {
        l->o.http2(l->o.ctx, c);
        return;
    }
    CLEANUP(buf_done) struct buf copy = { 0 };
    CLEANUP(freep) struct head *head = malloc(sizeof *head);
    while (head && one_request(l, c, head, &copy))
        ;
}

static bool is_plain_http(struct link *c)
{
    char first = 0;
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    poll(&p, 1, HANDSHAKE_MS);
    return recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first >= 'A' && first <= 'Z';
}

static void serve_link(struct listen *l, struct link *c)
{
    struct err e = { 0 };
    if (!l->certificate) {
        talk(l, c);
        return;
    }
    if (is_plain_http(c)) { /* as Go says it */
        proxy_answer(c, 400, TEXT, STR("Client sent an HTTP request to an HTTPS server.\n"), false);
        return;
    }
    c->hold = credentials_hold(l->certificate);
    if (begin_tls(l, c, c->hold, &e) == 0)
        talk(l, c);
    else
        say(l, PROXY_DEBUG, "TLS handshake failed", e.text);
}

static void conn_end(struct conn *c)
{
    struct listen *l = c->l;
    pthread_mutex_lock(&l->lock);
    *c->self = c->next;
    if (c->next)
        c->next->self = c->self;
    l->count--;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    free(c);
}

static void *run_conn(void *ctx)
{
    struct conn *c = ctx;
    struct err e = { 0 };
    struct link *link = link_new(c->fd, c->l->halt, &e);
    if (link)
        serve_link(c->l, link);
    link_freep(&link);
    conn_end(c);
    return NULL;
}

/* ---- taking them in ---- */

static void host_of(const struct sockaddr_storage *a, uint8_t ret[16])
{
    memset(ret, 0, 16);
    if (a->ss_family == AF_INET)
        memcpy(ret, &((const struct sockaddr_in *)a)->sin_addr, 4);
    else if (a->ss_family == AF_INET6)
        memcpy(ret, &((const struct sockaddr_in6 *)a)->sin6_addr, 8);
    if (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)a)->sin6_addr))
        memcpy(ret, (const uint8_t *)&((const struct sockaddr_in6 *)a)->sin6_addr + 12, 4);
}

/* Enters it; NULL when its address has its share, or there is no memory. */
static struct conn *conn_begin(struct listen *l, int fd, const struct sockaddr_storage *from)
{
    unsigned same = 0;
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->l = l;
    c->fd = fd;
    host_of(from, c->host);
    pthread_mutex_lock(&l->lock);
    for (const struct conn *o = l->conns; o && !l->at.path; o = o->next)
        same += !memcmp(o->host, c->host, sizeof c->host);
    if (same < SHARE) {
        if ((c->next = l->conns))
            c->next->self = &c->next;
        c->self = &l->conns;
        l->conns = c;
        l->count++;
    }
    pthread_mutex_unlock(&l->lock);
    if (same < SHARE)
        return c;
    free(c);
    return NULL;
}

static int thread_begin(pthread_t *ret, void *(*run)(void *), void *ctx, bool detached)
{
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    if (detached)
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(ret, &attr, run, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return r;
}

static void take_one(struct listen *l, int from)
{
    struct sockaddr_storage who = { 0 };
    socklen_t size = sizeof who;
    int one = 1, fd = accept4(from, (struct sockaddr *)&who, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    pthread_t thread;
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            poll(NULL, 0, FULL_MS);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    struct conn *c = conn_begin(l, fd, &who);
    if (c && thread_begin(&thread, run_conn, c, true) == 0)
        return;
    close(fd);
    if (c)
        conn_end(c);
}

static bool is_full(struct listen *l)
{
    pthread_mutex_lock(&l->lock);
    bool full = l->count >= CONNECTIONS;
    pthread_mutex_unlock(&l->lock);
    return full;
}

static void *run_listener(void *ctx)
{
    struct listen *l = ctx;
    struct pollfd p[LISTENERS + 1];
    while (!listen_is_leaving(l)) {
        bool full = is_full(l);
        p[0] = (struct pollfd){ .fd = l->leaving, .events = POLLIN };
        for (int i = 0; i < l->at.count; i++)
            p[i + 1] = (struct pollfd){ .fd = full ? -1 : l->at.fds[i], .events = POLLIN };
        poll(p, (nfds_t)l->at.count + 1, full ? FULL_MS : -1);
        for (int i = 0; i < l->at.count; i++)
            if (!full && p[i + 1].revents)
                take_one(l, l->at.fds[i]);
    }
    return NULL;
}

/* ---- life ---- */

struct listen *listen_new(const struct listen_options *o, struct err *e)
{
    const struct credential_files files = { .certfile = o->certfile, .keyfile = o->keyfile };
    struct listen *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    l->o = *o;
    l->at = (struct sockets){ .address = o->address, .permissions = o->permissions };
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &attr);
    pthread_condattr_destroy(&attr);
    l->leaving = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->halt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool is_unix = str_starts(str_from(o->address), STR("unix:"));
    int r = l->leaving < 0 || l->halt < 0 ? err_errno(e, "eventfd") : 0;
    if (r == 0 && is_unix && o->certfile)
        r = err_set(e, ERR_USAGE, "%s: TLS is not for Unix sockets", o->address);
    if (r == 0)
        r = sockets_open(&l->at, e);
    if (r == 0 && o->certfile && !(l->certificate = credential_store_new(&files, o->name, &o->log, e)))
        r = -1;
    if (r < 0)
        listen_freep(&l);
    return l;
}

int listen_start(struct listen *l, struct err *e)
{
    int r = thread_begin(&l->thread, run_listener, l, false);
    if (r)
        return err_set(e, ERR_IO, "thread: %s", strerror(r));
    l->started = true;
    return 0;
}

static bool wait_for_conns(struct listen *l, int64_t ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += ms / 1000;
    end.tv_nsec += ms % 1000 * 1000000;
    if (end.tv_nsec >= 1000000000)
        end.tv_sec++, end.tv_nsec -= 1000000000;
    pthread_mutex_lock(&l->lock);
    while (l->count && (ms < 0 || pthread_cond_timedwait(&l->changed, &l->lock, &end) == 0))
        if (ms < 0)
            pthread_cond_wait(&l->changed, &l->lock);
    bool gone = !l->count;
    pthread_mutex_unlock(&l->lock);
    return gone;
}

static void raise_event(int fd)
{
    const uint64_t one = 1;
    if (fd >= 0 && write(fd, &one, sizeof one) < 0)
        return; /* it is raised already */
}

void listen_stop(struct listen *l)
{
    if (listen_is_leaving(l))
        return;
    __atomic_store_n(&l->is_leaving, true, __ATOMIC_RELEASE);
    raise_event(l->leaving);
    if (l->started)
        pthread_join(l->thread, NULL);
    sockets_close(&l->at);
    if (wait_for_conns(l, l->o.stop_ms))
        return;
    raise_event(l->halt);
    wait_for_conns(l, -1);
}

void listen_freep(struct listen **lp)
{
    struct listen *l = *lp;
    if (!l)
        return;
    listen_stop(l);
    close_fdp(&l->leaving);
    close_fdp(&l->halt);
    credential_store_freep(&l->certificate);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
    *lp = NULL;
}
