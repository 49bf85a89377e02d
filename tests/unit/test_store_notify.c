/* Notifications: made once of each change, taken by one, told at least once, whatever is killed. */
#include "store_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/postgres.h"
#include "store/sqlite.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

/* An advisory that speaks of one namespace: its change is one notification. */
static int put_one(struct place *p, struct store_update *u, str key, str fixed, const char *title)
{
    struct affected_range r[] = { range_of(STR("S x - - - -")), range_of(STR("S y - - - -")) };
    r[0].fixed_version = r[1].fixed_version = fixed;
    const struct advisory a = {
        .key = key, .id = key, .title = str_from(title), .ranges = r, .range_count = 2
    };
    return store_update_put(u, &a, &p->e);
}

/* Document "d" of feed "f" again: words KEY=FIXED. */
static void load_words(struct place *p, const char *words, const char *title, int64_t now)
{
    struct store_update *u = begin(p, "f");
    ok(p, store_update_document(u, STR("d"), str_from(words), &p->e));
    for (str rest = str_from(words); rest.len;) {
        str fixed = str_word(&rest), key = str_cut(&fixed, '=');
        ok(p, put_one(p, u, key, fixed, title));
    }
    commit(p, u, now);
}

/* Makes at most `limit`: how many, and whether there may be more. */
static void made(struct place *p, size_t limit, size_t want, int want_more)
{
    size_t count = 99;
    int more = store_notifications_make(p->store, 1000, limit, &count, &p->e);
    ok(p, more);
    assert_int_equal(count, want);
    assert_int_equal(more, want_more);
}

static struct notification *list(struct place *p, int64_t after, size_t limit, size_t *n)
{
    struct notification *all = NULL;
    ok(p, store_notification_list(p->store, after, limit, p->arena, &all, n, &p->e));
    return all;
}

/* `count` changes wait as notifications. */
static void prepare(struct place *p, int count)
{
    for (int fixed = 1; fixed <= 2; fixed++) {
        str words = STR("");
        for (int i = 0; i < count; i++)
            words = arena_printf(p->arena, STR_FMT "K%d=%d ", STR_ARG(words), i, fixed);
        load_words(p, arena_cstr(p->arena, words), "t", 1);
    }
    made(p, 10000, (size_t)count, 0);
}

static int take(struct place *p, const char *owner, unsigned seconds, struct notification *ret)
{
    int r = store_notification_take(p->store, str_from(owner), seconds, p->arena, ret, &p->e);
    ok(p, r);
    return r;
}

/* For what takes a second or two. */
static void wait_taken(struct place *p, const char *owner, unsigned seconds, struct notification *ret)
{
    int64_t end = clock_ms() + 10000;
    while (!take(p, owner, seconds, ret)) {
        if (clock_ms() > end)
            fail_msg("nothing is due");
        usleep(20000);
    }
}

static void counts_are(struct place *p, int64_t waiting, int64_t oldest, int64_t failed)
{
    struct notification_counts n;
    ok(p, store_notification_count(p->store, &n, &p->e));
    assert_int_equal(n.waiting, waiting), assert_int_equal(n.oldest, oldest);
    assert_int_equal(n.failed, failed);
}

static void is_change(struct place *p, const struct notification *n, const char *key, const char *before,
                      const char *after)
{
    const int64_t ids[] = { n->before, n->after };
    const char *const fixed[] = { before, after };
    for (int i = 0; i < 2; i++) {
        struct stored_advisory a;
        assert_int_equal(store_advisory_get(p->store, ids[i], p->arena, &a, &p->e), fixed[i] != NULL);
        if (!fixed[i])
            continue;
        same(a.advisory.key, str_from(key));
        same(a.advisory.ranges[0].fixed_version, str_from(fixed[i]));
    }
}

/* ---- what becomes one ---- */

