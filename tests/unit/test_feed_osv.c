/* test_feed_osv.c - what the feeds of OSV records, and Ubuntu's tracker, make of their documents; the whole real ones are held against
 * readings in tests/accuracy. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/feed.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- archives ---- */

static la_ssize_t collect(struct archive *lib, void *ctx, const void *bytes, size_t n)
{
    buf_add(ctx, bytes, n);
    return (la_ssize_t)n;
}

static void put_file(struct archive *w, const char *name, str text)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (int64_t)text.len);
    assert_int_equal(archive_write_header(w, entry), ARCHIVE_OK);
    if (text.len)
        assert_int_equal(archive_write_data(w, text.ptr, text.len), text.len);
    archive_entry_free(entry);
}

/* Of one file, and one that is passed over. */
static struct buf pack(const char *name, str text)
{
    struct buf out = { 0 };
    bool tar = !str_ends(str_from(name), STR(".json"));
    struct archive *w = archive_write_new();
    assert_int_equal(tar ? archive_write_set_format_ustar(w) : archive_write_set_format_zip(w), ARCHIVE_OK);
    archive_write_set_bytes_per_block(w, 0); /* no padding for tapes */
    assert_int_equal(archive_write_open(w, &out, NULL, collect, NULL), ARCHIVE_OK);
    put_file(w, "README", STR("nothing"));
    put_file(w, name, text);
    assert_int_equal(archive_write_free(w), ARCHIVE_OK);
    return out;
}

/* ---- what comes out, one line for each advisory and each of its ranges ---- */

struct lines {
    struct advisory_sink sink;
    struct buf out;
};

static void add_range(struct buf *out, const struct affected_range *r)
{
    buf_printf(out, "  " STR_FMT " " STR_FMT " " STR_FMT " %s ", STR_ARG(r->namespace), STR_ARG(r->scheme),
               STR_ARG(r->package), r->kind == AFFECTS_SOURCE ? "source" : "binary");
    if (r->negative) {
        assert_int_equal(r->introduced.len + r->fixed_version.len, 0);
        buf_str(out, STR("never\n"));
        return;
    }
    bool last = r->last_affected.len;
    str end = last ? r->last_affected : r->fixed_version;
    buf_printf(out, "[" STR_FMT "," STR_FMT "%c %s %s", STR_ARG(r->introduced), STR_ARG(end),
               last ? ']' : ')', fix_state_name(r->state), severity_name(r->severity));
    if (r->module.len)
        buf_printf(out, " " STR_FMT, STR_ARG(r->module));
    buf_char(out, '\n');
}

static int put_line(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct buf *out = &((struct lines *)sink)->out;
    buf_printf(out, STR_FMT " " STR_FMT, STR_ARG(a->key), STR_ARG(a->id));
    for (size_t i = 0; i < a->meta.alias_count; i++)
        buf_printf(out, " =" STR_FMT, STR_ARG(a->meta.aliases[i]));
    for (size_t i = 0; i < a->meta.score_count; i++)
        buf_printf(out, " %s:%u", cvss_version_name(cvss_version(a->meta.scores[i].version)).ptr,
                   a->meta.scores[i].base);
    buf_char(out, '\n');
    for (size_t i = 0; i < a->range_count; i++)
        add_range(out, &a->ranges[i]);
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
    const char *text, *want; /* lines, or the error without "\n" */
};

static void check_row(const char *feed, const char *document, const char *file, const struct row *row)
{
    struct lines lines = { .sink.put = put_line };
    struct err e = { 0 };
    bool good = !*row->want || strchr(row->want, '\n');
    struct buf archive = pack(file, str_from(row->text));
    int r = parse(feed, document, buf_view(&archive), &lines.sink, &e);
    buf_char(&lines.out, 0);
    if ((r == 0) != good || strcmp(good ? lines.out.ptr : e.text, row->want) != 0)
        fail_msg("%s\n  gives  %s%s\n  wanted %s", row->text, lines.out.ptr, e.text, row->want);
    buf_done(&lines.out);
    buf_done(&archive);
}

