/* test_report.c - the outputs of `eclair scan`, of what feeds say of ids as such; all else is tested with whole images (tests/e2e). */
#include "base/cleanup.h"
#include "report/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define GOLDEN "tests/unit/golden/report.json" /* ECLAIR_GOLDEN=write makes it anew */

static struct cvss_score scores[] = {
    { { "3.1", 3 }, { "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 44 }, 100, { "nvd@nist.gov", 12 } },
    { { "2.0", 3 }, { "", 0 }, 93, { "", 0 } },
    { { "4.0", 3 }, { "CVSS:4.0/AV:N", 13 }, 9, { "", 0 } },
};
static str links[] = { { "https://a", 9 }, { "https://own", 11 }, { "https://b", 9 }, { "https://a", 9 } };
static struct metadata_source sources[] = {
    { { "first", 5 },
      { .has_severity = true,
        .severity = SEVERITY_CRITICAL,
        .scores = scores,
        .score_count = 2,
        .links = links,
        .link_count = 3 } },
    { { "second", 6 },
      { .has_epss = true,
        .epss = 975580,
        .epss_percentile = 1000000,
        .kev = { { "2021-12-10", 10 }, { "2021-12-24", 10 } } } },
    { { "third", 5 },
      { .scores = scores + 2,
        .score_count = 1,
        .links = links + 3,
        .link_count = 1,
        .has_epss = true,
        .kev = { { "2022-01-01", 10 }, { "", 0 } } } },
};
static const struct finding_meta all = { sources, 3 }, third = { sources + 2, 1 };

static struct report make(struct finding findings[3])
{
    static const struct layer_index layer = { .digest = { DIGEST, 71 }, .size = 1 };
    static const struct layer_index *layers[] = { &layer };
    static struct image_package packages[] = {
        { .package = { .kind = { "dpkg", 4 },
                       .name = { "p", 1 },
                       .version = { "1", 1 },
                       .source = { "p", 1 },
                       .source_version = { "1", 1 } } },
    };
    static const struct image_index image = {
        .name = { "i", 1 },
        .digest = { DIGEST, 71 },
        .layers = layers,
        .layer_count = 1,
        .distribution = { { "debian", 6 }, { "12", 2 }, { "Debian", 6 }, { "debian:12", 9 } },
        .packages = packages,
        .package_count = 1,
    };
    const struct finding f = { .id = STR("CVE-2021-44228"),
                               .state = FIX_AFFECTED,
                               .severity = SEVERITY_CRITICAL,
                               .severity_source = STR("first"),
                               .namespace = STR("debian:12"),
                               .feed = STR("debian"),
                               .link = STR("https://own"),
                               .meta = &all };
    findings[0] = findings[1] = findings[2] = f;
    findings[1].id = STR("CVE-2021-44229"), findings[1].meta = &third, findings[1].uncertain = true;
    findings[1].severity = SEVERITY_LOW, findings[1].link = STR("");
    findings[1].advisory = STR("RHSA-2021:5132");
    findings[2].id = STR("CVE-2021-44230"), findings[2].meta = NULL;
    return (struct report){
        .image = &image,
        .match = { .findings = findings, .finding_count = 3, .generation = 1 },
        .coverage = COVERAGE_FULL,
    };
}

static void test_json(void **state)
{
    struct finding findings[3];
    struct report r = make(findings);
    CLEANUP(buf_done) struct buf out = { 0 };
    static char want[65536];
    (void)state;
    report_json.write(&r, &(struct report_options){ 0 }, &out);
    assert_false(out.failed);
    const char *write = getenv("ECLAIR_GOLDEN");
    CLEANUP(fclosep) FILE *f = fopen(GOLDEN, write ? "w+" : "r");
    assert_non_null(f);
    if (write)
        assert_int_equal(fwrite(out.ptr, 1, out.len, f), out.len);
    rewind(f);
    assert_true(fread(want, 1, sizeof want - 1, f) > 0);
    buf_char(&out, '\0');
    assert_string_equal(out.ptr, want);
}

/* Links are bounded, however many sources there are. */
static void test_many_links(void **state)
{
    static str many[64];
    static char text[64][16];
    struct metadata_source more[3] = { 0 };
    const struct finding_meta meta = { more, 3 };
    struct finding findings[3];
    struct report r = make(findings);
    CLEANUP(buf_done) struct buf out = { 0 };
    (void)state;
    for (int i = 0; i < 64; i++)
        many[i] = str_of(text[i], (size_t)snprintf(text[i], 16, "https://%d", i));
    for (int i = 0; i < 3; i++)
        more[i].meta.links = many, more[i].meta.link_count = 64;
    findings[0].meta = &meta;
    r.match.finding_count = 1;
    report_json.write(&r, &(struct report_options){ 0 }, &out);
    buf_char(&out, '\0');
    assert_non_null(strstr(out.ptr, "\"https://62\""));
    assert_null(strstr(out.ptr, "\"https://63\"")); /* its own is the first of 64 */
    assert_null(strstr(strstr(out.ptr, "\"https://62\"") + 1, "\"https://"));
}

static void test_table(void **state)
{
    struct finding findings[3];
    struct report r = make(findings);
    CLEANUP(buf_done) struct buf out = { 0 };
    (void)state;
    report_table.write(&r, &(struct report_options){ 0 }, &out);
    buf_char(&out, '\0');
    const char *rows = strstr(out.ptr, "SEVERITY");
    assert_non_null(rows);
    assert_string_equal(
        rows,
        "SEVERITY  ID              PACKAGE  INSTALLED  FIXED IN\n"
        "Critical  CVE-2021-44228  p        1          - KEV\n"
        "Critical  CVE-2021-44230  p        1          -\n"
        "Low       CVE-2021-44229  p        1          - ? KEV\n"
        "\n"
        "3 findings, 0 with a fix, 1 uncertain (?: a version that does not follow its scheme), 2 known to be "
        "exploited (KEV): 2 Critical, 1 Low\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_many_links),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