static void test_made(void **state)
{
    struct place *p = *state;
    size_t n;
    made(p, 10, 0, 0);
    load_words(p, "A=1 B=1 C=1", "t", 1); /* a first load is no news */
    made(p, 10, 0, 0);
    load_words(p, "A=1 B=1 C=1", "other texts", 2);
    made(p, 10, 0, 0);
    load_words(p, "A=1 B=2 D=1", "t", 3);
    struct store_update *u = begin(p, "f"); /* nobody sees this one */
    ok(p, put_round(p, u, 1, MANY));
    made(p, 2, 2, 1);
    made(p, 2, 1, 0);
    made(p, 2, 0, 0);
    store_update_freep(&u);
    load_words(p, "A=2 B=2 D=1", "t", 4);
    made(p, 1, 1, 1); /* there may be more */
    made(p, 1, 0, 0);

    struct notification *all = list(p, 0, 100, &n);
    assert_int_equal(n, 4);
    is_change(p, &all[0], "B", "1", "2");
    is_change(p, &all[1], "D", NULL, "1");
    is_change(p, &all[2], "C", "1", NULL);
    is_change(p, &all[3], "A", "1", "2");
    for (size_t i = 0; i < n; i++) {
        const struct notification *a = &all[i];
        assert_int_equal(a->generation, i < 3 ? 3 : 4);
        assert_int_equal(a->created, 1000), assert_int_equal(a->due, 1000);
        assert_int_equal(a->notified | a->deleted | a->attempts | a->until, 0);
        same(a->feed, STR("f")), same(a->owner, STR("")), same(a->error, STR(""));
        assert_int_equal(a->name.len, 36);
        assert_true(a->name.ptr[14] == '4' && strchr("89ab", a->name.ptr[19]));
        assert_true(!i || (a->id > all[i - 1].id && !str_eq(a->name, all[i - 1].name)));
    }
    struct notification *page = list(p, all[0].id, 2, &n);
    assert_int_equal(n, 2);
    same(page[0].name, all[1].name), same(page[1].name, all[2].name);
    list(p, all[3].id, 2, &n);
    assert_int_equal(n, 0);
    counts_are(p, 4, 1000, 0);
}

/* A database of schema 2 with changes of its own. */
static void make_old(struct place *p)
{
    const char *const *const *schemas = on_server() ? postgres_migrations : sqlite_migrations;
    const char *prefix = on_server() ? "SET search_path TO eclair;" : "";
    if (on_server())
        execute(p, "CREATE SCHEMA eclair");
    else
        snprintf(p->where, sizeof p->where, "%s/old.db", p->folder);
    for (int i = 0; i < 2; i++)
        for (const char *const *step = schemas[i]; *step; step++)
            execute(p, arena_cstr(p->arena, arena_printf(p->arena, "%s%s", prefix, *step)));
    execute(p, arena_cstr(p->arena,
                          arena_printf(p->arena,
                                       "%sUPDATE state SET generation = 5; INSERT INTO feed(name, generation)"
                                       " VALUES ('f', 5); INSERT INTO change VALUES (4, 1, 1, 0, 7);"
                                       "INSERT INTO change VALUES (5, 1, 1, 7, 8)",
                                       prefix)));
    if (!on_server())
        execute(p, "PRAGMA application_id = 0x65636c72; PRAGMA user_version = 2");
}

/* What was there before there were notifications is no news. */
static void test_migrated(void **state)
{
    struct place *p = *state;
    size_t n;
    make_old(p);
    p->store = open_at(p, STORE_WRITE);
    made(p, 10, 0, 0);
    load_words(p, "A=1", "t", 1);
    made(p, 10, 1, 0);
    struct notification *all = list(p, 0, 10, &n);
    assert_int_equal(n, 1);
    assert_int_equal(all[0].generation, 6);
    is_change(p, &all[0], "A", NULL, "1");
}

