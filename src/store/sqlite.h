/*
 * sqlite.h - the SQLite driver inside: one connection, its statements, its schema.
 */
#pragma once
#include <sqlite3.h>

#include "store/sql.h"

#define APPLICATION_ID 0x65636c72 /* application_id: "eclr"; user_version is the schema */

extern const char *const sqlite_index_tables; /* those in temp */

/* What leads from schema N to N + 1: statements, NULL at the end. Never edit an old one. */
extern const char *const *const sqlite_migrations[SCHEMA_NUMBER];

extern const char *const sqlite_queries[QUERIES]; /* NULL: the other engine's */
/* The last column of such a statement's rows is a record (sql.h) of so many fields, 0: they have none. In those of before schema 6 so many
 * columns in front of it come once more. */
extern const struct sqlite_record {
    uint8_t columns, again;
} sqlite_records[QUERIES];
extern const struct sql_driver sqlite_driver;
extern const struct sql_care sqlite_care;

/* The table `list(POINTER)`: rows of an array of ours, numbers or pairs, in a statement (columns value, name, key; rowid from 0). */
#define SQLITE_LIST "eclair list"
struct sqlite_list {
    const int64_t *numbers;
    const struct sql_pair *pairs;
    size_t count;
};
int sqlite_list_register(sqlite3 *db);      /* SQLITE_OK, or why not */
int sqlite_functions_register(sqlite3 *db); /* record(...), package_hash(...), number_at(...) */

struct sqlite_stmt {
    struct sql_stmt base; /* first */
    sqlite3_stmt *st;
    struct sqlite_list list; /* of an I or P parameter */
    unsigned record_columns, record_again, record_at;
    str record[SQL_RECORD];
};

struct sqlite {
    struct sql sql; /* first: a struct store * is this */
    sqlite3 *db;
    struct sqlite_stmt statements[QUERIES];
    struct buf record;    /* that is being put */
    int64_t data_version; /* of SQLite, when sqlite_doze() last looked */
};

int sqlite_error(struct sqlite *s, const char *doing,
                 struct err *e); /* -1, from the connection's last error */
int sqlite_execute(struct sqlite *s, const char *sql,
                   struct err *e); /* statements without parameters and rows that matter */
struct store *sqlite_open(const char *where, enum store_mode mode, struct err *e);
void sqlite_close(struct store *s);
int sqlite_doze(struct store *s, int timeout_ms, struct err *e); /* as engine.h says */