static void check_rows(const char *feed, const char *document, const char *file, const struct row *rows,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(feed, document, file, &rows[i]);
}

/* ---- records ---- */

#define RUST                                                                                                 \
    "crates"                                                                                                 \
    ".io" /* what OSV calls the ecosystem */
#define PACKAGE(ecosystem, name) "\"package\":{\"ecosystem\":\"" ecosystem "\",\"name\":\"" name "\"}"
#define EVENTS(type, events)     "\"ranges\":[{\"type\":\"" type "\",\"events\":[" events "]}]"
#define FROM(v)                  "{\"introduced\":\"" v "\"}"
#define FIXED(v)                 "{\"fixed\":\"" v "\"}"
#define LAST(v)                  "{\"last_affected\":\"" v "\"}"
#define RECORD(id, more, affected)                                                                           \
    "{\"id\":\"" id "\",\"modified\":\"2025-01-01T00:00:00Z\"" more ",\"affected\":[" affected "]}"
#define NPM(ranges) RECORD("GHSA-1", "", "{" PACKAGE("npm", "p") "," ranges "}")
#define ONE(line)   "GHSA-1 GHSA-1\n  npm semver p binary " line "\n"

static void test_ranges(void **state)
{
    static const struct row rows[] = {
        { NPM(EVENTS("SEMVER", FROM("0") "," FIXED("1.2"))), ONE("[,1.2) fixed Unknown") },
        { NPM(EVENTS("ECOSYSTEM", FROM("1.0") "," FIXED("1.2"))), ONE("[1.0,1.2) fixed Unknown") },
        { NPM(EVENTS("SEMVER", FROM("1.0"))), ONE("[1.0,) affected Unknown") },
        { NPM(EVENTS("SEMVER", FROM("0") "," LAST("3"))), ONE("[,3] affected Unknown") },
        { NPM(EVENTS("SEMVER", FROM("2") "," FIXED("2.1") "," FROM("1") "," FIXED("1.1") "," FROM("3"))),
          ONE("[2,2.1) fixed Unknown\n  npm semver p binary [1,1.1) fixed Unknown\n  npm semver p binary "
              "[3,) "
              "affected Unknown") },
        /* what is said twice, what ends before it begins, what we do not know */
        { NPM(EVENTS("SEMVER", FIXED("1") "," FROM("2") "," FROM("3") "," FIXED("4") "," FIXED(
                                   "5") ",{\"limit\":\"*\"},{}")),
          ONE("[2,4) fixed Unknown") },
        /* the type may come last */
        { NPM("\"ranges\":[{\"events\":[" FROM("0") "],\"type\":\"GIT\"}]"), "" },
        { NPM(EVENTS("GIT", FROM("abc") "," FIXED("def")) ",\"versions\":[\"1.0\",\"1.1\"]"),
          ONE("[1.0,1.0] affected Unknown\n  npm semver p binary [1.1,1.1] affected Unknown") },
        { NPM(EVENTS("SEMVER", FROM("1") "," FIXED("2")) ",\"versions\":[\"1.0\"]"),
          ONE("[1,2) fixed Unknown") },
        { NPM("\"versions\":[\"1.5\"]"), ONE("[1.5,1.5] affected Unknown") },
        { NPM("\"versions\":[]"), ONE("[,) affected Unknown") },
        { NPM("\"ranges\":null,\"versions\":null"), ONE("[,) affected Unknown") },
        { NPM(EVENTS("SEMVER", "")), ONE("[,) affected Unknown") },
        { RECORD("GHSA-1", ",\"withdrawn\":\"2025-01-01T00:00:00Z\"", "{" PACKAGE("npm", "p") "}"), "" },
        { RECORD("GHSA-1", ",\"withdrawn\":null", "{" PACKAGE("npm", "p") "}"), ONE("[,) affected Unknown") },
        { RECORD("GHSA-1", "", "{" PACKAGE("PyPI", "p") "},{" PACKAGE("npm", "") "},{},{\"package\":null}"),
          "" },
    };
    check_rows("npm", "npm/all.zip", "GHSA-1.json", rows, COUNT(rows));
}

