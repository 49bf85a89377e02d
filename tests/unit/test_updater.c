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
#include <time.h>
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

static atomic_int updates; /* of debian */
static int64_t first_last; /* its last try, as it is stored; 0: none */
static const char *last_url;

int store_value_get(struct store *s, str key, struct arena *arena, str *ret, struct err *e)
{
    (void)s, (void)e;
    if (str_eq(key, STR("updater/last/debian"))) {
        *ret = arena_printf(arena, "%lld", (long long)first_last);
        return first_last > 0;
    }
    assert_true(str_eq(key, STR("updater/last")));
    *ret = arena_printf(arena, "%lld", (long long)clock_now());
    return atomic_load(&cycles) > 0;
}

int store_value_set(struct store *s, str key, str value, struct err *e)
{
    uint64_t last;
    (void)s, (void)e;
    if (str_eq(key, STR("updater/last/debian")) && str_to_u64(value, &last))
        first_last = (int64_t)last;
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
    (void)s, (void)cage, (void)ret;
    if (strcmp(f->name, "debian") != 0)
        return err_set(e, ERR_INTERNAL, "not wanted");
    last_url = o->url;
    atomic_fetch_add(&updates, 1);
    return 0;
}

/* ---- the tests ---- */

static void told(void *ctx, const struct updater_event *event)
{
    (void)ctx;
    if (event->kind == UPDATER_FINISHED)
        atomic_fetch_add(&cycles, 1);
    else if (event->kind == UPDATER_UNTIDY)
        atomic_fetch_add(&untidy, 1);
    else if (event->kind != UPDATER_STARTED && event->kind != UPDATER_SOURCE)
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

/* ---- a source with an interval of its own ---- */

static struct updater *started_with(int64_t interval_s, int64_t own_s, const char *url)
{
    static const int what[] = { 0, INT32_MIN };
    const str names[] = { STR("debian") };
    const char *const urls[] = { url };
    const int64_t intervals[] = { own_s };
    const struct updater_options o = { .database = "x",
                                       .interval_s = interval_s,
                                       .sources = names,
                                       .source_count = 1,
                                       .urls = urls,
                                       .intervals = intervals,
                                       .tidy_s = 3600,
                                       .told = told };
    struct err e = { 0 };
    script = what;
    tidies = untidy = troubles = cycles = ended_early = updates = 0;
    last_url = NULL;
    struct updater *u = updater_start(&o, &e);
    if (!u)
        fail_msg("%s", e.text);
    return u;
}

/* Each second or two, whatever the cycle does; its place is handed on. */
static void test_own_interval(void **state)
{
    (void)state;
    first_last = 0;
    struct updater *u = started_with(3600, 1, "/a/place");
    for (int64_t end = clock_ms() + 20000; atomic_load(&updates) < 3; usleep(1000))
        if (clock_ms() > end)
            fail_msg("updated %d times", atomic_load(&updates));
    assert_string_equal(last_url, "/a/place");
    stopped(&u, 1000);
    assert_true(first_last > 0);
    assert_int_equal(atomic_load(&troubles), 0);
}

/* Another server, or this one before a restart, has done it; a clock that was wrong does not count. */
static void test_own_interval_is_kept(void **state)
{
    (void)state;
    first_last = (int64_t)time(NULL) - 100;
    struct updater *u = started_with(1, 3600, NULL);
    usleep(2500000);
    stopped(&u, 1000);
    assert_int_equal(atomic_load(&updates), 0);
    assert_true(atomic_load(&cycles) > 0); /* of which it is no part */
    first_last = (int64_t)time(NULL) + 1000000;
    u = started_with(3600, 7200, NULL);
    for (int64_t end = clock_ms() + 20000; !atomic_load(&updates) && clock_ms() < end;)
        usleep(1000);
    stopped(&u, 1000);
    assert_int_equal(atomic_load(&updates), 1);
}

/* The updater is off: so is that. */
static void test_own_interval_of_none(void **state)
{
    (void)state;
    first_last = 0;
    struct updater *u = started_with(0, 1, NULL);
    usleep(2500000);
    stopped(&u, 1000);
    assert_int_equal(atomic_load(&updates), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pace),
                                        cmocka_unit_test(test_errors),
                                        cmocka_unit_test(test_stop),
                                        cmocka_unit_test(test_own_interval),
                                        cmocka_unit_test(test_own_interval_is_kept),
                                        cmocka_unit_test(test_own_interval_of_none) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
