/*
 * rows.h - what is the same in every engine: how model structs become rows, and candidate rows become
 * findings.
 */
#pragma once
#include "base/buf.h"
#include "store/store.h"
#include "version/version.h"

#define CONTENT_HASH 16 /* bytes: SHA-256, cut; enough to tell two contents of one key apart */

/* The content of an advisory: all but its key. `work` is scratch memory of the caller's. */
int advisory_hash(const struct advisory *a, struct buf *work, uint8_t ret[CONTENT_HASH], struct err *e);

/* The bounds of a range as keys. Where a text is not exact (version.h), or the scheme is unknown, the range is a
 * candidate for every version that it does not exclude (uncertain), and as a negative statement it covers none: what cannot be told
 * must not hide a finding. */
struct range_keys {
    str introduced, fixed; /* into the two below, or constant */
    bool uncertain;
    struct version_key introduced_buffer, fixed_buffer;
};
void range_keys(const struct affected_range *r, const struct version_scheme *scheme, struct range_keys *ret);

/* The key of an installed version; empty, which is below all, when it is not exact. */
str installed_key(str kind, str version, struct version_key *buffer);

/* Entries of a layer as one blob. Packages travel as numbers of sets that the engine keeps: sets[i] belongs
 * to entry i, 0 = none. */
void layer_pack(const struct layer_index *layer, const int64_t *sets, struct buf *ret);
int layer_unpack(str blob, struct arena *arena, struct layer_index *ret, int64_t **ret_sets, struct err *e);

void details_pack(const struct image_index *image, struct buf *ret);
int details_unpack(str blob, struct arena *arena, struct image_index *ret, struct err *e);

/* One affected range that contains the version of one package. */
struct candidate {
    struct finding finding;
    str fixed_key;
    str key; /* of the advisory: the last word between equals, so that reports can be reproduced */
};
/* Sorts, and leaves one for each (package, id): certain ones before uncertain, then the highest fix; severity
 * and texts are those of the first feed by name. Returns how many are left, in order, at the start of `c`. */
size_t candidates_pick(struct candidate *c, size_t count);

/* Who holds a lease: this boot, this pid namespace, this process, this handle. */
#define LEASE_S 300               /* longer than one document may keep its reader waiting, as a rule */
bool lease_owner_dead(str owner); /* certainly: it ran here and does not any more */
