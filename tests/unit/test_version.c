/* test_version.c - versions of packages of systems: comparators and keys against recorded orders, against each other, and at their limits. */
#include "version_check.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- recorded tables ---- */

/* Outside the grammar: the recorded order looks into what is one token to us. Only rows with these differ. */
static const char *const malformed_apk[] = { ".2", "0..8", "1-r", "c", "0...1...0.r1", "0...1...0r1", NULL };

static const struct version_table tables[] = {
    { "dpkg", &version_dpkg, 6000, 0, 0, NULL },
    { "oracle-dpkg", &version_dpkg, 2623, 0, 0, NULL },
    { "rpm", &version_rpm, 108, 0, 0, NULL },
    { "rpmvercmp", &version_rpmvercmp, 3062, 0, 0, NULL },
    { "oracle-rpmvercmp", &version_rpmvercmp, 1380, 0, 0, NULL },
    { "apk", &version_apk, 6000, 0, 6, malformed_apk },
};

static void test_tables(void **state) { version_check_tables(tables, COUNT(tables)); }

/* ---- chains: all pairs of a chain are compared ---- */

static const struct version_chain chains[] = {
    { &version_dpkg,
      "1.0~~ < 1.0~ < 1.0~rc1 < 1.0 = 1.0-0 = 01.00 = 0:1.0 < 1.0-0a < 1.0-1 < 1.0a = 1.0a0 < 1.0aa < "
      "1.0b < 1.0+ < 1.0+b1 < 1.0-1-1 < 1.0.0 < 2.0 < 1:0.9 < 01:1 < 2147483647:0" },
    { &version_dpkg, "2.30-1~deb12u1 < 2.30-1 < 2.30-1+b1 < 2.30-1+deb12u1 < 2.30-1.1 < 2.30-2" },
    { &version_dpkg, "~1 < 0 = 00 < 0a = 0a-0 < 0a-0a < 1 < A < Z < a < z < +" },
    { &version_dpkg,
      "39 < 40 < 41 < 295 < 296 < 65575 < 65576 < 4294967295 < 4294967296 < 18446744073709551615 < "
      "18446744073709551616 < 95780971304118053647396689196894323976171195136475175 < "
      "95780971304118053647396689196894323976171195136475176 < "
      "995780971304118053647396689196894323976171195136475176" },
    { &version_dpkg, "1:1:1 < 1:1:2 < 1:2" },
    { &version_rpm,
      "1 = 0:1 = :1 = 00:01 < 1-~ < 1- = 1-. < 1-^ < 1-a < 1-0 = 1-00 < 1-1 < 1.0~rc1 < 1.0~rc1^git1 < "
      "1.0 = 1_0 = 1..0 < 1.0-1 < 1.0^ < 1.0^git1 < 1.0^git1.1 < 1.0a < 1.0.1 < 10.1 = 10.0001 < 1:0" },
    { &version_rpm, "5.16.1.3-1.el7 < 5.16.1.3-1.el7_9.1 < 5.16.1.3-1.1 < 5.16.1.3-2 < 4294967296:1-1" },
    { &version_rpm, "a:1 < b:1 < 1-2:3 < 1-3 < 1-2-3" },
    { &version_rpmvercmp,
      "~~ < ~ < ~a < ~1 < . < ^~ < ^ < ^a < ^1 < A < a < aa < ab < b < 0 < 0a < 0.0 < 1 < 39 < 40" },
    { &version_apk,
      "1_alpha < 1_alpha1 < 1_alpha2_beta < 1_alpha2 < 1_beta < 1_pre < 1_rc < 1_rc0 < 1_rc1 < 1_blah < "
      "1 = 01 < 1-r0 = 1-r00 < 1-r1 < 1-r10 < 1~0 < 1~00ff < 1~a < 1~a-r0 < 1~f < 1_cvs < 1_svn < "
      "1_git < 1_hg < 1_p_alpha < 1_p < 1_p-r0 < 1_p~a < 1_p0 = 1_p00 < 1_p1 < 1_p9 < 1_p10 < 1_p_p < 1a < "
      "1a_p1 < 1a0 < "
      "1a00 < 1a01 < 1a1 < 1a1.1 < 1b < 1.0 < 1.00 < 1.01 < 1.05 < 1.1 < 1.2 < 1.10 < 2 < 20230101-r0" },
    { &version_apk, ".1 = x = -r1 < 1.7.5_rc1 < 1.7.5.-r1 = 1.7.5A = 1.7.5- = 1.7.5_ = 1.7.5~ = 1.7.5~g < "
                    "1.7.5 < 1.7.5-r0 < 1.7.5_p.1 < 1.7.5_p" },
    { &version_alpm, "~ = . < 0 = 0:0 < 1a = 01a < 1alpha < 1b < 1rc1 < 1 = 0:1 = :1 < 1-a < 1- < 1-. < 1-0 "
                     "< 1-1 = 1-01 < 1-1.1 < "
                     "1-2 < 1. = 1.. < 1.-1 < 1.a < 1.0a < 1.0 = 1_0 = 1~0 = 1^0 < 1.0-1 < 1.0.a < 1.0.1 < "
                     "1.1 < 1..0 < 2 < 10 < .a < .0 < 1:0-1" },
    { &version_alpm, "1.5b0 = 1.5b00 < 1.5b0.1 < 1.5b39 < 1.5 < 1.5.a < 1.5.0" },
    { &version_alpm, "a:1 < b:1 < 1-2:3 < 1-3" },
};

