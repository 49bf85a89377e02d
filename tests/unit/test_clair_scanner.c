/* test_clair_scanner.c - table and JSON report against the recorded outputs of clair-scanner v13. */
#include "base/cleanup.h"
#include "report/clair_scanner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LINK         "https://cve.mitre.org/cgi-bin/cvename.cgi?name="

enum { MEDIUM = 1, HIGH = 2, NEGLIGIBLE = 4 }; /* which of the golden rows are approved */

/* What the fake Clair of the recordings answered, in its order. */
static size_t golden_rows(unsigned approved, struct clair_scanner_row ret[3])
{
    const struct clair_scanner_row rows[] = {
        { STR("zlib"), STR("1.2.8-r2"), STR("CVE-2016-9840"), STR("alpine:v3.5"),
          STR("inftrees.c in zlib 1.2.8 might allow context-dependent attackers to have unspecified impact "
              "by leveraging improper pointer arithmetic."),
          STR(LINK "CVE-2016-9840"), STR("Medium"), STR("1.2.9-r0"), approved & MEDIUM },
        { STR("zlib"), STR("1.2.8-r2"), STR("CVE-2016-9841"), STR("alpine:v3.5"), STR(""),
          STR(LINK "CVE-2016-9841"), STR("High"), STR(""), approved & HIGH },
        { STR("zlib"), STR("1.2.8-r2"), STR("CVE-2099-0001"), STR("alpine:v3.5"), STR(""), STR("x"),
          STR("Negligible"), STR(""), approved & NEGLIGIBLE },
    };
    memcpy(ret, rows, sizeof rows);
    return COUNT(rows);
}

/* The recordings are beside the checkout; without them the test does not pass under CI. */
static char *golden(const char *name)
{
    char path[4096];
    const char *spec = getenv("ECLAIR_TEST_SPEC");
    snprintf(path, sizeof path, "%s/golden-clients/%s", spec ? spec : "../shared/spec", name);
    CLEANUP(fclosep) FILE *f = fopen(path, "rb");
    if (!f && !getenv("CI"))
        skip();
    if (!f)
        fail_msg("there is no %s", path);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, f) < 65535);
    return text;
}

static void assert_text(struct buf *b, const char *want)
{
    assert_false(b->failed);
    buf_char(b, '\0');
    assert_string_equal(b->ptr, want);
}

