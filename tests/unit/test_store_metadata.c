/* Metadata: what feeds say of an id as such, and whose severity a finding has. */
#include "store_fixture.h"

#define KEV "2021-12-10"

/* A severity by name, =98 a score of 9.8, %430 an EPSS of 0.00043, !DATE of KEV, @LINK. */
static void add_word(struct place *p, struct metadata *m, str word)
{
    uint64_t n = 0;
    str rest = str_skip(word, 1);
    if (word.ptr[0] == '=') {
        str_to_u64(rest, &n);
        m->scores[m->score_count++] =
            (struct cvss_score){ .version = STR("3.1"),
                                 .vector = arena_printf(p->arena, "V%llu", (long long)n),
                                 .base = (uint16_t)n };
    } else if (word.ptr[0] == '%') {
        str_to_u64(rest, &n);
        m->has_epss = true;
        m->epss = (uint32_t)n;
        m->epss_percentile = (uint32_t)n + 1;
    } else if (word.ptr[0] == '!') {
        m->kev.added = rest;
    } else if (word.ptr[0] == '@') {
        m->links[m->link_count++] = rest;
    } else {
        m->has_severity = true;
        assert_true(severity_parse(word, &m->severity));
    }
}

/* "KEY ID [WORD..][: RANGE]": words of add_word(), a range of range_of() whose severity is Unknown. */
static void put_statement(struct place *p, struct store_update *u, str line)
{
    struct cvss_score scores[8];
    str links[8];
    str range = line, words = str_cut(&range, ':');
    struct advisory a = { .key = str_word(&words), .id = str_word(&words), .title = STR("t") };
    struct affected_range r = { 0 };
    a.meta.scores = scores, a.meta.links = links;
    while (words.len)
        add_word(p, &a.meta, str_word(&words));
    if (range.len) {
        r = range_of(range);
        r.severity = SEVERITY_UNKNOWN;
        a.ranges = &r, a.range_count = 1;
    }
    ok(p, store_update_put(u, &a, &p->e));
}

static struct store_update *say_only(struct place *p, const char *feed, unsigned rank, const char *text)
{
    struct store_update *u = store_update_begin(p->store, str_from(feed), rank, &p->e);
    assert_non_null(u);
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    for (str rest = str_from(text); rest.len;)
        put_statement(p, u, str_cut(&rest, ';'));
    return u;
}

static struct update_counts say(struct place *p, const char *feed, unsigned rank, const char *text)
{
    return commit(p, say_only(p, feed, rank, text), 1000);
}

static int64_t rows(struct place *p)
{
    return number(p, on_server() ? "SELECT count(*) FROM eclair.metadata" : "SELECT count(*) FROM metadata");
}

/* "ID SEVERITY SOURCE:" and what each source says, for each finding. */
static void expect_of(const char *name, struct place *p, int64_t image, const char *want)
{
    struct match m;
    str text = STR("");
    ok(p, match_stored(p, p->store, image, &m, &p->e));
    for (size_t i = 0; i < m.finding_count; i++) {
        const struct finding *f = &m.findings[i];
        text = arena_printf(p->arena, STR_FMT STR_FMT " %s " STR_FMT ":", STR_ARG(text), STR_ARG(f->id),
                            severity_name(f->severity), STR_ARG(f->severity_source));
        for (size_t k = 0; f->meta && k < f->meta->source_count; k++) {
            const struct metadata_source *s = &f->meta->sources[k];
            text = arena_printf(p->arena, STR_FMT " " STR_FMT, STR_ARG(text), STR_ARG(s->feed));
            for (size_t n = 0; n < s->meta.score_count; n++)
                text = arena_printf(p->arena, STR_FMT "=%u", STR_ARG(text), s->meta.scores[n].base);
            if (s->meta.has_epss)
                text = arena_printf(p->arena, STR_FMT "%%%u", STR_ARG(text), s->meta.epss);
            for (size_t n = 0; n < s->meta.link_count; n++)
                text = arena_printf(p->arena, STR_FMT "@" STR_FMT, STR_ARG(text), STR_ARG(s->meta.links[n]));
            if (s->meta.kev.added.len)
                text = arena_printf(p->arena, STR_FMT "!", STR_ARG(text));
        }
        text = arena_printf(p->arena, STR_FMT ";", STR_ARG(text));
    }
    if (!str_eq(text, str_from(want)))
        fail_msg("%s: '" STR_FMT "', not '%s'", name, STR_ARG(text), want);
}
#define expect(p, image, want) expect_of(__func__, p, image, want)

#define RANGE ": S x - - - -"
#define IMAGE "x 1 x 1 - -"

