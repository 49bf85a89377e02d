/* test_feed.c - what the feed parsers make of their documents: rows of our own, and the whole real ones. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "feed/feed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- rows of our own ---- */

/* One line for each advisory: key id [description] <link> and its ranges, without what all of a feed have
 * alike. */
struct lines {
    struct advisory_sink sink;
    struct buf out;
};

static void add_range(struct buf *out, const struct affected_range *r)
{
    assert_int_equal(r->kind, AFFECTS_SOURCE);
    assert_true(str_eq(r->scheme, str_starts(r->namespace, STR("alpine:")) ? STR("apk") : STR("dpkg")));
    assert_int_equal(r->introduced.len + r->arch.len + r->module.len, 0);
    buf_printf(out, "; " STR_FMT " " STR_FMT " ", STR_ARG(r->namespace), STR_ARG(r->package));
    if (r->negative)
        buf_str(out, STR("never"));
    else
        buf_printf(out, "%s<" STR_FMT, fix_state_name(r->state), STR_ARG(r->fixed_version));
    buf_printf(out, " %s", severity_name(r->severity));
}

static int put_line(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct buf *out = &((struct lines *)sink)->out;
    buf_printf(out, STR_FMT " " STR_FMT " [" STR_FMT "]", STR_ARG(a->key), STR_ARG(a->id),
               STR_ARG(a->description));
    for (size_t i = 0; i < a->range_count; i++)
        add_range(out, &a->ranges[i]);
    buf_char(out, '\n');
    return 0;
}

static int parse(const char *feed, const char *document, str bytes, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, e);
    assert_non_null(in);
    return feed_by_name(str_from(feed))
        ->parse(&(struct feed_input){ .document = str_from(document), .bytes = in }, sink, e);
}

struct row {
    const char *doc, *want; /* lines, or the error without "\n" */
};

static void check_rows(const char *feed, const char *document, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct lines lines = { .sink.put = put_line };
        struct err e = { 0 };
        bool good = !*rows[i].want || strchr(rows[i].want, '\n');
        int r = parse(feed, document, str_from(rows[i].doc), &lines.sink, &e);
        buf_char(&lines.out, 0);
        if ((r == 0) != good || strcmp(good ? lines.out.ptr : e.text, rows[i].want) != 0)
            fail_msg("%s\n  gives  %s%s\n  wanted %s", rows[i].doc, lines.out.ptr, e.text, rows[i].want);
        buf_done(&lines.out);
    }
}

#define RELEASES(text)  "{\"p\":{\"CVE-1\":{\"releases\":{" text "}}}}"
#define STATEMENT(text) RELEASES("\"bookworm\":{" text "}")

