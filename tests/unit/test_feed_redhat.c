/* test_feed_redhat.c - the lists beside Red Hat's documents, and the real ones. */
#include "codec/inflate.h"
#include "redhat_said.h"

#include <fcntl.h>

/* ---- lists ---- */

static void test_latest(void **state)
{
    static const struct row rows[] = {
        { ARCHIVE "\n", "lead " CHANGES " at " VEX_FOLDER "changes.csv [] must\n" },
        { "\r\n " ARCHIVE, "lead " CHANGES " at " VEX_FOLDER "changes.csv [] must\n" },
        { "", "no name of an archive: ''" },
        { "csaf_vex_2025-13-01.tar.zst", "no name of an archive: 'csaf_vex_2025-13-01.tar.zst'" },
        { "../csaf_vex_2025-08-01.tar.zst", "no name of an archive: '../csaf_vex_2025-08-01.tar.zst'" },
        { "<html>", "no name of an archive: '<html>'" },
        { ARCHIVE "\n" ARCHIVE, "line 2: a second archive" },
    };
    check_rows(VEX_FOLDER "archive_latest.txt", rows, COUNT(rows));
}

#define ROW(name, time)  "'2024/cve-" name ".json','" time "'\n"
#define LEAD(name, time) "lead " VEX_FOLDER "2024/cve-" name ".json [" time "]\n"
#define ROWS                                                                                                 \
    ROW("4", "2025-08-02T10:00:00+00:00")                                                                    \
    ROW("3", "2025-07-31T00:00:01.25Z")                                                                      \
    ROW("2", "2025-07-31T02:00:00+02:00")                                                                    \
    ROW("1", "2024-01-01T00:00:"                                                                             \
             "00Z")
#define LOADED "2025-08-02T10:00:00+00:00 " ARCHIVE

static void test_changes(void **state)
{
    /* the first load: what changed since the day before the archive's, then the archive */
    static const char first[] = LEAD("4", "2025-08-02T10:00:00+00:00")
        LEAD("3", "2025-07-31T00:00:01.25Z") "lead " VEX_FOLDER ARCHIVE " [" ARCHIVE "] must\ncursor " LOADED
                                             " whole\n";
    check(CHANGES, "", ROWS, first);
    check(CHANGES, "something else", ROWS, first);
    /* later ones: what is newer, or an hour older and perhaps not listed then */
    check(CHANGES, LOADED " whole", ROWS,
          LEAD("4", "2025-08-02T10:00:00+00:00") "lead " VEX_FOLDER "deletions.csv []\ncursor " LOADED "\n");
    check(CHANGES, "2025-07-31T00:30:00Z csaf_vex_2025-07-30.tar.zst", ROWS,
          "gone " VEX_FOLDER
          "changes.csv@csaf_vex_2025-07-30.tar.zst\n" LEAD("4", "2025-08-02T10:00:00+00:00")
              LEAD("3", "2025-07-31T00:00:01.25Z")
                  LEAD("2", "2025-07-31T02:00:00+02:00") "lead " VEX_FOLDER "deletions.csv []\ncursor " LOADED
                                                         "\n");
    /* a list that went back in time leaves the cursor */
    check(CHANGES, "2026-01-01T00:00:00-05:00 " ARCHIVE, ROWS,
          "lead " VEX_FOLDER "deletions.csv []\ncursor 2026-01-01T00:00:00-05:00 " ARCHIVE "\n");
    /* each name once, at its newest */
    check(CHANGES, "2024-01-01T00:00:00Z " ARCHIVE,
          ROW("1", "2024-01-02T00:00:00Z") ROW("1", "2024-01-03T00:00:00Z") ROW("1", "2024-01-01T12:00:00Z"),
          LEAD("1", "2024-01-03T00:00:00Z") "lead " VEX_FOLDER
                                            "deletions.csv []\ncursor 2024-01-03T00:00:00Z " ARCHIVE "\n");
}

