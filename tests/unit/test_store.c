/* The contract of store.h, run on each engine: on PostgreSQL when ECLAIR_TEST_POSTGRES names a server, else on SQLite. What only one
 * of them has is in test_store_sqlite.c and test_store_postgres.c. */
#include "store_fixture.h"

#define SCHEMA 7 /* of both engines */

static void test_layer(void **state)
{
    struct place *p = *state;
    struct layer_index *got = NULL;
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 1, p->arena, &got, &p->e), 0);
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 2, p->arena, &got, &p->e), 0);
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 1, p->arena, &got, &p->e), 1);
    same(got->digest, layer_one.digest), same(got->diff_id, layer_one.diff_id);
    assert_int_equal(got->size, layer_one.size);
    assert_int_equal(got->entry_count, layer_one.entry_count);
    for (size_t i = 0; i < got->entry_count; i++)
        same_entry(&got->entries[i], &entries[i]);
    assert_int_equal(store_layer_find(p->store, layer_empty.digest, 1, p->arena, &got, &p->e), 1);
    assert_int_equal(got->entry_count, 0);

    struct store_counts n;
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.layers, 2);
    assert_int_equal(n.packages, 3); /* interned, though two files have them */
    assert_int_equal(n.schema, SCHEMA);
}

static void test_image(void **state)
{
    struct place *p = *state;
    const struct layer_index *layers[] = { &layer_one, &layer_empty, &layer_one };
    struct image_package rows[] = { { packages[0], 0 }, { packages[1], 2 }, { packages[2], 1 } };
    struct image_package removed[] = { { packages[1], 0, 1 }, { packages[2], 1, 2 } };
    struct image_fact facts[] = { { { STR("content-set"), STR("baseos") }, 0 },
                                  { { STR("cpe"), STR(RAW) }, 2 } };
    str notes[] = { STR("one"), STR(""), STR(RAW) };
    struct image_index image = { .name = STR("debian:12"),
                                 .digest = STR("sha256:abc"),
                                 .layers = layers,
                                 .layer_count = 3,
                                 .distribution = { STR("debian"), STR("12"), STR("Debian"),
                                                   STR("debian:12") },
                                 .packages = rows,
                                 .package_count = 3,
                                 .removed = removed,
                                 .removed_count = 2,
                                 .facts = facts,
                                 .fact_count = 2,
                                 .notes = notes,
                                 .note_count = 3,
                                 .unreadable = true };
    struct image_index *got;
    int64_t id, again;
    assert_int_equal(store_image_put(p->store, &image, 1, &id, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_NOT_FOUND); /* its layers are not stored */
    assert_int_equal(store_image_find(p->store, image.digest, 1, p->arena, &got, &id, &p->e), 0);
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    assert_int_equal(store_image_find(p->store, image.digest, 2, p->arena, &got, &again, &p->e), 0);
    assert_int_equal(store_image_find(p->store, image.digest, 1, p->arena, &got, &again, &p->e), 1);
    assert_int_equal(again, id);
    same(got->name, STR("")), same(got->digest, image.digest);
    same(got->distribution.id, STR("debian")), same(got->distribution.version, STR("12"));
    same(got->distribution.name, STR("Debian")), same(got->distribution.namespace, STR("debian:12"));
    assert_true(got->unreadable);
    assert_int_equal(got->layer_count, 3);
    for (size_t i = 0; i < 3; i++) {
        same(got->layers[i]->digest, layers[i]->digest);
        assert_int_equal(got->layers[i]->size, layers[i]->size);
        same_package(&got->packages[i].package, &rows[i].package);
        assert_int_equal(got->packages[i].layer, rows[i].layer);
        same(got->notes[i], notes[i]);
    }
    assert_int_equal(got->package_count, 3);
    assert_int_equal(got->note_count, 3);
    assert_int_equal(got->removed_count, 2);
    assert_int_equal(got->fact_count, 2);
    for (size_t i = 0; i < 2; i++) {
        same_package(&got->removed[i].package, &removed[i].package);
        assert_int_equal(got->removed[i].layer, removed[i].layer);
        assert_int_equal(got->removed[i].removed, removed[i].removed);
        same(got->facts[i].fact.name, facts[i].fact.name),
            same(got->facts[i].fact.value, facts[i].fact.value);
        assert_int_equal(got->facts[i].layer, facts[i].layer);
    }

    /* as it was stored before there were facts, and with an end that is missing */
    execute(p, on_server() ? "UPDATE eclair.image SET details = '\\x0103616263'"
                           : "UPDATE image SET details = x'0103616263'");
    assert_int_equal(store_image_find(p->store, image.digest, 1, p->arena, &got, &again, &p->e), 1);
    assert_int_equal(got->note_count, 1);
    assert_int_equal(got->fact_count, 0);
    same(got->notes[0], STR("abc"));
    execute(p, on_server() ? "UPDATE eclair.image SET details = '\\x010361626301'"
                           : "UPDATE image SET details = x'010361626301'");
    fails(p, store_image_find(p->store, image.digest, 1, p->arena, &got, &again, &p->e), ERR_FORMAT);

    image.package_count = 1, image.note_count = 0, image.layer_count = 1; /* replaced */
    ok(p, store_image_put(p->store, &image, 1, &again, &p->e));
    assert_int_equal(again, id);
    assert_int_equal(store_image_find(p->store, image.digest, 1, p->arena, &got, &again, &p->e), 1);
    assert_int_equal(got->package_count, 1);
    assert_int_equal(got->layer_count, 1);
    assert_int_equal(got->note_count, 0);
    struct store_counts n;
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.images, 1);
}
static void test_image_get(void **state)
{
    struct place *p = *state;
    struct image_index *got = NULL, *found;
    int64_t id = put_image(p, SSL ";zlib1g 1 zlib 1 amd64 -", STR("debian:12")), again;
    assert_int_equal(store_image_get(p->store, id, p->arena, &got, &p->e), 1);
    assert_int_equal(store_image_find(p->store, STR("sha256:abc"), 1, p->arena, &found, &again, &p->e), 1);
    assert_int_equal(again, id);
    same(got->digest, STR("sha256:abc")), same(got->name, STR(""));
    same(got->distribution.namespace, STR("debian:12"));
    assert_int_equal(got->package_count, 2);
    assert_int_equal(got->layer_count, 1);
    same(got->layers[0]->digest, layer_empty.digest);
    for (size_t i = 0; i < 2; i++)
        same_package(&got->packages[i].package, &found->packages[i].package);
    static const int64_t unknown[] = { 0, -1, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(store_image_get(p->store, unknown[i], p->arena, &got, &p->e), 0);
    assert_int_equal(store_image_get(p->store, id + 1, p->arena, &got, &p->e), 0);
}

static void test_ping(void **state)
{
    struct place *p = *state;
    for (int i = 0; i < 3; i++)
        ok(p, store_ping(p->store, &p->e));
    store_freep(&p->store);
    p->store = open_at(p, STORE_SCRATCH);
    ok(p, store_ping(p->store, &p->e));
}

/* Which engine a place belongs to is told by its text alone. */
static void test_where(void **state)
{
    static const char *const servers[] = { "postgresql://h/d", "postgres://h",
                                           "postgresql://",    "host=h dbname=d",
                                           "  host = h",       "dbname='a b'",
                                           "service=x",        "statement_timeout=60000" };
    static const char *const files[] = { "eclair.db",  "/var/lib/eclair/eclair.db",
                                         "./host=h",   "a/b=c",
                                         "",           "/tmp/x=y/eclair",
                                         "postgresql", "mysql",
                                         "a.b=c.db",   "=x" };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
        if (!store_is_server(servers[i]))
            fail_msg("'%s' is a server", servers[i]);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (store_is_server(files[i]))
            fail_msg("'%s' is a file", files[i]);
    assert_true(store_is_server(p->where) == on_server());
}

static void test_values(void **state)
{
    struct place *p = *state;
    str v = { 0 };
    assert_int_equal(store_value_get(p->store, STR("updater/last"), p->arena, &v, &p->e), 0);
    ok(p, store_value_set(p->store, STR("updater/last"), STR("1"), &p->e));
    ok(p, store_value_set(p->store, STR("updater/last"), STR(""), &p->e));
    assert_int_equal(store_value_get(p->store, STR("updater/last"), p->arena, &v, &p->e), 1);
    same(v, STR(""));
    ok(p, store_value_set(p->store, STR("updater/last"), STR("22"), &p->e));
    if (on_server()) /* as Harbor reads it */
        assert_int_equal(number(p, "SELECT value::bigint FROM public.keyvalue WHERE key = 'updater/last'"),
                         22);
    assert_int_equal(store_value_get(p->store, STR("updater/last"), p->arena, &v, &p->e), 1);
    same(v, STR("22"));
}

static void test_scratch(void **state)
{
    struct place *p = *state;
    struct store_counts n;
    load(p, "f C1 S openssl - 4 - -");
    put_image(p, "other 1 other 1 - -", STR("debian:12"));
    uint64_t before = contents(p);
    store_freep(&p->store);
    p->store = open_at(p, STORE_SCRATCH);
    scratch_works(p, "0 C1 4 f;");
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.generation, 1);
    store_freep(&p->store);
    assert_true(before == contents(p));
}

