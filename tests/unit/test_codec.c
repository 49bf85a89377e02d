/* SHA-256, streams and decompression. Inputs come from the compressors of the same libraries, from gzip headers made by
 * hand, and from real files, which gzip(1) and zstd(1) unpack for comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "codec/sha256.h"

#include <bzlib.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <zstd.h>

/* A source that gives `step` bytes at a time, each time in memory of its own, so that a stale view is seen by ASan. */
struct dribble {
    struct stream s;
    str rest;
    size_t step;
    char *last;
};

static int dribble_next(struct stream *s, str *ret, struct err *e)
{
    struct dribble *d = (struct dribble *)s;
    free(d->last);
    d->last = NULL;
    str part = str_head(d->rest, d->step);
    if (!part.len)
        return 0;
    d->last = malloc(part.len);
    memcpy(d->last, part.ptr, part.len);
    d->rest = str_skip(d->rest, part.len);
    *ret = str_of(d->last, part.len);
    return 1;
}

static void dribble_free(struct stream *s)
{
    free(((struct dribble *)s)->last);
    free(s);
}

static struct stream *dribble(str bytes, size_t step)
{
    struct dribble *d = calloc(1, sizeof *d);
    *d = (struct dribble){ { dribble_next, dribble_free }, bytes, step, NULL };
    return &d->s;
}

static int read_all(struct stream *s, struct buf *out, struct err *e)
{
    str part;
    int r;
    while ((r = stream_next(s, &part, e)) > 0)
        buf_str(out, part);
    return r;
}

/* Unpacks in steps; checks that the answer after the end or an error stays the same. */
static int unpack(str in, size_t step, const struct inflate_limits *l, struct buf *out, const char **name,
                  struct err *e)
{
    CLEANUP(stream_freep) struct stream *raw = dribble(in, step);
    CLEANUP(stream_freep) struct stream *s = stream_inflate(raw, l, name, e);
    if (!s)
        return -1;
    int r = read_all(s, out, e);
    struct err again = { 0 };
    str part;
    assert_int_equal(stream_next(s, &part, &again), r);
    assert_int_equal(again.kind, e->kind);
    assert_string_equal(again.text, e->text);
    return r;
}

static void expect_plain(str in, size_t step, str want)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    struct err e = { 0 };
    if (unpack(in, step, NULL, &out, NULL, &e) != 0)
        fail_msg("step %zu: %s", step, e.text);
    if (!str_eq(buf_view(&out), want))
        fail_msg("step %zu: %zu bytes instead of %zu, or others", step, out.len, want.len);
}

static void expect_error(str in, size_t step, enum err_kind kind, const char *text)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    struct err e = { 0 };
    if (unpack(in, step, NULL, &out, NULL, &e) != -1 || e.kind != kind || (text && !strstr(e.text, text)))
        fail_msg("%zu bytes in steps of %zu: wanted %s, got \"%s\"", in.len, step, text ? text : "an error",
                 e.text);
}

/* ---- compressors ---- */

static struct buf pack_gzip(str in)
{
    struct buf b = { 0 };
    struct isal_zstream z;
    isal_deflate_stateless_init(&z);
    z.gzip_flag = IGZIP_GZIP;
    z.end_of_stream = 1;
    z.next_in = (uint8_t *)in.ptr;
    z.avail_in = (uint32_t)in.len;
    z.avail_out = (uint32_t)(in.len + in.len / 8 + 4096);
    z.next_out = (uint8_t *)buf_reserve(&b, z.avail_out);
    assert_int_equal(isal_deflate_stateless(&z), COMP_OK);
    b.len = z.total_out;
    return b;
}

static struct buf pack_zstd(str in)
{
    struct buf b = { 0 };
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    size_t room = ZSTD_compressBound(in.len);
    b.len = ZSTD_compress2(c, buf_reserve(&b, room), room, in.ptr, in.len);
    assert_false(ZSTD_isError(b.len));
    ZSTD_freeCCtx(c);
    return b;
}

static struct buf pack_bzip2(str in)
{
    struct buf b = { 0 };
    unsigned room = (unsigned)(in.len + in.len / 8 + 1024);
    char *to = buf_reserve(&b, room);
    assert_int_equal(BZ2_bzBuffToBuffCompress(to, &room, (char *)in.ptr, (unsigned)in.len, 1, 0, 0), BZ_OK);
    b.len = room;
    return b;
}

