/*
 * parse_task.h - what a caged parser is asked, and how what it says travels to the parent.
 *
 * Limits     PACKAGE_TEXT_MAX bytes for identifiers, names and versions, ADVISORY_RANGES ranges,
 *            FRAME_MAX for all.
 * Errors     of the parent's side: ERR_CAGE, for a worker that keeps to the rules never sends such a body.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "codec/pack.h"
#include "feed/feed.h"
#include "store/metadata.h"

#define ADVISORY_RANGES 16384u

/* What feed_task is asked for: a document by name, where it was found, and the cursor; see struct feed_input. */
void feed_task_ask(struct buf *params, const struct feed *feed, str document, str path, str cursor);

enum parse_frame {                 /* beyond FRAME_TASK */
                   PARSE_ADVISORY, /* advisory_pack() */
                   PARSE_DOCUMENT, /* a name: of what follows */
                   PARSE_LEAD,     /* lead_pack() */
                   PARSE_GONE,     /* a name */
                   PARSE_REMEMBER, /* a cursor */
};

void lead_pack(struct buf *b, const struct feed_lead *lead);
bool lead_unpack(struct unpack *u, struct feed_lead *ret); /* false: no pack of ours; views into it */

/* Leaves out ranges with over-long names or versions, and metadata as metadata_bound() does, and counts them in *skipped. 1, 0 nothing
 * left, -1. */
int advisory_pack(const struct advisory *a, struct buf *ret, uint64_t *skipped, struct err *e);

struct advisory_room { /* for the lists of one */
    struct affected_range ranges[ADVISORY_RANGES];
    struct metadata_room meta;
};
/* Lists of *ret are in `room`, its strings in `body`. */
int advisory_unpack(str body, struct advisory_room *room, struct advisory *ret, struct err *e);
