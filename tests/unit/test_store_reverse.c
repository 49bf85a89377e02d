/* The backward question, held against the forward one: whom does an advisory hit, while sets wait, are merged and collected. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define IMAGES     120
#define NAMES      12
#define ADVISORIES 40

struct chance {
    uint64_t state;
};

static unsigned below(struct chance *c, unsigned n)
{
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(c->state >> 33) % n;
}

static const char *const spaces[] = { "debian:11", "debian:12" };

/* Image `n`: a few of NAMES sources at versions 1 to 9, one binary package each, some with a version that does not parse. */
static int64_t put_random(struct place *p, struct chance *c, int n)
{
    static const struct layer_index *layers[] = { &layer_empty };
    struct image_package rows[NAMES] = { 0 };
    struct image_index image = { .layers = layers, .layer_count = 1, .packages = rows };
    int64_t id = 0;
    image.digest = arena_printf(p->arena, "sha256:%064x", n);
    image.distribution.namespace = str_from(spaces[below(c, 2)]);
    for (int i = 0; i < NAMES; i++) {
        if (below(c, 3))
            continue;
        struct package *k = &rows[image.package_count++].package;
        k->kind = STR("dpkg");
        k->name = arena_printf(p->arena, "lib%02d", i);
        k->source = arena_printf(p->arena, "src%02d", i / 2); /* two of one source */
        k->version = k->source_version =
            below(c, 20) ? arena_printf(p->arena, "%u", 1 + below(c, 9)) : STR("-x");
        k->arch = below(c, 2) ? STR("amd64") : STR("arm64");
    }
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    return id;
}

static void put_advisories(struct place *p, struct chance *c)
{
    struct store_update *u = begin(p, "f");
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    for (int i = 0; i < ADVISORIES; i++) {
        struct affected_range ranges[3] = { 0 };
        size_t n = 1 + below(c, 3);
        for (size_t k = 0; k < n; k++) {
            bool source = below(c, 2);
            unsigned from = below(c, 5);
            ranges[k] = (struct affected_range){
                .namespace = str_from(spaces[below(c, 2)]),
                .scheme = STR("dpkg"),
                .package = arena_printf(p->arena, source ? "src%02u" : "lib%02u",
                                        below(c, source ? NAMES / 2 : NAMES)),
                .kind = source ? AFFECTS_SOURCE : AFFECTS_BINARY,
                .negative = !below(c, 4),
                .introduced = from ? arena_printf(p->arena, "%u", from) : STR(""),
                .fixed_version = below(c, 3) ? arena_printf(p->arena, "%u", from + 1 + below(c, 5)) : STR(""),
                .arch = below(c, 5) ? STR("") : STR("amd64"),
                .state = FIX_AFFECTED,
            };
        }
        struct advisory a = { .key = arena_printf(p->arena, "k%d", i),
                              .id = arena_printf(p->arena, "C%d",
                                                 below(c, 4) ? i : i / 2), /* some have one id */
                              .ranges = ranges,
                              .range_count = n };
        ok(p, store_update_put(u, &a, &p->e));
    }
    commit(p, u, 1);
}

static int by_number(const void *pa, const void *pb)
{
    const int64_t *a = pa, *b = pb;
    return (*a > *b) - (*a < *b);
}

/* All pages of `limit`. */
static size_t hit(struct place *p, int64_t advisory, size_t limit, int64_t *ids)
{
    struct affected_cursor cursor = { 0 };
    size_t n = 0;
    for (int more = 1; more;) {
        struct affected_image *page;
        size_t count;
        more = store_affected(p->store, advisory, &cursor, limit, p->arena, &page, &count, &p->e);
        ok(p, more);
        assert_true(count <= limit);
        for (size_t i = 0; i < count; i++)
            ids[n++] = page[i].id;
    }
    qsort(ids, n, sizeof *ids, by_number);
    return n;
}

/* The same by looking at each image: those whose findings would be fewer without the advisory. Ids that several have are left out. */
static size_t look(struct place *p, const int64_t *images, size_t count, str id, int64_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct match m;
        ok(p, match_stored(p, p->store, images[i], &m, &p->e));
        bool has = false;
        for (size_t k = 0; k < m.finding_count; k++)
            has |= str_eq(m.findings[k].id, id);
        if (has)
            ids[n++] = images[i];
    }
    qsort(ids, n, sizeof *ids, by_number);
    return n;
}

