/*
 * sqlite.h - the SQLite driver inside: one connection, its statements, its schema.
 */
#pragma once
#include <sqlite3.h>

#include "store/sql.h"

#define APPLICATION_ID 0x65636c72 /* application_id: "eclr"; user_version is the schema */

extern const char *const sqlite_index_tables[2]; /* in main, in temp */

/* What leads from schema N to N + 1: statements, NULL at the end. Never edit an old one. */
extern const char *const *const sqlite_migrations[SCHEMA_NUMBER];

extern const char *const sqlite_queries[QUERIES]; /* NULL: the other engine's */
extern const struct sql_driver sqlite_driver;

struct sqlite_stmt {
    struct sql_stmt base; /* first */
    sqlite3_stmt *st;
};

struct sqlite {
    struct sql sql; /* first: a struct store * is this */
    sqlite3 *db;
    struct sqlite_stmt statements[QUERIES];
    int64_t data_version; /* of SQLite, when sqlite_doze() last looked */
};

int sqlite_error(struct sqlite *s, const char *doing,
                 struct err *e); /* -1, from the connection's last error */
int sqlite_execute(struct sqlite *s, const char *sql,
                   struct err *e); /* statements without parameters and rows that matter */
struct store *sqlite_open(const char *where, enum store_mode mode, struct err *e);
void sqlite_close(struct store *s);
int sqlite_doze(struct store *s, int timeout_ms, struct err *e); /* as engine.h says */
