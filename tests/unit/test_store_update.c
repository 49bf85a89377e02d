/* Updates of feeds: what they change, and that they change all or nothing. */
#include "store_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <signal.h>
#include <time.h>
#include <sys/wait.h>

#define counts(n, a, c, w, u, r)                                                                             \
    do {                                                                                                     \
        struct update_counts got_ = (n);                                                                     \
        assert_int_equal(got_.added, a);                                                                     \
        assert_int_equal(got_.changed, c);                                                                   \
        assert_int_equal(got_.withdrawn, w);                                                                 \
        assert_int_equal(got_.unchanged, u);                                                                 \
        assert_int_equal(got_.rows, r);                                                                      \
    } while (0)

static void test_update(void **state)
{
    struct place *p = *state;
    struct match m;
    str validator = { 0 };
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 0);

    struct store_update *u = begin(p, "f");
    fill_document(p, u, "d1", "v1", "A= B=2 C=3");
    fill_document(p, u, "d2", "v1", "D=4");
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 0);
    counts(commit(p, u, 10), 4, 0, 0, 0, 8);
    state_is(p, 1, 4, 0); /* a first load is no change */
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 1);
    same(validator, STR("v1"));

    uint64_t before = contents(p);
    u = begin(p, "f");
    fill_document(p, u, "d2", "v1", "D=4");
    fill_document(p, u, "d1", "v1", "C=3 A= B=2"); /* in another order */
    counts(commit(p, u, 20), 0, 0, 0, 4, 0);
    assert_true(before == contents(p));

    u = begin(p, "f"); /* only the validator */
    fill_document(p, u, "d2", "v2", "D=4");
    counts(commit(p, u, 30), 0, 0, 0, 1, 0);
    state_is(p, 1, 4, 0);
    assert_int_equal(store_document(p->store, STR("f"), STR("d2"), p->arena, &validator, &p->e), 1);
    same(validator, STR("v2"));

    u = begin(p, "f"); /* B changed, C withdrawn, E new; d2 stays as it was */
    fill_document(p, u, "d1", "v3", "A= B=22 E=5");
    counts(commit(p, u, 40), 1, 1, 1, 1, 8);
    state_is(p, 2, 4, 3);
    ok(p, match_stored(p, p->store, image, &m, &p->e));
    assert_int_equal(m.finding_count, 4);
    same(m.findings[0].id, STR("A")), same(m.findings[0].fixed_version, STR(""));
    same(m.findings[1].id, STR("B")), same(m.findings[1].fixed_version, STR("22"));
    same(m.findings[2].id, STR("D")), same(m.findings[3].id, STR("E"));

    u = begin(p, "f"); /* a dropped document, and one that never was */
    ok(p, store_update_drop(u, STR("d1"), &p->e));
    ok(p, store_update_drop(u, STR("none"), &p->e));
    counts(commit(p, u, 50), 0, 0, 3, 0, 6);
    state_is(p, 3, 1, 6);
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 0);

    u = begin(p, "f"); /* it comes back, and takes a key from the other */
    fill_document(p, u, "d1", "v1", "A= D=4");
    fill_document(p, u, "d2", "v1", "F=");
    counts(commit(p, u, 60), 2, 1, 0, 0, 8);
    state_is(p, 4, 3, 8); /* D is as it was, elsewhere */

    u = begin(p, "f"); /* another text is no change of what it means */
    ok(p, store_update_document(u, STR("d2"), STR("v2"), &p->e));
    ok(p, put(p, u, "F", "", "said in other words"));
    counts(commit(p, u, 65), 0, 1, 0, 0, 4);
    state_is(p, 5, 3, 8);

    u = begin(p, "f"); /* empty now: no coverage is left either */
    ok(p, store_update_document(u, STR("d1"), STR("v"), &p->e));
    ok(p, store_update_document(u, STR("d2"), STR("v"), &p->e));
    counts(commit(p, u, 70), 0, 0, 3, 0, 6);
    ok(p, match_stored(p, p->store, image, &m, &p->e));
    assert_int_equal(m.finding_count + m.feed_count, 0);
}