static void test_debian_statements(void **state)
{
    static const struct row rows[] = {
        { STATEMENT("\"status\":\"resolved\",\"fixed_version\":\"1:2.0-1~x\",\"urgency\":\"low\""),
          "p/CVE-1 CVE-1 []; debian:12 p fixed<1:2.0-1~x Low\n" },
        { STATEMENT("\"urgency\":\"high\",\"fixed_version\":\"2\",\"repositories\":{\"bookworm\":\"1\"},"
                    "\"status\":\"resolved\""),
          "p/CVE-1 CVE-1 []; debian:12 p fixed<2 High\n" },
        { STATEMENT("\"status\":\"resolved\",\"fixed_version\":\"0\",\"urgency\":\"not yet assigned\""),
          "p/CVE-1 CVE-1 []; debian:12 p never Unknown\n" },
        { STATEMENT("\"status\":\"resolved\",\"urgency\":\"low\""), "" },
        { STATEMENT("\"status\":\"undetermined\",\"urgency\":\"low\""), "" },
        { STATEMENT("\"status\":\"undetermined\",\"fixed_version\":\"0\""), "" },
        { STATEMENT("\"status\":null,\"fixed_version\":\"1\""), "" },
        { STATEMENT(""), "" },
        { STATEMENT("\"status\":\"open\",\"urgency\":\"medium**\""),
          "p/CVE-1 CVE-1 []; debian:12 p affected< Medium\n" },
        { STATEMENT("\"status\":\"open\",\"urgency\":\"low*\",\"fixed_version\":\"3\""),
          "p/CVE-1 CVE-1 []; debian:12 p affected< Low\n" },
        { STATEMENT("\"status\":\"open\",\"urgency\":\"unimportant\""),
          "p/CVE-1 CVE-1 []; debian:12 p affected< Negligible\n" },
        { STATEMENT("\"status\":\"open\",\"urgency\":\"end-of-life\""),
          "p/CVE-1 CVE-1 []; debian:12 p end_of_life< Negligible\n" },
        { STATEMENT("\"status\":\"open\",\"urgency\":\"end-of-life\",\"nodsa_reason\":\"ignored\""),
          "p/CVE-1 CVE-1 []; debian:12 p end_of_life< Negligible\n" },
        { STATEMENT("\"status\":\"resolved\",\"fixed_version\":\"1\",\"urgency\":\"end-of-life\""),
          "p/CVE-1 CVE-1 []; debian:12 p fixed<1 Negligible\n" },
        { STATEMENT("\"status\":\"open\",\"nodsa\":\"Minor "
                    "issue\",\"nodsa_reason\":\"ignored\",\"urgency\":\"low\""),
          "p/CVE-1 CVE-1 []; debian:12 p will_not_fix< Low\n" },
        { STATEMENT("\"status\":\"open\",\"nodsa\":\"Minor "
                    "issue\",\"nodsa_reason\":\"postponed\",\"urgency\":\"low\""),
          "p/CVE-1 CVE-1 []; debian:12 p affected< Low\n" },
        { STATEMENT("\"status\":\"open\",\"nodsa_reason\":\"\",\"urgency\":\"something new\""),
          "p/CVE-1 CVE-1 []; debian:12 p affected< Unknown\n" },
    };
    check_rows("debian", "tracker/data/json", rows, COUNT(rows));
}

#define OPEN "{\"status\":\"open\"}"

static void test_debian_documents(void **state)
{
    static const struct row rows[] = {
        { RELEASES("\"squeeze\":" OPEN ",\"wheezy\":" OPEN ",\"jessie\":" OPEN ",\"stretch\":" OPEN
                   ",\"buster\":" OPEN ",\"bullseye\":" OPEN ",\"bookworm\":" OPEN ",\"trixie\":" OPEN
                   ",\"forky\":" OPEN ",\"duke\":" OPEN ",\"sid\":" OPEN ",\"bo\":" OPEN
                   ",\"bookworm-security\":" OPEN),
          "p/CVE-1 CVE-1 []; debian:6 p affected< Unknown; debian:7 p affected< Unknown; debian:8 p "
          "affected< Unknown; "
          "debian:9 p affected< Unknown; debian:10 p affected< Unknown; debian:11 p affected< Unknown; "
          "debian:12 p affected< "
          "Unknown; debian:13 p affected< Unknown; debian:14 p affected< Unknown; debian:15 p affected< "
          "Unknown; "
          "debian:unstable p affected< Unknown\n" },
        /* every name of its own, in any order; nothing of one advisory is left over in the next */
        { "{\"a\":{\"TEMP-0000000-F00\":{\"releases\":{\"sid\":" OPEN
          "},\"scope\":\"local\",\"description\":\"a \\u00e9\",\"debianbug\":7},"
          "\"CVE-2\":{\"releases\":{}},\"CVE-3\":{},\"CVE-4\":{\"releases\":{\"sid\":" OPEN "}}},\"b\":{},"
          "\"c\":{\"CVE-4\":{\"description\":null,\"releases\":{\"trixie\":" OPEN "}}}}\n",
          "a/TEMP-0000000-F00 TEMP-0000000-F00 [a \xc3\xa9]; debian:unstable a affected< Unknown\n"
          "a/CVE-4 CVE-4 []; debian:unstable a affected< Unknown\n"
          "c/CVE-4 CVE-4 []; debian:13 c affected< Unknown\n" },
        { "{}", "no package: an empty tracker is a broken one" },
        { "[]", "json: byte 0: an object wanted, not an array" },
        { "null", "json: byte 0: an object wanted, not null" },
        { "{\"p\":1}", "p: json: byte 5: an object wanted, not a number" },
        { "{\"p\":{\"CVE-1\":null}}", "p: CVE-1: json: byte 14: an object wanted, not null" },
        { "{\"p\":{\"CVE-1\":{\"releases\":[]}}}",
          "p: CVE-1: releases: json: byte 26: an object wanted, not an array" },
        { RELEASES("\"sid\":true"), "p: CVE-1: releases: sid: json: byte 33: an object wanted, not true" },
        { STATEMENT("\"status\":{}"),
          "p: CVE-1: releases: bookworm: status: json: byte 48: a string wanted, not an object" },
        { "{\"p\":{\"CVE-1\":{\"description\":[]}}}",
          "p: CVE-1: description: json: byte 29: a string wanted, not an array" },
        { "{\"p\":{}} {}", "json: byte 9: something follows the value" },
        { "{\"\":{}}", ": an empty name" },
        { "{\"p\":{\"\":{}}}", "p: : an empty name" },
        { "{\"p\":{}", "json: byte 7: the input ends inside a value" },
    };
    check_rows("debian", "tracker/data/json", rows, COUNT(rows));
}