/* Everything can be read, and nothing written, nor made or migrated. */
static void test_read(void **state)
{
    struct place *p = *state;
    struct match m;
    struct layer_index *layer;
    struct update_counts n;
    struct named_layer named = { .name = STR("n"), .digest = layer_empty.digest, .engine = 3, .indexer = 1 },
                       *got;
    str value;
    int64_t id, until;
    load(p, "f C1 S openssl - 4 - -");
    id = put_image(p, SSL, STR("debian:12"));
    ok(p, store_value_set(p->store, STR("k"), STR("v"), &p->e));
    ok(p, store_named_put(p->store, &named, &p->e));
    uint64_t before = contents(p);
    struct store *writer = p->store;
    p->store = open_at(p, STORE_READ);
    same(findings(p, id, &m), STR("0 C1 4 f;"));
    assert_int_equal(store_value_get(p->store, STR("k"), p->arena, &value, &p->e), 1);
    assert_int_equal(store_named_find(p->store, STR("n"), p->arena, &got, &p->e), 1);
    fails(p, store_value_set(p->store, STR("k"), STR("w"), &p->e), ERR_READONLY);
    fails(p, store_layer_put(p->store, &layer_one, 1, &p->e), ERR_READONLY);
    fails(p, store_named_delete(p->store, STR("n"), &p->e), ERR_READONLY);
    fails(p, store_named_put(p->store, &named, &p->e), ERR_READONLY);
    fails(p, store_feed_tried(p->store, STR("f"), 1, STR(""), &p->e), ERR_READONLY);
    fails(p, store_lease_take(p->store, STR("l"), STR("o"), 5, &until, &p->e), ERR_READONLY);
    fails(p, store_lease_drop(p->store, STR("l"), STR("o"), &p->e), ERR_READONLY);
    assert_null(store_update_begin(p->store, STR("f"), STORE_RANK, &p->e));
    assert_int_equal(p->e.kind, ERR_READONLY);
    assert_true(before == contents(p));

    struct store *reader = p->store; /* it sees what is written meanwhile, but for a view */
    p->store = writer;
    ok(p, store_view_begin(reader, &p->e));
    assert_int_equal(store_layer_find(reader, layer_one.digest, 1, p->arena, &layer, &p->e), 0);
    ok(p, store_layer_put(writer, &layer_one, 1, &p->e));
    assert_int_equal(store_layer_find(reader, layer_one.digest, 1, p->arena, &layer, &p->e), 0);
    store_view_end(reader);
    assert_int_equal(store_layer_find(reader, layer_one.digest, 1, p->arena, &layer, &p->e), 1);
    struct store_update *u = begin(p, "g");
    ok(p, put_round(p, u, 1, 5));
    ok(p, store_update_commit(u, 1, &n, &p->e));
    store_freep(&reader);
}

