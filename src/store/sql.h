/*
 * sql.h - what SQLite and PostgreSQL have in common: statements by number, their parameters and rows, transactions by scope. The logic of
 *         the store (sql_*.c) is written once against it; an engine is a driver, a table of texts, and how it is opened.
 *
 * Shape      Each statement has a number and, for each engine, a text. Parameters are given by types: i int64_t, b str as bytes, t str
 *            as text, I (const int64_t *, size_t) as a list of numbers, P (const struct sql_pair *, size_t) as a list of pairs, n NULL. Bytes from outside are bytes (BLOB, bytea), so that
 *            no text encoding touches them; text are our own words and the key-values that other programs read.
 * Rows       Views live until the next row, the next use or the reset of that statement. Several statements may be in use, each once.
 * Records    What a report reads by the thousand is packed when it is loaded: a record is, for each field, its length and its bytes. A
 *            length is one byte more than it is (1 to 254), or ff and 32 bits in network order; what statements put in front of records, and records
 *            of schema 4, have those 32 bits alone. Numbers are in network order, without zeros in front. The driver takes records apart: to its callers fields are columns.
 * Bulk       Rows that are put by the thousand: SQLite inserts them one by one, PostgreSQL gathers them for a COPY. What is wrong
 *            with one may show only in sql_bulk_end().
 * Lost       A connection that broke is made anew by the next transaction, or the next statement outside of one.
 * Scratch    The tables of the index half are temporary ones of the same names, which both engines find first.
 */
#pragma once
#include <stdarg.h>

#include "base/buf.h"
#include "store/engine.h"

#define SCHEMA_NUMBER 7