static void test_chains(void **state)
{
    for (size_t i = 0; i < COUNT(chains); i++)
        version_check_chain(&chains[i]);
}

/* ---- bytes: stored keys must not change ---- */

static const struct version_bytes keys[] = {
    { &version_dpkg, "1.0-1", "0203ae02020302" },
    { &version_dpkg, "2:8.2.2434-3+deb12u1~a", "040aae04ae2b095a0205ab6465620e750301610202" },
    { &version_dpkg, "40", "022a00020202" },
    { &version_dpkg, "1000000000000000000000000000000000000000000000000000000000000",
      "024000199f4f2726179a224501d762422c946590d90fffffffffffffd8020202" },
    { &version_dpkg, "95780971304118053647396689196894323976171195136475175",
      "023fffffffffffffffffffffffffffffffffffffffffffff020202" },
    { &version_dpkg, "95780971304118053647396689196894323976171195136475176",
      "024000170100000000000000000000000000000000000000000000020202" },
    { &version_rpm, "1.0~rc1-2", "0281800172630081028202" },
    { &version_rpm, "1.0~rc1", "028180017263008102" },
    { &version_rpm, "20240101^git-", "02ab0134d6bd03676974000202" },
    { &version_rpmvercmp, "", "02" },
    { &version_apk, "1.2.03b_rc1_p~ab-r3", "0a0309040901303300086201030603070805616200040503" },
    { &version_apk, "1_x", "0a0302" },
    { &version_alpm, "2:1.40rc_1-3", "0481bfa800726300bf817b837b" },
    { &version_alpm, "1.", "02817c" },
};

static void test_key_bytes(void **state)
{
    for (size_t i = 0; i < COUNT(keys); i++)
        version_check_bytes(&keys[i]);
}

/* ---- what is not a version ---- */

static const struct {
    const struct version_scheme *scheme;
    str version;
} invalid[] = {
    { &version_dpkg, STR("") },
    { &version_dpkg, STR(":1") },
    { &version_dpkg, STR("1:") },
    { &version_dpkg, STR("-1") },
    { &version_dpkg, STR("1-") },
    { &version_dpkg, STR("1:-1") },
    { &version_dpkg, STR("x:1") },
    { &version_dpkg, STR("+1:1") },
    { &version_dpkg, STR("1-2:3") },
    { &version_dpkg, STR("1 2") },
    { &version_dpkg, STR(" 1") },
    { &version_dpkg, STR("1\n") },
    { &version_dpkg, STR("1\xc3\xa9") },
    { &version_dpkg, STR("1\0002") },
    { &version_dpkg, STR("2147483648:1") },
    { &version_dpkg, STR("99999999999999999999:1") },
    { &version_rpm, STR("") },
    { &version_rpm, STR("1:") },
    { &version_rpm, STR("-1") },
    { &version_rpm, STR("1:-1") },
    { &version_rpm, STR("1 2-3") },
    { &version_rpm, STR("1\0002-3") },
    { &version_rpmvercmp, STR("1\t2") },
    { &version_alpm, STR("") },
    { &version_alpm, STR("1:") },
    { &version_alpm, STR("-1") },
    { &version_alpm, STR("1:-1") },
    { &version_alpm, STR("1 2-3") },
    { &version_apk, STR("") },
    { &version_apk, STR("1.2 3") },
    { &version_apk, STR("1\x7f") },
    { &version_apk, STR("1.\xc3\xa9") },
};

static void test_invalid(void **state)
{
    for (size_t i = 0; i < COUNT(invalid); i++)
        version_check_invalid(invalid[i].scheme, invalid[i].version);
}

/* ---- what has an order, but by guess ---- */

static const struct {
    const struct version_scheme *scheme;
    const char *version;
    bool exact;
} exact[] = {
    { &version_apk, "1", true },          { &version_apk, "1.2.03b_rc1_p~ab-r3", true },
    { &version_apk, "6.0.2p1-r4", true }, { &version_apk, "1-r00", true },
    { &version_apk, "1.7.5.-r1", false }, { &version_apk, "1.7.5-r", false },
    { &version_apk, "1-r1-r2", false },   { &version_apk, "1_x", false },
    { &version_apk, "1~g", false },       { &version_apk, "1A", false },
    { &version_apk, ".1", false },        { &version_apk, "foo", false },
    { &version_apk, "", false },          { &version_dpkg, "a_b", true },
    { &version_dpkg, "1-", false },       { &version_rpm, "a:1", true },
    { &version_rpm, "", false },          { &version_rpmvercmp, "", true },
    { &version_rpmvercmp, "1 2", false },
};

