/* The tar reader: hand-made headers, tars of GNU tar and Python in all their formats, and the layers of real images;
 * libarchive is the second opinion on everything that is not made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "codec/sha256.h"
#include "image/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/resource.h>

/* ---- tars made by hand ---- */

static struct buf in; /* the tar of the running case */

static void checksum(char *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
}

static char *header(char type, const char *name, unsigned long size)
{
    char h[512] = "";
    memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
    memcpy(h + 100, "0000644", 7);
    snprintf(h + 124, 12, "%011lo", size);
    h[156] = type;
    memcpy(h + 257, "ustar\00000", 8);
    checksum(h);
    buf_add(&in, h, sizeof h);
    return in.ptr + in.len - sizeof h;
}

static void content(const char *bytes, size_t n)
{
    static const char zero[512];
    buf_add(&in, bytes, n);
    buf_add(&in, zero, -n % 512);
}

static void member(char type, const char *name, const char *bytes)
{
    header(type, name, strlen(bytes));
    content(bytes, strlen(bytes));
}

static void link_to(char type, const char *name, const char *target)
{
    char *h = header(type, name, 0);
    memcpy(h + 157, target, strlen(target));
    checksum(h);
}

static void add_record(struct buf *to, const char *key, const char *value, size_t n)
{
    size_t rest = strlen(key) + n + 3, len = rest + 1;
    for (char digits[24]; (len = rest + (size_t)snprintf(digits, sizeof digits, "%zu", len)), true;)
        if (len == rest + (size_t)snprintf(digits, sizeof digits, "%zu", len))
            break;
    buf_printf(to, "%zu %s=", len, key);
    buf_add(to, value, n);
    buf_char(to, '\n');
}

/* Keys and values, ends with NULL. */
static void pax(int type, ...)
{
    CLEANUP(buf_done) struct buf records = { 0 };
    va_list ap;
    va_start(ap, type);
    for (const char *key; (key = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);
        add_record(&records, key, value, strlen(value));
    }
    va_end(ap);
    header((char)type, "PaxHeaders/x", records.len);
    content(records.ptr, records.len);
}

static void end(void)
{
    static const char zero[1024];
    buf_add(&in, zero, sizeof zero);
}

/* ---- walking ---- */

struct step_stream {
    struct stream s;
    str rest;
    size_t step;
};

static int step_next(struct stream *s, str *ret, struct err *e)
{
    struct step_stream *d = (struct step_stream *)s;
    *ret = str_head(d->rest, d->step);
    d->rest = str_skip(d->rest, d->step);
    return ret->len > 0;
}

static void show_content(struct tar *t, struct buf *out, struct err *e)
{
    str part;
    uint64_t shown = 0;
    while (shown < 100000 && stream_next(tar_stream(t, e), &part, e) > 0)
        for (size_t i = 0; i < part.len; i++, shown++)
            if (shown < 60)
                buf_char(out, part.ptr[i] ? part.ptr[i] : '0');
}

/* One line a member, then "end" or the error. */
static void walk(str bytes, size_t step, const struct tar_limits *l, bool read, struct buf *out)
{
    struct step_stream source = { { step_next, NULL }, bytes, step };
    struct err e = { 0 };
    CLEANUP(tar_freep) struct tar *t = tar_new(&source.s, l, &e);
    struct tar_member m;
    int r;
    while ((r = tar_next(t, &m, &e)) > 0) {
        buf_printf(out, "%c '%.*s'", "fdlho"[m.type], STR_ARG(m.path));
        if (m.link.len)
            buf_printf(out, " -> %.*s", STR_ARG(m.link));
        if (m.size)
            buf_printf(out, " %llu", (unsigned long long)m.size);
        if (m.escapes)
            buf_printf(out, " escapes");
        if (m.type == TAR_FILE && m.size && read) {
            buf_char(out, ' ');
            show_content(t, out, &e);
        }
        buf_char(out, '\n');
        if (e.kind == ERR_LIMIT) {
            buf_printf(out, "%s\n", e.text);
            e.kind = ERR_NONE;
        }
    }
    if (r == 0)
        assert_int_equal(source.rest.len, 0); /* what follows the end was drained */
    buf_printf(out, "%s", r ? e.text : "end");
    struct err again = { 0 };
    assert_int_equal(tar_next(t, &m, &again), r);
    assert_string_equal(again.text, r ? e.text : "");
}

