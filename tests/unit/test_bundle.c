/* Bundles below the file: signatures, compression, the manifest, the records of a part. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "cage/frame.h"
#include "codec/deflate_zstd.h"
#include "codec/inflate.h"
#include "codec/pack.h"
#include "codec/signature.h"
#include "feed/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* RFC 8032 7.1, test 2, as PEM (RFC 8410). */
static const char private_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
                                  "-----END PRIVATE KEY-----\n";
static const char public_key[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
                                 "-----END PUBLIC KEY-----\n";
static const uint8_t rfc_signature[SIGNATURE_BYTES] = {
    0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
    0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
    0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
    0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00
};

static void test_signature(void **state)
{
    uint8_t made[SIGNATURE_BYTES];
    struct err e = { 0 };
    assert_int_equal(signature_make(str_from(private_key), STR("\x72"), made, &e), 0);
    assert_memory_equal(made, rfc_signature, sizeof made);
    str good = str_of(made, sizeof made);
    assert_int_equal(signature_check(str_from(public_key), STR("\x72"), good, &e), 0);
    assert_int_equal(signature_check(str_from(public_key), STR("\x73"), good, &e), -1);
    assert_int_equal(e.kind, ERR_DIGEST);
    assert_int_equal(signature_check(str_from(public_key), STR("\x72"), str_head(good, 63), &e), -1);
    assert_int_equal(e.kind, ERR_DIGEST);
    made[5] ^= 1;
    assert_int_equal(signature_check(str_from(public_key), STR("\x72"), good, &e), -1);
    assert_int_equal(signature_check(str_from(private_key), STR("\x72"), good, &e), -1);
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_int_equal(signature_make(str_from(public_key), STR(""), made, &e), -1);
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_int_equal(signature_make(STR(""), STR(""), made, &e), -1);
}

static int gather(void *ctx, str bytes, struct err *e)
{
    buf_str(ctx, bytes);
    return 0;
}

static void test_deflate(void **state)
{
    static const struct inflate_limits limits = { .max_window = 8 << 20 };
    CLEANUP(buf_done) struct buf text = { 0 }, packed = { 0 }, again = { 0 };
    struct err e = { 0 };
    str chunk;
    int r;
    for (unsigned i = 0; text.len < 20000000; i++)
        buf_printf(&text, "%u %x ", i, i * 2654435761u);
    CLEANUP(deflate_freep) struct deflate *d = deflate_zstd(gather, &packed, &e);
    for (str rest = buf_view(&text); rest.len; rest = str_skip(rest, 70001))
        assert_int_equal(deflate_add(d, str_head(rest, 70001), &e), 0);
    assert_int_equal(deflate_add(d, STR(""), &e), 0);
    assert_int_equal(deflate_end(d, &e), 0);
    assert_true(packed.len < text.len);
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(buf_view(&packed), &e);
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(in, &limits, NULL, &e);
    while ((r = stream_next(plain, &chunk, &e)) > 0)
        buf_str(&again, chunk);
    assert_int_equal(r, 0);
    assert_true(str_eq(buf_view(&again), buf_view(&text)));
}

/* ---- the manifest ---- */

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_manifest(void **state)
{
    struct bundle_source sources[] = { { STR("alpine"), STR(SHA), false, 0, 3, 4, 5, 6 },
                                       { STR("debian"), STR(SHA), true, 1234567890123, 9, 1700000000, 1,
                                         2 } };
    const struct bundle_manifest m = { 1700000001, 12, sources, 2 };
    struct bundle_manifest got;
    struct err e = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    bundle_manifest_write(&m, &out);
    assert_int_equal(bundle_manifest_read(buf_view(&out), arena, &got, &e), 0);
    assert_int_equal(got.created, m.created);
    assert_int_equal(got.generation, 12);
    assert_int_equal(got.count, 2);
    const struct bundle_source *s = bundle_source_of(&got, STR("debian"));
    assert_true(s && s->here && s->size == 1234567890123 && s->last_success == 1700000000 &&
                s->documents == 1);
    assert_false(bundle_source_of(&got, STR("alpine"))->here);
    assert_null(bundle_source_of(&got, STR("debia")));
}

static const struct {
    const char *json, *error;
    enum err_kind kind;
} bad_manifests[] = {
    { "", "manifest.json: json: byte 0", ERR_FORMAT },
    { "[]", "manifest.json: ", ERR_FORMAT },
    { "{}", "manifest.json: no manifest of a bundle", ERR_FORMAT },
    { "{\"format\": 1", "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1} x", "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 2}", "manifest.json: made by a newer version", ERR_NEWER },
    { "{\"format\": 1.5}", "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1, \"created\": 9223372036854775808}", "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1, \"sources\": [1]}", "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1, \"sources\": [{}]}", "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1, \"sources\": [{\"name\": \"a\", \"sha256\": \"" SHA "\", \"here\": 1}]}",
      "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1, \"sources\": [{\"name\": \"a/b\", \"sha256\": \"" SHA "\"}]}",
      "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1, \"sources\": [{\"name\": \"a\", \"sha256\": \"" SHA "0\"}]}",
      "manifest.json: json: byte", ERR_FORMAT },
    { "{\"format\": 1, \"sources\": [{\"name\": \"a\", \"sha256\": \"" SHA
      "\"}, {\"name\": \"a\", \"sha256\": \"" SHA "\"}]}",
      "manifest.json: a: comes twice", ERR_FORMAT },
};

static void test_bad_manifests(void **state)
{
    for (size_t i = 0; i < sizeof bad_manifests / sizeof *bad_manifests; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        struct bundle_manifest got;
        struct err e = { 0 };
        assert_int_equal(bundle_manifest_read(str_from(bad_manifests[i].json), arena, &got, &e), -1);
        if (e.kind != bad_manifests[i].kind ||
            strncmp(e.text, bad_manifests[i].error, strlen(bad_manifests[i].error)))
            fail_msg("%zu: %s", i, e.text);
    }
}

static void test_many_sources(void **state)
{
    for (unsigned count = BUNDLE_SOURCES; count <= BUNDLE_SOURCES + 1; count++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf json = { 0 };
        struct bundle_manifest got;
        struct err e = { 0 };
        buf_str(&json, STR("{\"format\": 1, \"sources\": ["));
        for (unsigned i = 0; i < count; i++)
            buf_printf(&json, "%s{\"name\": \"s%u\", \"sha256\": \"" SHA "\"}", i ? "," : "", i);
        buf_str(&json, STR("]}"));
        int r = bundle_manifest_read(buf_view(&json), arena, &got, &e);
        assert_int_equal(r, count > BUNDLE_SOURCES ? -1 : 0);
        assert_int_equal(e.kind, r < 0 ? ERR_LIMIT : ERR_NONE);
    }
}

/* ---- records ---- */

static void put(struct buf *b, unsigned type, str body)
{
    pack_u64(b, type);
    pack_str(b, body);
}

static int note(void *ctx, enum bundle_record type, str body, struct err *e)
{
    buf_printf(ctx, "%u:%zu ", (unsigned)type, body.len);
    return body.len == 7 ? err_set(e, ERR_FULL, "no more") : 0;
}

static int read_part(str bytes, struct buf *seen, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, e);
    int r = bundle_part_read(in, note, seen, e);
    buf_char(seen, '\0');
    return r;
}

