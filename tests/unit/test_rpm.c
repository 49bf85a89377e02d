#include "detect/detector.h"
#include "detect/rpm_db.h"
#include "detect/rpm_header.h"

#include "base/cleanup.h"
#include "codec/inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <time.h>

#include "rpm_make.h"

#define BDB    "var/lib/rpm/Packages"
#define NDB    "usr/lib/sysimage/rpm/Packages.db"
#define SQLITE "var/lib/rpm/rpmdb.sqlite"

/* ---- helpers ---- */

/* "name version arch source source-version module", a line each; "name = value" of facts; "! note"; or "error: ...". The
 * bytes are copied to blocks of their own, so that a sanitizer sees a read past their end. */
static void scan(struct buf *got, const char *path, str content, str beside)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(freep) char *a = malloc(content.len + !content.len);
    CLEANUP(freep) char *b = malloc(beside.len + !beside.len);
    memcpy(a, content.ptr ? content.ptr : "", content.len);
    memcpy(b, beside.ptr ? beside.ptr : "", beside.len);
    struct detect_file file = { str_from(path), { a, content.len }, { b, beside.len } };
    struct detected out = { .arena = arena };
    struct err e = { 0 };
    const struct detector *d = detector_for(file.path);
    assert_non_null(d);
    if (d->scan(&file, &out, &e) < 0) {
        buf_printf(got, "error: %s", e.text);
        return;
    }
    memset(a, 'x', content.len); /* nothing of it may be used any more */
    for (size_t i = 0; i < out.package_count; i++) {
        const struct package *p = &out.packages[i];
        assert_true(str_eq(p->kind, STR("rpm")));
        buf_printf(got, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT "\n",
                   STR_ARG(p->name), STR_ARG(p->version), STR_ARG(p->arch), STR_ARG(p->source),
                   STR_ARG(p->source_version), STR_ARG(p->module));
    }
    for (size_t i = 0; i < out.fact_count; i++)
        buf_printf(got, STR_FMT " = " STR_FMT "\n", STR_ARG(out.facts[i].name), STR_ARG(out.facts[i].value));
    if (out.note.len)
        buf_printf(got, "! " STR_FMT "\n", STR_ARG(out.note));
}

static void check(const char *what, const char *path, str content, str beside, const char *want)
{
    CLEANUP(buf_done) struct buf got = { 0 };
    scan(&got, path, content, beside);
    if (!str_eq(buf_view(&got), str_from(want)))
        fail_msg("%s: want\n%s\ngot\n" STR_FMT, what, want, STR_ARG(got));
}

static const char *data_dir(void)
{
    const char *dir = getenv("ECLAIR_TEST_DATA");
    return dir ? dir : "../shared/data";
}

static bool no_data(unsigned cases)
{
    if (!access(data_dir(), R_OK))
        return false;
    if (getenv("CI"))
        fail_msg("no test data in %s", data_dir());
    print_message("no test data in %s: %u cases did not run\n", data_dir(), cases);
    return true;
}

static void read_all(struct buf *b, FILE *in)
{
    assert_non_null(in);
    for (size_t n = 1; n;) {
        char *at = buf_reserve(b, 1 << 16);
        assert_non_null(at);
        n = fread(at, 1, 1 << 16, in);
        b->len += n;
    }
}

/* A file of the data folder, decompressed. */
static void load(struct buf *b, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/rpmdb/%s", data_dir(), name);
    CLEANUP(fclosep) FILE *f = fopen(path, "rb");
    CLEANUP(buf_done) struct buf packed = { 0 };
    read_all(&packed, f);
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(buf_view(&packed), &e);
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(in, &(struct inflate_limits){ 0 }, NULL, &e);
    str chunk;
    while (stream_next(plain, &chunk, &e) > 0)
        buf_str(b, chunk);
    assert_int_equal(e.kind, ERR_NONE);
}

static void output_of(struct buf *b, const char *command)
{
    setenv("DATA", data_dir(), 1);
    FILE *p = popen(command, "r");
    read_all(b, p);
    if (pclose(p))
        fail_msg("%s failed", command);
}

/* ---- headers ---- */

#define NAMED                                                                                                \
    { 1000, 6, "a" }, { 1001, 6, "1.0" }, { 1002, 6, "2.el9" }