static void expect_with(const char *want, const struct tar_limits *l, bool read)
{
    static const size_t steps[] = { 1, 7, 100, 512, 513, 4096, SIZE_MAX };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        CLEANUP(buf_done) struct buf got = { 0 };
        walk(buf_view(&in), steps[i], l, read, &got);
        buf_char(&got, '\0');
        assert_string_equal(got.ptr, want);
    }
    in.len = 0;
}

static void expect(const char *want) { expect_with(want, NULL, true); }

/* ---- cases ---- */

static void test_ends(void **state)
{
    expect("end");
    end();
    expect("end");
    member('0', "a", "");
    expect("f 'a'\nend"); /* the end of the stream between members */
    member('0', "a", "x");
    in.len -= 100; /* and inside the padding */
    expect("f 'a' 1 x\nend");
    member('0', "a", "x");
    end();
    buf_printf(&in, "whatever follows");
    expect("f 'a' 1 x\nend");
    member('0', "a", "");
    end();
    in.len -= 512;
    expect("f 'a'\nend");
    member('0', "a", "");
    end();
    in.len -= 512;
    member('0', "hidden", "");
    expect("f 'a'\ntar: one zero block before it: neither the end nor a member (header at byte 1024)");
}

static void test_types(void **state)
{
    member('0', "file", "123");
    member('\0', "old file", "12");
    member('\0', "old folder/", "");
    member('5', "folder/", "");
    member('7', "contiguous", "1");
    link_to('2', "sym", "../target");
    link_to('1', "hard", "./file");
    header('3', "null", 0);
    header('6', "pipe", 0);
    member('D', "dump", "list of names");
    member('!', "unknown", "skipped");
    header('1', "hard with a size but no content", 4096);
    header('5', "folder with a size but no content", 4096);
    end();
    expect("f 'file' 3 123\nf 'old file' 2 12\nd 'old folder'\nd 'folder'\nf 'contiguous' 1 1\n"
           "l 'sym' -> ../target\nh 'hard' -> ./file\no 'null'\no 'pipe'\nd 'dump'\no 'unknown'\n"
           "h 'hard with a size but no content'\nd 'folder with a size but no content'\nend");
}

