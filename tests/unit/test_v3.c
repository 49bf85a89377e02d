/* API v3's messages: JSON out and in by descriptors, and what is checked before protobuf-c sees a byte. */
#include "api/v3_call.h"
#include "base/cleanup.h"
#include "timestamp.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MEMORY ((size_t)1 << 20)

static const ProtobufCMessage *read_json(const ProtobufCMessageDescriptor *d, const char *text,
                                         struct arena *arena, struct err *e)
{
    static struct v3_memory memory; /* of one test at a time */
    v3_memory_init(&memory, arena, MEMORY);
    return v3_json_read(d, str_from(text), &memory, e);
}

static void assert_json(const ProtobufCMessage *m, const char *want)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    assert_non_null(m);
    v3_json_write(m, &out);
    buf_char(&out, '\0');
    assert_string_equal(out.ptr, want);
}

/* What is read and written is this again; `want` NULL: the same. */
static void test_there_and_back(void **state)
{
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *text, *want;
    } cases[] = {
        { &coreos__clair__post_ancestry_request__descriptor,
          "{\"ancestry_name\":\"a\",\"layers\":[{\"hash\":\"h\",\"headers\":{\"x\":\"1\",\"y\":\"\"}},{}]}",
          NULL },
        { &coreos__clair__post_ancestry_request__descriptor,
          "{\"ancestryName\":\"<&>\\u00e9\\n\", \"format\":\"\"}",
          "{\"ancestry_name\":\"\\u003c\\u0026\\u003e\xc3\xa9\\n\"}" },
        { &coreos__clair__post_ancestry_request__descriptor,
          " {\"nope\": [[{}]], \"layers\": [], \"format\": null} x", "{}" },
        { &coreos__clair__detector__descriptor, "{\"name\":\"rpm\",\"dtype\":\"DETECTOR_D_TYPE_FEATURE\"}",
          NULL },
        { &coreos__clair__detector__descriptor, "{\"dtype\":1}",
          "{\"dtype\":\"DETECTOR_D_TYPE_NAMESPACE\"}" },
        { &coreos__clair__detector__descriptor, "{\"dtype\":-7}", NULL },
        { &coreos__clair__detector__descriptor, "{\"dtype\":0}", "{}" },
        { &coreos__clair__get_notification_request__descriptor, "{\"limit\":-2147483648}", NULL },
        { &coreos__clair__get_notification_request__descriptor,
          "{\"limit\":\"5\",\"newVulnerabilityPage\":\"p\"}",
          "{\"new_vulnerability_page\":\"p\",\"limit\":5}" },
        { &coreos__clair__clair_status__descriptor, "{\"last_update_time\":\"2020-09-13T12:26:40Z\"}", NULL },
        { &coreos__clair__clair_status__descriptor, "{\"lastUpdateTime\":\"2020-09-13T12:26:40.000000007Z\"}",
          "{\"last_update_time\":\"2020-09-13T12:26:40.000000007Z\"}" },
        { &coreos__clair__clair_status__descriptor, "{\"last_update_time\":\"0202-01-02T03:04:05Z\"}", NULL },
        { &coreos__clair__get_status_response__descriptor, "{\"status\":{}}", NULL },
        { &coreos__clair__get_status_request__descriptor, "null", "{}" },
        { &coreos__clair__get_status_request__descriptor, "", "{}" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(MEMORY);
        struct err e = { 0 };
        const ProtobufCMessage *m = read_json(cases[i].type, cases[i].text, arena, &e);
        assert_json(m, cases[i].want ? cases[i].want : cases[i].text);
        struct v3_reply why = { 0 };
        assert_json(v3_unpack(cases[i].type, v3_pack(m, arena), arena, &why),
                    cases[i].want ? cases[i].want : cases[i].text);
    }
}

