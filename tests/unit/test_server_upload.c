/* Bodies that are read while they come. HTTP/2 and TLS are in tests/server/test_blobs.py, by curl. */
#include "server_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#define LARGE ((size_t)32 << 20)

static void head(int fd, const char *path, const char *header)
{
    char text[256];
    snprintf(text, sizeof text, "PUT %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", path, header);
    assert_true(say(fd, str_from(text)));
}

/* All that comes until the connection ends, or until `end` has come. */
static str hear(int fd, const char *end, char *to, size_t room)
{
    size_t n = 0;
    to[0] = '\0';
    while (n + 1 < room && !(end && strstr(to, end))) {
        ssize_t got = recv(fd, to + n, room - 1 - n, 0);
        if (got < 0 && errno == EAGAIN)
            fail_msg("no answer within %d s: %s", PATIENCE_S, to);
        if (got <= 0)
            break;
        n += (size_t)got;
        to[n] = '\0';
    }
    return str_of(to, n);
}

static void test_framings(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ .body_max = 1024 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(freep) char *body = calloc(1, LARGE);
    char text[1024], expected[64];
    snprintf(expected, sizeof expected, "%zu bytes", LARGE);
    for (int i = 0; i < 2; i++) { /* one connection: nothing of the body is left on it */
        snprintf(text, sizeof text, "Content-Length: %zu", LARGE);
        head(fd, "/up", text);
        assert_true(say(fd, str_of(body, LARGE)));
        hear(fd, expected, text, sizeof text);
        assert_non_null(strstr(text, "HTTP/1.1 200"));
    }
    head(fd, "/up", "Transfer-Encoding: chunked\r\nExpect: 100-continue");
    hear(fd, "\r\n\r\n", text, sizeof text);
    assert_non_null(strstr(text, "100 Continue"));
    assert_true(say(fd, STR("3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")));
    hear(fd, "7 bytes", text, sizeof text);
    head(fd, "/up", "Content-Length: 0");
    hear(fd, "0 bytes", text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    (void)state;
}

/* The answer is there before the body; what follows is dropped, and of a refused one not without end. */
static void test_early(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(freep) char *body = calloc(1, 1 << 20);
    char text[1024];
    head(fd, "/up/none", "Content-Length: 1000000000");
    assert_true(say(fd, STR("some")));
    hear(fd, "\r\n\r\nno", text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 403"));
    assert_non_null(strstr(text, "Connection: close"));
    size_t sent = 0;
    while (sent < LARGE && say(fd, str_of(body, 1 << 20)))
        sent += 1 << 20;
    assert_true(sent >= BODY_DROP_MAX / 2);
    while (say(fd, str_of(body, 1 << 20))) /* buffers of the system; then it is over */
        assert_true((sent += 1 << 20) < 10 * LARGE);
    wait_for(&gate.told_count, 1);
    assert_int_equal(gate.told[0], 403);
    (void)state;
}

/* While nobody reads, the client is not read either; nor is it held against it. */
static void test_held(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve((struct server_options){ .idle_ms = 300, .receive_ms = 300 });
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(freep) char *body = calloc(1, 1 << 20);
    char text[1024];
    snprintf(text, sizeof text, "Content-Length: %zu", LARGE);
    head(fd, "/up/held", text);
    wait_for(&gate.running, 1);
    size_t sent = 0;
    for (int64_t end = clock_ms() + 1000; clock_ms() < end;) { /* longer than idle_ms */
        ssize_t n =
            send(fd, body, LARGE - sent < 1 << 20 ? LARGE - sent : 1 << 20, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(n >= 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
    }
    assert_true(sent < LARGE); /* the rest waits with the client */
    gate_set(true);
    while (sent < LARGE) {
        size_t n = LARGE - sent < 1 << 20 ? LARGE - sent : 1 << 20;
        assert_true(say(fd, str_of(body, n)));
        sent += n;
    }
    snprintf(text, sizeof text, "%zu bytes", LARGE);
    char answer[1024];
    hear(fd, text, answer, sizeof answer);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    (void)state;
}

static void pause_ms(int ms)
{
    const struct timespec t = { .tv_nsec = ms * 1000000L };
    nanosleep(&t, NULL);
}

/* Until the server has enough of it. */
static void trickle(int fd)
{
    int64_t end = clock_ms() + PATIENCE_S * 1000;
    while (say(fd, STR("x"))) {
        assert_true(clock_ms() < end);
        pause_ms(50);
    }
}

/* Who was held is as slow as others when it goes on. */
static void test_slow_behind_a_pause(void **state)
{
    const struct server_options o = { .idle_ms = 1000, .receive_rate = 1 << 20 };
    CLEANUP(server_freep) struct server *s = serve(o);
    CLEANUP(close_fdp) int fd = dial(s);
    CLEANUP(freep) char *body = calloc(1, UPLOAD_WAITS + (64 << 10));
    head(fd, "/up/held", "Content-Length: 100000000");
    wait_for(&gate.running, 1);
    assert_true(say(fd, str_of(body, UPLOAD_WAITS + (64 << 10))));
    pause_ms(500); /* for the server to take them: nothing tells that it has paused */
    gate_set(true);
    trickle(fd);
    wait_for(&gate.broken, 1);
    wait_for(&gate.silent, 1);
    (void)state;
}

/* Who brings nothing, and who brings too little. */
static void test_slow(void **state)
{
    const struct server_options o = { .idle_ms = 1000, .receive_rate = 1 << 20 };
    CLEANUP(server_freep) struct server *s = serve(o);
    CLEANUP(close_fdp) int silent = dial(s);
    CLEANUP(close_fdp) int slow = dial(s);
    head(silent, "/up", "Content-Length: 1000");
    head(slow, "/up", "Content-Length: 1000000");
    trickle(slow);
    wait_for(&gate.broken, 2);
    wait_for(&gate.silent, 2);
    (void)state;
}

static void test_gone(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    int fd = dial(s);
    head(fd, "/up/held", "Content-Length: 1000");
    gate_set(true);
    wait_for(&gate.reading, 1); /* before that nobody would be told */
    assert_true(say(fd, STR("some")));
    close(fd);
    wait_for(&gate.broken, 1);
    (void)state;
}

static void test_stop(void **state)
{
    CLEANUP(server_freep) struct server *s = serve((struct server_options){ 0 });
    CLEANUP(close_fdp) int held = dial(s);
    CLEANUP(close_fdp) int reading = dial(s);
    CLEANUP(freep) char *body = calloc(1, 1 << 20);
    head(held, "/up/held", "Content-Length: 100000000");
    head(reading, "/up", "Content-Length: 100000000");
    assert_true(say(held, str_of(body, 1 << 20)) && say(reading, str_of(body, 1 << 20)));
    wait_for(&gate.running, 1);
    wait_for(&gate.reading, 1);
    server_stop(s, -1); /* what has not come whole is not waited for */
    gate_set(true);
    wait_for(&gate.broken, 2);
    (void)state;
}

/* More than there are threads: they wait in the queue, and beyond that they are told to come again. */
static void test_busy(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve((struct server_options){ .long_threads = 1, .queue_max = 1 });
    int fds[4];
    char text[1024];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(s);
        head(fds[i], "/up/held", "Content-Length: 4");
        wait_for(&gate.routed, (unsigned)i + 1);
    }
    assert_true(say(fds[2], STR("abcd")));
    hear(fds[2], "busy", text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 503"));
    gate_set(true);
    for (int i = 0; i < 2; i++) {
        assert_true(say(fds[i], STR("abcd")));
        hear(fds[i], "4 bytes", text, sizeof text);
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framings),
        cmocka_unit_test(test_early),
        cmocka_unit_test_teardown(test_held, open_gate),
        cmocka_unit_test_teardown(test_slow_behind_a_pause, open_gate),
        cmocka_unit_test(test_slow),
        cmocka_unit_test_teardown(test_gone, open_gate),
        cmocka_unit_test_teardown(test_stop, open_gate),
        cmocka_unit_test_teardown(test_busy, open_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