/* The hits of all advisories of an id together are the images in which it is found. */
static void compare(struct place *p, const int64_t *images, size_t count, size_t limit)
{
    for (int id = 0; id < ADVISORIES; id++) {
        int64_t got[IMAGES * 4], want[IMAGES];
        size_t n = 0, kept = 0;
        str name = arena_printf(p->arena, "C%d", id);
        for (int i = 0; i < ADVISORIES; i++) {
            struct stored_advisory head;
            int64_t advisory;
            assert_int_equal(
                store_advisory_find(p->store, STR("f"), arena_printf(p->arena, "k%d", i), &advisory, &p->e),
                1);
            assert_int_equal(store_advisory_get(p->store, advisory, p->arena, &head, &p->e), 1);
            if (str_eq(head.advisory.id, name))
                n += hit(p, advisory, limit, got + n);
        }
        qsort(got, n, sizeof *got, by_number);
        for (size_t i = 0; i < n; i++)
            if (!kept || got[kept - 1] != got[i])
                got[kept++] = got[i];
        size_t wanted = look(p, images, count, name, want);
        if (kept != wanted || (kept && memcmp(got, want, kept * sizeof *got)))
            fail_msg("C%d, pages of %zu: %zu images, not %zu", id, limit, kept, wanted);
    }
}

static void tidy_up(struct place *p, bool whole, struct tidy_counts *ret)
{
    const struct tidy_options o = { .whole = whole, .now = 1 };
    assert_int_equal(store_tidy(p->store, &o, ret, &p->e), 0);
}

static void test_reverse(void **state)
{
    struct place *p = *state;
    struct chance c = { 6 };
    int64_t images[IMAGES];
    struct tidy_counts n;
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    put_advisories(p, &c);
    for (int i = 0; i < IMAGES; i++) {
        images[i] = put_random(p, &c, i);
        if (i % 10 == 5) /* twelve segments, of which eight become one; and sets that wait */
            tidy_up(p, true, &n);
        if (i == 7)
            compare(p, images, 8, 3);
    }
    if (!on_server()) { /* where a page costs more */
        compare(p, images, IMAGES, 1);
        compare(p, images, IMAGES, 1000);
    }
    compare(p, images, IMAGES, 7);
    tidy_up(p, true, &n);
    compare(p, images, IMAGES, 7);
}

/* Images that nobody needs go, and with them what only they had; the others stay as they are. */
static void test_collect(void **state)
{
    struct place *p = *state;
    struct chance c = { 7 };
    int64_t images[IMAGES];
    struct tidy_counts n;
    struct store_counts before, after;
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    put_advisories(p, &c);
    for (int i = 0; i < IMAGES; i++)
        images[i] = put_random(p, &c, i);
    ok(p, store_count(p->store, &before, &p->e));
    tidy_up(p, true, &n);
    assert_int_equal(n.images + n.layers + n.sets + n.packages, 0); /* all is new */
    execute(p, on_server()
                   ? "UPDATE eclair.image SET used = 0 WHERE id % 2 = 0; UPDATE eclair.layer SET used = 0"
                   : "UPDATE image SET used = 0 WHERE id % 2 = 0; UPDATE layer SET used = 0");
    tidy_up(p, true, &n);
    assert_int_equal(n.images, IMAGES / 2);
    assert_int_equal(n.layers, 1); /* layer_one; the other is that of all images */
    assert_true(n.sets > 0 && n.packages > 0);
    ok(p, store_count(p->store, &after, &p->e));
    assert_int_equal(after.images, before.images - n.images);
    assert_int_equal(after.packages, before.packages - n.packages);
    struct image_index *got;
    int64_t left[IMAGES / 2];
    for (int i = 0, k = 0; i < IMAGES; i++) {
        int found = store_image_get(p->store, images[i], p->arena, &got, &p->e);
        assert_int_equal(found, images[i] % 2);
        if (found)
            left[k++] = images[i];
    }
    compare(p, left, IMAGES / 2, 7);
    tidy_up(p, true, &n);
    assert_int_equal(n.images + n.layers + n.sets + n.packages, 0);
    execute(p, on_server() ? "UPDATE eclair.image SET used = 0" : "UPDATE image SET used = 0");
    tidy_up(p, true, &n);
    tidy_up(p, true, &n); /* the layer of all was in use when it was looked at first, or not: it goes now */
    ok(p, store_count(p->store, &after, &p->e));
    assert_int_equal(after.images + after.layers + after.packages, 0);
    assert_int_equal(number(p, on_server() ? "SELECT count(*) FROM eclair.posting_block"
                                           : "SELECT count(*) FROM posting_block"),
                     0);
}

