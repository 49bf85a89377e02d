/* HTTP/1.1 in TLS: libmicrohttpd has one end of a socket pair, and what is said there in plain text goes through TLS here. Each side
 * is read only when the other has taken what was read before. */
#include "net/server_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ROUNDS    8
#define PAIR_SIZE (64 << 10) /* bytes that the kernel holds of an answer */

/* What the client said, or what is left of it, to libmicrohttpd. False: it does not listen any more. */
static bool give(struct wire *w)
{
    while (w->in_at < w->in.len) {
        ssize_t n = send(w->pair.fd, w->in.ptr + w->in_at, w->in.len - w->in_at, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0)
            return false;
        w->in_at += (size_t)n;
    }
    buf_done(&w->in);
    w->in_at = 0;
    return true;
}

/* False: the connection broke. *moved: bytes went on. */
static bool pump_in(struct wire *w, bool *moved)
{
    struct loop *l = &w->s->loop;
    if (!give(w)) { /* it closes, and perhaps has an answer for us to send */
        buf_done(&w->in);
        w->in_at = 0;
        w->ended = true;
    }
    if (w->in.len || w->ended)
        return true;
    ssize_t n = wire_recv(w, l->scratch, sizeof l->scratch);
    if (n == IO_ERROR)
        return false;
    if (n == IO_AGAIN)
        return true;
    *moved = true;
    if (n == IO_END) {
        w->ended = true;
        shutdown(w->pair.fd, SHUT_WR);
        return true;
    }
    buf_add(&w->in, l->scratch, (size_t)n);
    return !w->in.failed;
}

/* False: the connection broke. *last: there will be no more to send. */
static bool pump_out(struct wire *w, bool *moved, bool *last)
{
    struct loop *l = &w->s->loop;
    int r = wire_flush(w);
    if (r != 1)
        return r == IO_AGAIN;
    ssize_t n = recv(w->pair.fd, l->scratch, sizeof l->scratch, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    *moved = true;
    *last = n <= 0;
    if (n > 0)
        wire_add(w, l->scratch, (size_t)n);
    return !w->out.failed && wire_flush(w) != IO_ERROR;
}

static enum step pump(struct wire *w)
{
    if (w->pair.ended && w->cut_ms == INT64_MAX) /* only what lies between us is still to be sent */
        w->cut_ms = send_limit(w->s, PAIR_SIZE + w->out.len);
    for (int i = 0; i < ROUNDS; i++) {
        bool moved = false, last = false;
        if (!pump_in(w, &moved) || !pump_out(w, &moved, &last))
            return STEP_CLOSE;
        if (last) {
            pump_done(w);
            return wire_finish(w);
        }
        if (!moved) {
            if (!w->out.len)
                buf_done(&w->out); /* who is silent keeps nothing */
            return STEP_WAIT;
        }
    }
    return STEP_AGAIN;
}

void pump_done(struct wire *w) { close_fdp(&w->pair.fd); }

enum step pump_begin(struct wire *w)
{
    int fds[2], size = PAIR_SIZE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return STEP_CLOSE;
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    w->pair.fd = fds[0];
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = &w->pair };
    struct conn *inner = conn_inner(w->s, fds[1], w->c);
    if (!inner || epoll_ctl(w->s->loop.epoll, EPOLL_CTL_ADD, fds[0], &e) < 0) {
        conn_freep(w->s, &inner);
        close(fds[1]);
        return STEP_CLOSE;
    }
    http1_take(w->s, inner, AF_UNIX);
    w->cut_ms = INT64_MAX; /* libmicrohttpd's time limits count, at the other end */
    w->step = pump;
    return STEP_AGAIN;
}
