/*
 * lane.h - the threads of one sender and what waits for them. A lane knows how its sender does: after LANE_FAILURES in a row it is down, and
 *          lets one notification through now and then, to see.
 *
 * Threads    all lanes of a server and its dispatcher (notify.c) share one lock, `shared`.
 */
#pragma once
#include "notify/sender.h"

#include <pthread.h>
#include <stdatomic.h>

#define LANE_ROOM     16u /* that wait or are being told: more would hold leases for nothing */
#define LANE_FAILURES 3u
#define LANE_SLOW_MS  500 /* that something waits: others do not wait for this one any more */
#define LANE_PROBE_S  30  /* at most between two looks at one that is down */

enum { NAME_MAX_BYTES = 40 };

/* A notification between its take and its mark. */
struct item {
    struct item *next;
    char name[NAME_MAX_BYTES];
    int64_t created, notified, attempts;
    int64_t checked_ms;      /* when the lease was last known to be ours */
    unsigned told;           /* senders that have, a bit each */
    unsigned failed, passed; /* that could not; that were not asked */
    unsigned left;           /* lanes that have not answered */
    bool gone;               /* not ours any more: deleted, or the lease has ended */
    char error[256];         /* of the last one that could not */
};

struct shared {
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the lanes */
    pthread_cond_t news; /* for the dispatcher */
    bool stop;
    bool alone;     /* there is one sender only */
    bool something; /* news since the dispatcher looked */
    const struct notify_options *options;
};

struct lane {
    const struct sender_kind *kind;
    unsigned bit;
    struct shared *shared;
    struct item *queue[LANE_ROOM];
    int64_t given_ms[LANE_ROOM]; /* of each */
    unsigned waiting, busy;
    unsigned failures; /* in a row */
    int64_t probe_ms;  /* when the next one is let through */
    pthread_t threads[4];
    unsigned thread_count;
};

int lane_start(struct lane *l, struct err *e);
void lane_join(struct lane *l); /* after `stop` */

/* All below: under the lock. */
enum lane_state { LANE_OPEN, LANE_FULL, LANE_SLOW, LANE_DOWN }; /* full, and not only for a moment: slow */
enum lane_state lane_state(const struct lane *l, int64_t now_ms);
void lane_give(struct lane *l, struct item *i); /* which has room, and is not down */
