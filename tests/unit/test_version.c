/*
 * test_version.c - comparators and keys against recorded orders, against each other, and at their limits.
 *
 * The recorded tables are found by ECLAIR_TEST_DATA (default ../shared/data). ECLAIR_PROPERTY_PAIRS sets how
 * many random pairs of each scheme are compared.
 */
#include "version/version.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int sign(int n) { return (n > 0) - (n < 0); }

static int compare_keys(const struct version_scheme *s, str a, str b)
{
    struct version_key x, y;
    if (!s->key(a, &x) || !s->key(b, &y))
        fail_msg("%s: no key for '" STR_FMT "' or '" STR_FMT "'", s->name, STR_ARG(a), STR_ARG(b));
    assert_true(str_cmp(version_key_view(&x), version_key_max()) < 0);
    assert_true(str_cmp(version_key_view(&y), version_key_max()) < 0);
    return sign(str_cmp(version_key_view(&x), version_key_view(&y)));
}

/* Does the scheme order the two as wanted, by text and by key, in both directions? */
static bool ordered(const struct version_scheme *s, str a, str b, int want)
{
    return s->compare(a, b) == want && s->compare(b, a) == -want && compare_keys(s, a, b) == want &&
           compare_keys(s, b, a) == -want;
}

static void check(const struct version_scheme *s, str a, str b, int want)
{
    if (!s->valid(a) || !s->valid(b))
        fail_msg("%s: '" STR_FMT "' or '" STR_FMT "' is not valid", s->name, STR_ARG(a), STR_ARG(b));
    if (!ordered(s, a, b, want))
        fail_msg("%s: '" STR_FMT "' and '" STR_FMT "': wanted %d, got %d by text, %d by key", s->name,
                 STR_ARG(a), STR_ARG(b), want, s->compare(a, b), compare_keys(s, a, b));
}

/* ---- recorded tables ---- */

static const struct table {
    const char *file;
    const struct version_scheme *scheme;
    unsigned rows, unlike; /* unlike: rows of malformed_apk */
} tables[] = {
    { "dpkg", &version_dpkg, 6000, 0 },
    { "oracle-dpkg", &version_dpkg, 2623, 0 },
    { "rpm", &version_rpm, 108, 0 },
    { "rpmvercmp", &version_rpmvercmp, 3062, 0 },
    { "oracle-rpmvercmp", &version_rpmvercmp, 1380, 0 },
    { "apk", &version_apk, 6000, 6 },
};

/* Outside the grammar: the recorded order looks into what is one token to us. Only rows with these differ. */
static const char *const malformed_apk[] = { ".2", "0..8", "1-r", "c", "0...1...0.r1", "0...1...0r1" };

static bool is_malformed(str v)
{
    for (size_t i = 0; i < COUNT(malformed_apk); i++)
        if (str_eq(v, str_from(malformed_apk[i])))
            return true;
    return false;
}

static void run_table(const struct table *t, FILE *in)
{
    CLEANUP(freep) char *line = NULL;
    size_t cap = 0;
    unsigned rows = 0, unlike = 0;

    for (ssize_t n; (n = getline(&line, &cap, in)) > 0;) {
        str rest = str_of(line, (size_t)n - (line[n - 1] == '\n'));
        if (str_starts(rest, STR("# a<TAB>")))
            continue;
        str a = str_cut(&rest, '\t'), op = str_cut(&rest, '\t'), b = str_cut(&rest, '\t');
        int want = str_eq(op, STR("<")) ? -1 : str_eq(op, STR(">"));
        rows++;
        if (t->unlike && (is_malformed(a) || is_malformed(b)) && !ordered(t->scheme, a, b, want))
            unlike++;
        else
            check(t->scheme, a, b, want);
    }
    if (rows != t->rows || unlike != t->unlike)
        fail_msg("%s: %u rows instead of %u, %u unlike instead of %u", t->file, rows, t->rows, unlike,
                 t->unlike);
}