/* More than 2,000 documents since the last load are read from the archive, if it has most of them. */
static void check_many(const char *time, unsigned count, bool from_archive)
{
    CLEANUP(buf_done) struct buf list = { 0 };
    struct said said = { .sink = sayer };
    struct err e = { 0 };
    for (unsigned i = 0; i < count; i++)
        buf_printf(&list, "\"2024/cve-%u.json\",\"%s\"\n", i, time);
    assert_int_equal(
        parse_text(CHANGES, "2025-01-01T00:00:00Z csaf_vex_2024-12-30.tar.zst", buf_view(&list), &said, &e),
        0);
    bool archive = str_contains(buf_view(&said.out), STR("lead " VEX_FOLDER ARCHIVE));
    bool single = str_contains(buf_view(&said.out), STR("lead " VEX_FOLDER "2024/cve-7.json"));
    bool deletions = str_contains(buf_view(&said.out), STR("lead " VEX_FOLDER "deletions.csv"));
    assert_true(archive == from_archive && single != from_archive && deletions);
    assert_true(str_ends(buf_view(&said.out), STR(" whole\n")) == from_archive);
    buf_done(&said.out);
}

static void test_many_changes(void **state)
{
    check_many("2025-06-01T00:00:00Z", 2000, false);
    check_many("2025-06-01T00:00:00Z", 2001, true);
    check_many("2025-08-01T00:00:00Z", 2001, false);
}

static void test_bad_changes(void **state)
{
    static const struct row rows[] = {
        { "", "no row: an empty list of changes is a broken one" },
        { "<html>", "line 1: '<html>' is no name of a document" },
        { "\n'2024/../x.json','2025-08-02T10:00:00Z'", "line 2: '2024/../x.json' is no name of a document" },
        { "'/x.json','2025-08-02T10:00:00Z'", "line 1: '/x.json' is no name of a document" },
        { "'http://x/x.json','2025-08-02T10:00:00Z'", "line 1: 'http://x/x.json' is no name of a document" },
        { "'2024/x','2025-08-02T10:00:00Z'", "line 1: '2024/x' is no name of a document" },
        { "'x.json'", "line 1: '' is no time" },
        { "'x.json','2025-08-02'", "line 1: '2025-08-02' is no time" },
        { "'x.json','2025-08-02T10:00:00'", "line 1: '2025-08-02T10:00:00' is no time" },
        { "'x.json','2025-08-02T25:00:00Z'", "line 1: '2025-08-02T25:00:00Z' is no time" },
        { "'x.json','2025-08-02T10:00:00+1'", "line 1: '2025-08-02T10:00:00+1' is no time" },
        { "'x.json','2025-08-02T10:00:00.000000000000000000000Z'",
          "line 1: '2025-08-02T10:00:00.000000000000000000000Z' is no time" },
        { "'x.json','2025-08-02T10:00:00.'", "line 1: '2025-08-02T10:00:00.' is no time" },
    };
    check_rows(CHANGES, rows, COUNT(rows));
    check(VEX_FOLDER "changes.csv", "", ROWS, "its name has no archive");
    CLEANUP(buf_done) struct buf line = { 0 };
    for (int i = 0; i < 5000; i++)
        buf_char(&line, 'x');
    buf_char(&line, 0);
    check(CHANGES, "", line.ptr, "line 1: more than 4096 bytes");
}

#define GONE(name) "gone " VEX_FOLDER "2024/cve-" name ".json\n"

static void test_deletions(void **state)
{
    check(VEX_FOLDER "deletions.csv", "", "", "");
    check(VEX_FOLDER "deletions.csv", LOADED, "", "");
    /* an hour before the cursor, in which it may not have been listed */
    check(VEX_FOLDER "deletions.csv", "2025-07-31T01:00:00Z " ARCHIVE, ROWS, GONE("4") GONE("3"));
    check(VEX_FOLDER "deletions.csv", LOADED, ROWS, GONE("4"));
    /* after the load of an archive what it may have had */
    check(VEX_FOLDER "deletions.csv", LOADED " whole", ROWS, GONE("4") GONE("3"));
    check(VEX_FOLDER "deletions.csv", LOADED, "x", "line 1: 'x' is no name of a document");
}

