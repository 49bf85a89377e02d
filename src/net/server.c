/* The server's life: start, stop, and the acceptor's thread, which also cuts off who takes too long. */
#include "net/server_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define REST_STEP_MS 20
#define BACKOFF_MS   100 /* after accept() failed for want of descriptors or memory */

/* ---- options ---- */

static void fill_defaults(struct server_options *o)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = cores < 1 ? 1 : cores > 256 ? 256 : (unsigned)cores;
    o->read_threads = o->read_threads ? o->read_threads : 2 * n;
    o->long_threads = o->long_threads ? o->long_threads : n;
    o->queue_max = o->queue_max ? o->queue_max : 1024;
    o->connections = o->connections ? o->connections : 4096;
    o->body_max = o->body_max ? o->body_max : (size_t)1 << 20;
    o->answers_max = o->answers_max ? o->answers_max : (size_t)1 << 30;
    o->idle_ms = o->idle_ms ? o->idle_ms : 60000;
    o->receive_rate = o->receive_rate ? o->receive_rate : 4 << 10;
    o->send_rate = o->send_rate ? o->send_rate : 16 << 10;
    o->receive_ms = o->receive_ms ? o->receive_ms : 60000;
}

/* ---- jobs ---- */

/* On a pool's thread. A look-up that nobody waits for any more is not begun; long work is, as its client may count on it. */
static void run_job(struct exchange *x)
{
    struct server *s = x->s;
    pthread_mutex_lock(&s->lock);
    bool wanted = x->upload ? x->fate != FATE_CLOSED
                            : x->fate == FATE_WAITING || (x->fate == FATE_LATE && x->service == SERVE_LONG);
    pthread_mutex_unlock(&s->lock);
    if (!wanted)
        return;
    exchange_run(x);
    pthread_mutex_lock(&s->lock);
    upload_ran(x);
    if (x->fate == FATE_WAITING) {
        x->fate = FATE_DONE;
        exchange_resume(x);
    }
    bool told = x->upload && x->upload->told;
    pthread_mutex_unlock(&s->lock);
    if (told)
        exchange_told(x, x->response.status);
}

/* ---- the acceptor ---- */

void server_wake(struct server *s)
{
    uint64_t one = 1;
    ssize_t n = write(s->wake, &one, sizeof one);
    (void)n; /* full: it is awake */
}

/* Most clients of plain HTTP/1.1 have spoken before they are accepted, and need no detour. */
static void take_in(struct server *s, int fd, const struct sockaddr *addr)
{
    struct conn *c = conn_new(s, fd, addr);
    if (!c)
        close(fd);
    else if (!s->loop.tls && conn_opening(fd) == OPENING_HTTP1)
        http1_take(s, c, AF_INET);
    else
        loop_take(s, c);
}

/* Returns false when the process has no more descriptors. */
static bool accept_some(struct server *s, int listener)
{
    for (unsigned i = 0; i < 64; i++) {
        struct sockaddr_storage addr;
        socklen_t len = sizeof addr;
        pthread_mutex_lock(&s->lock);
        bool full = s->conn_count >= s->o.connections;
        pthread_mutex_unlock(&s->lock);
        if (full)
            return true;
        int fd = accept4(listener, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
        take_in(s, fd, (const struct sockaddr *)&addr);
    }
    return true;
}

/* Of data and the end that come at once, libmicrohttpd 0.9.75 with epoll sees the data alone: the connection would stay until it is
 * idle for too long. What was so a sweep ago is no request that is still to be read. */
static bool is_left(struct conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
    bool before = c->half_closed;
    int unread = 0;
    bool busy =
        c->x && (c->x->active || (c->x->upload && (c->x->upload->paused ||
                                                   (ioctl(c->fd, FIONREAD, &unread) == 0 && unread))));
    c->half_closed = !busy && poll(&p, 1, 0) > 0 && (p.revents & POLLRDHUP);
    return before && c->half_closed;
}

static void sweep(struct server *s)
{
    int64_t now = clock_ms();
    pthread_mutex_lock(&s->lock);
    for (struct conn *c = s->conns[CONN_HTTP1]; c; c = c->next) {
        if (c->cut_ms <= now || is_left(c)) {
            c->cut_ms = INT64_MAX;
            shutdown(c->fd, SHUT_RDWR); /* the loop sees an end and closes it */
        }
        if (c->x && exchange_late(c->x, now))
            http1_resume(c->x);
    }
    pthread_mutex_unlock(&s->lock);
}

int sweep_period(const struct server *s)
{
    int64_t least = s->o.idle_ms < s->o.receive_ms ? s->o.idle_ms : s->o.receive_ms;
    if (s->o.timeout_ms && s->o.timeout_ms < least)
        least = s->o.timeout_ms;
    return least < 80 ? 10 : least > 8000 ? 1000 : (int)(least / 8);
}

static void close_listeners(struct server *s)
{
    for (size_t i = 0; i < s->listener_count; i++)
        close_fdp(&s->listeners[i]);
    s->listener_count = 0;
}

static void *accept_all(void *ctx)
{
    struct server *s = ctx;
    int period = sweep_period(s);
    bool short_of = false; /* descriptors or memory */
    int64_t next_sweep = 0;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        bool full = s->conn_count >= s->o.connections, idle = s->conn_count == 0, closing = s->closing;
        if (s->stopping)
            close_listeners(s);
        pthread_mutex_unlock(&s->lock);
        if (closing)
            return NULL;

        struct pollfd fds[LISTENERS_MAX + 1] = { { .fd = s->wake, .events = POLLIN } };
        nfds_t n = 1;
        for (size_t i = 0; i < s->listener_count && !full && !short_of; i++)
            fds[n++] = (struct pollfd){ .fd = s->listeners[i], .events = POLLIN };
        int wait = short_of ? BACKOFF_MS : idle ? -1 : period;
        poll(fds, n, wait);
        short_of = false;
        if (fds[0].revents) {
            uint64_t count;
            ssize_t got = read(s->wake, &count, sizeof count);
            (void)got; /* it says only: look again */
        }
        for (nfds_t i = 1; i < n; i++)
            if (fds[i].revents)
                short_of |= !accept_some(s, fds[i].fd);
        if (next_sweep <= clock_ms()) {
            sweep(s);
            next_sweep = clock_ms() + period;
        }
    }
}

