/* Keys and tokens: the RFCs' own vectors, what Python and OpenSSL make, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "jwt/base64.h"
#include "jwt/token.h"
#include "jwt_vectors.h"

#include <stdio.h>

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_freep(&arena);
    return 0;
}

static struct jwt_key *jwk(const char *json)
{
    struct err e = { 0 };
    struct jwt_key *k = jwt_key_read_jwk(str_from(json), &e);
    if (!k)
        fail_msg("%s: %s", json, e.text);
    return k;
}

static struct jwt_key *pem(const char *text, bool private)
{
    struct err e = { 0 };
    struct jwt_key *k = private ? jwt_key_read_private(str_from(text), STR(""), &e)
                                : jwt_key_read_public(str_from(text), STR(""), &e);
    if (!k)
        fail_msg("%s: %s", text, e.text);
    return k;
}

static struct jwt parse(const char *token)
{
    struct jwt t;
    struct err e = { 0 };
    enum jwt_part where;
    if (jwt_parse(str_from(token), arena, &t, &where, &e) < 0)
        fail_msg("%s: %s", token, e.text);
    return t;
}

static void verified(const char *token, const struct jwt_key *k, unsigned algorithms, bool want)
{
    struct jwt t = parse(token);
    if (jwt_verify(&t, k, algorithms) != want)
        fail_msg("%s: %d", token, want);
}

static const char *token_of(const char *header, const char *claims, const char *signature)
{
    struct buf b = { 0 };
    base64url_put(str_from(header), &b);
    buf_char(&b, '.');
    base64url_put(str_from(claims), &b);
    buf_char(&b, '.');
    buf_str(&b, str_from(signature));
    const char *copy = arena_cstr(arena, buf_view(&b));
    buf_done(&b);
    return copy;
}

static str hex(const char *text)
{
    uint8_t *out = arena_alloc(arena, strlen(text), 1);
    unsigned v;
    for (size_t i = 0; text[2 * i] && sscanf(text + 2 * i, "%2x", &v) == 1; i++)
        out[i] = (uint8_t)v;
    return str_of(out, strlen(text) / 2);
}

static void test_rfc(void **state)
{
    (void)state;
    CLEANUP(jwt_key_freep) struct jwt_key *rsa = jwk(RFC_RSA);
    CLEANUP(jwt_key_freep) struct jwt_key *ec = jwk(RFC_EC);
    CLEANUP(jwt_key_freep) struct jwt_key *thumb = jwk(RFC_THUMB_KEY);
    CLEANUP(buf_done) struct buf token = { 0 };
    char sum[45];
    struct err e = { 0 };
    verified(RFC_RS256, rsa, JWT_RS256, true);
    verified(RFC_ES256, ec, JWT_ES256, true);
    struct jwt t = parse(RFC_HS256);
    assert_true(jwt_verify_secret(&t, hex(RFC_SECRET)));
    assert_false(jwt_verify_secret(&t, STR("another")));
    assert_true(str_eq(t.issuer, STR("joe")));
    assert_true(t.has_expires && t.expires == 1300819380 && !t.has_issued && !t.jti.ptr && !t.kid.ptr);
    assert_int_equal(jwt_key_thumbprint(thumb, sum, &e), 0);
    assert_string_equal(sum, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs="); /* RFC 7638 3.1, padded */
    assert_true(str_eq(jwt_key_kid(thumb), STR("2011-04-29")));
    t = parse(RFC_RS256);
    assert_int_equal(jwt_sign(rsa, 0, STR(""), t.claims, &token, &e), 0);
    buf_char(&token, '\0');
    verified(token.ptr, rsa, JWT_RS256, true);
}

