/* test_version_language.c - versions of packages of languages: comparators and keys against recorded orders, against each other, and at their
 * limits. */
#include "version_check.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- recorded tables ---- */

/* Orders that are not of Maven 3.8, in which ".RC1" at the end is "-RC1", "_" a letter, and "1-ga-1" above "1-1". */
static const char *const odd_maven[] = {
    "1-ga-1",
    "2.9.0.RC1",
    "6.1.12rc1",
    "1.1.31_noneautotype",
    "1.1.46_noneautotype",
    "1.2.31_noneautotype",
    "1.2.48_noneautotype",
    "1.2.50_noneautotype",
    "1.2.54_noneautotype",
    "1.2.60_noneautotype",
    "1.2.67_noneautotype",
    "1.2.8_noneautotype",
    NULL,
};

/* Orders of PHP's version_compare() before Composer made four numbers, and words of one spelling. */
static const char *const odd_composer[] = {
    "1.0", "v3.0", "v4-beta4", "v6.5", "v6.6", "v1.9.0-ALPHA.2", NULL
};

static const struct version_table tables[] = {
    { "semver", &version_semver, 58, 0, 0, NULL },
    { "oracle-semver", &version_semver, 996, 0, 0, NULL },
    { "nuget", &version_nuget, 23, 0, 0, NULL },
    { "pep440", &version_pep440, 6000, 28, 0, NULL }, /* invalid: from before PEP 440 */
    { "oracle-pep440", &version_pep440, 1648, 0, 0, NULL },
    { "gem", &version_gem, 2748, 0, 0, NULL },
    { "maven", &version_maven, 6000, 0, 12, odd_maven },
    { "oracle-maven", &version_maven, 1199, 0, 0, NULL },
    { "composer", &version_packagist, 6000, 13, 6, odd_composer }, /* invalid: "dev-foo", "1.0.post1" */
};

static void test_tables(void **state) { version_check_tables(tables, COUNT(tables)); }

/* ---- chains ---- */

static const struct version_chain chains[] = {
    { &version_semver, "v0.0.0-0-0 < 0 = 0.0 = v0.0.0 < 0.0.1" },
    { &version_semver, "1.0.0-0 = 1-00 < 1.0.0-1 < 1.0.0-40 < 1.0.0-18446744073709551616 < 1.0.0-- < "
                       "1.0.0-0a < 1.0.0-A < 1.0.0-alpha < "
                       "1.0.0-alpha.1 < 1.0.0-alpha.1.0 < 1.0.0-alpha.beta < 1.0.0-alpha-beta < 1.0.0-beta < "
                       "1.0.0-beta.2 < 1.0.0-beta.11 < 1.0.0-rc.1 < "
                       "1.0.0 = 1 = v1.0 = V1.0.0 = =01.00.0+b = 1.0.0+incompatible = 1.0.0.0 = 1+ < "
                       "1.0.0.0.1-rc < 1.0.0.0.1 < 1.0.0.1 < "
                       "1.0.1-0 < 1.0.1 < 1.2 < 1.10 < 39 < 40 < 41 < 296" },
    { &version_semver, "v0.0.0-20190101000000-abcdefabcdef < v0.0.0-20200101000000-abcdefabcdef < v1.2.2 < "
                       "v1.2.3-0.20200101000000-abcdefabcdef < "
                       "v1.2.3-pre < v1.2.3-pre.0.20200101000000-abcdefabcdef < v1.2.3" },
    { &version_nuget, "1.0-1 < 1.0.0-alpha = 1.0.0.0-ALPHA < 1.0.0-alpha.1 < 1.0-B < 1.0-rc < 1 = 1.0.0+x = "
                      "1.0.0.0 < 1.0.0.1-a < 1.0.0.1 < 1.0.1" },
    { &version_pep440, "1.dev0 = 1.0.dev = 1.0-DEV_0 < 1.0.dev1 < 1.0a0.dev1 < 1.0a = 1.0.alpha0 = 1.0-a_ < "
                       "1.0a.post0.dev1 < 1.0a1 < 1.0a1.post1 < 1.0a2.dev1 < 1.0b1 = "
                       "1.0-beta-1 < 1.0rc1 = 1.0c1 = 1.0.pre1 = 1.0_preview.1 < 1.0rc2 < 1.0 = 1 = v1.0.0 = "
                       "0!1 < 1.0+a = 1.0+A < 1.0+a.a < 1.0+a.0 < 1.0+b < 1.0+0 < "
                       "1.0+1 = 1.0+01 < 1.0+1.a < 1.0+1.1 = 1.0+1-1 = 1.0+1_1 < 1.0+10 < 1.0.post0.dev0 < "
                       "1.0.post0 = 1.0-0 = 1.0.post = 1.0r < 1.0.post1 = 1.0-1 = "
                       "1.0rev1 = 1.0.r.1 < 1.0.0.0.1 < 1.0.1 < 1.1 < 39 < 40 < 41 < 2004 < 1!0 = 01!0.0" },
    { &version_gem, "0.a = 0.0.a < 0 = 0.0 = 00 < 0.0.1" },
    { &version_gem, "1.A < 1.a.A < 1.a.b < 1.a.0.b < 1.0.a = 1.a.0 = 1.a = 1a < 1.a.0.1 < 1.a.1.b < 1.a.1 = "
                    "1.a1 < 1.b < 1-1 = 1.pre.1 < 1-1.2 < 1.rc < 1 = 1.0 = 1.0.0 < "
                    "1.0.1.a < 1.0.1 < 1.1 < 1.39 < 1.40 < 1.18446744073709551616 < 2" },
    { &version_maven, "1-alpha = 1.0-ALPHA = 1.0.alpha < 1a1 = 1-alpha-1 = 1.0.0-alpha1 < 1-beta < 1b1 < "
                      "1-milestone < 1.0.M1 = 1.0-m1 < 1-rc = 1cr < 1.0.RC2 = 1.0-cr2 < "
                      "1.0-SNAPSHOT < 1 = 1.0 = 1.ga = 1-final = 1.0.0.RELEASE = 1-0 = 1-- = 01. < 1-sp < "
                      "1-sp1 < 1-a < 1-abc = 1.0.ABC < 1-x < 1-1-rc < 1-1 = 1.0-1 < "
                      "1.1-rc < 1.1 < 1.39 < 1.40 < 1.18446744073709551616 < 2" },
    /* What Maven has in circles: older than what both begin with is older. */
    { &version_maven, "1.rc.1 < 1-rc-1 < 1.0.rc.1 < 1 < 1.x.1 < 1-x-1 < 1.0.x.1 < 1.0.1" },
    { &version_maven, "rc < snapshot < 0 = ga = . < sp < foo < 0-1 = -1 < 0.1 = .1" },
    { &version_packagist,
      "1.0.0-dev = 1.0dev = v1-DEV < 1.0-alpha = 1.0.0.0.a < 1.0-alpha1-dev < 1.0-alpha1 = 1.0A.1 = "
      "1.0-ALPHA-1 < 1.0-alpha2 < 1.0-beta < 1.0b2 < "
      "1.0-RC1 = 1.0rc1 < 1.0-rc1.1 < 1.0-rc2 < 1.0 = 1 = 1.0.0.0 = 1.0-stable = v1.0+build = 1.0_STABLE < "
      "1.0-p1-dev < 1.0-p1 = 1.0-patch1 = 1.0pl1 < 1.0.0.1 < 1.0.1 < "
      "1.2.x-dev < 1.3 < 1.x-dev = 1.9999999.x-dev < 2 < 39 < 40 < 41 < 2013-01-02 < 20130102" },
};