#define V3             "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
#define V3_LOW         "CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
#define V4             "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
#define SCORE(type, v) "{\"type\":\"" type "\",\"score\":\"" v "\"}"
#define RATED(id, severity, rating)                                                                          \
    RECORD(id,                                                                                               \
           ",\"severity\":[" severity "],\"database_specific\":{\"severity\":" rating ",\"cwe_ids\":[]}",    \
           "{" PACKAGE("npm", "p") "}")

static void test_severity(void **state)
{
    static const struct row rows[] = {
        { RATED("GHSA-1", SCORE("CVSS_V3", V3), "\"LOW\""),
          "GHSA-1 GHSA-1 3.1:98\n  npm semver p binary [,) affected Critical\n" },
        { RATED("GHSA-1", SCORE("CVSS_V4", V4) "," SCORE("CVSS_V3", V3_LOW), "\"HIGH\""),
          "GHSA-1 GHSA-1 4.0:93 3.0:18\n  npm semver p binary [,) affected Low\n" },
        { RATED("GHSA-1", SCORE("CVSS_V4", V4), "\"MODERATE\""),
          "GHSA-1 GHSA-1 4.0:93\n  npm semver p binary [,) affected Medium\n" },
        { RATED("GHSA-1", SCORE("CVSS_V4", V4), "null"),
          "GHSA-1 GHSA-1 4.0:93\n  npm semver p binary [,) affected Critical\n" },
        { RATED("GHSA-1", SCORE("CVSS_V3", "CVSS:3.1/AV:N") "," SCORE("Other", "9.8"), "[\"HIGH\"]"),
          ONE("[,) affected Unknown") },
        { RATED("GHSA-1", "{}", "\"CRITICAL\""), ONE("[,) affected Critical") },
        { RATED("MAL-1", "", "{\"a\":[1]}"), "MAL-1 MAL-1\n  npm semver p binary [,) affected Critical\n" },
        { RECORD("GHSA-1", ",\"severity\":[" SCORE("CVSS_V3", V3) "]",
                 "{" PACKAGE("npm", "p") ",\"severity\":[" SCORE("CVSS_V3", V3_LOW) "]},{" PACKAGE("npm",
                                                                                                   "q") "}"),
          "GHSA-1 GHSA-1 3.1:98\n  npm semver p binary [,) affected Low\n  npm semver q binary [,) affected "
          "Critical\n" },
    };
    check_rows("npm", "npm/all.zip", "a/GHSA-1.json", rows, COUNT(rows));
}

static void test_errors(void **state)
{
    static const struct row rows[] = {
        /* what is wanted: how the error begins */
        { "", "GHSA-1.json: json: byte " },
        { "[]", "GHSA-1.json: json: byte " },
        { "{}", "GHSA-1.json: a record without id" },
        { "{\"id\":\"\"}", "GHSA-1.json: a record without id" },
        { "{\"id\":7}", "GHSA-1.json: id: json: byte " },
        { "{\"id\":\"a\"} x", "GHSA-1.json: json: byte " },
        { "{\"id\":\"a\",\"affected\":{}}", "GHSA-1.json: affected: json: byte " },
        { "{\"id\":\"a\",\"affected\":[1]}", "GHSA-1.json: affected: byte 23: not an object" },
        { "{\"id\":\"a\",\"aliases\":[1]}", "GHSA-1.json: aliases: byte 22: not a string" },
        { "{\"id\":\"a\",\"affected\":[{\"ranges\":[{\"events\":[{\"fixed\":1}]}]}]}",
          "GHSA-1.json: affected: ranges: events: fixed: json: byte " },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct lines lines = { .sink.put = put_line };
        struct err e = { 0 };
        struct buf archive = pack("GHSA-1.json", str_from(rows[i].text));
        assert_int_equal(parse("npm", "npm/all.zip", buf_view(&archive), &lines.sink, &e), -1);
        assert_int_equal(e.kind, ERR_FORMAT);
        if (!str_starts(str_from(e.text), str_from(rows[i].want)))
            fail_msg("%s\n  gives  %s\n  wanted %s", rows[i].text, e.text, rows[i].want);
        buf_done(&archive);
    }
    struct lines lines = { .sink.put = put_line };
    struct err e = { 0 };
    struct buf archive = pack("GHSA-1.txt", STR("x"));
    assert_int_equal(parse("npm", "npm/all.zip", buf_view(&archive), &lines.sink, &e), -1);
    assert_string_equal(e.text, "no record: an empty archive is a broken one");
    buf_done(&archive);
}