static void test_packages(void **state)
{
    static const struct {
        const char *what;
        struct tag tags[10];
        uint32_t region;
        const char *want;
    } cases[] = {
        { "as rpm 3 wrote it", { NAMED }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "with a region", { NAMED, { 1022, 6, "x86_64" } }, 4, "a 1.0-2.el9 x86_64 a 1.0-2.el9 \n" },
        { "what was added replaces",
          { NAMED, { 1022, 6, "x86_64" }, { 1022, 6, "noarch" }, { 1000, 6, "b" } },
          4,
          "b 1.0-2.el9 noarch b 1.0-2.el9 \n" },
        { "inside of the region the first counts",
          { NAMED, { 1000, 6, "b" } },
          4,
          "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "an epoch",
          { NAMED, { 1003, 4, "4294967295" } },
          0,
          "a 4294967295:1.0-2.el9  a 4294967295:1.0-2.el9 \n" },
        { "an epoch of 0 is one", { NAMED, { 1003, 4, "0" } }, 4, "a 0:1.0-2.el9  a 0:1.0-2.el9 \n" },
        { "a source",
          { NAMED, { 1044, 6, "s-lib-1.0-2.el9.src.rpm" } },
          0,
          "a 1.0-2.el9  s-lib 1.0-2.el9 \n" },
        { "the source has the epoch where its version is the same",
          { NAMED, { 1003, 4, "3" }, { 1044, 6, "s-1.0-2.el9.src.rpm" } },
          0,
          "a 3:1.0-2.el9  s 3:1.0-2.el9 \n" },
        { "and only there",
          { NAMED, { 1003, 4, "3" }, { 1044, 6, "s-1.0-2.el9_1.src.rpm" } },
          0,
          "a 3:1.0-2.el9  s 1.0-2.el9_1 \n" },
        { "nosrc", { NAMED, { 1044, 6, "s-5-6.nosrc.rpm" } }, 0, "a 1.0-2.el9  s 5-6 \n" },
        { "no source", { NAMED, { 1044, 6, "(none)" } }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "sources that are none",
          { NAMED, { 1044, 6, "s-5-6.x86_64.rpm" } },
          0,
          "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "", { NAMED, { 1044, 6, "5-6.src.rpm" } }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "", { NAMED, { 1044, 6, "-5-6.src.rpm" } }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "", { NAMED, { 1044, 6, ".rpm" } }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "", { NAMED, { 1044, 6, "s--.src.rpm" } }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "a module",
          { NAMED, { 5096, 6, "nodejs:18:9020:rhel9" } },
          0,
          "a 1.0-2.el9  a 1.0-2.el9 nodejs:18\n" },
        { "a module without more",
          { NAMED, { 5096, 6, "nodejs:18" } },
          0,
          "a 1.0-2.el9  a 1.0-2.el9 nodejs:18\n" },
        { "modules that are none", { NAMED, { 5096, 6, "(none)" } }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "", { NAMED, { 5096, 6, "nodejs:" } }, 0, "a 1.0-2.el9  a 1.0-2.el9 \n" },
        { "a vendor",
          { NAMED, { 1011, 6, "Red Hat, Inc." } },
          0,
          "a 1.0-2.el9  a 1.0-2.el9 \nrpm-vendor = Red Hat, Inc.\n" },
        { "a key",
          { { 1000, 6, "gpg-pubkey" }, { 1001, 6, "1" }, { 1002, 6, "2" }, { 1003, 4, "0" } },
          0,
          "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_done) struct buf header = { 0 }, db = { 0 };
        make_header(&header, cases[i].tags, cases[i].region);
        ndb_begin(&db);
        ndb_add(&db, 2, buf_view(&header));
        check(cases[i].what, NDB, buf_view(&db), (str){ 0 }, cases[i].want);
    }
}

static void test_long_texts(void **state)
{
    char text[PACKAGE_TEXT_MAX + 2];
    memset(text, '7', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (uint32_t tag = 1000; tag <= 1002; tag++) {
        CLEANUP(buf_done) struct buf header = { 0 }, db = { 0 }, got = { 0 };
        struct tag tags[] = { NAMED, { 0 } };
        tags[tag - 1000].text = text;
        make_header(&header, tags, 0);
        ndb_begin(&db);
        ndb_add(&db, 2, buf_view(&header));
        scan(&got, NDB, buf_view(&db), (str){ 0 });
        assert_true(str_starts(buf_view(&got), STR("! a package was skipped, of which a text is longer")));
    }
}

/* A word of the header of two entries and 6 bytes of data, made wrong: at, value, what is said. Entries begin at 8. */
static void test_bad_headers(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
        const char *want;
    } cases[] = {
        { 0, 0, "a header with 0 entries" },
        { 0, 0x80000000, "a header with 2147483648 entries" },
        { 0, 65536, "a header with 65536 entries" },
        { 0, 65535, "a header of 65535 entries and 34 bytes of data in 122 bytes" },
        { 0, 4, "a header of 4 entries and 34 bytes of data in 122 bytes" },
        { 4, 0xffffffff, "a header of 5 entries and 4294967295 bytes of data in 122 bytes" },
        { 4, 35, "a header of 5 entries and 35 bytes of data in 122 bytes" },
        { 16, 21, "the end of region 63 lies outside the header" },
        { 16, 0x7fffffff, "the end of region 63 lies outside the header" },
        { 16, 0xffffffff, "the end of region 63 lies outside the header" },
        { 20, 15, "the end of region 63 lies outside the header" },
        { 88 + 4 + 8, 0u - 96, "region 63 claims 96 bytes of entries" },
        { 88 + 4 + 8, 0u - 65, "region 63 claims 65 bytes of entries" },
        { 88 + 4 + 8, 0x80000000, "region 63 claims 2147483648 bytes of entries" },
        { 88 + 4 + 8, 0, "region 63 claims 0 bytes of entries" },
        { 24 + 4, 7, "tag 1000 is not a text but of type 7, count 1" },
        { 24 + 12, 0, "tag 1000 is not a text but of type 6, count 0" },
        { 24 + 8, 34, "tag 1000: its text at 34 does not end in the header" },
        { 24 + 8, 0xfffffff0, "tag 1000: its text at 4294967280 does not end in the header" },
        { 24 + 8, 33, "tag 1000: its text at 33 does not end in the header" },
        { 72 + 8, 31, "tag 1003 is not a number but of type 4, count 1, at 31" },
        { 72 + 8, 0xfffffffc, "tag 1003 is not a number but of type 4, count 1, at 4294967292" },
        { 72 + 12, 0, "tag 1003 is not a number but of type 4, count 0, at 30" },
        { 72 + 4, 6, "tag 1003 is not a number but of type 6, count 1, at 30" },
        { 24, 1, "a header without NAME" },
        { 40, 1, "a header without VERSION" },
        { 56, 1, "a header without RELEASE" },
    };
    CLEANUP(buf_done) struct buf good = { 0 };
    make_header(
        &good,
        (struct tag[]){
            { 1000, 6, "name" }, { 1001, 6, "1" }, { 1002, 6, "22" }, { 1003, 4, "4294967295" }, { 0 } },
        4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rpm_header h;
        struct err e = { 0 };
        CLEANUP(freep) char *bytes = malloc(good.len);
        memcpy(bytes, good.ptr, good.len);
        set32(bytes + cases[i].at, true, cases[i].value);
        assert_int_equal(rpm_header_read(str_of(bytes, good.len), &h, &e), -1);
        if (strcmp(e.text, cases[i].want))
            fail_msg("word at %zu: want %s, got %s", cases[i].at, cases[i].want, e.text);
        assert_int_equal(e.kind, ERR_FORMAT);
    }
    for (size_t n = 0; n < good.len; n++) { /* cut anywhere */
        struct rpm_header h;
        struct err e = { 0 };
        CLEANUP(freep) char *bytes = malloc(n + !n);
        memcpy(bytes, good.ptr, n);
        assert_int_equal(rpm_header_read(str_of(bytes, n), &h, &e), -1);
    }
}

static void test_vendors(void **state)
{
    CLEANUP(buf_done) struct buf db = { 0 }, got = { 0 };
    ndb_begin(&db);
    for (uint32_t i = 0; i < 40; i++) {
        CLEANUP(buf_done) struct buf header = { 0 };
        char vendor[16];
        snprintf(vendor, sizeof vendor, "v%u", i / 2);
        make_header(&header, (struct tag[]){ NAMED, { 1011, 6, vendor }, { 0 } }, 0);
        ndb_add(&db, 2 + i, buf_view(&header));
    }
    scan(&got, NDB, buf_view(&db), (str){ 0 });
    unsigned vendors = 0;
    for (str rest = buf_view(&got), line; (line = str_line(&rest)).len;)
        vendors += str_starts(line, STR("rpm-vendor = v"));
    assert_int_equal(vendors, RPM_VENDORS_MAX);
}

/* ---- NDB ---- */

#define A "a 1-1 noarch a 1-1 \n"
#define B "b 2-2 noarch b 2-2 \n"

static void two_in_ndb(struct buf *db)
{
    CLEANUP(buf_done) struct buf a = { 0 }, b = { 0 };
    plain_header(&a, "a", "1", "1");
    plain_header(&b, "b", "2", "2");
    ndb_begin(db);
    ndb_add(db, 2, buf_view(&a));
    ndb_add(db, 3, buf_view(&b));
}

static void test_ndb(void **state)
{
    enum { BLOCKS = 8, BLOB_A = 4096, BLOB_B = BLOB_A + 16 * BLOCKS, END = BLOB_B + 16 * BLOCKS };
    static const struct {
        const char *what;
        size_t at, cut;
        uint32_t value;
        const char *want;
    } cases[] = {
        { "good", 16, END, 4, A B },
        { "the magic", 0, END, 0, "error: not an NDB file of rpm" },
        { "the version", 4, END, 1, "error: NDB version 1" },
        { "no slots", 12, END, 0, "error: 0 pages of slots" },
        { "slots beyond the limit", 12, END, 2049, "error: 2049 pages of slots" },
        { "slots beyond the end", 12, END, 2,
          "error: it ends within its 2 pages of slots, after 4352 bytes" },
        { "a slot's magic", 32, END, 0, B "! slot 2: it does not begin with \"Slot\"\n" },
        { "free by its number", 36, END, 0, B },
        { "free by its place", 40, END, 0, B },
        { "a blob among the slots", 40, END, 255,
          B "! slot 2: its 8 blocks from 255 on lie outside the file\n" },
        { "a blob past the end", 40, END, 0xffffffff,
          B "! slot 2: its 8 blocks from 4294967295 on lie outside the file\n" },
        { "a size past the end", 44, END, 0xffffffff,
          B "! slot 2: its 4294967295 blocks from 256 on lie outside the file\n" },
        { "no size", 44, END, 0, B "! slot 2: its 0 blocks from 256 on lie outside the file\n" },
        { "two slots, one blob", 56, END, 256,
          A "! slot 3: its 8 blocks from 256 on overlap another blob's\n" },
        { "blobs that overlap", 56, END, 257,
          A "! slot 3: its 8 blocks from 257 on overlap another blob's\n" },
        { "a blob's magic", BLOB_A, END, 0, B "! slot 2: no blob of package 2 begins at block 256\n" },
        { "another blob", BLOB_A + 4, END, 3, B "! slot 2: no blob of package 2 begins at block 256\n" },
        { "a length past the end", BLOB_A + 12, END, 101,
          B "! slot 2: the blob at block 256 does not end after its 101 bytes\n" },
        { "an absurd length", BLOB_A + 12, END, 0xffffffff,
          B "! slot 2: the blob at block 256 does not end after its 4294967295 bytes\n" },
        { "another length", BLOB_A + 12, END, 80,
          B "! slot 2: the blob at block 256 does not end after its 80 bytes\n" },
        { "the end's magic", BLOB_B - 4, END, 0,
          B "! slot 2: the blob at block 256 does not end after its 85 bytes\n" },
        { "the check sum", BLOB_A + 8, END, 2,
          B "! slot 2: the check sum of the blob at block 256 is wrong\n" },
        { "cut in a blob", 16, END - 1, 4, A "! slot 3: its 8 blocks from 264 on lie outside the file\n" },
        { "cut before the blobs", 16, BLOB_A, 4,
          "error: no package could be read: slot 2: its 8 blocks from 256 on lie outside the file" },
        { "cut in the slots", 16, BLOB_A - 1, 4,
          "error: it ends within its 1 pages of slots, after 4095 bytes" },
        { "cut in its head", 16, 31, 4, "error: not an NDB file of rpm" },
    };
    CLEANUP(buf_done) struct buf good = { 0 };
    two_in_ndb(&good);
    assert_int_equal(good.len, END);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_done) struct buf bad = { 0 };
        buf_str(&bad, buf_view(&good));
        set32(bad.ptr + cases[i].at, false, cases[i].value);
        check(cases[i].what, NDB, str_head(buf_view(&bad), cases[i].cut), (str){ 0 }, cases[i].want);
    }
}

