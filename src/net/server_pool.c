/* Bounded threads for what may block, started when they are needed first. */
#include "net/server_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

int thread_start(pthread_t *ret, void *(*run)(void *), void *ctx)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r)
        return r;
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    sigfillset(&all); /* signals are for the thread that made the server */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(ret, &attr, run, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return r;
}

int pool_init(struct pool *p, unsigned threads, unsigned queue_max, void (*done)(struct exchange *x),
              struct err *e)
{
    *p = (struct pool){ .queue_max = queue_max, .max = threads, .done = done };
    p->tail = &p->head;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->some, NULL);
    p->threads = calloc(threads, sizeof *p->threads);
    return p->threads ? 0 : err_set(e, ERR_OOM, "out of memory");
}

static struct exchange *pool_take(struct pool *p)
{
    struct exchange *x = NULL;
    pthread_mutex_lock(&p->lock);
    p->idle++;
    while (!p->head && !p->stop)
        pthread_cond_wait(&p->some, &p->lock);
    p->idle--;
    if (!p->stop) {
        x = p->head;
        p->head = x->next;
        if (!p->head)
            p->tail = &p->head;
        p->waiting--;
        p->running++;
    }
    pthread_mutex_unlock(&p->lock);
    return x;
}

static void *work(void *ctx)
{
    struct pool *p = ctx;
    for (struct exchange *x; (x = pool_take(p));) {
        p->done(x);
        exchange_drop(x);
        pthread_mutex_lock(&p->lock);
        p->running--;
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

bool pool_add(struct pool *p, struct exchange *x)
{
    pthread_mutex_lock(&p->lock);
    /* What an idle or a new thread will take at once is not in the queue, even if it is not woken yet. */
    bool ok = !p->stop && p->waiting + p->running < p->queue_max + p->max;
    if (ok && p->waiting >= p->idle && p->count < p->max && thread_start(&p->threads[p->count], work, p) == 0)
        p->count++;
    ok = ok && p->count > 0;
    if (ok) {
        x->next = NULL;
        *p->tail = exchange_hold(x);
        p->tail = &x->next;
        p->waiting++;
        pthread_cond_signal(&p->some);
    }
    p->refused += !ok && !p->stop;
    pthread_mutex_unlock(&p->lock);
    return ok;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    struct exchange *x = p->head;
    p->head = NULL;
    p->tail = &p->head;
    p->waiting = 0;
    p->stop = true;
    pthread_cond_broadcast(&p->some);
    pthread_mutex_unlock(&p->lock);
    while (x) {
        struct exchange *next = x->next;
        exchange_drop(x);
        x = next;
    }
}

bool pool_busy(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    bool busy = p->running > 0;
    pthread_mutex_unlock(&p->lock);
    return busy;
}

void pool_done(struct pool *p)
{
    for (unsigned i = 0; i < p->count; i++)
        pthread_join(p->threads[i], NULL);
    free(p->threads);
    pthread_cond_destroy(&p->some);
    pthread_mutex_destroy(&p->lock);
}