static void test_tables(void **state)
{
    const char *data = getenv("ECLAIR_TEST_DATA");
    for (size_t i = 0; i < COUNT(tables); i++) {
        char path[4096], command[4200];
        snprintf(path, sizeof path, "%s/versions/%s.tsv.zst", data ? data : "../shared/data", tables[i].file);
        if (access(path, R_OK) < 0) {
            if (getenv("CI"))
                fail_msg("%s is missing", path);
            print_message("%s is missing: %u cases did not run\n", path, tables[i].rows);
            continue;
        }
        snprintf(command, sizeof command, "zstd -dc '%s'", path);
        FILE *in = popen(command, "r");
        assert_non_null(in);
        run_table(&tables[i], in);
        assert_int_equal(pclose(in), 0);
    }
}

/* ---- chains: all pairs of a chain are compared ---- */

static const struct chain {
    const struct version_scheme *scheme;
    const char *ascending; /* "<" or "=" between neighbours */
} chains[] = {
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

static void run_chain(const struct chain *c)
{
    str versions[64];
    int level[64] = { 0 };
    size_t count = 0;
    str rest = str_from(c->ascending);

    for (str word; (word = str_word(&rest)).len; count++) {
        assert_true(count < COUNT(versions));
        versions[count] = word;
        if (count)
            level[count] += level[count - 1];
        str op = str_word(&rest);
        if (op.len && count + 1 < COUNT(versions))
            level[count + 1] = str_eq(op, STR("<"));
    }
    assert_true(count >= 2);
    for (size_t i = 0; i < count; i++)
        for (size_t j = i; j < count; j++)
            check(c->scheme, versions[i], versions[j], sign(level[i] - level[j]));
}

static void test_chains(void **state)
{
    for (size_t i = 0; i < COUNT(chains); i++)
        run_chain(&chains[i]);
}

/* ---- bytes: stored keys must not change ---- */

static const struct {
    const struct version_scheme *scheme;
    const char *version, *hex;
} keys[] = {
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
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct version_key k;
        char hex[2 * VERSION_KEY_MAX + 1] = "";
        assert_true(keys[i].scheme->key(str_from(keys[i].version), &k));
        for (size_t b = 0; b < k.len; b++)
            snprintf(hex + 2 * b, 3, "%02x", k.bytes[b]);
        if (strcmp(hex, keys[i].hex))
            fail_msg("%s %s: %s instead of %s", keys[i].scheme->name, keys[i].version, hex, keys[i].hex);
    }
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
    for (size_t i = 0; i < COUNT(invalid); i++) {
        struct version_key k = { .len = 1 };
        if (invalid[i].scheme->valid(invalid[i].version) || invalid[i].scheme->key(invalid[i].version, &k))
            fail_msg("%s: '" STR_FMT "' passes", invalid[i].scheme->name, STR_ARG(invalid[i].version));
        assert_int_equal(k.len, 0);
    }
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
    for (size_t i = 0; i < COUNT(invalid); i++)
        assert_false(invalid[i].scheme->exact(invalid[i].version));
}

