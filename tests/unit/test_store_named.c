/* Named layers: a tree of names. And leases, which have one holder. */
#include "store_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <sys/wait.h>
#include <time.h>

/* ---- named layers ---- */

static struct named_layer layer_of(const char *name, const char *parent)
{
    return (struct named_layer){ .name = str_from(name),
                                 .parent = str_from(parent),
                                 .parent_chain = *parent ? STR("chain") : STR(""),
                                 .digest = layer_one.digest,
                                 .chain = STR("chain"),
                                 .namespace = STR("debian:12"),
                                 .engine = 3,
                                 .indexer = 1 };
}

/* Puts "NAME" on "PARENT" ("": none), whose content is there. */
static int put_named(struct place *p, const char *name, const char *parent)
{
    struct named_layer l = layer_of(name, parent);
    return store_named_put(p->store, &l, &p->e);
}

static void put_content(struct place *p)
{
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_one, 2, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
}

static bool is_there(struct place *p, const char *name)
{
    struct named_layer *got;
    int r = store_named_find(p->store, str_from(name), p->arena, &got, &p->e);
    ok(p, r);
    return r == 1;
}

/* "a b c": the chain of `name`, the root first; "" for an unknown one. */
static void chain_is(struct place *p, str name, const char *want)
{
    struct named_link *links = NULL;
    size_t count = 77;
    str text = STR("");
    ok(p, store_named_chain(p->store, name, p->arena, &links, &count, &p->e));
    for (size_t i = 0; i < count; i++)
        text =
            arena_printf(p->arena, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? " " : "", STR_ARG(links[i].name));
    same(text, str_from(want));
}

static void same_named(struct place *p, const struct named_layer *want)
{
    struct named_layer *got = NULL;
    assert_int_equal(store_named_find(p->store, want->name, p->arena, &got, &p->e), 1);
    same(got->name, want->name), same(got->parent, want->parent), same(got->digest, want->digest);
    same(got->chain, want->chain), same(got->namespace, want->namespace);
    assert_int_equal(got->engine, want->engine);
    assert_int_equal(got->indexer, want->indexer);
    assert_int_equal(got->view_count, want->view_count);
    for (size_t i = 0; i < got->view_count; i++)
        assert_int_equal(got->views[i], want->views[i]);
}

/* An image with another digest than that of put_image(). */
static int64_t put_view(struct place *p, const char *digest)
{
    const struct layer_index *layers[] = { &layer_empty };
    struct image_index image = { .digest = str_from(digest), .layers = layers, .layer_count = 1 };
    int64_t id = 0;
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    return id;
}

static void test_named(void **state)
{
    struct place *p = *state;
    struct named_layer *got;
    assert_int_equal(store_named_find(p->store, STR("a"), p->arena, &got, &p->e), 0);
    put_content(p);
    int64_t views[] = { put_view(p, "v1"), put_view(p, "v2"), put_view(p, "v3") };
    int64_t turned[] = { views[2], views[0], views[1] }; /* the order is kept */
    struct named_layer root = layer_of("a", ""), child = layer_of("b", "a");
    root.views = turned, root.view_count = 3;
    child.namespace = STR(""), child.digest = layer_empty.digest, child.chain = STR("one two");
    assert_int_equal(store_named_put(p->store, &root, &p->e), 1);
    assert_int_equal(store_named_put(p->store, &child, &p->e), 1);
    same_named(p, &root), same_named(p, &child);

    struct named_layer other =
        root; /* the same engine and indexer: it stays as it is, whatever else is said */
    other.chain = STR("x"), other.namespace = STR("x"), other.view_count = 0,
    other.digest = layer_empty.digest;
    other.parent = STR("b");
    assert_int_equal(store_named_put(p->store, &other, &p->e), 0);
    same_named(p, &root);
    CLEANUP(store_freep) struct store *second = open_at(p, STORE_WRITE);
    assert_int_equal(store_named_find(second, STR("b"), p->arena, &got, &p->e), 1); /* it lasts */
    same(got->parent, STR("a"));
}