enum query {
    Q_GENERATION,
    Q_PING,
    Q_VALUE_GET,
    Q_VALUE_SET,
    Q_FEEDS,
    Q_COUNT,
    Q_DOCUMENT_VALIDATOR,
    Q_FEED_SUCCEEDED,
    Q_FEED_FAILED,
    Q_PACKAGE_FIND,
    Q_PACKAGE_ADD,
    Q_PACKAGES_GET,
    Q_SET_FIND,
    Q_SET_ADD,
    Q_SET_QUEUE,
    Q_SET_GET,
    Q_LAYER_FIND,
    Q_LAYER_DIFF_ID,
    Q_LAYER_ADD,
    Q_LAYER_SET_ADD,
    Q_DISTRIBUTION_FIND,
    Q_DISTRIBUTION_ADD,
    Q_IMAGE_FIND,
    Q_IMAGE_BY_ID,
    Q_IMAGE_PUT,
    Q_IMAGE_VIEWS,
    Q_IMAGE_ANCESTRIES,
    Q_IMAGE_LAYERS_CLEAR,
    Q_IMAGE_LAYER_ADD,
    Q_IMAGE_LAYERS,
    Q_OLD_LAYER_NEXT,
    Q_OLD_LAYER_PUT,
    Q_OLD_LAYERS_DROP,
    Q_OLD_IMAGE_NEXT,
    Q_OLD_IMAGE_PACKAGES,
    Q_OLD_IMAGE_NUMBER,
    Q_OLD_IMAGES_DROP,
    Q_OLD_HASH_NEXT,
    Q_OLD_HASH_SET,
    Q_MATCH_FEEDS,
    Q_MATCH_SOURCE,
    Q_MATCH_BINARY,
    Q_ADVISORIES,
    Q_METADATA,
    Q_NEGATIVES_SOURCE,
    Q_NEGATIVES_BINARY,
    Q_NAMED_FIND,
    Q_NAMED_VIEWS,
    Q_NAMED_ID,
    Q_NAMED_PARENT,
    Q_NAMED_DEPTH,
    Q_NAMED_ADD,
    Q_NAMED_REPLACE,
    Q_NAMED_VIEWS_CLEAR,
    Q_NAMED_VIEW_ADD,
    Q_NAMED_DELETE_VIEWS,
    Q_NAMED_DELETE,
    Q_NAMED_CHAIN,
    Q_LAYER_KNOWN,
    Q_HASH_FIND,
    Q_HASH_ADD,
    Q_HASHES_AFTER,
    Q_ANCESTRY_FIND,
    Q_ANCESTRY_DROP,
    Q_ANCESTRY_PUT,
    Q_ANCESTRIES_AFTER,
    Q_LEASE_GET,
    Q_LEASE_PUT,
    Q_LEASE_RENEW,
    Q_LEASE_DROP,
    Q_FEED_ADD,
    Q_FEED_GET,
    Q_PENDING_GET,
    Q_PENDING_ADD,
    Q_PENDING_DROP,
    Q_ADVISORY_LAST,
    Q_ADVISORY_FIND,
    Q_ADVISORY_ADD,
    Q_ADVISORY_END,
    Q_ADVISORY_RANGES,
    Q_ADVISORY_WALK,
    Q_METADATA_ADD,
    Q_AFFECTED_ADD,
    Q_NEGATIVE_ADD,
    Q_CHANGE_ADD,
    Q_NAMESPACE_FIND,
    Q_NAMESPACE_ADD,
    Q_NAMESPACE_COUNT,
    Q_NAMESPACE_KINDS,
    Q_NAMESPACE_SCHEME,
    Q_NAMESPACES,
    Q_SPACE_ADD,
    Q_SPACE_PAGE,
    Q_SAID_OF,
    Q_MANUAL_OF,
    Q_FEED_SIZE,
    Q_OLD_SPACES_NEXT,
    Q_DOCUMENT_FIND,
    Q_DOCUMENT_ADD,
    Q_DOCUMENT_SET,
    Q_DOCUMENT_DROP,
    Q_GENERATION_SET,
    Q_GENERATION_LOG,
    Q_FEED_CHANGED,
    Q_QUEUE_NEXT,
    Q_QUEUE_COUNT,
    Q_QUEUE_FIRST,
    Q_QUEUE_DROP,
    Q_SEGMENTS,
    Q_SEGMENT_ADD,
    Q_SEGMENT_STATE,
    Q_SEGMENT_DROP,
    Q_BLOCK_ADD,
    Q_BLOCKS_NEXT,
    Q_BLOCKS_BEFORE,
    Q_BLOCKS_AT,
    Q_BLOCKS_AFTER,
    Q_BLOCKS_DROP,
    Q_SETS_ALIVE,
    Q_ADVISORY_VISIBLE,
    Q_ADVISORY_GET,
    Q_ADVISORY_SIZES,
    Q_ADVISORIES_THESE,
    Q_ADVISORY_PLACE,
    Q_NAMESPACE_BY_ID,
    Q_NEGATIVES_OF,
    Q_PACKAGES_OF_SOURCE,
    Q_PACKAGES_OF_NAME,
    Q_SPACE_USED,
    Q_IMAGES_WITH,
    Q_NAMED_WITH,
    Q_ANCESTRIES_WITH,
    Q_SPACE_DISTRIBUTIONS,
    Q_NAMED_WALK,
    Q_ANCESTRY_WALK,
    Q_NAMED_LAST,
    Q_ANCESTRY_LAST,
    Q_PARENT_SETS,
    Q_SETS_GET,
    Q_NAMED_NAMES,
    Q_ANCESTRY_NAMES,
    Q_NOTIFY_WAITING,
    Q_NOTIFY_PLACE,
    Q_NOTIFY_PLACE_SET,
    Q_NOTIFY_SKIP,
    Q_NOTIFY_CHANGES,
    Q_NOTIFY_ADD,
    Q_NOTIFY_TAKE,
    Q_NOTIFY_RENEW,
    Q_NOTIFY_SENT,
    Q_NOTIFY_FAILED,
    Q_NOTIFY_DELETE,
    Q_NOTIFY_RETRY,
    Q_NOTIFY_FIND,
    Q_NOTIFY_LIST,
    Q_NOTIFY_COUNTS,
    Q_NOTIFY_KEPT,
    Q_NOTIFY_TIDY,
    Q_KEY_PUT,
    Q_KEY_ADD,
    Q_KEY_FIND,
    Q_KEY_LIST,
    Q_KEY_DELETE,
    Q_KEY_END,
    Q_KEY_COUNTS,
    Q_KEY_TIDY,
    Q_NONCE_TAKE,
    Q_NONCE_TIDY,
    Q_SET_STORED,
    Q_BLOCKS_RANGE,
    Q_IMAGE_USED,
    Q_IMAGE_KEEP,
    Q_LAYER_KEEP,
    Q_TIDY_IMAGES,
    Q_TIDY_IMAGE_LAYERS,
    Q_TIDY_IMAGE,
    Q_TIDY_LAYERS,
    Q_TIDY_LAYER_SETS,
    Q_TIDY_LAYER_HASHES,
    Q_TIDY_LAYER,
    Q_TIDY_SETS,
    Q_TIDY_SET_QUEUED,
    Q_TIDY_SET,
    Q_TIDY_SEGMENTS,
    Q_TIDY_PACKAGES,
    Q_TIDY_PACKAGE,
    Q_LAST_IMAGE,
    Q_LAST_LAYER,
    Q_LAST_SET,
    Q_LAST_PACKAGE,
    Q_ENDED,
    Q_ENDED_ADVISORIES,
    Q_ENDED_CHANGES,
    Q_ENDED_GENERATIONS,
    Q_SWEEP_STAGED,
    Q_SWEEP_AFFECTED,
    Q_SWEEP_NEGATIVE,
    Q_SWEEP_METADATA,
    Q_SWEEP_SPACES,
    Q_SWEEP_SPACES_BEHIND,
    Q_BLOCK_USED,
    Q_SWEEP_ADVISORY,
    Q_SWEEP_ENDED,
    Q_SWEEP_CHANGES,
    Q_SWEEP_DOCUMENTS,