static void test_names(void **state)
{
    static const char nul[] = "00000000-0000-4000-8000-00000000000\0";
    const str none[] = { STR(""),
                         STR("x"),
                         STR("'; DROP TABLE notification"),
                         STR("00000000-0000-4000-8000-000000000000"),
                         STR("00000000-0000-4000-8000-0000000000000000"),
                         STR("\xff\xfe\x80-0000-4000-8000-00000000000000000"),
                         str_of(nul, 36) };
    struct place *p = *state;
    struct notification n;
    prepare(p, 1);
    assert_int_equal(take(p, "a", 60, &n), 1);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct notification got;
        assert_int_equal(store_notification_find(p->store, none[i], p->arena, &got, &p->e), 0);
        assert_int_equal(store_notification_renew(p->store, none[i], STR("a"), 1, &p->e), 0);
        assert_int_equal(store_notification_sent(p->store, none[i], STR("a"), 0, &p->e), 0);
        assert_int_equal(store_notification_failed(p->store, none[i], STR("a"), 0, STR("x"), &p->e), 0);
        assert_int_equal(store_notification_delete(p->store, none[i], &p->e), 0);
        assert_int_equal(store_notification_retry(p->store, none[i], &p->e), 0);
    }
    fails(p, store_notification_take(p->store, STR(""), 60, p->arena, &n, &p->e), ERR_USAGE);
    fails(p, store_notification_take(p->store, STR("a"), 0, p->arena, &n, &p->e), ERR_USAGE);
    fails(p, store_notification_renew(p->store, n.name, STR("a"), 100000, &p->e), ERR_USAGE);
    assert_int_equal(store_notification_find(p->store, n.name, p->arena, &n, &p->e), 1);
    assert_true(n.due && n.until && !n.deleted);

    store_freep(&p->store);
    p->store = open_at(p, STORE_SCRATCH); /* may read */
    size_t count;
    list(p, 0, 10, &count);
    assert_int_equal(count, 1);
    counts_are(p, 1, 1000, 0);
    fails(p, store_notification_take(p->store, STR("a"), 1, p->arena, &n, &p->e), ERR_READONLY);
    fails(p, store_notification_delete(p->store, n.name, &p->e), ERR_READONLY);
    fails(p, store_notification_retry(p->store, n.name, &p->e), ERR_READONLY);
    fails(p, store_notifications_make(p->store, 1, 1, &count, &p->e), ERR_READONLY);
}

/* Another server's, under its name. */
static void test_put(void **state)
{
    struct place *p = *state;
    struct notification got;
    size_t count;
    prepare(p, 1);
    struct notification n = *list(p, 0, 1, &count);
    n.name = STR("00000000-0000-4000-8000-000000000001");
    n.before = 0, n.created = 400, n.due = 500;
    assert_int_equal(store_notification_put(p->store, &n, &p->e), 1);
    assert_int_equal(store_notification_put(p->store, &n, &p->e), 0);
    assert_int_equal(take(p, "a", 60, &got), 1); /* it is due the longest */
    same(got.name, n.name), same(got.namespace, n.namespace), same(got.feed, STR("f"));
    assert_int_equal(got.after, n.after), assert_int_equal(got.before, 0), assert_int_equal(got.created, 400);
    assert_int_equal(got.generation, 2);
    assert_int_equal(store_notification_delete(p->store, n.name, &p->e), 1);
    assert_int_equal(store_notification_put(p->store, &n, &p->e), 0);
    n.name = STR("none");
    fails(p, store_notification_put(p->store, &n, &p->e), ERR_USAGE);
    n.name = STR("00000000-0000-4000-8000-000000000002");
    n.feed = STR("none");
    fails(p, store_notification_put(p->store, &n, &p->e), ERR_NOT_FOUND);
    n.feed = STR("f"), n.namespace = STR("none");
    fails(p, store_notification_put(p->store, &n, &p->e), ERR_NOT_FOUND);
    counts_are(p, 1, 1000, 0);
}

static void test_hush(void **state)
{
    struct place *p = *state;
    prepare(p, 1);
    struct store_update *u = begin(p, "f");
    store_update_hush(u);
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    ok(p, put_one(p, u, STR("K0"), STR("3"), "t"));
    commit(p, u, 1);
    made(p, 10000, 0, 0);
    load_words(p, "K0=4 ", "t", 1);
    made(p, 10000, 1, 0);
}

/* ---- taking ---- */

