/* Messages in frames, and what headers of gRPC say. */
#include "net/grpc.h"
#include "net/server_internal.h"

#include "base/cleanup.h"
#include "codec/gzip.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEADERS 8

struct call {
    struct exchange x;
    struct header headers[HEADERS];
    struct buf body;
};

static void call_done(struct call *c)
{
    arena_freep(&c->x.r.arena);
    buf_done(&c->body);
}

/* "name: value" by "name: value". */
static struct request *make(struct call *c, const char *const *headers)
{
    c->x.r.arena = arena_new(64 << 20);
    c->x.r.http2 = true;
    c->x.r.method = STR("POST");
    c->x.headers = c->headers;
    for (; headers && *headers; headers++) {
        str value = str_from(*headers), name = str_cut(&value, ':');
        c->headers[c->x.header_count++] = (struct header){ name, str_trim(value) };
    }
    return &c->x.r;
}

static void add(struct call *c, int flag, uint32_t size, str bytes)
{
    const uint8_t head[] = { (uint8_t)flag, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
                             (uint8_t)(size >> 8), (uint8_t)size };
    buf_add(&c->body, head, sizeof head);
    buf_str(&c->body, bytes);
    c->x.r.body = buf_view(&c->body);
}

static void test_is(void **state)
{
    static const struct {
        const char *type;
        bool is;
    } rows[] = { { "application/grpc", true },
                 { "application/grpc+proto", true },
                 { "Application/GRPC ; charset=utf-8", true },
                 { "application/grpc-web", false },
                 { "application/grpc+json", false },
                 { "application/json", false },
                 { "", false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[80];
        snprintf(header, sizeof header, "content-type: %s", rows[i].type);
        CLEANUP(call_done) struct call c = { 0 };
        struct request *r = make(&c, (const char *const[]){ header, NULL });
        assert_int_equal(grpc_is(r), rows[i].is);
        r->http2 = false;
        assert_false(grpc_is(r));
        r->http2 = true;
        r->method = STR("GET");
        assert_false(grpc_is(r));
    }
}

static void test_timeout(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = { { "1S", 1000 },
                 { "250m", 250 },
                 { "1500u", 1 },
                 { "1n", 1 },
                 { "0S", 1 },
                 { "2M", 120000 },
                 { "99999999H", INT64_C(359999996400000) },
                 { "100000000S", 0 },
                 { "1", 0 },
                 { "S", 0 },
                 { "-1S", 0 },
                 { "1 S", 0 },
                 { "1s", 0 },
                 { "", 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[80];
        snprintf(header, sizeof header, "grpc-timeout:%s", rows[i].text);
        CLEANUP(call_done) struct call c = { 0 };
        assert_int_equal(grpc_timeout(make(&c, (const char *const[]){ header, NULL })), rows[i].ms);
    }
}

static void fails(struct call *c, enum grpc_code code)
{
    enum grpc_code got = GRPC_OK;
    const char *why = NULL;
    str message;
    assert_int_equal(grpc_message(&c->x.r, &message, &got, &why), -1);
    assert_int_equal(got, code);
    assert_non_null(why);
}

static const char *const gzipped[] = { "grpc-encoding: gzip", "grpc-accept-encoding: identity, gzip", NULL };

static void test_message(void **state)
{
    enum grpc_code code;
    const char *why;
    str message;
    CLEANUP(call_done) struct call c = { 0 };
    make(&c, NULL);
    add(&c, 0, 5, STR("hello"));
    assert_int_equal(grpc_message(&c.x.r, &message, &code, &why), 0);
    assert_true(str_eq(message, STR("hello")));
    add(&c, 0, 0, STR(""));
    fails(&c, GRPC_INTERNAL); /* a second one */
}

static void test_empty_message(void **state)
{
    enum grpc_code code;
    const char *why;
    str message;
    CLEANUP(call_done) struct call c = { 0 };
    make(&c, NULL);
    fails(&c, GRPC_INTERNAL);
    add(&c, 0, 0, STR(""));
    assert_int_equal(grpc_message(&c.x.r, &message, &code, &why), 0);
    assert_int_equal(message.len, 0);
}

static void test_bad_frames(void **state)
{
    static const struct {
        int flag;
        uint32_t size;
        str bytes;
        enum grpc_code code;
        const char *encoding;
    } rows[] = {
        { 0, 6, { "hello", 5 }, GRPC_INTERNAL, NULL },
        { 0, UINT32_MAX, { "", 0 }, GRPC_RESOURCE_EXHAUSTED, NULL },
        { 0, GRPC_MESSAGE_MAX + 1, { "", 0 }, GRPC_RESOURCE_EXHAUSTED, NULL },
        { 2, 5, { "hello", 5 }, GRPC_INTERNAL, NULL },
        { 1, 5, { "hello", 5 }, GRPC_INTERNAL, NULL },
        { 1, 5, { "hello", 5 }, GRPC_INTERNAL, "grpc-encoding: identity" },
        { 1, 5, { "hello", 5 }, GRPC_INTERNAL, "grpc-encoding: gzip" },
        { 1, 0, { "", 0 }, GRPC_INTERNAL, "grpc-encoding: gzip" },
        { 1, 5, { "hello", 5 }, GRPC_UNIMPLEMENTED, "grpc-encoding: snappy" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(call_done) struct call c = { 0 };
        make(&c, (const char *const[]){ rows[i].encoding, NULL });
        add(&c, rows[i].flag, rows[i].size, rows[i].bytes);
        fails(&c, rows[i].code);
    }
    CLEANUP(call_done) struct call c = { 0 };
    make(&c, NULL);
    buf_add(&c.body, "\0\0\0", 3); /* half a prefix */
    c.x.r.body = buf_view(&c.body);
    fails(&c, GRPC_INTERNAL);
}

static void test_gzip(void **state)
{
    static const size_t sizes[] = { 0, 1, GRPC_MESSAGE_MAX, GRPC_MESSAGE_MAX + 1, 64u << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        enum grpc_code code = GRPC_OK;
        const char *why;
        str message;
        CLEANUP(call_done) struct call c = { 0 };
        CLEANUP(buf_done) struct buf packed = { 0 };
        CLEANUP(freep) char *zeros = calloc(sizes[i] + 1, 1);
        gzip_pack(str_of(zeros, sizes[i]), &packed);
        make(&c, gzipped);
        add(&c, 1, (uint32_t)packed.len, buf_view(&packed));
        int r = grpc_message(&c.x.r, &message, &code, &why);
        assert_int_equal(r, sizes[i] > GRPC_MESSAGE_MAX ? -1 : 0);
        assert_int_equal(code, r ? GRPC_RESOURCE_EXHAUSTED : GRPC_OK);
        if (!r)
            assert_int_equal(message.len, sizes[i]);
    }
}

/* What is packed can be read; what would not get smaller is not packed. */
static void test_frame(void **state)
{
    static char zeros[100000];
    CLEANUP(call_done) struct call c = { 0 };
    struct request *r = make(&c, gzipped);
    enum grpc_code code;
    const char *why;
    str message;
    assert_true(grpc_frame(r, str_of(zeros, sizeof zeros), &c.body));
    assert_true(c.body.len < 1000 && c.body.ptr[0] == 1);
    r->body = buf_view(&c.body);
    assert_int_equal(grpc_message(r, &message, &code, &why), 0);
    assert_true(message.len == sizeof zeros && !memcmp(message.ptr, zeros, sizeof zeros));
    buf_clear(&c.body);
    assert_true(grpc_frame(r, STR("short"), &c.body));
    assert_int_equal(c.body.ptr[0], 0);
}

static void test_end(void **state)
{
    CLEANUP(call_done) struct call c = { 0 };
    struct request *r = make(&c, NULL);
    struct response ret = { 0 };
    buf_str(&ret.body, STR("half"));
    grpc_fail(r, &ret, GRPC_NOT_FOUND, STR("100 %\n\xc3\xa9"));
    assert_int_equal(ret.status, 200);
    assert_int_equal(ret.body.len, 0);
    assert_int_equal(ret.trailer_count, 2);
    assert_true(str_eq(ret.trailers[0].value, STR("5")));
    assert_true(str_eq(ret.trailers[1].value, STR("100 %25%0A%C3%A9")));
    buf_done(&ret.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is),         cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_message),    cmocka_unit_test(test_empty_message),
        cmocka_unit_test(test_bad_frames), cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_frame),      cmocka_unit_test(test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