/* ---- life ---- */

static void init_locks(struct server *s)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->quiet, &attr);
    pthread_cond_init(&s->loop.calmed, &attr);
    pthread_condattr_destroy(&attr);
}

struct server *server_new(const struct server_options *o, const struct server_handler *h, struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    s->o = *o;
    s->h = *h;
    fill_defaults(&s->o);
    init_locks(s);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = s->wake < 0 ? err_errno(e, "eventfd") : 0;
    /* both, even if the first fails: server_freep() takes them down */
    r |= pool_init(&s->read_pool, s->o.read_threads, s->o.queue_max, run_job, e);
    r |= pool_init(&s->long_pool, s->o.long_threads, s->o.queue_max, run_job, e);
    bool tls = o->tls.certfile || o->tls.keyfile || o->tls.cafile;
    if (r || (tls && !(s->loop.tls = tls_new(&s->o, e))) || server_listen(s, o->address, e) < 0)
        server_freep(&s);
    return s;
}

unsigned server_port(const struct server *s) { return s->port; }

static uint64_t pool_load(struct pool *p, unsigned *waiting, unsigned *running)
{
    pthread_mutex_lock(&p->lock);
    *waiting = p->waiting;
    *running = p->running;
    uint64_t refused = p->refused;
    pthread_mutex_unlock(&p->lock);
    return refused;
}

void server_load(struct server *s, struct server_load *ret)
{
    pthread_mutex_lock(&s->lock);
    ret->connections = s->conn_count;
    ret->requests = s->active;
    pthread_mutex_unlock(&s->lock);
    ret->refused = pool_load(&s->read_pool, &ret->read.waiting, &ret->read.running);
    ret->refused += pool_load(&s->long_pool, &ret->work.waiting, &ret->work.running);
}

int server_start(struct server *s, struct err *e)
{
    if (http1_start(s, e) < 0)
        return -1;
    if (loop_start(s, e) < 0) {
        http1_stop(s);
        return -1;
    }
    int r = thread_start(&s->acceptor, accept_all, s);
    if (r) {
        loop_calm(s);
        http1_stop(s);
        loop_stop(s);
        return err_set(e, ERR_IO, "cannot start a thread: %s", strerror(r));
    }
    s->started = true;
    return 0;
}

/* server.lock is held. */
static void wait_until_quiet(struct server *s, int64_t wait_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (wait_ms > 0) {
        end.tv_sec += wait_ms / 1000;
        end.tv_nsec += wait_ms % 1000 * 1000000;
        end.tv_sec += end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
    }
    int r = 0;
    while (s->active && r == 0)
        r = wait_ms < 0 ? pthread_cond_wait(&s->quiet, &s->lock)
                        : pthread_cond_timedwait(&s->quiet, &s->lock, &end);
}

void server_stop(struct server *s, int64_t wait_ms)
{
    if (s->stopped)
        return;
    s->stopped = true;
    pthread_mutex_lock(&s->lock);
    __atomic_store_n(&s->stopping, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < s->listener_count; i++)
        shutdown(s->listeners[i], SHUT_RDWR);
    server_wake(s);
    if (s->started) {
        loop_wake(s);
        wait_until_quiet(s, wait_ms);
    }
    s->closing = true;
    for (struct conn *c = s->conns[CONN_HTTP1]; c; c = c->next)
        if (c->x && (c->x->fate == FATE_WAITING || (c->x->upload && c->x->upload->paused))) {
            c->x->fate = FATE_CLOSED;
            upload_wake(c->x);
            http1_resume(c->x);
        }
    pthread_mutex_unlock(&s->lock);
    server_wake(s);
    if (s->started)
        pthread_join(s->acceptor, NULL);
    loop_calm(s);
    http1_stop(s);
    loop_stop(s);
    pool_stop(&s->read_pool);
    pool_stop(&s->long_pool);
    close_listeners(s);
}

bool server_rest(struct server *s, int64_t wait_ms)
{
    int64_t end = clock_ms() + wait_ms;
    while (pool_busy(&s->read_pool) || pool_busy(&s->long_pool)) {
        if (clock_ms() >= end)
            return false;
        poll(NULL, 0, REST_STEP_MS);
    }
    return true;
}

void server_freep(struct server **sp)
{
    struct server *s = *sp;
    if (!s)
        return;
    server_stop(s, 0);
    pool_done(&s->read_pool);
    pool_done(&s->long_pool);
    tls_freep(&s->loop.tls);
    close_fdp(&s->wake);
    pthread_cond_destroy(&s->loop.calmed);
    pthread_cond_destroy(&s->quiet);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *sp = NULL;
}