static void test_take(void **state)
{
    struct place *p = *state;
    struct notification a, b, c, got;
    assert_int_equal(take(p, "x", 60, &a), 0);
    prepare(p, 3);
    assert_int_equal(take(p, "x", 60, &a), 1);
    assert_int_equal(take(p, "y", 60, &b), 1);
    assert_int_equal(take(p, "x", 60, &c), 1);
    assert_int_equal(take(p, "x", 60, &got), 0);
    assert_true(a.id < b.id && b.id < c.id);
    same(a.owner, STR("x")), same(b.owner, STR("y"));
    assert_in_range(a.until - time(NULL), 57, 61);
    assert_int_equal(store_notification_renew(p->store, a.name, STR("y"), 600, &p->e), 0);
    assert_int_equal(store_notification_renew(p->store, a.name, STR("x"), 600, &p->e), 1);
    assert_int_equal(store_notification_sent(p->store, a.name, STR("y"), 0, &p->e), 0);
    assert_int_equal(store_notification_failed(p->store, a.name, STR("y"), 0, STR("no"), &p->e), 0);
    assert_int_equal(store_notification_find(p->store, a.name, p->arena, &got, &p->e), 1);
    assert_in_range(got.until - time(NULL), 590, 601);
    assert_int_equal(got.attempts | got.notified, 0);

    ok(p, store_notification_sent(p->store, a.name, STR("x"), 0, &p->e));
    assert_int_equal(store_notification_find(p->store, a.name, p->arena, &got, &p->e), 1);
    assert_in_range(got.notified, time(NULL) - 10, time(NULL) + 1);
    assert_int_equal(got.due | got.until | got.deleted, 0);
    assert_int_equal(store_notification_renew(p->store, a.name, STR("x"), 600, &p->e), 0);
    assert_int_equal(store_notification_failed(p->store, a.name, STR("x"), 0, STR("no"), &p->e), 0);
    counts_are(p, 2, 1000, 0);

    assert_int_equal(store_notification_failed(p->store, b.name, STR("y"), 3600, STR(RAW), &p->e), 1);
    assert_int_equal(take(p, "z", 60, &got), 0); /* in an hour */
    assert_int_equal(store_notification_find(p->store, b.name, p->arena, &got, &p->e), 1);
    assert_in_range(got.due - time(NULL), 3590, 3601);
    assert_int_equal(got.attempts, 1);
    same(got.error, STR(RAW));
    assert_int_equal(store_notification_failed(p->store, c.name, STR("x"), 0, STR("no"), &p->e), 1);
    counts_are(p, 2, 1000, 2);
    wait_taken(p, "z", 60, &got); /* again at once */
    same(got.name, c.name), same(got.error, STR("no"));
    assert_int_equal(got.attempts, 1);
    assert_int_equal(store_notification_sent(p->store, c.name, STR("z"), 1, &p->e), 1);
    counts_are(p, 1, 1000, 1);
    wait_taken(p, "z", 60, &got); /* told again: nobody has read it */
    same(got.name, c.name), same(got.error, STR(""));
    assert_true(got.notified && !got.attempts);
}

static void test_expiry(void **state)
{
    struct place *p = *state;
    struct notification a, got;
    prepare(p, 1);
    int64_t start = clock_ms();
    assert_int_equal(take(p, "x", 1, &a), 1);
    wait_taken(p, "y", 60, &got);
    assert_true(clock_ms() - start >= 1000);
    same(got.name, a.name), same(got.owner, STR("y"));
    assert_int_equal(store_notification_renew(p->store, a.name, STR("x"), 60, &p->e), 0);
    assert_int_equal(store_notification_sent(p->store, a.name, STR("x"), 0, &p->e), 0);
    assert_int_equal(take(p, "x", 60, &got), 0);
    /* by a clock that has been set back since */
    execute(p, on_server() ? "UPDATE eclair.notification SET until = until + 1000000"
                           : "UPDATE notification SET until = until + 1000000");
    assert_int_equal(take(p, "z", 60, &got), 1);
    ok(p, store_notification_sent(p->store, a.name, STR("z"), 0, &p->e));
    counts_are(p, 0, 0, 0);
}

static void test_delete(void **state)
{
    struct place *p = *state;
    struct notification a, b, got;
    size_t n;
    prepare(p, 3);
    assert_int_equal(take(p, "x", 60, &a), 1);
    assert_int_equal(take(p, "x", 60, &b), 1);
    struct notification *all = list(p, 0, 10, &n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(store_notification_delete(p->store, all[i].name, &p->e), 1);
        assert_int_equal(store_notification_delete(p->store, all[i].name, &p->e), 0);
    }
    counts_are(p, 0, 0, 0);
    assert_int_equal(take(p, "y", 60, &got), 0); /* the third */
    /* whoever was about to tell them hears of it, and has a word about what was told already */
    assert_int_equal(store_notification_renew(p->store, a.name, STR("x"), 60, &p->e), 0);
    assert_int_equal(store_notification_sent(p->store, a.name, STR("x"), 1, &p->e), 1);
    assert_int_equal(store_notification_failed(p->store, b.name, STR("x"), 0, STR("no"), &p->e), 1);
    all = list(p, 0, 10, &n);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(all[i].due | all[i].until, 0);
        assert_in_range(all[i].deleted, time(NULL) - 10, time(NULL) + 1);
    }
    assert_true(all[0].notified && !all[1].notified);
    sleep(2);
    assert_int_equal(take(p, "y", 60, &got), 0);
}

