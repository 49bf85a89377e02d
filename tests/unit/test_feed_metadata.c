/* test_feed_metadata.c - what NVD, EPSS and KEV say of vulnerabilities as such, and the numbers and lines that they are made of. */
#include "feed/decimal.h"
#include "feed/lines.h"
#include "feed_lines.h"

#define NVD  "feeds/json/cve/2.0/nvdcve-2.0-2024.json.gz"
#define META "feeds/json/cve/2.0/nvdcve-2.0-2024.meta"
#define KEV  "sites/default/files/feeds/known_exploited_vulnerabilities.json"

/* ---- numbers and lines ---- */

static void test_decimals(void **state)
{
    static const struct {
        const char *text;
        unsigned digits;
        uint32_t max;
        int64_t want; /* -1: none */
    } rows[] = {
        { "0.00043", 6, 1000000, 430 },
        { "0.97351", 6, 1000000, 973510 },
        { "0.9981063485700858", 6, 1000000, 998106 },
        { "0.0000005", 6, 1000000, 1 },
        { "0.00000049999999999999999999", 6, 1000000, 0 },
        { "1", 6, 1000000, 1000000 },
        { "1.0000004", 6, 1000000, 1000000 },
        { "1.0000005", 6, 1000000, -1 },
        { "1.00000", 6, 1000000, 1000000 },
        { "0", 6, 1000000, 0 },
        { "0.0", 1, 100, 0 },
        { "6e-05", 6, 1000000, 60 },
        { "6.5E-3", 6, 1000000, 6500 },
        { "0.001e+3", 6, 1000000, 1000000 },
        { "1e-99999999999", 6, 1000000, 0 },
        { "1e99999999999", 6, 1000000, -1 },
        { "0e99999999999", 6, 1000000, 0 },
        { "9.8", 1, 100, 98 },
        { "10.0", 1, 100, 100 },
        { "10.1", 1, 100, -1 },
        { "7", 1, 100, 70 },
        { "0000000000000000000000000000000000009.8", 1, 100, 98 },
        { "99999999999999999999999999999999999999", 1, 100, -1 },
        { "4294967296", 0, UINT32_MAX, -1 },
        { "4294967295", 0, UINT32_MAX, UINT32_MAX },
        { "", 6, 1000000, -1 },
        { ".5", 6, 1000000, -1 },
        { "5.", 6, 1000000, -1 },
        { "-0.5", 6, 1000000, -1 },
        { "+0.5", 6, 1000000, -1 },
        { " 0.5", 6, 1000000, -1 },
        { "0.5 ", 6, 1000000, -1 },
        { "0x1", 6, 1000000, -1 },
        { "1e", 6, 1000000, -1 },
        { "1e-", 6, 1000000, -1 },
        { "1e-5x", 6, 1000000, -1 },
        { "nan", 6, 1000000, -1 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t got = 0;
        bool is = decimal_parse(str_from(rows[i].text), rows[i].digits, rows[i].max, &got);
        if (is != (rows[i].want >= 0) || (is && got != rows[i].want))
            fail_msg("'%s' gives %d %u", rows[i].text, is, got);
    }
}

/* A stream of one byte at a time. */
struct drops {
    struct stream stream;
    str rest;
};

static int next_drop(struct stream *s, str *ret, struct err *e)
{
    struct drops *d = (struct drops *)s;
    *ret = str_head(d->rest, 1);
    d->rest = str_skip(d->rest, 1);
    return ret->len > 0;
}

static void check_lines(struct stream *in, const char *want)
{
    CLEANUP(lines_done) struct lines lines = { .in = in };
    CLEANUP(buf_done) struct buf got = { 0 };
    struct err e = { 0 };
    str line;
    int r;
    while ((r = lines_next(&lines, &line, &e)) > 0)
        buf_printf(&got, "%llu " STR_FMT "|", (unsigned long long)lines.number, STR_ARG(line));
    buf_char(&got, 0);
    assert_int_equal(r, 0);
    assert_string_equal(got.ptr, want);
}

static void test_lines(void **state)
{
    static const struct row rows[] = {
        { "", "" },
        { "\n", "1 |" },
        { "a", "1 a|" },
        { "a\n", "1 a|" },
        { "a\r\nbc\n\n\rd\re", "1 a|2 bc|3 |4 \rd\re|" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct drops drops = { .stream.next = next_drop, .rest = str_from(rows[i].doc) };
        CLEANUP(stream_freep) struct stream *whole = stream_from_mem(str_from(rows[i].doc), &e);
        check_lines(whole, rows[i].want);
        check_lines(&drops.stream, rows[i].want);
    }
}

static void test_long_lines(void **state)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    for (unsigned i = 0; i < LINE_MAX_BYTES; i++)
        buf_char(&text, 'x');
    buf_str(&text, STR("\ny"));
    for (int more = 0; more < 2; more++) {
        struct drops drops = { .stream.next = next_drop, .rest = buf_view(&text) };
        struct err e = { 0 };
        str line = { 0 };
        CLEANUP(lines_done) struct lines lines = { .in = &drops.stream };
        int r = lines_next(&lines, &line, &e);
        assert_int_equal(r, more ? -1 : 1);
        assert_int_equal(more ? 0 : line.len, more ? 0 : LINE_MAX_BYTES);
        if (more)
            assert_string_equal(e.text, "line 1: more than 4096 bytes");
        text.ptr[LINE_MAX_BYTES] = 'x';
    }
}

/* ---- NVD ---- */

#define CVES(text)    "{\"vulnerabilities\":[" text "]}"
#define CVE(text)     CVES("{\"cve\":{\"id\":\"CVE-1\"," text "}}")
#define METRICS(text) CVE("\"metrics\":{" text "}")
#define SCORE(source, type, version, vector, base)                                                           \
    "{\"source\":\"" source "\",\"type\":\"" type "\",\"cvssData\":{\"version\":\"" version                  \
    "\",\"vectorString\":\"" vector "\",\"baseScore\":" base "}}"

static void test_nvd_scores(void **state)
{
    static const struct row rows[] = {
        { METRICS("\"cvssMetricV31\":[" SCORE("nvd", "Primary", "3.1", "CVSS:3.1/AV:N", "9.8") "]"),
          "CVE-1 CVE-1 [] <> Critical 3.1:98:CVSS:3.1/AV:N@nvd\n" },
        /* NVD's own first, then the newest version; others, as they come, after them */
        { METRICS("\"cvssMetricV40\":[" SCORE(
              "vendor", "Secondary", "4.0", "four",
              "9.3") "],\"cvssMetricV31\":[" SCORE("vendor", "Secondary", "3.1", "a",
                                                   "8.1") "," SCORE("adp", "Secondary", "3.1", "b",
                                                                    "5") "," SCORE("nvd", "Primary", "3.1",
                                                                                   "c",
                                                                                   "6.5") "],"
                                                                                          "\"cvssMetricV2\":"
                                                                                          "[" SCORE(
                                                                                              "nvd",
                                                                                              "Primary",
                                                                                              "2.0",
                                                                                              "AV:N/"
                                                                                              "AC:L",
                                                                                              "10.0") "]"),
          "CVE-1 CVE-1 [] <> Medium 3.1:65:c@nvd 2.0:100:AV:N/AC:L@nvd 4.0:93:four@vendor 3.1:81:a@vendor "
          "3.1:50:b@adp\n" },
        /* 2.0 has no Critical, and 0.0 is no severity but that it has none */
        { METRICS("\"cvssMetricV2\":[" SCORE("n", "Primary", "2.0", "v", "10.0") "]"),
          "CVE-1 CVE-1 [] <> High 2.0:100:v@n\n" },
        { METRICS("\"cvssMetricV30\":[" SCORE("n", "Primary", "3.0", "v", "0.0") "]"),
          "CVE-1 CVE-1 [] <> Negligible 3.0:0:v@n\n" },
        /* in any order, with what is not read, and null where there is nothing */
        { CVES("{\"x\":[1],\"cve\":{\"metrics\":{\"other\":[1],\"cvssMetricV31\":[{\"exploitabilityScore\":3."
               "9,\"cvssData\":{"
               "\"baseSeverity\":\"LOW\",\"baseScore\":2,\"version\":\"3.1\"}}]},\"descriptions\":[{\"lang\":"
               "\"en\",\"value\":\"d\"}],"
               "\"id\":\"CVE-2\",\"vulnStatus\":\"Deferred\"}},{\"cve\":{\"id\":\"CVE-3\",\"metrics\":null}},"
               "{\"cve\":{\"id\":\"CVE-4\",\"metrics\":{\"cvssMetricV2\":null}}},{\"cve\":{\"id\":\"CVE-5\"}"
               "}"),
          "CVE-2 CVE-2 [] <> Low 3.1:20:@\n" },
        /* odd values: no score, and nothing of one CVE is left over in the next */
        { METRICS("\"cvssMetricV31\":[" SCORE("a", "Primary", "3.1", "v", "10.1") "," SCORE(
              "b", "Primary", "3.2", "v",
              "1") "," SCORE("c", "Primary", "3.1", "v",
                             "\"7\"") "," SCORE("d", "Primary", "3.1", "v",
                                                "null") "," SCORE("e", "Primary", "3.1", "v",
                                                                  "[1]") ",{\"cvssData\":null},{}"
                                                                         "," SCORE("f", "Secondary", "3.1",
                                                                                   "v", "7") "]"),
          "CVE-1 CVE-1 [] <> High 3.1:70:v@f\n" },
        { CVES("{\"cve\":{\"id\":\"CVE-1\",\"metrics\":{\"cvssMetricV31\":[" SCORE(
              "a", "Primary", "3.1", "v",
              "4.0") "]}}},{\"cve\":{\"id\":\"CVE-2\"}},{\"cve\":{\"id\":\"CVE-3\",\"metrics\":{"
                     "\"cvssMetricV30\":[" SCORE("b", "Secondary", "3.0", "w", "3.9") "]}}}"),
          "CVE-1 CVE-1 [] <> Medium 3.1:40:v@a\nCVE-3 CVE-3 [] <> Low 3.0:39:w@b\n" },
        { CVE("\"metrics\":{\"cvssMetricV2\":[" SCORE("n", "Primary", "2.0", "v",
                                                      "5") "]},\"vulnStatus\":\"Rejected\""),
          "" },
        { CVES(""), "" },
    };
    check_rows("nvd", NVD, rows, COUNT(rows));
}

static void test_nvd_documents(void **state)
{
    static const struct row rows[] = {
        { "{}", "no list of vulnerabilities" },
        { "[]", "json: byte 0: an object wanted, not an array" },
        { "{\"vulnerabilities\":null}", "vulnerabilities: json: byte 19: an array wanted, not null" },
        { CVES("1"), "vulnerabilities: byte 21: an element is not an object" },
        { CVES("{}"), "vulnerabilities: byte 22: an element without cve" },
        { CVES("{\"cve\":{}}"), "vulnerabilities: '': byte 29: a CVE without id" },
        { CVES("{\"cve\":{\"id\":7}}"), "vulnerabilities: '': json: byte 33: a string wanted, not a number" },
        { CVE("\"metrics\":[]"), "vulnerabilities: 'CVE-1': json: byte 51: an object wanted, not an array" },
        { METRICS("\"cvssMetricV2\":[1]"),
          "vulnerabilities: 'CVE-1': metrics: byte 69: a score is not an object" },
        { METRICS("\"cvssMetricV2\":[{\"cvssData\":[]}]"),
          "vulnerabilities: 'CVE-1': metrics: json: byte 80: an object wanted, not an array" },
        { METRICS("\"cvssMetricV2\":[{\"cvssData\":{\"version\":2.0}}]"),
          "vulnerabilities: 'CVE-1': metrics: cvssData: json: byte 91: a string wanted, not a number" },
        { CVES("") "x", "json: byte 22: something follows the value" },
        { "{\"vulnerabilities\":[", "vulnerabilities: json: byte 20: the input ends inside a value" },
    };
    check_rows("nvd", NVD, rows, COUNT(rows));
}

/* Of a hundred scores the first 64 that count; texts that are too long reach the sink as such. */
static int check_many(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    ((struct said *)sink)->advisories++;
    assert_int_equal(a->meta.score_count, METADATA_LIST);
    for (size_t i = 0; i < a->meta.score_count; i++) {
        assert_int_equal(a->meta.scores[i].base, i);
        assert_int_equal(a->meta.scores[i].vector.len, METADATA_TEXT + 1);
    }
    return 0;
}

static void test_nvd_many_scores(void **state)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    buf_str(&doc, STR("{\"vulnerabilities\":[{\"cve\":{\"id\":\"CVE-1\",\"metrics\":{\"cvssMetricV31\":["));
    for (int i = 0; i < 100; i++) {
        buf_printf(&doc, "%s{\"cvssData\":{\"version\":\"3.1\",\"baseScore\":%d.%d,\"vectorString\":\"",
                   i ? "," : "", i / 10, i % 10);
        for (int k = 0; k < 3000; k++)
            buf_char(&doc, 'v');
        buf_str(&doc, STR("\"}}"));
    }
    buf_str(&doc, STR("]}}}]}"));
    struct said said = { .sink.put = check_many };
    struct err e = { 0 };
    assert_int_equal(parse_said("nvd", NVD, buf_view(&doc), &said, &e), 0);
    assert_int_equal(said.advisories, 1);
}