static void test_named_replaced(void **state)
{
    struct place *p = *state;
    put_content(p);
    int64_t first[] = { put_view(p, "v1"), put_view(p, "v2") }, second[] = { put_view(p, "v3") };
    struct named_layer middle = layer_of("middle", "root");
    middle.views = first, middle.view_count = 2;
    assert_int_equal(put_named(p, "root", ""), 1);
    assert_int_equal(store_named_put(p->store, &middle, &p->e), 1);
    struct named_layer late = middle;
    late.engine = 2, late.indexer = 2, late.only_new = true;
    assert_int_equal(store_named_put(p->store, &late, &p->e), 0);
    same_named(p, &middle);
    assert_int_equal(put_named(p, "child", "middle"), 1);
    assert_int_equal(put_named(p, "elsewhere", ""), 1);

    struct named_layer newer = middle;
    newer.engine = 4, newer.parent = STR("elsewhere"), newer.digest = layer_empty.digest;
    newer.chain = STR("new"), newer.namespace = STR("alpine:v3"), newer.views = second, newer.view_count = 1;
    fails(p, store_named_put(p->store, &newer, &p->e), ERR_BUSY); /* made from another parent than it has */
    newer.parent = STR(""), newer.parent_chain = STR("");
    fails(p, store_named_put(p->store, &newer, &p->e), ERR_BUSY);
    newer.parent = STR("root"), newer.parent_chain = STR("other");
    fails(p, store_named_put(p->store, &newer, &p->e), ERR_BUSY);
    same_named(p, &middle);
    newer.parent_chain = STR("chain");
    assert_int_equal(store_named_put(p->store, &newer, &p->e), 1);
    same_named(p, &newer);
    chain_is(p, STR("child"), "root middle child");
    assert_int_equal(store_named_put(p->store, &newer, &p->e), 0);

    newer.indexer = 2, newer.digest = layer_one.digest, newer.view_count = 0; /* another indexer, too */
    assert_int_equal(store_named_put(p->store, &newer, &p->e), 1);
    same_named(p, &newer);
    chain_is(p, STR("child"), "root middle child");

    middle.indexer = 1, middle.digest = STR("sha256:none"); /* a replacement that fails changes nothing */
    fails(p, store_named_put(p->store, &middle, &p->e), ERR_NOT_FOUND);
    same_named(p, &newer);
}

/* A parent that was posted anew under its name is not the one that the child was made from. */
static void test_named_parent_replaced(void **state)
{
    struct place *p = *state;
    put_content(p);
    struct named_layer child = layer_of("child", "root"), other = layer_of("root", "");
    assert_int_equal(put_named(p, "root", ""), 1);
    assert_int_equal(store_named_delete(p->store, STR("root"), &p->e), 1);
    other.chain = STR("another");
    assert_int_equal(store_named_put(p->store, &other, &p->e), 1);
    fails(p, store_named_put(p->store, &child, &p->e), ERR_BUSY);
    assert_false(is_there(p, "child"));
    child.parent_chain = other.chain;
    assert_int_equal(store_named_put(p->store, &child, &p->e), 1);
}

static void test_named_unknown(void **state)
{
    struct place *p = *state;
    struct named_layer l = layer_of("a", "");
    fails(p, store_named_put(p->store, &l, &p->e), ERR_NOT_FOUND); /* no content at all */
    put_content(p);
    l.parent = STR("nobody");
    fails(p, store_named_put(p->store, &l, &p->e), ERR_NOT_FOUND);
    l.parent = STR("a"); /* itself */
    fails(p, store_named_put(p->store, &l, &p->e), ERR_NOT_FOUND);
    l.parent = STR(""), l.digest = STR("sha256:none");
    fails(p, store_named_put(p->store, &l, &p->e), ERR_NOT_FOUND);
    l.digest = layer_one.digest, l.indexer = 9; /* the content of another indexer */
    fails(p, store_named_put(p->store, &l, &p->e), ERR_NOT_FOUND);
    int64_t views[] = { put_view(p, "v1"), INT64_MAX };
    l.indexer = 1, l.views = views, l.view_count = 2;
    fails(p, store_named_put(p->store, &l, &p->e), ERR_NOT_FOUND);
    assert_false(is_there(p, "a"));
    l.view_count = 1;
    assert_int_equal(store_named_put(p->store, &l, &p->e), 1);
    assert_int_equal(store_named_delete(p->store, STR("nobody"), &p->e), 0);
    chain_is(p, STR("nobody"), "");
}