static void test_tables(void **state)
{
    static const struct {
        const char *name;
        unsigned approved;
        bool all;
    } cases[] = {
        { "vulns", 0, true },
        { "threshold-high", MEDIUM | NEGLIGIBLE, true },
        { "whitelist-partial", MEDIUM | HIGH, true },
        { "whitelist-partial-noall", MEDIUM | HIGH, false },
        { "whitelist-full", MEDIUM | HIGH | NEGLIGIBLE, true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char name[128];
        snprintf(name, sizeof name, "clair-scanner-v13/%s.out", cases[i].name);
        CLEANUP(freep) char *want = golden(name);
        CLEANUP(buf_done) struct buf out = { 0 };
        struct clair_scanner_row rows[3];
        size_t n = golden_rows(cases[i].approved, rows);
        assert_true(clair_scanner_sort(CLAIR_SCANNER_13, rows, n));
        clair_scanner_table(CLAIR_SCANNER_13, rows, n, cases[i].all, &out);
        assert_text(&out, want);
    }
}

static void test_reports(void **state)
{
    static const struct {
        const char *name;
        unsigned approved;
        bool sorted, empty;
    } cases[] = {
        { "vulns", 0, true, false },
        { "quiet", 0, false, false },
        { "whitelist-partial-noall", MEDIUM | HIGH, false, false },
        { "novuln", 0, true, true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char name[128];
        snprintf(name, sizeof name, "clair-scanner-v13/%s.report.json", cases[i].name);
        CLEANUP(freep) char *want = golden(name);
        CLEANUP(buf_done) struct buf out = { 0 };
        struct clair_scanner_row rows[3], sorted[3];
        size_t n = golden_rows(cases[i].approved, rows);
        n = cases[i].empty ? 0 : n;
        memcpy(sorted, rows, sizeof rows);
        if (cases[i].sorted)
            assert_true(clair_scanner_sort(CLAIR_SCANNER_13, sorted, n));
        clair_scanner_json(CLAIR_SCANNER_13, STR("alpine:3.5"), rows, sorted, n, &out);
        assert_text(&out, want);
    }
}

static void test_json_escapes(void **state)
{
    struct clair_scanner_row row = { .vulnerability = STR("a<b>&\"\\\n\r\t\b\x7f\xff\xe2\x80\xa8\xc3\xa9") };
    CLEANUP(buf_done) struct buf out = { 0 };
    (void)state;
    clair_scanner_json(CLAIR_SCANNER_13, STR(""), &row, &row, 1, &out);
    buf_char(&out, '\0');
    assert_non_null(strstr(out.ptr,
                           "\"unapproved\": [\n        \"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\r\\t\\u0008"
                           "\x7f\\ufffd\\u2028\xc3\xa9\"\n    ],\n"));
}

static size_t lines_with(const char *text, const char *part)
{
    size_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        n++;
    return n;
}

/* One name on three features, one of them approved by its severity: no row of that name shows as approved; without --all each stands
 * there once for each unapproved row of its name (spec 7). */
static void test_same_name(void **state)
{
    const struct clair_scanner_row rows[] = {
        { .feature = STR("a"), .vulnerability = STR("CVE-1"), .severity = STR("High") },
        { .feature = STR("b"), .vulnerability = STR("CVE-1"), .severity = STR("High") },
        { .feature = STR("c"), .vulnerability = STR("CVE-1"), .severity = STR("Low"), .approved = true },
        { .feature = STR("d"), .vulnerability = STR("CVE-2"), .severity = STR("Low"), .approved = true },
    };
    (void)state;
    for (int all = 0; all < 2; all++) {
        CLEANUP(buf_done) struct buf out = { 0 };
        clair_scanner_table(CLAIR_SCANNER_13, rows, COUNT(rows), all, &out);
        buf_char(&out, '\0');
        assert_int_equal(lines_with(out.ptr, "mUnapproved\033"), all ? 3 : 6);
        assert_int_equal(lines_with(out.ptr, "mApproved\033"), all ? 1 : 0);
    }
}

static void test_sort(void **state)
{
    struct clair_scanner_row rows[] = {
        { .severity = STR("Unknown") },    { .severity = STR("Critical") }, { .severity = STR("new word") },
        { .severity = STR("Defcon1") },    { .severity = STR("Low") },      { .severity = STR("high") },
        { .severity = STR("Negligible") },
    };
    static const char *const want[] = { "new word", "high",       "Defcon1", "Critical",
                                        "Low",      "Negligible", "Unknown" };
    (void)state;
    assert_true(clair_scanner_sort(CLAIR_SCANNER_13, rows, COUNT(rows)));
    for (size_t i = 0; i < COUNT(want); i++)
        assert_true(str_eq(rows[i].severity, str_from(want[i])));
}

/* Every line of a table is as wide as the first, whatever the text; nothing in it moves the cursor. */
static void test_odd_text(void **state)
{
    const struct clair_scanner_row rows[] = {
        { .feature = STR("\xe6\xbc\xa2\xe5\xad\x97"),
          .description = STR("e\xcc\x81 \xff \x1b[2J\rx"),
          .severity = STR("Low"),
          .vulnerability = STR("CVE-1") },
    };
    CLEANUP(buf_done) struct buf out = { 0 };
    (void)state;
    clair_scanner_table(CLAIR_SCANNER_13, rows, COUNT(rows), true, &out);
    buf_char(&out, '\0');
    assert_null(strstr(out.ptr, "\033[2J"));
    assert_null(strchr(out.ptr, '\r'));
    assert_non_null(strstr(out.ptr, "| \xe6\xbc\xa2\xe5\xad\x97         |"));
    assert_non_null(strstr(out.ptr, "| e\xcc\x81 \xef\xbf\xbd [2Jx        |"));
}

/* A server that sends many words in front of a very long one must not keep us busy. */
static void test_much_text(void **state)
{
    CLEANUP(buf_done) struct buf text = { 0 }, out = { .max = (size_t)16 << 20 };
    (void)state;
    for (size_t i = 0; i < 100000; i++)
        buf_str(&text, STR("a "));
    for (size_t i = 0; i < 10000; i++)
        buf_str(&text, STR("longword"));
    struct clair_scanner_row row = { .description = buf_view(&text), .vulnerability = STR("CVE-1") };
    clair_scanner_table(CLAIR_SCANNER_13, &row, 1, true, &out);
    assert_false(out.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),    cmocka_unit_test(test_reports), cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_same_name), cmocka_unit_test(test_sort),    cmocka_unit_test(test_odd_text),
        cmocka_unit_test(test_much_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