static void test_nvd_meta(void **state)
{
#define DIGITS "C8EAC407382BF4377A834D11BF6D299BC7DAEA3AF3AC02F998074F07492D701"
    static const struct row rows[] = {
        { "lastModifiedDate:2024-08-09T00:00:00-04:00\r\nsize:3522653\r\nsha256:" DIGITS "8\r\n",
          NVD " -> " NVD " (c8eac407382bf4377a834d11bf6d299bc7daea3af3ac02f998074f07492d7018)\n" },
        { "sha256:" DIGITS "8",
          NVD " -> " NVD " (c8eac407382bf4377a834d11bf6d299bc7daea3af3ac02f998074f07492d7018)\n" },
        { "size:1\n", "no sha256" },
        { "", "no sha256" },
        { "size:1\nsha256:" DIGITS "\n", "line 2: 64 hexadecimal digits wanted" },
        { "sha256:" DIGITS "X\n", "line 1: 64 hexadecimal digits wanted" },
        { "<html>", "no sha256" },
    };
    check_rows("nvd", META, rows, COUNT(rows));
}

/* ---- EPSS ---- */

static void test_epss(void **state)
{
    static const struct row rows[] = {
        { "#model_version:v2025.03.14,score_date:2099-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-1-1,0."
          "00043,0.09\n"
          "CVE-1-2,0.97351,1.0\n",
          "CVE-1-1 CVE-1-1 [] <> epss 430 90000\nCVE-1-2 CVE-1-2 [] <> epss 973510 1000000\n" },
        { "cve,epss,percentile\r\nCVE-1-1,0.65117,0.9981063485700858\r\n",
          "CVE-1-1 CVE-1-1 [] <> epss 651170 998106\n" },
        { "cve,epss\nCVE-1-1,6e-05\n", "CVE-1-1 CVE-1-1 [] <> epss 60 0\n" },
        { "cve,epss\nCVE-1-1,6e-05", "line 2: cut off: 'CVE-1-1,6e-05'" },
        { "", "line 1: the head of the table wanted: ''" },
        { "#a\n#b\n", "line 3: the head of the table wanted: ''" },
        { "CVE-1-1,0.5\n", "line 1: the head of the table wanted: 'CVE-1-1,0.5'" },
        { "cve,epss,percentile\n", "line 2: a row wanted: ''" },
        { "cve,epss,percentile\nCVE-1-1,0.5\n", "line 2: a percentile from 0 to 1 wanted: ''" },
        { "cve,epss,percentile\nCVE-1-1,0.5,0.5,0.5\n",
          "line 2: a percentile from 0 to 1 wanted: '0.5,0.5'" },
        { "cve,epss,percentile\nCVE-1-1,0.5,0.5\nCVE-1-2,1.5,0.5\n",
          "line 3: a score from 0 to 1 wanted: '1.5'" },
        { "cve,epss\nCVE-1-1,0.5,0.5\n", "line 2: nothing wanted behind the score: '0.5'" },
        { "cve,epss\nCVE-1-1,\n", "line 2: a score from 0 to 1 wanted: ''" },
        { "cve,epss\nGHSA-1,0.5\n", "line 2: a CVE wanted: 'GHSA-1'" },
        { "cve,epss\n\nCVE-1-1,0.5\n", "line 2: a CVE wanted: ''" },
    };
    check_rows("epss", "epss_scores-current.csv.gz", rows, COUNT(rows));
}

