#include "net/http_pools.h"

void http_pools_init(struct http_pools *p)
{
    *p = (struct http_pools){ 0 };
    pthread_mutex_init(&p->lock, NULL);
}

struct http_pool *http_pools_take(struct http_pools *p, struct err *e)
{
    pthread_mutex_lock(&p->lock);
    struct http_pool *pool = p->count ? p->idle[--p->count] : NULL;
    pthread_mutex_unlock(&p->lock);
    return pool ? pool : http_pool_new(e);
}

void http_pools_give(struct http_pools *p, struct http_pool *pool)
{
    pthread_mutex_lock(&p->lock);
    if (pool && p->count < HTTP_POOLS) {
        p->idle[p->count++] = pool;
        pool = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    http_pool_freep(&pool);
}

void http_pools_done(struct http_pools *p)
{
    while (p->count)
        http_pool_freep(&p->idle[--p->count]);
    pthread_mutex_destroy(&p->lock);
}
