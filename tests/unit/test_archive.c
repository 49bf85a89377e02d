/* test_archive.c - zip and tar as they stream by; what is read was written by libarchive, or is real. */
#include "codec/archive.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LARGE        300000
#define LINK         "first.json"

/* ---- writing ---- */

struct format {
    const char *name, *options;
    int (*set)(struct archive *);
};

#define ZIPS 3 /* of them */
static const struct format formats[] = {
    { "zip", "zip:compression=deflate", archive_write_set_format_zip },
    { "zip", "zip:compression=store", archive_write_set_format_zip },
    { "zip", "zip:compression=deflate,zip:zip64", archive_write_set_format_zip },
    { "tar", NULL, archive_write_set_format_ustar },
    { "tar", NULL, archive_write_set_format_pax },
    { "tar", NULL, archive_write_set_format_gnutar },
};

struct member {
    const char *name, *text; /* text NULL: LARGE bytes that are hard to pack */
    unsigned type;
    bool no_size; /* the writer is not told: a data descriptor follows */
};

#define LONG_NAME "a/" D50 D50 D50 D50 "/é"
#define D50       "0123456789/123456789/123456789/123456789/123456789"

static const struct member members[] = {
    { "first.json", "{\"first\":1}", AE_IFREG, false },
    { "folder", "", AE_IFDIR, false },
    { "empty", "", AE_IFREG, false },
    { "gr\xc3\xb6\xc3\x9f"
      "e \xe6\x97\xa5.json",
      "not ASCII", AE_IFREG, false },
    { "link", "", AE_IFLNK, false },
    { "./folder/large", NULL, AE_IFREG, false },
    { "described", "the size comes later", AE_IFREG, true },
    { LONG_NAME, "a long name", AE_IFREG, false },
    { "last", "the end", AE_IFREG, true },
};

static str large(void)
{
    static char bytes[LARGE];
    uint32_t x = 1;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)((x = x * 1664525 + 1013904223) >> 28);
    return str_of(bytes, LARGE);
}

static str text_of(const struct member *m) { return m->text ? str_from(m->text) : large(); }

static la_ssize_t collect(struct archive *lib, void *ctx, const void *bytes, size_t n)
{
    buf_add(ctx, bytes, n);
    return (la_ssize_t)n;
}

static void put_member(struct archive *w, const struct format *f, const struct member *m)
{
    str text = text_of(m);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, m->name);
    archive_entry_set_filetype(entry, m->type);
    archive_entry_set_perm(entry, 0644);
    if (m->type == AE_IFLNK)
        archive_entry_set_symlink(entry, LINK);
    if (!m->no_size || strcmp(f->name, "tar") == 0)
        archive_entry_set_size(entry, (int64_t)text.len);
    assert_true(archive_write_header(w, entry) >= ARCHIVE_WARN);
    if (text.len)
        assert_int_equal(archive_write_data(w, text.ptr, text.len), text.len);
    archive_entry_free(entry);
}

static struct buf make(const struct format *f, const struct member *list, size_t count)
{
    struct buf out = { 0 };
    struct archive *w = archive_write_new();
    assert_int_equal(f->set(w), ARCHIVE_OK);
    assert_int_equal(archive_write_set_options(w, f->options), ARCHIVE_OK);
    archive_write_set_bytes_per_block(w, 0);
    assert_int_equal(archive_write_open(w, &out, NULL, collect, NULL), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++)
        put_member(w, f, &list[i]);
    assert_int_equal(archive_write_free(w), ARCHIVE_OK);
    return out;
}

/* ---- reading ---- */

enum how { WHOLE, FIRST_CHUNK, NOTHING };

/* "name=bytes\n" of each file; -1 with e set. In pieces of `step` bytes. */
struct pieces {
    struct stream s;
    str rest;
    size_t step;
    bool breaks; /* at the end */
};

static int next_piece(struct stream *s, str *ret, struct err *e)
{
    struct pieces *p = (struct pieces *)s;
    if (!p->rest.len)
        return p->breaks ? err_set(e, ERR_IO, "read: torn") : 0;
    *ret = str_head(p->rest, p->step);
    p->rest = str_skip(p->rest, p->step);
    return 1;
}

