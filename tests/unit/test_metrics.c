/* Counting from many threads, and the text that comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { REQUESTS, SIZE, TIMES };
static const double bounds[] = { 1, 2.5, 10 };
static const struct metric_about table[] = {
    { "requests_total", "Requests.", METRIC_COUNTER, { "code", "route" } },
    { "size_bytes", "Size.", METRIC_GAUGE },
    { "time_seconds", "Time.", METRIC_HISTOGRAM, { "kind" }, bounds, 3 },
};

static void writes(struct metrics *m, const char *want)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    metrics_write(m, &out);
    if (!str_eq(buf_view(&out), str_from(want)))
        fail_msg("%.*s", (int)out.len, out.ptr);
}

static struct metrics *make(void)
{
    struct err e = { 0 };
    struct metrics *m = metrics_new(table, 3, &e);
    assert_non_null(m);
    return m;
}

static void test_text(void **state)
{
    CLEANUP(metrics_freep) struct metrics *m = make();
    (void)state;
    writes(m, "# HELP size_bytes Size.\n# TYPE size_bytes gauge\nsize_bytes 0\n");
    metrics_add(m, REQUESTS, 2, STR("200"), STR("a\"b\\c\nd"));
    metrics_set(m, SIZE, 1.5, STR(""), STR(""));
    metrics_observe(m, TIMES, 1, STR("x"), STR("")); /* a bound belongs to what it bounds */
    metrics_observe(m, TIMES, 2, STR("x"), STR(""));
    metrics_observe(m, TIMES, 99, STR("x"), STR(""));
    writes(m, "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
              "requests_total{code=\"200\",route=\"a\\\"b\\\\c\\nd\"} 2\n"
              "# HELP size_bytes Size.\n# TYPE size_bytes gauge\nsize_bytes 1.5\n"
              "# HELP time_seconds Time.\n# TYPE time_seconds histogram\n"
              "time_seconds_bucket{kind=\"x\",le=\"1\"} 1\ntime_seconds_bucket{kind=\"x\",le=\"2.5\"} 2\n"
              "time_seconds_bucket{kind=\"x\",le=\"10\"} 2\ntime_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3\n"
              "time_seconds_sum{kind=\"x\"} 102\ntime_seconds_count{kind=\"x\"} 3\n");
}

static void test_many_series(void **state)
{
    CLEANUP(metrics_freep) struct metrics *m = make();
    CLEANUP(buf_done) struct buf out = { 0 };
    char code[16];
    (void)state;
    for (int i = 0; i < 2 * METRIC_SERIES; i++) {
        snprintf(code, sizeof code, "%d", i);
        metrics_add(m, REQUESTS, 1, str_from(code), STR(""));
    }
    metrics_write(m, &out);
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++)
        lines += out.ptr[i] == '\n';
    assert_int_equal(lines, 2 + METRIC_SERIES + 3);
    metrics_add(NULL, REQUESTS, 1, STR(""), STR(""));
    metrics_observe(NULL, TIMES, 1, STR(""), STR(""));
}

static void *count(void *ctx)
{
    for (int i = 0; i < 10000; i++) {
        metrics_add(ctx, REQUESTS, 1, i % 2 ? STR("odd") : STR("even"), STR(""));
        metrics_observe(ctx, TIMES, 0.5, STR("x"), STR(""));
    }
    return NULL;
}

static void test_threads(void **state)
{
    CLEANUP(metrics_freep) struct metrics *m = make();
    CLEANUP(buf_done) struct buf out = { 0 };
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, m), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    metrics_write(m, &out);
    assert_true(str_contains(buf_view(&out), STR("requests_total{code=\"odd\",route=\"\"} 20000\n")));
    assert_true(str_contains(buf_view(&out), STR("time_seconds_count{kind=\"x\"} 40000\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_text), cmocka_unit_test(test_many_series),
                                        cmocka_unit_test(test_threads) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