/* An operator's word: whatever came of it, it is due now; but not while somebody tells it, and not once the client has read it. */
static void test_retry(void **state)
{
    struct place *p = *state;
    struct notification n, got;
    prepare(p, 1);
    assert_int_equal(take(p, "a", 60, &n), 1);
    assert_int_equal(store_notification_retry(p->store, n.name, &p->e), 0);
    assert_int_equal(store_notification_failed(p->store, n.name, STR("a"), 3600, STR("no"), &p->e), 1);
    assert_int_equal(take(p, "b", 60, &got), 0);
    assert_int_equal(store_notification_retry(p->store, n.name, &p->e), 1);
    assert_int_equal(take(p, "b", 60, &got), 1);
    same(got.name, n.name), same(got.error, STR("no"));
    assert_int_equal(store_notification_sent(p->store, n.name, STR("b"), 0, &p->e), 1);
    assert_int_equal(take(p, "c", 60, &got), 0);
    assert_int_equal(store_notification_retry(p->store, n.name, &p->e), 1); /* also when it was told */
    assert_int_equal(take(p, "c", 60, &got), 1);
    assert_int_equal(store_notification_sent(p->store, n.name, STR("c"), 0, &p->e), 1);
    assert_int_equal(store_notification_delete(p->store, n.name, &p->e), 1);
    assert_int_equal(store_notification_retry(p->store, n.name, &p->e), 0);
    assert_int_equal(take(p, "d", 60, &got), 0);
}

/* ---- tidying ---- */

static struct tidy_counts tidy_at(struct place *p, int64_t now)
{
    const struct tidy_options o = { .now = now };
    struct tidy_counts n;
    ok(p, store_notifications_want(p->store, now, &p->e));
    assert_int_equal(store_tidy(p->store, &o, &n, &p->e), 0);
    return n;
}

/* What a notification names stays until it is deleted, or goes for its age. */
static void test_prune(void **state)
{
    struct place *p = *state;
    int64_t now = time(NULL);
    size_t n;
    load_words(p, "A=1 B=1 C=1", "t", now - 41 * DAY);
    load_words(p, "A=2 B=2", "t", now - 40 * DAY);
    struct tidy_counts c = tidy_at(p, now); /* nobody else makes them */
    assert_int_equal(c.advisories | c.changes | c.notifications, 0);
    struct notification *all = list(p, 0, 10, &n);
    assert_int_equal(n, 3);
    assert_int_equal(all[0].created, now);
    for (size_t i = 0; i < 3; i++) {
        c = tidy_at(p, now);
        assert_int_equal(c.advisories | c.changes | c.notifications, 0);
        is_change(p, &all[0], "A", "1", "2");
        is_change(p, &all[2], "C", "1", NULL);
        ok(p, store_notification_delete(p->store, all[i].name, &p->e));
    }
    c = tidy_at(p, now);
    assert_int_equal(c.advisories, 3), assert_int_equal(c.changes, 3), assert_int_equal(c.notifications, 0);
    assert_int_equal(tidy_at(p, now + 3500).notifications, 0);
    assert_int_equal(tidy_at(p, now + 3700).notifications, 3);
    list(p, 0, 10, &n);
    assert_int_equal(n, 0);

    load_words(p, "A=3 B=3", "t", now);
    tidy_at(p, now);
    c = tidy_at(p, now + 30 * DAY);
    assert_int_equal(c.advisories | c.notifications, 0);
    c = tidy_at(p, now + 30 * DAY + 1);
    assert_int_equal(c.notifications, 2), assert_int_equal(c.advisories, 2);
    made(p, 10, 0, 0); /* what is told once is not told again */
}

