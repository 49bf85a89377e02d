#include "notify/maker.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS 250  /* for the watch, and so for the end of the thread */
#define RETRY_S 5    /* after a failure */
#define WANT_S  3600 /* how often it is said that somebody wants them */
#define AT_ONCE 500  /* of one transaction */

struct maker {
    pthread_t thread;
    char *database;
    struct store *store;
    struct store_watch *watch;
    int64_t want_ms; /* when it is to be said again */
    bool failed;     /* the log knows */
    void (*made)(void *ctx);
    void *ctx;
    atomic_bool stop;
};

static void pause_for(const struct maker *n, int seconds)
{
    for (int i = 0; i < seconds * 10 && !atomic_load(&n->stop); i++)
        usleep(100000);
}

static int want(struct maker *n, struct err *e)
{
    if (clock_ms() < n->want_ms)
        return 0;
    n->want_ms = clock_ms() + (int64_t)WANT_S * 1000;
    return store_notifications_want(n->store, clock_now(), e);
}

static int make(struct maker *n, struct err *e)
{
    int more = 1;
    size_t made;
    while (more > 0 && !atomic_load(&n->stop)) {
        more = store_notifications_make(n->store, clock_now(), AT_ONCE, &made, e);
        if (more >= 0)
            n->made(n->ctx); /* or whoever made the generation did */
    }
    return more;
}

/* The watch begins before the first look, so that nothing is missed. */
static int open_all(struct maker *n, struct err *e)
{
    if (n->store)
        return 0;
    if (!n->watch)
        n->watch = store_watch_open(n->database, e);
    if (!n->watch || !(n->store = store_open(n->database, STORE_WRITE, e)))
        return -1;
    n->want_ms = 0;
    return want(n, e) < 0 || make(n, e) < 0 ? -1 : 0;
}

static int step(struct maker *n, struct err *e)
{
    int64_t generation;
    if (open_all(n, e) < 0)
        return -1;
    int told = store_watch_wait(n->watch, WAIT_MS, &generation, e);
    return told < 0 || want(n, e) < 0 || (told > 0 && make(n, e) < 0) ? -1 : 0;
}

/* With new handles after a failure: what was missed meanwhile is made at the open. */
static void *work(void *ctx)
{
    struct maker *n = ctx;
    while (!atomic_load(&n->stop)) {
        struct err e = { 0 };
        if (step(n, &e) == 0) {
            n->failed = false;
            continue;
        }
        if (!n->failed)
            log_warning("notifications are made later", LOG_TEXT("error", str_from(e.text)));
        n->failed = true;
        store_freep(&n->store);
        store_watch_freep(&n->watch);
        pause_for(n, RETRY_S);
    }
    store_freep(&n->store);
    store_watch_freep(&n->watch);
    return NULL;
}

struct maker *maker_start(const char *database, void (*made)(void *ctx), void *ctx, struct err *e)
{
    struct maker *n = calloc(1, sizeof *n);
    if (n) {
        n->made = made;
        n->ctx = ctx;
    }
    if (n && (n->database = strdup(database)) && pthread_create(&n->thread, NULL, work, n) == 0)
        return n;
    if (n)
        free(n->database);
    free(n);
    err_set(e, ERR_OOM, "notifications: no thread could be started");
    return NULL;
}

void maker_stop(struct maker **n)
{
    if (!*n)
        return;
    atomic_store(&(*n)->stop, true);
    pthread_join((*n)->thread, NULL);
    free((*n)->database);
    free(*n);
    *n = NULL;
}
