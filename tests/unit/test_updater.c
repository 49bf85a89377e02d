/* When the updater's thread tidies up, and how it stops: a store that writes the calls down, and no sources. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "feed/feed.h"
#include "feed/updater.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a store that does nothing ---- */

struct store {
    int unused;
};

static atomic_int opens, cycles, tidies, untidy, troubles, ended_early;
static const int
    *script;      /* what store_tidy() gives: 1, 0, or less a kind of error; the last one again and again */
static bool hang; /* in store_tidy(), until it is told to end */

struct store *store_open(const char *where, enum store_mode mode, struct err *e)
{
    static struct store stores[2];
    (void)where, (void)mode, (void)e;
    return &stores[atomic_fetch_add(&opens, 1) % 2];
}

void store_freep(struct store **s) { *s = NULL; }

int store_value_get(struct store *s, str key, struct arena *arena, str *ret, struct err *e)
{
    (void)s, (void)key, (void)e;
    *ret = arena_printf(arena, "%lld", (long long)clock_now());
    return atomic_load(&cycles) > 0;
}

int store_value_set(struct store *s, str key, str value, struct err *e)
{
    (void)s, (void)key, (void)value, (void)e;
    return 0;
}

int store_lease_take(struct store *s, str name, str owner, unsigned seconds, int64_t *ret_until,
                     struct err *e)
{
    (void)s, (void)name, (void)owner, (void)seconds, (void)ret_until, (void)e;
    return 1;
}

int store_lease_drop(struct store *s, str name, str owner, struct err *e)
{
    (void)s, (void)name, (void)owner, (void)e;
    return 0;
}

int store_tidy(struct store *s, const struct tidy_options *o, struct tidy_counts *ret, struct err *e)
{
    int what = *script;
    (void)s, (void)ret;
    atomic_fetch_add(&tidies, 1);
    if (script[1] != INT32_MIN)
        script++;
    if (o->ms < 1 || o->ms > 2000 || o->now < 1 || !o->enough)
        return err_set(e, ERR_INTERNAL, "not for a moment");
    for (int64_t end = clock_ms() + 20000; hang && clock_ms() < end; usleep(1000))
        if (o->enough(o->ctx)) {
            atomic_store(&ended_early, 1);
            return 1;
        }
    return what < 0 ? err_set(e, (enum err_kind) - what, "scripted") : what;
}

int feed_update(struct store *s, struct cage *cage, const struct feed *f, const struct update_options *o,
                struct update_result *ret, struct err *e)
{
    (void)s, (void)cage, (void)f, (void)o, (void)ret;
    return err_set(e, ERR_INTERNAL, "no source is wanted");
}

/* ---- the tests ---- */

static void told(void *ctx, const struct updater_event *event)
{
    (void)ctx;
    if (event->kind == UPDATER_FINISHED)
        atomic_fetch_add(&cycles, 1);
    else if (event->kind == UPDATER_UNTIDY)
        atomic_fetch_add(&untidy, 1);
    else if (event->kind != UPDATER_STARTED)
        atomic_fetch_add(&troubles, 1);
}

static struct updater *started(const int *what, int64_t tidy_s)
{
    static const str none[1];
    const struct updater_options o = {
        .database = "x", .interval_s = 3600, .sources = none, .tidy_s = tidy_s, .told = told
    };
    struct err e = { 0 };
    script = what;
    tidies = untidy = troubles = cycles = ended_early = 0;
    struct updater *u = updater_start(&o, &e);
    if (!u)
        fail_msg("%s", e.text);
    return u;
}

static void wait_tidies(int count)
{
    int64_t end = clock_ms() + 20000;
    while (atomic_load(&tidies) < count) {
        if (clock_ms() > end)
            fail_msg("tidied %d times, not %d", atomic_load(&tidies), count);
        usleep(1000);
    }
}

static void stopped(struct updater **u, int64_t ms)
{
    int64_t start = clock_ms();
    assert_true(updater_stop(u, 5000));
    assert_true(clock_ms() - start < ms);
}

/* A tenth of the time while there is more to do, and before the first; errors are told, but not that another one is at it. */
static void test_pace(void **state)
{
    static const int what[] = { 1, 1, 0, INT32_MIN };
    (void)state;
    int64_t start = clock_ms();
    struct updater *u = started(what, 10);
    wait_tidies(3);
    int64_t took = clock_ms() - start;
    assert_in_range(took, 2000, 8000); /* three of a second, by a clock of whole ones */
    usleep(3000000);
    assert_int_equal(atomic_load(&tidies), 3); /* the next one comes ten seconds later */
    assert_int_equal(atomic_load(&cycles), 1);
    assert_int_equal(atomic_load(&untidy) | atomic_load(&troubles), 0);
    stopped(&u, 1000);
    assert_int_equal(atomic_load(&tidies), 3);
}

static void test_errors(void **state)
{
    static const int what[] = { -(int)ERR_BUSY, -(int)ERR_FULL, -(int)ERR_BUSY, INT32_MIN };
    (void)state;
    struct updater *u = started(what, 1);
    wait_tidies(4);
    stopped(&u, 1000);
    assert_int_equal(atomic_load(&untidy), 1);
    assert_int_equal(atomic_load(&troubles), 0);
}

/* The end does not wait for two seconds of tidying, and is no error. */
static void test_stop(void **state)
{
    static const int what[] = { 1, INT32_MIN };
    (void)state;
    hang = true;
    struct updater *u = started(what, 1);
    wait_tidies(1);
    stopped(&u, 500);
    hang = false;
    assert_int_equal(atomic_load(&ended_early), 1);
    assert_int_equal(atomic_load(&tidies), 1);
    assert_int_equal(atomic_load(&untidy) | atomic_load(&troubles), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pace), cmocka_unit_test(test_errors),
                                        cmocka_unit_test(test_stop) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