static int read_archive(struct pieces *in, const struct archive_limits *limits, enum how how, struct buf *out,
                        struct err *e)
{
    in->s.next = next_piece;
    CLEANUP(archive_freep) struct archive *a = archive_new(&in->s, limits, e);
    str name, chunk;
    struct stream *file;
    int r;
    if (!a)
        return -1;
    while ((r = archive_next(a, &name, &file, e)) > 0) {
        buf_str(out, name);
        buf_char(out, '=');
        for (int n = how == WHOLE ? 1 << 30 : how == FIRST_CHUNK; n && r > 0; n--)
            if ((r = stream_next(file, &chunk, e)) > 0)
                buf_str(out, chunk);
        if (r < 0)
            return -1;
        buf_char(out, '\n');
    }
    struct err again = { 0 };
    assert_int_equal(archive_next(a, &name, &file, &again), r);
    assert_int_equal(e->kind, again.kind);
    return r;
}

static int read_bytes(str bytes, const struct archive_limits *limits, enum how how, struct buf *out,
                      struct err *e)
{
    return read_archive(&(struct pieces){ .rest = bytes, .step = 64 << 10 }, limits, how, out, e);
}

/* Only the list at the end of a zip tells links from files. */
static struct buf wanted(const struct member *list, size_t count, enum how how, bool zip)
{
    struct buf out = { 0 };
    for (size_t i = 0; i < count; i++)
        if (list[i].type == AE_IFREG || (zip && list[i].type == AE_IFLNK)) {
            buf_str(&out,
                    str_skip(str_from(list[i].name), str_starts(str_from(list[i].name), STR("./")) ? 2 : 0));
            buf_char(&out, '=');
            if (how == WHOLE)
                buf_str(&out, list[i].type == AE_IFREG ? text_of(&list[i]) : STR(LINK));
            buf_char(&out, '\n');
        }
    return out;
}

static void test_formats(void **state)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        CLEANUP(buf_done) struct buf archive = make(&formats[i], members, COUNT(members));
        static const size_t steps[] = { 1, 511, 4096, 1 << 20 };
        for (size_t k = 0; k < COUNT(steps) * 2; k++) {
            enum how how = k % 2 ? NOTHING : WHOLE;
            CLEANUP(buf_done) struct buf got = { 0 }, want = wanted(members, COUNT(members), how, i < ZIPS);
            struct err e = { 0 };
            if (read_archive(&(struct pieces){ .rest = buf_view(&archive), .step = steps[k / 2] }, NULL, how,
                             &got, &e) != 0)
                fail_msg("format %zu: %s", i, e.text);
            if (!str_eq(buf_view(&got), buf_view(&want)))
                fail_msg("format %zu, step %zu: %.*s", i, steps[k / 2],
                         (int)(got.len < 2000 ? got.len : 2000), got.ptr);
        }
    }
}

static const struct member few[] = {
    { "a.json", "{\"a\":[1,2,3]}", AE_IFREG, false },
    { "b.json", "the second one, which is the longest", AE_IFREG, true },
    { "c", "c", AE_IFREG, false },
};

/* A tar's last block may lack: what is cut off is no file. */
static void test_cut(void **state)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        CLEANUP(buf_done) struct buf archive = make(&formats[i], few, COUNT(few));
        CLEANUP(buf_done) struct buf want = wanted(few, COUNT(few), WHOLE, i < ZIPS);
        size_t whole = archive.len - (strcmp(formats[i].name, "tar") == 0 ? 512 : 0);
        for (size_t n = 0; n < whole; n += 1 + n % 3)
            for (enum how how = WHOLE; how <= NOTHING; how++) {
                CLEANUP(buf_done) struct buf got = { 0 };
                struct err e = { 0 };
                if (read_bytes(str_of(archive.ptr, n), NULL, how, &got, &e) != -1)
                    fail_msg("format %zu cut at byte %zu of %zu is no error", i, n, archive.len);
                if (e.kind != ERR_FORMAT)
                    fail_msg("format %zu cut at byte %zu: %s", i, n, e.text);
            }
        CLEANUP(buf_done) struct buf got = { 0 };
        struct err e = { 0 };
        assert_int_equal(read_bytes(str_of(archive.ptr, whole), NULL, WHOLE, &got, &e), 0);
        assert_true(str_eq(buf_view(&got), buf_view(&want)));
    }
}

static size_t lines(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == '\n';
    return n;
}

