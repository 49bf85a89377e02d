#include "api/stores.h"

#include "base/cleanup.h"

#include <pthread.h>

#define KEPT 64

struct stores {
    char *where;
    pthread_mutex_t lock;
    struct store *free[KEPT]; /* the one used last on top */
    size_t count;
};

struct stores *stores_new(const char *where, struct err *e)
{
    struct stores *s = calloc(1, sizeof *s);
    if (!s || !(s->where = strdup(where))) {
        free(s);
        err_set(e, ERR_OOM, "stores");
        return NULL;
    }
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
    return found ? found : store_open(s->where, STORE_WRITE, e);
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