static void test_records(void **state)
{
    CLEANUP(buf_done) struct buf part = { 0 }, seen = { 0 }, large = { 0 };
    struct err e = { 0 };
    memset(buf_reserve(&large, FRAME_MAX), 'x', FRAME_MAX);
    large.len = FRAME_MAX;
    put(&part, BUNDLE_DOCUMENT, STR("doc"));
    put(&part, BUNDLE_ENTER, STR("\0"));
    put(&part, BUNDLE_ADVISORY, buf_view(&large)); /* in many chunks */
    put(&part, BUNDLE_ADVISORY, STR(""));
    put(&part, BUNDLE_END, STR("\1\2"));
    if (read_part(buf_view(&part), &seen, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(seen.ptr, "1:3 2:1 3:1048576 3:0 ");
    for (size_t n = 0; n < part.len; n += n < 20 || n > part.len - 20 ? 1 : 65537) { /* cut anywhere */
        e = (struct err){ 0 };
        buf_clear(&seen);
        assert_int_equal(read_part(str_head(buf_view(&part), n), &seen, &e), -1);
        assert_int_equal(e.kind, ERR_FORMAT);
        assert_int_equal(strncmp(e.text, "byte ", 5), 0);
    }
}

static const struct {
    const char *bytes;
    size_t len;
    const char *error;
} bad_parts[] = {
#define PART(text, error)                                                                                    \
    {                                                                                                        \
        text, sizeof text - 1, error                                                                         \
    }
    PART("\0\0", "byte 2: an unknown record"),
    PART("\5\0", "byte 2: an unknown record"),
    PART("\3\x81\x80\x40", "byte 4: a record is too long"),
    PART("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "byte 9: a number is too long"),
    PART("\4\2\0\1", "byte 4: the counts at its end do not fit"),
    PART("\4\2\1\0", "byte 4: the counts at its end do not fit"),
    PART("\4\1\0", "byte 3: the counts at its end do not fit"),
    PART("\4\2\0\0x", "byte 4: bytes follow the end"),
    PART("\3\0\1\0", "byte 4: a document behind advisories"),
    PART("\1\1x", "byte 3: it ends without an end"),
    PART("\1\7aaaaaaa\1\0", "no more"),
};

static void test_bad_parts(void **state)
{
    for (size_t i = 0; i < sizeof bad_parts / sizeof *bad_parts; i++) {
        CLEANUP(buf_done) struct buf seen = { 0 };
        struct err e = { 0 };
        assert_int_equal(read_part(str_of(bad_parts[i].bytes, bad_parts[i].len), &seen, &e), -1);
        if (strcmp(e.text, bad_parts[i].error))
            fail_msg("%zu: %s", i, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),    cmocka_unit_test(test_deflate),
        cmocka_unit_test(test_manifest),     cmocka_unit_test(test_bad_manifests),
        cmocka_unit_test(test_many_sources), cmocka_unit_test(test_records),
        cmocka_unit_test(test_bad_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
