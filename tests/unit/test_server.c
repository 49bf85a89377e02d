/* The HTTP server against clients that behave and clients that do not. Waits are generous; no test depends on how long a thing took. */
#include "server_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/inflate.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

/* ---- clients ---- */

static void say_request(int fd, const char *line)
{
    char text[600];
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: test\r\n\r\n", line);
    assert_true(say(fd, str_from(text)));
}

struct reply {
    unsigned status;
    struct buf raw; /* what has been received and not used yet */
    char head[4096];
    struct buf body;   /* ends with a NUL */
    bool chunked, end; /* end: the connection closed behind it */
};

static void reply_done(struct reply *r)
{
    buf_done(&r->raw);
    buf_done(&r->body);
}

/* One read; false at the end of the connection. */
static bool more(int fd, struct reply *r)
{
    char *room = buf_reserve(&r->raw, 65536);
    assert_non_null(room);
    ssize_t n = recv(fd, room, 65536, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("no answer within %d s", PATIENCE_S);
    r->raw.len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static void used(struct reply *r, size_t n)
{
    r->raw.len -= n;
    memmove(r->raw.ptr, r->raw.ptr + n, r->raw.len);
}

static bool take_line(int fd, struct reply *r, char *to, size_t room, const char *end)
{
    for (;;) {
        char *at = r->raw.len ? memmem(r->raw.ptr, r->raw.len, end, strlen(end)) : NULL;
        if (at) {
            size_t n = (size_t)(at - r->raw.ptr);
            assert_true(n < room);
            memcpy(to, r->raw.ptr, n);
            to[n] = '\0';
            used(r, n + strlen(end));
            return true;
        }
        if (!more(fd, r))
            return false;
    }
}

static void take_bytes(int fd, struct reply *r, size_t n)
{
    while (r->raw.len < n)
        assert_true(more(fd, r));
    buf_add(&r->body, r->raw.ptr, n);
    used(r, n);
}

static const char *head_value(const struct reply *r, const char *name)
{
    const char *at = strcasestr(r->head, name);
    return at ? at + strlen(name) : NULL;
}

static void take_chunks(int fd, struct reply *r)
{
    char line[64];
    unsigned long n;
    do {
        assert_true(take_line(fd, r, line, sizeof line, "\r\n"));
        n = strtoul(line, NULL, 16);
        take_bytes(fd, r, n);
        assert_true(take_line(fd, r, line, sizeof line, "\r\n") && !*line);
    } while (n);
}

/* False when the connection ends without an answer. */
static bool hear_to(int fd, struct reply *r, const char *method)
{
    buf_clear(&r->body);
    r->status = 0;
    r->chunked = r->end = false;
    if (!take_line(fd, r, r->head, sizeof r->head, "\r\n\r\n"))
        return false;
    assert_int_equal(sscanf(r->head, "HTTP/1.%*c %u", &r->status), 1);
    const char *length = head_value(r, "\nContent-Length: ");
    r->chunked = head_value(r, "\nTransfer-Encoding: chunked");
    if (!strcmp(method, "HEAD") || r->status == 100)
        ;
    else if (r->chunked)
        take_chunks(fd, r);
    else if (length)
        take_bytes(fd, r, strtoul(length, NULL, 10));
    else {
        while (more(fd, r))
            ;
        take_bytes(fd, r, r->raw.len);
        r->end = true;
    }
    buf_char(&r->body, '\0');
    return true;
}

static void hear(int fd, struct reply *r)
{
    if (!hear_to(fd, r, "GET"))
        fail_msg("closed without an answer");
}

static bool ended(int fd, struct reply *r) { return !r->raw.len && !more(fd, r); }

static void check_now(int fd, struct reply *r)
{
    say_request(fd, "GET /now");
    hear(fd, r);
    assert_int_equal(r->status, 200);
}

/* ---- what is understood ---- */

static void test_keep_alive(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    static const char *const paths[] = { "/now", "/read", "/now" };
    for (size_t i = 0; i < 3; i++) {
        char line[100], expect[200];
        snprintf(line, sizeof line, "GET %s/sha256%%3Aab%%2F+c?d=%%20e&f", paths[i]);
        say_request(fd, line);
        hear(fd, &r);
        snprintf(expect, sizeof expect, "GET %.*s ? d=%%20e&f = %s, body 0, loopback, routed",
                 (int)strcspn(line + 4, "?"), line + 4, line + 4);
        assert_string_equal(r.body.ptr, expect);
        assert_non_null(head_value(&r, "\nDate: "));
        assert_non_null(head_value(&r, "\nServer: test/1"));
        assert_null(head_value(&r, "\nConnection:"));
    }
    assert_int_equal(gate.told_count, 3);
}

static void test_targets(void **state)
{
    static const char *const cases[][2] = {
        { "GET http://host:1/v1/x?a=b", "GET /v1/x ? a=b = /v1/x?a=b," },
        { "GET HTTPS://host?a", "GET  ? a = ?a," },
        { "GET http://host", "GET / ?  = /," },
        { "GET /a//b/../c%zz%00", "GET /a//b/../c%zz%00 ?  = /a//b/../c%zz%00," },
        { "GET /x?", "GET /x ?  = /x?," },
        { "OPTIONS *", "OPTIONS * ?  = *," },
        { "BREW /http://x/", "BREW /http://x/ ?  = /http://x/," },
    };
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        say_request(fd, cases[i][0]);
        hear(fd, &r);
        if (strncmp(r.body.ptr, cases[i][1], strlen(cases[i][1])))
            fail_msg("%s: %s", cases[i][0], r.body.ptr);
    }
}

static void test_pipelined(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    gate_set(true);
    assert_true(say(fd, STR("GET /read?1 HTTP/1.1\r\nHost: a\r\n\r\n"
                            "POST /long?2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                            "GET /size?3000 HTTP/1.1\r\nHost: a\r\n\r\n"
                            "GET /now?4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")));
    hear(fd, &r);
    assert_non_null(strstr(r.body.ptr, "GET /read ? 1"));
    hear(fd, &r);
    assert_non_null(strstr(r.body.ptr, "POST /long ? 2 = /long?2, body 3,"));
    hear(fd, &r);
    assert_int_equal(r.body.len, 3001);
    hear(fd, &r);
    assert_non_null(strstr(r.body.ptr, "GET /now ? 4"));
    assert_true(ended(fd, &r));
}

static void test_http10(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    for (int i = 0; i < 2; i++) {
        CLEANUP(close_fdp) int fd = dial(s);
        CLEANUP(reply_done) struct reply r = { 0 };
        assert_true(
            say(fd, i ? STR("GET /size?5000 HTTP/1.0\r\n\r\n") : STR("GET /size?50 HTTP/1.0\r\n\r\n")));
        hear(fd, &r);
        assert_int_equal(r.body.len, i ? 5001 : 51);
        assert_int_equal(r.end, i == 1);
        assert_false(r.chunked);
        assert_true(ended(fd, &r));
    }
}

static void test_lengths(void **state)
{
    static const struct {
        const char *line;
        size_t size;
        bool chunked;
    } cases[] = { { "GET /size?0", 0, false },
                  { "GET /size?2048", 2048, false },
                  { "GET /size?2049", 2049, true },
                  { "GET /size?3000000", 3000000, true } };
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        say_request(fd, cases[i].line);
        hear(fd, &r);
        assert_int_equal(r.body.len, cases[i].size + 1);
        assert_int_equal(r.chunked, cases[i].chunked);
        for (size_t k = 0; k < cases[i].size; k++)
            if (r.body.ptr[k] != (char)('a' + k % 23))
                fail_msg("byte %zu", k);
    }
    say_request(fd, "GET /full");
    hear(fd, &r);
    assert_int_equal(r.status, 500);
    assert_int_equal(r.body.len, 1);
}

