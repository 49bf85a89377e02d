/*
 * reports.h - answers that were written once, kept in memory while the database says the same: law 6, never do it twice.
 *
 * Keys name all that an answer depends on but for the feeds; of those the generation speaks. Nothing of an older generation is ever given, for
 * whoever asks has read the generation in the same view as the key. A thread watches the database and lets all go when there is a
 * new generation, so that memory is not kept for what nobody can ask for any more.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define REPORTS_MAX     ((size_t)16 << 20) /* bytes of all of them */
#define REPORTS_LARGEST ((size_t)4 << 20)

struct reports;
struct reports *reports_new(const char *database, struct err *e); /* for store_watch_open() */
bool reports_get(struct reports *r, str key, int64_t generation, struct buf *ret); /* appends; any thread */
void reports_put(struct reports *r, str key, int64_t generation, str body);
void reports_freep(struct reports **r);