/* "=text" or, for a header that lost its size, "=" and nothing. */
static bool has_text_or_nothing(str got, str text)
{
    while (got.len) {
        str line = str_line(&got);
        ptrdiff_t at = str_rfind(line, '=');
        if (at >= 0 && (str_eq(str_skip(line, (size_t)at + 1), text) || (size_t)at + 1 == line.len))
            return true;
    }
    return false;
}

/* No damage of a zip makes a file vanish, nor its bytes others. Names are protected by nothing. */
static void check_damage(size_t format, size_t bit, str archive)
{
    CLEANUP(buf_done) struct buf got = { 0 };
    struct err e = { 0 };
    if (read_bytes(archive, NULL, WHOLE, &got, &e) != 0)
        return;
    bool good = lines(buf_view(&got)) == COUNT(few);
    for (size_t k = 0; k < COUNT(few); k++)
        good &= has_text_or_nothing(buf_view(&got), str_from(few[k].text));
    if (!good)
        fail_msg("format %zu with a wrong bit %zu: " STR_FMT, format, bit, STR_ARG(buf_view(&got)));
}

static void test_damage(void **state)
{
    for (size_t i = 0; i < ZIPS; i++) {
        CLEANUP(buf_done) struct buf archive = make(&formats[i], few, COUNT(few));
        for (size_t bit = 0; bit < archive.len * 8; bit++) {
            archive.ptr[bit / 8] ^= (char)(1 << bit % 8);
            check_damage(i, bit, buf_view(&archive));
            archive.ptr[bit / 8] ^= (char)(1 << bit % 8);
        }
    }
}

static void test_begun(void **state)
{
    /* a wrong byte behind what was read of a file is found when the file is left */
    static const struct member list[] = { { "large", NULL, AE_IFREG, false }, { "b", "b", AE_IFREG, false } };
    CLEANUP(buf_done) struct buf archive = make(&formats[1], list, COUNT(list));
    archive.ptr[LARGE - 10]++;
    CLEANUP(buf_done) struct buf got = { 0 };
    struct err e = { 0 };
    assert_int_equal(read_bytes(buf_view(&archive), NULL, FIRST_CHUNK, &got, &e), -1);
    assert_true(str_starts(str_from(e.text), STR("zip: entry 1 (large): ")));
    buf_clear(&got);
    e = (struct err){ 0 };
    assert_int_equal(read_bytes(buf_view(&archive), NULL, NOTHING, &got, &e), 0);
}

static void check_error(str bytes, const struct archive_limits *limits, enum err_kind kind, const char *text)
{
    CLEANUP(buf_done) struct buf got = { 0 };
    struct err e = { 0 };
    assert_int_equal(read_bytes(bytes, limits, WHOLE, &got, &e), -1);
    if (e.kind != kind || !str_starts(str_from(e.text), str_from(text)))
        fail_msg("%s: %s\n wanted %s", err_kind_name(e.kind), e.text, text);
}

static void test_errors(void **state)
{
    CLEANUP(buf_done) struct buf zip = make(&formats[0], few, COUNT(few));
    CLEANUP(buf_done) struct buf tar = make(&formats[3], few, COUNT(few));
    str z = buf_view(&zip), t = buf_view(&tar);
    check_error(STR(""), NULL, ERR_FORMAT, "archive: neither a zip nor a tar");
    check_error(STR("{\"a\":1}"), NULL, ERR_FORMAT, "archive: neither a zip nor a tar");
    check_error(STR("\x1f\x8b\b\0\0\0\0\0\0\0"), NULL, ERR_FORMAT, "archive: neither a zip nor a tar");
    check_error(z, &(struct archive_limits){ .max_files = 2 }, ERR_LIMIT, "zip: entry 3: more files");
    check_error(t, &(struct archive_limits){ .max_files = 2 }, ERR_LIMIT, "tar: entry 3: more files");
    check_error(z, &(struct archive_limits){ .max_file = 20 }, ERR_LIMIT,
                "zip: entry 2 (b.json): a file larger");
    check_error(t, &(struct archive_limits){ .max_file = 20 }, ERR_LIMIT,
                "tar: entry 2 (b.json): a file larger");
    check_error(str_head(z, z.len - 1), NULL, ERR_FORMAT, "zip: entry 3: the archive ends early");
    check_error(str_head(t, t.len - 1024), NULL, ERR_FORMAT, "tar: entry 3: the archive ends early");
    buf_char(&zip, 'x');
    buf_char(&tar, 'x');
    check_error(buf_view(&zip), NULL, ERR_FORMAT, "zip: entry 3: the archive ends early");
    check_error(buf_view(&tar), NULL, ERR_FORMAT, "tar: entry 3: the archive ends early");

    CLEANUP(buf_done) struct buf got = { 0 };
    struct err e = { 0 };
    struct pieces torn = { .rest = str_head(z, z.len / 2), .step = 10, .breaks = true };
    assert_int_equal(read_archive(&torn, NULL, WHOLE, &got, &e), -1);
    assert_int_equal(e.kind, ERR_IO);
    assert_string_equal(e.text, "read: torn");
}