/* ---- Berkeley DB ---- */

/* Page 1 holds the pairs; the header of "a" lies inline, that of "b" on pages 2 and 3. */
static void two_in_bdb(struct buf *db, bool big)
{
    CLEANUP(buf_done) struct buf a = { 0 }, b = { 0 };
    char vendor[500];
    memset(vendor, 'v', sizeof vendor - 1);
    vendor[sizeof vendor - 1] = 0;
    plain_header(&a, "a", "1", "1");
    make_header(&b,
                (struct tag[]){ { 1000, 6, "b" },
                                { 1001, 6, "2" },
                                { 1002, 6, "2" },
                                { 1022, 6, "noarch" },
                                { 1014, 6, vendor },
                                { 0 } },
                0);
    bdb_begin(db, big);
    bdb_add(db, big, 0, STR("\001\0\0\0"), true); /* the next number */
    bdb_add(db, big, 1, buf_view(&a), true);
    bdb_add(db, big, 2, buf_view(&b), false);
}

static void test_bdb(void **state)
{
    enum { P1 = BDB_PAGE, P2 = 2 * BDB_PAGE, P3 = 3 * BDB_PAGE, END = 4 * BDB_PAGE };
    /* On page 1: 6 items of 5, 5, 5, 86, 5, 12 bytes, from its end. */
    enum { VALUE_B = P1 + BDB_PAGE - (5 + 5 + 5 + 86 + 5 + 12) };
    static const struct {
        const char *what;
        size_t at, cut;
        uint32_t value;
        unsigned size; /* bytes of the value */
        const char *want;
    } cases[] = {
        { "good", 0, END, 0, 4, A B },
        { "the magic", 12, END, 1, 4, "error: not a hash file of Berkeley DB" },
        { "a B-tree", 12, END, 0x053162, 4, "error: not a hash file of Berkeley DB" },
        { "the page size", 20, END, 0, 4, "error: pages of 0 bytes" },
        { "the page size", 20, END, 500, 4, "error: pages of 500 bytes" },
        { "the page size", 20, END, 0x80000000, 4, "error: pages of 2147483648 bytes" },
        { "encrypted", 24, END, 1, 1, "error: its pages are encrypted or have check sums" },
        { "not the first page of a hash", 25, END, 9, 1, "error: its first page is of type 9" },
        { "more pages than there are", 32, END, 0xffffffff, 4,
          A B "! page 4: the file ends here, of 4294967296 pages\n" },
        { "too many items", P1 + 20, END, 0xffff, 2, "error: no package could be read: page 1: 65535 items" },
        { "an odd number of items", P1 + 20, END, 5, 2, A "! page 1: a key without a value\n" },
        { "an item outside the page", P1 + 26, END, 0xffff, 2,
          "error: no package could be read: page 1: item 0 at 65535" },
        { "an item among the offsets", P1 + 30, END, 37, 2,
          "error: no package could be read: page 1: item 2 at 37" },
        { "items in another order", P1 + 36, END, 500, 2, A "! page 1: item 5 at 500\n" },
        { "a key of another kind", VALUE_B + 12, END, 2, 1, A "! page 1: a key of 5 bytes, type 2\n" },
        { "key 0", VALUE_B + 13, END, 0, 4, A },
        { "a value of another kind", VALUE_B, END, 5, 1, A "! page 1: a value of 12 bytes, type 5\n" },
        { "a value that begins nowhere", VALUE_B + 4, END, 0, 4,
          A "! page 1: a value of 601 bytes ends after 0, at page 0 of 4\n" },
        { "a value that begins past the end", VALUE_B + 4, END, 4, 4,
          A "! page 1: a value of 601 bytes ends after 0, at page 4 of 4\n" },
        { "a value that begins on its own page", VALUE_B + 4, END, 1, 4,
          A "! page 1: page 1 does not go on with its value (type 13, 394 bytes)\n" },
        { "a longer value", VALUE_B + 8, END, 602, 4,
          A "! page 1: a value of 602 bytes ends after 601, at page 0 of 4\n" },
        { "an absurd length", VALUE_B + 8, END, 0xffffffff, 4,
          A "! page 1: a value of 4294967295 bytes ends after 601, at page 0 of 4\n" },
        { "a shorter value", VALUE_B + 8, END, 600, 4,
          A "! page 1: page 3 does not go on with its value (type 7, 115 bytes)\n" },
        { "a value without a byte", VALUE_B + 8, END, 0, 4, A "! page 1: a header of 0 bytes\n" },
        { "a chain that ends early", P2 + 16, END, 0, 4,
          A "! page 1: a value of 601 bytes ends after 486, at page 0 of 4\n" },
        { "a chain past the end", P2 + 16, END, 0xffffffff, 4,
          A "! page 1: a value of 601 bytes ends after 486, at page 4294967295 of 4\n" },
        { "a loop", P2 + 16, END, 2, 4,
          A "! page 1: page 2 does not go on with its value (type 7, 486 bytes)\n" },
        { "a page without bytes", P2 + 22, END, 0, 2,
          A "! page 1: page 2 does not go on with its value (type 7, 0 bytes)\n" },
        { "a page with too many bytes", P2 + 22, END, 487, 2,
          A "! page 1: page 2 does not go on with its value (type 7, 487 bytes)\n" },
        { "a page of another kind", P3 + 25, END, 0, 1,
          A "! page 1: page 3 does not go on with its value (type 0, 115 bytes)\n" },
        { "cut in the chain", 0, END - 1, 0, 4,
          A "! page 3: the file ends here, of 4 pages; and more like it\n" },
        { "cut before the pairs", 0, P1, 0, 4,
          "error: no package could be read: page 1: the file ends here, of 4 pages" },
        { "cut in the first page", 0, P1 - 1, 0, 4, "error: not a hash file of Berkeley DB" },
    };
    for (unsigned big = 0; big < 2; big++) {
        CLEANUP(buf_done) struct buf good = { 0 };
        two_in_bdb(&good, big);
        assert_int_equal(good.len, END);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            CLEANUP(buf_done) struct buf bad = { 0 };
            buf_str(&bad, buf_view(&good));
            if (cases[i].size == 4)
                set32(bad.ptr + cases[i].at, big, cases[i].value);
            else if (cases[i].size == 2)
                put16(bad.ptr + cases[i].at, big, cases[i].value);
            else
                bad.ptr[cases[i].at] = (char)cases[i].value;
            check(cases[i].what, BDB, str_head(buf_view(&bad), cases[i].cut), (str){ 0 }, cases[i].want);
        }
    }
}