static void test_order(void **state)
{
    static const struct {
        const char *name;
        struct {
            const char *feed;
            unsigned rank;
            const char *text;
        } feeds[4];
        const char *want;
    } cases[] = {
        { "nobody knows", { { "f", 9, "a C" RANGE } }, "C Unknown f:;" },
        { "the best rank",
          { { "f", 1, "a C" RANGE }, { "g", 9, "a C Low" }, { "h", 8, "a C High" } },
          "C High h: h g;" },
        { "then by name",
          { { "f", 1, "a C" RANGE }, { "h", 9, "a C Low" }, { "g", 9, "a C High" } },
          "C High g: g h;" },
        { "a better one that has none",
          { { "f", 1, "a C" RANGE },
            { "g", 2, "a C =98" },
            { "h", 8, "a C Unknown" },
            { "i", 9, "a C Low" } },
          "C Low i: g=98 i;" },
        { "its own feed's first",
          { { "f", 9, "a C" RANGE ";b C Medium" }, { "g", 1, "a C High" } },
          "C Medium f: g f;" },
        { "beside the range",
          { { "f", 9, "a C Negligible" RANGE }, { "g", 1, "a C High" } },
          "C Negligible f: g f;" },
        { "then by key", { { "f", 9, "z C" RANGE }, { "g", 1, "c C High;b C Low" } }, "C Low g: g g;" },
        { "of another id",
          { { "f", 9, "a C" RANGE }, { "g", 1, "a C1 High;b B Low;c c Low" } },
          "C Unknown f:;" },
        { "all go along",
          { { "f", 9, "a C @l1" RANGE ";b D" RANGE },
            { "g", 1, "a C High =98 =50 @l2 @l3" },
            { "e", 7, "a C %430;b D %7" },
            { "k", 8, "a C !" KEV } },
          "C High g: g=98=50@l2@l3 e%430 k! f@l1;D Unknown f: e%7;" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *at;
        fresh(&at);
        struct place *p = at;
        int64_t image = put_image(p, IMAGE, STR("debian:12"));
        for (size_t k = 0; k < 4 && cases[i].feeds[k].feed; k++)
            say(p, cases[i].feeds[k].feed, cases[i].feeds[k].rank, cases[i].feeds[k].text);
        expect_of(cases[i].name, p, image, cases[i].want);
        tidy(&at);
    }
}

/* What the range itself says counts, whatever others say. */
static void test_own(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, IMAGE, STR("debian:12"));
    load(p, "f C S x - - - -");
    say(p, "g", 1, "a C Low =10");
    expect(p, image, "C High f: g=10;");
}

/* Metadata is seen with its generation, and goes with it. */
static void test_generations(void **state)
{
    struct place *p = *state;
    struct tidy_counts n;
    int64_t image = put_image(p, IMAGE, STR("debian:12"));
    const char *flag = on_server() ? "SELECT metadata FROM eclair.state" : "SELECT metadata FROM state";
    say(p, "f", 9, "a C" RANGE);
    assert_int_equal(number(p, flag), 0);
    struct store_update *u = begin(p, "big"); /* enough for batches that are written, and then abandoned */
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    for (int i = 0; i < 20000; i++)
        put_statement(p, u, arena_printf(p->arena, "%d C Low", i));
    assert_true(rows(p) > 0);
    expect(p, image, "C Unknown f:;");
    store_update_freep(&u);
    store_update_freep(&(struct store_update *){ begin(p, "f") });
    assert_int_equal(rows(p), 0);
    assert_int_equal(number(p, flag), 0);

    say(p, "g", 1, "a C Low %1;b D Low");
    assert_int_equal(number(p, flag), 1);
    assert_int_equal(rows(p), 2);
    u = say_only(p, "g", 1, "a C High %2"); /* staged, or not yet: not seen */
    expect(p, image, "C Low g: g%1;");
    commit(p, u, 2000);
    expect(p, image, "C High g: g%2;");
    assert_int_equal(rows(p), 3);
    say(p, "g", 1, "b D Low;c E Low");
    expect(p, image, "C Unknown f:;");
    const struct tidy_options late = { .now = 100 * 86400 };
    assert_int_equal(store_tidy(p->store, &late, &n, &p->e), 0);
    assert_int_equal(n.advisories, 3);
    assert_int_equal(rows(p), 2);
}

/* What is told as a change: what an answer of yes or no may hang on. */
static void test_changes(void **state)
{
    static const struct {
        const char *text;
        int changed, told;
    } steps[] = {
        { "a C Low =98 =50 %1 @l", 0, 0 },
        { "a C Low =98 =50 %2 @l", 1, 0 },
        { "a C Low =90 =50 %2 @m", 1, 0 },
        { "a C Low =50 =90 %2 @m", 1, 0 },
        { "a C Low =50 =89 %2 @m", 1, 1 },
        { "a C High =50 =89 %2 @m", 1, 1 },
        { "a C =50 =89 %2 @m !" KEV, 1, 1 },
        { "a C =50 =89 %2 @m !2022-01-01", 1, 1 },
        { "a C =50 =89 %2 @m !2022-01-01", 0, 0 },
        { "a C", 1, 1 },
        { "a C Unknown", 0, 0 },
    };
    struct place *p = *state;
    struct store_counts before = { 0 }, after;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct update_counts n = say(p, "g", 1, steps[i].text);
        ok(p, store_count(p->store, &after, &p->e));
        if (n.changed != steps[i].changed || after.changes - before.changes != steps[i].told)
            fail_msg("%s: changed %lld, told %lld", steps[i].text, (long long)n.changed,
                     (long long)(after.changes - before.changes));
        before = after;
    }
    assert_int_equal(after.advisories, 1);
    assert_int_equal(after.ranges, 0);
}

