/* store_copy(): what is odd comes through it as it was, from the engine under test to a file and back. */
#include "store_fixture.h"

#include "base/cleanup.h"
#include "store/rows.h"

#include <stdio.h>

static void put_feeds(struct place *p)
{
    struct update_counts n;
    struct store_update *u = store_update_begin(p->store, STR("f"), 7, &p->e);
    struct affected_range ranges[] = {
        range_of(STR("S openssl 1 4 - -")),
        range_of(STR("b openssl - - amd64 m debian:11 dpkg cpe:/o:x:y:1")),
        range_of(STR("s " RAW " 2 3 - -")),
        range_of(STR("B openssl - bad_version - m:1 rhel:9 rpm")),
        range_of(STR("S openssl - - - - rhel:9 rpm cpe:/o:redhat:enterprise_linux:9::baseos")),
    };
    struct advisory a = { .key = STR("key" RAW),
                          .id = STR("C" RAW),
                          .title = STR("t"),
                          .description = STR("d"),
                          .link = STR("l"),
                          .ranges = ranges,
                          .range_count = 5 };
    ranges[0].state = FIX_WILL_NOT_FIX, ranges[0].severity = SEVERITY_LOW;
    ok(p, store_update_document(u, STR("one"), STR("v" RAW), &p->e));
    ok(p, store_update_put(u, &a, &p->e));
    ok(p, store_update_document(u, STR("two"), STR(""), &p->e));
    struct cvss_score score = { STR("3.1"), STR("CVSS:3.1/AV:N"), 75, STR("s") };
    str link = STR("https://example.test/a"), alias = STR("GHSA-1");
    a = (struct advisory){ .key = STR("bare"),
                           .id = STR("bare"),
                           .meta = { .has_severity = true,
                                     .severity = SEVERITY_HIGH,
                                     .scores = &score,
                                     .score_count = 1,
                                     .links = &link,
                                     .link_count = 1,
                                     .aliases = &alias,
                                     .alias_count = 1,
                                     .has_epss = true,
                                     .epss = 7,
                                     .kev = { STR("2021-12-10"), STR("2021-12-24") } } };
    ok(p, store_update_put(u, &a, &p->e));
    ok(p, store_update_document(u, STR("none"), STR("v"), &p->e));
    ok(p, store_update_commit(u, 500, &n, &p->e));
    ok(p, store_feed_tried(p->store, STR("f"), 600, STR("gone"), &p->e));
    ok(p, store_feed_tried(p->store, STR("never"), 700, STR("no such host"), &p->e));
    u = begin(p, "many");
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 800);
    u = begin(p, "many");
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    ok(p, put_round(p, u, 2, MANY));
    commit(p, u, 900);
}

static void put_contents(struct place *p)
{
    static const struct layer_index *layers[] = { &layer_empty, &layer_one };
    struct image_package rows[] = { { .package = packages[0], .layer = 1 } },
                         removed[] = { { .package = packages[1], .layer = 0, .removed = 1 } };
    struct image_fact facts[] = { { { STR("content-set"), STR(RAW) }, 1 } };
    str notes[] = { STR("note") };
    struct image_index image = { .digest = STR("sha256:" RAW),
                                 .layers = layers,
                                 .layer_count = 2,
                                 .packages = rows,
                                 .package_count = 1,
                                 .removed = removed,
                                 .removed_count = 1,
                                 .facts = facts,
                                 .fact_count = 1,
                                 .notes = notes,
                                 .note_count = 1,
                                 .unreadable = true };
    int64_t id;
    image.distribution = (struct distribution){ STR("debian"), STR("12"), STR("Debian"), STR("debian:12") };
    ok(p, store_layer_put(p->store, &layer_one, 4, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 4, &p->e));
    ok(p, store_image_put(p->store, &image, 4, &id, &p->e));
    struct named_layer root = { .name = STR("root" RAW),
                                .digest = layer_one.digest,
                                .chain = STR("c1"),
                                .engine = 3,
                                .indexer = 4 },
                       child = { .name = STR("child"),
                                 .parent = STR("root" RAW),
                                 .parent_chain = STR("c1"),
                                 .digest = layer_empty.digest,
                                 .chain = STR("c2"),
                                 .namespace = STR("debian:12"),
                                 .engine = 2,
                                 .indexer = 4,
                                 .views = &id,
                                 .view_count = 1 };
    assert_int_equal(store_named_put(p->store, &root, &p->e), 1);
    assert_int_equal(store_named_put(p->store, &child, &p->e), 1);
    const str hashes[] = { STR("h" RAW), STR("h") };
    const struct ancestry a = { .name = STR("a" RAW),
                                .hashes = hashes,
                                .hash_count = 2,
                                .image = id,
                                .indexer = 4 },
                          none = { .name = STR("none"), .indexer = 4 };
    ok(p, store_hash_put(p->store, hashes[0], layer_one.digest, 4, &p->e));
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    ok(p, store_ancestry_put(p->store, &none, &p->e));
    ok(p, store_value_set(p->store, STR("updater/last"), STR("77"), &p->e));
    ok(p, store_value_set(p->store, STR("tidy/place"), STR("1 1"), &p->e));
}

