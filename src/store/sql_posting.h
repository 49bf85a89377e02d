/*
 * sql_posting.h - the backward question's index: segments of blocks (posting.h), as a log-structured merge tree.
 *
 * Shape      A new package set is one row of posting_queue. From time to time the queue becomes a segment of level 0; eight segments of
 *            a level become one of the next. So a set costs its own row at once and a few sequential writes later, and a question
 *            looks into some twenty segments for a million sets.
 * Order      Segments may overlap in set numbers (transactions end in another order than they begin), but no two speak of one set.
 * Crash      A segment is written in steps while nobody sees it (BUILDING); one small transaction makes it live and those it
 *            replaces dead; dead and abandoned ones are deleted in steps. Whoever holds the lease 'tidy' does all that.
 */
#pragma once
#include "store/posting.h"
#include "store/sql.h"

/* Stored: never renumber. */
enum segment_state { SEGMENT_BUILDING = 1, SEGMENT_LIVE = 2, SEGMENT_DEAD = 3 };

struct segment {
    int64_t id, level, first, last, sets, dead, state; /* dead: of its sets, those that are gone, about */
};
/* All, by their first set. */
int sql_segments(struct sql *s, struct arena *arena, struct segment **ret, size_t *ret_count, struct err *e);

#define QUEUE_SETS     1024u /* that make a segment, and that a question reads one by one at most until they do */
#define QUEUE_POSTINGS 2000000u /* in memory at a time: 16 MB, and again while sorting */

/* One step of what is to be done: 1 something was, 0 there is nothing, -1. `whole`: a queue that is not full too. Under the lease; `tick` is called
 * before each transaction (-1 ends it). */
struct posting_work {
    struct sql *s;
    bool whole;
    int (*tick)(void *ctx, struct err *e);
    void *ctx;
};
int sql_posting_step(struct posting_work *w, struct err *e);

#define SETS_ALL (SIZE_MAX / 64)
/* Sets above `after` that have one of the packages (ascending), ascending, at least `want` unless there are no more; *ret_end: all up to here
 * were looked for, INT64_MAX when there are no more. malloc()ed. */
int sql_sets_with(struct sql *s, const int64_t *packages, size_t count, int64_t after, size_t want,
                  int64_t **ret, size_t *ret_count, int64_t *ret_end, struct err *e);

/* used[i]: a set that is stored has package from + i. In a transaction that keeps others from adding sets. */
int sql_packages_used(struct sql *s, int64_t from, size_t count, bool *used, struct err *e);
