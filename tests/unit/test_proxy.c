/* Parts of the proxies that no request shows by itself: used tokens in memory, places that are the same. */
#include "proxy/link.h"
#include "proxy/nonces.h"

#include "base/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_a_nonce_is_new_once(void **state)
{
    struct err e = { 0 };
    struct nonces *n = nonces_new(NULL, &e);
    int64_t now = clock_now();
    char text[32];
    (void)state;
    assert_int_equal(nonces_take(n, STR("quay"), STR("a"), now + 60, &e), NONCE_NEW);
    assert_int_equal(nonces_take(n, STR("quay"), STR("a"), now + 60, &e), NONCE_SEEN);
    assert_int_equal(nonces_take(n, STR("other"), STR("a"), now + 60, &e), NONCE_NEW);
    assert_int_equal(nonces_take(n, STR("quaya"), STR(""), now + 60, &e), NONCE_NEW);
    for (int i = 0; i < 20000; i++) { /* the table grows, and forgets those that have expired */
        snprintf(text, sizeof text, "n%d", i);
        assert_int_equal(nonces_take(n, STR("quay"), str_from(text), i % 2 ? now + 60 : now - 1, &e),
                         NONCE_NEW);
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "n%d", i);
        assert_int_equal(nonces_take(n, STR("quay"), str_from(text), now + 60, &e),
                         i % 2 ? NONCE_SEEN : NONCE_NEW);
    }
    assert_int_equal(nonces_take(n, STR("quay"), STR("a"), now + 60, &e), NONCE_SEEN);
    nonces_freep(&n);
}

/* A link that has ended wakes who waits for it, and nobody else. */
static void test_an_ended_link_is_not_waited_for(void **state)
{
    struct err e = { 0 };
    int ended[2], open[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ended), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, open), 0);
    struct link *a = link_new(ended[0], -1, &e), *b = link_new(open[0], -1, &e);
    close(ended[1]);
    assert_int_equal(link_wait(a, 0, b, POLLIN, clock_ms() + 20), 0);
    assert_int_equal(link_wait(b, POLLIN, a, 0, clock_ms() + 20), 0);
    assert_int_equal(link_wait(a, POLLHUP, b, POLLIN, clock_ms() + 20000), 1);
    close(open[1]);
    assert_int_equal(link_wait(a, 0, b, POLLIN, clock_ms() + 20000), 1);
    link_freep(&a);
    link_freep(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_nonce_is_new_once),
                                        cmocka_unit_test(test_an_ended_link_is_not_waited_for) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
