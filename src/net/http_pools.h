/*
 * http_pools.h - pools of connections for many threads: each transfer has one to itself, and the next takes it over with its connections.
 *
 * Limits     16 that wait; others are made, and go.
 * Threads    http_pools_take() and _give() from any.
 */
#pragma once
#include "net/http.h"

#include <pthread.h>

#define HTTP_POOLS 16

struct http_pools {
    pthread_mutex_t lock;
    struct http_pool *idle[HTTP_POOLS];
    size_t count;
};
void http_pools_init(struct http_pools *p);
struct http_pool *http_pools_take(struct http_pools *p, struct err *e); /* NULL on error */
void http_pools_give(struct http_pools *p, struct http_pool *pool); /* after its transfers; NULL is fine */
void http_pools_done(struct http_pools *p);
