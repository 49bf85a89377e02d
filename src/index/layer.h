/*
 * layer.h - one layer through the cage: the walk inside (frames out), the builder outside (frames in).
 *
 * Shape      stored bytes -> [sha256] -> inflate -> [sha256] -> tar -> detectors. Only wanted files are held in
 *            memory, one at a time.
 *            The walk itself is visit.c's.
 * Limits     LAYER_OUT_MAX bytes uncompressed, 200 times the stored size once that is more than 1 GiB,
 *            DETECT_FILE_MAX bytes of a wanted file, and the numbers below.
 * Errors     ERR_FORMAT names the file or the byte offset; ERR_LIMIT names the limit.
 * Source     OCI image-spec v1.1 layer.md; design.md 9, Cage protocol.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/strmap.h"
#include "cage/cage.h"
#include "codec/stream.h"
#include "model/layer.h"

#define LAYER_OUT_MAX ((uint64_t)64 << 30)

/* Of layers and archives alike. Windows above 8 MiB (xz -9, zstd --long) cost their size in memory. */
#define LAYER_INFLATE_LIMITS                                                                                 \
    {                                                                                                        \
        .max_out = LAYER_OUT_MAX, .max_ratio = 200, .ratio_from = (uint64_t)1 << 30,                         \
        .max_window = (uint64_t)128 << 20                                                                    \
    }

#define LAYER_ENTRIES_MAX  100000
#define LAYER_PACKAGES_MAX 100000
#define LAYER_FACTS_MAX    10000
#define LAYER_KEPT_MAX     100                 /* files that wait for the end of their layer */
#define LAYER_MEMORY_MAX   ((size_t)256 << 20) /* of what a worker tells of one layer or archive */

/* Which bytes the layer is named by, and how it is read. */
enum layer_flag {
    HASH_STORED = 1,
    HASH_DIFF = 2,
    LAYER_BELOW_ROOTFS =
        4, /* appc: only what lies below "rootfs/" counts, without that (spec/detection.md 1) */
};

/* Frames of the indexing tasks. */
enum {
    INDEX_ENTRY = FRAME_TASK, /* begins an entry; its packages follow */
    INDEX_PACKAGE,
    INDEX_FACT,
    INDEX_LAYER,   /* ends a layer: sums, and the error if it could not be read */
    INDEX_MEMBER,  /* a member of an archive */
    INDEX_CONTENT, /* the content of a small file of an archive */
};

/* Appends to what layer_walk() takes as aliases: what lies at `real` in the layer is wanted as if it lay at `wanted`. */
void alias_pack(struct buf *to, const struct alias *a);

struct layer_sums {
    char stored[65], diff[65]; /* hex; empty when not asked for */
    uint64_t size;             /* bytes as stored */
};

/* In the worker. `flags` is a set of enum layer_flag. When the content is malformed the stored bytes are still hashed to their
 * end, so that the caller can tell a damaged blob from a bad image. */
int layer_walk(struct stream *stored, unsigned flags, str aliases, struct frame_writer *out,
               struct layer_sums *ret, struct err *e);
/* An entry, then what was found in it; `work` is empty before and after. */
struct detected;
int layer_put_entry(const struct layer_entry *x, struct buf *work, struct frame_writer *out, struct err *e);
int layer_put_found(const struct detected *d, struct buf *work, struct frame_writer *out, struct err *e);
int layer_put_sums(const struct layer_sums *sums, const struct err *failure, struct frame_writer *out,
                   struct err *e);

/* The task that walks one layer; params is one byte, the flags, and aliases. It ends with INDEX_LAYER. */
extern const struct cage_task index_layer_task;

/* In the parent: turns frames into a layer_index. Zero-initialise but for the arena. */
struct layer_builder {
    struct arena *arena;
    struct layer_index layer; /* complete after INDEX_LAYER; digest is set by the caller */
    struct layer_sums sums;
    struct err failure; /* of the layer: kind ERR_NONE if it was read well */
    bool ended;
    size_t entry_cap, package_cap, package_total, fact_cap, fact_total;
    size_t current;      /* index + 1 of the entry whose packages and facts are arriving */
    struct strmap paths; /* of entries that stand for a path: the later one wins */
};
int layer_memory_error(struct err *e); /* -1: what is kept of one layer or archive passed LAYER_MEMORY_MAX */
int layer_builder_frame(struct layer_builder *b, unsigned type, str body, struct err *e);
void layer_builder_done(struct layer_builder *b); /* frees what is not in the arena */
