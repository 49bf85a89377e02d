/* Keys of services and nonces: kept, replaced in one step, forgotten when it is time; one token is taken once, by whomever. */
#include "store_fixture.h"

#include "base/cleanup.h"

#include <pthread.h>

#define WEEK (7 * 86400)

static struct service_key key_of(const char *service, const char *kid, int64_t created, int64_t approved,
                                 int64_t expires)
{
    return (struct service_key){ .service = str_from(service),
                                 .kid = str_from(kid),
                                 .jwk = STR("{\"kty\":\"RSA\"}"),
                                 .created = created,
                                 .approved = approved,
                                 .expires = expires,
                                 .rotation_s = 60 };
}

static void put_key(struct place *p, const char *service, const char *kid, int64_t created, int64_t approved,
                    int64_t expires)
{
    struct service_key k = key_of(service, kid, created, approved, expires);
    ok(p, store_key_put(p->store, &k, &p->e));
}

/* "SERVICE/KID APPROVED EXPIRES REPLACED_BY;" for each */
static const char *listed(struct place *p, const char *service)
{
    struct service_key *list;
    size_t n;
    str text = STR("");
    ok(p, store_key_list(p->store, str_from(service), p->arena, &list, &n, &p->e));
    for (size_t i = 0; i < n; i++)
        text = arena_printf(p->arena, STR_FMT STR_FMT "/" STR_FMT " %d %d " STR_FMT ";", STR_ARG(text),
                            STR_ARG(list[i].service), STR_ARG(list[i].kid), (int)list[i].approved,
                            (int)list[i].expires, STR_ARG(list[i].replaced_by));
    return arena_cstr(p->arena, text);
}

static void test_keys(void **state)
{
    struct place *p = *state;
    struct service_key got;
    put_key(p, "quay", "b", 10, 0, 0);
    put_key(p, "quay", "a", 20, 5, 100);
    put_key(p, "clair", "\xff\xfe", 30, 0, 0);
    assert_string_equal(listed(p, ""), "clair/\xff\xfe 0 0 ;quay/b 0 0 ;quay/a 5 100 ;");
    assert_string_equal(listed(p, "quay"), "quay/b 0 0 ;quay/a 5 100 ;");
    assert_string_equal(listed(p, "none"), "");
    assert_int_equal(store_key_find(p->store, STR("quay"), STR("a"), p->arena, &got, &p->e), 1);
    assert_true(got.created == 20 && got.rotation_s == 60 && str_eq(got.jwk, STR("{\"kty\":\"RSA\"}")));
    assert_int_equal(store_key_find(p->store, STR("clair"), STR("a"), p->arena, &got, &p->e), 0);
    put_key(p, "quay", "b", 10, 11, 0); /* in place of it */
    assert_string_equal(listed(p, "quay"), "quay/b 11 0 ;quay/a 5 100 ;");
    struct service_key_counts n;
    ok(p, store_key_count(p->store, STR("quay"), &n, &p->e));
    assert_true(n.keys == 3 && n.pending == 1 && n.keys_of_service == 2 && !n.pending_of_service);
    assert_int_equal(store_key_delete(p->store, STR("quay"), STR("b"), &p->e), 1);
    assert_int_equal(store_key_delete(p->store, STR("quay"), STR("b"), &p->e), 0);
    assert_string_equal(listed(p, "quay"), "quay/a 5 100 ;");
}

static void test_replace(void **state)
{
    struct place *p = *state;
    struct service_key new = key_of("quay", "new", 50, 0, 900);
    put_key(p, "quay", "pending", 1, 0, 0);
    put_key(p, "quay", "old", 1, 2, 0);
    put_key(p, "quay", "expired", 2, 3, 50);
    assert_int_equal(store_key_replace(p->store, &new, STR("pending"), &p->e), 0);
    assert_int_equal(store_key_replace(p->store, &new, STR("expired"), &p->e), 0);
    assert_int_equal(store_key_replace(p->store, &new, STR("none"), &p->e), 0);
    assert_string_equal(listed(p, ""), "quay/old 2 0 ;quay/pending 0 0 ;quay/expired 3 50 ;");
    assert_int_equal(store_key_replace(p->store, &new, STR("old"), &p->e), 1);
    assert_string_equal(listed(p, ""),
                        "quay/old 2 50 new;quay/pending 0 0 ;quay/expired 3 50 ;quay/new 50 900 ;");
    struct service_key there = key_of("quay", "pending", 60, 0, 0);
    assert_int_equal(store_key_replace(p->store, &there, STR("new"), &p->e),
                     0); /* one of that name is there */
    assert_int_equal(store_key_add(p->store, &there, &p->e), 0);
    assert_string_equal(listed(p, ""),
                        "quay/old 2 50 new;quay/pending 0 0 ;quay/expired 3 50 ;quay/new 50 900 ;");
    struct service_key other = key_of("quay", "other", 51, 0, 0);
    assert_int_equal(store_key_add(p->store, &other, &p->e), 1);
    assert_int_equal(store_key_replace(p->store, &other, STR("old"), &p->e), 0); /* of two one wins */
}