static void test_read_refused(void **state)
{
    struct place *p = *state;
    for (int i = 0; i < 2; i++) { /* nothing is there, and nothing is made */
        p->e = (struct err){ 0 };
        assert_null(store_open(p->where, STORE_READ, &p->e));
        assert_int_equal(p->e.kind, ERR_READONLY);
    }
    p->store = open_at(p, STORE_WRITE);
    store_freep(&p->store);
    p->store = open_at(p, STORE_READ);
    store_freep(&p->store);
    execute(p, on_server() ? "UPDATE eclair.meta SET schema = 1" : "PRAGMA user_version = 1");
    uint64_t before = contents(p);
    p->e = (struct err){ 0 };
    assert_null(store_open(p->where, STORE_READ, &p->e));
    assert_int_equal(p->e.kind, ERR_READONLY);
    assert_true(before == contents(p));
}

/* test_store [PATTERN]: the cases of that name, "test_match*" */
int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        CASE(test_layer),
        CASE(test_image),
        CASE(test_image_get),
        CASE(test_ping),
        CASE(test_where),
        CASE(test_values),
        CASE(test_scratch),
        CASE(test_read),
        cmocka_unit_test_setup_teardown(test_read_refused, fresh_place, tidy),
    };
    int failed = cmocka_run_group_tests_name("store", tests, NULL, NULL);
    return failed + store_match_tests() + store_metadata_tests() + store_update_tests() +
           store_named_tests() + store_ancestry_tests() + store_hit_tests() + store_lease_tests() +
           store_reverse_tests() + store_watch_tests() + store_notify_tests() + store_check_tests() +
           store_copy_tests() + store_vulnerability_tests() + store_vendor_tests() + store_keys_tests();
}