static void test_foreign(void **state)
{
    (void)state;
    static const char *const privates[] = { PEM_PKCS1, PEM_PKCS8, "words before\n\n" PEM_PKCS8 },
                             *const publics[] = { PEM_PUBLIC, PEM_PUBLIC1, PEM_CERT };
    for (size_t i = 0; i < 6; i++) {
        CLEANUP(jwt_key_freep)
        struct jwt_key *k = i < 3 ? pem(privates[i], true) : pem(publics[i - 3], false);
        CLEANUP(jwt_key_freep) struct jwt_key *same = jwk(RFC_RSA);
        assert_true(str_eq(jwt_key_kid(k), jwt_key_kid(same)));
        assert_int_equal(jwt_key_is_private(k), i < 3);
        verified(PY_RS256, k, JWT_RS256, true);
        verified(PY_PS256, k, JWT_RS256 | JWT_PS256, true);
        verified(PY_PS256, k, JWT_RS256, false);
        verified(PY_RS256, k, JWT_PS256 | JWT_ES256 | JWT_HS256, false);
        verified(PY_RS512, k, ~0u, false);
        verified(PY_ES256, k, ~0u, false);
    }
    CLEANUP(jwt_key_freep) struct jwt_key *ec = pem(PEM_EC, true);
    CLEANUP(jwt_key_freep) struct jwt_key *ec8 = pem(PEM_EC8, true);
    CLEANUP(jwt_key_freep) struct jwt_key *public = pem(PEM_EC_PUBLIC, false);
    assert_true(str_eq(jwt_key_kid(ec), jwt_key_kid(public)) && str_eq(jwt_key_kid(ec), jwt_key_kid(ec8)));
    verified(PY_ES256, public, JWT_ES256, true);
    verified(PY_ES256, public, JWT_RS256, false);
    struct jwt t = parse(PY_RS256);
    assert_true(t.audience_is_list && t.audience_count == 2 && str_eq(t.audience[1], STR("b")));
    assert_true(t.not_before == 1.5 && t.issued == 1000 && str_eq(t.kid, STR("k1")) &&
                str_eq(t.jti, STR("n")));
}

static void round_trip(struct jwt_key *k, unsigned algorithm)
{
    CLEANUP(buf_done) struct buf token = { 0 };
    CLEANUP(buf_done) struct buf json = { 0 };
    CLEANUP(buf_done) struct buf text = { 0 };
    struct err e = { 0 };
    assert_int_equal(jwt_key_put_jwk(k, true, &json, &e), 0);
    assert_int_equal(jwt_key_put_pem(k, false, &text, &e), 0);
    CLEANUP(jwt_key_freep) struct jwt_key *by_jwk = jwt_key_read_jwk(buf_view(&json), &e);
    CLEANUP(jwt_key_freep) struct jwt_key *by_pem = jwt_key_read_private(buf_view(&text), jwt_key_kid(k), &e);
    assert_non_null(by_jwk);
    assert_non_null(by_pem);
    assert_true(jwt_key_is_private(by_jwk) && str_eq(jwt_key_kid(by_jwk), jwt_key_kid(k)));
    assert_int_equal(jwt_sign(by_jwk, algorithm, STR("me"), STR("{\"iss\":\"x\"}"), &token, &e), 0);
    buf_char(&token, '\0');
    verified(token.ptr, by_pem, algorithm, true);
    assert_true(str_eq(parse(token.ptr).kid, STR("me")));
    buf_clear(&text);
    assert_int_equal(jwt_key_put_pem(k, true, &text, &e), 0);
    CLEANUP(jwt_key_freep) struct jwt_key *public = jwt_key_read_public(buf_view(&text), STR("p"), &e);
    verified(token.ptr, public, algorithm, true);
    char *last = token.ptr + token.len - 5;
    *last = *last == 'A' ? 'B' : 'A';
    verified(token.ptr, public, algorithm, false);
    buf_clear(&token);
    assert_int_equal(jwt_sign(public, algorithm, STR(""), STR("{}"), &token, &e), -1);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct err e = { 0 };
    CLEANUP(jwt_key_freep) struct jwt_key *new = jwt_key_generate(&e);
    CLEANUP(jwt_key_freep) struct jwt_key *ec = jwk(RFC_EC);
    CLEANUP(buf_done) struct buf out = { 0 };
    assert_non_null(new);
    for (int i = 0; i < 8; i++) /* ECDSA: numbers that begin with zeros come and go */
        round_trip(ec, JWT_ES256);
    round_trip(new, JWT_RS256);
    round_trip(new, JWT_PS256);
    CLEANUP(jwt_key_freep) struct jwt_key *rsa = jwk(RFC_RSA);
    assert_int_equal(jwt_key_put_pem(rsa, false, &out, &e), 0);
    assert_true(str_eq(buf_view(&out), STR(PEM_PKCS1)));
    buf_clear(&out);
    assert_int_equal(jwt_key_put_pem(rsa, true, &out, &e), 0);
    assert_true(str_eq(buf_view(&out), STR(PEM_PUBLIC)));
    buf_clear(&out);
    assert_int_equal(jwt_key_put_jwk(rsa, false, &out, &e), 0);
    assert_true(
        str_contains(buf_view(&out),
                     STR("\"kty\":\"RSA\",\"alg\":\"RS256\",\"use\":\"sig\",\"e\":\"AQAB\",\"n\":\"ofgW")));
    buf_clear(&out);
    assert_int_equal(jwt_key_put_jwk(rsa, true, &out, &e), 0); /* dp, dq and qi are those of the RFC */
    assert_true(str_contains(buf_view(&out), STR("\"qi\":\"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd")));
    assert_true(str_contains(buf_view(&out), STR("\"dp\":\"BwKfV3Akq5_MFZDFZCnW")));
}