static void test_head(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    for (int i = 0; i < 2; i++) {
        say_request(fd, i ? "HEAD /size?5000" : "HEAD /size?50");
        assert_true(hear_to(fd, &r, "HEAD"));
        assert_int_equal(r.status, 200);
        assert_int_equal(strtoul(head_value(&r, "\nContent-Length: "), NULL, 10), i ? 5000 : 50);
        assert_int_equal(r.raw.len, 0);
    }
    check_now(fd, &r);
}

static void test_gzip(void **state)
{
    static const size_t sizes[] = { 0, 1, 2048, 5000, 5000000 };
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[200];
        snprintf(text, sizeof text, "GET /size?%zu HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
                 sizes[i]);
        assert_true(say(fd, str_from(text)));
        hear(fd, &r);
        assert_non_null(head_value(&r, "\nContent-Encoding: gzip"));
        assert_int_equal(r.chunked, r.body.len - 1 > 2048);
        assert_memory_equal(r.body.ptr, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);

        struct err e = { 0 };
        CLEANUP(stream_freep) struct stream *raw = stream_from_mem(str_of(r.body.ptr, r.body.len - 1), &e);
        CLEANUP(stream_freep)
        struct stream *plain = stream_inflate(raw, &(struct inflate_limits){ 0 }, NULL, &e);
        str chunk;
        size_t n = 0;
        int got;
        while ((got = stream_next(plain, &chunk, &e)) > 0)
            for (size_t k = 0; k < chunk.len; k++, n++)
                if (chunk.ptr[k] != (char)('a' + n % 23))
                    fail_msg("byte %zu", n);
        assert_int_equal(got, 0);
        assert_int_equal(n, sizes[i]);
    }
}