/* Many values that name one long chain: each page counts once, so the time is that of the file's size. */
static void test_shared_chains(void **state)
{
    enum { PAGES = 4000, KEYS = 10 };
    CLEANUP(buf_done) struct buf db = { 0 }, item = { 0 }, got = { 0 };
    bdb_begin(&db, false);
    for (uint32_t i = 1; i <= KEYS; i++) {
        buf_clear(&item);
        buf_char(&item, 1);
        put32(&item, false, i);
        bdb_item(&db, false, buf_view(&item));
        buf_clear(&item);
        buf_add(&item, "\003\0\0\0", 4);
        put32(&item, false, 2);
        put32(&item, false, 0x7fffffff);
        bdb_item(&db, false, buf_view(&item));
    }
    for (uint32_t n = 2; n < PAGES; n++) {
        char *p = bdb_page(&db, false, 7);
        set32(p + 16, false, n + 1 < PAGES ? n + 1 : 2);
        put16(p + 22, false, BDB_PAGE - 26);
    }
    scan(&got, BDB, buf_view(&db), (str){ 0 });
    if (!str_starts(
            buf_view(&got),
            STR("error: no package could be read: page 1: page 2 belongs to its value a second time")))
        fail_msg(STR_FMT, STR_ARG(got));
}

/* ---- SQLite ---- */

static sqlite3 *memory_db(const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sql(db, text);
    return db;
}

static void two_in_sqlite(sqlite3 *db)
{
    CLEANUP(buf_done) struct buf a = { 0 }, b = { 0 };
    plain_header(&a, "a", "1", "1");
    plain_header(&b, "b", "2", "2");
    sqlite_add(db, buf_view(&a));
    sqlite_add(db, buf_view(&b));
}

