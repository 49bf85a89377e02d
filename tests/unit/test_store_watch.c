/* Who watches is told of each new generation, and of nothing else. */
#include "store_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <sys/wait.h>

#define SOON_MS 2000 /* far less than the time after which one would ask anyway */

static struct store_watch *watch(struct place *p)
{
    struct store_watch *w = store_watch_open(p->where, &p->e);
    if (!w)
        fail_msg("%s", p->e.text);
    return w;
}

#define waits(p, w, ms, want, generation_)                                                                   \
    do {                                                                                                     \
        int64_t generation = -1, start = clock_ms();                                                         \
        int r = store_watch_wait(w, ms, &generation, &(p)->e);                                               \
        int64_t took = clock_ms() - start;                                                                   \
        if (r != (want) || generation != (generation_))                                                      \
            fail_msg("line %d: %d, generation %lld: %s", __LINE__, r, (long long)generation, (p)->e.text);   \
        if (r ? took > SOON_MS : took < (ms) || took > (ms) + SOON_MS)                                       \
            fail_msg("line %d: after %lld ms", __LINE__, (long long)took);                                   \
    } while (0)

static void test_watch(void **state)
{
    struct place *p = *state;
    CLEANUP(store_watch_freep) struct store_watch *w = watch(p), *other = watch(p), *late = NULL;
    waits(p, w, 0, 0, 0);
    waits(p, w, 400, 0, 0);
    load(p, "f C1 S openssl - 4 - -");
    waits(p, w, 20000, 1, 1);
    waits(p, w, 0, 0, 1);
    load(p, "g C2 S openssl - 4 - -");
    load(p, "h C3 S openssl - 4 - -");
    waits(p, other, 0, 1, 3); /* each for itself; what was missed comes as one */
    waits(p, other, 400, 0, 3);
    late = watch(p);
    waits(p, late, 0, 0, 3);
    waits(p, w, 20000, 1, 3);
    load(p, "h C3 S openssl - 4 - -"); /* nothing new, and what is no advisory */
    ok(p, store_value_set(p->store, STR("k"), STR("v"), &p->e));
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    waits(p, w, 400, 0, 3);
    struct store_update *u = begin(p, "f"); /* staged only */
    ok(p, put_round(p, u, 1, MANY));
    waits(p, w, 400, 0, 3);
    commit(p, u, 5);
    waits(p, w, 20000, 1, 4);
}

/* Somebody else commits while it waits. */
static void test_watch_told(void **state)
{
    struct place *p = *state;
    CLEANUP(store_watch_freep) struct store_watch *w = NULL;
    for (int i = 1; i <= 3; i++) {
        int status, generation_before = i - 1;
        pid_t child = fork(); /* before there is a handle of ours that it would have, too */
        if (!child) {
            usleep(700000);
            p->store = store_open(p->where, STORE_WRITE, &p->e);
            load(p, i == 1 ? "f C1 S a - 1 - -" : i == 2 ? "g C1 S a - 1 - -" : "h C1 S a - 1 - -");
            _exit(0);
        }
        w = watch(p);
        waits(p, w, 20000, 1, generation_before + 1);
        store_watch_freep(&w);
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
}

int store_watch_tests(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_watch),
        cmocka_unit_test_setup_teardown(test_watch_told, fresh_place, tidy),
    };
    return cmocka_run_group_tests_name("store: watch", tests, NULL, NULL);
}
