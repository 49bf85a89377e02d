/*
 * rows.h - what is the same in every engine: how model structs become rows, and candidate rows become
 * findings.
 */
#pragma once
#include "base/buf.h"
#include "store/store.h"
#include "version/version.h"

/* Two hashes (SHA-256, cut; enough to tell two contents of one key apart): of what an advisory means to an image (id, ranges, severities,
 * metadata_meaning()), and behind it of the rest. */
#define MEANING_HASH 8
#define CONTENT_HASH 16

#define PACKAGE_HASH 16
/* What names a package: SHA-256, cut, over its seven texts, each behind its length (32 bits, network order), in the order of struct package. The
 * migrations say the same in SQL. */
int package_hash(const struct package *p, uint8_t ret[PACKAGE_HASH], struct err *e);

#define SET_HASH 16 /* of what set_pack() gives; those of schema 2 have 32 */

/* A digest as its column has it: "sha256:" and 64 hex digits as 33 bytes, any other as it is. */
#define DIGEST_ROOM 33
str digest_pack(str digest, char room[DIGEST_ROOM]);
str digest_unpack(str packed, struct arena *arena);

/* The content of an advisory: all but its key, and of ranges that say "not affected" all but severity and state. Its metadata is what
 * metadata_bound() gave. `work` is scratch memory of the caller's. */
int advisory_hash(const struct advisory *a, struct buf *work, uint8_t ret[CONTENT_HASH], struct err *e);
/* Is the one that is stored, whose halves are twice as long when it is of a schema before 7, of the same meaning, and of the same content? */
void advisory_hash_compare(str stored, const uint8_t hash[CONTENT_HASH], bool *same_meaning, bool *same);

/* The bounds of a range as keys. Where a text is not exact (version.h), or the scheme is unknown, the range is a
 * candidate for every version that it does not exclude (uncertain), and as a negative statement it covers none: what cannot be told
 * must not hide a finding. */
struct range_keys {
    str introduced, fixed; /* into the two below, or constant */
    bool uncertain;
    struct version_key introduced_buffer, fixed_buffer;
};
void range_keys(const struct affected_range *r, const struct version_scheme *scheme, struct range_keys *ret);

/* The module and the CPE of a range as they share a column: most ranges have neither, and those of before had a module alone. No module has
 * a 0 in it. False: no memory. */
bool qualifiers_pack(struct arena *a, str module, str cpe, str *ret);
void qualifiers_unpack(str packed, str *module, str *cpe);

/* Does a range of module `wanted` speak of a package of `module`? Of the same alone; but where packages are `unlabelled` (distribution.h), also of one
 * that was built for some module, as its release tells: ".module+el8". */
bool module_fits(str wanted, str module, str version, bool unlabelled);

/* The key of an installed version; empty, which is below all, when it is not exact. */
str installed_key(str kind, str version, struct version_key *buffer);

/* Entries of a layer as one blob. Packages travel as numbers of sets that the engine keeps: sets[i] belongs
 * to entry i, 0 = none. */
void layer_pack(const struct layer_index *layer, const int64_t *sets, struct buf *ret);
int layer_unpack(str blob, struct arena *arena, struct layer_index *ret, int64_t **ret_sets, struct err *e);

void details_pack(const struct image_index *image, struct buf *ret);
int details_unpack(str blob, struct arena *arena, struct image_index *ret, struct err *e);

/* Which layer brought each package: runs of (how many, layer). */
void origins_pack(const struct image_index *image, struct buf *ret);
int origins_unpack(str blob, struct image_index *ret, struct err *e); /* into ret->packages */

/* What an advisory says in each of its findings: one copy, for hundreds of packages may have one source. feed 0: it is not to be seen. */
struct texts {
    int64_t feed;
    str key, id, title, link, description;
    str *flaws; /* by which ids it is found instead of its own */
    size_t flaw_count;
};

/* A range that contains a package's version; whether it is to be seen, its advisory says. */
struct hit {
    uint32_t position; /* of the package */
    uint8_t kind, state, severity;
    bool uncertain;
    int64_t advisory;
    str fixed_key, fixed;
};

/* A hit that is to be seen. */
struct candidate {
    const struct hit *hit;
    const struct texts *texts;
    str id; /* of its advisory, or of a flaw that that speaks of */
    const str *feed;
    int64_t rank;                  /* of the feed */
    const struct candidate *first; /* of what is left: whose severity and texts it has */
};
/* Sorts, and leaves one for each (package, id): of the best feeds, certain ones before uncertain, then the highest fix; severity
 * and texts are those of the first of these feeds by name. Returns how many are left, in order, at the start of `c`. `first` of them lies in
 * `room`, which is as long. */
size_t candidates_pick(struct candidate *c, size_t count, struct candidate *room);

/* Who holds a lease: this boot, this pid namespace, this process, this handle. */
#define LEASE_S 300               /* longer than one document may keep its reader waiting, as a rule */
bool lease_owner_dead(str owner); /* certainly: it ran here and does not any more */