/* ---- KEV ---- */

#define ENTRY(text) "{\"count\":1,\"vulnerabilities\":[{" text "}]}"

static void test_kev(void **state)
{
    static const struct row rows[] = {
        { ENTRY("\"cveID\":\"CVE-1-1\",\"dateAdded\":\"2021-12-10\",\"dueDate\":\"2021-12-24\",\"cwes\":["
                "\"CWE-1\"]"),
          "CVE-1-1 CVE-1-1 [] <> kev 2021-12-10/2021-12-24\n" },
        { ENTRY("\"dueDate\":\"soon\",\"dateAdded\":\"2021-12-10\",\"cveID\":\"CVE-1-1\""),
          "CVE-1-1 CVE-1-1 [] <> kev 2021-12-10/\n" },
        { ENTRY("\"cveID\":\"CVE-1-1\",\"dateAdded\":\"2021-12-10\",\"dueDate\":null},{\"cveID\":\"CVE-1-2\","
                "\"dateAdded\":\"2022-01-01\""),
          "CVE-1-1 CVE-1-1 [] <> kev 2021-12-10/\nCVE-1-2 CVE-1-2 [] <> kev 2022-01-01/\n" },
        { ENTRY("\"cveID\":\"CVE-1-1\",\"dateAdded\":\"yesterday\""), "" },
        { ENTRY("\"cveID\":\"CVE-1-1\""), "" },
        { "{\"vulnerabilities\":[]}", "" },
        { "{}", "no list of vulnerabilities" },
        { "<html>", "json: byte 0: a value wanted" },
        { "{\"vulnerabilities\":{}}", "vulnerabilities: json: byte 19: an array wanted, not an object" },
        { "{\"vulnerabilities\":[7]}", "vulnerabilities: byte 21: an entry is not an object" },
        { ENTRY("\"dateAdded\":\"2021-12-10\""), "vulnerabilities: byte 56: an entry without cveID" },
        { ENTRY("\"cveID\":\"CVE-1-1\",\"dateAdded\":20211210"),
          "vulnerabilities: 'CVE-1-1': dateAdded: json: byte 61: a string wanted, not a number" },
        { ENTRY("") "]", "vulnerabilities: byte 32: an entry without cveID" },
        { "{\"vulnerabilities\":[]}[", "json: byte 22: something follows the value" },
    };
    check_rows("kev", KEV, rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimals),      cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines),    cmocka_unit_test(test_nvd_scores),
        cmocka_unit_test(test_nvd_documents), cmocka_unit_test(test_nvd_many_scores),
        cmocka_unit_test(test_nvd_meta),      cmocka_unit_test(test_epss),
        cmocka_unit_test(test_kev),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