static void test_addresses(void **state)
{
    static const struct {
        const char *address;
        int v4, v6; /* 2: as /etc/hosts has it */
    } cases[] = { { ":0", true, true },
                  { "localhost:0", true, 2 },
                  { "[::1]:0", false, true },
                  { "127.0.0.1:0", true, false },
                  { "0.0.0.0:0", true, false } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(server_freep)
        struct server *s = serve((struct server_options){ .address = cases[i].address });
        for (int v6 = 0; v6 < 2; v6++) {
            CLEANUP(close_fdp) int fd = dial_any(s, v6);
            CLEANUP(reply_done) struct reply r = { 0 };
            int expect = v6 ? cases[i].v6 : cases[i].v4;
            if (expect != 2 && (fd >= 0) != expect)
                fail_msg("%s: v6 %d", cases[i].address, v6);
            if (fd < 0)
                continue;
            say_request(fd, "GET /peer");
            hear(fd, &r);
            assert_non_null(
                strstr(r.body.ptr, v6 ? "loopback, routed, [::1]:" : "loopback, routed, 127.0.0.1:"));
        }
    }
}

static void test_bad_addresses(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    char taken[100], text[200];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", server_port(s));
    snprintf(text, sizeof text, "listen tcp %s: bind: address already in use", taken);
    const char *const cases[][2] = {
        { taken, text },
        { "192.0.2.77:0", "listen tcp 192.0.2.77:0: bind: cannot assign requested address" },
        { "no-such-host.invalid:0", "listen tcp: lookup no-such-host.invalid: " },
        { "127.0.0.1", "listen tcp: address 127.0.0.1: missing port in address" },
        { "127.0.0.1:70000", "listen tcp: address 70000: invalid port" },
        { "::1:80", "listen tcp: address ::1:80: too many colons in address" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = { 0 };
        assert_null(server_new(&(struct server_options){ .address = cases[i][0] }, &handler, &e));
        assert_int_equal(e.kind, ERR_IO);
        if (strncmp(e.text, cases[i][1], strlen(cases[i][1])))
            fail_msg("%s", e.text);
    }
    CLEANUP(server_freep) struct server *all = serve((struct server_options){ .address = ":0" });
    struct err e = { 0 };
    snprintf(taken, sizeof taken, ":%u", server_port(all));
    snprintf(text, sizeof text, "listen tcp %s: bind: address already in use", taken);
    assert_null(server_new(&(struct server_options){ .address = taken }, &handler, &e));
    assert_string_equal(e.text, text);
}

/* ---- bodies ---- */

static void test_long_response_header(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    static char value[2001];
    char line[2100];
    memset(value, 'v', sizeof value - 1);
    snprintf(line, sizeof line, "GET /header?%s HTTP/1.1\r\nHost: a\r\n\r\n", value);
    assert_true(say(fd, str_from(line)));
    hear(fd, &r);
    const char *got = head_value(&r, "\nX-Long: ");
    assert_non_null(got);
    assert_memory_equal(got, value, sizeof value - 1);
}

static void test_bodies(void **state)
{
    static char big[5000000];
    static const struct {
        size_t size;
        const char *says;
    } cases[] = { { 0, "body 0," },
                  { 999, "body 999," },
                  { 1000, "body 1000," },
                  { 1001, "body 1000 cut," },
                  { 5000000, "body 1000 cut," } };
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .body_max = 1000 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        size_t size = cases[i / 2].size;
        char head[200];
        snprintf(head, sizeof head, "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size);
        if (i % 2)
            snprintf(head, sizeof head,
                     "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx%s", size,
                     size ? "\r\n" : "");
        assert_true(say(fd, str_from(head)) && say(fd, str_of(big, size)));
        assert_true(i % 2 == 0 || say(fd, size ? STR("\r\n0\r\n\r\n") : STR("\r\n\r\n")));
        hear(fd, &r);
        if (!strstr(r.body.ptr, cases[i / 2].says))
            fail_msg("%zu: %s", size, r.body.ptr);
    }
}

static void test_endless_body(void **state)
{
    static char big[1 << 20];
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .body_max = 1000 });
    CLEANUP(close_fdp) int fd = dial(s);
    assert_true(
        say(fd, STR("POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n")));
    unsigned mib = 0;
    while (mib < 64 && say(fd, str_of(big, sizeof big)))
        mib++;
    assert_in_range(mib, 8, 63); /* what the sockets hold counts too */
    wait_for(&gate.silent, 1);
}