static void test_bad_json(void **state)
{
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *text, *why;
    } cases[] = {
        { &coreos__clair__get_notification_request__descriptor, "{\"limit\":2147483648}",
          "strconv.ParseInt: parsing \"2147483648\": value out of range" },
        { &coreos__clair__get_notification_request__descriptor, "{\"limit\":1.5}",
          "strconv.ParseInt: parsing \"1.5\": invalid syntax" },
        { &coreos__clair__get_notification_request__descriptor, "{\"limit\":true}",
          "json: cannot unmarshal bool into Go value of type int32" },
        { &coreos__clair__detector__descriptor, "{\"dtype\":\"X\"}",
          "unknown value \"X\" for enum coreos.clair.Detector.DType" },
        { &coreos__clair__clair_status__descriptor, "{\"last_update_time\":\"2020-09-13\"}",
          "bad Timestamp: RFC 3339 in UTC is wanted" },
        { &coreos__clair__clair_status__descriptor, "{\"last_update_time\":5}",
          "json: cannot unmarshal number into Go value of type string" },
        { &coreos__clair__get_status_response__descriptor, "{\"status\":", "unexpected EOF" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(MEMORY);
        struct err e = { 0 };
        assert_null(read_json(cases[i].type, cases[i].text, arena, &e));
        assert_string_equal(e.text, cases[i].why);
    }
}

/* Many small parts are more in memory than on the wire. */
static void test_memory(void **state)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    (void)state;
    buf_str(&text, STR("{\"layers\":[{}"));
    for (unsigned i = 0; i < 100000; i++)
        buf_str(&text, STR(",{}"));
    buf_str(&text, STR("]}"));
    buf_char(&text, '\0');
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct err e = { 0 };
    assert_null(read_json(&coreos__clair__post_ancestry_request__descriptor, text.ptr, arena, &e));
    assert_int_equal(e.kind, ERR_OOM);
    assert_true(arena_used(arena) < 2 * MEMORY);
}

static void test_time_out_of_range(void **state)
{
    Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    (void)state;
    t.seconds = INT64_MAX;
    assert_json(&t.base, "null");
    t.seconds = 0;
    assert_json(&t.base, "\"1970-01-01T00:00:00Z\"");
}

/* A vulnerability of a feature of a vulnerability ...: protobuf-c would follow it until its stack ends. */
static str nested(unsigned depth, struct buf *out)
{
    for (unsigned i = 0; i < depth; i++) {
        CLEANUP(buf_done) struct buf inner = { 0 };
        buf_char(&inner, i % 2 ? 0x42 : 0x32); /* affected_versions, vulnerabilities */
        for (size_t n = out->len;; n >>= 7) {
            buf_char(&inner, (char)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
            if (n <= 0x7f)
                break;
        }
        buf_str(&inner, buf_view(out));
        buf_clear(out);
        buf_str(out, buf_view(&inner));
    }
    return buf_view(out);
}

static void test_wire(void **state)
{
    static const struct {
        str bytes;
        const char *why; /* NULL: it is fine */
    } cases[] = {
        { { "", 0 }, NULL },
        { { "\x0a\x01x", 3 }, NULL },
        { { "\x0a\x01\0", 3 }, "name: a text with a NUL byte" },
        { { "\x0a\x01\xff", 3 }, "name: string field contains invalid UTF-8" },
        { { "\x12\x03\x0a\x01\xff", 5 }, "namespace: name: string field contains invalid UTF-8" },
        { { "\x0a\x02x", 3 }, "unexpected EOF" },
        { { "\x0a", 1 }, "unexpected EOF" },
        { { "\x0b", 1 }, "unexpected EOF" },                              /* a group */
        { { "\x00\x00", 2 }, "unexpected EOF" },                          /* field 0 */
        { { "\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 }, NULL }, /* unknown ones */
        { { "\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, "unexpected EOF" },
        { { "\x79"
            "12345678"
            "\x7d"
            "1234",
            14 },
          NULL },
        { { "\x79"
            "1234567",
            8 },
          "unexpected EOF" },
    };
    struct err e = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        e = (struct err){ 0 };
        assert_int_equal(wire_check(&coreos__clair__feature__descriptor, cases[i].bytes, &e),
                         cases[i].why ? -1 : 0);
        assert_string_equal(e.text, cases[i].why ? cases[i].why : "");
    }
    CLEANUP(buf_done) struct buf shallow = { 0 }, deep = { 0 };
    assert_int_equal(wire_check(&coreos__clair__vulnerability__descriptor, nested(14, &shallow), &e), 0);
    assert_int_equal(wire_check(&coreos__clair__vulnerability__descriptor, nested(1000, &deep), &e), -1);
    assert_non_null(strstr(e.text, "messages are nested deeper than 16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_time_out_of_range),
        cmocka_unit_test(test_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
