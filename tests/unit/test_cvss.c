/*
 * test_cvss.c - base scores from vectors: examples, what is no vector, and the scores that NVD and others recorded.
 *
 * The recorded ones are found by ECLAIR_TEST_DATA (default ../shared/data).
 */
#include "model/cvss.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int score(const char *version, str vector)
{
    uint16_t base = 999;
    if (cvss_score(str_from(version), vector, &base) < 0) {
        assert_int_equal(base, 999);
        return -1;
    }
    return base;
}

/* Of 3.x those of CVE-2013-1937 and others are examples of FIRST, and so are most of 4.0; of 2.0 the three of its guide. */
static const struct {
    const char *vector;
    int base;
} examples[] = {
    { "AV:N/AC:L/Au:N/C:N/I:N/A:C", 78 },
    { "AV:N/AC:L/Au:N/C:C/I:C/A:C", 100 },
    { "AV:L/AC:H/Au:N/C:C/I:C/A:C", 62 },
    { "A:P/I:P/C:P/Au:N/AC:L/AV:N", 75 },
    { "AV:L/AC:H/Au:M/C:N/I:N/A:P", 8 },
    { "AV:N/AC:L/Au:N/C:N/I:N/A:N", 0 },
    { "AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:H", 78 },
    { "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61 },
    { "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61 },
    { "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 64 },
    { "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 99 },
    { "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100 },
    { "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98 },
    { "CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 31 },
    { "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:H/I:H/A:H", 70 },
    { "CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 68 },
    { "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L", 16 },
    { "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:N/I:N/A:N", 0 },
    { "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:U/CR:L/IR:L/AR:L/MAV:P/MAC:H/MPR:H/MUI:R/"
      "MS:U/MC:N/MI:N/MA:N",
      98 },
    { "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 73 },
    { "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 77 },
    { "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N", 88 },
    { "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 93 },
    { "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 100 },
    { "CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:N/VC:N/VI:L/VA:N/SC:N/SI:N/SA:N", 53 },
    { "CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:N/VC:N/VI:L/VA:N/SC:N/SI:N/SA:N/E:U/U:Clear/MSI:S/RE:M/AU:Y", 53 },
    { "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 51 },
    { "CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:N/VI:N/VA:N/SC:N/SI:N/SA:L", 10 },
    { "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0 },
};

static void test_examples(void **state)
{
    for (size_t i = 0; i < COUNT(examples); i++) {
        str vector = str_from(examples[i].vector), version = cvss_vector_version(vector);
        int by_vector = score("", vector);
        uint16_t by_version = 999;
        assert_int_equal(cvss_score(version, vector, &by_version), 0);
        if (by_vector != examples[i].base || by_version != examples[i].base)
            fail_msg("%s: %d and %d instead of %d", examples[i].vector, by_vector, by_version,
                     examples[i].base);
    }
}

static const char *const none[] = {
    "",
    "/",
    "AV",
    "AV:N",
    "AV:N/AC:L/Au:N/C:N/I:N",
    "AV:N/AC:L/Au:N/C:N/I:N/A:",
    "AV:N/AC:L/Au:N/C:N/I:N/A:X",
    "AV:N/AC:L/Au:N/C:N/I:N/A:N P",
    "AV:N/AC:L/Au:N/C:N/I:N/A:C/A:C",
    "AV:N/AC:L/Au:N/C:N/I:N/A:C/X:C",
    "AV:N/AC:L/Au:N/C:N/I:N/A:C/E:U/E:U",
    "AV:N//AC:L/Au:N/C:N/I:N/A:C",
    "av:n/ac:l/au:n/c:n/i:n/a:c",
    "(AV:N/AC:L/Au:N/C:N/I:N/A:C)",
    "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", /* which of 3.x? */
    "CVSS:2.0/AV:N/AC:L/Au:N/C:N/I:N/A:C",
    "CVSS:3.1",
    "CVSS:3.1/",
    "CVSS:3.2/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:X/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:A",
    "CVSS:4.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:S/SA:N",
};

static void test_none(void **state)
{
    static const char *const versions[] = { "", "2.0", "3.0", "4.0", "1.0", "3", "3.1 " };
    for (size_t i = 0; i < COUNT(none); i++)
        for (size_t v = 0; v < COUNT(versions); v++)
            if (score(versions[v], str_from(none[i])) >= 0 && strcmp(versions[v], "3.0"))
                fail_msg("'%s' is a vector of '%s'", none[i], versions[v]);
    assert_int_equal(score("", str_of(NULL, 0)), -1);
    assert_int_equal(score("", STR("AV:N/AC:L/Au:N/C:N/I:N/A:N\0")), -1);
}

/* What the version says and the vector says must fit; only 3.x and 4.0 may lack the prefix. */
static void test_versions(void **state)
{
    str bare = STR("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        of30 = STR("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), of20 = STR("AV:N/AC:L/Au:N/C:N/I:N/A:C");
    assert_int_equal(score("3.0", bare), 98);
    assert_int_equal(score("3.1", bare), 98);
    assert_int_equal(score("2.0", bare), -1);
    assert_int_equal(score("4.0", bare), -1);
    assert_int_equal(score("3.0", of30), 98);
    assert_int_equal(score("3.1", of30), -1);
    assert_int_equal(score("2.0", of30), -1);
    assert_int_equal(score("3.1", of20), -1);
    assert_true(str_eq(cvss_vector_version(of20), STR("2.0")));
    assert_true(str_eq(cvss_vector_version(of30), STR("3.0")));
    assert_true(str_eq(cvss_vector_version(STR("CVSS:3.1/x")), STR("3.1")));
    assert_true(str_eq(cvss_vector_version(STR("CVSS:4.0/")), STR("4.0")));
    assert_int_equal(cvss_vector_version(STR("CVSS:5.0/")).len, 0);
    assert_int_equal(cvss_vector_version(STR("CVSS:4.0")).len, 0);
    assert_int_equal(cvss_vector_version(str_of(NULL, 0)).len, 0);
}

/* ---- every base vector there is, by a hash of all scores: made with the calculator `cvss` 3.6 of Red Hat, which agrees ---- */

static const struct {
    const char *prefix, *metrics; /* "NAME values, ..." in the order in which the last turns fastest */
    size_t count;
    uint64_t hash;
} all[] = {
    { "", "AV LAN,AC HML,Au MSN,C NPC,I NPC,A NPC", 729, 0x9f6a64664e53f6f9 },
    { "CVSS:3.0/", "AV NALP,AC LH,PR NLH,UI NR,S UC,C NLH,I NLH,A NLH", 2592, 0xf617c231d46ba884 },
    { "CVSS:3.1/", "AV NALP,AC LH,PR NLH,UI NR,S UC,C NLH,I NLH,A NLH", 2592, 0xf617c231d46ba884 },
    { "CVSS:4.0/", "AV NALP,AC LH,AT NP,PR NLH,UI NPA,VC HLN,VI HLN,VA HLN,SC HLN,SI HLN,SA HLN", 104976,
      0x22bd75c977161661 },
};

struct sweep {
    size_t count;
    uint64_t hash;
    char text[128];
};

static void sweep(struct sweep *s, size_t len, str metrics)
{
    if (!metrics.len) {
        int base = score("", str_of(s->text, len - 1)); /* less the last "/" */
        assert_true(base >= 0 && base <= 100);
        s->hash = s->hash * 1000003 + (unsigned)base;
        s->count++;
        return;
    }
    str values = str_cut(&metrics, ','), name = str_cut(&values, ' ');
    for (size_t i = 0; i < values.len; i++) {
        int n = snprintf(s->text + len, sizeof s->text - len, STR_FMT ":%c/", STR_ARG(name), values.ptr[i]);
        sweep(s, len + (size_t)n, metrics);
    }
}

static void test_all(void **state)
{
    for (size_t i = 0; i < COUNT(all); i++) {
        struct sweep s = { 0 };
        size_t len = strlen(all[i].prefix);
        memcpy(s.text, all[i].prefix, len);
        sweep(&s, len, str_from(all[i].metrics));
        assert_int_equal(s.count, all[i].count);
        assert_int_equal(s.hash, all[i].hash);
    }
}

/* ---- recorded scores ---- */

static size_t find(str s, str part)
{
    const char *at = s.len ? memmem(s.ptr, s.len, part.ptr, part.len) : NULL;
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

/* `"baseScore": 9.8` of one object, in tenths; -1 without. */
static int recorded_base(str object)
{
    size_t at = find(object, STR("\"baseScore\":"));
    if (at == SIZE_MAX)
        return -1;
    char text[16] = "";
    str rest = str_trim(str_skip(object, at + strlen("\"baseScore\":")));
    memcpy(text, rest.ptr, rest.len < 15 ? rest.len : 15);
    return (int)(strtod(text, NULL) * 10 + 0.5);
}

static str without_escapes(str s, char *room, size_t size) /* some write "AV:N\\/AC:L" */
{
    size_t n = 0;
    for (size_t i = 0; i < s.len && n < size; i++)
        if (s.ptr[i] != '\\')
            room[n++] = s.ptr[i];
    return str_of(room, n);
}

/* All objects of JSON without others inside that have both "vectorString" and "baseScore". */
static void run_recorded(str text, size_t seen[5])
{
    str key = STR("\"vectorString\":");
    for (size_t at, from = 0; (at = find(str_skip(text, from), key)) != SIZE_MAX; from += at + key.len) {
        size_t begin = from + at, end = begin;
        while (begin > 0 && text.ptr[begin] != '{' && text.ptr[begin] != '}')
            begin--;
        while (end < text.len && text.ptr[end] != '{' && text.ptr[end] != '}')
            end++;
        str object = str_of(text.ptr + begin, end - begin), vector = str_skip(text, from + at + key.len);
        char plain[300];
        str_cut(&vector, '"');
        vector = without_escapes(str_cut(&vector, '"'), plain, sizeof plain);
        int base = recorded_base(object);
        /* of 4.0 a recorded score counts threat metrics too */
        if (base < 0 || find(vector, STR("/E:P")) != SIZE_MAX || find(vector, STR("/E:U")) != SIZE_MAX)
            continue;
        if (score("", vector) != base)
            fail_msg(STR_FMT ": %d instead of %d", STR_ARG(vector), score("", vector), base);
        str version = cvss_vector_version(vector);
        seen[version.ptr[0] - '0']++;
    }
}

static bool read_command(const char *command, struct buf *text)
{
    FILE *in = popen(command, "r");
    assert_non_null(in);
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
        buf_add(text, block, n);
    return pclose(in) == 0 && !text->failed;
}

static void test_recorded(void **state)
{
    const char *data = getenv("ECLAIR_TEST_DATA");
    char path[4096], command[9000];
    size_t seen[5] = { 0 };
    snprintf(path, sizeof path, "%s/feeds/nvd", data ? data : "../shared/data");
    if (access(path, R_OK) < 0) {
        if (getenv("CI"))
            fail_msg("%s is missing", path);
        print_message("%s is missing: recorded scores were not compared\n", path);
        return;
    }
    CLEANUP(buf_done) struct buf text = { 0 };
    snprintf(command, sizeof command,
             "find '%s' -name '*.json.gz' -exec gzip -dc {} +; zstd -dc '%s/../samples/'*.tar.zst", path,
             path);
    assert_true(read_command(command, &text));
    run_recorded(buf_view(&text), seen);
    print_message("compared: %zu of 2.0, %zu of 3.x, %zu of 4.0\n", seen[2], seen[3], seen[4]);
    assert_true(seen[2] > 10 && seen[3] > 10000 && seen[4] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples), cmocka_unit_test(test_none),     cmocka_unit_test(test_versions),
        cmocka_unit_test(test_all),      cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