/* The link, and where long texts are cut or refused. */
static int keep_copy(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct buf *out = &((struct lines *)sink)->out;
    buf_printf(out, STR_FMT " ", STR_ARG(a->link));
    buf_str(out, a->description);
    return 0;
}

static int parse_description(size_t len, struct lines *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    buf_str(&doc, STR("{\"p\":{\"CVE-1\":{\"releases\":{\"sid\":" OPEN "},\"description\":\"x"));
    for (size_t i = 1; i < len; i += 2)
        buf_str(&doc, STR("\xc3\xa9"));
    buf_str(&doc, STR("\"}}}"));
    return parse("debian", "tracker/data/json", buf_view(&doc), &ret->sink, e);
}

static void test_debian_long_texts(void **state)
{
    str head = STR("https://security-tracker.debian.org/tracker/CVE-1 x\xc3\xa9");
    static const size_t lengths[][2] = { { 65535, 65535 }, { 65537, 65535 }, { 1000001, 65535 } };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct lines got = { .sink.put = keep_copy };
        struct err e = { 0 };
        assert_int_equal(parse_description(lengths[i][0], &got, &e), 0);
        assert_int_equal(got.out.len, head.len - 3 + lengths[i][1]);
        assert_true(str_starts(buf_view(&got.out), head) && str_utf8(buf_view(&got.out)));
        buf_done(&got.out);
    }
}

/* Names and versions that are too long reach the sink as such: 513 bytes, one more than it takes. */
static int check_too_long(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    ((struct lines *)sink)->out.len++;
    assert_int_equal(a->ranges[0].package.len + a->ranges[0].fixed_version.len, 513 + 1);
    return 0;
}