/* Bodies that wait for their last byte share a limit. */
static void test_many_bodies(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .body_max = 1000 });
    CLEANUP(reply_done) struct reply r = { 0 };
    static char body[1000];
    int fds[300];
    unsigned good = 0, busy = 0;
    for (size_t i = 0; i < 300; i++) {
        fds[i] = dial(s);
        assert_true(say(fds[i], STR("POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")));
        assert_true(say(fds[i], str_of(body, 999)));
    }
    wait_for(&gate.routed, 300);
    for (size_t i = 300; i-- > 0;) {
        assert_true(say(fds[i], STR("x")));
        hear(fds[i], &r);
        good += r.status == 200;
        busy += r.status == 503;
        close(fds[i]);
    }
    assert_int_equal(good + busy, 300);
    assert_in_range(good, 200, 257);
    CLEANUP(close_fdp) int fd = dial(s);
    assert_true(say(fd, STR("POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")));
    assert_true(say(fd, str_of(body, 1000)));
    hear(fd, &r);
    assert_int_equal(r.status, 200);
}

static void test_expect(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    assert_true(
        say(fd, STR("POST /read HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")));
    hear(fd, &r);
    assert_int_equal(r.status, 100);
    assert_true(say(fd, STR("ab")));
    hear(fd, &r);
    assert_non_null(strstr(r.body.ptr, "body 2,"));
}

static void test_large_headers(void **state)
{
    static char value[60000];
    memset(value, 'x', sizeof value);
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    for (int i = 0; i < 2; i++) {
        CLEANUP(close_fdp) int fd = dial(s);
        CLEANUP(reply_done) struct reply r = { 0 };
        assert_true(say(fd, STR("GET /now HTTP/1.1\r\nHost: a\r\nX-Long: ")));
        bool sent = say(fd, str_of(value, i ? sizeof value : 31000)) && say(fd, STR("\r\n\r\n"));
        assert_true(sent || i); /* who sends too much may be cut off before the end */
        hear(fd, &r);
        assert_int_equal(r.status, i ? 431 : 200);
    }
}

