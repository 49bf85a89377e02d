#include "proxy/tunnel.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/socket.h>

#define ROOM     ((size_t)64 << 10)
#define ONE_TURN ((size_t)1 << 20) /* then the other direction has its turn */

void flow_begin(struct flow *f, struct link *from, struct link *to, enum body_kind kind, uint64_t length,
                bool chunked)
{
    *f = (struct flow){ .from = from, .to = to, .out.max = ROOM * 4 };
    framing_begin(&f->framing, kind, length, chunked);
}

void flow_done(struct flow *f)
{
    framing_done(&f->framing);
    buf_done(&f->out);
}

/* What is there goes into `out`. 0 there was something, or the end; else a state. */
static int take(struct flow *f, enum flow_state *state, struct err *e)
{
    str bytes = link_bytes(f->from);
    if (!bytes.len) {
        ptrdiff_t n = link_read(f->from);
        *state = n == LINK_AGAIN ? FLOW_READS : FLOW_READ_FAILED;
        if (n == LINK_AGAIN)
            return -1;
        if (n == LINK_ERROR)
            return err_set(e, ERR_NETWORK, "read: connection reset by peer");
        if (n == 0)
            return framing_end(&f->framing, &f->out, e);
        bytes = link_bytes(f->from);
    }
    ptrdiff_t used = framing_take(&f->framing, bytes, &f->out, e);
    *state = FLOW_READ_FAILED;
    if (used < 0)
        return -1;
    link_use(f->from, (size_t)used);
    f->moved += (uint64_t)used;
    return f->out.failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

enum flow_state flow_step(struct flow *f, struct err *e)
{
    enum flow_state state = FLOW_READS;
    for (size_t turn = 0; turn < ONE_TURN;) {
        if (f->at < f->out.len) {
            ptrdiff_t n = link_write(f->to, str_of(f->out.ptr + f->at, f->out.len - f->at));
            if (n == LINK_AGAIN)
                return FLOW_WRITES;
            if (n == LINK_ERROR) {
                err_set(e, ERR_NETWORK, "write: broken pipe");
                return FLOW_WRITE_FAILED;
            }
            f->at += (size_t)n;
            f->moved += (uint64_t)n;
            turn += (size_t)n;
            continue;
        }
        f->at = f->out.len = 0;
        if (f->framing.done)
            return FLOW_DONE;
        if (take(f, &state, e) < 0)
            return state;
    }
    return f->at < f->out.len ? FLOW_WRITES : FLOW_READS;
}

static short wants(enum flow_state s, enum flow_state when, short event) { return s == when ? event : 0; }

void tunnel_run(struct link *a, struct link *b, int64_t idle_ms)
{
    struct flow there, back;
    struct err e = { 0 };
    bool closed[2] = { false, false };
    uint64_t moved = 0;
    int64_t end = clock_ms() + idle_ms;
    flow_begin(&there, a, b, BODY_UNTIL_CLOSE, 0, false);
    flow_begin(&back, b, a, BODY_UNTIL_CLOSE, 0, false);
    for (;;) {
        enum flow_state s = flow_step(&there, &e), t = flow_step(&back, &e);
        if (s >= FLOW_READ_FAILED || t >= FLOW_READ_FAILED || (s == FLOW_DONE && t == FLOW_DONE))
            break;
        struct link *ended = s == FLOW_DONE && !closed[0] ? b : t == FLOW_DONE && !closed[1] ? a : NULL;
        closed[0] |= s == FLOW_DONE;
        closed[1] |= t == FLOW_DONE;
        if (ended && ended->tls)
            gnutls_bye(ended->tls, GNUTLS_SHUT_WR);
        else if (ended)
            shutdown(ended->fd, SHUT_WR);
        if (there.moved + back.moved != moved)
            end = clock_ms() + idle_ms;
        moved = there.moved + back.moved;
        short ea = (short)(wants(s, FLOW_READS, POLLIN) | wants(t, FLOW_WRITES, POLLOUT));
        short eb = (short)(wants(t, FLOW_READS, POLLIN) | wants(s, FLOW_WRITES, POLLOUT));
        if (link_wait(a, ea, b, eb, end) <= 0)
            break;
    }
    flow_done(&there);
    flow_done(&back);
}
