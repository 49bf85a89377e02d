/* test_feed_arch.c - distributions that roll: Arch's groups of issues, and the secdb of Wolfi and Chainguard. */
#include "feed_lines.h"

#define GROUP(text) "[{\"name\":\"AVG-1\"," text "}]"
#define FOUND       "\"packages\":[\"p\"],\"issues\":[\"CVE-1-1\"]"
#define LINE(rest)  "AVG-1/CVE-1-1 CVE-1-1 [] <https://security.archlinux.org/AVG-1>" rest "\n"
#define RANGE       "; arch alpm binary p "

static void test_arch_statements(void **state)
{
    static const struct row rows[] = {
        { GROUP(FOUND
                ",\"status\":\"Fixed\",\"severity\":\"High\",\"fixed\":\"1:2-1\",\"affected\":\"1:1-1\""),
          LINE(RANGE "fixed<1:2-1 High") },
        { GROUP("\"fixed\":null,\"severity\":\"Critical\",\"status\":\"Vulnerable\"," FOUND
                ",\"ticket\":7,\"advisories\":[]"),
          LINE(RANGE "affected< Critical") },
        { GROUP(FOUND ",\"status\":\"Vulnerable\",\"fixed\":\"2-1\",\"severity\":\"Low\""),
          LINE(RANGE "fixed<2-1 Low") },
        { GROUP(FOUND ",\"status\":\"Testing\",\"fixed\":\"2-1\",\"severity\":\"Medium\""),
          LINE(RANGE "fixed<2-1 Medium") },
        { GROUP(FOUND ",\"status\":\"Testing\",\"severity\":\"Medium\""), LINE(RANGE "affected< Medium") },
        { GROUP(FOUND ",\"status\":\"Unknown\",\"severity\":\"Unknown\""),
          LINE(RANGE "under_investigation< Unknown") },
        { GROUP(FOUND ",\"status\":\"Unknown\",\"fixed\":\"2-1\",\"severity\":\"odd\""),
          LINE(RANGE "fixed<2-1 Unknown") },
        { GROUP(FOUND ",\"status\":\"Not affected\",\"fixed\":null"), LINE(RANGE "never") },
        { GROUP(FOUND ",\"status\":\"Not affected\",\"fixed\":\"2-1\",\"severity\":\"High\""),
          LINE(RANGE "never") },
        /* nothing that a version could be held against, or a word of tomorrow */
        { GROUP(FOUND ",\"status\":\"Fixed\",\"fixed\":null"), "" },
        { GROUP(FOUND ",\"status\":\"Postponed\",\"fixed\":\"2-1\""), "" },
        { GROUP(FOUND), "" },
        { GROUP("\"packages\":[],\"issues\":[\"CVE-1-1\"],\"status\":\"Vulnerable\""), "" },
        { GROUP("\"packages\":[\"p\"],\"issues\":null,\"status\":\"Vulnerable\""), "" },
        /* each issue of each package, once; nothing of a group is left over in the next */
        { "[{\"name\":\"AVG-2\",\"packages\":[\"q\",\"p\",\"q\"],\"issues\":[\"CVE-1-2\",\"CVE-1-1\",\"CVE-1-"
          "2\"],\"type\":\"multiple "
          "issues\",\"status\":\"Fixed\",\"fixed\":\"3-1\",\"severity\":\"Low\"},{\"name\":\"AVG-1\"," FOUND
          ",\"status\":\"Vulnerable\"}]",
          "AVG-2/CVE-1-1 CVE-1-1 [multiple issues] <https://security.archlinux.org/AVG-2>" RANGE
          "fixed<3-1 Low; arch alpm binary q fixed<3-1 Low\n"
          "AVG-2/CVE-1-2 CVE-1-2 [multiple issues] <https://security.archlinux.org/AVG-2>" RANGE
          "fixed<3-1 Low; arch alpm binary q fixed<3-1 Low\n" LINE(RANGE "affected< Unknown") },
    };
    check_rows("arch", "issues/all.json", rows, COUNT(rows));
}

