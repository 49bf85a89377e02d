/* Answers kept in memory (api/reports.h), beside a database that another handle changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/reports.h"
#include "base/cleanup.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool has(struct reports *r, const char *key, int64_t generation, const char *body)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    bool found = reports_get(r, str_from(key), generation, &b);
    if (found && !str_eq(buf_view(&b), str_from(body)))
        fail_msg("'%s' has another body", key);
    return found;
}

static void test_kept(void **state)
{
    struct reports *r = *state;
    assert_false(has(r, "a", 1, ""));
    reports_put(r, STR("a"), 1, STR("one"));
    reports_put(r, STR("b"), 1, STR(""));
    assert_true(has(r, "a", 1, "one"));
    assert_true(has(r, "b", 1, ""));
    assert_false(has(r, "a", 2, ""));
    assert_false(has(r, "", 1, ""));
    reports_put(r, STR("a"), 2, STR("two"));
    assert_true(has(r, "a", 2, "two"));
    assert_false(has(r, "a", 1, ""));
}

/* Never more than there is room for, and none that would be most of it. */
static void test_room(void **state)
{
    struct reports *r = *state;
    size_t large = REPORTS_LARGEST + 1, half = REPORTS_MAX / 8;
    char *body = calloc(large, 1), key[16];
    int kept = 0;
    reports_put(r, STR("large"), 1, str_of(body, large));
    assert_false(has(r, "large", 1, ""));
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%d", i);
        reports_put(r, str_from(key), 1, str_of(body, half));
    }
    for (int i = 0; i < 100; i++) {
        CLEANUP(buf_done) struct buf b = { 0 };
        snprintf(key, sizeof key, "k%d", i);
        kept += reports_get(r, str_from(key), 1, &b);
    }
    assert_in_range(kept, 1, 8);
    free(body);
}

static char folder[] = "/tmp/eclair-reports-XXXXXX", where[64];

/* The watch lets go what no generation of now can ask for. */
static void test_forgotten(void **state)
{
    struct reports *r = *state;
    struct err e = { 0 };
    struct update_counts n;
    CLEANUP(store_freep) struct store *s = store_open(where, STORE_WRITE, &e);
    assert_non_null(s);
    sleep(1); /* it is watched */
    reports_put(r, STR("a"), 0, STR("zero"));
    assert_true(has(r, "a", 0, "zero"));
    struct store_update *u = store_update_begin(s, STR("f"), STORE_RANK, &e);
    assert_non_null(u);
    assert_int_equal(store_update_document(u, STR("d"), STR("v"), &e), 0);
    struct affected_range range = { .namespace = STR("debian:12"),
                                    .scheme = STR("dpkg"),
                                    .package = STR("x"),
                                    .kind = AFFECTS_SOURCE,
                                    .state = FIX_AFFECTED };
    struct advisory a = { .key = STR("k"), .id = STR("C"), .ranges = &range, .range_count = 1 };
    assert_int_equal(store_update_put(u, &a, &e), 0);
    assert_int_equal(store_update_commit(u, 1, &n, &e), 0);
    for (int i = 0; i < 100 && has(r, "a", 0, "zero"); i++)
        usleep(50000);
    assert_false(has(r, "a", 0, ""));
}

static int begin(void **state)
{
    struct err e = { 0 };
    *state = reports_new(where, &e);
    return *state ? 0 : -1;
}

static int end(void **state)
{
    reports_freep((struct reports **)state);
    return 0;
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(where, sizeof where, "%s/eclair.db", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, begin, end),
        cmocka_unit_test_setup_teardown(test_room, begin, end),
        cmocka_unit_test_setup_teardown(test_forgotten, begin, end),
    };
    int failed = cmocka_run_group_tests_name("reports", tests, NULL, NULL);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return failed + (system(command) != 0);
}
