/* What clients of API v3 call layers, and rows of such names. */
#include "store_fixture.h"

#include "base/cleanup.h"

#include <sys/wait.h>
#include <unistd.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- hashes ---- */

static void hash_is(struct place *p, const char *hash, unsigned indexer, const char *want)
{
    str digest = STR("");
    int found = store_hash_find(p->store, str_from(hash), indexer, p->arena, &digest, &p->e);
    ok(p, found);
    assert_int_equal(found, want != NULL);
    if (want)
        same(digest, str_from(want));
}

static void test_hash(void **state)
{
    struct place *p = *state;
    fails(p, store_hash_put(p->store, STR("a"), layer_one.digest, 1, &p->e), ERR_NOT_FOUND);
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 2, &p->e));
    fails(p, store_hash_put(p->store, STR("a"), layer_one.digest, 2, &p->e), ERR_NOT_FOUND);
    fails(p, store_hash_put(p->store, STR("\1a"), layer_one.digest, 1, &p->e), ERR_USAGE);
    static const char *const hashes[] = { "a", "sha256:" HEX, RAW, "" };
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        hash_is(p, hashes[i], 1, NULL);
        for (int again = 0; again < 2; again++) /* the first one stays */
            ok(p, store_hash_put(p->store, str_from(hashes[i]), again ? layer_empty.digest : layer_one.digest,
                                 1, &p->e));
        hash_is(p, hashes[i], 2, NULL);
    }
    ok(p, store_hash_put(p->store, STR("a"), layer_empty.digest, 2, &p->e));
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        hash_is(p, hashes[i], 1, layer_one.digest.ptr);
    struct stored_hash *list;
    size_t count;
    ok(p, store_hashes_after(p->store, 0, 2, p->arena, &list, &count, &p->e));
    assert_int_equal(count, 2);
    same(list[1].hash, STR("sha256:" HEX));
    ok(p, store_hashes_after(p->store, list[1].id, 9, p->arena, &list, &count, &p->e));
    assert_int_equal(count, 3);
    same(list[2].hash, STR("a")), same(list[2].digest, layer_empty.digest);
    assert_int_equal(list[2].indexer, 2);
}

/* ---- ancestries ---- */

static struct ancestry ancestry_of(const char *name, const str *hashes, size_t count, int64_t image)
{
    return (struct ancestry){
        .name = str_from(name), .hashes = hashes, .hash_count = count, .image = image, .indexer = 7
    };
}

/* Its number. */
static int64_t same_ancestry(struct place *p, struct store *s, const struct ancestry *want)
{
    struct ancestry got;
    assert_int_equal(store_ancestry_find(s, want->name, p->arena, &got, &p->e), 1);
    same(got.name, want->name);
    assert_int_equal(got.image, want->image);
    assert_int_equal(got.indexer, want->indexer);
    assert_int_equal(got.hash_count, want->hash_count);
    for (size_t i = 0; i < got.hash_count; i++)
        same(got.hashes[i], want->hashes[i]);
    return got.id;
}

static void test_ancestry(void **state)
{
    struct place *p = *state;
    struct ancestry got, *list;
    const str hashes[] = { STR("a"), STR("sha256:" HEX), STR("a"), STR(RAW), STR("") };
    int64_t image = put_image(p, SSL, STR("debian:12"));
    struct ancestry a = ancestry_of("a" RAW, hashes, 5, image), empty = ancestry_of("", NULL, 0, 0);
    assert_int_equal(store_ancestry_find(p->store, a.name, p->arena, &got, &p->e), 0);
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    ok(p, store_ancestry_put(p->store, &empty, &p->e));
    int64_t first = same_ancestry(p, p->store, &a), second = same_ancestry(p, p->store, &empty);
    assert_true(0 < first && first < second);
    a.hash_count = 2, a.indexer = 8;
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    assert_true(same_ancestry(p, p->store, &a) > second);

    struct ancestry bad = ancestry_of("a" RAW, hashes, 1, image + 1);
    fails(p, store_ancestry_put(p->store, &bad, &p->e), ERR_NOT_FOUND); /* what was there stays */
    bad = a, bad.hash_count = STORE_CHAIN_MAX + 1;
    fails(p, store_ancestry_put(p->store, &bad, &p->e), ERR_LIMIT);
    const str odd = STR("\1");
    bad = a, bad.hashes = &odd, bad.hash_count = 1;
    fails(p, store_ancestry_put(p->store, &bad, &p->e), ERR_USAGE);
    CLEANUP(store_freep) struct store *other = open_at(p, STORE_WRITE);
    int64_t last = same_ancestry(p, other, &a);

    size_t count;
    ok(p, store_ancestries_after(p->store, 0, 1, p->arena, &list, &count, &p->e));
    assert_true(count == 1 && list[0].id == second && list[0].image == 0);
    ok(p, store_ancestries_after(p->store, second, 9, p->arena, &list, &count, &p->e));
    assert_true(count == 1 && list[0].id == last);
    same(list[0].hashes[1], hashes[1]);
}

#define WRITERS 4
#define PUTS    25