static void test_names(void **state)
{
    size_t i = 0;
    for (; version_schemes[i]; i++)
        assert_ptr_equal(version_scheme_by_name(str_from(version_schemes[i]->name)), version_schemes[i]);
    assert_int_equal(i, 5);
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
        check(s, v, STR("0"), 1);
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
    for (size_t s = 0; version_schemes[s]; s++)
        for (size_t p = 0; p < COUNT(patterns); p++)
            for (size_t len = 1; len <= VERSION_TEXT_MAX + 1; len++)
                run_length(version_schemes[s], patterns[p], len);
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

struct words {
    str list[64];
    size_t count;
};

struct text {
    char bytes[VERSION_TEXT_MAX + 64];
    size_t len;
};

static uint64_t seed;

static size_t below(size_t n) /* xorshift64*: the same pairs in every run */
{
    seed ^= seed >> 12, seed ^= seed << 25, seed ^= seed >> 27;
    return (size_t)(seed * 0x2545f4914f6cdd1d >> 33) % n;
}

static void splice(struct text *t, size_t at, size_t drop, str s) /* what does not fit is left out */
{
    drop = drop < t->len - at ? drop : t->len - at;
    if (t->len - drop + s.len > sizeof t->bytes)
        return;
    memmove(t->bytes + at + s.len, t->bytes + at + drop, t->len - at - drop);
    memcpy(t->bytes + at, s.ptr, s.len);
    t->len += s.len - drop;
}

static str random_word(const struct words *w) { return w->list[below(w->count)]; }

static void fill(struct text *t, const struct words *w)
{
    t->len = 0;
    if (below(8))
        splice(t, 0, 0, STR("1"));
    for (size_t n = below(8); n; n--)
        splice(t, t->len, 0, random_word(w));
}

static void mutate(struct text *t, const struct words *w)
{
    size_t at = below(t->len + 1);
    char run[400];
    switch (below(12)) {
    case 0:
        splice(t, at, 1 + below(3), STR(""));
        break;
    case 1:
        splice(t, at, 1, random_word(w));
        break;
    case 2: /* many zeros, or a number of any length, up to beyond what fits */
        memset(run, below(2) ? '0' : '0' + (int)below(10), sizeof run);
        splice(t, at, 0, str_of(run, below(8) ? below(30) : below(sizeof run)));
        break;
    case 3:
        t->len = at;
        break;
    case 4: /* the text twice */
        memcpy(run, t->bytes, at < sizeof run ? at : sizeof run);
        splice(t, at, 0, str_of(run, at < sizeof run ? at : sizeof run));
        break;
    case 5:
        if (at < t->len)
            t->bytes[at] = (char)(0x21 + below(0x7f - 0x21));
        break;
    case 6:
        splice(t, at, 0, STR("0"));
        break;
    case 7:
        splice(t, 0, 0, random_word(w));
        break;
    default:
        splice(t, at, 0, random_word(w));
    }
}

static void check_pair(const struct version_scheme *s, str a, str b)
{
    int order = s->compare(a, b);
    struct version_key x, y;
    if (s == &version_apk && (!s->key(a, &x) || !s->key(b, &y)))
        assert_true(a.len > 400 || b.len > 400);
    else
        check(s, a, b, order);
    if (s == &version_apk && s->key(a, &x)) /* the encoder follows the grammar by itself; 03 is the end */
        assert_int_equal(s->exact(a), x.bytes[x.len - 1] == 0x03);
    assert_int_equal(s->compare(b, a), -order);
    assert_int_equal(s->compare(a, a), 0);
}

static void run_property(const struct version_scheme *s, const char *list, size_t pairs)
{
    struct words words = { 0 }, *w = &words;
    str rest = str_from(list);
    for (str word; (word = str_word(&rest)).len; w->list[w->count++] = word)
        assert_true(w->count < COUNT(w->list));

    size_t seen[3] = { 0 };
    struct text a = { 0 }, b;
    seed = 0x9e3779b97f4a7c15;

    for (size_t done = 0; done < pairs;) {
        fill(&a, w);
        for (size_t n = below(4); n; n--)
            mutate(&a, w);
        b = a;
        for (size_t n = below(4); n; n--)
            mutate(&b, w);
        if (!below(8))
            fill(&b, w);
        str va = str_of(a.bytes, a.len), vb = str_of(b.bytes, b.len);
        if (!s->valid(va) || !s->valid(vb))
            continue;
        check_pair(s, va, vb);
        seen[s->compare(va, vb) + 1]++;
        done++;
    }
    for (size_t i = 0; i < 3; i++)
        if (seen[i] < pairs / 10)
            fail_msg("%s: the pairs are too much alike: %zu <, %zu =, %zu >", s->name, seen[0], seen[1],
                     seen[2]);
}

static void test_property(void **state)
{
    uint64_t pairs = 200000;
    const char *wanted = getenv("ECLAIR_PROPERTY_PAIRS");
    if (wanted)
        assert_true(str_to_u64(str_from(wanted), &pairs) && pairs >= 1000);
    run_property(&version_dpkg, DPKG_WORDS, pairs);
    run_property(&version_rpm, RPM_WORDS, pairs);
    run_property(&version_rpmvercmp, RPM_WORDS, pairs);
    run_property(&version_apk, APK_WORDS, pairs);
    run_property(&version_alpm, RPM_WORDS, pairs);
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
