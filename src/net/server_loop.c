/* The loop: all connections that are not plain HTTP/1.1, on one thread. It never waits for any of them. */
#include "net/server_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define HANDSHAKE_MS 10000
#define LINGER_MS                                                                                            \
    2000 /* for the peer to read what it was sent last, before its own bytes would make that a reset */
#define LAST_MS      1000 /* when the server stops, for answers that are on their way */
#define EVENTS       64
#define LINGER_READS 16

static const char plain_refused[] =
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/* ---- the life of a wire ---- */

static struct wire *wire_new(struct server *s, struct conn *c)
{
    struct wire *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->s = s;
    w->c = c;
    w->net = (struct watch){ .wire = w, .fd = c->fd };
    w->pair = (struct watch){ .wire = w, .fd = -1 };
    return w;
}

static void wire_close(struct wire *w)
{
    struct loop *l = &w->s->loop;
    if (w->closed)
        return;
    w->closed = true;
    http2_done(w);
    pump_done(w);
    tls_done(&w->tls);
    buf_done(&w->in);
    buf_done(&w->out);
    close_fdp(&w->net.fd);
    conn_freep(w->s, &w->c);
    *w->self = w->next;
    if (w->next)
        w->next->self = w->self;
    w->next = l->dead; /* an event of it may still be in hand */
    l->dead = w;
}

/* Those that still stand in the row come later. */
static void free_dead(struct loop *l)
{
    struct wire *w = l->dead;
    l->dead = NULL;
    while (w) {
        struct wire *next = w->next;
        if (w->queued) {
            w->next = l->dead;
            l->dead = w;
        } else {
            free(w);
        }
        w = next;
    }
}

void wire_queue(struct wire *w)
{
    struct loop *l = &w->s->loop;
    if (w->queued)
        return;
    w->queued = true;
    w->again = NULL;
    *l->again_tail = w;
    l->again_tail = &w->again;
}

static void take_step(struct wire *w)
{
    if (w->closed)
        return;
    enum step step = w->step(w);
    if (step == STEP_CLOSE)
        wire_close(w);
    else if (step == STEP_AGAIN)
        wire_queue(w);
}

/* ---- bytes ---- */

ssize_t wire_recv(struct wire *w, char *to, size_t room)
{
    if (!w->net.readable && !w->tls.session) /* TLS may have some of its own */
        return IO_AGAIN;
    ssize_t n = w->tls.session ? tls_recv(&w->tls, to, room) : recv(w->net.fd, to, room, 0);
    if (n < 0 && !w->tls.session)
        n = errno == EAGAIN || errno == EINTR ? IO_AGAIN : IO_ERROR;
    if (n == IO_AGAIN)
        w->net.readable = false;
    return n;
}

void wire_add(struct wire *w, const void *bytes, size_t n)
{
    if (!w->out.len)
        w->moved_ms = clock_ms();
    buf_add(&w->out, bytes, n);
}

int wire_flush(struct wire *w)
{
    while (w->out_at < w->out.len) {
        const char *bytes = w->out.ptr + w->out_at;
        size_t left = w->out.len - w->out_at;
        ssize_t n =
            w->tls.session ? tls_send(&w->tls, bytes, left) : send(w->net.fd, bytes, left, MSG_NOSIGNAL);
        if (n < 0 && !w->tls.session)
            n = errno == EAGAIN || errno == EINTR ? IO_AGAIN : IO_ERROR;
        if (n == IO_AGAIN)
            w->net.writable = false;
        if (n < 0)
            return (int)n;
        w->out_at += (size_t)n;
        w->moved_ms = clock_ms();
    }
    buf_clear(&w->out);
    w->out_at = 0;
    return 1;
}

/* ---- the end of a connection ---- */

