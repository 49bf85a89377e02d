#include "notify/lane.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* 3/4 to 5/4 of it: many that failed together do not come back together. */
static int64_t jitter(int64_t ms)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        r = 1u << 31;
    return ms * 3 / 4 + (int64_t)((uint64_t)ms / 2 * r >> 32);
}

static bool is_down(const struct lane *l) { return l->failures >= LANE_FAILURES; }

enum lane_state lane_state(const struct lane *l, int64_t now_ms)
{
    unsigned held = l->waiting + l->busy;
    if (is_down(l))
        return held || now_ms < l->probe_ms ? LANE_DOWN : LANE_OPEN;
    if (held < LANE_ROOM)
        return LANE_OPEN;
    return l->waiting && now_ms - l->given_ms[0] > LANE_SLOW_MS ? LANE_SLOW : LANE_FULL;
}

void lane_give(struct lane *l, struct item *i)
{
    l->given_ms[l->waiting] = clock_ms();
    l->queue[l->waiting++] = i;
    i->left++;
    pthread_cond_broadcast(&l->shared->work);
}

static struct item *first(struct lane *l)
{
    struct item *i = l->queue[0];
    l->waiting--;
    memmove(l->queue, l->queue + 1, l->waiting * sizeof *l->queue);
    memmove(l->given_ms, l->given_ms + 1, l->waiting * sizeof *l->given_ms);
    return i;
}

static void leave(struct lane *l, struct item *i)
{
    i->left--;
    l->shared->something = true;
    pthread_cond_signal(&l->shared->news);
}

static const char *reason_of(const struct err *e)
{
    switch (e->kind) {
    case ERR_BUSY:
        return "timeout";
    case ERR_NETWORK:
        return "network";
    case ERR_FORMAT:
        return "status";
    case ERR_DENIED:
        return "refused";
    default:
        return "other";
    }
}

static void tell(const struct lane *l, enum notify_event_kind kind, const struct item *i, const struct err *e)
{
    const struct notify_options *o = l->shared->options;
    const struct notify_event event = { .kind = kind,
                                        .name = str_from(i->name),
                                        .sender = l->kind->name,
                                        .reason = e ? reason_of(e) : "",
                                        .error = e ? e->text : "" };
    if (o->told)
        o->told(o->ctx, &event);
}

/* Under the lock. Is the sender up or down by this? */
static bool note(struct lane *l, struct item *i, bool ok, const struct err *e)
{
    bool before = is_down(l);
    if (ok) {
        i->told |= l->bit;
        l->failures = 0;
    } else {
        i->failed |= l->bit;
        snprintf(i->error, sizeof i->error, "%s: %.230s", l->kind->name, e->text);
        unsigned more = l->failures >= LANE_FAILURES ? l->failures - LANE_FAILURES + 1 : 0;
        int64_t ms = more < 5 ? 1000ll << more : LANE_PROBE_S * 1000;
        l->failures += l->failures < 1000;
        l->probe_ms = clock_ms() + jitter(ms);
    }
    return is_down(l) != before;
}

/* With the lock held at begin and end. */
static void work_on(struct lane *l, struct item *i, void **sender)
{
    struct err e = { 0 };
    /* those that waited while it went down: nobody is asked on their behalf */
    if (i->gone || l->shared->stop || (is_down(l) && clock_ms() < l->probe_ms)) {
        i->passed |= l->bit;
        if (!*i->error)
            snprintf(i->error, sizeof i->error, "%s: it does not answer", l->kind->name);
        leave(l, i);
        return;
    }
    l->busy++;
    pthread_mutex_unlock(&l->shared->lock);
    if (!*sender)
        *sender = l->kind->new (l->shared->options, &e);
    bool ok = *sender && l->kind->send(*sender, str_from(i->name), &e) == 0;
    if (!ok)
        tell(l, NOTIFY_FAILED, i, &e);
    pthread_mutex_lock(&l->shared->lock);
    l->busy--;
    bool turned = note(l, i, ok, &e);
    if (turned)
        tell(l, ok ? NOTIFY_SENDER_UP : NOTIFY_SENDER_DOWN, i, ok ? NULL : &e);
    leave(l, i);
}

static void *work(void *ctx)
{
    struct lane *l = ctx;
    void *sender = NULL;
    pthread_mutex_lock(&l->shared->lock);
    for (;;) {
        if (l->waiting)
            work_on(l, first(l), &sender);
        else if (l->shared->stop)
            break;
        else
            pthread_cond_wait(&l->shared->work, &l->shared->lock);
    }
    pthread_mutex_unlock(&l->shared->lock);
    l->kind->free(sender);
    return NULL;
}

int lane_start(struct lane *l, struct err *e)
{
    for (; l->thread_count < l->kind->threads; l->thread_count++)
        if (pthread_create(&l->threads[l->thread_count], NULL, work, l))
            return l->thread_count ? 0 : err_set(e, ERR_OOM, "notifications: no thread could be started");
    return 0;
}

void lane_join(struct lane *l)
{
    for (unsigned i = 0; i < l->thread_count; i++)
        pthread_join(l->threads[i], NULL);
    l->thread_count = 0;
}