static void test_chains(void **state)
{
    for (size_t i = 0; i < COUNT(chains); i++)
        version_check_chain(&chains[i]);
}

/* ---- what is not a version ---- */

static const struct {
    const struct version_scheme *scheme;
    str version;
} invalid[] = {
    { &version_semver, STR("") },
    { &version_semver, STR("v") },
    { &version_semver, STR("vv1") },
    { &version_semver, STR("1.") },
    { &version_semver, STR("1..2") },
    { &version_semver, STR("1.0.0-") },
    { &version_semver, STR("1.0.0-a.") },
    { &version_semver, STR("1.0.0-.a") },
    { &version_semver, STR("1.0.0-a..b") },
    { &version_semver, STR("1.0.0-a_b") },
    { &version_semver, STR("1.0.0rc1") },
    { &version_semver, STR("1.0.x") },
    { &version_semver, STR("+1") },
    { &version_semver, STR("1.0.0 ") },
    { &version_semver, STR("1.0.0\0") },
    { &version_semver, STR("1.0.0-\xc3\xa9") },
    { &version_semver, STR("(devel)") },
    { &version_nuget, STR("") },
    { &version_nuget, STR("1.0-") },
    { &version_pep440, STR("") },
    { &version_pep440, STR("v") },
    { &version_pep440, STR("!1") },
    { &version_pep440, STR("a!1") },
    { &version_pep440, STR("1!") },
    { &version_pep440, STR("1.") },
    { &version_pep440, STR("1.0.x") },
    { &version_pep440, STR("1.0rc1rc2") },
    { &version_pep440, STR("1.0.dev1.post1") },
    { &version_pep440, STR("1.0+") },
    { &version_pep440, STR("1.0+a.") },
    { &version_pep440, STR("1.0+.a") },
    { &version_pep440, STR("1.0+a+b") },
    { &version_pep440, STR("1.0-p1") },
    { &version_pep440, STR("1 .0") },
    { &version_gem, STR("") },
    { &version_gem, STR("a") },
    { &version_gem, STR(".1") },
    { &version_gem, STR("1.") },
    { &version_gem, STR("1..2") },
    { &version_gem, STR("1-") },
    { &version_gem, STR("1-.2") },
    { &version_gem, STR("1_2") },
    { &version_gem, STR("1\n") },
    { &version_maven, STR("") },
    { &version_maven, STR("1 2") },
    { &version_maven, STR("1\0") },
    { &version_packagist, STR("") },
    { &version_packagist, STR("v") },
    { &version_packagist, STR("dev-main") },
    { &version_packagist, STR("x-dev") },
    { &version_packagist, STR("1.x") },
    { &version_packagist, STR("1.") },
    { &version_packagist, STR("1.0-") },
    { &version_packagist, STR("1.0-foo") },
    { &version_packagist, STR("1.0-beta-rc") },
    { &version_packagist, STR("1.0-dev1") },
    { &version_packagist, STR("1.0.post1") },
    { &version_packagist, STR("1.0-stable-") },
};