static void test_too_long_names(void **state)
{
    static const struct {
        const char *feed, *document, *text; /* "@": 600 digits */
    } rows[] = {
        { "debian", "tracker/data/json",
          "{\"@\":{\"CVE-1\":{\"releases\":{\"sid\":{\"status\":\"resolved\",\"fixed_version\":\"1\"}}}}}" },
        { "debian", "tracker/data/json",
          "{\"p\":{\"CVE-1\":{\"releases\":{\"sid\":{\"status\":\"resolved\",\"fixed_version\":\"@\"}}}}}" },
        { "alpine", "v3.20/main.json",
          "{\"packages\":[{\"pkg\":{\"name\":\"@\",\"secfixes\":{\"1\":[\"CVE-1\"]}}}]}" },
        { "alpine", "v3.20/main.json",
          "{\"packages\":[{\"pkg\":{\"name\":\"p\",\"secfixes\":{\"@\":[\"CVE-1\"]}}}]}" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *hole = strchr(rows[i].text, '@');
        CLEANUP(buf_done) struct buf doc = { 0 };
        buf_add(&doc, rows[i].text, (size_t)(hole - rows[i].text));
        for (int k = 0; k < 600; k++)
            buf_char(&doc, '1');
        buf_str(&doc, str_from(hole + 1));
        struct lines got = { .sink.put = check_too_long };
        struct err e = { 0 };
        assert_int_equal(parse(rows[i].feed, rows[i].document, buf_view(&doc), &got.sink, &e), 0);
        assert_int_equal(got.out.len, 1);
    }
}

static void test_debian_too_many_releases(void **state)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    buf_str(&doc, STR("{\"p\":{\"CVE-1\":{\"releases\":{\"sid\":" OPEN));
    for (int i = 0; i < 64; i++)
        buf_str(&doc, STR(",\"sid\":" OPEN));
    buf_str(&doc, STR("}}}}"));
    struct lines got = { .sink.put = put_line };
    struct err e = { 0 };
    assert_int_equal(parse("debian", "tracker/data/json", buf_view(&doc), &got.sink, &e), -1);
    assert_string_equal(e.text, "p: CVE-1: releases: sid: more than 64 releases");
    assert_int_equal(e.kind, ERR_LIMIT);
}

#define SECFIXES(text)                                                                                       \
    "{\"distroversion\":\"v3.20\",\"packages\":[{\"pkg\":{\"name\":\"p\",\"secfixes\":{" text "}}}]}"
#define LINE(id, rest) "v3.20/main/p/" id " " id " []; alpine:v3.20 p " rest " Unknown\n"

static void test_alpine_ids(void **state)
{
    static const struct row rows[] = {
        { SECFIXES("\"1.2-r3\":[\"CVE-1-1\"]"), LINE("CVE-1-1", "fixed<1.2-r3") },
        { SECFIXES("\"1\":[\"CVE-1-1 (+ regression fix)\"]"), LINE("CVE-1-1", "fixed<1") },
        { SECFIXES("\"1\":[\"XSA-260 XSA-261\",\"GHSA-aa-bb\\tALPINE-7\"]"),
          LINE("ALPINE-7", "fixed<1") LINE("GHSA-aa-bb", "fixed<1") LINE("XSA-260", "fixed<1")
              LINE("XSA-261", "fixed<1") },
        /* beside a CVE the other names of the problem are left out, in that string alone */
        { SECFIXES("\"1\":[\"XSA-260  CVE-1-1\",\"CVE_1-2 GHSA-cc-dd CVE-1-3\",\"GHSA-aa-bb "
                   "CVE-????\",\"XSA-7\"]"),
          LINE("CVE-1-1", "fixed<1") LINE("CVE-1-2", "fixed<1") LINE("CVE-1-3", "fixed<1")
              LINE("GHSA-aa-bb", "fixed<1") LINE("XSA-7", "fixed<1") },
        { SECFIXES("\"1\":[\"CVE_2019-2426\",\"(CVE-1-2,\",\"CVE-1-3)\",\"CVE-1-4.patch\"]"),
          LINE("CVE-1-2", "fixed<1") LINE("CVE-1-3", "fixed<1") LINE("CVE-1-4", "fixed<1")
              LINE("CVE-2019-2426", "fixed<1") },
        { SECFIXES("\"1\":[\"TALOS-2017-0488\",\"CVE-???"
                   "?-????? XSA-312\",\"CVE-2022-?????\",\"CVE-\",\"\",\"cve-1-1\",\"XCVE-1\"]"),
          LINE("XSA-312", "fixed<1") },
        /* the highest version is the fix; "0" and what is no version give way to it */
        { SECFIXES("\"1.9-r0\":[\"CVE-1-1\"],\"1.10-r0\":[\"CVE-1-1\"],\"1.2-r0\":[\"CVE-1-1\"]"),
          LINE("CVE-1-1", "fixed<1.10-r0") },
        { SECFIXES("\"1.10_rc1\":[\"CVE-1-1\"],\"1.9\":[\"CVE-1-1 CVE-1-1\"]"),
          LINE("CVE-1-1", "fixed<1.10_rc1") },
        { SECFIXES("\"0\":[\"CVE-1-1\",\"CVE-1-2\"],\"1.2-r0\":[\"CVE-1-1\"]"),
          LINE("CVE-1-1", "fixed<1.2-r0") LINE("CVE-1-2", "never") },
        { SECFIXES("\"1.2-r0\":[\"CVE-1-1\"],\"0\":[\"CVE-1-1\"]"), LINE("CVE-1-1", "fixed<1.2-r0") },
        { SECFIXES("\"zz?\":[\"CVE-1-1\",\"CVE-1-2\"],\"1\":[\"CVE-1-1\"]"),
          LINE("CVE-1-1", "fixed<1") LINE("CVE-1-2", "fixed<zz?") },
        { SECFIXES("\"\":[\"CVE-1-1\"]"), "packages: package 'p': byte 70: an empty version" },
        { SECFIXES("\"1\":null,\"2\":[],\"3\":[null,\"CVE-1-1\"]"), LINE("CVE-1-1", "fixed<3") },
        { SECFIXES("\"1\":[\"CVE-1-1\"],\"1\":[\"CVE-1-2\"]"),
          LINE("CVE-1-1", "fixed<1") LINE("CVE-1-2", "fixed<1") },
        { SECFIXES(""), "" },
    };
    check_rows("alpine", "v3.20/main.json", rows, COUNT(rows));
}