static void test_repeated(void **state)
{
    struct place *p = *state;
    struct update_counts n;
    for (int round = 0; round < 4;
         round++) { /* new and new, unchanged and unchanged, changed and changed, changed and unchanged */
        struct store_update *u = begin(p, "f");
        ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
        int r = put(p, u, "A", round < 2 ? "1" : "2", "t");
        ok(p, r);
        ok(p, put(p, u, "B", "1", "t"));
        r = put(p, u, "A", round == 3 ? "1" : round < 2 ? "1" : "2", "t");
        if (r < 0)
            store_update_freep(&u);
        else
            r = store_update_commit(u, 1, &n, &p->e);
        assert_int_equal(r, -1);
        assert_int_equal(p->e.kind, ERR_FORMAT);
        assert_non_null(strstr(p->e.text, "d: A: "));
        state_is(p, round > 0, round ? 2 : 0, 0);
        if (!round) {
            u = begin(p, "f");
            fill_document(p, u, "d", "v", "A=1 B=1");
            commit(p, u, 1);
        }
    }
    struct store_update *u = begin(p, "f"); /* a document that stays has the key */
    fill_document(p, u, "other", "v", "A=1");
    assert_int_equal(store_update_commit(u, 1, &n, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_FORMAT);
    state_is(p, 1, 2, 0);
}

static void test_bad_advisory(void **state)
{
    static const char *const bad[] = { "S - - - - -", "S x - - - - debian:12 apk" };
    struct place *p = *state;
    struct update_counts n;
    load(p, "f C1 S x - - - -");
    for (size_t i = 0; i < 2; i++) {
        struct affected_range r = range_of(str_from(bad[i]));
        struct advisory a = { .key = STR("K"), .id = STR("C"), .ranges = &r, .range_count = 1 };
        struct store_update *u = begin(p, "g");
        ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
        ok(p, store_update_put(u, &a, &p->e));
        assert_int_equal(store_update_commit(u, 1, &n, &p->e), -1);
        assert_int_equal(p->e.kind, ERR_FORMAT);
        assert_non_null(strstr(p->e.text, "d: K: "));
    }
}

static void test_abandoned(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    counts(commit(p, u, 1), MANY, 0, 0, 0, MANY * 2);
    uint64_t before = contents(p);
    for (int i = 0; i < 3; i++) { /* swept by the next update, of whatever feed */
        u = begin(p, "f");
        ok(p, put_round(p, u, 2, MANY - 100 * i));
        whole(p, image);
        store_update_freep(&u);
        assert_int_equal(whole(p, image), 1);
        assert_true(before != contents(p)); /* or nothing was staged, and this test shows nothing */
        if (i < 2) {
            u = begin(p, "f");
            store_update_freep(&u);
            assert_true(before == contents(p));
        }
    }
    u = begin(p, "f");
    ok(p, put_round(p, u, 3, MANY));
    counts(commit(p, u, 1), 0, MANY, 0, 0, MANY * 4);
    assert_int_equal(whole(p, image), 3);
}

static void test_killed(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 0, MANY));
    commit(p, u, 1);
    store_freep(&p->store);
    srand(1);
    for (int round = 1, seen = 0; round <= 12; round++) {
        pid_t child = fork();
        if (!child) {
            p->store = store_open(p->where, STORE_WRITE, &p->e);
            u = p->store ? store_update_begin(p->store, STR("f"), STORE_RANK, &p->e) : NULL;
            struct update_counts n;
            bool good = u && put_round(p, u, round, MANY) == 0 && store_update_commit(u, 1, &n, &p->e) == 0;
            if (!good)
                fprintf(stderr, "%s\n", p->e.text);
            _exit(good ? 0 : 1);
        }
        int status;
        usleep((unsigned)(rand() % 400000));
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        p->store = open_at(p, STORE_WRITE);
        int now = whole(p, image);
        assert_true(now == round || (now == seen && WIFSIGNALED(status)));
        seen = now;
        store_freep(&p->store);
    }
    p->store = open_at(p, STORE_WRITE);
    u = begin(p, "f"); /* at once: the owner of the lease is dead */
    ok(p, put_round(p, u, 99, MANY));
    commit(p, u, 1);
    assert_int_equal(whole(p, image), 99);
}

static void test_busy(void **state)
{
    struct place *p = *state;
    CLEANUP(store_freep) struct store *other = open_at(p, STORE_WRITE);
    struct store_update *u = begin(p, "f");
    assert_null(store_update_begin(other, STR("f"), STORE_RANK, &p->e));
    assert_int_equal(p->e.kind, ERR_BUSY);
    assert_null(store_update_begin(other, STR("g"), STORE_RANK, &p->e));
    fill_document(p, u, "d", "v", "A=");
    ok(p, store_layer_put(other, &layer_one, 1, &p->e)); /* scans go on meanwhile */
    commit(p, u, 1);
    u = store_update_begin(other, STR("g"), STORE_RANK, &p->e);
    assert_non_null(u);
    store_update_freep(&u);
    u = begin(p, "g");
    store_update_freep(&u);
}