static struct buf pack_xz_level(str in, uint32_t level)
{
    struct buf b = { 0 };
    size_t room = lzma_stream_buffer_bound(in.len);
    uint8_t *to = (uint8_t *)buf_reserve(&b, room);
    assert_int_equal(lzma_easy_buffer_encode(level, LZMA_CHECK_CRC64, NULL, (const uint8_t *)in.ptr, in.len,
                                             to, &b.len, room),
                     LZMA_OK);
    return b;
}

static struct buf pack_xz(str in) { return pack_xz_level(in, 6); }

static const struct packer {
    const char *name;
    struct buf (*pack)(str in);
    size_t magic; /* bytes whose change makes it another format */
} packers[] = {
    { "gzip", pack_gzip, 2 },
    { "zstd", pack_zstd, 4 },
    { "bzip2", pack_bzip2, 10 },
    { "xz", pack_xz, 6 },
};
#define EACH(p) (const struct packer *p = packers; p < packers + sizeof packers / sizeof *packers; p++)

/* Words from a small set in an order that no compressor folds away completely. */
static struct buf text(size_t size)
{
    struct buf b = { 0 };
    for (uint32_t x = 1; b.len < size; x = x * 1664525 + 1013904223)
        buf_printf(&b, "Package: lib%u\n%s", x >> 20, x & 0x10000 ? "Status: install ok installed\n" : "");
    b.len = size;
    return b;
}

static const str small = {
    "The quick brown fox jumps over the lazy dog, the quick brown fox, the lazy dog.\n", 80
};
static const size_t steps[] = { 1, 2, 3, 7, 18, 512, SIZE_MAX };

/* ---- sha256 ---- */

static void test_sha256(void **state)
{
    static const struct {
        const char *in;
        unsigned times;
        const char *want;
    } cases[] = {
        /* FIPS 180-4 examples of NIST */
        { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e;
        CLEANUP(sha256_freep) struct sha256 *h = sha256_new(&e);
        assert_non_null(h);
        for (unsigned n = 0; n < cases[i].times; n++)
            sha256_add(h, cases[i].in, strlen(cases[i].in));
        char hex[65];
        sha256_hex(h, hex);
        assert_string_equal(hex, cases[i].want);
    }
    uint8_t raw[32];
    struct err e;
    char hex[65];
    assert_int_equal(sha256_of("abc", 3, raw, &e), 0);
    hex_encode(raw, sizeof raw, hex);
    assert_string_equal(hex, cases[1].want);
    CLEANUP(sha256_freep) struct sha256 *unused = sha256_new(&e); /* freed without having ended */
    assert_non_null(unused);
}

static void test_digest(void **state)
{
#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
    assert_true(digest_valid(STR("sha256:" HEX "5")));
    assert_false(digest_valid(STR("sha256:" HEX)));
    assert_false(digest_valid(STR("sha256:" HEX "55")));
    assert_false(digest_valid(STR("sha256:" HEX "E")));
    assert_false(digest_valid(STR("sha256:" HEX "g")));
    assert_false(digest_valid(STR("sha512:" HEX "5")));
    assert_false(digest_valid(STR("")));
}

/* ---- streams ---- */

static void test_stream_fd(void **state)
{
    CLEANUP(buf_done) struct buf want = text(700001);
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(want.ptr, 1, want.len, file), want.len);
    rewind(file);

    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *raw = stream_from_fd(fileno(file), &e);
    CLEANUP(stream_freep) struct stream *tap = stream_sha256(raw, NULL, &e);
    CLEANUP(buf_done) struct buf got = { 0 };
    char hex[65], want_hex[65];
    uint8_t sum[32];
    stream_sha256_hex(tap, hex);
    assert_string_equal(hex, ""); /* not before the end */
    assert_int_equal(read_all(tap, &got, &e), 0);
    assert_true(str_eq(buf_view(&got), buf_view(&want)));
    stream_sha256_hex(tap, hex);
    sha256_of(want.ptr, want.len, sum, &e);
    hex_encode(sum, sizeof sum, want_hex);
    assert_string_equal(hex, want_hex);
    assert_int_equal(stream_sha256_size(tap), want.len);
    fclose(file);
}