static void test_invalid(void **state)
{
    for (size_t i = 0; i < COUNT(invalid); i++)
        version_check_invalid(invalid[i].scheme, invalid[i].version);
}

/* ---- bytes ---- */

static const struct version_bytes keys[] = {
    { &version_semver, "1.2.3", "030405fe" },
    { &version_semver, "1.40.0-rc.1+b", "032a0002607263000301" },
    { &version_semver, "1.2.3.0.4", "030405ff02ff06fe" },
    { &version_nuget, "1.2.3-RC.1", "030405607263000301" },
    { &version_pep440, "1!2.0.3.0rc1.post2.dev3+Ab.1", "030402050104030405026162008101" },
    { &version_pep440, "1.0", "0203010501ff00" },
    { &version_gem, "1.0.rc1.0.b", "81726300817d62007e" },
    { &version_gem, "1.10.0", "818a7e" },
    { &version_maven, "1.0-rc-1", "210b0418210d" },
    { &version_maven, "1.0.x.0.2-SP", "2120117800202218100d" },
    { &version_maven, "31.1-jre", "3f2118116a7265000d" },
    { &version_packagist, "v1.2-beta1-dev", "1112101003110105" },
    { &version_packagist, "1.0pl2", "11101010601205" },
};

static void test_bytes(void **state)
{
    for (size_t i = 0; i < COUNT(keys); i++)
        version_check_bytes(&keys[i]);
}

/* ---- limits ---- */

static const struct version_scheme *const schemes[] = { &version_semver, &version_nuget, &version_pep440,
                                                        &version_gem,    &version_maven, &version_packagist };
#define LONG_KEY 250 /* "1---..." of gem has four bytes a "-", words of Maven three a letter */

static const char *const patterns[] = { "9",  "0",   ".0", ".10", "-",  "-a",   ".a", "a1",
                                        "x1", "+a.", "rc", "-rc", ".-", "0a.0", "x.", "+0-a" };

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
    assert_true(valid ? len <= VERSION_TEXT_MAX : !key);
    assert_true(key ? k.len && k.len <= VERSION_KEY_MAX : !k.len);
    assert_true(key || !valid || len > LONG_KEY);
    if (key)
        version_check(s, v, STR("0"), 1);
    if (valid)
        assert_int_equal(s->compare(v, v), 0);
}

static void test_limits(void **state)
{
    for (size_t s = 0; s < COUNT(schemes); s++)
        for (size_t p = 0; p < COUNT(patterns); p++)
            for (size_t len = 1; len <= VERSION_TEXT_MAX + 1; len++)
                run_length(schemes[s], patterns[p], len);
}

/* ---- properties ---- */

#define SEMVER_WORDS                                                                                         \
    ". .0 .1 .10 - -0 -rc -alpha -beta.2 -RC.1 -a.b.c -A -1 +b +incompatible a Z 0 00 1 2 39 40 41 295 296 " \
    "v -20210101 "                                                                                           \
    "18446744073709551616"
#define PEP440_WORDS                                                                                         \
    ". .0 .00 .1 a b rc c alpha BETA pre preview post rev r dev .dev1 .post1 rc1 - _ + +ab +1 .x 1! v 0 00 " \
    "1 2 39 40 41 296 -1 "                                                                                   \
    "18446744073709551616"
#define GEM_WORDS ". .0 .00 .1 .a .b .rc .pre - -1 -a a b A rc 0 00 1 2 39 40 41 296 18446744073709551616"
#define MAVEN_WORDS                                                                                          \
    ". - .0 -0 .1 -1 rc .rc -rc cr alpha beta milestone snapshot final .GA -release sp a b m x foo X _ "     \
    "\xc3\xa9 0 00 1 2 39 40 41 296 "                                                                        \
    "18446744073709551616"
#define PACKAGIST_WORDS                                                                                      \
    ". - _ : .0 .1 -1 alpha -beta -RC .rc a b p pl patch -p1 stable dev -dev .x x * +b v 0 00 1 2 39 40 41 " \
    "296 18446744073709551616"

static void test_property(void **state)
{
    version_check_property(&version_semver, SEMVER_WORDS, LONG_KEY);
    version_check_property(&version_nuget, SEMVER_WORDS, LONG_KEY);
    version_check_property(&version_pep440, PEP440_WORDS, LONG_KEY);
    version_check_property(&version_gem, GEM_WORDS, LONG_KEY);
    version_check_property(&version_maven, MAVEN_WORDS, LONG_KEY);
    version_check_property(&version_packagist, PACKAGIST_WORDS, LONG_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables), cmocka_unit_test(test_chains), cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_bytes),  cmocka_unit_test(test_limits), cmocka_unit_test(test_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
