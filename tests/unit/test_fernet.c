/* Page tokens: the example of the specification, tokens that the real Clair 2.0.7 made, and everything that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "codec/fernet.h"

#include <stdlib.h>

#define SPEC_KEY "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
#define SPEC_TOKEN                                                                                           \
    "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
#define SPEC_TIME 499162800
#define CLAIR_KEY "XxoPtCUzrUv4JV5dS+yQ+MdW7yLEJnRMwigVY/bpgtQ="
/* golden-v1/34 and 35 */
#define CLAIR_FIRST                                                                                          \
    "gAAAAABrAx2_yYAwA8IryNfEY23SVuqGmRIlaFVzsJxckGcvAYRDARfLCMegRwxrN9Pmlg5pMCBi_9QivXFjNw8NjviVimvzyw=="
#define CLAIR_SECOND                                                                                         \
    "gAAAAABrAx2_Ld4RybQvcwtIB-BEgwScRKLdNF5s_PVTPBUMMTgmf5fZRNrmlF2tbjIjYAi2Pksan_nFrRZjKrJKmjrK9cI-LA=="
#define CLAIR_TIME 0x6b031dbf

/* The text, or what was said instead. */
static str opened(const char *key_text, str token, int64_t now, struct arena *arena)
{
    uint8_t key[FERNET_KEY];
    str text = { 0 };
    struct err e = { 0 };
    assert_true(fernet_key_parse(str_from(key_text), key));
    int r = fernet_open(key, token, now, 3600, arena, &text, &e);
    if (r == 0)
        return text;
    assert_int_equal(e.kind, ERR_FORMAT);
    return str_from("refused");
}

static void same(str a, const char *b)
{
    if (!str_eq(a, str_from(b)))
        fail_msg("'" STR_FMT "' is not '%s'", STR_ARG(a), b);
}

static void test_known(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    same(opened(SPEC_KEY, STR(SPEC_TOKEN), SPEC_TIME, arena), "hello");
    same(opened(CLAIR_KEY, STR(CLAIR_FIRST), CLAIR_TIME, arena), "1\n");
    same(opened(CLAIR_KEY, STR(CLAIR_SECOND), CLAIR_TIME, arena), "2\n");
    same(opened(SPEC_KEY, STR(CLAIR_SECOND), CLAIR_TIME, arena), "refused");
}

static void test_time(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    static const struct {
        int64_t now;
        const char *want;
    } cases[] = { { -60, "hello" }, { -61, "refused" }, { 3600, "hello" }, { 3601, "refused" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        same(opened(SPEC_KEY, STR(SPEC_TOKEN), SPEC_TIME + cases[i].now, arena), cases[i].want);
}

/* Every byte that is another one, and every length that is. */
static void test_changed(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    char token[] = SPEC_TOKEN;
    for (size_t i = 0; i + 1 < sizeof token; i++) {
        char was = token[i];
        for (int c = 1; c < 256; c++) {
            token[i] = (char)c;
            if (token[i] != was)
                same(opened(SPEC_KEY, str_from(token), SPEC_TIME, arena), "refused");
        }
        token[i] = was;
        same(opened(SPEC_KEY, str_of(token, i), SPEC_TIME, arena), "refused");
    }
    same(opened(SPEC_KEY, STR(SPEC_TOKEN "A"), SPEC_TIME, arena), "refused");
    same(opened(SPEC_KEY, STR(SPEC_TOKEN "AAAA"), SPEC_TIME, arena), "refused");
    same(opened(SPEC_KEY, STR("gA=="), SPEC_TIME, arena), "refused");
    same(opened(SPEC_KEY, STR("===="), SPEC_TIME, arena), "refused");
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t key[FERNET_KEY];
    struct err e = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    assert_true(fernet_key_parse(STR(SPEC_KEY), key));
    char text[FERNET_MAX];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)i;
    for (size_t n = 0; n < sizeof text; n += n < 70 ? 1 : 97) {
        CLEANUP(buf_done) struct buf token = { 0 };
        str back;
        if (fernet_seal(key, str_of(text, n), 1000, &token, &e) < 0) {
            assert_int_equal(e.kind, ERR_LIMIT);
            assert_true(n > FERNET_MAX / 4 * 3 - 100);
            return;
        }
        assert_true(token.len <= FERNET_MAX);
        assert_int_equal(fernet_open(key, buf_view(&token), 1000, 10, arena, &back, &e), 0);
        assert_true(str_eq(back, str_of(text, n)));
    }
    fail_msg("there is no longest text");
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { SPEC_KEY, true },
        { CLAIR_KEY, true },
        { "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", true },
        { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g", false },
        { "", false },
        { "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4", false },
        { "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4==", false },
        { "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e5=", false }, /* a bit that no byte needs */
        { "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e==", false },
        { "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpw*4e4=", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t key[FERNET_KEY];
        assert_int_equal(fernet_key_parse(str_from(cases[i].text), key), cases[i].good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),      cmocka_unit_test(test_time), cmocka_unit_test(test_changed),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests_name("fernet", tests, NULL, NULL);
}
