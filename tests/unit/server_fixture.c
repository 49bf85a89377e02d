/* The API under test, and a client's first steps. */
#include "server_fixture.h"

#include "base/buf.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

void gate_set(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

void wait_for(const unsigned *what, unsigned at_least)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&gate.lock);
    int r = 0;
    while (*what < at_least && r == 0)
        r = pthread_cond_timedwait(&gate.changed, &gate.lock, &end);
    unsigned got = *what;
    pthread_mutex_unlock(&gate.lock);
    if (got < at_least)
        fail_msg("%u instead of %u", got, at_least);
}

static void stay(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.running++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.finished++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static enum service route(void *ctx, struct request *r)
{
    assert_ptr_equal(ctx, &gate);
    r->route = "routed";
    pthread_mutex_lock(&gate.lock);
    gate.routed++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return str_starts(r->path, STR("/long"))   ? SERVE_LONG
           : str_starts(r->path, STR("/read")) ? SERVE_READ
           : str_starts(r->path, STR("/up"))   ? SERVE_UPLOAD
                                               : SERVE_NOW;
}

static void take_upload(struct request *r, struct response *ret)
{
    struct err e = { 0 };
    size_t n = 0;
    str chunk;
    int more = 0;
    if (str_eq(r->path, STR("/up/none"))) {
        ret->status = 403;
        buf_str(&ret->body, STR("no"));
        return;
    }
    if (str_eq(r->path, STR("/up/held")))
        stay();
    pthread_mutex_lock(&gate.lock);
    gate.reading++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    while ((more = request_read(r, &chunk, &e)) > 0)
        n += chunk.len;
    ret->status = more < 0 ? 400 : 200;
    buf_printf(&ret->body, "%zu bytes%s%s", n, more < 0 ? ": " : "", more < 0 ? e.text : "");
    pthread_mutex_lock(&gate.lock);
    gate.broken += more < 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void handle(void *ctx, struct request *r, struct response *ret)
{
    ret->status = 200;
    response_header(ret, "Server", arena_printf(r->arena, "test/%d", 1));
    if (str_starts(r->path, STR("/up"))) {
        take_upload(r, ret);
        return;
    }
    if (str_starts(r->path, STR("/header")))
        response_header(ret, "X-Long", r->query);
    if (str_starts(r->path, STR("/long")))
        stay();
    uint64_t n;
    if (str_starts(r->path, STR("/size")) && str_to_u64(r->query, &n)) {
        for (uint64_t i = 0; i < n; i++)
            buf_char(&ret->body, (char)('a' + i % 23));
        ret->gzip = str_contains(request_header(r, "accept-encoding"), STR("gzip"));
        return;
    }
    if (str_starts(r->path, STR("/full")))
        ret->body.failed = true;
    buf_printf(&ret->body, STR_FMT " " STR_FMT " ? " STR_FMT " = " STR_FMT ", body %zu%s, %s, %s",
               STR_ARG(r->method), STR_ARG(r->path), STR_ARG(r->query), STR_ARG(r->target), r->body.len,
               r->body_cut ? " cut" : "", r->loopback ? "loopback" : "far", (const char *)r->route);
    if (str_starts(r->path, STR("/peer")))
        buf_printf(&ret->body, ", %s", r->peer);
}

static void timed_out(void *ctx, const struct request *r, struct response *ret)
{
    ret->status = 503;
    buf_str(&ret->body, STR("too late"));
}

static void answered(void *ctx, const struct request *r, unsigned status, int64_t elapsed_ns)
{
    pthread_mutex_lock(&gate.lock);
    if (status == 0)
        gate.silent++;
    else if (gate.told_count < 8)
        gate.told[gate.told_count++] = status;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    assert_true(elapsed_ns >= 0 && r->began_ns > 0);
}

const struct server_handler handler = { &gate, route, handle, timed_out, answered };

struct server *serve(struct server_options o)
{
    struct err e = { 0 };
    o.address = o.address ? o.address : "127.0.0.1:0";
    pthread_mutex_lock(&gate.lock);
    gate.open = false;
    gate.routed = gate.running = gate.finished = gate.told_count = gate.silent = gate.reading = gate.broken =
        0;
    pthread_mutex_unlock(&gate.lock);
    struct server *s = server_new(&o, &handler, &e);
    if (!s || server_start(s, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(server_port(s) > 0);
    return s;
}

int open_gate(void **state)
{
    gate_set(true);
    return 0;
}

int dial_any(const struct server *s, bool v6)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    at.sin_port = at6.sin6_port = htons((uint16_t)server_port(s));
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int r = v6 ? connect(fd, (const struct sockaddr *)&at6, sizeof at6)
               : connect(fd, (const struct sockaddr *)&at, sizeof at);
    if (r < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int dial(const struct server *s)
{
    int fd = dial_any(s, false);
    assert_true(fd >= 0);
    return fd;
}

bool say(int fd, str text)
{
    while (text.len) {
        ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        text = str_skip(text, (size_t)n);
    }
    return true;
}

void *open_when_closed(void *server)
{
    for (int64_t end = clock_ms() + PATIENCE_S * 1000; clock_ms() < end;) {
        int fd = dial_any(server, false);
        if (fd < 0)
            break;
        close(fd);
        nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    }
    gate_set(true);
    return NULL;
}