/* The algorithm is the key's, whatever the header says. */
static void test_confusion(void **state)
{
    (void)state;
    CLEANUP(jwt_key_freep) struct jwt_key *k = pem(PEM_PUBLIC, false);
    CLEANUP(buf_done) struct buf token = { 0 };
    struct err e = { 0 };
    assert_int_equal(jwt_sign_secret(STR(PEM_PUBLIC), STR("k1"), STR("{\"iss\":\"quay\"}"), &token, &e), 0);
    buf_char(&token, '\0');
    verified(token.ptr, k, ~0u, false);
    struct jwt t = parse(PY_RS256);
    assert_false(jwt_verify_secret(&t, STR(PEM_PUBLIC)));
    verified(token_of("{\"alg\":\"none\"}", "{\"iss\":\"quay\"}", ""), k, ~0u, false);
    verified(token_of("{\"alg\":\"none\"}", "{\"iss\":\"quay\"}", ""), k, 0, false);
    verified(token_of("{\"alg\":\"RS256\"}", "{\"iss\":\"quay\"}", ""), k, ~0u, false);
    verified(token_of("{\"alg\":\"rs256\"}", "{}", strrchr(PY_RS256, '.') + 1), k, ~0u, false);
    char copy[4096]; /* a signature of RS256 under the name of RS512 */
    snprintf(copy, sizeof copy, "%s",
             token_of("{\"alg\":\"RS512\",\"kid\":\"k1\"}", "{}", strrchr(PY_RS256, '.') + 1));
    verified(copy, k, ~0u, false);
    /* keys that it brings along are not looked at */
    CLEANUP(jwt_key_freep) struct jwt_key *other = jwt_key_generate(&e);
    const char *brought =
        token_of("{\"alg\":\"RS256\",\"jwk\":" RFC_THUMB_KEY
                 ",\"jku\":\"http://127.0.0.1:1/\",\"x5u\":\"http://127.0.0.1:1/\",\"x5c\":[\"MII\"]}",
                 "{}", strrchr(PY_RS256, '.') + 1);
    verified(brought, other, ~0u, false);
    static const char *const short_es = "AAAA";
    CLEANUP(jwt_key_freep) struct jwt_key *ec = jwk(RFC_EC);
    verified(token_of("{\"alg\":\"ES256\"}", "{}", short_es), ec, ~0u, false);
}

static void refused(const char *token, enum jwt_part want, const char *words)
{
    struct jwt t;
    struct err e = { 0 };
    enum jwt_part where;
    if (jwt_parse(str_from(token), arena, &t, &where, &e) == 0)
        fail_msg("taken: %s", token);
    if (where != want || !strstr(e.text, words) || e.kind != ERR_FORMAT)
        fail_msg("%.200s: part %d, %s", token, where, e.text);
}

static void test_refused_tokens(void **state)
{
    (void)state;
    static const char good[] = "{\"alg\":\"RS256\"}";
    char large[JWT_TOKEN_MAX + 2];
    memset(large, 'A', sizeof large);
    large[100] = large[200] = '.';
    large[JWT_TOKEN_MAX + 1] = '\0';
    refused(large, JWT_PART_FORM, "16 KiB");
    refused("", JWT_PART_FORM, "three parts");
    refused("a.b", JWT_PART_FORM, "three parts");
    refused("a.b.c.d", JWT_PART_FORM, "three parts");
    refused("e30.e30.a", JWT_PART_FORM, "signature");
    refused("e30.e30.YQ==", JWT_PART_FORM, "signature");
    refused("e30.e30.YR", JWT_PART_FORM, "signature"); /* bits that mean nothing */
    refused("e30 .e30.YQ", JWT_PART_HEADER, "base64url");
    refused("e30.e30.YQ", JWT_PART_HEADER, "no \"alg\"");
    refused(token_of("[]", "{}", ""), JWT_PART_HEADER, "");
    refused(token_of("{\"alg\":5}", "{}", ""), JWT_PART_HEADER, "alg");
    refused(token_of("{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", ""), JWT_PART_HEADER, "twice");
    refused(token_of("{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}", "{}", ""), JWT_PART_HEADER,
            "crit");
    refused(token_of("{\"alg\":\"RS256\"} {}", "{}", ""), JWT_PART_HEADER, "");
    refused(token_of(good, "7", ""), JWT_PART_CLAIMS, "");
    refused(token_of(good, "{\"a\":1,\"\\u0061\":2}", ""), JWT_PART_CLAIMS, "twice");
    refused(token_of(good, "{\"a\":[[[[[[[[[[]]]]]]]]]]}", ""), JWT_PART_CLAIMS, "");
    refused(token_of(good, "{\"aud\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", ""), JWT_PART_CLAIMS, "16");
    struct jwt t = parse(token_of(
        good, "{\"aud\":[\"a\",1],\"exp\":\"1\",\"nbf\":1e999,\"iat\":null,\"iss\":{},\"jti\":7}", ""));
    assert_true(t.audience_count == 0 && !t.has_expires && !t.has_not_before && !t.has_issued);
    assert_true(!t.issuer.ptr && !t.jti.ptr);
}