    Q_CHECK_PACKAGES,
    Q_CHECK_SETS,
    Q_CHECK_QUEUE,
    Q_CHECK_LAYERS,
    Q_CHECK_LAYER_SETS,
    Q_CHECK_LOST_SETS,
    Q_CHECK_IMAGES,
    Q_CHECK_LOST_LAYERS,
    Q_CHECK_NAMED,
    Q_CHECK_LOST_VIEWS,
    Q_CHECK_LOST_HASHES,
    Q_CHECK_ANCESTRIES,
    Q_CHECK_ADVISORIES,
    Q_CHECK_AFFECTED,
    Q_CHECK_NEGATIVE,
    Q_CHECK_FEEDS,
    Q_CHECK_DOCUMENTS,
    Q_CHECK_NAMESPACES,
    Q_CHECK_CHANGES,
    Q_CHECK_METADATA,
    Q_CHECK_LOST_SPACES,
    Q_CHECK_MISSING_SPACES,
    Q_LEASES,
    Q_LAYERS_AFTER,
    Q_IMAGES_AFTER,
    Q_NAMED_AFTER,
    Q_DOCUMENTS,
    Q_ADVISORIES_AFTER,
    Q_AFFECTED_THESE,
    Q_NEGATIVE_THESE,
    Q_VALUES_AFTER,
    Q_CONDITION,
    QUERIES
};

enum bulk {
    BULK_ADVISORY,
    BULK_METADATA,
    BULK_AFFECTED,
    BULK_NEGATIVE,
    BULK_CHANGE,
    BULK_BLOCK,
    BULK_NOTIFICATION,
    BULKS
};

/* Advisories by number, in blocks of 64: which namespaces they may speak of is kept for blocks. */
#define BLOCK_BITS 6

/* What there has ever been in a namespace, as bits: what was not need not be looked for. */
enum sql_kinds { KIND_SOURCE = 1, KIND_BINARY = 2, KIND_NOT_SOURCE = 4, KIND_NOT_BINARY = 8 };

#define SQL_FIELDS 16 /* parameters of a statement or a bulk */
#define SQL_RECORD 12 /* fields of a record */
/* The first byte of a record of SQLite's since schema 6; no length of a number, with which those of before begin. What the row has in columns
 * of its own is not in it, nor is what is empty at its end. */
#define RECORD_SHORT 0xfeu

struct sql_pair {
    str name, key;
};
/* Sorts by name and leaves each name once, at the start: how many. */
size_t sql_pairs_unique(struct sql_pair *list, size_t count);
/* In such a list; NULL. */
const struct sql_pair *sql_pair_find(const struct sql_pair *list, size_t count, str name);

/* What goes into which column: letters are parameters of sql_bulk(), 'a' the first. */
struct sql_shape {
    const char *columns;
    const char *record; /* NULL, or what makes the record: the last column */
};
extern const struct sql_shape sql_shapes[BULKS];

struct sql;

struct sql_stmt { /* first in a driver's own */
    struct sql *sql;
};