static void test_names(void **state)
{
    char name[1100];
    memset(name, 'n', sizeof name);
    name[1024] = 0;
    struct member list[] = { { name, "x", AE_IFREG, false } };
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (formats[i].set == archive_write_set_format_ustar)
            continue;
        name[1023] = 'n';
        CLEANUP(buf_done) struct buf good = make(&formats[i], list, 1), got = { 0 };
        struct err e = { 0 };
        assert_int_equal(read_bytes(buf_view(&good), NULL, NOTHING, &got, &e), 0);
        name[1024] = 'n';
        name[1025] = 0;
        CLEANUP(buf_done) struct buf bad = make(&formats[i], list, 1);
        check_error(buf_view(&bad), NULL, ERR_LIMIT,
                    i < ZIPS ? "zip: entry 1: a name" : "tar: entry 1: a name");
        name[1024] = 0;
    }
}

static void test_flagged_name(void **state)
{
    static const struct member list[] = { { "\xc3\xa9", "x", AE_IFREG, false },
                                          { "b", "y", AE_IFREG, false } };
    CLEANUP(buf_done) struct buf zip = make(&formats[0], list, COUNT(list)), got = { 0 };
    struct err e = { 0 };
    zip.ptr[7] |= 8; /* the name is UTF-8 (APPNOTE 4.4.4, bit 11) */
    assert_int_equal(read_bytes(buf_view(&zip), NULL, WHOLE, &got, &e), 0);
    assert_true(str_eq(buf_view(&got), STR("?=x\nb=y\n")));
}

static void test_empty(void **state)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        CLEANUP(buf_done) struct buf archive = make(&formats[i], NULL, 0), got = { 0 };
        struct err e = { 0 };
        if (read_bytes(buf_view(&archive), NULL, WHOLE, &got, &e) != 0)
            fail_msg("format %zu: %s", i, e.text);
        assert_int_equal(got.len, 0);
    }
}

/* ---- real data ---- */

static const struct {
    const char *path;
    size_t files;
    uint64_t bytes;
} real[] = {
    { "osv/Go/all.zip", 4291, 7891321 },
    { "osv/Rocky Linux/all.zip", 1491, 4598508 },
};

static void test_real(void **state)
{
    const char *data = getenv("ECLAIR_TEST_DATA");
    for (size_t i = 0; i < COUNT(real); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/feeds/%s", data ? data : "../shared/data", real[i].path);
        CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && !getenv("CI")) {
            print_message("%s is not there: not run\n", path);
            continue;
        }
        struct err e = { 0 };
        CLEANUP(stream_freep) struct stream *in = stream_from_fd(fd, &e);
        CLEANUP(archive_freep) struct archive *a = archive_new(in, NULL, &e);
        assert_non_null(a);
        str name, chunk;
        struct stream *file;
        size_t files = 0;
        uint64_t bytes = 0;
        int r, n = 0;
        for (; (r = archive_next(a, &name, &file, &e)) > 0 && n >= 0; files++)
            while ((n = stream_next(file, &chunk, &e)) > 0)
                bytes += chunk.len;
        if (r < 0 || n < 0)
            fail_msg("%s: %s", path, e.text);
        assert_int_equal(files, real[i].files);
        assert_int_equal(bytes, real[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats), cmocka_unit_test(test_cut),          cmocka_unit_test(test_damage),
        cmocka_unit_test(test_begun),   cmocka_unit_test(test_errors),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_flagged_name), cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