static void test_get(void **state)
{
    struct place *p = *state;
    struct cvss_score scores[] = { { STR("4.0"), STR("CVSS:4.0/AV:N"), 100, STR("s") },
                                   { STR("2.0"), STR(""), 0, STR("") },
                                   { STR("5.0"), STR(""), 0, STR("") } };
    str links[] = { STR("https://a"), STR(RAW) }, aliases[] = { STR("GHSA-1") };
    struct advisory a = {
        .key = STR("k"), .id = STR("C"), .title = STR("t"), .description = STR("d"), .link = STR("l")
    };
    a.meta = (struct metadata){ .has_severity = true,
                                .severity = SEVERITY_DEFCON1,
                                .scores = scores,
                                .score_count = 3,
                                .links = links,
                                .link_count = 2,
                                .aliases = aliases,
                                .alias_count = 1,
                                .has_epss = true,
                                .epss_percentile = 1000000,
                                .kev = { STR(KEV), STR("2021-12-24") } };
    struct store_update *u = begin(p, "g");
    struct stored_advisory got;
    struct affected_cursor cursor = { 0 };
    struct affected_image *images;
    int64_t id;
    size_t n;
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    ok(p, store_update_put(u, &a, &p->e));
    commit(p, u, 1);
    assert_int_equal(store_advisory_find(p->store, STR("g"), STR("k"), &id, &p->e), 1);
    assert_int_equal(store_advisory_get(p->store, id, p->arena, &got, &p->e), 1);
    const struct metadata *m = &got.advisory.meta;
    same(got.advisory.id, a.id), same(got.advisory.link, a.link),
        same(got.advisory.description, a.description);
    assert_int_equal(got.advisory.range_count, 0);
    assert_true(m->has_severity && m->severity == SEVERITY_DEFCON1);
    assert_int_equal(m->score_count, 2); /* there is no CVSS 5 */
    for (size_t i = 0; i < 2; i++) {
        same(m->scores[i].version, scores[i].version), same(m->scores[i].vector, scores[i].vector);
        same(m->scores[i].source, scores[i].source);
        assert_int_equal(m->scores[i].base, scores[i].base);
    }
    assert_int_equal(m->link_count, 2);
    same(m->links[0], links[0]), same(m->links[1], links[1]);
    assert_int_equal(m->alias_count, 1);
    same(m->aliases[0], aliases[0]);
    assert_true(m->has_epss && m->epss == 0 && m->epss_percentile == 1000000);
    same(m->kev.added, a.meta.kev.added), same(m->kev.due, a.meta.kev.due);
    assert_int_equal(store_affected(p->store, id, &cursor, 10, p->arena, &images, &n, &p->e), 0);
    assert_int_equal(n, 0); /* it names no package */
    say(p, "f", 9, "a C" RANGE);
    assert_int_equal(store_advisory_find(p->store, STR("f"), STR("a"), &id, &p->e), 1);
    assert_int_equal(store_advisory_get(p->store, id, p->arena, &got, &p->e), 1);
    assert_true(metadata_empty(&got.advisory.meta));
}

/* More ids than one statement asks for, more sources than a finding has, and one copy for all packages. */
static void test_many(void **state)
{
    struct place *p = *state;
    struct match m;
    int64_t image = put_image(p, IMAGE ";y 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f"), *v;
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    for (int i = 0; i < 2500; i++)
        put_statement(p, u, arena_printf(p->arena, "%d C%d" RANGE, i, i));
    commit(p, u, 1);
    v = begin(p, "g");
    ok(p, store_update_document(v, STR("d"), STR("v"), &p->e));
    for (int i = 0; i < 2500; i += 2)
        put_statement(p, v, arena_printf(p->arena, "%d C%d High %%%d", i, i, i));
    for (int i = 0; i < 100; i++)
        put_statement(p, v, arena_printf(p->arena, "x%03d C0 =%d", i, i));
    commit(p, v, 1);
    ok(p, match_stored(p, p->store, image, &m, &p->e));
    assert_int_equal(m.finding_count, 5000);
    for (size_t i = 0; i < 5000; i++) {
        const struct finding *f = &m.findings[i];
        uint64_t n = 1;
        assert_true(str_to_u64(str_skip(f->id, 1), &n));
        assert_ptr_equal(f->meta, m.findings[i % 2500].meta);
        assert_int_equal(f->severity, n % 2 ? SEVERITY_UNKNOWN : SEVERITY_HIGH);
        assert_true(n % 2 ? !f->meta : f->meta->sources[0].meta.epss == n);
        assert_true(!f->meta || f->meta->source_count == (n ? 1 : FINDING_SOURCES));
    }
}

int store_metadata_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), CASE(test_own), CASE(test_generations),
        CASE(test_changes),           CASE(test_get), CASE(test_many),
    };
    return cmocka_run_group_tests_name("store: metadata", tests, NULL, NULL);
}
