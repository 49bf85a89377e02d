/* store_check(): nothing to say of a database in use, and one line at least for each kind of damage. */
#include "store_fixture.h"

#include "base/cleanup.h"

#include <stdio.h>

/* A little of everything: a set in a segment, one that waits, an image, named layers, a feed with ranges of both kinds and history. */
static void fill(struct place *p)
{
    struct tidy_counts n;
    struct update_counts counts;
    struct named_layer root = { .name = STR("root"),
                                .digest = layer_one.digest,
                                .chain = STR("c1"),
                                .engine = 3,
                                .indexer = 1 },
                       child = root;
    const struct tidy_options whole = { .whole = true, .now = 1 };
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    assert_int_equal(store_tidy(p->store, &whole, &n, &p->e), 0);
    int64_t image = put_image(p, SSL, STR("debian:12"));
    child.name = STR("child"), child.parent = STR("root"), child.parent_chain = STR("c1");
    child.views = &image, child.view_count = 1;
    assert_int_equal(store_named_put(p->store, &root, &p->e), 1);
    assert_int_equal(store_named_put(p->store, &child, &p->e), 1);
    const str hash = STR("a");
    const struct ancestry a = {
        .name = STR("a"), .hashes = &hash, .hash_count = 1, .image = image, .indexer = 1
    };
    ok(p, store_hash_put(p->store, hash, layer_one.digest, 1, &p->e));
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    load(p, "f C1 S openssl - 4 - -;f C2 s openssl - - - -;f C3 B libssl3 1 4 amd64 m");
    struct store_update *u = begin(p, "g");
    fill_document(p, u, "d", "v1", "C1=2 C2=3 C3=4");
    commit(p, u, 1000);
    u = begin(p, "g");
    fill_document(p, u, "d", "v2", "C1=2 C2=4 C4=4");
    ok(p, store_update_commit(u, 2000, &counts, &p->e));
}

struct report {
    struct arena *arena;
    str text;
    int count;
};

static void on_problem(void *ctx, const char *text)
{
    struct report *r = ctx;
    r->text = arena_printf(r->arena, STR_FMT "%s\n", STR_ARG(r->text), text);
    r->count++;
}

static struct report check(struct place *p, bool full)
{
    struct report r = { .arena = p->arena, .text = STR("") };
    ok(p, store_check(p->store, full, on_problem, &r, &p->e));
    return r;
}

static void is_well(struct place *p)
{
    for (int full = 0; full < 2; full++) {
        struct report r = check(p, full);
        if (r.count)
            fail_msg("not well: " STR_FMT, STR_ARG(r.text));
    }
}

static void test_well(void **state)
{
    struct place *p = *state;
    is_well(p);
    fill(p);
    is_well(p);
    struct store_update *u = begin(p, "g"); /* one that is staged, and is then abandoned */
    ok(p, put_round(p, (store_update_document(u, STR("d"), STR("v3"), &p->e), u), 1, MANY));
    is_well(p);
    store_update_freep(&u);
    is_well(p);
    u = begin(p, "g");
    is_well(p);
    store_update_freep(&u);
}

static const struct {
    const char *sql, *want;
} damages[] = {
    { "DELETE FROM package WHERE id = 1", "of its packages are not stored" },
    { "UPDATE package_set SET members = 'x' WHERE id = 1", "its hash is not that" },
    { "DELETE FROM posting_queue", "neither the queue nor a segment" },
    { "DELETE FROM posting_block", "neither the queue nor a segment" },
    { "UPDATE posting_block SET package = package + 1", "its postings are not its packages" },
    { "UPDATE posting_block SET body = 'x'", "is damaged" },
    { "UPDATE posting_segment SET first = 7, last = 9", "neither the queue nor a segment" },
    { "INSERT INTO posting_queue SELECT min(id) FROM package_set", "waits in the queue and is in a segment" },
    { "DELETE FROM package_set WHERE id = (SELECT max(id) FROM package_set)", "is not stored" },
    { "DELETE FROM layer_set", "layer_set has not the package sets" },
    { "UPDATE layer_set SET layer = 99", "and one of them is not stored" },
    { "UPDATE layer SET entries = 'x'", "damaged entries" },
    { "DELETE FROM distribution", "its distribution is not stored" },
    { "DELETE FROM image_layer", "damaged origins" },
    { "UPDATE image_layer SET layer = 99", "a layer of it is not stored" },
    { "UPDATE image_layer SET image = 99", "but is not stored itself" },
    { "UPDATE image SET packages = 99", "package set 99 is not stored" },
    { "UPDATE image SET details = 'x'", "damaged details" },
    { "DELETE FROM image", "a view of it is not stored" },
    { "DELETE FROM layer WHERE digest = (SELECT digest FROM layer WHERE id = 1)",
      "its content is not stored" },
    { "DELETE FROM named_layer WHERE parent IS NULL", "its parent is not stored" },
    { "UPDATE named_layer SET parent = id", "it is one of its own" },
    { "UPDATE named_view SET named = 99", "but is not stored itself" },
    { "UPDATE layer_hash SET layer = 99", "hash 1 has layer 99" },
    { "UPDATE ancestry SET image = 99", "ancestry a: its image is not stored" },
    { "UPDATE ancestry SET packages = 99", "ancestry a: its image is not stored, or has other packages" },
    { "UPDATE named_view SET distribution = 99", "a view of it is not stored, or has other packages" },
    { "UPDATE ancestry SET image = 0", "ancestry a: it has layers and no image" },
    { "UPDATE ancestry SET hashes = 'x'", "ancestry 1: its list of layers is damaged" },
    { "DELETE FROM affected WHERE part = 1", "its ranges are not those" },
    { "DELETE FROM negative", "its ranges are not those" },
    { "UPDATE negative SET kind = 2", "its ranges are not those" },
    { "UPDATE affected SET advisory = 99 WHERE advisory = 1", "which is not stored" },
    { "DELETE FROM advisory WHERE id = 1", "which is not stored" },
    { "UPDATE feed SET ranges = ranges + 1", "feed f counts" },
    { "UPDATE feed SET advisories = 0", "feed g counts" },
    { "DELETE FROM feed WHERE name = 'f'", "of a feed that is not stored" },
    { "UPDATE feed_namespace SET ranges = ranges - 1", "ranges in namespace" },
    { "DELETE FROM namespace", "namespace 1 of feed 1 is not stored" },
    { "UPDATE document SET advisories = 7", "document d counts 7" },
    { "INSERT INTO pending VALUES (9, 100)", "generation 9 is pending" },
    { "INSERT INTO pending VALUES (4, 1)", "would be swept" },
    { "UPDATE state SET generation = 2", "a generation that is not pending" },
    { "UPDATE change SET feed = 99", "of no feed" },
    { "INSERT INTO metadata VALUES ('x', 99)", "advisory 99 has metadata" },
    { "INSERT INTO advisory_space VALUES (1, 99)",
      "in the list of namespaces 1, and one of them is not stored" },
    { "DELETE FROM advisory_space WHERE namespace = 1",
      "advisory 1 has ranges in namespace 1, which does not list it" },
    { "INSERT INTO lease VALUES ('update', 'x', %s, 999999)", "lease update is for" },
};