static void test_sqlite_schemas(void **state)
{
    static const struct {
        const char *what, *schema, *want;
        bool rows;
    } cases[] = {
        { "good", RPM_TABLE, A B, true },
        { "no quotes", "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob BLOB);", A B, true },
        { "no row", RPM_TABLE, "", false },
        { "no table", "CREATE TABLE Other(x);", "! it has no table Packages, and so no package\n", false },
        { "a view", "CREATE TABLE x(blob); CREATE VIEW Packages AS SELECT 1 AS hnum, blob FROM x;",
          "error: its Packages is not the table that rpm makes", false },
        { "a view without an end",
          "CREATE VIEW Packages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i AS "
          "hnum, "
          "x'00' AS blob FROM n;",
          "error: its Packages is not the table that rpm makes", false },
        { "a virtual table", "CREATE VIRTUAL TABLE Packages USING fts5(blob);",
          "error: its Packages is not the table that rpm makes", false },
        { "a column that is computed",
          "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, x, blob AS (zeroblob(1000000)));",
          "error: its Packages is not the table that rpm makes", false },
        { "no rowid", "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob BLOB) WITHOUT ROWID;",
          "error: Packages: no such column: rowid", false },
        { "no blob",
          "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, bolb BLOB); INSERT INTO Packages VALUES(7, 'x');",
          "error: no package could be read: row 7: no such column: \"blob\"", false },
        { "a number in place of a blob", RPM_TABLE "INSERT INTO Packages(blob) VALUES(5);",
          A B "! row 1: cannot open value of type integer\n", true },
        { "an empty blob", RPM_TABLE "INSERT INTO Packages(blob) VALUES(x'');",
          A B "! row 1: a header of 0 bytes\n", true },
        { "negative rows", RPM_TABLE "INSERT INTO Packages VALUES(-9223372036854775808, x'00');",
          A B "! row 9223372036854775808: a header of 1 bytes\n", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sqlite3 *db = memory_db(cases[i].schema);
        CLEANUP(buf_done) struct buf bytes = { 0 };
        if (cases[i].rows)
            two_in_sqlite(db);
        sqlite_bytes(db, &bytes);
        sqlite3_close(db);
        check(cases[i].what, SQLITE, buf_view(&bytes), (str){ 0 }, cases[i].want);
    }
}

/* SQLite itself would take minutes for this schema. */
static void test_sqlite_large_schema(void **state)
{
    sqlite3 *db =
        memory_db(RPM_TABLE "PRAGMA writable_schema = on;"
                            "INSERT INTO sqlite_master WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
                            "i + 1 FROM n LIMIT 300000) SELECT 'table', 't' || i, 't' || i, 2, "
                            "'CREATE TABLE t' || i || '(a)' FROM n;");
    CLEANUP(buf_done) struct buf bytes = { 0 };
    sqlite_bytes(db, &bytes);
    sqlite3_close(db);
    check("large schema", SQLITE, buf_view(&bytes), (str){ 0 },
          "error: its schema: more steps than a database of this size can need");
}

/* One page of a table that is used over and over, or a tree that leads back to itself, ends the walk. */
static void test_sqlite_damage(void **state)
{
    sqlite3 *db = memory_db("PRAGMA page_size = 512;" RPM_TABLE);
    CLEANUP(buf_done) struct buf bytes = { 0 }, a = { 0 };
    plain_header(&a, "a", "1", "1");
    for (unsigned i = 0; i < 100; i++)
        sqlite_add(db, buf_view(&a));
    sqlite3_stmt *st;
    sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_master WHERE name = 'Packages'", -1, &st, NULL);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    size_t root = (size_t)sqlite3_column_int(st, 0) - 1;
    sqlite3_finalize(st);
    sqlite_bytes(db, &bytes);
    sqlite3_close(db);
    char *page = bytes.ptr + 512 * root;
    assert_int_equal(page[0], 5); /* an inner page: cells begin with the number of a child */
    unsigned cells = (unsigned)(uint8_t)page[4];
    assert_true(cells > 3);
    size_t first = (size_t)(uint8_t)page[12] << 8 | (uint8_t)page[13];

    for (unsigned what = 0; what < 4; what++) {
        CLEANUP(buf_done) struct buf bad = { 0 }, got = { 0 };
        buf_str(&bad, buf_view(&bytes));
        char *p = bad.ptr + 512 * root;
        for (unsigned i = 1; i < cells; i++) {
            size_t cell = (size_t)(uint8_t)p[12 + 2 * i] << 8 | (uint8_t)p[13 + 2 * i];
            if (what == 0)
                memcpy(p + cell, p + first, 4); /* the first leaf again and again */
            else if (what == 1)
                set32(p + cell, true, (uint32_t)root + 1); /* the page itself */
            else if (what == 2)
                set32(p + cell, true, 0x7fffffff);
        }
        if (what == 3)
            set32(p + 8, true, 0);
        scan(&got, SQLITE, buf_view(&bad), (str){ 0 });
        str text = buf_view(&got);
        if (!str_contains(text, STR("! row ")) && !str_starts(text, STR("error: ")) && what != 3)
            fail_msg("case %u: " STR_FMT, what, STR_ARG(text));
    }
    for (size_t n = 0; n < bytes.len; n += n < 200 ? 1 : 101) { /* cut: what is missing is never overlooked */
        CLEANUP(buf_done) struct buf got = { 0 };
        scan(&got, SQLITE, str_head(buf_view(&bytes), n), (str){ 0 });
        if (!str_starts(buf_view(&got), n ? STR("error: ") : STR("! it is empty")) &&
            !str_contains(buf_view(&got), STR("! page 23: the file ends before its end")))
            fail_msg("cut at %zu: " STR_FMT, n, STR_ARG(got));
    }
}

static void varint3(char *to, uint32_t v)
{
    to[0] = (char)(0x80 | v >> 14);
    to[1] = (char)(0x80 | (v >> 7 & 0x7f));
    to[2] = (char)(v & 0x7f);
}

/* A row that claims more bytes than the file has: refused before it is read. */
static void test_sqlite_absurd_size(void **state)
{
    enum { SIZE = 100000, CLAIMED = 1000000 };
    sqlite3 *db = memory_db(RPM_TABLE);
    CLEANUP(buf_done) struct buf bytes = { 0 };
    CLEANUP(freep) char *zeros = calloc(1, SIZE);
    sqlite_add(db, str_of(zeros, SIZE));
    two_in_sqlite(db);
    sqlite_bytes(db, &bytes);
    sqlite3_close(db);
    char cell[9] = {
        0, 0, 0, 1, 5, 0, 0, 0, 0
    }; /* size of the record, row, size of its head, types of the two columns */
    varint3(cell, SIZE + 5);
    varint3(cell + 6, SIZE * 2 + 12);
    char *at = memmem(bytes.ptr, bytes.len, cell, sizeof cell);
    assert_non_null(at);
    varint3(at, CLAIMED + 5);
    varint3(at + 6, CLAIMED * 2 + 12);
    check("absurd size", SQLITE, buf_view(&bytes), (str){ 0 },
          A B "! row 1: it uses bytes that belong to other rows\n");
}

/* ---- the -wal file ---- */

static void read_path(struct buf *b, const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CLEANUP(fclosep) FILE *f = fopen(path, "rb");
    read_all(b, f);
}

/* The file holds "a", its -wal two commits: first "b", then the long "c". */
static void make_wal(struct buf *content, struct buf *wal, struct buf *fresh)
{
    char folder[] = "/tmp/eclair-rpm-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db", folder);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sql(db, "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;" RPM_TABLE);
    CLEANUP(buf_done) struct buf a = { 0 }, b = { 0 }, c = { 0 };
    plain_header(&a, "a", "1", "1");
    plain_header(&b, "b", "2", "2");
    char text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    make_header(
        &c, (struct tag[]){ { 1000, 6, "c" }, { 1001, 6, "3" }, { 1002, 6, "3" }, { 1014, 6, text }, { 0 } },
        0);
    sqlite_add(db, buf_view(&a));
    sql(db, "CREATE TABLE more(x); INSERT INTO more VALUES(zeroblob(3000))");
    read_path(fresh, folder, "db-wal");
    sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite_add(db, buf_view(&b));
    sqlite_add(db, buf_view(&c));
    read_path(content, folder, "db");
    read_path(wal, folder, "db-wal");
    sqlite3_close(db);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

static void test_wal(void **state)
{
#define C "c 3-3  c 3-3 \n"
    enum { FRAME = 24 + 512 };
    CLEANUP(buf_done) struct buf content = { 0 }, wal = { 0 }, fresh = { 0 };
    make_wal(&content, &wal, &fresh);
    str file = buf_view(&content);
    assert_int_equal(content.ptr[18], 2);
    assert_int_equal((wal.len - 32) % FRAME, 0);
    size_t frames = (wal.len - 32) / FRAME, first = 0; /* first: frames of the first commit */
    while (!wal.ptr[32 + first * FRAME + 7])
        first++;
    first++;
    assert_true(frames > first + 3);

    check("no wal", SQLITE, file, (str){ 0 }, A);
    check("both commits", SQLITE, file, buf_view(&wal), A B C);
    check("all is in the wal", SQLITE, (str){ 0 }, buf_view(&fresh), A);
    for (size_t n = first; n < frames; n++) {
        check("the second commit is not finished", SQLITE, file, str_head(buf_view(&wal), 32 + n * FRAME),
              A B);
        check("cut in a frame", SQLITE, file, str_head(buf_view(&wal), 32 + n * FRAME + 100), A B);
    }
    check("cut in the first frame", SQLITE, file, str_head(buf_view(&wal), 33), A);

    static const struct {
        const char *what;
        size_t at; /* in the header, or 32 + in the first frame of the second commit */
        const char *want;
    } cases[] = {
        { "magic", 0, A "! the -wal file is none of SQLite's and was left out\n" },
        { "version", 5, A "! the -wal file is none of SQLite's and was left out\n" },
        { "page size", 10, A "! the check sum of the -wal file's header is wrong: it was left out\n" },
        { "header's sum", 25, A "! the check sum of the -wal file's header is wrong: it was left out\n" },
        { "a page's number", 32 + 3, A B },
        { "a salt", 32 + 8, A B },
        { "a check sum", 32 + 17, A B },
        { "a byte of a page", 32 + 24 + 500, A B },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_done) struct buf bad = { 0 };
        buf_str(&bad, buf_view(&wal));
        bad.ptr[cases[i].at + (cases[i].at < 32 ? 0 : first * FRAME)] ^= 0x40;
        check(cases[i].what, SQLITE, file, buf_view(&bad), cases[i].want);
    }
    check("garbage", SQLITE, file, STR("x"), A "! the -wal file is none of SQLite's and was left out\n");

    /* the file lost its end, which the wal does not have */
    char want[100];
    snprintf(want, sizeof want, A B C "! page %zu: the file ends before its end\n", file.len / 512 - 1);
    check("pages are missing", SQLITE, str_head(file, file.len - 513), buf_view(&wal), want);

    /* the wal of a database with other pages */
    CLEANUP(buf_done) struct buf other = { 0 };
    sqlite3 *db = memory_db("PRAGMA page_size = 1024;" RPM_TABLE);
    two_in_sqlite(db);
    sqlite_bytes(db, &other);
    sqlite3_close(db);
    check("other pages", SQLITE, buf_view(&other), buf_view(&wal),
          A B "! the -wal file has pages of another size than the database: it was left out\n");
}

/* The names of the packages: "p1 p2 ...". Each package's name is in its row's head. */
static void live_names(sqlite3 *db, struct buf *b)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT blob FROM Packages ORDER BY hnum", -1, &st, NULL),
                     SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        struct rpm_header h;
        struct err e = { 0 };
        assert_int_equal(
            rpm_header_read(str_of(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), &h, &e),
            0);
        buf_printf(b, STR_FMT " ", STR_ARG(h.name));
    }
    sqlite3_finalize(st);
}

