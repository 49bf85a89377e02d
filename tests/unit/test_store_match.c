/* Matching: which findings an image has. */
#include "store_fixture.h"

#include "base/cleanup.h"

static const struct {
    const char *name, *advisories, *packages, *want;
} matches[] = {
    { "unfixed", "f C1 S openssl - - - -", SSL, "0 C1 - f;" },
    { "fixed above", "f C1 S openssl - 3.0-1.1 - -", SSL, "0 C1 3.0-1.1 f;" },
    { "fixed equal", "f C1 S openssl - 3.0-1 - -", SSL, "" },
    { "fixed equal, written otherwise", "f C1 S openssl - 0:3.0-01 - -", SSL, "" },
    { "fixed below", "f C1 S openssl - 2.9 - -", SSL, "" },
    { "not introduced yet", "f C1 S openssl 3.0-1.0.1 - - -", SSL, "" },
    { "introduced", "f C1 S openssl 3.0-1 3.1 - -", SSL, "0 C1 3.1 f;" },
    { "another name", "f C1 S opensslx - - - -;f C2 S openss - - - -", SSL, "" },
    { "source name is no binary name", "f C1 B openssl - - - -;f C2 S libssl3 - - - -", SSL, "" },
    { "binary kind has the binary's version", "f C1 B libssl3 - 3.0-2 - -;f C2 B libssl3 - 3.0-3 - -", SSL,
      "0 C2 3.0-3 f;" },
    { "negative", "f C1 S openssl - - - -;f C2 S openssl - - - -;f C1 s openssl - - - -", SSL, "0 C2 - f;" },
    { "negative of another feed", "f C1 S openssl - - - -;g C1 s openssl - - - -", SSL, "" },
    { "negative of the other kind", "f C1 S openssl - - - -;g C1 b openssl - - - -", SSL, "0 C1 - f;" },
    { "negative below", "f C1 S openssl - - - -;g C1 s openssl - 3.0-1 - -", SSL, "0 C1 - f;" },
    { "negative contains", "f C1 S openssl - - - -;g C1 s openssl 2 3.0-1.1 - -", SSL, "" },
    { "negative from later on", "f C1 S openssl - - - -;g C1 s openssl 3.0-2 - - -", SSL, "0 C1 - f;" },
    { "negative of another arch", "f C1 S openssl - - - -;g C1 s openssl - - arm64 -", SSL, "0 C1 - f;" },
    { "negative that does not parse", "f C1 S openssl - - - -;g C1 s openssl - -x - -", SSL, "0 C1 - f;" },
    { "the highest fix wins", "f C1 S openssl - 4 - -;f C1 S openssl - 10 - -;f C1 S openssl - 9 - -", SSL,
      "0 C1 10 f;" },
    { "unfixed is highest", "f C1 S openssl - 4 - -;f C1 S openssl - - - -", SSL, "0 C1 - f;" },
    { "texts of the first feed", "g C1 S openssl - 10 - -;f C1 S openssl - 4 - -", SSL, "0 C1 10 f;" },
    { "source and binary are one finding", "f C1 S openssl - 4 - -;f C1 B libssl3 - 5 - -", SSL,
      "0 C1 5 f;" },
    { "arch", "f C1 S openssl - - amd64 -;f C2 S openssl - - arm64 -", SSL, "0 C1 - f;" },
    { "module", "f C1 S nodejs - - - nodejs:18;f C2 S nodejs - - - nodejs:16;f C3 S nodejs - - - -",
      "nodejs 1 nodejs 1 - nodejs:18;nodejs 1 nodejs 1 - -", "0 C3 - f;1 C1 - f;" },
    { "installed version does not parse",
      "f C1 S openssl - 1 - -;f C2 S openssl 5 6 - -;f C3 S other - - - -", "libssl3 3 openssl -x amd64 -",
      "0 C1 1 f ?;0 C2 6 f ?;" },
    { "only a full negative covers it",
      "f C1 S openssl - 1 - -;f C2 S openssl - 1 - -;g C1 s openssl - - - -;g C2 s openssl - 9 - -",
      "libssl3 3 openssl -x amd64 -", "0 C2 1 f ?;" },
    { "fixed version does not parse", "f C1 S openssl - -x - -", SSL, "0 C1 -x f ?;" },
    { "a certain range goes first", "f C1 S openssl - -x - -;f C1 S openssl - 4 - -", SSL, "0 C1 4 f;" },
    { "two packages of one source", "f C2 S openssl - 4 - -;f C1 S openssl - - - -",
      SSL ";openssl 3.0-2 openssl 3.0-1 amd64 -", "0 C1 - f;0 C2 4 f;1 C1 - f;1 C2 4 f;" },
    { "another kind", "f C1 S openssl - - - -", "openssl 1 openssl 1 - - apk", "" },
    { "another namespace", "f C1 S openssl - - - - debian:11 dpkg", SSL, "" },
    { "apk", "f C1 S openssl - 1.0-r10 - - alpine:v3 apk;f C2 S openssl - 1.0-r2 - - alpine:v3 apk",
      "openssl 1.0-r9 openssl 1.0-r9 - - apk", "0 C1 1.0-r10 f;" },
    { "apk, a fix outside the grammar",
      "f C1 S x - 1.7.5.-r1 - - alpine:v3 apk;f C2 S x - 1.7.5 - - alpine:v3 apk",
      "x 1.7.5-r0 x 1.7.5-r0 - - apk", "0 C1 1.7.5.-r1 f ?;" },
    { "apk, a beginning outside the grammar",
      "f C1 S x 1.7.4.-r1 - - - alpine:v3 apk;f C2 S x 1.7.6.-r1 - - - alpine:v3 apk",
      "x 1.7.5-r0 x 1.7.5-r0 - - apk", "0 C1 - f ?;" },
    { "apk, a negative outside the grammar",
      "f C1 S x - 2 - - alpine:v3 apk;f C1 s x - 1.7.5.-r1 - - alpine:v3 apk",
      "x 1.7.4-r0 x 1.7.4-r0 - - apk", "0 C1 2 f;" },
    { "apk, installed outside the grammar",
      "f C1 S x - 1.0 - - alpine:v3 apk;f C2 S y - 1.0 - - alpine:v3 apk",
      "x 1.7.-r1 x 1.7.-r1 - - apk;x foo x foo - - apk", "0 C1 1.0 f ?;1 C1 1.0 f ?;" },
};