static void test_repositories(void **state)
{
    static const struct row rows[] = {
        { "{'data':{'a-rpms':{'repo_relative_urls':['x'],'cpes':['cpe:/a:x','cpe:/"
          "o:y']},'b':{'cpes':[]},'c':{},'d':{"
          "'cpes':null}},'last_updated':'x'}",
          "repository/a-rpms a-rpms cpe:/a:x cpe:/o:y\n" },
        { "{'data':{}}", "" },
        { "{}", "no list of repositories" },
        { "{'data':[]}", "data: json: byte 8: an object wanted, not an array" },
        { "{'data':{'a':1}}", "data: a: json: byte 13: an object wanted, not a number" },
        { "{'data':{'a':{'cpes':[1]}}}", "data: a: json: byte 23: a CPE is not a string" },
        { "{'data':{}} x", "json: byte 12: something follows the value" },
    };
    check_rows("data/metrics/repository-to-cpe.json", rows, COUNT(rows));
}

/* ---- the real ones ---- */

static struct said parse_real(const char *document, const char *path, bool quiet)
{
    const char *data = getenv("ECLAIR_TEST_DATA");
    char full[4096];
    snprintf(full, sizeof full, "%s/feeds/redhat/%s", data ? data : "../shared/data", path);
    CLEANUP(close_fdp) int fd = open(full, O_RDONLY);
    if (fd < 0)
        skip();
    struct said said = { .sink = sayer, .quiet = quiet };
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *file = stream_from_fd(fd, &e);
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(file, NULL, NULL, &e);
    assert_non_null(plain);
    if (parse(document, "", plain, &said, &e) < 0)
        fail_msg("%s", e.text);
    return said;
}

/* The figures are those of tests/accuracy/readings/redhat.py, which reads all of it. */
static void test_real_archive(void **state)
{
    struct said said = parse_real(VEX_FOLDER ARCHIVE, VEX_FOLDER ARCHIVE, false);
    static const char *const some[] = {
        "document " VEX_FOLDER "2007/cve-2007-6015.json\n",
        "; rhel:8 curl never; ",
        "CVE-2023-38545/RHSA-2023:5763 RHSA-2023:5763 =CVE-2023-38545; rhel:9 curl fixed<7.76.1-23.el9_2.4 "
        "High "
        "enterprise_linux:9::appstream; ",
        "; rhel:8 redis {redis:6} fixed<6.2.17-1.module+el8.10.0+22680+748527fd Medium ",
        "; rhel:8 python39-wheel {python39:3.9} fixed<1:0.35.1-4.module+el8.9.0+19644+d68f775d Medium ",
        "; rhel:6 libtiff.src end_of_life< Low enterprise_linux:6",
        "; rhel:4 samba.src fixed<3.0.25b-1.el4_6.4 Critical enterprise_linux:4::as; ",
    };
    buf_char(&said.out, 0);
    for (size_t i = 0; i < COUNT(some); i++)
        if (!strstr(said.out.ptr, some[i]))
            fail_msg("nowhere: %s", some[i]);
    buf_done(&said.out);
    assert_int_equal(said.documents, 24);
    assert_int_equal(said.ranges, 1475);
}

static void test_real_advisories(void **state)
{
    const char *path = "data/csaf/v2/advisories/csaf_advisories_2025-02-18.tar.zst";
    struct said said = parse_real(path, path, true);
    assert_int_equal(said.documents, 15);
    assert_int_equal(said.ranges, 1333);
}

static void test_real_repositories(void **state)
{
    const char *path = "data/metrics/repository-to-cpe.json";
    struct said said = parse_real(path, "data/metrics/repository-to-cpe.json.zst", true);
    assert_int_equal(said.advisories, 10106);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_many_changes),
        cmocka_unit_test(test_bad_changes),
        cmocka_unit_test(test_deletions),
        cmocka_unit_test(test_repositories),
        cmocka_unit_test(test_real_archive),
        cmocka_unit_test(test_real_advisories),
        cmocka_unit_test(test_real_repositories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