/* ---- clients that do not behave ---- */

/* A byte at a time, for ever: the server must end it. */
static void drip(const struct server *s, str head)
{
    CLEANUP(close_fdp) int fd = dial(s);
    char c;
    assert_true(say(fd, head));
    int64_t end = clock_ms() + PATIENCE_S * 1000;
    while (clock_ms() < end) {
        if (!say(fd, STR("x")))
            return;
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, 50) > 0 && recv(fd, &c, 1, 0) <= 0)
            return;
    }
    fail_msg("not cut off");
}

static void test_slow_senders(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve((struct server_options){ .idle_ms = 1000, .receive_ms = 300 });
    drip(s, STR("GET /"));
    drip(s, STR("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "));
    drip(s, STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"));
    wait_for(&gate.silent, 1);
    CLEANUP(close_fdp) int fd = dial(s), lazy = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 }, none = { 0 };
    check_now(fd, &r);
    assert_true(ended(lazy, &none)); /* says nothing at all */
    assert_true(ended(fd, &r));      /* says nothing more */
}

static void test_slow_reader(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .idle_ms = 1000 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    say_request(fd, "GET /size?50000000");
    wait_for(&gate.told_count, 1);
    server_stop(s, -1); /* would wait for ever */
    while (more(fd, &r))
        ;
    assert_true(r.raw.len < 50000000);
}

/* Some is taken all the time, but not enough. */
static void test_sipping_reader(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve((struct server_options){ .idle_ms = 1000, .send_rate = 1 << 30 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    int64_t end = clock_ms() + PATIENCE_S * 1000;
    int little = 65536;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    say_request(fd, "GET /size?40000000");
    size_t total = 0;
    while (clock_ms() < end && more(fd, &r)) {
        total += r.raw.len;
        buf_clear(&r.raw);
        nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
    }
    assert_true(clock_ms() < end && total < 40000000);
}

/* Who takes nothing holds what others would get, but not what is small. */
static void test_answers_limit(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .answers_max = 30 << 20 });
    CLEANUP(reply_done) struct reply r = { 0 };
    CLEANUP(close_fdp) int fd = dial(s), deaf = dial(s);
    say_request(deaf, "GET /size?40000000"); /* alone it is never too much */
    wait_for(&gate.told_count, 1);
    say_request(fd, "GET /size?100000");
    hear(fd, &r);
    assert_int_equal(r.status, 503);
    assert_non_null(head_value(&r, "\nRetry-After: 1"));
    say_request(fd, "GET /size?60000");
    hear(fd, &r);
    assert_int_equal(r.status, 200);
    close_fdp(&deaf);
    for (int64_t end = clock_ms() + PATIENCE_S * 1000; r.body.len != 100001 && clock_ms() < end;) {
        say_request(fd, "GET /size?100000");
        hear(fd, &r);
    }
    assert_int_equal(r.status, 200);
}

static void test_vanished(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(reply_done) struct reply r = { 0 };
    int gone = dial(s);
    say_request(gone, "GET /long");
    wait_for(&gate.running, 1);
    setsockopt(gone, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger)); /* a reset */
    close(gone);
    gone = dial(s);
    assert_true(say(gone, STR("POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")));
    wait_for(&gate.routed, 2); /* else its head and its end might be seen at once */
    close(gone);
    wait_for(&gate.silent, 1);
    gate_set(true);
    wait_for(&gate.finished, 1);
    CLEANUP(close_fdp) int fd = dial(s);
    check_now(fd, &r);
    server_stop(s, -1);
    assert_int_equal(gate.finished, 1);
}

static void test_garbage(void **state)
{
    static const char *const cases[] = { "\r\n\r\n\r\n", "GET\r\n\r\n",
                                         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                                         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
                                         "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n" };
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(close_fdp) int fd = dial(s);
        CLEANUP(reply_done) struct reply r = { 0 };
        assert_true(say(fd, str_from(cases[i])));
        shutdown(fd, SHUT_WR);
        while (more(fd, &r))
            ;
        if (r.raw.len && strncmp(r.raw.ptr, "HTTP/1.1 4", 10) && strncmp(r.raw.ptr, "HTTP/1.1 5", 10) &&
            strncmp(r.raw.ptr, "HTTP/1.0 4", 10))
            fail_msg("%zu: %.*s", i, (int)r.raw.len, r.raw.ptr);
    }
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    check_now(fd, &r);
}