/* Both sums of a gzip file, computed on another thread, and a reader that goes away in the middle. */
static void test_sums_beside(void **state)
{
    CLEANUP(buf_done) struct buf plain = text(3000017), packed = pack_gzip(buf_view(&plain));
    struct err e = { 0 };
    CLEANUP(helper_freep) struct helper *helper = helper_new();
    assert_non_null(helper);
    for (unsigned stop = 0; stop < 4; stop++) { /* chunks after which the reader goes; 0: never */
        char hex[2][65], want[65];
        uint8_t sum[32];
        CLEANUP(stream_freep) struct stream *raw = dribble(buf_view(&packed), 100000);
        CLEANUP(stream_freep) struct stream *outer = stream_sha256(raw, helper, &e);
        CLEANUP(stream_freep) struct stream *inflated = stream_inflate(outer, NULL, NULL, &e);
        CLEANUP(stream_freep) struct stream *inner = stream_sha256(inflated, helper, &e);
        CLEANUP(buf_done) struct buf got = { 0 };
        str part;
        int r = 1;
        for (unsigned n = 0; (!stop || n < stop) && (r = stream_next(inner, &part, &e)) > 0; n++)
            buf_str(&got, part);
        if (stop)
            continue;
        assert_int_equal(r, 0);
        assert_int_equal(stream_drain(outer, &e), 0);
        assert_true(str_eq(buf_view(&got), buf_view(&plain)));
        stream_sha256_hex(outer, hex[0]);
        stream_sha256_hex(inner, hex[1]);
        const struct buf *of[] = { &packed, &plain };
        for (unsigned i = 0; i < 2; i++) {
            sha256_of(of[i]->ptr, of[i]->len, sum, &e);
            hex_encode(sum, sizeof sum, want);
            assert_string_equal(hex[i], want);
        }
    }
}

static void test_stream_fd_error(void **state)
{
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *raw = stream_from_fd(-1, &e);
    CLEANUP(stream_freep) struct stream *tap = stream_sha256(raw, NULL, &e);
    CLEANUP(stream_freep) struct stream *s = stream_inflate(tap, NULL, NULL, &e);
    assert_null(s);
    assert_int_equal(e.kind, ERR_IO);
    assert_int_equal(stream_drain(tap, &e), -1);
}

static void test_stream_mem(void **state)
{
    CLEANUP(buf_done) struct buf want = text(200000);
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *s = stream_from_mem(buf_view(&want), &e);
    str part;
    size_t sum = 0;
    while (stream_next(s, &part, &e) > 0) {
        assert_in_range(part.len, 1, 65536);
        assert_ptr_equal(part.ptr, want.ptr + sum);
        sum += part.len;
    }
    assert_int_equal(sum, want.len);
}

static void test_peek(void **state)
{
    CLEANUP(buf_done) struct buf want = text(10000);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct err e = { 0 };
        CLEANUP(stream_freep) struct stream *raw = dribble(buf_view(&want), steps[i]);
        CLEANUP(stream_freep) struct stream *p = stream_peekable(raw, &e);
        CLEANUP(buf_done) struct buf got = { 0 };
        str head, part;
        for (size_t n = 1; n <= 4096; n *= 4) {
            assert_int_equal(stream_peek(p, n, &head, &e), 0);
            assert_true(head.len >= n && str_starts(buf_view(&want), head));
        }
        assert_int_equal(stream_next(p, &part, &e), 1);
        buf_str(&got, part);
        if (got.len < want.len) { /* a second time, inside the stream */
            assert_int_equal(stream_peek(p, 100, &head, &e), 0);
            assert_true(head.len >= 100 && str_starts(str_skip(buf_view(&want), got.len), head));
        }
        assert_int_equal(read_all(p, &got, &e), 0);
        assert_true(str_eq(buf_view(&got), buf_view(&want)));
        assert_int_equal(stream_peek(p, 1, &head, &e), 0);
        assert_int_equal(head.len, 0);
        assert_int_equal(stream_peek(p, 4097, &head, &e), -1);
        assert_int_equal(e.kind, ERR_INTERNAL);
    }
}

/* ---- inflate ---- */

static void test_round_trip(void **state)
{
    CLEANUP(buf_done) struct buf large = text(3000000);
    const str inputs[] = { { "", 0 }, { "x", 1 }, small, buf_view(&large) };
    for
        EACH(p)
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        CLEANUP(buf_done) struct buf packed = p->pack(inputs[i]);
        for (size_t k = inputs[i].len > 1000 ? 5 : 0; k < sizeof steps / sizeof *steps; k++)
            expect_plain(buf_view(&packed), steps[k], inputs[i]);
    }
}

