#include "store/store.h"

#include "base/clock.h"
#include "store/engine.h"

#include <stdlib.h>

#define ASK_MS 30000 /* whatever anybody tells, or fails to */

struct store_watch {
    struct store *store;
    int64_t seen;
};

/* A standby can be watched, too; what was not made yet is made. */
static struct store *open_for(const char *where, struct err *e)
{
    struct err first = { 0 };
    struct store *s = store_open(where, STORE_READ, &first);
    if (!s && first.kind == ERR_READONLY)
        return store_open(where, STORE_WRITE, e);
    if (!s)
        *e = first;
    return s;
}

struct store_watch *store_watch_open(const char *where, struct err *e)
{
    struct store_watch *w = calloc(1, sizeof *w);
    if (!w)
        err_set(e, ERR_OOM, "watch: out of memory");
    else if (!(w->store = open_for(where, e)) || store_generation(w->store, &w->seen, e) < 0)
        store_watch_freep(&w);
    return w;
}

int store_watch_wait(struct store_watch *w, int timeout_ms, int64_t *ret_generation, struct err *e)
{
    int64_t until = clock_ms() + timeout_ms, generation, left;
    do {
        if (store_generation(w->store, &generation, e) < 0)
            return -1;
        bool other = generation != w->seen;
        left = until - clock_ms();
        if (other || left <= 0) {
            w->seen = *ret_generation = generation;
            return other;
        }
    } while (w->store->engine->doze(w->store, (int)(left < ASK_MS ? left : ASK_MS), e) >= 0);
    return -1;
}

void store_watch_freep(struct store_watch **w)
{
    if (*w)
        store_freep(&(*w)->store);
    free(*w);
    *w = NULL;
}