static void test_languages(void **state)
{
    static const struct row pypi[] = {
        { RECORD("PYSEC-1",
                 ",\"aliases\":[\"CVE-1\",\"GHSA-2\"],\"upstream\":[\"CVE-1\"],\"related\":[\"CVE-3\"]",
                 "{" PACKAGE("PyPI", "Foo.__Bar-_.x_") "}"),
          "PYSEC-1 PYSEC-1 =CVE-1 =GHSA-2\n  pypi pep440 foo-bar-x- binary [,) affected Unknown\n" },
    };
    static const struct row crates[] = {
        { RECORD("RUSTSEC-1", "", "{" PACKAGE(RUST, "Foo_bar") "}"),
          "RUSTSEC-1 RUSTSEC-1\n  crates semver Foo_bar binary [,) affected Unknown\n" },
    };
    static const struct row go[] = {
        { RECORD("GO-1", "",
                 "{" PACKAGE("Go", "stdlib") "," EVENTS("SEMVER", FROM("1.22.0-0") "," FIXED("1.22.3")) "}"),
          "GO-1 GO-1\n  go semver stdlib binary [1.22.0-0,1.22.3) fixed Unknown\n" },
    };
    static const struct row maven[] = {
        { RECORD("GHSA-1", "", "{" PACKAGE("Maven", "org.a:b") "}"),
          "GHSA-1 GHSA-1\n  maven maven org.a:b binary [,) affected Unknown\n" },
    };
    check_rows("pypi", "PyPI/all.zip", "1.json", pypi, COUNT(pypi));
    check_rows("crates", RUST "/all.zip", "1.json", crates, COUNT(crates));
    check_rows("go", "Go/all.zip", "1.json", go, COUNT(go));
    check_rows("maven", "Maven/all.zip", "1.json", maven, COUNT(maven));
}

/* ---- rpm ---- */

#define FIX(ecosystem, name, v)                                                                              \
    "{" PACKAGE(ecosystem, name) "," EVENTS("ECOSYSTEM", FROM("0") "," FIXED(v)) "}"
#define ALMA(summary, affected)                                                                              \
    RECORD("ALSA-2022:1", ",\"summary\":\"" summary "\",\"related\":[\"CVE-1\",\"RHSA-1\",\"CVE-2\"]",       \
           affected)

