#include "proxy/forward.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "proxy/tunnel.h"

#include <poll.h>

#define WRITE_MS    30000
#define CLIENT_MS   60000
#define UPSTREAM_MS (20 * 60000)
#define TUNNEL_MS   3600000
#define GO_ERROR    "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"

/* What an upstream may have done with a request that failed. */
enum failure {
    FAILED_LATE,   /* it has answered, or is slow, or all ends here: anything */
    FAILED_SILENT, /* its connection ended before a byte of an answer: it may have acted */
    FAILED_UNSENT, /* its connection ended before it had all of the head: nothing */
};

struct exchange {
    const struct forward *f;
    struct link *up;
    bool kept; /* the link has served before */
    enum failure failure;
    struct flow request, response;
    bool begun;         /* the response's head is with the client */
    bool request_ended; /* nothing more of it can be sent */
    struct head head;
    struct buf copy; /* of the response's head */
    size_t seen;
    unsigned status;
};

/* ---- heads ---- */

/* HTTP/2 ("h2c") would carry requests that nobody has judged; so would what is not known. */
static bool upgrades(const struct head *asked)
{
    return !asked->http10 && asked->body == BODY_NONE && head_is(asked->upgrade, "websocket");
}

static void put_upgrade(str upgrade, struct buf *out)
{
    if (upgrade.len)
        buf_printf(out, "Connection: Upgrade\r\nUpgrade: " STR_FMT "\r\n", STR_ARG(upgrade));
}

static void put_request(const struct forward *f, struct buf *out)
{
    const struct head *h = f->head;
    buf_printf(out, STR_FMT " ", STR_ARG(h->method));
    buf_str(out, f->target);
    buf_str(out, STR(" HTTP/1.1\r\n"));
    if (!head_field(h, "Host").ptr)
        buf_str(out, STR("Host: \r\n"));
    head_put_fields(h, out);
    buf_str(out, f->extra);
    if (h->body == BODY_CHUNKED)
        buf_str(out, STR("Transfer-Encoding: chunked\r\n"));
    else if (head_field(h, "Content-Length").ptr)
        buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)h->length);
    if (upgrades(h))
        put_upgrade(h->upgrade, out);
    buf_str(out, STR("\r\n"));
}

static void put_response(const struct exchange *x, bool chunked, bool close, struct buf *out)
{
    const struct head *h = &x->head;
    bool no_length = h->status < 200 || h->status == 204;
    buf_printf(out, "HTTP/1.1 %u " STR_FMT "\r\n", h->status, STR_ARG(h->reason));
    head_put_fields(h, out);
    if (chunked)
        buf_str(out, STR("Transfer-Encoding: chunked\r\n"));
    else if (!no_length && head_field(h, "Content-Length").ptr)
        buf_printf(out, "Content-Length: " STR_FMT "\r\n", STR_ARG(head_field(h, "Content-Length")));
    if (h->status == 101)
        put_upgrade(h->upgrade, out);
    else if (close)
        buf_str(out, STR("Connection: close\r\n"));
    buf_str(out, STR("\r\n"));
}

/* ---- the way there ---- */

/* As link_write_all(), but a connection that is gone is told from one that is slow. */
static int send_head(struct exchange *x, str bytes, struct err *e)
{
    int64_t end = clock_ms() + WRITE_MS;
    while (bytes.len) {
        ptrdiff_t n = link_write(x->up, bytes);
        if (n == LINK_ERROR) {
            x->failure = FAILED_UNSENT;
            return err_set(e, ERR_NETWORK, "write: the connection is gone");
        }
        if (n > 0)
            bytes = str_skip(bytes, (size_t)n);
        else if (link_wait(x->up, POLLOUT, NULL, 0, end) <= 0)
            return err_set(e, ERR_NETWORK, "write: i/o timeout");
    }
    return 0;
}