static void test_arch_documents(void **state)
{
    static const struct row rows[] = {
        { "[]", "no group: an empty tracker is a broken one" },
        { "{}", "json: byte 0: an array wanted, not an object" },
        { "[1]", "byte 2: a group is not an object" },
        { "[{\"status\":\"Vulnerable\"}]", "'': byte 24: a group without a name" },
        { GROUP("\"packages\":{}"), "'AVG-1': packages: json: byte 28: an array wanted, not an object" },
        { GROUP("\"packages\":[\"\"]"), "'AVG-1': packages: byte 31: a name wanted" },
        { GROUP("\"issues\":[7]"), "'AVG-1': issues: byte 28: a name wanted" },
        { GROUP("\"fixed\":7"), "'AVG-1': fixed: json: byte 25: a string wanted, not a number" },
        { "[{\"name\":\"AVG-1\"}]]", "json: byte 18: something follows the value" },
        { "[{\"name\":\"AVG-1\"}", "json: byte 17: the input ends inside a value" },
    };
    check_rows("arch", "issues/all.json", rows, COUNT(rows));
}

/* Names that are too long reach the sink as such; a group that is too large does not. */
static int check_long(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    ((struct said *)sink)->advisories++;
    assert_int_equal(a->ranges[0].package.len, FEED_TEXT_MAX);
    return 0;
}

static void test_arch_limits(void **state)
{
    for (int large = 0; large < 2; large++) {
        CLEANUP(buf_done) struct buf doc = { 0 };
        buf_str(
            &doc,
            STR("[{\"name\":\"AVG-1\",\"status\":\"Vulnerable\",\"issues\":[\"CVE-1-1\"],\"packages\":[\""));
        for (int i = 0; i < (large ? 10000 : 1); i++) {
            buf_str(&doc, i ? STR("\",\"") : STR(""));
            for (int k = 0; k < 600; k++)
                buf_char(&doc, 'p');
        }
        buf_str(&doc, STR("\"]}]"));
        struct said said = { .sink.put = check_long };
        struct err e = { 0 };
        int r = parse_said("arch", "issues/all.json", buf_view(&doc), &said, &e);
        assert_int_equal(r, large ? -1 : 0);
        assert_int_equal(said.advisories, !large);
        assert_int_equal(e.kind, large ? ERR_LIMIT : ERR_NONE);
    }
}

#define PACKAGES(text) "{\"apkurl\":\"u\",\"reponame\":\"os\",\"packages\":[" text "]}"
#define FIXES(text)    PACKAGES("{\"pkg\":{\"name\":\"p\",\"secfixes\":{" text "}}}")
#define BOTH(ns, rest) "; " ns " apk source p " rest "; " ns " apk binary p " rest "\n"
#define NVD            "https://nvd.nist.gov/vuln/detail/"

/* Source and binary by one name, for the feed does not say which it is. */
static void test_wolfi(void **state)
{
    static const struct row rows[] = {
        { FIXES("\"1.2-r3\":[\"CVE-1-1\"]"),
          "p/CVE-1-1 CVE-1-1 [] <" NVD "CVE-1-1>" BOTH("wolfi", "fixed<1.2-r3 Unknown") },
        { FIXES("\"0\":[\"GHSA-aa-bb\"]"),
          "p/GHSA-aa-bb GHSA-aa-bb [] <https://github.com/advisories/GHSA-aa-bb>" BOTH("wolfi", "never") },
        { FIXES("\"0\":[\"CVE-1-1\",\"XSA-1\"],\"1\":[\"CVE-1-1\"]"),
          "p/CVE-1-1 CVE-1-1 [] <" NVD
          "CVE-1-1>" BOTH("wolfi", "fixed<1 Unknown") "p/XSA-1 XSA-1 [] <>" BOTH("wolfi", "never") },
        { "{\"distroversion\":\"x\",\"packages\":[]}", "" },
        { PACKAGES("{}"), "packages: byte 44: an element without pkg" },
        { "{}", "no list of packages" },
    };
    check_rows("wolfi", "os/security.json", rows, COUNT(rows));
}

static void test_chainguard(void **state)
{
    static const struct row rows[] = {
        { FIXES("\"1.2-r3\":[\"CVE-1-1\"]"),
          "p/CVE-1-1 CVE-1-1 [] <" NVD "CVE-1-1>" BOTH("chainguard", "fixed<1.2-r3 Unknown") },
    };
    check_rows("chainguard", "chainguard/security.json", rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arch_statements), cmocka_unit_test(test_arch_documents),
        cmocka_unit_test(test_arch_limits),     cmocka_unit_test(test_wolfi),
        cmocka_unit_test(test_chainguard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