static const struct {
    const char *name, *advisories, *packages, *want, *judged;
} ecosystems_of[] = {
    { "beside the distribution",
      "f C1 S openssl - 4 - -;g C2 B debug 4.0 4.3 - - npm semver;h C3 B x - 2 - - go semver",
      SSL ";debug 4.1.0 debug 4.1.0 - - npm;x 1 x 1 - - go", "0 C2 4.3 g;1 C1 4 f;2 C3 2 h;", "dpkg npm go" },
    { "a name of the distribution's is another", "f C1 S debug - - - -;g C2 B libssl3 - - - - npm semver",
      SSL ";debug 1 debug 1 - - npm", "", "dpkg npm" },
    { "of another ecosystem", "g C2 B debug - - - - npm semver", "debug 1 debug 1 - - pypi", "", "" },
    { "one alone", "g C2 B debug - 2 - - npm semver", "debug 1 debug 1 - - npm;x 1 x 1 - - pypi", "0 C2 2 g;",
      "npm" },
    { "up to and including",
      "f C1 B x - <=1.2.0 - - npm semver;f C2 B x 1.3.0 <=1.3.0 - - npm semver;f C3 B x 1 <=1.3 - - npm "
      "semver",
      "x 1.2 x 1.2 - - npm;x 1.2.1 x 1.2.1 - - npm;x 1.3.0 x 1.3.0 - - npm;x 1.3.0-rc.1 x 1.3.0-rc.1 - - npm",
      "0 C1 - f;0 C3 - f;1 C3 - f;2 C2 - f;2 C3 - f;3 C3 - f;", "npm" },
    { "names as Python compares them", "f C1 B zope-interface - 5 - - pypi pep440",
      "Zope._.Interface 4 Zope._.Interface 4 - - pypi;zopeinterface 4 zopeinterface 4 - - pypi", "0 C1 5 f;",
      "pypi" },
    { "in any letter case", "f C1 B newtonsoft.json - 13 - - nuget nuget;g C2 B abc - 2 - - npm semver",
      "ABC 1 ABC 1 - - npm;Newtonsoft.Json 12.0.0 Newtonsoft.Json 12.0.0 - - nuget", "1 C1 13 f;",
      "npm nuget" },
    { "no version", "f C1 B x - 2 - - npm semver", "x latest x latest - - npm", "0 C1 2 f ?;", "npm" },
};

/* Each in its own namespace. */
static void test_ecosystems(void **state)
{
    for (size_t i = 0; i < sizeof ecosystems_of / sizeof *ecosystems_of; i++) {
        void *at;
        struct match m;
        fresh(&at);
        struct place *p = at;
        load(p, ecosystems_of[i].advisories);
        str got = findings(p, put_image(p, ecosystems_of[i].packages, STR("debian:12")), &m);
        if (!str_eq(got, str_from(ecosystems_of[i].want)))
            fail_msg("%s: '" STR_FMT "', not '%s'", ecosystems_of[i].name, STR_ARG(got),
                     ecosystems_of[i].want);
        str judged = m.scheme;
        for (size_t k = 0; k < m.ecosystem_count; k++)
            judged = arena_printf(p->arena, STR_FMT "%s" STR_FMT, STR_ARG(judged), judged.len ? " " : "",
                                  STR_ARG(m.ecosystems[k]));
        same(judged, str_from(ecosystems_of[i].judged));
        tidy(&at);
    }
}