static void test_nonces(void **state)
{
    struct place *p = *state;
    const struct {
        const char *issuer, *nonce;
        int want;
    } rows[] = { { "quay", "n", 1 }, { "quay", "n", 0 }, { "clair", "n", 1 }, { "quay", RAW, 1 },
                 { "quayn", "", 1 }, { "qua", "yn", 1 }, { "quayn", "", 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(
            store_nonce_take(p->store, str_from(rows[i].issuer), str_from(rows[i].nonce), 100, &p->e),
            rows[i].want);
    store_freep(&p->store);
    p->store = open_at(p, STORE_READ);
    fails(p, store_nonce_take(p->store, STR("quay"), STR("m"), 100, &p->e), ERR_READONLY);
    struct service_key k = key_of("a", "b", 1, 1, 1);
    fails(p, store_key_put(p->store, &k, &p->e), ERR_READONLY);
}

#define TAKERS 4
#define TOKENS 200

struct taker {
    struct place *place;
    struct store *store;
    int taken[TOKENS];
    bool failed;
};

static void *take_all(void *ctx)
{
    struct taker *t = ctx;
    struct err e = { 0 };
    for (int i = 0; i < TOKENS; i++) {
        int r = store_nonce_take(t->store, STR("quay"), str_of(&i, sizeof i), 100, &e);
        t->taken[i] = r > 0;
        t->failed |= r < 0;
    }
    return NULL;
}

/* Instances that are sent the same tokens: each is taken once. */
static void test_nonces_at_once(void **state)
{
    struct place *p = *state;
    struct taker all[TAKERS] = { 0 };
    pthread_t threads[TAKERS];
    for (int i = 0; i < TAKERS; i++) {
        all[i].store = open_at(p, STORE_WRITE);
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &all[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(all[i].failed);
        store_freep(&all[i].store);
    }
    for (int k = 0; k < TOKENS; k++)
        assert_int_equal(all[0].taken[k] + all[1].taken[k] + all[2].taken[k] + all[3].taken[k], 1);
}

static void test_tidied(void **state)
{
    struct place *p = *state;
    struct tidy_counts counts;
    const int64_t now = 100 * WEEK;
    const struct tidy_options o = { .now = now };
    put_key(p, "s", "ever", 1, 1, 0);
    put_key(p, "s", "expired", 1, 1, now - WEEK + 1);
    put_key(p, "s", "long-expired", 1, 1, now - WEEK - 1);
    put_key(p, "s", "pending", now - WEEK + 1, 0, 0);
    put_key(p, "s", "long-pending", now - WEEK - 1, 0, 2 * now);
    for (int i = 0; i < 2500; i++)
        assert_int_equal(
            store_nonce_take(p->store, STR("s"), str_of(&i, sizeof i), i < 2400 ? now - 1 : now, &p->e), 1);
    ok(p, store_tidy(p->store, &o, &counts, &p->e));
    struct service_key *list;
    size_t n;
    ok(p, store_key_list(p->store, STR("s"), p->arena, &list, &n, &p->e));
    assert_int_equal(n, 3);
    assert_true(str_eq(list[0].kid, STR("ever")) && str_eq(list[1].kid, STR("expired")) &&
                str_eq(list[2].kid, STR("pending")));
    assert_int_equal(
        number(p, on_server() ? "SELECT count(*) FROM eclair.nonce" : "SELECT count(*) FROM nonce"), 100);
}

/* From schema 6, which has neither. */
static void test_keys_migrated(void **state)
{
    struct place *p = *state;
    store_freep(&p->store);
    execute(p, on_server() ? "DROP TABLE eclair.service_key, eclair.nonce; UPDATE eclair.meta SET schema = 6"
                           : "DROP TABLE service_key; DROP TABLE nonce; PRAGMA user_version = 6");
    p->store = open_at(p, STORE_WRITE);
    assert_int_equal(store_schema_before(p->store), 6);
    put_key(p, "s", "k", 1, 0, 0);
    assert_int_equal(store_nonce_take(p->store, STR("i"), STR("n"), 100, &p->e), 1);
    assert_int_equal(store_nonce_take(p->store, STR("i"), STR("n"), 100, &p->e), 0);
}

static void test_keys_copied(void **state)
{
    struct place *p = *state;
    struct copy_counts counts;
    struct store *to =
        store_open(arena_cstr(p->arena, arena_printf(p->arena, "%s/copy.db", p->folder)), STORE_WRITE, &p->e);
    struct service_key got, there = key_of("s", "b", 7, 7, 7);
    assert_non_null(to);
    put_key(p, "s", "a", 1, 2, 3);
    put_key(p, "s", "b", 1, 2, 3);
    ok(p, store_key_put(to, &there, &p->e));
    ok(p, store_copy(p->store, to, NULL, NULL, &counts, &p->e));
    assert_int_equal(store_key_find(to, STR("s"), STR("a"), p->arena, &got, &p->e), 1);
    assert_true(got.created == 1 && got.approved == 2 && got.expires == 3);
    assert_int_equal(store_key_find(to, STR("s"), STR("b"), p->arena, &got, &p->e), 1);
    assert_int_equal(got.approved, 7);
    store_freep(&to);
}

int store_keys_tests(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_keys),   CASE(test_replace),       CASE(test_nonces),      CASE(test_nonces_at_once),
        CASE(test_tidied), CASE(test_keys_migrated), CASE(test_keys_copied),
    };
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