/* A name is bytes: all of them, and as long as clients like. */
static void test_named_bytes(void **state)
{
    struct place *p = *state;
    char all[256], bytes[1024];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    memset(bytes, 'n', sizeof bytes);
    str names[] = { STR("\0"),        STR("\0\0"),     STR("a\0b"),         STR("a"),
                    STR("\xff"),      STR("\xff\xfe"), STR("'\";--\\x41"),  STR("\\"),
                    str_of(all, 256), STR(" "),        str_of(bytes, 1024), str_of(bytes, 1023),
                    STR("A"),         STR("a "),       STR("\xc3\xa4"),     STR("a\xcc\x88") };
    put_content(p);
    str last = STR("");
    size_t count = sizeof names / sizeof *names;
    for (size_t i = 0; i < count; i++) {
        struct named_layer l = layer_of("", ""), *got;
        l.name = names[i], l.parent = last, l.parent_chain = last, l.chain = names[i], l.namespace = names[i];
        assert_int_equal(store_named_find(p->store, names[i], p->arena, &got, &p->e), 0);
        assert_int_equal(store_named_put(p->store, &l, &p->e), 1);
        same_named(p, &l);
        last = names[i];
    }
    struct named_link *links;
    size_t n;
    ok(p, store_named_chain(p->store, last, p->arena, &links, &n, &p->e));
    assert_int_equal(n, count);
    for (size_t i = 0; i < n; i++)
        same(links[i].name, names[i]);
    assert_int_equal(store_named_delete(p->store, names[1], &p->e), 1);
    struct named_layer *got;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(store_named_find(p->store, names[i], p->arena, &got, &p->e), i == 0);
}

static void test_view(void **state)
{
    struct place *p = *state;
    put_content(p);
    assert_int_equal(put_named(p, "a", ""), 1);
    CLEANUP(store_freep) struct store *second = open_at(p, STORE_WRITE);
    struct named_layer b = layer_of("b", "a");
    ok(p, store_view_begin(p->store, &p->e));
    assert_true(is_there(p, "a"));
    assert_int_equal(store_named_put(second, &b, &p->e), 1);
    assert_false(is_there(p, "b")); /* not at that moment */
    chain_is(p, STR("b"), "");
    fails(p, put_named(p, "c", ""), ERR_INTERNAL);
    assert_true(is_there(p, "a"));
    store_view_end(p->store);
    chain_is(p, STR("b"), "a b");
    assert_int_equal(put_named(p, "c", ""), 1);
}

/* Layers "PREFIX1" .. on each other, the first on `root`. */
static void put_tower(struct place *p, const char *prefix, const char *root, int count)
{
    char name[32], parent[32];
    snprintf(parent, sizeof parent, "%s", root);
    for (int i = 1; i <= count; i++) {
        snprintf(name, sizeof name, "%s%d", prefix, i);
        assert_int_equal(put_named(p, name, parent), 1);
        memcpy(parent, name, sizeof name);
    }
}

