#include "api/reports.h"

#include "base/cleanup.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLOTS   1024 /* a key has one place, which it takes from whoever has it */
#define WAIT_MS 500  /* for the watch, and so for the end of its thread */
#define RETRY_S 5

struct slot {
    char *key; /* key and body, malloc()ed together; NULL: free */
    size_t key_len, body_len;
    int64_t generation;
};

struct reports {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
    size_t bytes, next; /* next: whose turn it is to go when there is too much */
    char *database;
    pthread_t thread;
    atomic_bool stop;
    bool watching;
};

static size_t place_of(str key)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a: keys are our own, and a clash costs one report */
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (uint8_t)key.ptr[i]) * 1099511628211u;
    return (size_t)(h >> 32) % SLOTS;
}

static void clear(struct reports *r, struct slot *s)
{
    r->bytes -= s->key ? s->key_len + s->body_len : 0;
    free(s->key);
    *s = (struct slot){ 0 };
}

static void forget(struct reports *r)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < SLOTS; i++)
        clear(r, &r->slots[i]);
    pthread_mutex_unlock(&r->lock);
}

bool reports_get(struct reports *r, str key, int64_t generation, struct buf *ret)
{
    pthread_mutex_lock(&r->lock);
    const struct slot *s = &r->slots[place_of(key)];
    bool found = s->key && s->generation == generation && str_eq(str_of(s->key, s->key_len), key);
    if (found)
        buf_add(ret, s->key + s->key_len, s->body_len);
    pthread_mutex_unlock(&r->lock);
    return found && !ret->failed;
}

void reports_put(struct reports *r, str key, int64_t generation, str body)
{
    if (body.len > REPORTS_LARGEST)
        return;
    char *copy = malloc(key.len + body.len);
    if (!copy)
        return;
    memcpy(copy, key.ptr, key.len);
    memcpy(copy + key.len, body.ptr, body.len);
    pthread_mutex_lock(&r->lock);
    struct slot *s = &r->slots[place_of(key)];
    clear(r, s);
    *s = (struct slot){ copy, key.len, body.len, generation };
    r->bytes += key.len + body.len;
    for (; r->bytes > REPORTS_MAX; r->next = (r->next + 1) % SLOTS)
        if (&r->slots[r->next] != s)
            clear(r, &r->slots[r->next]);
    pthread_mutex_unlock(&r->lock);
}

/* ---- the watch ---- */

static void pause_for(const struct reports *r, int seconds)
{
    for (int i = 0; i < seconds * 10 && !atomic_load(&r->stop); i++)
        usleep(100000);
}

/* Without a database there is nothing to be told; what is kept is given to nobody, for whoever asks asks the database first. */
static void *watch(void *ctx)
{
    struct reports *r = ctx;
    struct store_watch *w = NULL;
    while (!atomic_load(&r->stop)) {
        struct err e = { 0 };
        int64_t generation;
        int told =
            w || (w = store_watch_open(r->database, &e)) ? store_watch_wait(w, WAIT_MS, &generation, &e) : -1;
        if (told)
            forget(r);
        if (told < 0)
            pause_for(r, RETRY_S);
    }
    store_watch_freep(&w);
    return NULL;
}

struct reports *reports_new(const char *database, struct err *e)
{
    struct reports *r = calloc(1, sizeof *r);
    if (!r || !(r->database = strdup(database))) {
        free(r);
        err_set(e, ERR_OOM, "reports");
        return NULL;
    }
    pthread_mutex_init(&r->lock, NULL);
    r->watching = pthread_create(&r->thread, NULL, watch, r) == 0;
    if (r->watching)
        return r;
    err_set(e, ERR_OOM, "reports: no thread could be started");
    reports_freep(&r);
    return NULL;
}

void reports_freep(struct reports **r)
{
    if (!*r)
        return;
    atomic_store(&(*r)->stop, true);
    if ((*r)->watching)
        pthread_join((*r)->thread, NULL);
    forget(*r);
    pthread_mutex_destroy(&(*r)->lock);
    free((*r)->database);
    free(*r);
    *r = NULL;
}