/* An advisory that is there under keys[i]. */
typedef int sql_advisory_found(void *ctx, size_t i, int64_t id, int64_t document, str hash, struct err *e);

/* What a transaction is for. INDEX writes layers or images, COLLECT deletes what none of them needs: it sees all that others want to keep, for
 * it runs alone among them. */
enum sql_mode { SQL_READ, SQL_WRITE, SQL_INDEX, SQL_COLLECT };

struct sql_driver {
    struct sql_stmt *(*bind)(struct sql *s, enum query q, const char *types, va_list ap, struct err *e);
    int (*row)(struct sql_stmt *st, struct err *e);
    void (*reset)(struct sql_stmt *st);
    int64_t (*integer)(struct sql_stmt *st, int column);
    str (*bytes)(struct sql_stmt *st, int column);
    bool (*null)(struct sql_stmt *st, int column);
    int64_t (*changes)(struct sql *s); /* rows of the last statement */
    int (*begin)(struct sql *s, enum sql_mode mode, struct err *e);
    int (*commit)(struct sql *s, struct err *e);
    void (*rollback)(struct sql *s);
    int (*bulk)(struct sql *s, enum bulk b, const char *types, va_list ap, struct err *e);
    int (*bulk_end)(struct sql *s, struct err *e);
    /* ids[i] of packages[i], found or added; packages are sorted by package_cmp() and differ */
    int (*package_ids)(struct sql *s, const struct package *const *packages, size_t count, int64_t *ids,
                       struct err *e);
    int (*advisories)(struct sql *s, int64_t feed, const str *keys, size_t count, sql_advisory_found *found,
                      void *ctx, struct err *e);
};

/* What is quite another thing on each engine. */
struct sql_care {
    int (*size)(struct sql *s, int64_t *ret, struct err *e);
    int (*compact)(struct sql *s, struct err *e);
    /* the engine's own look at itself; NULL: it has none */
    int (*check)(struct sql *s, store_problem *report, void *ctx, struct err *e);
    int (*backup)(struct sql *s, const char *path, struct err *e);
};

struct sql {
    struct store store; /* first: a struct store * is this */
    const struct sql_driver *driver;
    const struct sql_care *care;
    char *where; /* for error texts */
    bool scratch;
    bool readonly;                /* STORE_READ */
    char lost_lease[STORE_OWNER]; /* of an update of ours that could not give it back; empty: none */
    bool inside;                  /* a transaction */
    bool viewing;                 /* store_view_begin(): transactions for reading are parts of that one */
    bool conflict;                /* the last error of a bulk: a row of that key is there */
    bool
        again; /* the last error came of another transaction, or of a connection that was lost: the whole may be tried again */
};

static inline int64_t sql_int(struct sql_stmt *st, int column)
{
    return st->sql->driver->integer(st, column);
}
static inline str sql_str(struct sql_stmt *st, int column) { return st->sql->driver->bytes(st, column); }
static inline bool sql_null(struct sql_stmt *st, int column) { return st->sql->driver->null(st, column); }
static inline int64_t sql_changes(struct sql *s) { return s->driver->changes(s); }

/* The statement with its parameters; the views must live until the reset. NULL on error. */
struct sql_stmt *sql_bind(struct sql *s, struct err *e, enum query q, const char *types, ...);
int sql_row(struct sql *s, struct sql_stmt *st, struct err *e); /* 1 a row, 0 the end, -1 */
int sql_run(struct sql *s, struct err *e, enum query q, const char *types,
            ...); /* for statements without rows */
/* The first column of the one row; -1 on error, 0 without a row, 1. */
int sql_number(struct sql *s, struct err *e, int64_t *ret, enum query q, const char *types, ...);
void sql_resetp(struct sql_stmt **st); /* for CLEANUP(): ends its read; NULL is fine */

int sql_bulk(struct sql *s, struct err *e, enum bulk b, const char *types, ...);
int sql_bulk_end(struct sql *s, struct err *e);

/* A transaction by scope: what was not committed is rolled back.
 *   CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
 *   if (!t) return -1;
 *   ...
 *   return sql_commit(&t, e); */
struct sql *sql_begin(struct sql *s, bool write, struct err *e);
struct sql *sql_begin_as(struct sql *s, enum sql_mode mode, struct err *e);
int sql_commit(struct sql **t, struct err *e);
void sql_endp(struct sql **t);