static void test_named_delete(void **state)
{
    struct place *p = *state;
    struct store_counts before, after;
    char name[32];
    put_content(p);
    int64_t view = put_view(p, "v");
    assert_int_equal(put_named(p, "root", ""), 1);
    assert_int_equal(put_named(p, "other", ""), 1);
    assert_int_equal(put_named(p, "branch", "root"), 1);
    put_tower(p, "deep", "branch", 500);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "wide%d", i);
        struct named_layer l = layer_of(name, i % 3 ? "branch" : "deep250");
        l.views = &view, l.view_count = 1;
        assert_int_equal(store_named_put(p->store, &l, &p->e), 1);
    }
    assert_int_equal(put_named(p, "sister", "root"), 1);
    ok(p, store_count(p->store, &before, &p->e));
    assert_int_equal(store_named_delete(p->store, STR("deep251"), &p->e), 1);
    assert_true(is_there(p, "deep250") && is_there(p, "wide0"));
    assert_false(is_there(p, "deep251") || is_there(p, "deep500"));
    assert_int_equal(store_named_delete(p->store, STR("branch"), &p->e), 1);
    static const char *const left[] = { "root", "other", "sister" }, *const taken[] = {
        "branch", "deep1", "deep250", "wide0", "wide1", "wide299"
    };
    for (size_t i = 0; i < 3; i++)
        assert_true(is_there(p, left[i]));
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        assert_false(is_there(p, taken[i]));
    assert_int_equal(store_named_delete(p->store, STR("branch"), &p->e), 0);
    ok(p, store_count(p->store, &after, &p->e));
    assert_int_equal(after.layers, before.layers); /* the content stays */
    assert_int_equal(after.images, before.images);
    assert_int_equal(put_named(p, "branch", "sister"), 1); /* the name is free again */
    chain_is(p, STR("branch"), "root sister branch");
}

static void test_named_chain(void **state)
{
    struct place *p = *state;
    struct named_link *links;
    size_t n;
    char name[32];
    put_content(p);
    struct named_layer root = layer_of("t0", ""), leaf = layer_of("leaf", "t2");
    root.digest = layer_empty.digest, leaf.indexer = 2;
    assert_int_equal(store_named_put(p->store, &root, &p->e), 1);
    put_tower(p, "t", "t0", STORE_CHAIN_MAX);
    assert_int_equal(store_named_put(p->store, &leaf, &p->e), 1);
    chain_is(p, STR("t0"), "t0");
    chain_is(p, STR("t3"), "t0 t1 t2 t3");
    chain_is(p, STR("leaf"), "t0 t1 t2 leaf");
    ok(p, store_named_chain(p->store, STR("leaf"), p->arena, &links, &n, &p->e));
    same(links[0].digest, layer_empty.digest), same(links[3].digest, layer_one.digest);
    assert_int_equal(links[0].indexer, 1);
    assert_int_equal(links[3].indexer, 2);

    snprintf(name, sizeof name, "t%u", STORE_CHAIN_MAX);
    ok(p, store_named_chain(p->store, str_from(name), p->arena, &links, &n, &p->e));
    assert_int_equal(n, STORE_CHAIN_MAX + 1); /* itself, and as many ancestors as may be */
    same(links[0].name, STR("t0")), same(links[n - 1].name, str_from(name));
    fails(p, put_named(p, "over", name), ERR_LIMIT);
    assert_false(is_there(p, "over"));
    assert_int_equal(store_named_delete(p->store, STR("t1"), &p->e), 1); /* of any depth */
    assert_false(is_there(p, name));
    assert_true(is_there(p, "t0"));
}

/* Until the other end is closed everywhere. */
static void wait_closed(int fd)
{
    char c;
    while (read(fd, &c, 1) > 0)
        ;
}

#define PROCESSES 6

/* Begins with the others, and lives until all have done their work. */
_Noreturn static void one_of_them(struct place *p, int (*work)(struct place *p, struct store *s, int process),
                                  int process, const int start[2], const int end[2], int result)
{
    close(start[1]), close(end[1]);
    struct store *s = store_open(p->where, STORE_WRITE, &p->e);
    wait_closed(start[0]);
    char r = (char)(s ? work(p, s, process) : -1);
    if (r < 0)
        fprintf(stderr, "process %d: %s\n", process, p->e.text);
    if (write(result, &r, 1) == 1)
        wait_closed(end[0]);
    store_freep(&s);
    _exit(0);
}