/* ---- much at once ---- */

static void test_timeout(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve((struct server_options){ .timeout_ms = 200, .long_threads = 1 });
    CLEANUP(close_fdp) int fd = dial(s), second = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    say_request(fd, "GET /long?1");
    wait_for(&gate.running, 1);
    say_request(second, "GET /long?2"); /* is late before it begins, and runs all the same */
    hear(fd, &r);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body.ptr, "too late");
    hear(second, &r);
    assert_int_equal(r.status, 503);
    check_now(fd, &r);
    assert_int_equal(gate.finished, 0);
    gate_set(true);
    wait_for(&gate.finished, 2);
    check_now(fd, &r);
    server_stop(s, -1);
    static const unsigned told[] = { 503, 503, 200, 200 };
    assert_int_equal(gate.told_count, 4);
    assert_memory_equal(gate.told, told, sizeof told);
}

static void test_full_queue(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve((struct server_options){ .long_threads = 1, .queue_max = 1 });
    CLEANUP(close_fdp) int first = dial(s), second = dial(s), third = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    say_request(first, "GET /long");
    wait_for(&gate.running, 1);
    say_request(second, "GET /long");
    say_request(third, "GET /long");
    /* Of the two, whichever the server reads last is turned away. */
    struct pollfd p[] = { { .fd = second, .events = POLLIN }, { .fd = third, .events = POLLIN } };
    assert_int_equal(poll(p, 2, PATIENCE_S * 1000), 1);
    hear(p[0].revents ? second : third, &r);
    assert_int_equal(r.status, 503);
    assert_non_null(head_value(&r, "\nRetry-After: 1"));
    gate_set(true);
    hear(first, &r);
    assert_int_equal(r.status, 200);
    hear(p[0].revents ? third : second, &r);
    assert_int_equal(r.status, 200);
    check_now(second, &r);
}

/* As many as there are threads and places at once, although no thread is awake yet. */
static void test_burst(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve((struct server_options){ .read_threads = 8, .queue_max = 1 });
    CLEANUP(reply_done) struct reply r = { 0 };
    int fds[9];
    for (size_t i = 0; i < 9; i++)
        fds[i] = dial(s);
    for (size_t i = 0; i < 9; i++)
        say_request(fds[i], "GET /read");
    for (size_t i = 0; i < 9; i++) {
        hear(fds[i], &r);
        assert_int_equal(r.status, 200);
        close(fds[i]);
    }
}

static void test_long_beside_reads(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .long_threads = 2 });
    int fds[10];
    CLEANUP(reply_done) struct reply r = { 0 };
    for (size_t i = 0; i < 10; i++) {
        fds[i] = dial(s);
        say_request(fds[i], "GET /long");
    }
    wait_for(&gate.running, 2);
    CLEANUP(close_fdp) int fd = dial(s);
    for (int i = 0; i < 100; i++) {
        say_request(fd, i % 2 ? "GET /read" : "GET /now");
        hear(fd, &r);
        assert_int_equal(r.status, 200);
    }
    assert_int_equal(gate.finished, 0);
    assert_int_equal(gate.running, 2);
    gate_set(true);
    for (size_t i = 0; i < 10; i++) {
        hear(fds[i], &r);
        assert_int_equal(r.status, 200);
        close(fds[i]);
    }
}

#define MANY 500

static void test_many(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .read_threads = 4 });
    int fds[MANY];
    CLEANUP(reply_done) struct reply r = { 0 };
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            if (round == 0)
                fds[i] = dial(s);
            say_request(fds[i], i % 3 ? "GET /read" : "GET /size?5000");
        }
        for (int i = MANY; i-- > 0;) {
            hear(fds[i], &r);
            assert_int_equal(r.status, 200);
        }
    }
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

