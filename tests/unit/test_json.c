/* test_json.c - the JSON reader and writer, and pack. jansson is the oracle for what is JSON and what it
 * says. */
#include "base/cleanup.h"
#include "codec/json.h"
#include "codec/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* jansson has some of our names: here they are its own again. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY  JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_TRUE   JANSSON_TRUE
#define JSON_FALSE  JANSSON_FALSE
#define JSON_NULL   JANSSON_NULL
#define json_string jansson_string
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL
#undef json_string

/* Gives `size` bytes at a time, each piece in a block of its own that is gone at the next call. */
struct pieces {
    struct stream stream;
    str rest;
    size_t size;
    char *block;
};

static int next_piece(struct stream *s, str *ret, struct err *e)
{
    struct pieces *p = (struct pieces *)s;
    freep(&p->block);
    str piece = str_head(p->rest, p->size);
    if (!piece.len)
        return 0;
    p->block = malloc(piece.len);
    assert_non_null(p->block);
    memcpy(p->block, piece.ptr, piece.len);
    p->rest = str_skip(p->rest, piece.len);
    *ret = str_of(p->block, piece.len);
    return 1;
}

static void pieces_done(struct pieces *p) { freep(&p->block); }

static struct pieces pieces_of(str doc, size_t size)
{
    return (struct pieces){ .stream.next = next_piece, .rest = doc, .size = size };
}

static const size_t sizes[] = { 1, 2, 3, 7, 16, 1 << 20 };
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* All events as one line: "{ k:a s:b }". */
static int events(str doc, size_t size, const struct json_limits *limits, struct buf *out, struct err *e)
{
    static const char *const names[] = { ".",  "{ ", "} ",    "[ ",     "] ",   "k:",
                                         "s:", "n:", "true ", "false ", "null " };
    CLEANUP(pieces_done) struct pieces in = pieces_of(doc, size);
    CLEANUP(json_freep) struct json *j = json_new(&in.stream, limits, e);
    assert_non_null(j);
    enum json_type type;
    do {
        str text;
        if (json_next(j, &type, &text, e) < 0) {
            struct err again = { 0 };
            assert_int_equal(json_next(j, &type, &text, &again), -1); /* it stays broken */
            assert_string_equal(again.text, e->text);
            return -1;
        }
        buf_str(out, str_from(names[type]));
        if (type == JSON_KEY || type == JSON_STRING || type == JSON_NUMBER) {
            buf_str(out, text);
            buf_char(out, ' ');
        }
    } while (type != JSON_END);
    assert_int_equal(json_offset(j), doc.len);
    return 0;
}

static void test_events(void **state)
{
    static const struct {
        str doc;
        const char *want; /* events */
    } rows[] = {
        { STR("{\"a\":[1,-0.5e+7,true,false,null,\"x\"],\"b\":{}}"),
          "{ k:a [ n:1 n:-0.5e+7 true false null s:x ] k:b { } } ." },
        { STR(" \t\r\n[ ] \n"), "[ ] ." },
        { STR("\xef\xbb\xbf[]"), "[ ] ." },
        { STR("12"), "n:12 ." },
        { STR("0"), "n:0 ." },
        { STR("\"\""), "s: ." },
        { STR("[\"\",\"\"]"), "[ s: s: ] ." },
        { STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "s:\"\\/\b\f\n\r\t ." },
        { STR("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\""), "s:A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 ." },
        { STR("\"a\\ud83dz\\ude00\\ud83d\\n\\ud83d\\u0041\\ud83d\""),
          "s:a\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\n\xef\xbf\xbd"
          "A\xef\xbf\xbd ." },
        { STR("\"\\ud83d\\ud83d\\ude00\""), "s:\xef\xbf\xbd\xf0\x9f\x98\x80 ." },
        { STR("\"\xff\xc3\""), "s:\xff\xc3 ." }, /* not UTF-8: as it is */
        { STR("{\"a\":1,\"a\":2}"), "{ k:a n:1 k:a n:2 } ." },
        { STR("\"0123456\x7f\x80\xa2\xdc"
              "89abcdefg\""),
          "s:0123456\x7f\x80\xa2\xdc"
          "89abcdefg ." },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(sizes); k++) {
            CLEANUP(buf_done) struct buf got = { 0 };
            struct err e = { 0 };
            if (events(rows[i].doc, sizes[k], NULL, &got, &e) < 0)
                fail_msg(STR_FMT ": %s", STR_ARG(rows[i].doc), e.text);
            buf_char(&got, 0);
            assert_string_equal(got.ptr, rows[i].want);
        }
}