/* Runs `work` in PROCESSES processes with a handle each; the sum of what they give. */
static int together(struct place *p, int (*work)(struct place *p, struct store *s, int process))
{
    int start[2], end[2], results[2], sum = 0, failed = 0, status;
    assert_int_equal(pipe(start) | pipe(end) | pipe(results), 0);
    for (int i = 0; i < PROCESSES; i++)
        if (!fork())
            one_of_them(p, work, i, start, end, results[1]);
    close(start[0]), close(start[1]), close(results[1]);
    for (int i = 0; i < PROCESSES; i++) {
        char r = -1;
        assert_int_equal(read(results[0], &r, 1), 1);
        failed += r < 0;
        sum += r;
    }
    close(end[0]), close(end[1]), close(results[0]);
    for (int i = 0; i < PROCESSES; i++) {
        wait(&status);
        failed += status != 0;
    }
    assert_int_equal(failed, 0); /* they said why */
    return sum;
}

static int put_same(struct place *p, struct store *s, int process)
{
    struct named_layer l = layer_of("together", "");
    return store_named_put(s, &l, &p->e);
}

static int put_newer(struct place *p, struct store *s, int process)
{
    struct named_layer l = layer_of("together", "");
    l.engine = 4;
    return store_named_put(s, &l, &p->e);
}

static int put_content_too(struct place *p, struct store *s, int process)
{
    struct named_layer l = layer_of(process % 2 ? "odd" : "even", "");
    l.indexer = 5;
    return store_layer_put(s, &layer_one, 5, &p->e) < 0 ? -1 : store_named_put(s, &l, &p->e);
}

static int delete_or_put(struct place *p, struct store *s, int process)
{
    struct named_layer l = layer_of("on it", "together");
    int r = process % 2 ? store_named_delete(s, STR("together"), &p->e) : store_named_put(s, &l, &p->e);
    return r < 0 && p->e.kind != ERR_NOT_FOUND ? -1 : 0;
}

static void test_named_together(void **state)
{
    struct place *p = *state;
    struct named_layer *got;
    put_content(p);
    for (int round = 0; round < 5; round++) {
        assert_int_equal(together(p, put_same), 1);
        assert_int_equal(together(p, put_newer), 1);
        assert_int_equal(store_named_find(p->store, STR("together"), p->arena, &got, &p->e), 1);
        assert_int_equal(got->engine, 4);
        assert_int_equal(together(p, delete_or_put), 0);
        assert_false(is_there(p, "together")); /* no child without its parent, either */
        assert_false(is_there(p, "on it"));
    }
    assert_int_equal(together(p, put_content_too), 2);
    CLEANUP(store_freep) struct store *second = open_at(p, STORE_WRITE); /* two handles of one process */
    struct named_layer l = layer_of("handles", "");
    assert_int_equal(store_named_put(second, &l, &p->e), 1);
    assert_int_equal(store_named_put(p->store, &l, &p->e), 0);
}

int store_named_tests(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_view),           CASE(test_named),
        CASE(test_named_replaced), CASE(test_named_parent_replaced),
        CASE(test_named_unknown),  CASE(test_named_bytes),
        CASE(test_named_delete),   CASE(test_named_chain),
        CASE(test_named_together),
    };
    return cmocka_run_group_tests_name("store: named layers", tests, NULL, NULL);
}

/* ---- leases ---- */

static int take(struct place *p, const char *name, const char *owner, unsigned seconds, int64_t *until)
{
    *until = 0;
    int r = store_lease_take(p->store, str_from(name), str_from(owner), seconds, until, &p->e);
    ok(p, r);
    return r;
}

