/*
 * metadata.h - how metadata travels: in a frame of a worker, and in the record of an advisory.
 *
 * Errors     the reader trusts nothing. Memory: ask buf.failed and arena_failed() once.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "model/metadata.h"

struct metadata_room { /* of the lists of one */
    struct cvss_score scores[METADATA_LIST];
    str links[METADATA_LIST], aliases[METADATA_ALIASES], cpes[METADATA_LIST];
};

/* What of `m` can travel: entries that are too long, too many or make no sense are left out, and counted in *skipped. The lists are in
 * `room`, the texts where they were. What a client wrote no feed may say: it is left out. */
void metadata_bound(const struct metadata *m, struct metadata_room *room, struct metadata *ret,
                    uint64_t *skipped);
void metadata_pack(struct buf *b, const struct metadata *bound); /* nothing when it is empty */
/* False: no pack of ours. The lists are in `room`, the texts in `body`. */
bool metadata_unpack(str body, struct metadata_room *room, struct metadata *ret);
void metadata_copy(const struct metadata *m, struct arena *arena, struct metadata *ret);

/* What of it matters to who wants to hear of changes: the severity, those that its scores mean, KEV; whatever the order of scores. */
void metadata_meaning(struct buf *b, const struct metadata *bound);
