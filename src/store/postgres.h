/*
 * postgres.h - the PostgreSQL driver inside: one connection, its prepared statements, its schema `eclair`.
 *
 * Parameters and results are binary. Settings of the session keep the plans of sql_match.c what they are on SQLite: the loops in the
 * order in which they are written, each an index range, prepared once (postgres_open.c says which).
 *
 * Records    A statement that gives records (sql.h) gives values that are many of them, one behind the other, which costs both sides half
 *            of what rows cost. The driver takes them apart: to its callers they are rows.
 */
#pragma once
#include <libpq-fe.h>

#include "base/buf.h"
#include "store/sql.h"

#define POSTGRES_PARAMS SQL_FIELDS

extern const char *const postgres_index_tables; /* the temporary ones */
/* What leads from schema N to N + 1; PostgreSQL begins at SCHEMA_NUMBER 2. Never edit an old one. */
extern const char *const *const postgres_migrations[SCHEMA_NUMBER];

extern const char *const postgres_queries[QUERIES];    /* NULL: the other engine's */
extern const char *const postgres_tables[BULKS];       /* and the columns that a COPY fills */
extern const uint8_t postgres_record_columns[QUERIES]; /* 0: its rows are rows */
extern const char postgres_packages_add[], postgres_packages_find[], postgres_advisories_find[];
extern const struct sql_driver postgres_driver;
extern const struct sql_care postgres_care;

struct postgres_stmt {
    struct sql_stmt base; /* first */
    PGresult *result;
    int row;
    unsigned record_columns; /* of the statement, 0: rows */
    str records;             /* that follow */
    str record[SQL_RECORD];
    bool prepared;
    struct buf list; /* of an I parameter */
};

struct postgres {
    struct sql sql; /* first: a struct store * is this */
    PGconn *conn;
    char **keywords, **values; /* for PQconnectdbParams(): NULL at the end */
    struct postgres_stmt statements[QUERIES];
    struct buf bulks[BULKS];
    int64_t changes;
};

struct store *postgres_open(const char *where, enum store_mode mode, struct err *e);
void postgres_close(struct store *s);

/* A connection with the session's settings; what was prepared is gone. */
int postgres_connect(struct postgres *p, struct err *e);
/* -1, from the last result or, when it is NULL, the connection. */
int postgres_error(struct postgres *p, const PGresult *r, const char *doing, struct err *e);
/* Statements without parameters; the last one's result, which the caller clears. NULL on error. */
PGresult *postgres_execute(struct postgres *p, const char *sql, struct err *e);
/* Takes a connection string apart (spec/seeds.md): what libpq does not know are settings of the session. */
int postgres_parse(const char *where, struct postgres *p, struct err *e);