static void test_leases(void **state)
{
    struct place *p = *state;
    char a[STORE_OWNER], b[STORE_OWNER];
    int64_t until;
    store_owner(a), store_owner(b);
    assert_string_not_equal(a, b); /* of one process, too */
    assert_int_equal(take(p, "l", a, 50, &until), 1);
    assert_int_equal(take(p, "l", b, 50, &until), 0);
    assert_true(until > clock_now() + 40 && until <= clock_now() + 51);
    assert_int_equal(take(p, "other", b, 50, &until), 1); /* names are apart */
    assert_int_equal(take(p, "l", a, 5000, &until), 1);   /* renewed */
    assert_int_equal(take(p, "l", b, 50, &until), 0);
    assert_true(until > clock_now() + 4900 && until <= clock_now() + 5001);
    ok(p, store_lease_drop(p->store, STR("l"), str_from(b), &p->e)); /* not its own */
    assert_int_equal(take(p, "l", b, 50, &until), 0);
    ok(p, store_lease_drop(p->store, STR("l"), str_from(a), &p->e));
    ok(p, store_lease_drop(p->store, STR("l"), str_from(a), &p->e));
    assert_int_equal(take(p, "l", b, 50, &until), 1);
    assert_int_equal(take(p, "l", a, 50, &until), 0);

    CLEANUP(store_freep)
    struct store *second = open_at(p, STORE_WRITE); /* it is the database's, not the handle's */
    assert_int_equal(store_lease_take(second, STR("l"), str_from(a), 50, &until, &p->e), 0);
    assert_int_equal(store_lease_take(second, STR("l"), str_from(b), 50, &until, &p->e), 1);
}

/* By the clock: an owner who lives loses it, too, when he does not renew it. */
static void test_lease_expires(void **state)
{
    struct place *p = *state;
    char a[STORE_OWNER], b[STORE_OWNER];
    int64_t until;
    store_owner(a), store_owner(b);
    assert_int_equal(take(p, "l", a, 1, &until), 1);
    assert_int_equal(take(p, "far", "elsewhere 1 2 3", 1, &until), 1);
    int64_t end = clock_ms() + 10000;
    while (take(p, "l", b, 50, &until) == 0 && clock_ms() < end)
        usleep(50000);
    assert_int_equal(take(p, "l", a, 1, &until), 0); /* b has it now */
    assert_true(until > clock_now() + 30);
    while (take(p, "far", b, 50, &until) == 0 && clock_ms() < end)
        usleep(50000);
    assert_int_equal(take(p, "far", a, 1, &until), 0);
}

/* At once, whatever its seconds; but one of another machine cannot be asked. */
static void test_lease_dead(void **state)
{
    struct place *p = *state;
    char a[STORE_OWNER];
    int64_t until;
    int status;
    store_owner(a);
    pid_t child = fork();
    if (!child) {
        char mine[STORE_OWNER];
        struct store *s = store_open(p->where, STORE_WRITE, &p->e);
        store_owner(mine);
        _exit(s && store_lease_take(s, STR("l"), str_from(mine), 5000, &until, &p->e) == 1 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(take(p, "l", a, 50, &until), 1);
    assert_int_equal(take(p, "far", "elsewhere 1 2 3", 5000, &until), 1);
    assert_int_equal(take(p, "far", a, 50, &until), 0);
}

static int take_one(struct place *p, struct store *s, int process)
{
    char owner[STORE_OWNER];
    int64_t until;
    store_owner(owner);
    return store_lease_take(s, STR("together"), str_from(owner), 50, &until, &p->e);
}

static void test_lease_together(void **state)
{
    struct place *p = *state;
    for (int round = 0; round < 3; round++)
        assert_int_equal(together(p, take_one), 1);
}

int store_lease_tests(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_leases),
        CASE(test_lease_expires),
        CASE(test_lease_dead),
        CASE(test_lease_together),
    };
    return cmocka_run_group_tests_name("store: leases", tests, NULL, NULL);
}