static void damage(struct place *p, const char *sql)
{
    char text[512];
    int n =
        snprintf(text, sizeof text, "%s",
                 on_server() ? "SET search_path TO eclair; SET session_replication_role TO replica;" : "");
    str rest = str_from(sql);
    str head = str_cut(&rest, '%');
    const char *later = on_server() ? "now() + interval '1 day'" : "strftime('%s', 'now') + 86400";
    snprintf(text + n, sizeof text - (size_t)n, STR_FMT "%s" STR_FMT, STR_ARG(head), rest.len ? later : "",
             STR_ARG(rest.len ? str_skip(rest, 1) : rest));
    execute(p, text);
}

/* Databases are slow to make on a server: there the tables are put back as they were. */
static void save(struct place *p, bool back)
{
    char text[640];
    snprintf(text, sizeof text,
             "SET session_replication_role TO replica; CREATE SCHEMA IF NOT EXISTS saved;"
             "DO $$DECLARE t record; BEGIN FOR t IN SELECT relname AS n FROM pg_class WHERE relkind = 'r' AND"
             " relnamespace = 'eclair'::regnamespace LOOP %s END LOOP; END$$",
             back ? "EXECUTE format('DELETE FROM eclair.%1$I; INSERT INTO eclair.%1$I SELECT * FROM "
                    "saved.%1$I', t.n);"
                  : "EXECUTE format('CREATE TABLE saved.%1$I AS TABLE eclair.%1$I', t.n);");
    execute(p, text);
}

static void test_damage(void **state)
{
    void *made = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        bool restore = on_server() && made;
        if (!restore)
            fresh(&made);
        struct place *p = made;
        if (restore) {
            save(p, true);
        } else {
            fill(p);
            if (on_server())
                save(p, false);
        }
        is_well(p);
        damage(p, damages[i].sql);
        struct report r = check(p, i % 2);
        if (!str_contains(r.text, str_from(damages[i].want)))
            fail_msg("%s: '" STR_FMT "' does not say '%s'", damages[i].sql, STR_ARG(r.text), damages[i].want);
        if (!on_server())
            tidy(&made);
    }
    if (on_server())
        tidy(&made);
}

/* A thousand faults of one kind are some lines. */
static void test_many(void **state)
{
    struct place *p = *state;
    struct store_update *u = begin(p, "f");
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    is_well(p);
    damage(p, "DELETE FROM affected");
    struct report r = check(p, true);
    assert_true(r.count > 100 && r.count < 120);
    assert_true(str_contains(r.text, STR("more of these")));
}

/* So many packages that only some are looked at. */
static void test_sample(void **state)
{
    struct place *p = *state;
    enum { LAYERS = 12, EACH = 1000 };
    struct tidy_counts n;
    const struct tidy_options whole = { .whole = true, .now = 1 };
    for (int i = 0; i < LAYERS; i++) {
        struct package *list = arena_array(p->arena, struct package, EACH);
        for (int k = 0; k < EACH; k++) {
            list[k].kind = list[k].version = list[k].source = list[k].source_version = STR("dpkg");
            list[k].name = arena_printf(p->arena, "p%d", k < 10 ? k : i * EACH + k); /* ten that all have */
        }
        struct layer_entry entry = {
            .kind = ENTRY_FILE, .path = STR("a"), .packages = list, .package_count = EACH
        };
        struct layer_index layer = { .digest = arena_printf(p->arena, "sha256:%064d", i),
                                     .entries = &entry,
                                     .entry_count = 1 };
        ok(p, store_layer_put(p->store, &layer, 1, &p->e));
        if (i % 5 == 3) /* two segments, and some that wait */
            assert_int_equal(store_tidy(p->store, &whole, &n, &p->e), 0);
    }
    is_well(p);
    damage(p, "UPDATE posting_block SET package = package + 20000");
    for (int full = 0; full < 2; full++)
        assert_true(check(p, full).count > 0);
}

int store_check_tests(void)
{
    const struct CMUnitTest tests[] = { CASE(test_well), CASE(test_many), CASE(test_sample),
                                        cmocka_unit_test(test_damage) };
    return cmocka_run_group_tests_name("store: check", tests, NULL, NULL);
}
