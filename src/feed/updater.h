/*
 * updater.h - feeds at their interval, in a thread of its own: of all servers on one database one at a time.
 *
 * Cycle      Due when `updater/last` (a key-value: seconds since 1970, the end of the newest finished cycle, whatever single sources
 *            did) is `interval_s` old; then under the lease `updater` each source by itself. A source that failed is tried again
 *            by itself after 1, 2, 4 ... minutes, at most the interval. A database that does not answer: the same.
 * Own pace   A source with an interval of its own is no part of cycles: due when `updater/last/SOURCE` (the end of its last try by any
 *            server) is that old.
 * Tidying    Between cycles store_tidy() for two seconds at most, every `tidy_s`; a tenth of that while there is more to do, and at first.
 * Stop       ends between two advisories; a transfer that hangs is not waited for longer than updater_stop() was told.
 * Source     spec/server.md 8, 9; design.md 9 "Updates".
 */
#pragma once
#include "feed/update.h"

enum updater_event_kind {
    UPDATER_STARTED,  /* of the cycle: the lease was taken */
    UPDATER_SOURCE,   /* a source was read: result */
    UPDATER_FAILED,   /* it was not: err */
    UPDATER_FINISHED, /* of the cycle */
    UPDATER_TROUBLE,  /* the database or the lease: err; tried again */
    UPDATER_UNTIDY,   /* store_tidy() failed: err; tried again */
};

struct updater_event {
    enum updater_event_kind kind;
    const char *source;
    const struct update_result *result;
    const struct err *err;
};

struct updater_options {
    const char *database; /* for store_open() */
    struct cage *cage;    /* with feed_task */
    const char *mirror;   /* NULL: the sources' own places */
    int64_t interval_s;   /* 0: never, the database is tidied up only */
    const str *sources;   /* names; NULL: all */
    size_t source_count;
    const char *const *urls;  /* of each source: update_options.url; NULL: none has one */
    const int64_t *intervals; /* of each source, in seconds; NULL: all have interval_s */
    int64_t tidy_s;           /* 0: ten minutes */
    void (*told)(void *ctx, const struct updater_event *event); /* on the updater's thread */
    void *ctx;
};

struct updater;
struct updater *updater_start(const struct updater_options *o,
                              struct err *e); /* copies the options; borrows the cage and ctx */
/* False: it has not ended after wait_ms, and everything must stay as it is until the process ends. */
bool updater_stop(struct updater **u, int64_t wait_ms);