static void test_refused_keys(void **state)
{
    (void)state;
    static const struct {
        char how; /* p: private PEM, u: public PEM, j: JWK */
        const char *text, *words;
    } rows[] = {
        { 'p', "", "no PEM" },
        { 'p', PEM_PUBLIC, "another kind of PEM" },
        { 'p', PEM_ENCRYPTED, "encrypted" },
        { 'p', PEM_ENCRYPTED1, "encrypted" },
        { 'p', PEM_P384, "neither RSA nor of the curve P-256" },
        { 'p', PEM_SMALL, "1024 bits" },
        { 'p', "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key" },
        { 'u', PEM_PKCS8, "another kind of PEM" },
        { 'u', "secret", "no PEM" },
        { 'u', "-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n", "no public key" },
        { 'j', "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qz\"}", "symmetric" },
        { 'j', "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}", "neither RSA nor EC" },
        { 'j', "{}", "kty" },
        { 'j', "{\"kty\":\"RSA\",\"kty\":\"RSA\"}", "twice" },
        { 'j', "{\"kty\":\"RSA\",\"n\":\"AQAB\"}", "no \"e\"" },
        { 'j', "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "bits" },
        { 'j', "{\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"}", "base64url" },
        { 'j', "{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "not for signatures" },
        { 'j', "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}", "P-256" },
        { 'j', "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", "32 bytes" },
        /* no point of the curve; a number that is not that point's */
        { 'j',
          "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
          "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
          "cannot be" },
        { 'j',
          "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-"
          "0iY7X1fCE9-E9LE\"}",
          "cannot be" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = { 0 };
        str text = str_from(rows[i].text);
        CLEANUP(jwt_key_freep)
        struct jwt_key *k = rows[i].how == 'p'   ? jwt_key_read_private(text, STR(""), &e)
                            : rows[i].how == 'u' ? jwt_key_read_public(text, STR(""), &e)
                                                 : jwt_key_read_jwk(text, &e);
        if (k || e.kind != ERR_FORMAT || !strstr(e.text, rows[i].words))
            fail_msg("row %zu: %s", i, k ? "taken" : e.text);
    }
    CLEANUP(buf_done) struct buf large = { 0 };
    struct err e = { 0 };
    while (large.len < 65536)
        buf_str(&large, STR(PEM_PUBLIC));
    assert_null(jwt_key_read_public(buf_view(&large), STR(""), &e));
    assert_non_null(strstr(e.text, "64 KiB"));
}

static void test_padding(void **state)
{
    (void)state;
    CLEANUP(jwt_key_freep) struct jwt_key *k = jwk(RFC_RSA);
    CLEANUP(buf_done) struct buf json = { 0 };
    struct err e = { 0 };
    assert_int_equal(jwt_key_put_jwk(k, false, &json, &e), 0);
    json.len -= 2; /* `"}`: the old client pads n */
    buf_str(&json, STR("==\"}"));
    CLEANUP(jwt_key_freep) struct jwt_key *padded = jwt_key_read_jwk(buf_view(&json), &e);
    assert_non_null(padded);
    verified(RFC_RS256, padded, JWT_RS256, true);
    CLEANUP(jwt_key_freep) struct jwt_key *again = jwt_key_ref(padded);
    assert_ptr_equal(again, padded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rfc, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_confusion, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_padding, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