/* A close with bytes unread would be a reset, and the peer might lose what it has not read yet. */
static enum step linger(struct wire *w)
{
    struct loop *l = &w->s->loop;
    for (int i = 0; i < LINGER_READS; i++) {
        ssize_t n = recv(w->net.fd, l->scratch, sizeof l->scratch, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return STEP_CLOSE;
        if (n < 0)
            return STEP_WAIT;
    }
    return STEP_AGAIN;
}

static enum step finish(struct wire *w)
{
    int r = wire_flush(w);
    if (r == 1 && w->tls.session)
        r = tls_bye(&w->tls);
    if (r == IO_AGAIN)
        return STEP_WAIT;
    if (r == IO_ERROR || w->s->loop.ending)
        return STEP_CLOSE;
    shutdown(w->net.fd, SHUT_WR);
    w->cut_ms = clock_ms() + LINGER_MS;
    w->step = linger;
    return STEP_AGAIN;
}

enum step wire_finish(struct wire *w)
{
    w->cut_ms = send_limit(w->s, w->out.len - w->out_at);
    w->step = finish;
    return STEP_AGAIN;
}

/* ---- its beginning ---- */

/* What we send goes at once: it is gathered before. */
static void send_at_once(const struct wire *w)
{
    int yes = 1;
    setsockopt(w->net.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const int after = 60, each = 10, tries = 6; /* seconds: who is silent by nature may still be there */
    setsockopt(w->net.fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(w->net.fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
    setsockopt(w->net.fd, IPPROTO_TCP, TCP_KEEPINTVL, &each, sizeof each);
    setsockopt(w->net.fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    const unsigned unheard = 120000; /* milliseconds: the same for who was sent something */
    setsockopt(w->net.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard, sizeof unheard);
}

static void notice(const struct wire *w, enum server_notice what, const char *text)
{
    if (w->s->o.notice)
        w->s->o.notice(what, w->c->peer, text);
}

static enum step handshake(struct wire *w)
{
    char why[256];
    int r = tls_handshake(&w->tls, why, sizeof why);
    if (r == IO_AGAIN)
        return STEP_WAIT;
    if (r == IO_ERROR) {
        notice(w, NOTICE_REFUSED, why);
        tls_done(&w->tls);
        return wire_finish(w);
    }
    return tls_is_http2(&w->tls) ? http2_begin(w) : pump_begin(w);
}

static enum step begin_handshake(struct wire *w)
{
    if (tls_begin(w->s->loop.tls, &w->net, &w->tls) < 0)
        return STEP_CLOSE;
    send_at_once(w);
    unsigned limit = w->s->o.idle_ms < HANDSHAKE_MS ? w->s->o.idle_ms : HANDSHAKE_MS;
    w->cut_ms = clock_ms() + limit;
    w->step = handshake;
    return handshake(w);
}

/* What begins with a letter is plain HTTP (Go's rule looks at a few methods); TLS begins with 22. */
static enum step open_tls(struct wire *w)
{
    char first;
    ssize_t n = recv(w->net.fd, &first, 1, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return STEP_WAIT;
    if (n <= 0)
        return STEP_CLOSE;
    if (first >= 'A' && first <= 'Z') {
        wire_add(w, plain_refused, sizeof plain_refused - 1);
        return wire_finish(w);
    }
    return begin_handshake(w);
}

/* Its socket leaves us. */
static enum step give_to_http1(struct wire *w)
{
    struct conn *c = w->c;
    epoll_ctl(w->s->loop.epoll, EPOLL_CTL_DEL, w->net.fd, NULL);
    w->net.fd = -1;
    w->c = NULL;
    conn_move(w->s, c, CONN_HANDED);
    http1_take(w->s, c, AF_INET);
    return STEP_CLOSE;
}

static enum step open_plain(struct wire *w)
{
    switch (conn_opening(w->net.fd)) {
    case OPENING_HTTP1:
        return give_to_http1(w);
    case OPENING_HTTP2:
        send_at_once(w);
        return http2_begin(w);
    case OPENING_UNCLEAR:
        return STEP_WAIT;
    case OPENING_GONE:
        break;
    }
    return STEP_CLOSE;
}

static void arrive(struct wire *w)
{
    struct loop *l = &w->s->loop;
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = &w->net };
    w->next = l->wires;
    w->self = &l->wires;
    if (w->next)
        w->next->self = &w->next;
    l->wires = w;
    w->cut_ms = clock_ms() + w->s->o.idle_ms;
    w->step = l->tls ? open_tls : open_plain;
    if (l->calm || epoll_ctl(l->epoll, EPOLL_CTL_ADD, w->net.fd, &e) < 0)
        wire_close(w);
}

/* Bytes that are there when epoll begins to look are an event, too. */
void loop_take(struct server *s, struct conn *c)
{
    struct wire *w = wire_new(s, c);
    if (!w) {
        close(c->fd);
        conn_freep(s, &c);
        return;
    }
    conn_move(s, c, CONN_WIRE);
    pthread_mutex_lock(&s->lock);
    w->next = s->loop.arrivals;
    s->loop.arrivals = w;
    pthread_mutex_unlock(&s->lock);
    loop_wake(s);
}

/* ---- the thread ---- */

void loop_wake(struct server *s)
{
    uint64_t one = 1;
    ssize_t n = write(s->loop.wake, &one, sizeof one);
    (void)n; /* full: it is awake */
}

static void take_arrivals(struct server *s)
{
    struct loop *l = &s->loop;
    pthread_mutex_lock(&s->lock);
    struct wire *w = l->arrivals;
    struct exchange *x = l->done;
    l->arrivals = NULL;
    l->done = NULL;
    pthread_mutex_unlock(&s->lock);
    while (w) {
        struct wire *next = w->next;
        arrive(w);
        w = next;
    }
    while (x) {
        pthread_mutex_lock(&s->lock);
        struct exchange *next = x->next;
        x->listed = false; /* from now on it may come again */
        pthread_mutex_unlock(&s->lock);
        http2_go_on(x);
        exchange_drop(x);
        x = next;
    }
}

/* Nobody new gets in: what has not begun ends. */
static void calm_down(struct server *s)
{
    struct loop *l = &s->loop;
    for (struct wire *w = l->wires, *next; w; w = next) {
        next = w->next;
        if (w->step == open_plain || w->step == open_tls || w->step == handshake)
            wire_close(w);
    }
    pthread_mutex_lock(&s->lock);
    l->calm = true;
    pthread_cond_broadcast(&l->calmed);
    pthread_mutex_unlock(&s->lock);
}

static void leave_all(struct server *s)
{
    for (struct wire *w = s->loop.wires, *next; w; w = next) {
        next = w->next;
        if (w->h2.session)
            http2_leave(w);
    }
}

/* Answers that are on their way have a moment to get there. */
static void end_all(struct server *s)
{
    int64_t limit = clock_ms() + LAST_MS;
    s->loop.ending = true;
    for (struct wire *w = s->loop.wires, *next; w; w = next) {
        next = w->next;
        if (w->step == linger) {
            wire_close(w);
            continue;
        }
        if (w->h2.session) {
            http2_done(w);
            wire_finish(w);
        }
        w->cut_ms = w->cut_ms < limit ? w->cut_ms : limit;
        wire_queue(w);
    }
}

static void obey(struct server *s)
{
    struct loop *l = &s->loop;
    pthread_mutex_lock(&s->lock);
    bool closing = l->closing, calm = l->calm, end = l->end;
    pthread_mutex_unlock(&s->lock);
    if (__atomic_load_n(&s->stopping, __ATOMIC_RELAXED))
        leave_all(s);
    if (closing && !calm)
        calm_down(s);
    if (end && !l->ending)
        end_all(s);
}

/* Its time is up, or it takes nothing of what it is sent. */
static bool is_over(const struct wire *w, int64_t now)
{
    return w->cut_ms <= now || (w->out.len && now - w->moved_ms >= w->s->o.idle_ms);
}

static void tick(struct server *s, int64_t now)
{
    for (struct wire *w = s->loop.wires, *next; w; w = next) {
        next = w->next;
        if (w->cut_ms <= now && w->h2.session && !w->h2.leaving) {
            http2_leave(w);
            w->cut_ms = now + LINGER_MS;
        }
        if (is_over(w, now) || (w->h2.session && !http2_tick(w, now)))
            wire_close(w);
    }
}

static void hear(struct server *s, const struct epoll_event *e)
{
    struct watch *watch = e->data.ptr;
    if (!watch) {
        uint64_t count;
        ssize_t got = read(s->loop.wake, &count, sizeof count);
        (void)got; /* it says only: look again */
        return;
    }
    if (watch->wire->closed)
        return;
    if (watch == &watch->wire->pair)
        watch->ended |= (e->events & (EPOLLHUP | EPOLLRDHUP)) != 0;
    watch->readable |= (e->events & ~(uint32_t)EPOLLOUT) != 0;
    watch->writable |= (e->events & ~(uint32_t)EPOLLIN) != 0;
    wire_queue(watch->wire);
}

static void run_queue(struct loop *l)
{
    struct wire *w = l->again;
    l->again = NULL;
    l->again_tail = &l->again;
    while (w) {
        struct wire *next = w->again;
        w->queued = false;
        take_step(w);
        w = next;
    }
}

static void *run(void *ctx)
{
    struct server *s = ctx;
    struct loop *l = &s->loop;
    int period = sweep_period(s);
    int64_t next_tick = 0;
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, l->again ? 0 : l->wires ? period : -1);
        for (int i = 0; i < n; i++)
            hear(s, &events[i]);
        take_arrivals(s);
        obey(s);
        run_queue(l);
        int64_t now = clock_ms();
        if (next_tick <= now) {
            tick(s, now);
            next_tick = now + period;
        }
        free_dead(l);
        if (l->ending && !l->wires && !l->dead)
            return NULL;
    }
}

/* ---- life ---- */

int loop_start(struct server *s, struct err *e)
{
    struct loop *l = &s->loop;
    l->again_tail = &l->again;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN };
    int r = 0;
    if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &event) < 0)
        r = errno;
    if (!r)
        r = thread_start(&l->thread, run, s);
    l->started = !r;
    if (!r)
        return 0;
    close_fdp(&l->epoll);
    close_fdp(&l->wake);
    return err_set(e, ERR_IO, "cannot start a thread: %s", strerror(r));
}

void loop_calm(struct server *s)
{
    struct loop *l = &s->loop;
    if (!l->started)
        return;
    pthread_mutex_lock(&s->lock);
    l->closing = true;
    loop_wake(s);
    while (!l->calm)
        pthread_cond_wait(&l->calmed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void loop_stop(struct server *s)
{
    struct loop *l = &s->loop;
    if (!l->started)
        return;
    pthread_mutex_lock(&s->lock);
    l->end = true;
    pthread_mutex_unlock(&s->lock);
    loop_wake(s);
    pthread_join(l->thread, NULL);
    l->started = false;
    while (l->done) { /* of connections that are closed */
        struct exchange *x = l->done;
        l->done = x->next;
        exchange_drop(x);
    }
    close_fdp(&l->epoll);
    close_fdp(&l->wake);
}