/* A scan's writes between the puts of an update, on the same handle and on another one. */
static void test_interleaved(void **state)
{
    struct place *p = *state;
    CLEANUP(store_freep) struct store *other = open_at(p, STORE_WRITE);
    struct store_update *u = begin(p, "f");
    fill_document(p, u, "d", "v", "A= B= C=");
    commit(p, u, 1);
    u = begin(p, "f");
    fill_document(p, u, "d", "v", "A= B=2");
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(other, &layer_empty, 1, &p->e));
    ok(p, store_feed_tried(other, STR("g"), 5, STR("no route"), &p->e));
    ok(p, put(p, u, "C", "3", "t"));
    counts(commit(p, u, 2), 0, 2, 0, 1, 8);
    state_is(p, 2, 3, 2);
}

static void test_feeds(void **state)
{
    struct place *p = *state;
    struct feed_status *f;
    size_t n;
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    assert_int_equal(n, 0);
    ok(p, store_feed_tried(p->store, STR("b"), 10, STR("no route"), &p->e));
    struct store_update *u = begin(p, "a");
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    assert_int_equal(n, 1); /* a is not there before its commit */
    fill_document(p, u, "d", "v", "A= B=");
    commit(p, u, 20);
    ok(p, store_feed_tried(p->store, STR("a"), 30, STR(""), &p->e));
    ok(p, store_feed_tried(p->store, STR("a"), 40, STR("line 3"), &p->e));
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    assert_int_equal(n, 2);
    same(f[0].name, STR("a")), same(f[0].error, STR("line 3"));
    assert_int_equal(f[0].entries, 4);
    assert_int_equal(f[0].last_try, 40);
    assert_int_equal(f[0].last_success, 30);
    assert_int_equal(f[0].generation, 1);
    same(f[1].name, STR("b")), same(f[1].error, STR("no route"));
    assert_int_equal(f[1].last_success + f[1].generation + f[1].entries, 0);
    ok(p, store_feed_tried(p->store, STR("b"), 50, STR(""), &p->e));
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    same(f[1].error, STR(""));
    assert_int_equal(f[1].last_success, 50);
}

/* ---- the lease of updates ---- */

/* When it ends, in seconds from now. */
static void set_lease(struct place *p, int seconds)
{
    char sql[128];
    if (on_server())
        snprintf(sql, sizeof sql,
                 "UPDATE eclair.lease SET expires = clock_timestamp() + %d * interval '1 second'", seconds);
    else
        snprintf(sql, sizeof sql, "UPDATE lease SET expires = %lld", (long long)clock_up() + seconds);
    execute(p, sql);
}

static int64_t lease_left(struct place *p)
{
    return on_server()
               ? number(p, "SELECT ceil(extract(epoch FROM expires - clock_timestamp())) FROM eclair.lease")
               : number(p, "SELECT expires FROM lease") - clock_up();
}

/* A lease of somebody who cannot be asked holds until it expires; who lost it writes nothing any more. */
static void test_lease(void **state)
{
    struct place *p = *state;
    struct update_counts n;
    int64_t until;
    const char *steal = on_server() ? "UPDATE eclair.lease SET owner = 'elsewhere 1 2 3'"
                                    : "UPDATE lease SET owner = 'elsewhere 1 2 3'";
    assert_int_equal(store_lease_take(p->store, STR("update"), STR("elsewhere 1 2 3"), 50, &until, &p->e), 1);
    assert_null(store_update_begin(p->store, STR("f"), STORE_RANK, &p->e));
    assert_int_equal(p->e.kind, ERR_BUSY);
    set_lease(p, -1);
    struct store_update *u = begin(p, "f");
    fill_document(p, u, "d", "v", "A=");
    execute(p, steal);
    fails(p, store_update_commit(u, 1, &n, &p->e), ERR_BUSY);
    state_is(p, 0, 0, 0);
    set_lease(p, 1000000); /* of before the machine started anew */
    u = begin(p, "f");
    for (int i = 0; i < 2; i++) { /* a document that begins renews it, however long its bytes took to come */
        set_lease(p, 100);
        fill_document(p, u, i ? "d2" : "d1", "v", ""); /* but not again and again */
        assert_true(lease_left(p) <= 100);
        nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 100000000 }, NULL);
        fill_document(p, u, i ? "d2" : "d1", "v", "");
        int64_t left = lease_left(p);
        assert_true(left >= 290 && left <= 300);
    }
    store_update_freep(&u);
}

