#include "api/flights.h"

#include <pthread.h>
#include <stdlib.h>

struct flights {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct flight *first;
    unsigned waiting; /* of all flights */
};

struct flights *flights_new(void)
{
    struct flights *f = calloc(1, sizeof *f);
    if (f) {
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->wake, NULL);
    }
    return f;
}

void flights_freep(struct flights **f)
{
    if (*f) {
        pthread_mutex_destroy(&(*f)->lock);
        pthread_cond_destroy(&(*f)->wake);
    }
    free(*f);
    *f = NULL;
}

static struct flight *same_as(struct flights *all, const struct flight *mine)
{
    struct flight *f = all->first;
    while (f && (f->ended || f->kind != mine->kind || !str_eq(f->name, mine->name)))
        f = f->next;
    return f;
}

static bool is_counted(const struct flight *f) { return f->kind != FLIGHT_HASH; }

static void join(struct flights *all, struct flight *other, const struct flight *mine, unsigned *ret_status,
                 struct buf *answer)
{
    other->waiting++;
    all->waiting += is_counted(mine);
    while (!other->ended)
        pthread_cond_wait(&all->wake, &all->lock);
    if (other->status && str_eq(other->body, mine->body) && other->here == mine->here) {
        *ret_status = other->status;
        buf_str(answer, other->answer);
    }
    all->waiting -= is_counted(mine);
    if (!--other->waiting)
        pthread_cond_broadcast(&all->wake);
}

enum boarding flight_begin(struct flights *all, struct flight *mine, unsigned *ret_status, struct buf *answer)
{
    enum boarding result = FLIGHT_MINE;
    *ret_status = 0;
    pthread_mutex_lock(&all->lock);
    struct flight *other = same_as(all, mine);
    if (!other) {
        mine->next = all->first;
        all->first = mine;
    } else if (is_counted(mine) && all->waiting >= FLIGHTS_JOIN_MAX) {
        result = FLIGHT_FULL;
    } else {
        join(all, other, mine, ret_status, answer);
        result = FLIGHT_LANDED;
    }
    pthread_mutex_unlock(&all->lock);
    return result;
}

void flight_end(struct flights *all, struct flight *mine)
{
    pthread_mutex_lock(&all->lock);
    mine->ended = true;
    pthread_cond_broadcast(&all->wake);
    while (mine->waiting)
        pthread_cond_wait(&all->wake, &all->lock);
    for (struct flight **p = &all->first; *p; p = &(*p)->next)
        if (*p == mine) {
            *p = mine->next;
            break;
        }
    pthread_mutex_unlock(&all->lock);
}

unsigned flights_waiting(struct flights *all)
{
    pthread_mutex_lock(&all->lock);
    unsigned n = all->waiting;
    pthread_mutex_unlock(&all->lock);
    return n;
}