static void scanned_names(str content, str wal, struct buf *b)
{
    CLEANUP(buf_done) struct buf got = { 0 };
    scan(&got, SQLITE, content, wal);
    for (str rest = buf_view(&got), line; (line = str_line(&rest)).len;) {
        str name = str_cut(&line, ' ');
        buf_printf(b, STR_FMT " ", STR_ARG(name));
    }
}

/* Files as they lie there while a database lives: what SQLite reads and what we read is the same after every step. */
static void test_wal_of_a_living_database(void **state)
{
    char folder[] = "/tmp/eclair-rpm-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db", folder);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sql(db, "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;" RPM_TABLE);
    uint32_t seed = 7, rows = 0;
    for (unsigned step = 0; step < 400; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned what = (seed >> 16) % 16;
        if (what < 9) {
            char name[16], text[3000];
            size_t n = (seed >> 8) % sizeof text;
            memset(text, 'x', sizeof text);
            text[n ? n - 1 : 0] = 0;
            snprintf(name, sizeof name, "p%u", ++rows);
            CLEANUP(buf_done) struct buf header = { 0 };
            make_header(&header,
                        (struct tag[]){
                            { 1000, 6, name }, { 1001, 6, "1" }, { 1002, 6, "1" }, { 1014, 6, text }, { 0 } },
                        0);
            sqlite_add(db, buf_view(&header));
        } else if (what < 12)
            sql(db, "DELETE FROM Packages WHERE hnum % 5 = abs(random() % 5)");
        else if (what == 12)
            sql(db, "VACUUM");
        else if (what == 13)
            sql(db, "PRAGMA wal_checkpoint(RESTART)");
        else if (what == 14)
            sql(db, "PRAGMA wal_checkpoint(PASSIVE)");
        else if (step % 4 == 0)
            sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
        CLEANUP(buf_done) struct buf content = { 0 }, wal = { 0 }, want = { 0 }, got = { 0 };
        read_path(&content, folder, "db");
        read_path(&wal, folder, "db-wal");
        live_names(db, &want);
        scanned_names(buf_view(&content), buf_view(&wal), &got);
        if (!str_eq(buf_view(&want), buf_view(&got)))
            fail_msg("step %u (%u): want " STR_FMT "\ngot " STR_FMT, step, what, STR_ARG(want), STR_ARG(got));
    }
    sqlite3_close(db);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- the detector ---- */

static void test_names(void **state)
{
    CLEANUP(buf_done) struct buf ndb = { 0 }, bdb = { 0 };
    two_in_ndb(&ndb);
    two_in_bdb(&bdb, true);
    check("empty", BDB, (str){ 0 }, (str){ 0 }, "! it is empty\n");
    check("garbage", BDB, STR("\177ELF"), (str){ 0 }, "error: not a hash file of Berkeley DB");
    check("garbage", NDB, STR("\177ELF"), (str){ 0 }, "error: not an NDB file of rpm");
    check("garbage", SQLITE, STR("\177ELF"), (str){ 0 }, "error: not a database of SQLite");
    check("another", BDB, buf_view(&ndb), (str){ 0 },
          "error: a database of NDB under the name of one of Berkeley DB");
    check("another", SQLITE, buf_view(&bdb), (str){ 0 },
          "error: a database of Berkeley DB under the name of one of SQLite");
    check("another", NDB, STR("SQLite format 3\0"), (str){ 0 },
          "error: a database of SQLite under the name of one of NDB");
    assert_string_equal(detector_for(STR(SQLITE))->beside, "-wal");
}

