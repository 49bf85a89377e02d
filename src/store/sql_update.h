/*
 * sql_update.h - one update of one feed, shared by its files: sql_update.c (the calls of store.h),
 * sql_stage.c (rows that are not seen yet), sql_sweep.c (what a dead predecessor left).
 *
 * Only the holder of the lease 'update' writes here, so that one generation at most is pending and its number
 * is the current one plus one. Each writing transaction proves the lease first.
 */
#pragma once
#include "base/strmap.h"
#include "store/rows.h"
#include "store/sql.h"

struct document {
    struct document *next;
    str name, validator;
    str stored_validator;        /* of its row, if that is `stored` */
    int64_t id;                  /* 0: no row yet; see document_number() */
    int64_t before, seen, after; /* advisories that it had; of these met again; that it has now */
    bool named, dropped, stored;
};

struct space { /* a namespace */
    struct space *next;
    int64_t id;
    const struct version_scheme *scheme; /* NULL: one that this program does not know */
    str scheme_name;
    int64_t kinds, stored_kinds; /* sets of enum sql_kinds */
    int64_t *blocks;             /* of advisories of this batch that speak of it, in the batch's arena */
    size_t block_count, block_cap;
    int64_t last_block; /* the last of them, and one more */
    int64_t delta;      /* visible ranges of the feed in it, after less before */
};

struct staged {
    struct advisory advisory; /* its metadata: */
    str metadata;             /* packed */
    struct document *document;
    int64_t id, old;   /* old: the advisory that it replaces, 0 = none */
    bool same;         /* as what is there: nothing to be written */
    bool same_meaning; /* only texts differ: no change to be told */
    uint8_t hash[CONTENT_HASH];
};

struct store_update {
    struct sql *s;
    str feed;
    int64_t rank;
    char owner[STORE_OWNER];
    int64_t renewed_ms; /* the lease (clock_ms) */
    int64_t feed_id, generation;
    int64_t advisories;  /* of the feed, before */
    int64_t first, next; /* ids of staged advisories: [first, next) */
    int64_t changes;     /* rows of the change log */
    bool first_load, pending, holds_lease;
    bool metadata; /* some was staged */
    bool silent;   /* changes are told by stage_change() alone */
    uint8_t *seen; /* a bit for each id below first: named again by this update */
    struct document *documents, *current;
    struct strmap document_by_name, document_by_id; /* those that have one */
    struct space *spaces;
    struct strmap space_by_name;
    struct arena *arena; /* documents and namespaces */
    struct arena *batch; /* what waits to be written: */
    struct staged *items;
    size_t item_count, item_cap, range_count;
    struct buf work;
    struct update_counts counts;
};

/* Gives a document the number of its row. */
int document_number(struct store_update *u, struct document *d, int64_t id, struct err *e);

/* A writing transaction under the lease; ERR_BUSY when another owner has taken it over. */
struct sql *update_transaction(struct store_update *u, struct err *e);

/* Those that a statement of one parameter lists (number, name, ranges), with their ranges and metadata; *ret_count went. Inside a transaction. */
int sql_delete_advisories(struct sql *s, enum query q, int64_t argument, int64_t *ret_count, struct err *e);

/* Deletes what an update that never committed has staged, in steps. */
int update_sweep(struct store_update *u, struct err *e);

/* a->meta as metadata_bound() gave it. */
int stage_add(struct store_update *u, const struct advisory *a, const uint8_t hash[CONTENT_HASH],
              struct err *e);
/* What is there under the keys of the items that wait: fills old and same. */
int update_resolve(struct store_update *u, struct err *e);
int stage_flush(struct store_update *u, struct err *e);
int stage_end(struct store_update *u, const int64_t *ids, size_t count,
              struct err *e); /* withdraws advisories */
int stage_change(struct store_update *u, int64_t before, int64_t after, str namespace,
                 struct err *e);                            /* told of one namespace; 0: there is none */
int stage_documents(struct store_update *u, struct err *e); /* rows for new ones; inside a transaction */

/* The primary keys of an advisory's ranges, as its `ranges` column holds them. */
struct range_ref {
    int64_t namespace, kind, part;
    bool negative;
    str name, fixed_key;
};
/* `previous`: the one before it in the same list, NULL for the first. */
void range_ref_pack(struct buf *b, const struct range_ref *r, const struct range_ref *previous);
int range_refs(str blob, int (*each)(void *context, const struct range_ref *r, struct err *e), void *context,
               struct err *e);