#define PACKAGES "packages: package 'p': "

static void test_alpine_documents(void **state)
{
    static const struct row rows[] = {
        { "{\"packages\":null}", "" },
        { "{\"packages\":[],\"distroversion\":\"v3.20\",\"archs\":[\"x86\"]}", "" },
        { "{\"packages\":[{\"pkg\":{\"name\":\"p\",\"secfixes\":null}},{\"pkg\":{\"name\":\"q\"}}]}", "" },
        { "{\"packages\":[{\"pkg\":{\"secfixes\":{\"1\":[\"CVE-1-1\"]},\"x\":{},\"name\":\"p\"},\"y\":[]},"
          "{\"pkg\":{\"name\":\"q\",\"secfixes\":{\"2\":[\"CVE-1-1\"]}}}]}",
          LINE("CVE-1-1", "fixed<1") "v3.20/main/q/CVE-1-1 CVE-1-1 []; alpine:v3.20 q fixed<2 Unknown\n" },
        { "{}", "no list of packages" },
        { "[]", "json: byte 0: an object wanted, not an array" },
        { "{\"distroversion\":\"v3.2\"}", "distroversion: byte 23: 'v3.2' in the document of 'v3.20'" },
        { "{\"packages\":[],\"distroversion\":\"edge\"}",
          "distroversion: byte 37: 'edge' in the document of 'v3.20'" },
        { "{\"packages\":{}}", "packages: json: byte 12: an array wanted, not an object" },
        { "{\"packages\":[1]}", "packages: byte 14: a package is not an object" },
        { "{\"packages\":[{}]}", "packages: byte 15: an element without pkg" },
        { "{\"packages\":[{\"pkg\":{}}]}", "packages: package '': byte 22: a package without a name" },
        { "{\"packages\":[{\"pkg\":{\"name\":\"p\",\"secfixes\":[]}}]}",
          PACKAGES "json: byte 43: an object wanted, not an array" },
        { "{\"packages\":[{\"pkg\":{\"name\":\"p\",\"secfixes\":{\"1\":\"CVE-1-1\"}}}]}",
          PACKAGES "secfixes: json: byte 48: an array wanted, not a string" },
        { "{\"packages\":[{\"pkg\":{\"name\":\"p\",\"secfixes\":{\"1\":[7]}}}]}",
          PACKAGES "secfixes: byte 50: an id is not a string" },
        { "{\"packages\":[]", "json: byte 14: the input ends inside a value" },
    };
    check_rows("alpine", "v3.20/main.json", rows, COUNT(rows));
}