static bool enough(void *ctx)
{
    int *left = ctx;
    return --*left < 0;
}

/* Where nobody tells them none are made, and changes go. */
static void test_unwanted(void **state)
{
    struct place *p = *state;
    struct tidy_counts n;
    const struct tidy_options o = { .now = 40 * 86400 };
    load_words(p, "A=1 B=1", "t", 1);
    load_words(p, "A=2 B=2", "t", 2);
    ok(p, store_notifications_want(p->store, 9 * 86400, &p->e)); /* long ago */
    assert_int_equal(store_tidy(p->store, &o, &n, &p->e), 0);
    counts_are(p, 0, 0, 0);
    assert_int_equal(n.changes, 2);
    ok(p, store_notifications_want(p->store, 40 * 86400, &p->e));
    load_words(p, "A=3 B=2", "t", 3);
    assert_int_equal(store_tidy(p->store, &o, &n, &p->e), 0);
    counts_are(p, 1, 40 * 86400, 0);
}

/* It ends when it is told to, between any two steps; then it goes on where it was. */
static void test_enough(void **state)
{
    struct place *p = *state;
    struct tidy_counts n;
    int steps = 0, r = 1;
    ok(p, store_notifications_want(p->store, 9, &p->e));
    load_words(p, "A=1 B=1", "t", 1);
    load_words(p, "A=2 B=2", "t", 2);
    put_image(p, "x 1 x 1 - -", STR("debian:12"));
    for (; r == 1; steps++) {
        int left = steps;
        const struct tidy_options o = { .now = 10, .whole = true, .enough = enough, .ctx = &left };
        r = store_tidy(p->store, &o, &n, &p->e);
        ok(p, r);
        counts_are(p, steps ? 2 : 0, steps ? 10 : 0, 0);
    }
    assert_true(steps > 4);
}

/* ---- many at once ---- */

#define TAKERS  8
#define MANY_OF 200
#define KILLS   60

struct record { /* what a taker did, by one clock for all */
    int64_t id, begin, end;
    int kind; /* 'T' taken, 'H' surely held from begin to end, 'S' sent */
};

static void say(int to, int kind, int64_t id, int64_t begin)
{
    const struct record r = { .id = id, .begin = begin, .end = clock_ms(), .kind = kind };
    if (write(to, &r, sizeof r) != sizeof r)
        _exit(2);
}

/* Holds it for a moment, then says what came of it. */
static int tell(struct store *s, const struct notification *n, str owner, int to, int64_t taken_ms,
                struct err *e)
{
    int64_t begin = clock_ms();
    say(to, 'T', n->id, taken_ms);
    usleep((unsigned)rand() % 20000);
    if (clock_ms() - taken_ms < 1000)
        say(to, 'H', n->id, begin);
    if (rand() % 10 == 0)
        return store_notification_failed(s, n->name, owner, 0, STR("no"), e);
    begin = clock_ms();
    int r = store_notification_sent(s, n->name, owner, 0, e);
    if (r > 0)
        say(to, 'S', n->id, begin);
    return r;
}

/* Makes, takes and tells until nothing waits. */
static int work_once(struct store *s, str owner, int to, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct notification n;
    struct notification_counts counts;
    size_t made_now;
    if (store_notifications_make(s, 1000, 7, &made_now, e) < 0)
        return -1;
    int64_t begin = clock_ms();
    int r = store_notification_take(s, owner, 1, arena, &n, e);
    if (r > 0)
        return tell(s, &n, owner, to, begin, e) < 0 ? -1 : 1;
    if (r < 0 || store_notification_count(s, &counts, e) < 0)
        return -1;
    usleep(20000);
    return counts.waiting > 0 || made_now > 0;
}

static void taker(const struct place *p, unsigned seed, int to)
{
    struct err e = { 0 };
    char owner[STORE_OWNER];
    srand(seed);
    store_owner(owner);
    struct store *s = store_open(p->where, STORE_WRITE, &e);
    int r = s ? 1 : -1;
    while (r > 0)
        r = work_once(s, str_from(owner), to, &e);
    if (r < 0)
        fprintf(stderr, "%s\n", e.text);
    _exit(r < 0);
}

