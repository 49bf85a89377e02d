/*
 * bundle.h - what feeds say in one file, for machines without a network (docs/bundles.md).
 *
 * Shape      a tar (ustar): manifest.json, manifest.sig (64 bytes; only of signed ones), and for each source that it brings SOURCE.zst: its part. The
 *            manifest names each part's size and SHA-256; the signature is the manifest's.
 * Part       zstd of records, each a number (enum bundle_record) and a text: pack.h. All documents of the source with their validators come first, then
 *            advisories as they travel from a worker (parse_task.h), in front of each run of them the number of their document, and an end.
 * Difference a bundle made `since` another leaves out the sources that are as they were in that one; it names their parts all the same, and
 *            fits only where those were imported.
 * Trust      all bytes are hostile: a manifest is bounded, a part is read in the cage.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/stream.h"

#define BUNDLE_FORMAT       1
#define BUNDLE_SOURCES      256u
#define BUNDLE_MANIFEST_MAX (1u << 20)

struct bundle_source {
    str name;
    str sha256;           /* of its part: 64 hex digits */
    bool here;            /* its part is in this bundle */
    uint64_t size;        /* of the part in bytes */
    int64_t generation;   /* in which its content last changed */
    int64_t last_success; /* seconds since 1970 */
    int64_t documents, advisories;
};

struct bundle_manifest {
    int64_t created, generation;
    struct bundle_source *sources; /* by name, each once */
    size_t count;
};

void bundle_manifest_write(const struct bundle_manifest *m, struct buf *out);
int bundle_manifest_read(str json, struct arena *arena, struct bundle_manifest *ret, struct err *e);
const struct bundle_source *bundle_source_of(const struct bundle_manifest *m, str name); /* NULL */

/* ---- records of a part ---- */

enum bundle_record {
    BUNDLE_DOCUMENT = 1, /* pack_str(name) pack_str(validator) */
    BUNDLE_ENTER = 2,    /* pack_u64(which document, from 0): of what follows */
    BUNDLE_ADVISORY = 3, /* advisory_pack() */
    BUNDLE_END = 4,      /* pack_u64(documents) pack_u64(advisories) */
};
typedef int bundle_on_record(void *ctx, enum bundle_record type, str body, struct err *e);
/* All records of an inflated part, in their order; the end is checked, and not given. ERR_FORMAT names the byte. */
int bundle_part_read(struct stream *in, bundle_on_record *on, void *ctx, struct err *e);
/* The same in the cage: frames of a part, for the table given to cage_new(). */
extern const struct cage_task bundle_task;

/* ---- the file ---- */

struct store;
struct cage;

struct bundle_export {
    const str *sources; /* names; NULL: all that are loaded */
    size_t source_count;
    const struct bundle_manifest *since; /* NULL: of all that is there */
    str private_key;                     /* PEM; empty: not signed */
    int64_t now;
};
/* Writes into `fd`, a new regular file; `spool` is another one that is empty, without a name. Parts and manifest are of one moment. */
int bundle_write(struct store *from, int fd, int spool, const struct bundle_export *o,
                 struct bundle_manifest *ret, struct arena *arena, struct err *e);

struct bundle;
bool bundle_is(int fd);                            /* does the file begin as one? */
struct bundle *bundle_open(int fd, struct err *e); /* borrows the descriptor, which must be seekable */
void bundle_freep(struct bundle **b);
const struct bundle_manifest *bundle_manifest(const struct bundle *b);
bool bundle_signed(const struct bundle *b);
int bundle_check(const struct bundle *b, str public_key,
                 struct err *e); /* ERR_DIGEST: not signed, or by another key */

struct update_counts;
enum bundle_outcome {
    BUNDLE_LOADED,
    BUNDLE_AS_BEFORE, /* it is left out, for it was as the bundle before says */
    BUNDLE_OLDER,     /* what is here is newer: left as it is, unless forced */
    BUNDLE_UNKNOWN,   /* no source of this program */
};
/* One source, by a usual update. Nothing is committed unless all of the part has been read and is what the manifest names. ERR_NOT_FOUND: it is left
 * out, and what it builds on was not imported here. */
int bundle_import(struct bundle *b, const struct bundle_source *source, struct store *to, struct cage *cage,
                  bool force, enum bundle_outcome *ret, struct update_counts *counts, struct err *e);