/* ---- many documents ---- */

static const char *counted(struct place *p, const char *name, int i)
{
    return arena_cstr(p->arena, arena_printf(p->arena, "%s%d", name, i));
}

/* `count` advisories of that document */
static void put_some(struct place *p, struct store_update *u, const char *document, int count)
{
    ok(p, store_update_document(u, str_from(document), STR("v"), &p->e));
    for (int i = 0; i < count; i++)
        ok(p, put(p, u, counted(p, document, i), "", ""));
}

/* Named in one order, filled in another, twice, and some not at all: as an archive with a file for each CVE has it. */
static void test_many_documents(void **state)
{
    struct place *p = *state;
    struct stored_document *list;
    size_t count;
    const int many = 600;
    for (int round = 0; round < 2; round++) {
        struct store_update *u = begin(p, "f");
        for (int i = 0; i < many; i++)
            ok(p, store_update_document(u, str_from(counted(p, "d", i)), STR("old"), &p->e));
        for (int i = many - 1; i >= 0; i -= 2) {
            ok(p, store_update_document(u, str_from(counted(p, "d", i)), STR("v"), &p->e));
            ok(p, put(p, u, counted(p, "k", i), round ? "2" : "1", "t"));
        }
        struct update_counts n = commit(p, u, 1);
        assert_int_equal(round ? n.changed : n.added, many / 2);
        assert_int_equal(n.withdrawn, 0);
    }
    ok(p, store_documents(p->store, STR("f"), p->arena, &list, &count, &p->e));
    assert_int_equal(count, many);
    for (size_t i = 0; i < count; i++)
        same(list[i].validator,
             strchr("13579", list[i].name.ptr[list[i].name.len - 1]) ? STR("v") : STR("old"));
    struct store_update *u = begin(p, "f"); /* a key of a document that stays */
    ok(p, store_update_document(u, STR("new"), STR("v"), &p->e));
    ok(p, put(p, u, "k1", "3", "t"));
    struct update_counts n;
    fails(p, store_update_commit(u, 2, &n, &p->e), ERR_FORMAT);
}

static void test_shrunk(void **state)
{
    struct place *p = *state;
    static const struct {
        int a, b; /* advisories of document a; of b: -1 is not named, -2 dropped */
        const char *document;
        int64_t before, after; /* 0: it is fine */
    } cases[] = {
        { 100, -1, "", 0, 0 },     { 99, 120, "", 0, 0 },     { 50, -1, "", 0, 0 },
        { 49, -1, "a", 100, 49 },  { 0, -1, "a", 100, 0 },    { 49, 120, "a", 100, 49 },
        { 100, 59, "b", 120, 59 }, { 100, -2, "", 220, 100 }, { 110, -2, "", 0, 0 },
        { 49, 59, "", 220, 108 },  { 50, 60, "", 0, 0 },      { 49, 2000, "a", 100, 49 },
    };
    struct update_shrink k;
    struct store_update *u = begin(p, "f");
    put_some(p, u, "a", 100);
    put_some(p, u, "b", 120);
    assert_false(store_update_shrunk(u, &k)); /* there was nothing before */
    commit(p, u, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        u = begin(p, "f");
        put_some(p, u, "a", cases[i].a);
        if (cases[i].b >= 0)
            put_some(p, u, "b", cases[i].b);
        else if (cases[i].b == -2)
            ok(p, store_update_drop(u, STR("b"), &p->e));
        bool shrunk = store_update_shrunk(u, &k);
        if (shrunk != (cases[i].before > 0) || k.before != cases[i].before || k.after != cases[i].after)
            fail_msg("case %zu: %d %lld %lld", i, shrunk, (long long)k.before, (long long)k.after);
        same(k.document, str_from(cases[i].document));
        store_update_freep(&u);
    }
    u = begin(p, "g"); /* fewer than 100 may go as they like */
    put_some(p, u, "g", 99);
    commit(p, u, 1);
    u = begin(p, "g");
    put_some(p, u, "g", 0);
    assert_false(store_update_shrunk(u, &k));
    store_update_freep(&u);
}

int store_update_tests(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_update), CASE(test_repeated),       CASE(test_bad_advisory), CASE(test_abandoned),
        CASE(test_killed), CASE(test_busy),           CASE(test_interleaved),  CASE(test_feeds),
        CASE(test_lease),  CASE(test_many_documents), CASE(test_shrunk),
    };
    return cmocka_run_group_tests_name("store: updates", tests, NULL, NULL);
}
