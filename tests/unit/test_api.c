/* The parts of REST v1 that need no server: bodies as Go's decoder took them, paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/path.h"
#include "api/v1_layer.h"
#include "base/cleanup.h"

/* A body -> what is answered, or the message. Most messages are those of golden-v1/10 and 11. */
static const struct {
    const char *body, *answer;
} bodies[] = {
    { "", "EOF" },
    { " \n", "EOF" },
    { "{", "unexpected EOF" },
    { "{\"Layer\":{\"Name\":\"a", "unexpected EOF" },
    { "[]", "json: cannot unmarshal array into Go value of type v1.LayerEnvelope" },
    { "\"x\"", "json: cannot unmarshal string into Go value of type v1.LayerEnvelope" },
    { "true", "json: cannot unmarshal bool into Go value of type v1.LayerEnvelope" },
    { "null", "failed to provide layer" },
    { "{}", "failed to provide layer" },
    { "{\"Layer\":null}", "failed to provide layer" },
    { "{\"Layer\":{},\"layer\":null}", "failed to provide layer" },
    { "{\"Layer\":\"x\"}",
      "json: cannot unmarshal string into Go struct field LayerEnvelope.Layer of type v1.Layer" },
    { "{\"Layer\":{\"Name\":5}}",
      "json: cannot unmarshal number into Go struct field Layer.Layer.Name of type string" },
    { "{\"Layer\":{\"Name\":5,\"Path\":[],\"Format\":\"x\"}}",
      "json: cannot unmarshal number into Go struct field Layer.Layer.Name of type string" },
    { "{\"Layer\":{\"Headers\":{\"a\":1}}}",
      "json: cannot unmarshal number into Go struct field Layer.Layer.Headers of type string" },
    { "{\"Layer\":{\"Headers\":[]}}",
      "json: cannot unmarshal array into Go struct field Layer.Layer.Headers of type map[string]string" },
    { "{\"Layer\":{\"Name\":\"n\"}} trailing", "{\"Layer\":{\"Name\":\"n\",\"IndexedByVersion\":3}}\n" },
    { "{\"LAYER\":{\"name\":\"n\",\"pAth\":\"p\",\"parentname\":\"q\",\"FORMAT\":null,\"Unknown\":[1]}}",
      "{\"Layer\":{\"Name\":\"n\",\"Path\":\"p\",\"ParentName\":\"q\",\"IndexedByVersion\":3}}\n" },
    { "{\"Layer\":{\"Name\":\"n\",\"Name\":\"m\",\"Headers\":{\"b\":\"2\",\"a\":\"1\",\"b\":\"3\"}}}",
      "{\"Layer\":{\"Name\":\"m\",\"Headers\":{\"a\":\"1\",\"b\":\"3\"},\"IndexedByVersion\":3}}\n" },
    { "{\"Layer\":{\"Name\":\"<a&b>\\u2028\"}}",
      "{\"Layer\":{\"Name\":\"\\u003ca\\u0026b\\u003e\\u2028\",\"IndexedByVersion\":3}}\n" },
    { "{\"Layer\":{\"Name\":\"\xff\"}}", "{\"Layer\":{\"Name\":\"\xef\xbf\xbd\",\"IndexedByVersion\":3}}\n" },
};

static void test_bodies(void **state)
{
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct err e = { 0 };
        struct v1_layer layer;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf out = { 0 };
        struct request r = { .body = str_from(bodies[i].body), .arena = arena };
        if (v1_layer_read(&r, &layer, &e) == 0)
            v1_layer_write(&layer, 3, &out);
        else
            buf_str(&out, str_from(e.text));
        if (!str_eq(buf_view(&out), str_from(bodies[i].answer)))
            fail_msg("'%s': '" STR_FMT "'", bodies[i].body, STR_ARG(buf_view(&out)));
    }
}

static const struct {
    const char *path, *clean, *decoded; /* decoded NULL: refused */
} paths[] = {
    { "/v1/layers", "/v1/layers", "/v1/layers" },
    { "/v1/layers/", "/v1/layers", "/v1/layers/" },
    { "//v1//a/./b/../c", "/v1/a/c", "//v1//a/./b/../c" },
    { "/../..", "/", "/../.." },
    { "", "/", "" },
    { "a", "/a", "a" },
    { "/sha256%3aABC+%2F", "/sha256%3aABC+%2F", "/sha256:ABC+/" },
    { "%", "/%", NULL },
    { "%4", "/%4", NULL },
    { "%zz", "/%zz", NULL },
    { "%00", "/%00", NULL },
    { "%25%34", "/%25%34", "%4" },
};

static void test_paths(void **state)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        str clean = path_clean(str_from(paths[i].path), arena), decoded;
        if (!str_eq(clean, str_from(paths[i].clean)))
            fail_msg("'%s': '" STR_FMT "'", paths[i].path, STR_ARG(clean));
        bool good = path_decode(str_from(paths[i].path), arena, &decoded);
        if (good != (paths[i].decoded != NULL) || (good && !str_eq(decoded, str_from(paths[i].decoded))))
            fail_msg("'%s': decoded", paths[i].path);
    }
}

static void test_queries(void **state)
{
    assert_true(query_has(STR("features"), STR("features")));
    assert_true(query_has(STR("a=1&features=false"), STR("features")));
    assert_true(query_has(STR("features=&b"), STR("features")));
    assert_false(query_has(STR("featuresx&xfeatures=1"), STR("features")));
    assert_false(query_has(STR(""), STR("features")));
}

static void test_query_values(void **state)
{
    (void)state;
    static const struct {
        const char *query, *want; /* NULL: none */
    } cases[] = {
        { "a=1&page=x%3D%3d&page=2", "x==" },
        { "page", "" },
        { "page=&page=1", "" },
        { "pages=1", NULL },
        { "", NULL },
        { "page=%zz", NULL },
        { "page=%00", NULL },
        { "page=a=b", "a=b" },
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str value;
        bool found = query_value(str_from(cases[i].query), STR("page"), arena, &value);
        if (found != (cases[i].want != NULL) || (found && !str_eq(value, str_from(cases[i].want))))
            fail_msg("'%s'", cases[i].query);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_query_values),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
