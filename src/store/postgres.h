/*
 * postgres.h - the PostgreSQL driver inside: one connection, its prepared statements, its schema `eclair`.
 *
 * Parameters and results are binary. Settings of the session keep the plans of store_match.c what they are on SQLite: the loops in the
 * order in which they are written, each an index range, prepared once (postgres_open.c says which).
 *
 * Silence    A server whose machine or process hangs keeps its connections open. So nothing here blocks in libpq (postgres_talk.c): with
 *            no progress for a while the connection is given up. Connecting is left to libpq, which gives each address
 *            `connect_timeout` and then goes on to the next one.
 *
 * Records    A statement that gives records (sql.h) gives values that are many of them, one behind the other, which costs both sides half
 *            of what rows cost. The driver takes them apart: to its callers they are rows.
 */
#pragma once
#include <libpq-fe.h>

#include "base/buf.h"
#include "store/sql.h"

#define POSTGRES_PARAMS SQL_FIELDS

#define SIZED(column) "int4send(length(" column ")) || " column /* a field of a record (sql.h) */

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
    PGconn *conn;   /* NULL: given up */
    int64_t response_ms, response_default_ms;
    bool response_set;         /* by the connection string: whatever the session's statement_timeout is */
    bool patient;              /* what runs may rightly be silent for long: without response_ms */
    bool listening;            /* on this connection, for postgres_doze() */
    bool deaf;                 /* it cannot: a standby */
    bool pinging;              /* whoever asks wants to know it soon */
    bool silent;               /* why there is no connection */
    bool foreign;              /* another program's database: no setting of ours, and of whatever version */
    char **keywords, **values; /* for PQconnectdbParams(): NULL at the end */
    struct postgres_stmt statements[QUERIES];
    struct buf bulks[BULKS];
    int64_t changes;
};

struct store *postgres_open(const char *where, enum store_mode mode, struct err *e);
void postgres_close(struct store *s);
int postgres_doze(struct store *s, int timeout_ms, struct err *e); /* as engine.h says */
int postgres_ping(struct store *s, struct err *e);
/* A connection to another program's database, for postgres_query() and its like alone; postgres_close() ends it. */
struct postgres *postgres_attach(const char *where, struct err *e);

struct postgres_parameters {
    Oid types[POSTGRES_PARAMS];
    const char *values[POSTGRES_PARAMS];
    int lengths[POSTGRES_PARAMS], formats[POSTGRES_PARAMS];
    uint64_t numbers[POSTGRES_PARAMS];
    int count;
};

/* ---- talks (postgres_talk.c): as PQexec() and its like, but given up after response_ms without progress ---- */

int64_t postgres_limit_ms(const struct postgres *p); /* how long that is now; -1: patient */
void postgres_give_up(struct postgres *p); /* closes the connection: the next transaction makes it anew */
/* What failed first, else the last result; NULL or a result that failed on error, for postgres_error(). */
PGresult *postgres_query(struct postgres *p, const char *sql);
PGresult *postgres_query_with(struct postgres *p, const char *sql, const struct postgres_parameters *a);
PGresult *postgres_prepare(struct postgres *p, const char *name, const char *sql,
                           const struct postgres_parameters *a);
PGresult *postgres_run(struct postgres *p, const char *name, const struct postgres_parameters *a);
/* Of a COPY that has begun. -1: the connection is lost. */
int postgres_copy_put(struct postgres *p, str bytes);
PGresult *postgres_copy_end(struct postgres *p, const char *problem); /* NULL: none, keep the rows */

/* ---- connecting (postgres_open.c) ---- */

/* A connection with the session's settings; what was prepared is gone. */
int postgres_connect(struct postgres *p, struct err *e);
/* -1, from the last result or, when it is NULL, the connection. */
int postgres_error(struct postgres *p, const PGresult *r, const char *doing, struct err *e);
/* Statements without parameters; the last one's result, which the caller clears. NULL on error. */
PGresult *postgres_execute(struct postgres *p, const char *sql, struct err *e);
/* Takes a connection string apart (spec/seeds.md): what libpq does not know are settings of the session. */
int postgres_parse(const char *where, struct postgres *p, struct err *e);
