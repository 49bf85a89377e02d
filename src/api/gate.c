#include "api/gate.h"

void gate_init(struct gate *g, unsigned free)
{
    *g = (struct gate){ .free = free };
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->wake, NULL);
}

void gate_done(struct gate *g)
{
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->wake);
}

void gate_enter(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    uint64_t mine = g->next++;
    while (g->turn != mine || !g->free)
        pthread_cond_wait(&g->wake, &g->lock);
    g->turn++;
    g->free--;
    pthread_cond_broadcast(&g->wake); /* the next one may find another free */
    pthread_mutex_unlock(&g->lock);
}

void gate_leave(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->free++;
    pthread_cond_broadcast(&g->wake);
    pthread_mutex_unlock(&g->lock);
}