static void test_manifest(void **state)
{
#define LIST "var/lib/rpmmanifest/container-manifest-2"
#define ROW(n, e, s)                                                                                         \
    n "\t1.0-2.cm2\t1653816591\t1653753130\tMicrosoft Corporation\t" e "\t580\tnoarch\t0\t" s "\n"
    static const struct {
        const char *what, *content, *want;
    } cases[] = {
        { "empty", "", "" },
        { "plain", ROW("a", "(none)", "s-1.0-2.cm2.src.rpm"),
          "a 1.0-2.cm2 noarch s 1.0-2.cm2 \nrpm-vendor = Microsoft Corporation\n" },
        { "epochs", ROW("a", "0", "(none)") ROW("b", "3", "s-1-1.src.rpm"),
          "a 0:1.0-2.cm2 noarch a 0:1.0-2.cm2 \nb 3:1.0-2.cm2 noarch s 1-1 \n"
          "rpm-vendor = Microsoft Corporation\n" },
        { "a key", ROW("gpg-pubkey", "(none)", "(none)"), "rpm-vendor = Microsoft Corporation\n" },
        { "odd lines", "what\n\n" ROW("b", "x", "(none)") ROW("a", "(none)", "(none)"),
          "a 1.0-2.cm2 noarch a 1.0-2.cm2 \nrpm-vendor = Microsoft Corporation\n"
          "! line 1 is not a package in 10 columns\n" },
        { "no release", "a\t1\t\t\t\t(none)\t\t\t\t\n", "error: line 1: not a list of packages" },
        { "too few columns", "\na\t1-1\t\t\t\t(none)\t\t\t\n", "error: line 2: not a list of packages" },
        { "more columns", "a\t1-1\t\t\t\t(none)\t\t\t\t\tmore\r\n", "a 1-1  a 1-1 \n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].what, LIST, str_from(cases[i].content), (str){ 0 }, cases[i].want);
}

/* ---- hints of Red Hat's build system ---- */

static void test_buildinfo(void **state)
{
#define SETS   "root/buildinfo/content_manifests/x.json"
#define LABELS "usr/share/buildinfo/labels.json"
#define FILE_  "root/buildinfo/Dockerfile-a-b-1-2"
#define NVR    "nvr = a-b-1-2\n"
    static const struct {
        const char *what, *path, *content, *want;
    } cases[] = {
        { "sets", SETS,
          "{\"metadata\":{\"image_layer_index\":3,\"x\":[1]},\"content_sets\":[\"a\",\"\",\"b\"],\"other\":{}"
          "}",
          "image-layer-index = 3\ncontent-set = a\ncontent-set = b\n" },
        { "a hint", "usr/share/buildinfo/x.json", "{\"from_dnf_hint\":true,\"content_sets\":null}",
          "from-dnf-hint = true\n" },
        { "no hint", "usr/share/buildinfo/content_manifests/x.json",
          "{\"from_dnf_hint\":false,\"metadata\":null,\"content_sets\":[]}", "" },
        { "other JSON", SETS, "{\"x\":1}", "" },
        { "malformed", SETS, "{\"content_sets\":[\"a\"],",
          "! json: byte 22: the input ends inside a value\n" },
        { "another shape", SETS, "{\"content_sets\":[\"a\", 5]}",
          "! content_sets: element 1 is not a text\n" },
        { "labels", LABELS,
          "{\"name\":\"ubi9\",\"cpe\":\"cpe:/"
          "a:x\",\"url\":\"x\",\"architecture\":\"\\\"x86_64\\\"\",\"version\":9}",
          "label:name = ubi9\nlabel:architecture = x86_64\nlabel:cpe = cpe:/a:x\n" },
        { "labels that are none", LABELS, "[]", "! json: byte 0: an object wanted, not an array\n" },
        { "labels and more", LABELS, "{\"name\":\"a\"} x", "! json: byte 13: something follows the value\n" },
        { "a Dockerfile", FILE_,
          "FROM scratch\nLABEL com.redhat.component=\"c\" \\\n  # a comment\n\n  name='n n' version=1\\ 2 "
          "\\\n release=3\n",
          "label:name = n n\nlabel:com.redhat.component = c\nlabel:version = 1 2\nlabel:release = 3\n" NVR },
        { "the last value counts", FILE_, "label name=a\nLabel name=b", "label:name = b\n" NVR },
        { "the oldest form", FILE_, "LABEL name  a \"b c\"  \nLABEL version\n", "label:name = a b c\n" NVR },
        { "the last stage counts", FILE_,
          "FROM a\nLABEL name=a\nENV x=1\nFROM b\nLABEL version=$x release=2\n", "label:release = 2\n" NVR },
        { "variables", FILE_,
          "ARG none\nARG v=1\nENV w=${v}.2 z=\"$w-z\"\nENV old form $v\n"
          "LABEL name=$w version=\"${z}\" release='$v' cpe=${none:-o}${v:+i}${q}$ architecture=\\$v$old\n",
          "label:name = 1.2\nlabel:architecture = $vform 1\nlabel:cpe = oi$\nlabel:version = "
          "1.2-z\nlabel:release "
          "= $v\n" NVR },
        { "an odd end", FILE_, "LABEL name=\"a", "label:name = a\n" NVR },
        { "an odd variable", FILE_, "LABEL name=${a version=2\\",
          "label:name = ${a\nlabel:version = 2\n" NVR },
        { "no version in its name", "root/buildinfo/Dockerfile-a-1", "", "" },
        { "nothing of use", "root/buildinfo/Dockerfile-a-1-", "RUN x\n", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct detector *d = detector_for(str_from(cases[i].path));
        assert_true(d && d->hints && !d->priority);
        check(cases[i].what, cases[i].path, str_from(cases[i].content), (str){ 0 }, cases[i].want);
    }
    CLEANUP(freep) char *large = calloc(1, (1 << 20) + 1);
    check("too large", SETS, str_of(large, (1 << 20) + 1), (str){ 0 },
          "! it has 1048577 bytes, more than 1048576, and was not read\n");
}

/* Each value is the one before, twice: it stops at the limit. */
static void test_growing_variables(void **state)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    buf_printf(&text, "ENV v0=xxxxxxxxxx\n");
    for (unsigned i = 1; i < 100; i++)
        buf_printf(&text, "ENV v%u=$v%u$v%u\n", i, i - 1, i - 1);
    buf_printf(&text, "LABEL name=$v3 version=$v99 release=1\n");
    check("growing", FILE_, buf_view(&text), (str){ 0 },
          "label:name = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
          "label:release = 1\n" NVR);
}

static void test_many_variables(void **state)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    for (unsigned i = 0; i < 2000; i++)
        buf_printf(&text, "ENV v%u=%u\n", i, i);
    buf_printf(&text, "LABEL name=$v127 version=x$v128 release=$v1999\n");
    check("many", FILE_, buf_view(&text), (str){ 0 }, "label:name = 127\nlabel:version = x\n" NVR);
}

/* Short texts that stand for long ones, and braces without an end. */
static void test_costly_dockerfile(void **state)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    char value[4000];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = 0;
    buf_printf(&text, "ENV v=%s\nENV", value);
    for (unsigned i = 0; i < 100000; i++)
        buf_str(&text, STR(" a=$v"));
    buf_str(&text, STR("\nLABEL name="));
    for (unsigned i = 0; i < 150000; i++)
        buf_str(&text, STR("${a"));
    CLEANUP(arena_freep) struct arena *arena = arena_new(32 << 20);
    struct detected out = { .arena = arena };
    struct err e = { 0 };
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    assert_int_equal(
        detector_for(STR(FILE_))
            ->scan(&(struct detect_file){ .path = STR(FILE_), .content = buf_view(&text) }, &out, &e),
        0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    assert_true(str_starts(out.note, STR("more than 4096 labels and variables")));
    assert_int_equal(out.fact_count, 1); /* the name and version of the build */
    assert_true(b.tv_sec - a.tv_sec < 5);
}

/* ---- real data ---- */

struct listing {
    struct rpm_sink sink;
    struct buf lines;
    char first[200];
};

static str or_none(str s) { return s.len ? s : STR("(none)"); }

/* As `rpm -qa` printed the expected lists: name, epoch, version, release, arch, source rpm, module. */
static int list_header(struct rpm_sink *s, struct rpm_place at, str blob, struct err *e)
{
    struct listing *l = (struct listing *)s;
    struct rpm_header h;
    if (rpm_header_read(blob, &h, e) < 0)
        return -1;
    char epoch[16] = "(none)";
    if (h.has_epoch)
        snprintf(epoch, sizeof epoch, "%u", h.epoch);
    buf_printf(&l->lines, STR_FMT "\t%s\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\t" STR_FMT "\n",
               STR_ARG(h.name), epoch, STR_ARG(h.version), STR_ARG(h.release), STR_ARG(or_none(h.arch)),
               STR_ARG(or_none(h.source_rpm)), STR_ARG(or_none(h.label)));
    return 0;
}

static void list_damage(struct rpm_sink *s, struct rpm_place at, const char *what)
{
    struct listing *l = (struct listing *)s;
    snprintf(l->first, sizeof l->first, "%s %u: %.150s", at.unit, (unsigned)at.number, what);
}

static void list_odd(struct rpm_sink *s, const char *what)
{
    list_damage(s, (struct rpm_place){ "file", 0 }, what);
}

static int walk_sqlite(str content, struct rpm_sink *s, struct err *e)
{
    return rpm_sqlite_walk(content, (str){ 0 }, s, e);
}

#define IMAGE_FILE(image, path)                                                                              \
    "tar -xOf \"$DATA\"/images/" image " --wildcards '*/layer.tar' | tar -xO " path
#define UBI9_LAYER_2                                                                                         \
    "tar -xOf \"$DATA\"/images/rpm-ubi9-layers.oci.tar "                                                     \
    "blobs/sha256/68003e625a36c70b59139b33795ab50ecdfa10e649ea133b57cb8a4146d4b44b | tar -xzO " SQLITE

static const struct real {
    const char *file; /* of data/rpmdb, or a command */
    const char *expected;
    int (*walk)(str content, struct rpm_sink *s, struct err *e);
    size_t packages; /* those of the detector: without keys */
} reals[] = {
    { "amazon-2.Packages.zst", "amazon-2", rpm_bdb_walk, 103 },
    { "libuuid-bdb.Packages.zst", "libuuid-bdb", rpm_bdb_walk, 1 },
    { "ubi8.Packages.zst", "ubi8", rpm_bdb_walk, 178 },
    { "ubi9.rpmdb.sqlite.zst", "ubi9", walk_sqlite, 181 },
    { "cbl-mariner-2.0.rpmdb.sqlite.zst", "cbl-mariner-2.0", walk_sqlite, 129 },
    { IMAGE_FILE("rpm-photon3.docker.tar.zst", SQLITE), "photon-30", walk_sqlite, 32 },
    { UBI9_LAYER_2, "ubi9-updated", walk_sqlite, 183 },
};
#define REALS (sizeof reals / sizeof *reals)

static void load_real(struct buf *b, const struct real *r)
{
    if (str_ends(str_from(r->file), STR(".zst")))
        load(b, r->file);
    else
        output_of(b, r->file);
}

static int by_bytes(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

static void sort_lines(struct buf *lines)
{
    enum { MAX = 1000 };
    str all[MAX];
    size_t n = 0;
    for (str rest = buf_view(lines); rest.len && n < MAX; n++)
        all[n] = str_line(&rest);
    qsort(all, n, sizeof *all, by_bytes);
    struct buf ret = { 0 };
    for (size_t i = 0; i < n; i++) {
        buf_str(&ret, all[i]);
        buf_char(&ret, '\n');
    }
    buf_done(lines);
    *lines = ret;
}

static void expected_lines(struct buf *b, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/rpmdb/%s.expected.tsv", data_dir(), name);
    CLEANUP(fclosep) FILE *f = fopen(path, "rb");
    read_all(b, f);
    sort_lines(b);
}

static void test_real_lists(void **state)
{
    if (no_data(REALS))
        return;
    for (size_t i = 0; i < REALS; i++) {
        CLEANUP(buf_done) struct buf content = { 0 }, want = { 0 };
        struct listing l = { .sink = { list_header, list_damage, list_odd } };
        struct err e = { 0 };
        load_real(&content, &reals[i]);
        if (reals[i].walk(buf_view(&content), &l.sink, &e) < 0 || l.first[0])
            fail_msg("%s: %s%s", reals[i].expected, e.text, l.first);
        expected_lines(&want, reals[i].expected);
        sort_lines(&l.lines);
        if (!str_eq(buf_view(&want), buf_view(&l.lines)))
            fail_msg("%s: want\n" STR_FMT "got\n" STR_FMT, reals[i].expected, STR_ARG(want),
                     STR_ARG(l.lines));
        buf_done(&l.lines);
    }
}

/* The same values as a machine of the other byte order would have written them. */
static void swap32(char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

static unsigned swap16(char *p) /* returns what it was */
{
    unsigned v = (unsigned)(uint8_t)p[1] << 8 | (uint8_t)p[0];
    put16(p, true, v);
    return v;
}

static void swap_page(char *page, unsigned page_size)
{
    for (unsigned at = 8; at < 20; at += 4) /* number, previous, next */
        swap32(page + at);
    unsigned entries = swap16(page + 20), end = page_size;
    swap16(page + 22);
    for (unsigned i = 0; (page[25] == 13 || page[25] == 2) && i < entries; i++) {
        unsigned start = swap16(page + 26 + 2 * i);
        if (end - start == 5 && page[start] == 1)
            swap32(page + start + 1);
        if (page[start] == 3) {
            swap32(page + start + 4);
            swap32(page + start + 8);
        }
        end = start;
    }
}

static void test_real_other_byte_order(void **state)
{
    if (no_data(1))
        return;
    CLEANUP(buf_done) struct buf content = { 0 }, want = { 0 };
    struct listing l = { .sink = { list_header, list_damage, list_odd } };
    struct err e = { 0 };
    load(&content, "ubi8.Packages.zst");
    unsigned page_size = (unsigned)(uint8_t)content.ptr[20] | (unsigned)(uint8_t)content.ptr[21] << 8;
    for (size_t at = 8; at < 72; at += 4)
        if (at != 24) /* four bytes */
            swap32(content.ptr + at);
    for (size_t at = page_size; at + page_size <= content.len; at += page_size)
        swap_page(content.ptr + at, page_size);
    assert_true(rpm_bdb_is(buf_view(&content)));
    if (rpm_bdb_walk(buf_view(&content), &l.sink, &e) < 0 || l.first[0])
        fail_msg("%s%s", e.text, l.first);
    expected_lines(&want, "ubi8");
    sort_lines(&l.lines);
    assert_true(str_eq(buf_view(&want), buf_view(&l.lines)));
    buf_done(&l.lines);
}

static void test_real_packages(void **state)
{
    if (no_data(REALS + 2))
        return;
    for (size_t i = 0; i < REALS; i++) {
        CLEANUP(buf_done) struct buf content = { 0 };
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        struct detected out = { .arena = arena };
        struct err e = { 0 };
        load_real(&content, &reals[i]);
        const char *path = reals[i].walk == walk_sqlite ? SQLITE : BDB;
        struct timespec a, b;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        int r = detector_for(str_from(path))
                    ->scan(&(struct detect_file){ .path = str_from(path), .content = buf_view(&content) },
                           &out, &e);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
        print_message("%s: %zu packages of %zu bytes in %.2f ms\n", reals[i].expected, out.package_count,
                      content.len, ms);
        if (r < 0 || out.package_count != reals[i].packages || out.note.len)
            fail_msg("%s: %zu packages, want %zu; %s" STR_FMT, reals[i].expected, out.package_count,
                     reals[i].packages, e.text, STR_ARG(out.note));
        assert_true(ms < 500);
    }

    CLEANUP(buf_done) struct buf none = { 0 }, sle = { 0 }, got = { 0 };
    load(&none, "no-packages.rpmdb.sqlite.zst");
    check("no packages", SQLITE, buf_view(&none), (str){ 0 },
          "! it has no table Packages, and so no package\n");
    load(&sle, "sle15-bci.Packages.db.zst");
    scan(&got, NDB, buf_view(&sle), (str){ 0 });
    unsigned lines = 0;
    for (str rest = buf_view(&got); rest.len; lines++)
        str_line(&rest);
    assert_int_equal(lines, 35 + 1); /* counted by other means; and the vendor */
    assert_true(str_contains(buf_view(&got),
                             STR("libgcc_s1 11.2.1+git610-1.3.9 x86_64 gcc11 11.2.1+git610-1.3.9 \n")));
}

/* Bytes of real databases turned over, some at a time: no crash, and never more packages than before. */
static void test_real_damage(void **state)
{
    static const struct {
        const char *file, *path;
        unsigned rounds;
    } cases[] = { { "libuuid-bdb.Packages.zst", BDB, 2000 },
                  { "sle15-bci.Packages.db.zst", NDB, 100 },
                  { "ubi9.rpmdb.sqlite.zst", SQLITE, 200 } };
    if (no_data(3))
        return;
    uint64_t seed = 1;
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(buf_done) struct buf good = { 0 };
        load(&good, cases[i].file);
        for (unsigned round = 0; round < cases[i].rounds; round++) {
            CLEANUP(buf_done) struct buf bad = { 0 }, got = { 0 };
            buf_str(&bad, buf_view(&good));
            for (unsigned n = 0; n < 1 + round % 8; n++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                size_t range = round % 3 ? bad.len : 4096; /* often where the structure is */
                bad.ptr[(seed >> 20) % range] = (char)(seed >> 56);
            }
            scan(&got, cases[i].path, buf_view(&bad), (str){ 0 });
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packages),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_vendors),
        cmocka_unit_test(test_ndb),
        cmocka_unit_test(test_bdb),
        cmocka_unit_test(test_shared_chains),
        cmocka_unit_test(test_sqlite_schemas),
        cmocka_unit_test(test_sqlite_large_schema),
        cmocka_unit_test(test_sqlite_damage),
        cmocka_unit_test(test_sqlite_absurd_size),
        cmocka_unit_test(test_wal),
        cmocka_unit_test(test_wal_of_a_living_database),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_buildinfo),
        cmocka_unit_test(test_growing_variables),
        cmocka_unit_test(test_many_variables),
        cmocka_unit_test(test_costly_dockerfile),
        cmocka_unit_test(test_real_lists),
        cmocka_unit_test(test_real_other_byte_order),
        cmocka_unit_test(test_real_packages),
        cmocka_unit_test(test_real_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