static void test_paths(void **state)
{
    static const struct {
        const char *raw, *want;
    } cases[] = {
        { "./", "d ''\nend" },
        { "/", "d ''\nend" },
        { ".", "d ''\nend" },
        { "./a", "d 'a'\nend" },
        { "/a//b/./c/", "d 'a/b/c'\nend" },
        { "././/a", "d 'a'\nend" },
        { "a/..b/c..", "d 'a/..b/c..'\nend" },
        { "../a", "d '../a' escapes\nend" },
        { "a/../b", "d 'a/../b' escapes\nend" },
        { "a/..", "d 'a/..' escapes\nend" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        member('5', cases[i].raw, "");
        expect(cases[i].want);
        pax('x', "path", cases[i].raw, NULL);
        member('5', "short", "");
        expect(cases[i].want);
    }
    char *h = header('0', "name", 0);
    memcpy(h + 345, "prefix/of/it", 12);
    checksum(h);
    h = header('0', "name", 0);
    memcpy(h + 345, "prefix", 6);
    memcpy(h + 257, "ustar  ", 8); /* GNU has times there */
    checksum(h);
    expect("f 'prefix/of/it/name'\nf 'name'\nend");
}

static void test_numbers(void **state)
{
    static const struct {
        const char field[13];
        const char *want;
    } cases[] = {
        { "00000000003", "f 'a' 3 abc\nend" },
        { "          3", "f 'a' 3 abc\nend" },
        { "3          ", "f 'a' 3 abc\nend" },
        { "3\0garbage  ", "f 'a' 3 abc\nend" },
        { "\0\0\0 3", "f 'a' 3 abc\nend" },
        { "000000000003", "f 'a' 3 abc\nend" }, /* no end mark: all 12 bytes */
        { "\x80\0\0\0\0\0\0\0\0\0\0\3", "f 'a' 3 abc\nend" },
        { "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", "f 'a' 9223372036854775807 abc\n"
                                                        "tar: truncated member (header at byte 0)" },
        { "\x80\0\0\0\x80\0\0\0\0\0\0\0", "tar: bad size (header at byte 0)" },
        { "\x80\0\0\1\0\0\0\0\0\0\0\0", "tar: bad size (header at byte 0)" },
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "tar: bad size (header at byte 0)" },
        { "8", "tar: bad size (header at byte 0)" },
        { "-3", "tar: bad size (header at byte 0)" },
        { "3x", "tar: bad size (header at byte 0)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *h = header('0', "a", 0);
        memcpy(h + 124, cases[i].field, 12);
        checksum(h);
        content("abc", 3);
        if (strstr(cases[i].want, "truncated"))
            in.len = 515;
        expect(cases[i].want);
    }
}

static void test_checksums(void **state)
{
    buf_printf(&in, "hello");
    expect("not a tar (byte 0)");
    for (int i = 0; i < 100; i++)
        buf_printf(&in, "<html>not a tar</html>\n");
    expect("not a tar (byte 0)");

    char *h = header('0', "caf\xc3\xa9", 0);
    char sum[8];
    memcpy(sum, h + 148, 8);
    snprintf(h + 148, 8, "%06lo", strtoul(sum, NULL, 8) - 512); /* two bytes above 127, taken as signed */
    expect("f 'caf\xc3\xa9'\nend");

    for (size_t i = 0; i < 512; i++) {
        member('0', "first", "x");
        header('0', "second", 0);
        in.ptr[1024 + i]++;
        if (i >= 148 && i < 156)
            in.ptr[1024 + i] = '7';
        CLEANUP(buf_done) struct buf got = { 0 };
        walk(buf_view(&in), SIZE_MAX, NULL, true, &got);
        buf_char(&got, '\0');
        if (i != 155) /* the byte behind the digits may be anything but a digit */
            assert_string_equal(got.ptr, "f 'first' 1 x\ntar: wrong checksum (header at byte 1024)");
        in.len = 0;
    }
}

static void test_truncated(void **state)
{
    member('0', "a", "0123456789");
    pax('x', "path", "long/name", NULL);
    member('0', "b", "abc");
    size_t whole = in.len;
    end();
    for (size_t n = 0; n < in.len; n++) {
        CLEANUP(buf_done) struct buf got = { 0 };
        walk(str_head(buf_view(&in), n), 100, NULL, true, &got);
        buf_char(&got, '\0');
        bool ends = n == 0 || (n >= 522 && n <= 1024) || (n >= 2563 && n <= whole) || n == whole + 512;
        if (ends != str_ends(str_from(got.ptr), STR("end")))
            fail_msg("cut at %zu: %s", n, got.ptr);
    }
    in.len = 0;
}

static void test_long_names(void **state)
{
    char name[301], want[1000];
    memset(name, 'n', 300);
    name[300] = '\0';
    header('L', "././@LongLink", 301);
    content(name, 301);
    header('K', "././@LongLink", 301);
    content(name, 301);
    link_to('2', "short", "target");
    member('0', "next", "");
    snprintf(want, sizeof want, "l '%s' -> %s\nf 'next'\nend", name, name);
    expect(want);

    pax('x', "path", name, "linkpath", name, "mtime", "1.5", NULL);
    link_to('1', "short", "target");
    member('0', "next", "");
    snprintf(want, sizeof want, "h '%s' -> %s\nf 'next'\nend", name, name);
    expect(want);

    member('L', "././@LongLink", "gnu");
    pax('x', "path", "pax", NULL);
    member('0', "header", "");
    expect("f 'gnu'\nend"); /* the order of Go's archive/tar */
}

static void test_pax(void **state)
{
    pax('x', "size", "3", NULL);
    header('0', "a", 0);
    content("abc", 3);
    pax('x', "path", "", NULL);
    member('0', "empty value", "");
    pax('x', "path", "first", NULL);
    pax('x', "comment", "replaces it", NULL);
    member('0', "header", "");
    pax('x', "path", "one", "path", "two=2\nx", NULL);
    member('0', "header", "");
    pax('g', "path", "for all", "size", "7", NULL);
    member('0', "header", "1");
    pax('x', "size", "4", NULL);
    link_to('1', "hard", "a");
    expect("f 'a' 3 abc\nf 'empty value'\nf 'header'\nf 'two=2\nx'\nf 'header' 1 1\nh 'hard' -> a\nend");

    static const struct {
        const char *records, *want;
    } bad[] = {
        { "5", "malformed pax record" },
        { "x path=a\n", "malformed pax record" },
        { "0 path=a\n", "malformed pax record" },
        { "11 path=a\n", "malformed pax record" },
        { "8 path=a\n", "malformed pax record" },
        { "99999999999999999999 path=a\n", "malformed pax record" },
        { "9 pathaa\n", "malformed pax record" },
        { "5 =a\n", "malformed pax record" },
        { "3 \n", "malformed pax record" },
        { "9 path=a\n\n", "malformed pax record" },
        { "9 size=x\n", "bad pax value" },
        { "11 size=-1\n", "bad pax value" },
        { "24 GNU.sparse.offset=x1\n", "bad pax value" },
        { "25 GNU.sparse.numbytes=1\n", "bad pax value" },
        { "20 GNU.sparse.map=1\n", "bad pax value" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char want[100];
        member('x', "PaxHeaders/x", bad[i].records);
        member('0', "a", "");
        snprintf(want, sizeof want, "tar: %s (header at byte 0)", bad[i].want);
        expect(want);
    }
    CLEANUP(buf_done) struct buf nul = { 0 };
    add_record(&nul, "path", "a\0b", 3);
    header('x', "PaxHeaders/x", nul.len);
    content(nul.ptr, nul.len);
    member('0', "a", "");
    expect("tar: NUL in a path (header at byte 1024)");
}

static void test_limits(void **state)
{
    member('0', "a", "");
    member('0', "b", "");
    expect_with("f 'a'\ntar: more than 1 members", &(struct tar_limits){ .max_members = 1 }, true);
    member('0', "a", "");
    member('0', "b", "");
    expect_with("f 'a'\nf 'b'\nend", &(struct tar_limits){ .max_members = 2 }, true);
    member('0', "12345", "");
    member('0', "123456", "");
    expect_with("f '12345'\ntar: path of more than 5 bytes (header at byte 512)",
                &(struct tar_limits){ .max_path = 5 }, true);
    link_to('2', "a", "123456");
    expect_with("tar: path of more than 5 bytes (header at byte 0)", &(struct tar_limits){ .max_path = 5 },
                true);
    header('x', "big", (1 << 20) + 1);
    expect("tar: extended header of more than 1 MiB (at byte 0)");
    header('L', "big", 1 << 30);
    expect("tar: extended header of more than 1 MiB (at byte 0)");
}

/* ---- sparse files ---- */

static void gnu_sparse(const char *name, const char *bytes, unsigned long realsize, const char *map)
{
    char *h = header('S', name, strlen(bytes));
    memcpy(h + 257, "ustar  ", 8);
    for (int i = 0; *map && i < 4; i++) {
        unsigned long offset = strtoul(map, (char **)&map, 10), size = strtoul(map + 1, (char **)&map, 10);
        snprintf(h + 386 + 24 * i, 12, "%011lo", offset);
        snprintf(h + 398 + 24 * i, 12, "%011lo", size);
        map += *map == ',';
    }
    snprintf(h + 483, 12, "%011lo", realsize);
    checksum(h);
    content(bytes, strlen(bytes));
}

static void test_sparse(void **state)
{
    gnu_sparse("a", "abcde", 12, "2,3,8,2");
    gnu_sparse("ends in data", "abc", 5, "2,3");
    gnu_sparse("all hole", "", 6, "6,0");
    gnu_sparse("begins with data", "ab", 6, "0,2,6,0");
    pax('x', "GNU.sparse.size", "12", "GNU.sparse.numblocks", "2", "GNU.sparse.offset", "2",
        "GNU.sparse.numbytes", "3", "GNU.sparse.offset", "8", "GNU.sparse.numbytes", "2", NULL);
    member('0', "pax 0.0", "abcde");
    pax('x', "GNU.sparse.size", "12", "GNU.sparse.map", "2,3,8,2", "GNU.sparse.name", "pax 0.1", NULL);
    member('0', "GNUSparseFile.1/x", "abcde");
    pax('x', "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "./pax 1.0",
        "GNU.sparse.realsize", "12", NULL);
    header('0', "GNUSparseFile.1/x", 517);
    content("2\n2\n3\n8\n2\n", 10);
    content("abcde", 5);
    pax('x', "GNU.sparse.major", "2", "GNU.sparse.size", "12", "GNU.sparse.map", "2,3,8,2", NULL);
    member('0', "unknown version", "abcde");
    member('0', "next", "x");
    expect("f 'a' 12 00abc000de00\nf 'ends in data' 5 00abc\nf 'all hole' 6 000000\nf 'begins with data' 6 "
           "ab0000\n"
           "f 'pax 0.0' 12 00abc000de00\nf 'pax 0.1' 12 00abc000de00\nf 'pax 1.0' 12 00abc000de00\n"
           "f 'unknown version' 5 abcde\nf 'next' 1 x\nend");
}

static void test_bad_sparse(void **state)
{
    static const struct {
        const char *map;
        unsigned long realsize;
        const char *want;
    } gnu[] = {
        { "2,3,4,2", 12, "bad sparse map" },                        /* overlap */
        { "8,2,2,3", 12, "bad sparse map" },                        /* order */
        { "2,3,8,2", 9, "sparse map does not fit its file" },       /* past the end */
        { "2,3", 12, "sparse map does not fit its file" },          /* less than is stored */
        { "2,3,8,2,10,1", 12, "sparse map does not fit its file" }, /* more */
    };
    char want[200];
    for (size_t i = 0; i < sizeof gnu / sizeof *gnu; i++) {
        gnu_sparse("a", "abcde", gnu[i].realsize, gnu[i].map);
        snprintf(want, sizeof want, "tar: %s (header at byte 0)", gnu[i].want);
        expect(want);
    }
    static const char *const maps[] = {
        "x\n",       "",          "2\n2\n3\n8\n",    "\n",
        "1\n2\n6\n", "1\n2\n3\n", "2\n8\n2\n2\n3\n", "9999999999999999999999\n"
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        for (int read = 0; read < 2; read++) {
            pax('x', "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.realsize", "12", NULL);
            header('0', "a", 517);
            content(maps[i], strlen(maps[i]));
            in.len = 1536 + 512;
            memset(in.ptr + 1536 + strlen(maps[i]), 0, 512 - strlen(maps[i]));
            content("abcde", 5);
            snprintf(want, sizeof want, "f 'a' 12%s",
                     !read              ? "\nend"
                     : i >= 4 && i <= 5 ? " \ntar: sparse map does not fit its file (header at byte 1024)"
                                        : " \ntar: bad sparse map (header at byte 1024)");
            expect_with(want, NULL, read);
        }
    pax('x', "GNU.sparse.major", "1", "GNU.sparse.minor", "0", NULL);
    member('0', "a", "");
    expect("tar: bad sparse size (header at byte 1024)");
}

/* A map too long to keep spoils its own file only. */
static void test_long_map(void **state)
{
    CLEANUP(buf_done) struct buf map = { 0 };
    for (unsigned i = 0; i <= 65536; i++)
        buf_printf(&map, "%s%u,1", i ? "," : "", 2 * i);
    buf_char(&map, '\0');
    for (int more = 0; more < 2; more++) {
        if (!more)
            map.ptr[map.len - 1 - strlen(",131072,1")] = '\0';
        pax('x', "GNU.sparse.size", "200000", "GNU.sparse.map", map.ptr, NULL);
        header('0', "a", more ? 65537 : 65536);
        static const char bytes[65537] = "";
        content(bytes, more ? 65537 : 65536);
        member('0', "next", "x");
        CLEANUP(buf_done) struct buf got = { 0 };
        walk(buf_view(&in), 4096, NULL, true, &got);
        buf_char(&got, '\0');
        assert_int_equal(!!strstr(got.ptr, "too many segments"), more);
        assert_non_null(strstr(got.ptr, "\nf 'next' 1 x\nend"));
        in.len = 0;
        map.ptr[map.len - 1 - strlen(",131072,1")] = ',';
    }
}

/* Sparse files with one stored byte and much more hole, one behind the other: which of them can be read? */
static void expect_holes(const char *const sizes[], size_t count, const char *want)
{
    for (size_t i = 0; i < count; i++) {
        pax('x', "GNU.sparse.size", sizes[i], "GNU.sparse.map", "0,1", NULL);
        member('0', "a", "x");
    }
    end();
    struct step_stream source = { { step_next, NULL }, buf_view(&in), SIZE_MAX };
    struct err e = { 0 };
    CLEANUP(tar_freep) struct tar *t = tar_new(&source.s, NULL, &e);
    CLEANUP(buf_done) struct buf got = { 0 };
    struct tar_member m;
    int r;
    while ((r = tar_next(t, &m, &e)) > 0) {
        str part;
        struct err once = { 0 }, twice = { 0 };
        assert_true(m.sparse);
        assert_int_equal(m.stored, 1);
        if (tar_chunk(t, &part, &once) < 0)
            assert_true(tar_chunk(t, &part, &twice) < 0 && !strcmp(once.text, twice.text));
        assert_int_equal(once.kind, once.kind ? ERR_LIMIT : ERR_NONE);
        buf_char(&got, once.kind ? 'R' : 'r');
    }
    buf_char(&got, '\0');
    assert_int_equal(r, 0);
    assert_string_equal(got.ptr, want);
    in.len = 0;
}

static void test_holes(void **state)
{
    static const char *const cases[][4] = {
        { "1073741824" }, /* 1 GiB */
        { "1073741826" }, /* one byte of hole more */
        { "1073741826", "1000", "1073740826",
          "1002" } /* what is refused does not count, the rest together does */
    };
    expect_holes(cases[0], 1, "r");
    expect_holes(cases[1], 1, "R");
    expect_holes(cases[2], 4, "RrrR");
    expect_holes((const char *const[]){ "9223372036854775807", "1" }, 2, "Rr");
}

/* A tar that is entered in its middle. */
static void test_start(void **state)
{
    member('0', "a", "x");
    struct tar_limits limits = { .start = 4096, .leave_rest = true };
    struct step_stream source = { { step_next, NULL }, buf_view(&in), SIZE_MAX };
    struct err e = { 0 };
    struct tar_member m;
    CLEANUP(tar_freep) struct tar *t = tar_new(&source.s, &limits, &e);
    assert_int_equal(tar_next(t, &m, &e), 1);
    assert_int_equal(m.offset, 4096 + 512);
    assert_int_equal(m.stored, 1);
    assert_false(m.sparse);

    static const struct {
        size_t cut, change;
        const char *want;
    } bad[] = { { 300, 512, "tar: truncated header (header at byte 4096)" },
                { 1024, 0, "tar: wrong checksum (header at byte 4096)" },
                { 512, 1024, "f 'a' 1 \ntar: truncated member (header at byte 4096)" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (bad[i].change < in.len)
            in.ptr[bad[i].change]++;
        CLEANUP(buf_done) struct buf got = { 0 };
        walk(str_head(buf_view(&in), bad[i].cut), SIZE_MAX, &limits, true, &got);
        buf_char(&got, '\0');
        assert_string_equal(got.ptr, bad[i].want);
        if (bad[i].change < in.len)
            in.ptr[bad[i].change]--;
    }
}

static void test_leave_rest(void **state)
{
    member('0', "a", "");
    end();
    size_t whole = in.len;
    content("whatever follows", 16);
    struct step_stream source = { { step_next, NULL }, buf_view(&in), 512 };
    struct err e = { 0 };
    struct tar_member m;
    CLEANUP(tar_freep) struct tar *t = tar_new(&source.s, &(struct tar_limits){ .leave_rest = true }, &e);
    assert_int_equal(tar_next(t, &m, &e), 1);
    assert_int_equal(tar_next(t, &m, &e), 0);
    assert_int_equal(source.rest.len, in.len - whole);
}

static void test_begins(void **state)
{
    header('0', "[", 0);
    assert_true(tar_begins(buf_view(&in)));
    assert_false(tar_begins(str_head(buf_view(&in), 511)));
    in.ptr[0] = '{';
    assert_false(tar_begins(buf_view(&in)));
    memset(in.ptr, 0, 512);
    assert_false(tar_begins(buf_view(&in)));
}

/* ---- memory ---- */

struct repeat {
    struct stream s;
    str block;
    unsigned left;
};

static int repeat_next(struct stream *s, str *ret, struct err *e)
{
    struct repeat *r = (struct repeat *)s;
    *ret = r->block;
    return r->left ? r->left--, 1 : 0;
}

static void test_million_members(void **state)
{
    pax('x', "path", "a/rather/long/path", NULL);
    member('0', "a", "x");
    struct repeat source = { { repeat_next, NULL }, buf_view(&in), 1000000 };
    struct err e = { 0 };
    CLEANUP(tar_freep) struct tar *t = tar_new(&source.s, NULL, &e);
    struct tar_member m;
    struct rusage before, after;
    unsigned count = 0;
    getrusage(RUSAGE_SELF, &before);
    while (tar_next(t, &m, &e) > 0)
        count++;
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(count, 1000000);
    assert_true(after.ru_maxrss - before.ru_maxrss < 1024); /* KiB */
    in.len = 0;
}

/* ---- libarchive's opinion ---- */

static char folder[] = "/tmp/test_tar.XXXXXX";

static void add_line(struct buf *out, const char *type, str path, str link, uint64_t size, const char *hex)
{
    while (str_starts(path, STR("./")) || str_starts(path, STR("/")))
        path = str_skip(path, path.ptr[0] == '.' ? 2 : 1);
    while (str_ends(path, STR("/")))
        path.len--;
    if (str_eq(path, STR(".")))
        path.len = 0;
    buf_printf(out, "%s '%.*s' -> '%.*s' %llu %s\n", type, STR_ARG(path), STR_ARG(link),
               (unsigned long long)size, hex);
}

static bool list_libarchive(const char *path, struct buf *out)
{
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    archive_read_support_filter_all(a);
    archive_read_support_format_tar(a);
    int r = archive_read_open_filename(a, path, 65536);
    while (r == ARCHIVE_OK && (r = archive_read_next_header(a, &entry)) == ARCHIVE_OK) {
        struct err e;
        static char bytes[65536];
        char hex[65] = "";
        const char *hard = archive_entry_hardlink(entry);
        unsigned type = archive_entry_filetype(entry);
        bool file = type == AE_IFREG && !hard;
        if (file) {
            CLEANUP(sha256_freep) struct sha256 *sum = sha256_new(&e);
            ssize_t n;
            int64_t left = archive_entry_size(entry);
            for (; (n = archive_read_data(a, bytes, sizeof bytes)) > 0; left -= n)
                sha256_add(sum, bytes, (size_t)n);
            assert_int_equal(n, 0);
            for (; left > 0; left--) /* it does not give the last hole of some sparse files */
                sha256_add(sum, "", 1);
            sha256_hex(sum, hex);
        }
        add_line(out,
                 hard               ? "h"
                 : file             ? "f"
                 : type == AE_IFDIR ? "d"
                 : type == AE_IFLNK ? "l"
                                    : "o",
                 str_from(archive_entry_pathname(entry)),
                 str_from(hard               ? hard
                          : type == AE_IFLNK ? archive_entry_symlink(entry)
                                             : ""),
                 file ? (uint64_t)archive_entry_size(entry) : 0, hex);
    }
    archive_read_free(a);
    return r == ARCHIVE_EOF;
}

static bool list_ours(const char *path, struct buf *out, struct err *e)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP(stream_freep) struct stream *raw = stream_from_fd(fd, e);
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(raw, NULL, NULL, e);
    CLEANUP(tar_freep) struct tar *t = plain ? tar_new(plain, NULL, e) : NULL;
    struct tar_member m;
    int r = -1;
    while (t && (r = tar_next(t, &m, e)) > 0) {
        static const char *const types[] = { "f", "d", "l", "h", "o" };
        char hex[65] = "";
        if (m.type == TAR_FILE) {
            CLEANUP(stream_freep) struct stream *tap = stream_sha256(tar_stream(t, e), NULL, e);
            if (stream_drain(tap, e) < 0)
                return false;
            assert_int_equal(stream_sha256_size(tap), m.size);
            stream_sha256_hex(tap, hex);
        }
        add_line(out, types[m.type], m.path, m.link, m.size, hex);
    }
    return r == 0;
}

/* 1 when both read it alike, 0 when both take it for no tar. */
static unsigned compare(const char *path)
{
    CLEANUP(buf_done) struct buf want = { 0 };
    CLEANUP(buf_done) struct buf got = { 0 };
    struct err e = { 0 };
    bool ours = list_ours(path, &got, &e), theirs = list_libarchive(path, &want);
    if (ours != theirs)
        fail_msg("%s: %s; libarchive: %s", path, ours ? "read" : e.text, theirs ? "read" : "refused");
    buf_char(&want, '\0');
    buf_char(&got, '\0');
    str ours_rest = buf_view(&got), theirs_rest = buf_view(&want);
    while (ours && ours_rest.len && theirs_rest.len) {
        str a = str_line(&ours_rest), b = str_line(&theirs_rest);
        if (!str_eq(a, b))
            fail_msg("%s:\n" STR_FMT "\nlibarchive:\n" STR_FMT, path, STR_ARG(a), STR_ARG(b));
    }
    return ours && want.len > 1;
}

static unsigned compare_all(const char *command)
{
    char path[4096];
    unsigned count = 0;
    FILE *list = popen(command, "r");
    assert_non_null(list);
    while (fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = '\0';
        count += compare(path);
    }
    pclose(list);
    return count;
}

static int make_folder(void **state) { return mkdtemp(folder) ? 0 : -1; }

static int remove_folder(void **state)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    buf_done(&in);
    return system(command);
}

/* `v7` and `ustar` cannot hold all of the tree: tar leaves out what does not fit. */
static const char make_tars[] =
    "set -e; cd '%s'; mkdir -p t/sub/folder; cd t; L=$(printf 'n%%.0s' $(seq 90))\n"
    "mkdir -p $L/$L/$L; echo deep > $L/$L/$L/$L; ln -s $L/$L/$L/$L longlink; ln $L/$L/$L/$L hard\n"
    "echo hello > file; : > empty; ln -s ../file sub/link; mkfifo pipe; ln file sub/hard; printf "
    "'caf\\303\\251' > café\n"
    "seq 100000 > large; truncate -s 3M allhole; truncate -s 5M many\n"
    "for i in $(seq 0 60); do printf data | dd of=many bs=1 seek=$((i*65536)) conv=notrunc status=none; "
    "done\n"
    "cp many sub/few; truncate -s 200000 sub/few; cd ..\n"
    "for f in v7 oldgnu gnu ustar pax; do tar --sort=name -H $f -cf $f.tar -C t . 2>/dev/null || :; done\n"
    "S='--sparse --hole-detection=raw'; tar $S -H gnu -cf sparse-gnu.tar t; tar $S -H oldgnu -cf "
    "sparse-old.tar t\n"
    "for v in 0.0 0.1 1.0; do tar $S -H pax --sparse-version=$v -cf sparse-$v.tar t; done\n"
    "tar -H pax --pax-option=globexthdr.name=g,comment=all,mtime:=1.5 -cf global.tar t\n"
    "gzip -k gnu.tar; xz -k pax.tar; bzip2 -k sparse-1.0.tar; zstd -q sparse-gnu.tar\n";

static const char make_python_tars[] =
    "cd '%s' && command -v python3 >/dev/null && python3 -c '\n"
    "import tarfile\n"
    "for name, f in ((\"ustar\", 0), (\"gnu\", 1), (\"pax\", 2)):\n"
    "    def fits(m): return None if f == 0 and len(m.name) > 90 else m\n"
    "    tarfile.open(\"python-\" + name + \".tar\", \"w\", format=f, pax_headers={\"comment\": \"global\"})"
    ".add(\"t/sub\", filter=fits)\n"
    "    with tarfile.open(\"python-long-\" + name + \".tar\", \"w\", format=f) as t:\n"
    "        m = tarfile.TarInfo(\"x\" * (90 if f == 0 else 3000)); t.addfile(m)\n"
    "        m = tarfile.TarInfo(\"link\"); m.type = b\"2\"; m.linkname = \"y\" * (90 if f == 0 else 3000); "
    "t.addfile(m)\n"
    "'";

static void test_made_tars(void **state)
{
    char command[4096];
    snprintf(command, sizeof command, make_tars, folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, make_python_tars, folder);
    if (system(command))
        print_message("no python3: 6 tars did not run\n");
    snprintf(command, sizeof command, "ls '%s'/*.tar '%s'/*.tar.*", folder, folder);
    unsigned count = compare_all(command);
    assert_in_range(count, 15, 21);
}

static void test_real_layers(void **state)
{
    const char *data = getenv("ECLAIR_TEST_DATA");
    char command[5000];
    CLEANUP(freep) char *images = realpath(data ? data : "../shared/data", NULL);
    snprintf(command, sizeof command,
             "cd '%s'; for f in '%s'/images/*.tar*; do n=$(basename \"$f\"); case $n in *.zst) c=zstdcat;; "
             "*.gz) c=zcat;; "
             "*) c=cat;; esac; mkdir \"$n\" && $c < \"$f\" | tar -xf - -C \"$n\"; ls \"$f\" "
             "\"$PWD/$n\"/*/layer.tar "
             "\"$PWD/$n\"/blobs/sha256/*; done 2>/dev/null",
             folder, images ? images : "");
    unsigned count = compare_all(command);
    if (!count && getenv("CI"))
        fail_msg("no test data");
    if (count)
        assert_in_range(count, 30, 1000);
    print_message("%u real tars compared%s\n", count, count ? "" : ": no test data, about 40 did not run");
}

static int begin(void **state) /* a case that failed may have left bytes */
{
    in.len = 0;
    return 0;
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, begin)
    setlocale(LC_ALL, "C.UTF-8"); /* for libarchive: it converts names */
    const struct CMUnitTest tests[] = {
        CASE(test_ends),      CASE(test_types),       CASE(test_paths),           CASE(test_numbers),
        CASE(test_checksums), CASE(test_truncated),   CASE(test_long_names),      CASE(test_pax),
        CASE(test_limits),    CASE(test_sparse),      CASE(test_bad_sparse),      CASE(test_long_map),
        CASE(test_made_tars), CASE(test_real_layers), CASE(test_million_members), CASE(test_holes),
        CASE(test_start),     CASE(test_leave_rest),  CASE(test_begins),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
