/* Fernet tokens: the vector of the format's specification, tokens recorded from Clair 2.0.7, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "codec/fernet.h"

#include <stdio.h>

#define SPEC_KEY "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
#define SPEC_TOKEN                                                                                           \
    "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
#define SPEC_TIME  499162800
#define CLAIR_KEY  "XxoPtCUzrUv4JV5dS+yQ+MdW7yLEJnRMwigVY/bpgtQ="
#define CLAIR_TIME 1795366417
#define CLAIR_TOKEN                                                                                          \
    "gAAAAABrAx4RiH_Z64qMpIKnp09deBEfE47IFyP_YMuI-RNviQeBHSFHzRA352j0zCQjbnX2mDvobPyvj10-"                   \
    "E2MZF8LlC9xVFjHkp6fbt1kwukEJKwfMpr9CiCJ81S9PChb7PNm3Jljw"

static void set_key(const char *text, uint8_t ret[FERNET_KEY])
{
    assert_true(fernet_key_parse(str_from(text), ret));
}

static void opens(const char *key_text, const char *token, int64_t now, const char *want)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    uint8_t key[FERNET_KEY];
    struct err e = { 0 };
    str text = { 0 };
    set_key(key_text, key);
    int r = fernet_open(key, str_from(token), now, 3600, a, &text, &e);
    if (want && (r < 0 || !str_eq(text, str_from(want))))
        fail_msg("%s: '" STR_FMT "' %s", token, STR_ARG(text), e.text);
    if (!want) {
        assert_int_equal(r, -1);
        assert_int_equal(e.kind, ERR_FORMAT);
    }
}

static void test_recorded(void **state)
{
    (void)state;
    opens(SPEC_KEY, SPEC_TOKEN, SPEC_TIME, "hello");
    opens(CLAIR_KEY, CLAIR_TOKEN, CLAIR_TIME, "{\"OldVulnerability\":0,\"NewVulnerability\":0}\n");
}

static void test_time(void **state)
{
    (void)state;
    opens(SPEC_KEY, SPEC_TOKEN, SPEC_TIME + 3600, "hello");
    opens(SPEC_KEY, SPEC_TOKEN, SPEC_TIME + 3601, NULL);
    opens(SPEC_KEY, SPEC_TOKEN, SPEC_TIME - FERNET_SKEW, "hello");
    opens(SPEC_KEY, SPEC_TOKEN, SPEC_TIME - FERNET_SKEW - 1, NULL);
}

static void test_refused(void **state)
{
    (void)state;
    char bad[sizeof SPEC_TOKEN];
    for (size_t i = 0; i < sizeof bad - 1; i++) {
        memcpy(bad, SPEC_TOKEN, sizeof bad);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        opens(SPEC_KEY, bad, SPEC_TIME, NULL);
        memcpy(bad, SPEC_TOKEN, sizeof bad);
        bad[i] = '\0'; /* cut off there */
        opens(SPEC_KEY, bad, SPEC_TIME, NULL);
    }
    static const char *const others[] = {
        "", "gA==", "gAAA", "====", "A", "not base64 at all!!!", SPEC_TOKEN "AAAA", " " SPEC_TOKEN
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        opens(SPEC_KEY, others[i], SPEC_TIME, NULL);
    opens(CLAIR_KEY, SPEC_TOKEN, SPEC_TIME, NULL);
}

static void test_there_and_back(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    uint8_t key[FERNET_KEY];
    char text[4096];
    set_key(CLAIR_KEY, key);
    memset(text, 'x', sizeof text);
    for (size_t n = 0; n < 80; n++) {
        CLEANUP(buf_done) struct buf token = { 0 };
        struct err e = { 0 };
        str back;
        assert_int_equal(fernet_seal(key, str_of(text, n), 1000, &token, &e), 0);
        assert_int_equal(fernet_open(key, buf_view(&token), 1000, 0, a, &back, &e), 0);
        assert_true(str_eq(back, str_of(text, n)));
    }
    CLEANUP(buf_done) struct buf token = { 0 };
    struct err e = { 0 };
    assert_int_equal(fernet_seal(key, str_of(text, sizeof text), 1000, &token, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void test_keys(void **state)
{
    (void)state;
    uint8_t a[FERNET_KEY], b[FERNET_KEY];
    char hex[2 * FERNET_KEY + 1];
    set_key(CLAIR_KEY, a);
    for (size_t i = 0; i < FERNET_KEY; i++)
        sprintf(hex + 2 * i, i % 2 ? "%02X" : "%02x", a[i]);
    set_key(hex, b);
    assert_memory_equal(a, b, FERNET_KEY);
    static const char *const none[] = { "", "short", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4", "AAAA",
                                        "zz00000000000000000000000000000000000000000000000000000000000000" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(fernet_key_parse(str_from(none[i]), a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),       cmocka_unit_test(test_time),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
