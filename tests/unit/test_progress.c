/* test_progress.c - the line that tells how far some work is fits its terminal, whatever it says. */
#include "cmd/nearest.h"
#include "cmd/progress.h"
#include "report/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct progress work(const char *label)
{
    struct progress p = { .noun = "layers", .total = -1, .begun_ms = 1000 };
    snprintf(p.label, sizeof p.label, "%s", label);
    return p;
}

static void test_text(void **state)
{
    char line[2048];
    struct progress p = work("image.tar");
    (void)state;
    progress_format(&p, 80, 5000, line, sizeof line);
    assert_string_equal(line, "image.tar");
    p.parts = 4, p.parts_done = 1, p.bytes = 45200000;
    progress_format(&p, 100, 5000, line, sizeof line);
    assert_string_equal(line, "image.tar [=====>              ] 1 of 4 layers, 45.2 MB, 11.3 MB/s");
    progress_format(&p, 60, 5000, line, sizeof line); /* no room for a bar */
    assert_string_equal(line, "image.tar 1 of 4 layers, 45.2 MB, 11.3 MB/s");
    progress_format(&p, 80, 1100, line, sizeof line); /* too early for a rate */
    assert_string_equal(line, "image.tar [=====>              ] 1 of 4 layers, 45.2 MB");
    p = work("https://registry.example/team/application:1.2");
    p.bytes = 500, p.total = 1000;
    progress_format(&p, 40, 1100, line, sizeof line);
    assert_string_equal(line, "...eam/application:1.2 0.5 kB of 1.0 kB");
    p.bytes = 2000; /* more than was told */
    progress_format(&p, 90, 1100, line, sizeof line);
    assert_string_equal(
        line, "https://registry.example/team/application:1.2 [====================] 2.0 kB of 1.0 kB");
}

static void test_fits(void **state)
{
    static const char *const labels[] = {
        "x", "äöü€", "a/very/long/name/of/an/image/that/does/not/fit:1.2",
        "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語"
    };
    char line[2048];
    (void)state;
    for (size_t i = 0; i < COUNT(labels); i++)
        for (size_t columns = 0; columns < 200; columns++) {
            struct progress p = work(labels[i]);
            p.parts = 1000000, p.parts_done = columns * 5000, p.bytes = 123456789012, p.total = 999999999999;
            progress_format(&p, columns, 9999, line, sizeof line);
            if (text_columns(str_from(line)) >= (columns > 20 ? columns : 20) || !str_utf8(str_from(line)))
                fail_msg("%zu columns: %s", columns, line);
        }
}

static void test_nearest(void **state)
{
    static const char *const words[] = { "scan", "severity", "serve", "update", "json", "junit", "db" };
    static const struct {
        const char *typed, *meant;
    } rows[] = { { "scna", "scan" },
                 { "SCAN", "scan" },
                 { "sevrity", "severity" },
                 { "jsn", "json" },
                 { "updates", "update" },
                 { "x", NULL },
                 { "", NULL },
                 { "frobnicate", NULL },
                 { "d", "db" },

                 { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL } };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct nearest n = { .word = str_from(rows[i].typed) };
        for (size_t k = 0; k < COUNT(words); k++)
            nearest_try(&n, words[k]);
        if (!str_eq(str_from(n.best), str_from(rows[i].meant)))
            fail_msg("%s: %s", rows[i].typed, n.best ? n.best : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
