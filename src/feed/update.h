/*
 * update.h - bring the store up to what the sources say now.
 *
 * Each source is one store_update of its own: a source that fails changes nothing and does not touch the
 * others. A source that a mirror lacks altogether is "not mirrored": reported, no error, no change.
 */
#pragma once
#include "base/err.h"
#include "feed/feed.h"
#include "store/store.h"

struct cage;
/* Parses one document in the cage; for the table given to cage_new(). */
extern const struct cage_task feed_task;

enum update_outcome { UPDATE_LOADED, UPDATE_UNCHANGED, UPDATE_NOT_MIRRORED };

struct update_result {
    enum update_outcome outcome;
    struct update_counts counts;
    unsigned documents; /* that were read anew */
    uint64_t skipped;   /* affected ranges left out for over-long names or versions */
    bool
        shrunk; /* it has less than half of what it had, and was taken all the same; after an error: and was refused for that */
};

struct update_progress { /* of one document */
    const struct feed *feed;
    str document;
    uint64_t bytes; /* as they lie there */
    int64_t total;  /* -1: not told */
};

struct update_options {
    const char *mirror; /* folder or base URL; NULL: the source's own place */
    const char *
        url; /* folder or base URL that stands for the feed's own place; NULL: none. It goes before `mirror` */
    unsigned idle_ms; /* without a byte before a try is given up; 0: as fetch.h says */
    bool once;        /* what fails is not tried again: somebody waits, and the network seems to be away */
    bool accept_shrunk;
    void (*progress)(void *ctx, const struct update_progress *p); /* often; NULL: never */
    /* Called often while documents are read; -1 with e ends the update (ERR_BUSY: without a word about the feed). NULL: never. */
    int (*tick)(void *ctx, struct err *e);
    void *ctx;
};

/* A feed, or a document of it, that loses more than half of its advisories (store_update_shrunk()) is refused: ERR_FORMAT. When that happens the
 * third time in a row (the key-value `feed/NAME/shrunk` counts), or with accept_shrunk, it is taken (design.md 9 "Updates").
 * The try is recorded in the store, "not mirrored" as an error, so that
 * the last success stays what it was; but not ERR_BUSY, for then another update is at work. 0, or -1 with e (the old state stands). */
int feed_update(struct store *s, struct cage *c, const struct feed *f, const struct update_options *o,
                struct update_result *ret, struct err *e);