static pid_t start_taker(const struct place *p, unsigned seed, const int ends[2])
{
    pid_t child = fork();
    if (!child)
        taker(p, seed, ends[1]);
    return child;
}

/* Nobody takes what was sent before he began to, or what another one surely holds; and all was taken. */
static void check_records(const struct record *list, size_t count, const int64_t *ids)
{
    int told[MANY_OF] = { 0 };
    for (size_t i = 0; i < count; i++) {
        const struct record *a = &list[i];
        for (int k = 0; k < MANY_OF; k++)
            told[k] += ids[k] == a->id;
        for (size_t k = 0; k < count; k++) {
            const struct record *b = &list[k];
            if (k == i || a->id != b->id || b->kind != 'T')
                continue;
            if (a->kind == 'S' && b->begin > a->end)
                fail_msg("%lld is taken after it was sent", (long long)a->id);
            if (a->kind == 'H' && b->begin > a->begin && b->end < a->end)
                fail_msg("%lld is taken while another one holds it", (long long)a->id);
        }
    }
    for (int k = 0; k < MANY_OF; k++)
        if (!told[k])
            fail_msg("the notification %d was never taken", k);
}

/* All there is in the pipe. */
static size_t drain(int from, struct record *list, size_t count, size_t cap)
{
    while (count < cap && read(from, &list[count], sizeof *list) == sizeof *list)
        count++;
    return count;
}

static void test_killed(void **state)
{
    enum { RECORDS = 20000 };
    struct place *p = *state;
    pid_t takers[TAKERS];
    int ends[2], status, killed = 0;
    size_t count = 0, n;
    CLEANUP(freep) struct record *records = calloc(RECORDS, sizeof *records);
    for (int fixed = 1; fixed <= 2; fixed++) {
        struct store_update *u = begin(p, "f");
        ok(p, store_update_document(u, STR("d"), fixed == 1 ? STR("1") : STR("2"), &p->e));
        for (int i = 0; i < MANY_OF; i++)
            ok(p,
               put_one(p, u, arena_printf(p->arena, "K%05d", i), fixed == 1 ? STR("101") : STR("102"), "t"));
        commit(p, u, 1);
    }
    store_freep(&p->store);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    srand(1);
    for (int i = 0; i < TAKERS; i++)
        takers[i] = start_taker(p, (unsigned)i, ends);
    for (unsigned kills = 0; kills < KILLS; kills++) {
        usleep((unsigned)rand() % 15000);
        int which = rand() % TAKERS;
        kill(takers[which], SIGKILL);
        waitpid(takers[which], &status, 0);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        killed += WIFSIGNALED(status);
        takers[which] = start_taker(p, 100 + kills, ends);
        count = drain(ends[0], records, count, RECORDS);
    }
    for (int i = 0; i < TAKERS;) {
        count = drain(ends[0], records, count, RECORDS);
        if (waitpid(takers[i], &status, WNOHANG) == takers[i])
            assert_int_equal(status, 0), i++;
        else
            usleep(5000);
    }
    count = drain(ends[0], records, count, RECORDS);
    close(ends[0]), close(ends[1]);
    assert_true(killed > KILLS / 10); /* or this test shows little */

    p->store = open_at(p, STORE_WRITE);
    made(p, 10, 0, 0);
    counts_are(p, 0, 0, 0);
    struct notification *all = list(p, 0, 10000, &n);
    assert_int_equal(n, MANY_OF); /* one for each change */
    int64_t ids[MANY_OF];
    for (size_t i = 0; i < n; i++) {
        ids[i] = all[i].id;
        assert_true(all[i].notified && !all[i].due);
        is_change(p, &all[i], arena_cstr(p->arena, arena_printf(p->arena, "K%05zu", i)), "101", "102");
    }
    check_records(records, count, ids);
}

int store_notify_tests(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_made),     CASE(test_put),
        CASE(test_hush),     cmocka_unit_test_setup_teardown(test_migrated, fresh_place, tidy),
        CASE(test_names),    CASE(test_take),
        CASE(test_retry),    CASE(test_expiry),
        CASE(test_delete),   CASE(test_prune),
        CASE(test_unwanted), CASE(test_enough),
        CASE(test_killed),
    };
    return cmocka_run_group_tests_name("store: notify", tests, NULL, NULL);
}
