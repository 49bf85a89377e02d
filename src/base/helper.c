#include "base/helper.h"

#include <pthread.h>
#include <stdlib.h>

#define STACK ((size_t)256 << 10)

struct helper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for either side: only one of them ever waits */
    void (*run)(void *ctx);
    void *ctx;
    bool stop;
};

static void *work(void *arg)
{
    struct helper *h = arg;
    pthread_mutex_lock(&h->lock);
    while (!h->stop) {
        if (!h->run) {
            pthread_cond_wait(&h->wake, &h->lock);
            continue;
        }
        pthread_mutex_unlock(&h->lock);
        h->run(h->ctx);
        pthread_mutex_lock(&h->lock);
        h->run = NULL;
        pthread_cond_signal(&h->wake);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void nothing(void *ctx) { (void)ctx; }

struct helper *helper_new(void)
{
    struct helper *h = calloc(1, sizeof *h);
    pthread_attr_t attr;
    if (!h || pthread_attr_init(&attr) != 0) {
        free(h);
        return NULL;
    }
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->wake, NULL);
    pthread_attr_setstacksize(&attr, STACK);
    int failed = pthread_create(&h->thread, &attr, work, h);
    pthread_attr_destroy(&attr);
    if (failed) {
        free(h);
        return NULL;
    }
    helper_start(h, nothing, NULL); /* its own beginning makes system calls that may be refused later */
    helper_wait(h);
    return h;
}

void helper_start(struct helper *h, void (*run)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&h->lock);
    while (h->run)
        pthread_cond_wait(&h->wake, &h->lock);
    h->run = run;
    h->ctx = ctx;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

void helper_wait(struct helper *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->run)
        pthread_cond_wait(&h->wake, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

void helper_freep(struct helper **hp)
{
    struct helper *h = *hp;
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    while (h->run)
        pthread_cond_wait(&h->wake, &h->lock);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h);
    *hp = NULL;
}