static void test_connection_limit(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .connections = 5 });
    int fds[30];
    CLEANUP(reply_done) struct reply r = { 0 };
    for (int i = 0; i < 30; i++) {
        fds[i] = dial(s);
        say_request(fds[i], "GET /read");
    }
    for (int i = 0; i < 5; i++)
        hear(fds[i], &r);
    struct pollfd sixth = { .fd = fds[5], .events = POLLIN };
    assert_int_equal(poll(&sixth, 1, 100), 0);
    for (int i = 0; i < 30; i++) {
        if (i >= 5)
            hear(fds[i], &r);
        assert_int_equal(r.status, 200);
        close(fds[i]);
    }
}

static int dial_from(const struct server *s, uint32_t host)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(host) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)server_port(s));
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* One address gets no more than seven eighths of the places. */
static void test_share(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .connections = 16 });
    CLEANUP(reply_done) struct reply r = { 0 };
    int fds[14];
    for (int i = 0; i < 14; i++) {
        fds[i] = dial(s);
        check_now(fds[i], &r);
    }
    CLEANUP(close_fdp) int fifteenth = dial(s), other = dial_from(s, INADDR_LOOPBACK + 1);
    assert_true(ended(fifteenth, &r));
    check_now(other, &r);
    for (int i = 0; i < 14; i++) {
        check_now(fds[i], &r);
        close(fds[i]);
    }
}

/* ---- the end ---- */

static void test_graceful_stop(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s), idle = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 }, none = { 0 };
    pthread_t helper;
    say_request(fd, "GET /long");
    wait_for(&gate.running, 1);
    assert_int_equal(pthread_create(&helper, NULL, open_when_closed, s), 0);
    server_stop(s, -1);
    pthread_join(helper, NULL);
    hear(fd, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(head_value(&r, "\nConnection: close"));
    assert_true(ended(fd, &r));
    assert_true(ended(idle, &none));
}

static void test_impatient_stop(void **state)
{
    struct server *s = serve((struct server_options){ .long_threads = 1 });
    CLEANUP(close_fdp) int fd = dial(s), queued = dial(s), half = dial(s), reader = dial(s);
    CLEANUP(reply_done) struct reply r = { 0 };
    say_request(fd, "GET /long");
    wait_for(&gate.running, 1);
    say_request(queued, "GET /long");
    assert_true(say(half, STR("POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")));
    say_request(reader, "GET /size?50000000");
    wait_for(&gate.told_count, 1);
    server_stop(s, 50);
    assert_true(ended(fd, &r));
    assert_true(ended(queued, &r));
    assert_int_equal(gate.finished, 0);
    gate_set(true);
    server_freep(&s); /* waits for the handler */
    assert_int_equal(gate.finished, 1);
    assert_null(s);
    server_freep(&s);
}

static void test_never_started(void **state)
{
    struct err e = { 0 };
    struct server *s = server_new(&(struct server_options){ .address = ":0" }, &handler, &e);
    assert_non_null(s);
    server_stop(s, -1);
    server_freep(&s);
}

#define T(name) cmocka_unit_test_teardown(name, open_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_keep_alive),
        T(test_targets),
        T(test_pipelined),
        T(test_http10),
        T(test_lengths),
        T(test_head),
        T(test_gzip),
        T(test_addresses),
        T(test_bad_addresses),
        T(test_bodies),
        T(test_long_response_header),
        T(test_endless_body),
        T(test_many_bodies),
        T(test_expect),
        T(test_large_headers),
        T(test_slow_senders),
        T(test_slow_reader),
        T(test_sipping_reader),
        T(test_answers_limit),
        T(test_vanished),
        T(test_garbage),
        T(test_timeout),
        T(test_full_queue),
        T(test_burst),
        T(test_long_beside_reads),
        T(test_many),
        T(test_connection_limit),
        T(test_share),
        T(test_graceful_stop),
        T(test_impatient_stop),
        T(test_never_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
