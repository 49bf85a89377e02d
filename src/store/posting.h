/*
 * posting.h - which package sets hold a package: pairs (package, set), sorted, in blocks of about 2 KB. No I/O.
 *
 * Format     A block begins with the pair that its key names. Its body is a row of lists: the package (as the distance from that of the
 *            list before; of the first list from the key's), how many sets, and the sets: the first as its distance from that of the key,
 *            which may be negative (zigzag), the others as distances from the one before. All are pack_u64().
 * Order      Pairs ascend by package, then by set. A list may go on in the next block.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "codec/pack.h"

/* Bytes of a body: with its key it stays below PostgreSQL's limit for storing a row in one piece (TOAST_TUPLE_THRESHOLD, some 2,000),
 * and four of them fill a page of SQLite's. */
#define POSTING_BODY_MAX 1900u

struct posting {
    int64_t package, set;
};

/* ---- writing ---- */

struct posting_writer {
    int (*emit)(void *ctx, struct posting first, str body, struct err *e); /* 0, -1 */
    void *ctx;
    struct buf body, list; /* list: the sets of the list that is being written */
    struct posting first, last;
    int64_t list_package, previous_package;
    uint64_t list_count, count; /* count: of all pairs put */
};
int posting_put(struct posting_writer *w, struct posting p, struct err *e); /* pairs must ascend */
int posting_finish(struct posting_writer *w, struct err *e);
void posting_writer_done(struct posting_writer *w); /* for CLEANUP() */

/* ---- reading ---- */

struct posting_reader {
    struct unpack u;
    struct posting first, at;
    uint64_t left; /* of the list */
};
void posting_open(struct posting_reader *r, struct posting first, str body);
int posting_next(struct posting_reader *r, struct posting *ret, struct err *e); /* 1, 0 the end, -1 damaged */
/* Goes on with the first list of `package` or of a later one: 1 and r stands before its first pair, 0, -1. */
int posting_seek(struct posting_reader *r, int64_t package, struct err *e);

/* Sorts, and leaves each once: returns how many. */
size_t numbers_sort(int64_t *list, size_t count);
int number_order(const void *a, const void *b); /* of two int64_t, for qsort() and bsearch() */

/* ---- sets: the numbers of packages, ascending, as distances ---- */

void set_pack(struct buf *ret, const int64_t *ids, size_t count);
/* 1: it has one of these, which ascend too; 0, -1. */
int set_has_any(str members, const int64_t *ids, size_t count, struct err *e);
/* The numbers, malloc()ed, ascending (those of a set of schema 2 too, which are packed in no order); NULL with e. */
int64_t *set_unpack(str members, size_t *ret_count, struct err *e);
