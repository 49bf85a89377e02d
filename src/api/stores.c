#include "api/stores.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>

#define KEPT     64
#define AGAIN_MS 10000

struct stores {
    char *where;
    enum store_mode mode;
    atomic_int_fast64_t again_ms; /* when it may be asked again; 0: it is well */
    pthread_mutex_t lock;
    struct store *free[KEPT]; /* the one used last on top */
    size_t count;
};

struct stores *stores_new(const char *where, enum store_mode mode, struct err *e)
{
    struct stores *s = calloc(1, sizeof *s);
    if (!s || !(s->where = strdup(where))) {
        free(s);
        err_set(e, ERR_OOM, "stores");
        return NULL;
    }
    s->mode = mode;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

struct store *stores_take(struct stores *s, struct err *e)
{
    struct store *found = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->count)
        found = s->free[--s->count];
    pthread_mutex_unlock(&s->lock);
    return found ? found : store_open(s->where, s->mode, e);
}

void stores_give(struct stores *s, struct store *store)
{
    pthread_mutex_lock(&s->lock);
    if (store && s->count < KEPT) {
        s->free[s->count++] = store;
        store = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    store_freep(&store);
}

bool stores_ask(struct stores *s)
{
    int_fast64_t again = atomic_load(&s->again_ms), now = clock_ms();
    return !again || (now >= again && atomic_compare_exchange_strong(&s->again_ms, &again, now + AGAIN_MS));
}

bool stores_went(struct stores *s, const struct err *e)
{
    int_fast64_t before = atomic_exchange(&s->again_ms, e ? clock_ms() + AGAIN_MS : 0);
    return !before != !e;
}

void stores_freep(struct stores **s)
{
    if (!*s)
        return;
    while ((*s)->count)
        store_freep(&(*s)->free[--(*s)->count]);
    pthread_mutex_destroy(&(*s)->lock);
    free((*s)->where);
    free(*s);
    *s = NULL;
}