/* After a failed call that may be repeated as a whole: should it be? At most three times. */
bool sql_again(struct sql *s, unsigned *tries);

int sql_oom(const struct sql *s, struct err *e);
int sql_writable(struct sql *s, struct err *e); /* refuses what a scratch store cannot write */

/* ---- for drivers ---- */

struct sql_fields {
    str values[SQL_FIELDS]; /* no address: NULL */
    uint64_t numbers[SQL_FIELDS];
};
void sql_fields_take(struct sql_fields *f, const char *types, va_list *ap);
bool sql_field_empty(const struct sql_fields *f, char letter);
void sql_record_put(struct buf *to, const char *letters,
                    const struct sql_fields *f); /* without its own length */
/* Takes `count` fields off the front. */
int sql_record_take(struct sql *s, str *rest, str *fields, unsigned count, struct err *e);
int64_t sql_field_int(str field);

/* ---- the parts of the logic ---- */

#define NOTIFY_WANTED STR("notify/wanted") /* key-value: see store_notifications_want() */

/* What schema `schema` wants of the data of before and SQL cannot say; inside the transaction of the migration. */
int sql_convert(struct sql *s, int schema, struct err *e);

/* A set and its number, 0 of no package; equal ones are stored once. Sorts `ids`. */
int sql_set_put(struct sql *s, int64_t *ids, size_t count, int64_t *ret, struct err *e);
/* Rows of a layer (1: it is new, 0: it is there) and an image without what they refer to. */
int sql_layer_row(struct sql *s, const struct layer_index *layer, unsigned indexer, const int64_t *sets,
                  int64_t *id, struct err *e);
int sql_layer_sets(struct sql *s, int64_t id, const int64_t *sets, size_t count, struct err *e);
int sql_image_row(struct sql *s, const struct image_index *image, unsigned indexer, int64_t set, int64_t *ret,
                  struct err *e);

struct sql_said {
    size_t name; /* its place among the names that were asked for */
    int64_t id;
    struct stored_advisory said; /* without its document */
};
/* What feeds say in that generation of names[] (keys are empty): by name, then by number. Inside a transaction. */
int sql_said_of(struct sql *s, const struct sql_pair *names, size_t count, int64_t generation,
                struct arena *arena, struct sql_said **ret, size_t *ret_count, struct err *e);

/* Is one of these packages, which ascend, in the set? 1, 0, -1. */
int sql_set_has(struct sql *s, int64_t set, const int64_t *packages, size_t count, struct err *e);
/* What files tell of an image; none of one that is not stored. */
int sql_image_facts(struct sql *s, int64_t id, struct arena *arena, const struct image_fact **ret,
                    size_t *ret_count, struct err *e);

/* store_advisory_get() inside a transaction. */
int sql_advisory_read(struct sql *s, int64_t id, struct arena *arena, struct stored_advisory *ret,
                      struct err *e);

/* The column `hashes` of an ancestry; the error says no more than that it is damaged. */
int ancestry_unpack(str blob, struct arena *arena, const str **ret, size_t *ret_count, struct err *e);

/* Those of some numbers, which ascend, each once: ret[i] is that of ids[i], or id 0. Inside a transaction. */
int sql_advisories_these(struct sql *s, const int64_t *ids, size_t count, struct arena *arena,
                         struct stored_entry **ret, struct err *e);

/* An image or a layer is of it: it is in the list of all namespaces from now on. */
int sql_namespace_seen(struct sql *s, str namespace, struct err *e);

int sql_generation(struct sql *s, int64_t *ret, struct err *e);
/* The same; *metadata: is there any? False is certain. */
int sql_state(struct sql *s, int64_t *ret_generation, bool *metadata, struct err *e);
/* Metadata of the ids of findings, and the severity of those that have none of their own. Inside a transaction. */
int sql_match_metadata(struct sql *s, int64_t generation, struct finding *findings, size_t count,
                       struct arena *arena, struct err *e);

/* 1: held, *until set. 0: another's, until *until. Inside a transaction. */
int sql_lease_take(struct sql *s, str name, str owner, unsigned seconds, int64_t *until, struct err *e);

int sql_ping(struct store *s, struct err *e);