/* What an update stages is neither found nor followed before it is committed. */
static void test_staged(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12")), before, during, after, ids[4];
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    assert_int_equal(store_advisory_find(p->store, STR("f"), STR("K00001"), &before, &p->e), 1);
    u = begin(p, "f");
    ok(p, put_round(p, u, 2, MANY)); /* most of it is written */
    assert_int_equal(store_advisory_find(p->store, STR("f"), STR("K00001"), &during, &p->e), 1);
    assert_int_equal(during, before);
    assert_int_equal(hit(p, during, 10, ids), 1);
    assert_int_equal(ids[0], image);
    commit(p, u, 2);
    assert_int_equal(store_advisory_find(p->store, STR("f"), STR("K00001"), &after, &p->e), 1);
    assert_true(after > before);
    assert_int_equal(store_advisory_find(p->store, STR("f"), STR("K"), &after, &p->e), 0);
    assert_int_equal(store_advisory_find(p->store, STR("g"), STR("K00001"), &after, &p->e), 0);
}

/* An image that is asked for is not taken for unused. */
static void test_keep(void **state)
{
    struct place *p = *state;
    struct tidy_counts n;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    const char *old = on_server() ? "UPDATE eclair.image SET used = 5" : "UPDATE image SET used = 5";
    assert_int_equal(store_image_keep(p->store, image + 1, &p->e), 0);
    assert_int_equal(store_image_keep(p->store, image, &p->e), 1);
    execute(p, old);
    assert_int_equal(store_image_keep(p->store, image, &p->e), 1);
    tidy_up(p, true, &n);
    assert_int_equal(n.images, 0);
    execute(p, old);
    tidy_up(p, true, &n);
    assert_int_equal(n.images, 1);
    assert_int_equal(store_image_keep(p->store, image, &p->e), 0);
}

/* All are of this round. */
static void all_of(struct place *p, int64_t image, int round)
{
    struct match m;
    arena_freep(&p->arena);
    p->arena = arena_new(0);
    ok(p, match_stored(p, p->store, image, &m, &p->e));
    assert_int_equal(m.finding_count, MANY);
    for (size_t i = 0; i < m.finding_count; i++)
        same(m.findings[i].title, arena_printf(p->arena, "round %d", round));
}

/* Somebody was told of all changes. */
static void read_all(struct place *p)
{
    size_t made;
    ok(p, store_notifications_make(p->store, 1, 10000, &made, &p->e));
    execute(p, on_server() ? "UPDATE eclair.notification SET deleted = 1, due = 0"
                           : "UPDATE notification SET deleted = 1, due = 0");
}

/* What the current generations do not need goes when it is much or old. */
static void test_prune(void **state)
{
    struct place *p = *state;
    struct tidy_counts n;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    for (int round = 1; round <= 6; round++) {
        struct store_update *u = begin(p, "f");
        ok(p, put_round(p, u, round, MANY));
        commit(p, u, round * 86400);
        read_all(p);
    }
    const struct tidy_options soon = { .now = 7 * 86400 }, late = { .now = 35 * 86400 };
    assert_int_equal(store_tidy(p->store, &soon, &n, &p->e), 0);
    assert_int_equal(n.advisories, 2 * MANY); /* of 15,000 that ended 10,000 may stay: whole generations */
    all_of(p, image, 6);
    assert_int_equal(store_tidy(p->store, &late, &n, &p->e), 0);
    assert_int_equal(n.advisories, MANY); /* those that ended on the fourth day; on the third went before */
    all_of(p, image, 6);
    assert_int_equal(
        number(p, on_server() ? "SELECT count(*) FROM eclair.affected" : "SELECT count(*) FROM affected"),
        3 * 2 * MANY);
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 7, MANY));
    commit(p, u, 35 * 86400);
    all_of(p, image, 7);
}

int store_reverse_tests(void)
{
    const struct CMUnitTest tests[] = { CASE(test_reverse), CASE(test_collect), CASE(test_keep),
                                        CASE(test_staged), CASE(test_prune) };
    return cmocka_run_group_tests_name("store: reverse", tests, NULL, NULL);
}