static void test_alpine_limit(void **state)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    buf_str(&doc, STR("{\"packages\":[{\"pkg\":{\"name\":\"p\",\"secfixes\":{\"1\":[\"CVE-1-1\""));
    for (int i = 0; i < 200000; i++)
        buf_printf(&doc, ",\"CVE-2-%d\"", i);
    buf_str(&doc, STR("]}}}]}"));
    struct lines got = { .sink.put = put_line };
    struct err e = { 0 };
    assert_int_equal(parse("alpine", "v3.20/main.json", buf_view(&doc), &got.sink, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(got.out.len, 0);
}

static void test_table(void **state)
{
    for (const struct feed *const *f = feeds; *f; f++)
        assert_ptr_equal(feed_by_name(str_from((*f)->name)), *f);
    assert_null(feed_by_name(STR("debia")));
    const struct feed_document *d = feed_by_name(STR("alpine"))->documents;
    size_t count = 0;
    for (; d->path; d++, count++)
        assert_true(str_ends(str_from(d->path), STR("/main.json")) ||
                    str_ends(str_from(d->path), STR("/community.json")));
    assert_int_equal(count, 1 + 2 * 24 + 2); /* v3.2, v3.3 to v3.26, edge */
}

/* ---- the real documents ---- */

static bool has_file(const char *name, char path[4096])
{
    const char *root = getenv("ECLAIR_TEST_DATA");
    snprintf(path, 4096, "%s/%s", root ? root : "../shared/data", name);
    return access(path, R_OK) == 0;
}

/* Only a person at home may let tests pass by that lack their data. */
static void did_not_run(const char *what)
{
    if (getenv("CI"))
        fail_msg("%s: no data", what);
    print_message("did not run, for lack of data: %s\n", what);
    skip();
}

static struct buf read_plain(const char *path)
{
    struct err e = { 0 };
    struct buf out = { 0 };
    str chunk;
    int r;
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    CLEANUP(stream_freep) struct stream *raw = stream_from_fd(fd, &e);
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(raw, &(struct inflate_limits){ 0 }, NULL, &e);
    assert_non_null(plain);
    while ((r = stream_next(plain, &chunk, &e)) > 0)
        buf_str(&out, chunk);
    assert_true(r == 0 && !out.failed);
    return out;
}

struct counter {
    struct advisory_sink sink;
    size_t advisories, ranges, negative, unfixed, end_of_life;
    size_t severities[SEVERITIES];
    struct {
        const char *namespace;
        size_t ranges;
    } namespaces[5];
    size_t unexpected; /* ranges of other namespaces */
};

static void count_range(struct counter *c, const struct affected_range *r)
{
    c->negative += r->negative;
    c->unfixed += !r->negative && !r->fixed_version.len;
    c->end_of_life += r->state == FIX_END_OF_LIFE;
    c->severities[r->severity]++;
    size_t i = 0;
    while (i < COUNT(c->namespaces) && !str_eq(r->namespace, str_from(c->namespaces[i].namespace)))
        i++;
    if (i < COUNT(c->namespaces))
        c->namespaces[i].ranges++;
    else
        c->unexpected++;
}

static int count_advisory(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct counter *c = (struct counter *)sink;
    c->advisories++;
    c->ranges += a->range_count;
    for (size_t i = 0; i < a->range_count; i++)
        count_range(c, &a->ranges[i]);
    return 0;
}

/* The numbers were counted in the file of 2025-02-12 with a few lines of Python (json.load and loops over
 * source, id and release), independently of the parser. */
static void check_tracker_counts(str doc)
{
    static const size_t ranges[] = { 32841, 32841, 33154, 33787, 269 };
    struct counter c = { .sink.put = count_advisory,
                         .namespaces = { { "debian:unstable", 0 },
                                         { "debian:13", 0 },
                                         { "debian:12", 0 },
                                         { "debian:11", 0 },
                                         { "debian:10", 0 } } };
    struct err e = { 0 };
    if (parse("debian", "tracker/data/json", doc, &c.sink, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.advisories, 37651);
    assert_int_equal(c.ranges, 132892);
    assert_int_equal(c.negative, 0); /* there is no "0" in it */
    assert_int_equal(c.unfixed, 12058);
    assert_int_equal(c.end_of_life, 388);
    assert_int_equal(c.severities[SEVERITY_UNKNOWN], 105767);
    assert_int_equal(c.severities[SEVERITY_NEGLIGIBLE], 12981 + 388);
    assert_int_equal(c.severities[SEVERITY_LOW], 10639);
    assert_int_equal(c.severities[SEVERITY_MEDIUM], 2585);
    assert_int_equal(c.severities[SEVERITY_HIGH], 532);
    assert_int_equal(c.unexpected, 0);
    for (size_t i = 0; i < COUNT(ranges); i++)
        assert_int_equal(c.namespaces[i].ranges, ranges[i]);
}

/* 200 places, each before the last one by a twelfth, so that all sizes occur and most cost little. */
static void check_truncations(const char *feed, const char *document, str doc)
{
    double place = (double)(doc.len - 1);
    for (int i = 0; i < 200; i++, place *= 0.92) {
        struct counter c = { .sink.put = count_advisory };
        struct err e = { 0 };
        if (parse(feed, document, str_head(doc, (size_t)place), &c.sink, &e) == 0 || e.kind != ERR_FORMAT)
            fail_msg("%s cut at byte %.0f: %s", document, place, e.text);
    }
}

static void test_real_debian(void **state)
{
    char path[4096];
    if (!has_file("feeds/debian/tracker/data/json.zst", path))
        did_not_run("201 cases");
    CLEANUP(buf_done) struct buf doc = read_plain(path);
    check_tracker_counts(buf_view(&doc));
    check_truncations("debian", "tracker/data/json", buf_view(&doc));
}

static void test_real_alpine(void **state)
{
    struct counter c = { .sink.put = count_advisory };
    size_t count = 0;
    for (const struct feed_document *at = feed_by_name(STR("alpine"))->documents; at->path; at++) {
        str d = str_from(at->path);
        char name[64], file[128], path[4096];
        struct err e = { 0 };
        snprintf(name, sizeof name, STR_FMT, STR_ARG(d));
        snprintf(file, sizeof file, "feeds/alpine/%s", name);
        /* the branches v3.9, v3.12, v3.17, v3.19 and those after v3.21 are not in the data */
        if (!has_file(file, path))
            continue;
        CLEANUP(buf_done) struct buf doc = read_plain(path);
        size_t before = c.advisories;
        if (parse("alpine", name, buf_view(&doc), &c.sink, &e) < 0)
            fail_msg("%s: %s", name, e.text);
        if (str_eq(d, STR("v3.20/main.json"))) {
            assert_int_equal(c.advisories - before, 2567);
            check_truncations("alpine", name, buf_view(&doc));
        }
        count++;
    }
    if (!count)
        did_not_run("231 cases");
    /* counted in the files of 2025-01-04 with Python: pairs of package and id, and those under "0" alone */
    assert_int_equal(count, 31);
    assert_int_equal(c.advisories, 56689);
    assert_int_equal(c.ranges, 56689);
    assert_int_equal(c.negative, 354);
    assert_int_equal(c.unfixed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_debian_statements),
        cmocka_unit_test(test_debian_documents),
        cmocka_unit_test(test_debian_long_texts),
        cmocka_unit_test(test_debian_too_many_releases),
        cmocka_unit_test(test_too_long_names),
        cmocka_unit_test(test_alpine_ids),
        cmocka_unit_test(test_alpine_documents),
        cmocka_unit_test(test_alpine_limit),
        cmocka_unit_test(test_real_debian),
        cmocka_unit_test(test_real_alpine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