/* All of a feed, each advisory as its document, key and hash. */
static str feed_text(struct place *p, struct store *s, str feed)
{
    struct stored_document *documents;
    size_t document_count;
    str text = STR("");
    CLEANUP(buf_done) struct buf work = { 0 };
    ok(p, store_documents(s, feed, p->arena, &documents, &document_count, &p->e));
    for (size_t i = 0; i < document_count; i++)
        text = arena_printf(p->arena, STR_FMT STR_FMT "=" STR_FMT ";", STR_ARG(text),
                            STR_ARG(documents[i].name), STR_ARG(documents[i].validator));
    uint64_t sum = 0;
    for (int64_t after = 0;;) {
        struct stored_entry *list;
        size_t count;
        ok(p, store_advisories_after(s, feed, after, 37, p->arena, &list, &count, &p->e));
        for (size_t i = 0; i < count; i++) {
            uint8_t hash[CONTENT_HASH];
            struct stored_advisory one;
            ok(p, advisory_hash(&list[i].advisory, &work, hash, &p->e));
            sum = sum * 31 + str_hash(str_of(hash, sizeof hash), 0) + str_hash(list[i].advisory.key, 1);
            assert_int_equal(store_advisory_get(s, list[i].id, p->arena, &one, &p->e), 1);
            uint8_t other[CONTENT_HASH];
            ok(p, advisory_hash(&one.advisory, &work, other, &p->e));
            assert_memory_equal(hash, other, sizeof hash);
        }
        if (!count)
            return arena_printf(p->arena, STR_FMT "%llx", STR_ARG(text), (unsigned long long)sum);
        after = list[count - 1].id;
    }
}

static str feeds_text(struct place *p, struct store *s)
{
    struct feed_status *feeds;
    size_t count;
    str text = STR("");
    ok(p, store_feeds(s, p->arena, &feeds, &count, &p->e));
    for (size_t i = 0; i < count; i++)
        text = arena_printf(p->arena, STR_FMT STR_FMT " %u %lld %lld %lld " STR_FMT " " STR_FMT "\n",
                            STR_ARG(text), STR_ARG(feeds[i].name), feeds[i].rank, (long long)feeds[i].entries,
                            (long long)feeds[i].last_try, (long long)feeds[i].last_success,
                            STR_ARG(feeds[i].error), STR_ARG(feed_text(p, s, feeds[i].name)));
    return text;
}

static void same_contents(struct place *p, struct store *s)
{
    struct layer_index *layer;
    struct image_index *image;
    struct named_layer *named;
    int64_t id;
    str value;
    assert_int_equal(store_layer_find(s, layer_one.digest, 4, p->arena, &layer, &p->e), 1);
    assert_true(layer->size == layer_one.size && layer->entry_count == layer_one.entry_count);
    same(layer->diff_id, layer_one.diff_id);
    for (size_t i = 1; i < layer->entry_count - 1; i++)
        same_entry(&layer->entries[i], &entries[i]);
    assert_int_equal(layer->entries[0].package_count, 3);
    assert_int_equal(store_image_find(s, STR("sha256:" RAW), 4, p->arena, &image, &id, &p->e), 1);
    assert_true(image->layer_count == 2 && image->package_count == 1 && image->packages[0].layer == 1);
    same_package(&image->packages[0].package, &packages[0]);
    assert_true(image->removed_count == 1 && image->removed[0].removed == 1);
    same_package(&image->removed[0].package, &packages[1]);
    assert_true(image->fact_count == 1 && image->note_count == 1 && image->unreadable);
    same(image->facts[0].fact.value, STR(RAW)), same(image->notes[0], STR("note"));
    same(image->distribution.name, STR("Debian"));
    assert_int_equal(store_named_find(s, STR("child"), p->arena, &named, &p->e), 1);
    same(named->parent, STR("root" RAW)), same(named->chain, STR("c2")),
        same(named->namespace, STR("debian:12"));
    same(named->digest, layer_empty.digest);
    assert_true(named->engine == 2 && named->indexer == 4 && named->view_count == 1 && named->views[0] == id);
    struct ancestry a;
    assert_int_equal(store_ancestry_find(s, STR("a" RAW), p->arena, &a, &p->e), 1);
    assert_true(a.image == id && a.indexer == 4 && a.hash_count == 2);
    same(a.hashes[0], STR("h" RAW));
    assert_int_equal(store_ancestry_find(s, STR("none"), p->arena, &a, &p->e), 1);
    assert_true(!a.image && !a.hash_count);
    assert_int_equal(store_hash_find(s, STR("h" RAW), 4, p->arena, &value, &p->e), 1);
    same(value, layer_one.digest);
    assert_int_equal(store_value_get(s, STR("updater/last"), p->arena, &value, &p->e), 1);
    same(value, STR("77"));
}

