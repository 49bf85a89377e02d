/* version_check.c - see version_check.h. */
#include "version_check.h"
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

void version_check(const struct version_scheme *s, str a, str b, int want)
{
    if (!s->valid(a) || !s->valid(b))
        fail_msg("%s: '" STR_FMT "' or '" STR_FMT "' is not valid", s->name, STR_ARG(a), STR_ARG(b));
    if (!ordered(s, a, b, want))
        fail_msg("%s: '" STR_FMT "' and '" STR_FMT "': wanted %d, got %d by text, %d by key", s->name,
                 STR_ARG(a), STR_ARG(b), want, s->compare(a, b), compare_keys(s, a, b));
}

/* ---- recorded tables ---- */

static bool is_odd(const struct version_table *t, str v)
{
    for (size_t i = 0; t->odd && t->odd[i]; i++)
        if (str_eq(v, str_from(t->odd[i])))
            return true;
    return false;
}

static void run_table(const struct version_table *t, FILE *in)
{
    CLEANUP(freep) char *line = NULL;
    size_t cap = 0;
    unsigned rows = 0, invalid = 0, unlike = 0;

    for (ssize_t n; (n = getline(&line, &cap, in)) > 0;) {
        str rest = str_of(line, (size_t)n - (line[n - 1] == '\n'));
        if (str_starts(rest, STR("# a<TAB>")))
            continue;
        str a = str_cut(&rest, '\t'), op = str_cut(&rest, '\t'), b = str_cut(&rest, '\t');
        int want = str_eq(op, STR("<")) ? -1 : str_eq(op, STR(">"));
        rows++;
        if (t->invalid && (!t->scheme->valid(a) || !t->scheme->valid(b)))
            invalid++;
        else if ((is_odd(t, a) || is_odd(t, b)) && !ordered(t->scheme, a, b, want))
            unlike++;
        else
            version_check(t->scheme, a, b, want);
    }
    if (rows != t->rows || invalid != t->invalid || unlike != t->unlike)
        fail_msg("%s: %u rows instead of %u, %u invalid instead of %u, %u unlike instead of %u", t->file,
                 rows, t->rows, invalid, t->invalid, unlike, t->unlike);
}

void version_check_tables(const struct version_table *tables, size_t count)
{
    const char *data = getenv("ECLAIR_TEST_DATA");
    for (size_t i = 0; i < count; i++) {
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

/* ---- chains ---- */

void version_check_chain(const struct version_chain *c)
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
            version_check(c->scheme, versions[i], versions[j], sign(level[i] - level[j]));
}

/* ---- bytes ---- */

void version_check_bytes(const struct version_bytes *b)
{
    struct version_key k;
    char hex[2 * VERSION_KEY_MAX + 1] = "";
    assert_true(b->scheme->key(str_from(b->version), &k));
    for (size_t i = 0; i < k.len; i++)
        snprintf(hex + 2 * i, 3, "%02x", k.bytes[i]);
    if (strcmp(hex, b->hex))
        fail_msg("%s %s: %s instead of %s", b->scheme->name, b->version, hex, b->hex);
}

void version_check_invalid(const struct version_scheme *s, str v)
{
    struct version_key k = { .len = 1 };
    if (s->valid(v) || s->exact(v) || s->key(v, &k))
        fail_msg("%s: '" STR_FMT "' passes", s->name, STR_ARG(v));
    assert_int_equal(k.len, 0);
}

/* ---- random versions and their mutations ---- */

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

static void check_pair(const struct version_scheme *s, str a, str b, size_t long_key)
{
    int order = s->compare(a, b);
    struct version_key x, y;
    if (long_key && (!s->key(a, &x) || !s->key(b, &y)))
        assert_true(a.len > long_key || b.len > long_key);
    else
        version_check(s, a, b, order);
    if (s == &version_apk && s->key(a, &x)) /* the encoder follows the grammar by itself; 03 is the end */
        assert_int_equal(s->exact(a), x.bytes[x.len - 1] == 0x03);
    assert_int_equal(s->compare(b, a), -order);
    assert_int_equal(s->compare(a, a), 0);
}

static void run_property(const struct version_scheme *s, const char *list, size_t long_key, size_t pairs)
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
        check_pair(s, va, vb, long_key);
        seen[s->compare(va, vb) + 1]++;
        done++;
    }
    for (size_t i = 0; i < 3; i++)
        if (seen[i] < pairs / 10)
            fail_msg("%s: the pairs are too much alike: %zu <, %zu =, %zu >", s->name, seen[0], seen[1],
                     seen[2]);
}

void version_check_property(const struct version_scheme *s, const char *words, size_t long_key)
{
#ifdef ECLAIR_SANITIZED
    uint64_t pairs = 50000;
#else
    uint64_t pairs = 200000;
#endif
    const char *wanted = getenv("ECLAIR_PROPERTY_PAIRS");
    if (wanted)
        assert_true(str_to_u64(str_from(wanted), &pairs) && pairs >= 1000);
    run_property(s, words, long_key, pairs);
}