static void test_rpm(void **state)
{
    static const struct row alma[] = {
        { ALMA("Moderate: libssh security update", FIX("AlmaLinux:8", "libssh", "0.9.6-3.el8")),
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm libssh binary [,0.9.6-3.el8) fixed "
          "Medium\n" },
        /* a release is an advisory of its own */
        { ALMA("Important: a security update",
               FIX("AlmaLinux:9", "a", "2-1.el9") "," FIX("AlmaLinux:8", "a",
                                                          "1-1.el8") "," FIX("AlmaLinux:9", "b", "2-1.el9")),
          "ALSA-2022:1/9 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:9 rpm a binary [,2-1.el9) fixed High\n"
          "  almalinux:9 rpm b binary [,2-1.el9) fixed High\n"
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm a binary [,1-1.el8) fixed High\n" },
        { ALMA("Low: mariadb:10.3 security update",
               FIX("AlmaLinux:8", "mariadb", "3:10.3-1.module_el8.4.0+1+a")),
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm mariadb binary "
          "[,3:10.3-1.module_el8.4.0+1+a) fixed Low mariadb:10.3\n" },
        { ALMA("Critical: virt:rhel and virt-devel:rhel security update",
               FIX("AlmaLinux:8", "q", "1-1.module+el8+1")),
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm q binary [,1-1.module+el8+1) fixed "
          "Critical "
          "virt:rhel\n  almalinux:8 rpm q binary [,1-1.module+el8+1) fixed Critical virt-devel:rhel\n" },
        { ALMA("Moderate: httpd:2.4/mod_http2 security update", FIX("AlmaLinux:8", "h", "1-1.module_el8+1")),
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm h binary [,1-1.module_el8+1) fixed "
          "Medium "
          "httpd:2.4\n" },
        /* looks like a stream */
        { ALMA("Moderate: kernel:4.18.0 security update", FIX("AlmaLinux:8", "kernel", "4.18.0-1.el8")),
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm kernel binary [,4.18.0-1.el8) fixed "
          "Medium\n" },
        { ALMA("ALSA-2022:1 php:8.0 update", FIX("AlmaLinux:8", "php", "8-1.module_el8+1")),
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm php binary [,8-1.module_el8+1) fixed "
          "Unknown "
          "php:8.0\n" },
        { RECORD("ALBA-2022:1", ",\"summary\":\"a bug fix\"", FIX("AlmaLinux:8", "a", "1-1")), "" },
        { ALMA("Low: a", FIX("AlmaLinux", "a", "1") "," FIX("AlmaLinux:", "a", "1") "," FIX(
                             "Rocky Linux:8", "a", "1") "," FIX("AlmaLinux:8:x", "a", "1")),
          "" },
        { "{\"id\":\"ALSA-1\"}", "" },
    };
    static const struct row part[] = {
        { ALMA("Low: a", FIX("AlmaLinux:9", "a", "2-1.el9") "," FIX("AlmaLinux:8", "a", "1-1.el8")),
          "ALSA-2022:1/8 ALSA-2022:1 =CVE-1 =CVE-2\n  almalinux:8 rpm a binary [,1-1.el8) fixed Low\n" },
    };
    static const struct row rocky[] = {
        { RECORD("RLSA-1",
                 ",\"summary\":\"Important: dhcp\",\"severity\":[" SCORE("CVSS_V3",
                                                                         V3_LOW) "],\"upstream\":[\"CVE-1\"]",
                 FIX("Rocky Linux:9", "dhcp", "12:4.4-1.el9")),
          "RLSA-1/9 RLSA-1 =CVE-1 3.0:18\n  rocky:9 rpm dhcp source [,12:4.4-1.el9) fixed High\n" },
        { RECORD("RXSA-1", "", FIX("Rocky Linux:9", "k", "1-1")),
          "RXSA-1/9 RXSA-1\n  rocky:9 rpm k source [,1-1) fixed Unknown\n" },
        { RECORD("RLBA-1", "", FIX("Rocky Linux:9", "k", "1-1")), "" },
    };
    check_rows("almalinux", "AlmaLinux/all.zip", "1.json", alma, COUNT(alma));
    check_rows("almalinux", "AlmaLinux:8/all.zip", "1.json", part, COUNT(part));
    check_rows("rocky", "Rocky Linux/all.zip", "1.json", rocky, COUNT(rocky));
}

/* ---- Ubuntu ---- */

#define OPEN(ecosystem, name) "{" PACKAGE(ecosystem, name) "," EVENTS("ECOSYSTEM", FROM("0")) "}"
#define UBUNTU(affected)                                                                                     \
    RECORD("UBUNTU-CVE-1", ",\"upstream\":[\"CVE-1\"],\"severity\":[" SCORE("Ubuntu", "medium") "]", affected)
#define CVE_1 "UBUNTU-CVE-1 CVE-1\n"

static void test_ubuntu(void **state)
{
    static const struct row rows[] = {
        { UBUNTU(FIX("Ubuntu:22.04:LTS", "p", "1-1ubuntu1")),
          CVE_1 "  ubuntu:22.04 dpkg p source [,1-1ubuntu1) fixed Medium\n" },
        { UBUNTU(OPEN("Ubuntu:25.10", "p")), CVE_1 "  ubuntu:25.10 dpkg p source [,) affected Medium\n" },
        /* Pro alone */
        { UBUNTU(FIX("Ubuntu:Pro:18.04:LTS", "p", "1+esm1")),
          CVE_1 "  ubuntu:18.04 dpkg p source [,) will_not_fix Medium\n" },
        { UBUNTU(OPEN("Ubuntu:Pro:18.04:LTS", "p")),
          CVE_1 "  ubuntu:18.04 dpkg p source [,) will_not_fix Medium\n" },
        /* both: what is fixed for all, what only Pro has, what nobody has */
        { UBUNTU(FIX("Ubuntu:Pro:22.04:LTS", "p", "1+esm1") "," FIX("Ubuntu:22.04:LTS", "p", "1")),
          CVE_1 "  ubuntu:22.04 dpkg p source [,1) fixed Medium\n" },
        { UBUNTU(OPEN("Ubuntu:22.04:LTS", "p") "," FIX("Ubuntu:Pro:22.04:LTS", "p", "1+esm1")),
          CVE_1 "  ubuntu:22.04 dpkg p source [,) will_not_fix Medium\n" },
        { UBUNTU(OPEN("Ubuntu:22.04:LTS", "p") "," OPEN("Ubuntu:Pro:22.04:LTS", "p")),
          CVE_1 "  ubuntu:22.04 dpkg p source [,) affected Medium\n" },
        /* other packages and releases are no base */
        { UBUNTU(FIX("Ubuntu:22.04:LTS", "q", "1") "," FIX("Ubuntu:20.04:LTS", "p",
                                                           "1") "," FIX("Ubuntu:Pro:22.04:LTS", "p", "1")),
          CVE_1
          "  ubuntu:22.04 dpkg q source [,1) fixed Medium\n  ubuntu:20.04 dpkg p source [,1) fixed Medium\n"
          "  ubuntu:22.04 dpkg p source [,) will_not_fix Medium\n" },
        { UBUNTU(OPEN("Ubuntu:Pro:FIPS:22.04:LTS", "p") "," OPEN(
              "Ubuntu:Pro:FIPS-updates:22.04:LTS",
              "p") "," OPEN("Ubuntu:Pro:Realtime:24.04:LTS",
                            "p") "," OPEN("Ubuntu:Nvidia-BlueField:22.04:LTS",
                                          "p") "," OPEN("Ubuntu", "p") "," OPEN("Debian:12",
                                                                                "p") "," OPEN("Ubuntu:.",
                                                                                              "p")),
          "" },
        { RECORD("UBUNTU-CVE-2", ",\"severity\":[" SCORE("CVSS_V3", V3) "," SCORE("Ubuntu", "untriaged") "]",
                 OPEN("Ubuntu:22.04:LTS", "p")),
          "UBUNTU-CVE-2 CVE-2 3.1:98\n  ubuntu:22.04 dpkg p source [,) affected Unknown\n" },
        { RECORD("UBUNTU-CVE-2", "",
                 "{" PACKAGE("Ubuntu:22.04:LTS", "p") "," EVENTS(
                     "ECOSYSTEM", FROM("0")) ",\"severity\":[" SCORE("Ubuntu", "negligible") "]}"),
          "UBUNTU-CVE-2 CVE-2\n  ubuntu:22.04 dpkg p source [,) affected Negligible\n" },
        { RECORD("UBUNTU-CVE-2", ",\"related\":[\"CVE-2\"]",
                 "{" PACKAGE("Ubuntu:22.04:LTS", "p") "," EVENTS(
                     "ECOSYSTEM",
                     FROM("0")) ",\"ecosystem_specific\":{\"binaries\":[{}],\"ubuntu_priority\":\"high\"}}"),
          "UBUNTU-CVE-2 CVE-2\n  ubuntu:22.04 dpkg p source [,) affected High\n" },
        /* notices */
        { RECORD("USN-1-1", ",\"related\":[\"CVE-1\"]", FIX("Ubuntu:22.04:LTS", "p", "1")), "" },
        { RECORD("USN-1-1", ",\"upstream\":[\"UBUNTU-CVE-1\",\"CVE-1\"]", FIX("Ubuntu:22.04:LTS", "p", "1")),
          "" },
        { RECORD("USN-1-2", "", FIX("Ubuntu:22.04:LTS", "p", "1")),
          "USN-1-2 USN-1-2\n  ubuntu:22.04 dpkg p source [,1) fixed Unknown\n" },
    };
    check_rows("ubuntu", "Ubuntu/all.zip", "osv/cve/1.json", rows, COUNT(rows));
}

#define VEX(status, action, purl)                                                                            \
    "{\"statements\":[{\"vulnerability\":{\"@id\":\"x\",\"name\":\"CVE-1\"},\"status\":\"" status            \
    "\",\"action_statement\":\"" action "\",\"products\":[{\"@id\":\"" purl "\"}]}]}"
#define WONT_FIX                                                                                             \
    "This package (for the given release) is vulnerable to the CVE, the problem is understood, but the "     \
    "Ubuntu "                                                                                                \
    "Security Team decided to not fix it. CVE Notes: x"
#define NO_SUPPORT  "This package (for the given release) is no longer supported. Please upgrade your system."
#define PURL(query) "pkg:deb/ubuntu/libx%2B%2b@1:2.0-1?" query
#define VEX_1       "CVE-1/vex CVE-1\n"

static void test_vex(void **state)
{
    static const struct row rows[] = {
        { VEX("affected", WONT_FIX, PURL("arch=source&distro=jammy")),
          VEX_1 "  ubuntu:22.04 dpkg libx++ source [,) will_not_fix Unknown\n" },
        { VEX("affected", NO_SUPPORT, PURL("distro=xenial&arch=source")),
          VEX_1 "  ubuntu:16.04 dpkg libx++ source [,) end_of_life Unknown\n" },
        { VEX("affected", "This package (for the given release) is vulnerable to the CVE and needs fixing.",
              PURL("arch=source&distro=jammy")),
          "" },
        { VEX("not_affected", WONT_FIX, PURL("arch=source&distro=jammy")), "" },
        { VEX("affected", WONT_FIX, PURL("arch=amd64&distro=jammy")), "" },
        { VEX("affected", WONT_FIX, PURL("arch=source&distro=esm-infra/xenial")), "" },
        { VEX("affected", WONT_FIX, PURL("arch=source&distro=odd")), "" },
        { VEX("affected", WONT_FIX, PURL("arch=source")), "" },
        { VEX("affected", WONT_FIX, "pkg:rpm/ubuntu/x@1?arch=source&distro=jammy"), "" },
        { "{\"statements\":null}", "" },
        { "{\"metadata\":{},\"statements\":[{\"status\":null,\"products\":null}]}", "" },
        { "{\"statements\":[1]}", "osv/cve/1.json: statements: byte 16: not an object" },
    };
    check_rows("ubuntu", "vex/vex-all.tar.xz", "osv/cve/1.json", rows, COUNT(rows));
    check_row("ubuntu", "vex/vex-all.tar.xz", "vex/usn/1.json",
              &(struct row){ "{}", "no document: an empty archive is a broken one" });
}

#define XENIAL "\n  ubuntu:16.04 dpkg p source "

static void test_tracker(void **state)
{
    static const struct row rows[] = {
        { "Candidate: CVE-7\nPriority: high\nxenial_p: released (1:2.0-1)\n",
          "CVE-7 CVE-7" XENIAL "[,1:2.0-1) fixed High\n" },
        { "xenial_p: released ((2.0)\n", "CVE-1 CVE-1" XENIAL "[,2.0) fixed Unknown\n" },
        { "xenial_p: released (2.0 )\r\n", "CVE-1 CVE-1" XENIAL "[,2.0) fixed Unknown\n" },
        { "xenial_p: released (2.0, 3.0)\n", "CVE-1 CVE-1" XENIAL "[,2.0) fixed Unknown\n" },
        { "xenial_p: released\nxenial_q: released (in a later one)\n", "" },
        { "xenial_p: needed\nPriority: low\nPriority_p: critical\n",
          "CVE-1 CVE-1" XENIAL "[,) affected Low\n" },
        { "xenial_p: deferred (2020-01-01)\n", "CVE-1 CVE-1" XENIAL "[,) affected Unknown\n" },
        { "xenial_p: active\n", "CVE-1 CVE-1" XENIAL "[,) affected Unknown\n" },
        { "xenial_p: pending (1.0)\n", "CVE-1 CVE-1" XENIAL "[,) affected Unknown\n" },
        { "xenial_p: not-affected (1.0)\n", "CVE-1 CVE-1" XENIAL "never\n" },
        { "xenial_p: ignored (was needed now end-of-life)\n",
          "CVE-1 CVE-1" XENIAL "[,) end_of_life Unknown\n" },
        { "xenial_p: ignored (end of standard support, was needed)\n",
          "CVE-1 CVE-1" XENIAL "[,) end_of_life Unknown\n" },
        { "xenial_p: ignored (reached end-of-life)\nxenial_q: DNE\nxenial_r: needs-triage\nxenial_s: odd\n",
          "" },
        { "xenial_p: ignored (was needs-triage now end-of-life)\n", "" },
        { "xenial_linux-aws: needed\nxenial_linux: needed\n", "" },
        { "bionic_p: needed\nfocal_p: needed\nnoble_p: needed\nupstream_p: needed\ndevel_p: "
          "needed\nproduct_p: needed\n",
          "" },
        { "vivid/ubuntu-core_p: needed\nvivid/stable-phone-overlay_p: needed\n", "" },
        { "disco_p: needed\nartful_p: needed\n", "CVE-1 CVE-1\n  ubuntu:17.10 dpkg p source [,) affected "
                                                 "Unknown\n  ubuntu:19.04 dpkg p source [,) affected "
                                                 "Unknown\n" },
        /* extended support counts where nothing is said for all */
        { "trusty/esm_p: released (1.0+esm1)\ntrusty_p: ignored (out of standard support)\n",
          "CVE-1 CVE-1\n  ubuntu:14.04 dpkg p source [,) will_not_fix Unknown\n" },
        { "trusty/esm_p: needed\ntrusty_p: released (1.0)\n",
          "CVE-1 CVE-1\n  ubuntu:14.04 dpkg p source [,1.0) fixed Unknown\n" },
        { "Description:\n A long\n text: with_p: needed\nNotes:\n x> xenial\nxenial_p: needed\n# xenial_q: "
          "needed\n",
          "CVE-1 CVE-1" XENIAL "[,) affected Unknown\n" },
        { "", "" },
        { "xenial_: needed\n_p: needed\n: needed\nxenial_p\n", "" },
    };
    check_rows("ubuntu-tracker", "ubuntu-cve-tracker-2020-06.tar", "t/active/CVE-1", rows, COUNT(rows));
    check_row("ubuntu-tracker", "ubuntu-cve-tracker-2020-06.tar", "t/retired/CVE-1", &rows[0]);
    check_row("ubuntu-tracker", "ubuntu-cve-tracker-2020-06.tar", "t/ignored/CVE-1",
              &(struct row){ "xenial_p: needed\n", "no issue: an empty tracker is a broken one" });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_severity), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_languages), cmocka_unit_test(test_rpm),      cmocka_unit_test(test_ubuntu),
        cmocka_unit_test(test_vex),       cmocka_unit_test(test_tracker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