static void test_names(void **state)
{
    static const str plain[] = {
        { "", 0 },
        { "BZh91AY&SX and so on", 20 }, /* could be a member's name */
        { "BZh/file and so on", 18 },
        { "(\xb5/\xfc and so on", 14 },
    };
    CLEANUP(buf_done) struct buf out = { 0 };
    struct err e = { 0 };
    const char *name = NULL;
    for
        EACH(p)
        {
            CLEANUP(buf_done) struct buf packed = p->pack(small);
            assert_int_equal(unpack(buf_view(&packed), 1, NULL, &out, &name, &e), 0);
            assert_string_equal(name, p->name);
        }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_int_equal(unpack(plain[i], 1, NULL, &out, &name, &e), 0);
        assert_string_equal(name, "plain");
        expect_plain(plain[i], 3, plain[i]);
    }
}

/* Every cut is an error, but for the empty input and the end of a whole member. */
static void test_truncated(void **state)
{
    for
        EACH(p)
        {
            CLEANUP(buf_done) struct buf one = p->pack(small);
            CLEANUP(buf_done) struct buf two = { 0 };
            buf_str(&two, buf_view(&one));
            buf_str(&two, buf_view(&one));
            for (size_t n = 1; n < two.len; n++) {
                str cut = str_head(buf_view(&two), n);
                if (n == one.len)
                    expect_plain(cut, SIZE_MAX, small);
                else
                    expect_error(cut, n % 2 ? 1 : SIZE_MAX, ERR_FORMAT,
                                 n < one.len ? "truncated at byte" : NULL);
            }
        }
}

static void test_truncated_large(void **state)
{
    CLEANUP(buf_done) struct buf large = text(1000000);
    for
        EACH(p)
        {
            CLEANUP(buf_done) struct buf packed = p->pack(buf_view(&large));
            for (size_t n = 20; n < packed.len; n += packed.len / 23)
                expect_error(str_head(buf_view(&packed), n), 65536, ERR_FORMAT, "truncated at byte");
            for (size_t n = 1; n < 40; n++)
                expect_error(str_head(buf_view(&packed), packed.len - n), 65536, ERR_FORMAT,
                             "truncated at byte");
        }
}

static void test_members(void **state)
{
    CLEANUP(buf_done) struct buf large = text(600000);
    for
        EACH(p)
        {
            CLEANUP(buf_done) struct buf in = { 0 };
            CLEANUP(buf_done) struct buf want = { 0 };
            const str parts[] = { small, { "", 0 }, buf_view(&large), { "", 0 }, { "x", 1 } };
            for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
                CLEANUP(buf_done) struct buf member = p->pack(parts[i]);
                buf_str(&in, buf_view(&member));
                buf_str(&want, parts[i]);
            }
            for (size_t k = 2; k < sizeof steps / sizeof *steps; k++)
                expect_plain(buf_view(&in), steps[k], buf_view(&want));
        }
}

static void test_tail(void **state)
{
    for
        EACH(p)
        {
            CLEANUP(buf_done) struct buf in = p->pack(small);
            size_t whole = in.len;
            char zero[1024] = "";
            for (size_t n = 4; n <= sizeof zero; n *= 4) { /* xz pads in fours */
                in.len = whole;
                buf_add(&in, zero, n);
                expect_plain(buf_view(&in), 5, small);
                buf_char(&in, 'x');
                expect_error(buf_view(&in), 5, ERR_FORMAT, p->name);
            }
            for (int c = 1; c < 256; c++) {
                in.len = whole;
                buf_char(&in, (char)c);
                buf_add(&in, zero, 40);
                expect_error(buf_view(&in), SIZE_MAX, ERR_FORMAT, p->name);
            }
        }
}

/* A frame that a legacy decoder of libzstd would take must not get past the window limit that way. */
static void test_zstd_frames(void **state)
{
    CLEANUP(buf_done) struct buf frame = pack_zstd(small);
    CLEANUP(buf_done) struct buf in = { 0 };
    static const char skippable[] = "\x5a\x2a\x4d\x18\x05\0\0\0hello";
    buf_add(&in, skippable, sizeof skippable - 1);
    buf_str(&in, buf_view(&frame));
    buf_add(&in, skippable, sizeof skippable - 1);
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
        expect_plain(buf_view(&in), steps[k], small);
    for (size_t n = 1; n < 13; n++)
        expect_error(str_head(buf_view(&in), n), 1, ERR_FORMAT, "truncated");

    static const char old[][5] = { "\x24\xb5\x2f\xfd", "\x25\xb5\x2f\xfd", "\x26\xb5\x2f\xfd",
                                   "\x27\xb5\x2f\xfd" };
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        in.len = 0;
        buf_str(&in, buf_view(&frame));
        buf_add(&in, old[i], 4);
        buf_add(&in, skippable, sizeof skippable);
        expect_error(buf_view(&in), SIZE_MAX, ERR_FORMAT, "neither a member nor padding");
    }
}