/* One name, put by several at once: never an error, and one row. */
static void test_ancestry_raced(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, SSL, STR("debian:12"));
    const str hash = STR("a");
    store_freep(&p->store);
    for (int i = 0; i < WRITERS; i++) {
        if (fork())
            continue;
        struct ancestry a = ancestry_of("one", &hash, 1, image);
        p->store = open_at(p, STORE_WRITE);
        for (int k = 0; k < PUTS; k++)
            if (store_ancestry_put(p->store, &a, &p->e) < 0 ||
                store_hash_put(p->store, hash, layer_empty.digest, 1, &p->e) < 0)
                _exit(1);
        _exit(0);
    }
    for (int i = 0, status; i < WRITERS; i++) {
        wait(&status);
        assert_int_equal(status, 0);
    }
    p->store = open_at(p, STORE_WRITE);
    struct ancestry *list;
    size_t count;
    ok(p, store_ancestries_after(p->store, 0, 9, p->arena, &list, &count, &p->e));
    assert_int_equal(count, 1);
    assert_true(list[0].id >= WRITERS * PUTS);
}

/* ---- what goes with what ---- */

static void age(struct place *p)
{
    const char *schema = on_server() ? "eclair." : "";
    execute(p, arena_cstr(p->arena,
                          arena_printf(p->arena, "UPDATE %simage SET used = 1; UPDATE %slayer SET used = 1",
                                       schema, schema)));
}

static struct tidy_counts tidied(struct place *p)
{
    const struct tidy_options whole = { .whole = true, .now = 1 };
    struct tidy_counts n;
    age(p);
    assert_int_equal(store_tidy(p->store, &whole, &n, &p->e), 0);
    return n;
}

static void on_problem(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s", text);
}

static void test_ancestry_tidy(void **state)
{
    struct place *p = *state;
    struct ancestry got;
    const str hash = STR("a");
    int64_t image = put_image(p, SSL, STR("debian:12"));
    struct ancestry a = ancestry_of("a", &hash, 1, image);
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e)); /* in no image */
    ok(p, store_hash_put(p->store, STR("a"), layer_empty.digest, 1, &p->e));
    ok(p, store_hash_put(p->store, STR("b"), layer_one.digest, 1, &p->e));
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    struct tidy_counts n = tidied(p);
    assert_true(n.images == 0 && n.layers == 1);
    hash_is(p, "b", 1, NULL);
    hash_is(p, "a", 1, layer_empty.digest.ptr);
    same_ancestry(p, p->store, &a);
    ok(p, store_check(p->store, true, on_problem, NULL, &p->e));
    a.image = 0, a.hash_count = 0;
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    n = tidied(p);
    assert_true(n.images == 1 && n.layers == 1);
    hash_is(p, "a", 1, NULL);
    assert_int_equal(store_ancestry_find(p->store, STR("a"), p->arena, &got, &p->e), 1);
    ok(p, store_check(p->store, true, on_problem, NULL, &p->e));
}

/* From schema 5, which has none of these tables. */
static void test_ancestry_migrated(void **state)
{
    struct place *p = *state;
    const str hash = STR("a");
    int64_t image = put_image(p, SSL, STR("debian:12"));
    load(p, "f C1 S openssl - 4 - -");
    struct named_layer n = { .name = STR("n"),
                             .digest = layer_empty.digest,
                             .chain = STR("c"),
                             .engine = 3,
                             .indexer = 1,
                             .views = &image,
                             .view_count = 1 };
    assert_int_equal(store_named_put(p->store, &n, &p->e), 1);
    store_freep(&p->store);
    execute(p, on_server()
                   ? "DROP TABLE eclair.layer_hash, eclair.ancestry, eclair.service_key, eclair.nonce; ALTER "
                     "TABLE eclair.named_view DROP "
                     "COLUMN packages, DROP COLUMN distribution; UPDATE eclair.meta SET schema = 5"
                   : "DROP TABLE layer_hash; DROP TABLE ancestry; DROP TABLE service_key; DROP TABLE nonce; "
                     "ALTER TABLE named_view DROP COLUMN "
                     "packages; ALTER TABLE named_view DROP COLUMN distribution; PRAGMA user_version = 5");
    p->store = open_at(p, STORE_WRITE);
    assert_int_equal(store_schema_before(p->store), 5);
    struct ancestry a = ancestry_of("a", &hash, 1, image);
    ok(p, store_hash_put(p->store, STR("a"), layer_empty.digest, 1, &p->e));
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    assert_true(same_ancestry(p, p->store, &a) > 0);
    struct affected_name *list;
    size_t count;
    int64_t id;
    assert_int_equal(store_advisory_find(p->store, STR("f"), STR("0"), &id, &p->e), 1);
    assert_int_equal(store_introducing(p->store, id, STR(""), 0, 5, p->arena, &list, &count, &p->e), 0);
    assert_true(count == 1 && str_eq(list[0].name, STR("n")));
    assert_int_equal(store_affected_ancestries(p->store, id, STR(""), 0, 5, p->arena, &list, &count, &p->e),
                     0);
    assert_true(count == 1 && str_eq(list[0].name, STR("a")));
    assert_int_equal(put_image(p, "curl 1 curl 1 amd64 -", STR("debian:12")), image); /* another one now */
    assert_int_equal(store_introducing(p->store, id, STR(""), 0, 5, p->arena, &list, &count, &p->e), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_affected_ancestries(p->store, id, STR(""), 0, 5, p->arena, &list, &count, &p->e),
                     0);
    assert_int_equal(count, 0);
    ok(p, store_check(p->store, true, on_problem, NULL, &p->e));
}

int store_ancestry_tests(void)
{
    const struct CMUnitTest tests[] = { CASE(test_hash), CASE(test_ancestry), CASE(test_ancestry_raced),
                                        CASE(test_ancestry_tidy), CASE(test_ancestry_migrated) };
    return cmocka_run_group_tests_name("store: ancestries", tests, NULL, NULL);
}