static int begin(struct exchange *x, bool fresh, struct err *e)
{
    const struct forward *f = x->f;
    CLEANUP(buf_done) struct buf out = { 0 };
    x->up = f->link ? f->link : upstream_open(f->upstream, f->halt, false, fresh ? NULL : &x->kept, e);
    if (fresh)
        x->kept = false;
    if (!x->up)
        return -1;
    put_request(f, &out);
    if (out.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (send_head(x, buf_view(&out), e) < 0)
        return -1;
    flow_begin(&x->request, f->client, x->up, f->head->body, f->head->length, f->head->body == BODY_CHUNKED);
    return 0;
}

/* ---- the way back ---- */

static bool client_ends(const struct exchange *x)
{
    const struct head *asked = x->f->head;
    bool until_close = x->head.body == BODY_UNTIL_CLOSE || x->head.body == BODY_CHUNKED;
    return asked->close || (asked->http10 && until_close) || !x->request.framing.done;
}

/* 1: the final head is with the client. 0: not yet. -1. */
static int pass_head(struct exchange *x, struct err *e)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    size_t size = head_find_end(str_head(link_bytes(x->up), HEAD_MAX), &x->seen);
    if (!size)
        return link_bytes(x->up).len < HEAD_MAX
                   ? 0
                   : err_set(e, ERR_LIMIT, "the head of the upstream's answer is too long");
    buf_clear(&x->copy);
    buf_str(&x->copy, str_head(link_bytes(x->up), size));
    link_use(x->up, size);
    x->seen = 0;
    if (x->copy.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (head_read_response(buf_view(&x->copy), x->f->head->method, &x->head, e) < 0)
        return err_wrap(e, "the upstream's answer");
    if (x->head.status == 101 && !upgrades(x->f->head))
        return err_set(e, ERR_FORMAT, "the upstream's answer: 101, though nothing was to be upgraded");
    bool last = x->head.status >= 200 || x->head.status == 101;
    if (!last && (x->head.status != 100 || x->f->head->http10))
        return pass_head(x, e); /* of no interest */
    bool whole = x->head.body == BODY_NONE || x->head.body == BODY_LENGTH,
         chunked = !whole && !x->f->head->http10;
    put_response(x, chunked, last && client_ends(x), &out);
    if (out.failed)
        return err_set(e, ERR_OOM, "out of memory");
    x->status = last ? x->head.status : 0;
    if (link_write_all(x->f->client, buf_view(&out), clock_ms() + WRITE_MS, e) < 0)
        return -1;
    if (!last)
        return pass_head(x, e);
    flow_begin(&x->response, x->up, x->f->client, x->head.body, x->head.length, chunked);
    return x->begun = true;
}

/* What has come of the response's head, if anything. 1 there is a head, 0 not yet, -1. */
static int await_head(struct exchange *x, struct err *e)
{
    for (;;) {
        int r = pass_head(x, e);
        if (r)
            return r;
        ptrdiff_t n = link_read(x->up);
        if (n == LINK_AGAIN)
            return 0;
        if (n <= 0 && !x->copy.len && !link_bytes(x->up).len)
            x->failure = FAILED_SILENT;
        if (n <= 0)
            return err_set(e, ERR_NETWORK, n == 0 && link_bytes(x->up).len ? "unexpected EOF" : "EOF");
    }
}

static bool client_is_gone(const struct exchange *x)
{
    struct pollfd p = { .fd = x->f->client->fd };
    return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

/* Waits for what the flows need. -1: it takes too long, or the proxy stops. */
static int wait_for(struct exchange *x, enum flow_state there, enum flow_state back, int64_t since_ms,
                    struct err *e)
{
    short client = (short)(there == FLOW_READS ? POLLIN : 0),
          up = (short)(there == FLOW_WRITES ? POLLOUT : 0);
    bool on_client = there == FLOW_READS || back == FLOW_WRITES;
    client |= (short)(back == FLOW_WRITES ? POLLOUT : 0);
    up |= (short)(back == FLOW_READS ? POLLIN : 0);
    if (!on_client) /* but whether it is gone */
        client = POLLHUP;
    int r = link_wait(x->f->client, client, x->up, up, since_ms + (on_client ? CLIENT_MS : UPSTREAM_MS));
    if (r > 0 && !on_client && client_is_gone(x))
        return err_set(e, ERR_NETWORK, "the client is gone");
    return r > 0 ? 0 : err_set(e, ERR_NETWORK, r < 0 ? "the proxy stops" : "i/o timeout");
}

static enum flow_state send_on(struct exchange *x, struct err *e)
{
    struct err why = { 0 };
    enum flow_state s = x->request_ended ? FLOW_DONE : flow_step(&x->request, &why);
    if (s == FLOW_DONE || s == FLOW_WRITE_FAILED) { /* the upstream may have answered, and reads no more */
        x->request_ended = true;
        return FLOW_DONE;
    }
    if (s == FLOW_READ_FAILED)
        *e = why;
    return s;
}

static int go_on(struct exchange *x, struct err *e)
{
    uint64_t moved = 0;
    int64_t since = clock_ms();
    for (;;) {
        enum flow_state there = send_on(x, e), back = FLOW_READS;
        if (there == FLOW_READ_FAILED)
            return -1;
        if (!x->begun && await_head(x, e) < 0)
            return -1;
        if (x->begun && x->head.status == 101)
            return 0;
        if (x->begun)
            back = flow_step(&x->response, e);
        if (back == FLOW_DONE)
            return 0;
        if (back >= FLOW_READ_FAILED)
            return -1;
        uint64_t now = x->request.moved + (x->begun ? x->response.moved + 1 : 0);
        if (now != moved)
            since = clock_ms();
        moved = now;
        if (wait_for(x, there, back, since, e) < 0)
            return -1;
    }
}

/* ---- all of it ---- */

static void exchange_done(struct exchange *x)
{
    flow_done(&x->request);
    flow_done(&x->response);
    buf_done(&x->copy);
    link_freep(&x->up);
}

/* RFC 9110 9.2.1: asked twice they do no more than once. */
static bool is_safe(str method)
{
    return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")) || str_eq(method, STR("OPTIONS")) ||
           str_eq(method, STR("TRACE"));
}

/* RFC 9112 9.3.1: what may have been done is not to be done again. */
static bool may_repeat(const struct exchange *x)
{
    const struct head *asked = x->f->head;
    if (!x->kept || asked->body != BODY_NONE)
        return false;
    return x->failure == FAILED_UNSENT || (x->failure == FAILED_SILENT && is_safe(asked->method));
}

static bool fail(struct exchange *x, unsigned *status, const struct err *e)
{
    char text[600];
    int n = snprintf(text, sizeof text, "%s\n", e->text);
    *status = x->status;
    if (x->status) /* it has begun, and ends here */
        return false;
    *status = 500;
    return proxy_answer_head(x->f->client, x->f->head, 500, GO_ERROR, str_of(text, (size_t)n));
}

static bool finish(struct exchange *x, unsigned *status)
{
    const struct forward *f = x->f;
    *status = x->status;
    if (x->head.status == 101) {
        tunnel_run(f->client, x->up, TUNNEL_MS);
        return false;
    }
    bool keep = !client_ends(x);
    if (!x->head.close && x->request.framing.done && x->request.at == x->request.out.len && f->upstream &&
        x->response.framing.done && !link_bytes(x->up).len)
        upstream_keep(f->upstream, &x->up);
    if (!keep)
        link_linger(f->client);
    return keep;
}

bool forward_run(const struct forward *f, unsigned *status, struct err *e)
{
    CLEANUP(exchange_done) struct exchange x = { .f = f, .copy.max = HEAD_MAX };
    int r = begin(&x, false, e);
    if (r == 0)
        r = go_on(&x, e);
    if (r < 0 && may_repeat(&x)) {
        link_freep(&x.up);
        flow_done(&x.request);
        *e = (struct err){ 0 };
        x.failure = FAILED_LATE;
        x.request_ended = false;
        x.seen = 0;
        r = begin(&x, true, e);
        if (r == 0)
            r = go_on(&x, e);
    }
    return r < 0 ? fail(&x, status, e) : finish(&x, status);
}