static void test_errors(void **state)
{
    static const struct {
        const char *doc, *want;
    } rows[] = {
        { "", "json: byte 0: the input ends inside a value" },
        { " ", "json: byte 1: the input ends inside a value" },
        { "\xef\xbb", "json: byte 2: the input ends inside a value" },
        { "\xef\xbbx", "json: byte 2: a value wanted" },
        { "[1,]", "json: byte 3: a value wanted" },
        { "[,1]", "json: byte 1: a value wanted" },
        { "[1 2]", "json: byte 3: ',' or ']' wanted" },
        { "[1}", "json: byte 2: ',' or ']' wanted" },
        { "]", "json: byte 0: a value wanted" },
        { "{\"a\":1,}", "json: byte 7: a key wanted" },
        { "{a:1}", "json: byte 1: a key wanted" },
        { "{\"a\"}", "json: byte 4: ':' wanted" },
        { "{\"a\":}", "json: byte 5: a value wanted" },
        { "{\"a\":1 \"b\":2}", "json: byte 7: ',' or '}' wanted" },
        { "{\"a\":1]", "json: byte 6: ',' or '}' wanted" },
        { "1 2", "json: byte 2: something follows the value" },
        { "{}x", "json: byte 2: something follows the value" },
        { "01", "json: byte 1: not a number" },
        { "-", "json: byte 1: not a number" },
        { "[-a]", "json: byte 2: not a number" },
        { "[1.]", "json: byte 3: not a number" },
        { "[1.e5]", "json: byte 3: not a number" },
        { "[1e]", "json: byte 3: not a number" },
        { "[1e+-1]", "json: byte 4: not a number" },
        { "[1.5.5]", "json: byte 4: not a number" },
        { "+1", "json: byte 0: a value wanted" },
        { ".5", "json: byte 0: a value wanted" },
        { "NaN", "json: byte 0: a value wanted" },
        { "[nul]", "json: byte 4: true, false or null wanted" },
        { "[nulll]", "json: byte 5: ',' or ']' wanted" },
        { "True", "json: byte 0: a value wanted" },
        { "'a'", "json: byte 0: a value wanted" },
        { "\"a\nb\"", "json: byte 2: a control character inside a string" },
        { "\"0123456789\x1f\"", "json: byte 11: a control character inside a string" },
        { "\"\\x\"", "json: byte 2: unknown escape" },
        { "\"\\u12g4\"", "json: byte 5: four hexadecimal digits wanted" },
        { "\"\\ud83d\\x\"", "json: byte 8: unknown escape" },
        { "\"abc", "json: byte 4: the input ends inside a value" },
        { "/* */ 1", "json: byte 0: a value wanted" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(sizes); k++) {
            CLEANUP(buf_done) struct buf got = { 0 };
            struct err e = { 0 };
            assert_int_equal(events(str_from(rows[i].doc), sizes[k], NULL, &got, &e), -1);
            assert_string_equal(e.text, rows[i].want);
            assert_int_equal(e.kind, ERR_FORMAT);
        }
}

static void test_limits(void **state)
{
    static const struct json_limits limits = { .max_depth = 2, .max_text = 4 };
    static const struct {
        const char *doc, *want; /* NULL: accepted */
    } rows[] = {
        { "[[]]", NULL },
        { "[[[]]]", "json: byte 2: nested deeper than 2" },
        { "[{\"a\":[]}]", "json: byte 6: nested deeper than 2" },
        { "\"abcd\"", NULL },
        { "\"abcde\"", "json: byte 0: longer than 4 bytes" },
        { "[\"ab\\n\\n\\n\"]", "json: byte 1: longer than 4 bytes" },
        { "[\"abc\\u00e9\"]", "json: byte 1: longer than 4 bytes" },
        { "1234", NULL },
        { "12345", "json: byte 0: longer than 4 bytes" },
        { "{\"abcde\":1}", "json: byte 1: longer than 4 bytes" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(sizes); k++) {
            CLEANUP(buf_done) struct buf got = { 0 };
            struct err e = { 0 };
            assert_int_equal(events(str_from(rows[i].doc), sizes[k], &limits, &got, &e),
                             rows[i].want ? -1 : 0);
            if (rows[i].want) {
                assert_string_equal(e.text, rows[i].want);
                assert_int_equal(e.kind, ERR_LIMIT);
            }
        }
}

static const char sample[] =
    " {\"pkg\": {\"CVE-2020-1\": {\"d\": \"a \\\"b\\\" \\u00e9\\ud83d\\ude00\", \"n\": [0, -1.5e3, 12],\n"
    "\"t\": [true, false, null, [], {}], \"\\u006b\": \"\"}}, \"z\": [[[\"deep\"]]]}";

static void test_every_prefix_is_refused(void **state)
{
    str doc = str_from(sample);
    for (size_t n = 0; n <= doc.len; n++)
        for (size_t k = 0; k < COUNT(sizes); k++) {
            CLEANUP(buf_done) struct buf got = { 0 };
            struct err e = { 0 };
            int r = events(str_head(doc, n), sizes[k], NULL, &got, &e);
            if (r != (n == doc.len ? 0 : -1))
                fail_msg("%zu bytes: %d %s", n, r, e.text);
            assert_int_equal(e.kind, r ? ERR_FORMAT : ERR_NONE);
        }
}

/* Follows jansson's tree with the reader; false where they differ. */
static bool same(struct json *j, enum json_type type, str text, const json_t *want)
{
    struct err e = { 0 };
    str key, none;
    enum json_type inner;
    size_t count = 0;
    int r;
    if (!want)
        return false;
    switch (type) {
    case JSON_OBJECT:
        for (; (r = json_key(j, &key, &e)) > 0; count++) {
            CLEANUP(freep) char *name = strndup(key.ptr, key.len);
            const json_t *member = json_object_get(want, name);
            if (json_next(j, &inner, &none, &e) < 0 || !same(j, inner, none, member))
                return false;
        }
        return r == 0 && json_typeof(want) == JANSSON_OBJECT && count == json_object_size(want);
    case JSON_ARRAY:
        for (; (r = json_element(j, &inner, &none, &e)) > 0; count++)
            if (!same(j, inner, none, json_array_get(want, count)))
                return false;
        return r == 0 && json_typeof(want) == JANSSON_ARRAY && count == json_array_size(want);
    case JSON_STRING:
        return json_typeof(want) == JANSSON_STRING &&
               str_eq(text, str_of(json_string_value(want), json_string_length(want)));
    case JSON_NUMBER: {
        CLEANUP(freep) char *z = strndup(text.ptr, text.len);
        double v =
            json_typeof(want) == JSON_INTEGER ? (double)json_integer_value(want) : json_real_value(want);
        return strtod(z, NULL) == v;
    }
    case JSON_TRUE:
        return json_typeof(want) == JANSSON_TRUE;
    case JSON_FALSE:
        return json_typeof(want) == JANSSON_FALSE;
    case JSON_NULL:
        return json_typeof(want) == JANSSON_NULL;
    case JSON_END:
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
    case JSON_KEY:
        break;
    }
    return false;
}

/* What jansson refuses for reasons of its own: NUL, what is not UTF-8, numbers beyond a double. */
static bool own_reasons(str doc, const json_error_t *why)
{
    return !str_utf8(doc) || strstr(why->text, "NUL") || strstr(why->text, "Unicode") ||
           strstr(why->text, "surrogate") || strstr(why->text, "\\u") || strstr(why->text, "too big") ||
           strstr(why->text, "overflow");
}

static void check_against_jansson(str doc, size_t size, unsigned *accepted)
{
    json_error_t why;
    json_t *tree = json_loadb(doc.ptr, doc.len, JSON_DECODE_ANY, &why);
    CLEANUP(buf_done) struct buf line = { 0 };
    struct err e = { 0 };
    int r = events(doc, size, NULL, &line, &e);
    if (!tree && r == 0 && !own_reasons(doc, &why))
        fail_msg("accepted what jansson refuses (%s): " STR_FMT, why.text, STR_ARG(doc));
    if (tree && r < 0)
        fail_msg("refused what jansson accepts (%s): " STR_FMT, e.text, STR_ARG(doc));
    json_decref(tree);
    tree = json_loadb(doc.ptr, doc.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
                      &why); /* else it keeps the last value */
    if (tree) {
        CLEANUP(pieces_done) struct pieces in = pieces_of(doc, size);
        CLEANUP(json_freep) struct json *j = json_new(&in.stream, NULL, &e);
        enum json_type type;
        str text;
        assert_int_equal(json_next(j, &type, &text, &e), 0);
        if (!same(j, type, text, tree))
            fail_msg("another value than jansson's: " STR_FMT, STR_ARG(doc));
        ++*accepted;
    }
    json_decref(tree);
}

static uint32_t random_u32(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Changes of the sample, most of them bytes that mean something. */
static void test_oracle(void **state)
{
    static const char bytes[] = "{}[],:\"\\ \n\t0123456789.-+eEtrufalsn/b\x01\x7f\xc3\xa9";
    unsigned accepted = 0;
    uint32_t seed = 1;
    for (int i = 0; i < 30000; i++) {
        char doc[sizeof sample];
        memcpy(doc, sample, sizeof sample);
        size_t len = sizeof sample - 1;
        for (uint32_t changes = random_u32(&seed) % 3; changes < 3; changes++) {
            size_t at = random_u32(&seed) % len;
            switch (random_u32(&seed) % 3) {
            case 0: /* put */
                doc[at] = bytes[random_u32(&seed) % (sizeof bytes - 1)];
                break;
            case 1: /* take out */
                memmove(doc + at, doc + at + 1, len - at - 1);
                len--;
                break;
            default: /* swap */ {
                size_t to = random_u32(&seed) % len;
                char c = doc[at];
                doc[at] = doc[to];
                doc[to] = c;
            }
            }
        }
        check_against_jansson(str_of(doc, len), 1 + random_u32(&seed) % 20, &accepted);
    }
    assert_true(accepted > 2000); /* else too little was compared */
}

static void test_helpers(void **state)
{
    CLEANUP(pieces_done)
    struct pieces in = pieces_of(
        STR("{\"skip\":{\"a\":[{}]},\"n\":null,\"s\":\"\",\"l\":[[1,2],3],\"o\":{\"x\":1},\"w\":5}"), 4);
    struct err e = { 0 };
    CLEANUP(json_freep) struct json *j = json_new(&in.stream, NULL, &e);
    enum json_type type;
    str key, text;
    assert_int_equal(json_enter(j, JSON_OBJECT, &e), 0);
    assert_int_equal(json_key(j, &key, &e), 1);
    assert_int_equal(json_skip(j, &e), 0);
    assert_int_equal(json_key(j, &key, &e), 1);
    assert_true(str_eq(key, STR("n")));
    assert_int_equal(json_string(j, &text, &e), 0);
    assert_null(text.ptr);
    assert_int_equal(json_key(j, &key, &e), 1);
    assert_int_equal(json_string(j, &text, &e), 0);
    assert_non_null(text.ptr);
    assert_int_equal(text.len, 0);
    assert_int_equal(json_key(j, &key, &e), 1);
    assert_int_equal(json_enter_or_null(j, JSON_ARRAY, &e), 1);
    assert_int_equal(json_element(j, &type, &text, &e), 1);
    assert_int_equal(json_skip_rest(j, type, &e), 0);
    assert_int_equal(json_element(j, &type, &text, &e), 1);
    assert_true(str_eq(text, STR("3")));
    assert_int_equal(json_skip_rest(j, type, &e), 0);
    assert_int_equal(json_element(j, &type, &text, &e), 0);
    assert_int_equal(json_key(j, &key, &e), 1);
    assert_int_equal(json_next(j, &type, &text, &e), 0);
    assert_int_equal(json_skip_rest(j, type, &e), 0);
    assert_int_equal(json_key(j, &key, &e), 1);
    assert_true(str_eq(key, STR("w")));
    assert_int_equal(json_enter(j, JSON_OBJECT, &e), -1);
    assert_string_equal(e.text, "json: byte 65: an object wanted, not a number");
    assert_int_equal(json_key(j, &key, &e), 0);
    assert_int_equal(json_finish(j, &e), 0);
}

static void write_sample(struct json_writer *w)
{
    json_w_object(w);
    json_w_key(w, "a");
    json_w_array(w);
    json_w_int(w, INT64_MIN);
    json_w_decimal(w, 98, 1);
    json_w_decimal(w, 100, 1);
    json_w_decimal(w, 430, 6);
    json_w_decimal(w, 0, 2);
    json_w_bool(w, true);
    json_w_bool(w, false);
    json_w_null(w);
    json_w_array_end(w);
    json_w_key_str(w, STR("e\""));
    json_w_object(w);
    json_w_object_end(w);
    json_w_key(w, "s");
    json_w_str(w,
               STR("\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9\xf0\x9f\x98\x80 \xff \xc3( \xed\xa0\x80 \xf0\x9f"));
    json_w_key(w, "n");
    json_w_str_or_null(w, (str){ 0 });
    json_w_key(w, "m");
    json_w_str_or_null(w, STR("x"));
    json_w_key(w, "empty");
    json_w_str(w, (str){ 0 });
    json_w_object_end(w);
}

static void test_writer(void **state)
{
#define BAD "\xef\xbf\xbd"
#define ODD                                                                                                  \
    "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \xc3\xa9\xf0\x9f\x98\x80 " BAD " " BAD "( " BAD BAD BAD    \
    " " BAD BAD "\""
    static const char *const want[] = {
        "{\"a\":[-9223372036854775808,9.8,10.0,0.000430,0.00,true,false,null],\"e\\\"\":{},\"s\":" ODD
        ",\"n\":null,\"m\":\"x\",\"empty\":\"\"}",
        "{\n  \"a\": [\n    -9223372036854775808,\n    9.8,\n    10.0,\n    0.000430,\n    0.00,\n    "
        "true,\n    false,\n    null\n  ],\n  \"e\\\"\": {},\n "
        " \"s\": " ODD ",\n  \"n\": null,\n  \"m\": \"x\",\n  \"empty\": \"\"\n}",
    };
    for (int indent = 0; indent < 2; indent++) {
        CLEANUP(buf_done) struct buf out = { 0 };
        struct json_writer w = { .out = &out, .indent = 2 * indent };
        write_sample(&w);
        assert_false(out.failed);
        json_t *tree = json_loadb(out.ptr, out.len, 0, NULL);
        assert_non_null(tree);
        json_decref(tree);
        buf_char(&out, 0);
        assert_string_equal(out.ptr, want[indent]);
    }
    CLEANUP(buf_done) struct buf small = { .max = 10 };
    struct json_writer w = { .out = &small };
    write_sample(&w);
    assert_true(small.failed);
}

static void test_pack(void **state)
{
    static const uint64_t numbers[] = { 0, 1, 127, 128, 300, 1u << 31, UINT64_MAX };
    CLEANUP(buf_done) struct buf b = { 0 };
    for (size_t i = 0; i < COUNT(numbers); i++)
        pack_u64(&b, numbers[i]);
    pack_str(&b, STR("text"));
    pack_str(&b, (str){ 0 });
    for (size_t cut = 0; cut <= b.len; cut++) {
        struct unpack u = { .rest = str_head(buf_view(&b), cut) };
        bool right = true;
        for (size_t i = 0; i < COUNT(numbers); i++)
            right &= unpack_u64(&u) == numbers[i];
        right &= str_eq(unpack_str(&u), STR("text"));
        right &= str_eq(unpack_str(&u), STR(""));
        assert_int_equal(unpack_end(&u), cut == b.len);
        assert_true(right || cut < b.len);
    }
    static const struct {
        str bytes;
        size_t max;
    } bad[] = {
        { STR(""), 0 },
        { STR("\x80"), 0 },
        { STR("\x80\x00"), 0 },                                 /* not the shortest form */
        { STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 0 }, /* more than 64 bits */
        { STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0 },
        { STR("\x02"
              "a"),
          0 },
        { STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
              "a"),
          0 },
        { STR("\x03"
              "abc"),
          2 },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct unpack u = { .rest = bad[i].bytes, .max_str = bad[i].max };
        assert_int_equal(unpack_str(&u).len, 0);
        assert_true(u.failed);
        assert_int_equal(unpack_u64(&u), 0);
        assert_false(unpack_end(&u));
    }
    struct unpack more = { .rest = STR("\x01\x02") };
    assert_int_equal(unpack_u64(&more), 1);
    assert_false(unpack_end(&more));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_oracle), cmocka_unit_test(test_helpers),
        cmocka_unit_test(test_writer), cmocka_unit_test(test_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