static void test_match(void **state)
{
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        void *at;
        struct match m;
        fresh(&at);
        struct place *p = at;
        bool apk = !strncmp(matches[i].name, "apk", 3);
        load(p, matches[i].advisories);
        int64_t image = put_image(p, matches[i].packages, apk ? STR("alpine:v3") : STR("debian:12"));
        str got = findings(p, image, &m);
        if (!str_eq(got, str_from(matches[i].want)))
            fail_msg("%s: '" STR_FMT "', not '%s'", matches[i].name, STR_ARG(got), matches[i].want);
        if (m.feed_count)
            same(m.scheme, apk ? STR("apk") : STR("dpkg"));
        tidy(&at);
    }
}

/* An image of `count` packages with one source. */
static int64_t put_many(struct place *p, size_t count)
{
    const struct layer_index *layers[] = { &layer_empty };
    struct image_package *rows = arena_array(p->arena, struct image_package, count);
    for (size_t i = 0; i < count; i++)
        rows[i].package = (struct package){ .kind = STR("dpkg"),
                                            .name = arena_printf(p->arena, "linux-%zu", i),
                                            .version = STR("1"),
                                            .source = STR("linux"),
                                            .source_version = STR("0") };
    struct image_index image = { .digest = STR("sha256:abc"),
                                 .layers = layers,
                                 .layer_count = 1,
                                 .packages = rows,
                                 .package_count = count };
    image.distribution.namespace = STR("debian:12");
    int64_t id = 0;
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    return id;
}

/* `count` advisories for that source, with descriptions of `size` bytes. */
static void load_many(struct place *p, int count, size_t size)
{
    struct store_update *u = store_update_begin(p->store, STR("f"), STORE_RANK, &p->e);
    struct update_counts n;
    CLEANUP(freep) char *text = malloc(size + 1);
    memset(text, 'x', size);
    ok(p, store_update_document(u, STR("doc"), STR("v"), &p->e));
    for (int i = 0; i < count; i++) {
        struct affected_range r = range_of(STR("S linux - - - -"));
        struct advisory a = {
            .title = STR("t"), .description = str_of(text, size), .ranges = &r, .range_count = 1
        };
        a.id = a.key = arena_printf(p->arena, "C%d", i);
        ok(p, store_update_put(u, &a, &p->e));
    }
    ok(p, store_update_commit(u, 1000, &n, &p->e));
}

static void test_shared_texts(void **state)
{
    struct place *p = *state;
    struct match m;
    load_many(p, 20, 60000);
    int64_t image = put_many(p, 400);
    size_t before = arena_used(p->arena);
    ok(p, match_stored(p, p->store, image, &m, &p->e));
    assert_int_equal(m.finding_count, 400 * 20);
    assert_true(arena_used(p->arena) - before < (8u << 20)); /* 480 MB if each had its own */
    for (size_t i = 20; i < m.finding_count; i++) {
        const struct finding *first = &m.findings[i % 20], *f = &m.findings[i];
        assert_int_equal(f->package, i / 20);
        assert_int_equal(f->description.len, 60000);
        assert_true(f->id.ptr == first->id.ptr && f->description.ptr == first->description.ptr);
    }
}

static void test_too_many_findings(void **state)
{
    struct place *p = *state;
    struct match m;
    load_many(p, 500, 0);
    ok(p, match_stored(p, p->store, put_many(p, STORE_MATCH_MAX / 500), &m, &p->e));
    assert_int_equal(m.finding_count, STORE_MATCH_MAX);
    assert_int_equal(match_stored(p, p->store, put_many(p, STORE_MATCH_MAX / 500 + 1), &m, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_LIMIT);
    assert_string_equal(p->e.text, "more than 250000 findings");
}

static void test_coverage(void **state)
{
    struct place *p = *state;
    struct match m;
    assert_int_equal(match_stored(p, p->store, 77, &m, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_NOT_FOUND);
    int64_t image = put_image(p, SSL, STR("debian:12"));
    same(findings(p, image, &m), STR(""));
    same(m.scheme, STR(""));
    assert_int_equal(m.feed_count, 0);
    assert_int_equal(m.generation, 0);
    load(p, "z C1 S x - - - - debian:11 dpkg;b C1 S x - - - -;a C2 s x - - - -");
    same(findings(p, image, &m), STR(""));
    assert_int_equal(m.generation, 3);
    assert_int_equal(m.feed_count, 2); /* a only says what is not affected: that is covered too */
    same(m.feeds[0].name, STR("a")), same(m.feeds[1].name, STR("b"));
    assert_int_equal(m.feeds[0].last_success, 1000);
}

int store_match_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match), cmocka_unit_test(test_ecosystems),
        CASE(test_shared_texts),      CASE(test_too_many_findings),
        CASE(test_coverage),
    };
    return cmocka_run_group_tests_name("store: matching", tests, NULL, NULL);
}