/* A changed bit is found, or it made no difference (time stamps, reserved fields). */
static void test_bit_flips(void **state)
{
    unsigned found = 0, total = 0;
    for
        EACH(p)
        {
            CLEANUP(buf_done) struct buf in = p->pack(small);
            for (size_t bit = 8 * p->magic; bit < 8 * in.len; bit++, total++) {
                CLEANUP(buf_done) struct buf out = { 0 };
                struct err e = { 0 };
                in.ptr[bit / 8] ^= (char)(1 << bit % 8);
                if (unpack(buf_view(&in), SIZE_MAX, NULL, &out, NULL, &e) < 0)
                    found++;
                else if (!str_eq(buf_view(&out), small))
                    fail_msg("%s: bit %zu changed the content unseen", p->name, bit);
                in.ptr[bit / 8] ^= (char)(1 << bit % 8);
            }
        }
    assert_true(found > total * 8 / 10);
}

/* RFC 1952 2.3: a header with all optional fields, cut between any two bytes; then one stored block. */
static uint32_t crc32(str s)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < s.len; i++) {
        crc ^= (unsigned char)s.ptr[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

static void add_le(struct buf *b, uint32_t v, int bytes)
{
    for (; bytes; bytes--, v >>= 8)
        buf_char(b, (char)v);
}

static struct buf stored_gzip(char flags, str content, uint32_t crc_error, uint32_t size_error)
{
    struct buf b = { 0 };
    buf_add(&b, "\x1f\x8b\x08", 3);
    buf_char(&b, flags);
    buf_add(&b, "\0\0\0\0\0\3", 6);
    if (flags & 4)
        buf_add(&b, "\5\0extra", 7);
    if (flags & 8)
        buf_add(&b, "layer.tar", 10);
    if (flags & 16)
        buf_add(&b, "a comment", 10);
    if (flags & 2)
        add_le(&b, crc32(buf_view(&b)), 2);
    buf_char(&b, 1);
    add_le(&b, (uint32_t)content.len, 2);
    add_le(&b, ~(uint32_t)content.len, 2);
    buf_str(&b, content);
    add_le(&b, crc32(content) ^ crc_error, 4);
    add_le(&b, (uint32_t)content.len ^ size_error, 4);
    return b;
}

static void test_gzip_headers(void **state)
{
    for (int flags = 0; flags < 32; flags++) {
        CLEANUP(buf_done) struct buf in = stored_gzip((char)flags, small, 0, 0);
        for (size_t k = 0; k < 40; k++)
            expect_plain(buf_view(&in), k + 1, small);
        for (size_t n = 1; n < in.len; n++)
            expect_error(str_head(buf_view(&in), n), n % 3 + 1, ERR_FORMAT, "truncated at byte");
    }
    CLEANUP(buf_done) struct buf bad_crc = stored_gzip(0, small, 1, 0);
    expect_error(buf_view(&bad_crc), SIZE_MAX, ERR_FORMAT, "gzip: wrong checksum at byte");
    CLEANUP(buf_done) struct buf bad_size = stored_gzip(0, small, 0, 1);
    expect_error(buf_view(&bad_size), SIZE_MAX, ERR_FORMAT, "gzip: wrong checksum at byte");
}

static void test_limits(void **state)
{
    CLEANUP(buf_done) struct buf zero = { 0 };
    memset(buf_reserve(&zero, 8 << 20), 0, 8 << 20);
    zero.len = 8 << 20;
    for
        EACH(p)
        {
            CLEANUP(buf_done) struct buf packed = p->pack(buf_view(&zero));
            const struct {
                struct inflate_limits l;
                const char *want; /* NULL: goes through */
            } cases[] = {
                { { .max_out = 8 << 20 }, NULL },
                { { .max_out = (8 << 20) - 1 }, "expands to more than" },
                { { .max_out = 1 }, "expands to more than" },
                { { .max_ratio = 1000000 }, NULL },
                { { .max_ratio = 20 }, "a bomb" },
            };
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                CLEANUP(buf_done) struct buf out = { 0 };
                struct err e = { 0 };
                int r = unpack(buf_view(&packed), 4096, &cases[i].l, &out, NULL, &e);
                assert_int_equal(r, cases[i].want ? -1 : 0);
                assert_true(r == 0 || (e.kind == ERR_LIMIT && strstr(e.text, cases[i].want)));
                assert_true(!cases[i].l.max_out || out.len <= cases[i].l.max_out);
            }
        }
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf out = { 0 };
    assert_int_equal(unpack(small, 10, &(struct inflate_limits){ .max_out = 79 }, &out, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void test_windows(void **state)
{
    CLEANUP(buf_done) struct buf large = text(20 << 20);
    CLEANUP(buf_done) struct buf zstd = { 0 };
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 24);
    size_t room = ZSTD_compressBound(large.len);
    zstd.len = ZSTD_compress2(c, buf_reserve(&zstd, room), room, large.ptr, large.len);
    ZSTD_freeCCtx(c);
    CLEANUP(buf_done) struct buf xz_9 = pack_xz_level(STR("small, but with a dictionary of 64 MiB"), 9);
    const struct {
        str in;
        uint64_t window;
        bool ok;
    } cases[] = {
        { buf_view(&zstd), 0, false },         { buf_view(&zstd), 8 << 20, false },
        { buf_view(&zstd), 16 << 20, true },   { buf_view(&zstd), UINT64_MAX, true },
        { buf_view(&xz_9), 0, false },         { buf_view(&xz_9), 64 << 20, true },
        { buf_view(&xz_9), UINT64_MAX, true }, { buf_view(&zstd), 1, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_done) struct buf out = { 0 };
        struct err e = { 0 };
        struct inflate_limits l = { .max_window = cases[i].window };
        assert_int_equal(unpack(cases[i].in, 65536, &l, &out, NULL, &e), cases[i].ok ? 0 : -1);
        if (!cases[i].ok && (e.kind != ERR_LIMIT || !strstr(e.text, "larger than the limit")))
            fail_msg("case %zu: %s", i, e.text);
    }
}

/* ---- real files ---- */

static void sum_of_fd(int fd, bool inflate, char hex[65])
{
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *raw = stream_from_fd(fd, &e);
    CLEANUP(stream_freep) struct stream *plain = inflate ? stream_inflate(raw, NULL, NULL, &e) : NULL;
    CLEANUP(stream_freep) struct stream *tap = stream_sha256(inflate ? plain : raw, NULL, &e);
    if ((inflate && !plain) || stream_drain(tap, &e) < 0)
        fail_msg("%s", e.text);
    stream_sha256_hex(tap, hex);
}

static void compare(const char *path)
{
    char command[4200], want[65], got[65];
    snprintf(command, sizeof command, "%s -dc '%s'", strstr(path, ".zst") ? "zstd" : "gzip", path);
    FILE *tool = popen(command, "r");
    FILE *file = fopen(path, "rb");
    assert_true(tool && file);
    sum_of_fd(fileno(tool), false, want);
    sum_of_fd(fileno(file), true, got);
    fclose(file);
    assert_int_equal(pclose(tool), 0);
    assert_string_equal(got, want);
}

static void test_real_files(void **state)
{
    const char *data = getenv("ECLAIR_TEST_DATA");
    char command[4200], path[4096];
    snprintf(command, sizeof command, "find '%s' \\( -name '*.gz' -o -name '*.zst' \\) -size -3M 2>/dev/null",
             data ? data : "../shared/data");
    unsigned count = 0;
    FILE *list = popen(command, "r");
    for (; fgets(path, sizeof path, list); count++) {
        path[strcspn(path, "\n")] = '\0';
        compare(path);
    }
    pclose(list);
    if (!count && getenv("CI"))
        fail_msg("no test data");
    print_message("%u real files compared%s\n", count,
                  count ? "" : ": no test data, about 60 cases did not run");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_stream_fd),
        cmocka_unit_test(test_sums_beside),
        cmocka_unit_test(test_stream_fd_error),
        cmocka_unit_test(test_stream_mem),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_truncated_large),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_zstd_frames),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_gzip_headers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