static void on_problem(void *ctx, const char *text) { fail_msg("%s", text); }

static void test_copy(void **state)
{
    struct place *p = *state;
    struct copy_counts n;
    struct store_counts before, after;
    str value;
    put_feeds(p);
    put_contents(p);
    char folder[] = "/tmp/eclair-copy-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file.db", folder);
    CLEANUP(store_freep) struct store *to = store_open(path, STORE_WRITE, &p->e);
    assert_non_null(to);
    for (int i = 0; i < 2; i++) { /* twice is once */
        ok(p, store_copy(p->store, to, NULL, NULL, &n, &p->e));
        assert_true(n.advisories == MANY + 2 && n.layers == 2 && n.images == 1 && n.named == 2 &&
                    n.ancestries == 2 && !n.left_out);
        ok(p, store_count(to, &after, &p->e));
        assert_int_equal(after.generation, 2); /* "never" has nothing */
        assert_true(after.layers == 2 && after.images == 1);
        same(feeds_text(p, to), feeds_text(p, p->store));
        same_contents(p, to);
        ok(p, store_check(to, true, on_problem, NULL, &p->e));
        struct stored_advisory got;
        int64_t id;
        assert_int_equal(store_advisory_find(to, STR("f"), STR("bare"), &id, &p->e), 1);
        assert_int_equal(store_advisory_get(to, id, p->arena, &got, &p->e), 1);
        assert_true(got.advisory.meta.score_count == 1 && got.advisory.meta.epss == 7);
        same(got.advisory.meta.kev.due, STR("2021-12-24"));
    }
    assert_int_equal(store_value_get(to, STR("tidy/place"), p->arena, &value, &p->e), 0);
    ok(p, store_count(p->store, &before, &p->e));
    ok(p, store_copy(to, p->store, NULL, NULL, &n, &p->e)); /* and back: nothing is new */
    ok(p, store_count(p->store, &after, &p->e));
    assert_memory_equal(&before, &after, sizeof before);
    const struct ancestry other = { .name = STR("none"), .image = 1, .indexer = 4 };
    ok(p, store_ancestry_put(p->store, &other, &p->e)); /* the same layers: none */
    const str hash = STR("h");
    const struct ancestry clash = {
        .name = STR("a" RAW), .hashes = &hash, .hash_count = 1, .image = 1, .indexer = 4
    };
    ok(p, store_ancestry_put(p->store, &clash, &p->e));
    ok(p, store_copy(to, p->store, NULL, NULL, &n, &p->e));
    assert_true(n.ancestries == 1 && n.left_out == 1);
    store_freep(&to);
    remove(path);
    remove(folder);
}

/* A range that is gone is an error, not a feed that says less. */
static void test_damaged(void **state)
{
    struct place *p = *state;
    struct stored_entry *list;
    size_t count;
    load(p, "f C1 S openssl - 4 - -;f C2 s openssl - - - -");
    ok(p, store_advisories_after(p->store, STR("f"), 0, 10, p->arena, &list, &count, &p->e));
    assert_int_equal(count, 2);
    execute(p, on_server() ? "DELETE FROM eclair.negative" : "DELETE FROM negative");
    fails(p, store_advisories_after(p->store, STR("f"), 0, 10, p->arena, &list, &count, &p->e), ERR_FORMAT);
    ok(p, store_advisories_after(p->store, STR("f"), 0, 1, p->arena, &list, &count, &p->e));
}

/* Of an update that goes on nothing is seen. */
static void test_half_an_update(void **state)
{
    struct place *p = *state;
    struct store_update *u = begin(p, "f");
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    str want = feed_text(p, p->store, STR("f"));
    u = begin(p, "f");
    ok(p, store_update_document(u, STR("d"), STR("v2"), &p->e));
    ok(p, put_round(p, u, 2, MANY));
    same(feed_text(p, p->store, STR("f")), want);
    store_update_freep(&u);
}

int store_copy_tests(void)
{
    const struct CMUnitTest tests[] = { CASE(test_copy), CASE(test_damaged), CASE(test_half_an_update) };
    return cmocka_run_group_tests_name("store: copy", tests, NULL, NULL);
}
