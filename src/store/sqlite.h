/*
 * sqlite.h - the SQLite engine inside: one connection, its statements, and how they are bound and read.
 *
 * Bytes from outside are BLOBs, so that no text encoding touches them; TEXT are our own words and the
 * key-values that other programs read. In scratch mode the tables of the index half are TEMP ones of the same
 * names, which SQLite finds first.
 */
#pragma once
#include <sqlite3.h>

#include "store/engine.h"

#define APPLICATION_ID 0x65636c72 /* application_id: "eclr" */
#define SCHEMA_NUMBER  1          /* user_version */

extern const char *const sqlite_index_tables[2]; /* in main, in temp */

/* What leads from schema N to N + 1: statements, NULL at the end. Never edit an old one. */
extern const char *const *const sqlite_migrations[SCHEMA_NUMBER];

/* Every statement: a name and its text, in sqlite_queries.c. */
enum query {
    Q_BEGIN,
    Q_BEGIN_WRITE,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_GENERATION,
    Q_VALUE_GET,
    Q_VALUE_SET,
    Q_FEEDS,
    Q_COUNT,
    Q_DOCUMENT_VALIDATOR,
    Q_FEED_SUCCEEDED,
    Q_FEED_FAILED,
    Q_PACKAGE_FIND,
    Q_PACKAGE_ADD,
    Q_PACKAGE_GET,
    Q_SET_FIND,
    Q_SET_ADD,
    Q_SET_GET,
    Q_LAYER_FIND,
    Q_LAYER_DIFF_ID,
    Q_LAYER_ADD,
    Q_POSTING_ADD,
    Q_IMAGE_FIND,
    Q_IMAGE_PUT,
    Q_IMAGE_LAYERS_CLEAR,
    Q_IMAGE_PACKAGES_CLEAR,
    Q_IMAGE_LAYER_ADD,
    Q_IMAGE_PACKAGE_ADD,
    Q_IMAGE_LAYERS,
    Q_IMAGE_PACKAGES,
    Q_IMAGE_NAMESPACE,
    Q_MATCH_FEEDS,
    Q_MATCH,
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
    Q_AFFECTED_ADD,
    Q_NEGATIVE_ADD,
    Q_CHANGE_ADD,
    Q_NAMESPACE_FIND,
    Q_NAMESPACE_ADD,
    Q_NAMESPACE_COUNT,
    Q_DOCUMENT_FIND,
    Q_DOCUMENT_ADD,
    Q_DOCUMENT_SET,
    Q_DOCUMENT_DROP,
    Q_GENERATION_SET,
    Q_GENERATION_LOG,
    Q_FEED_CHANGED,
    Q_SWEEP_STAGED,
    Q_SWEEP_AFFECTED,
    Q_SWEEP_NEGATIVE,
    Q_SWEEP_ADVISORY,
    Q_SWEEP_ENDED,
    Q_SWEEP_CHANGES,
    Q_SWEEP_DOCUMENTS,
    QUERIES
};
extern const char *const sqlite_queries[QUERIES];

struct sqlite {
    struct store store; /* first: a struct store * is this */
    sqlite3 *db;
    char *where;
    bool scratch;
    bool reading; /* an update's read transaction is open: sqlite_begin() ends it */
    sqlite3_stmt *statements[QUERIES];
};

int sqlite_error(struct sqlite *s, const char *doing,
                 struct err *e); /* -1, from the connection's last error */

/* The statement with its parameters: i int64_t, b str as BLOB, t str as TEXT, n NULL. The views must live
 * until the reset. NULL on error. Several may be in use, each once. */
sqlite3_stmt *sqlite_bind(struct sqlite *s, struct err *e, enum query q, const char *types, ...);
int sqlite_row(struct sqlite *s, sqlite3_stmt *st, struct err *e); /* 1 a row, 0 the end, -1 */
int sqlite_run(struct sqlite *s, struct err *e, enum query q, const char *types,
               ...);                                                        /* for statements without rows */
static inline void sqlite_resetp(sqlite3_stmt **st) { sqlite3_reset(*st); } /* for CLEANUP(): ends its read */

static inline str sqlite_str(sqlite3_stmt *st, int column) /* until the next step */
{
    const void *p = sqlite3_column_blob(st, column);
    return str_of(p ? p : "", (size_t)sqlite3_column_bytes(st, column));
}

/* A transaction by scope: what was not committed is rolled back.
 *   CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(s, true, e);
 *   if (!t) return -1;
 *   ...
 *   return sqlite_commit(&t, e); */
struct sqlite *sqlite_begin(struct sqlite *s, bool write, struct err *e);
int sqlite_commit(struct sqlite **t, struct err *e);
void sqlite_endp(struct sqlite **t);

/* Refuses what a scratch store cannot write. */
int sqlite_writable(struct sqlite *s, struct err *e);

/* The functions of the engine's table that are in the other files. */
struct store *sqlite_open(const char *where, enum store_mode mode, struct err *e);
void sqlite_close(struct store *s);
int sqlite_layer_find(struct store *s, str digest, unsigned indexer, struct arena *arena,
                      struct layer_index **ret, struct err *e);
int sqlite_layer_put(struct store *s, const struct layer_index *layer, unsigned indexer, struct err *e);
int sqlite_image_put(struct store *s, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                     struct err *e);
int sqlite_image_find(struct store *s, str digest, unsigned indexer, struct arena *arena,
                      struct image_index **ret, int64_t *ret_id, struct err *e);
int sqlite_match(struct store *s, int64_t image_id, struct arena *arena, struct match *ret, struct err *e);
struct store_update *sqlite_update_begin(struct store *s, str feed, struct err *e);
int sqlite_update_document(struct store_update *u, str document, str validator, struct err *e);
int sqlite_update_put(struct store_update *u, const struct advisory *a, struct err *e);
int sqlite_update_drop(struct store_update *u, str document, struct err *e);
int sqlite_update_commit(struct store_update *u, int64_t now, struct update_counts *ret, struct err *e);
void sqlite_update_free(struct store_update *u);