static void test_exact(void **state)
{
    for (size_t i = 0; i < COUNT(exact); i++)
        if (exact[i].scheme->exact(str_from(exact[i].version)) != exact[i].exact)
            fail_msg("%s: '%s' is %sexact", exact[i].scheme->name, exact[i].version,
                     exact[i].exact ? "not " : "");
}

static void test_names(void **state)
{
    size_t i = 0;
    for (; version_schemes[i]; i++)
        assert_ptr_equal(version_scheme_by_name(str_from(version_schemes[i]->name)), version_schemes[i]);
    assert_int_equal(i, 11);
    assert_null(version_scheme_by_name(STR("")));
    assert_null(version_scheme_by_name(STR("dpk")));
    assert_null(version_scheme_by_name(STR("dpkgs")));
}

/* ---- limits: every pattern fills versions of each length up to one above the limit ---- */

static const char *const patterns[] = { "9",  "0",  "a",  "~",   "^",   "+",   "1a",
                                        "a1", "1.", ".0", ".10", "1_p", "_p1", "0a.0" };

static void run_length(const struct version_scheme *s, const char *pattern, size_t len)
{
    CLEANUP(freep) char *text = malloc(len); /* its own block, so that a sanitizer sees a read past the end */
    assert_non_null(text);
    text[0] = '1';
    for (size_t i = 1; i < len; i++)
        text[i] = pattern[(i - 1) % strlen(pattern)];

    str v = str_of(text, len);
    struct version_key k;
    bool valid = s->valid(v), key = s->key(v, &k);
    assert_int_equal(valid, len <= VERSION_TEXT_MAX);
    assert_int_equal(key, valid);
    assert_true(key ? k.len && k.len <= VERSION_KEY_MAX : !k.len);
    if (key && len > 1)
        version_check(s, v, STR("0"), 1);
}

/* Each ".0" of apk takes four bytes, which makes this the one way to too long a key. */
static void run_long_key(void)
{
    char full[3 + 2 * 254];
    memcpy(full, "1a0", 3);
    for (size_t i = 0; i < 254; i++)
        memcpy(full + 3 + 2 * i, ".0", 2);

    struct version_key k;
    assert_true(version_apk.key(str_of(full, 3 + 2 * 253), &k));
    assert_true(version_apk.valid(str_of(full, 3 + 2 * 254)));
    assert_false(version_apk.key(str_of(full, 3 + 2 * 254), &k));
    assert_int_equal(k.len, 0);
}

static void test_limits(void **state)
{
    static const struct version_scheme *const systems[] = { &version_dpkg, &version_rpm, &version_rpmvercmp,
                                                            &version_apk, &version_alpm };
    for (size_t s = 0; s < COUNT(systems); s++)
        for (size_t p = 0; p < COUNT(patterns); p++)
            for (size_t len = 1; len <= VERSION_TEXT_MAX + 1; len++)
                run_length(systems[s], patterns[p], len);
    run_long_key();
}

/* ---- properties of random versions and their mutations ---- */

#define DPKG_WORDS                                                                                           \
    "~ ~~ + . - -0 -1 a z A rc deb12u +b +dfsg _ 0 00 1 2 39 40 41 295 296 10 0: 1: 2024 @ : "               \
    "18446744073709551616"
#define RPM_WORDS                                                                                            \
    "~ ^ ^^ ~~ . _ + - -0 -1 a B git rc el9 el9_2 0 00 1 2 39 40 41 295 296 1: 0: : 0001 \xce\xb1 "          \
    "18446744073709551616"
#define APK_WORDS                                                                                            \
    ". .0 .00 .1 .10 .01 _ _alpha _beta _pre _rc _cvs _svn _git _hg _p -r -r0 -r1 ~ ~ab ~1 a b p1 "          \
    "0 00 1 2 39 40 41 296 18446744073709551616"

static void test_property(void **state)
{
    version_check_property(&version_dpkg, DPKG_WORDS, 0);
    version_check_property(&version_rpm, RPM_WORDS, 0);
    version_check_property(&version_rpmvercmp, RPM_WORDS, 0);
    version_check_property(&version_apk, APK_WORDS, 400);
    version_check_property(&version_alpm, RPM_WORDS, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),  cmocka_unit_test(test_chains),   cmocka_unit_test(test_key_bytes),
        cmocka_unit_test(test_invalid), cmocka_unit_test(test_exact),    cmocka_unit_test(test_names),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
