/* clair2.c - a database of Clair 2: recognised and opened. */
#include "store/clair2_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SCHEMA_MIN 6 /* the last migration of Clair 2.0; 2.1 has one more */
#define SQL_MAX    4096

static void clearp(PGresult **r) { PQclear(*r); }

PGresult *clair2_ask(struct clair2 *c, const char *doing, struct err *e, const char *fmt, ...)
{
    char sql[SQL_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof sql) {
        err_set(e, ERR_INTERNAL, "Clair's database: a statement is too long");
        return NULL;
    }
    PGresult *r = c->p->conn ? postgres_query(c->p, sql) : NULL;
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return r;
    postgres_error(c->p, r, doing, e);
    PQclear(r);
    return NULL;
}

/* ---- what is it? ---- */

/* All that is read, and what tells it from other programs' tables. */
#define COLUMNS                                                                                              \
    "('layer_diff_featureversion', 'layer_id'), ('layer_diff_featureversion', 'featureversion_id'),"         \
    "('layer_diff_featureversion', 'modification'), ('layer', 'id'), ('layer', 'name'),"                     \
    "('layer', 'engineversion'), ('layer', 'parent_id'), ('layer', 'namespace_id'), ('namespace', 'id'),"    \
    "('namespace', 'name'), ('feature', 'id'), ('feature', 'namespace_id'), ('feature', 'name'),"            \
    "('featureversion', 'id'), ('featureversion', 'feature_id'), ('featureversion', 'version'),"             \
    "('vulnerability', 'id'), ('vulnerability', 'namespace_id'), ('vulnerability', 'name'),"                 \
    "('vulnerability', 'description'), ('vulnerability', 'link'), ('vulnerability', 'severity'),"            \
    "('vulnerability', 'metadata'), ('vulnerability', 'deleted_at'),"                                        \
    "('vulnerability_fixedin_feature', 'vulnerability_id'), ('vulnerability_fixedin_feature', "              \
    "'feature_id'),"                                                                                         \
    "('vulnerability_fixedin_feature', 'version'), ('vulnerability_notification', 'id'),"                    \
    "('vulnerability_notification', 'name'), ('vulnerability_notification', 'created_at'),"                  \
    "('vulnerability_notification', 'deleted_at'), ('vulnerability_notification', 'old_vulnerability_id'),"  \
    "('vulnerability_notification', 'new_vulnerability_id'), ('keyvalue', 'key')"

/* The first column that is not there. */
#define MISSING                                                                                              \
    "SELECT t || '.' || k FROM (VALUES " COLUMNS ") v(t, k) WHERE NOT EXISTS (SELECT 1 FROM"                 \
    " pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN"                       \
    " pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relname = t AND"  \
    " a.attname = k AND NOT a.attisdropped) LIMIT 1"

#define THERE(table) "to_regclass('public." table "') IS NOT NULL"
#define IS_CLAIR2    THERE("schema_migrations") " AND " THERE("layer_diff_featureversion")

static bool is_true(const PGresult *r, int column) { return PQgetvalue(r, 0, column)[0] == 't'; }

static int unsupported(struct clair2 *c, struct err *e, const char *what)
{
    return err_set(e, ERR_UNSUPPORTED, "%s: %s", c->p->sql.where, what);
}

static int check_version(struct clair2 *c, struct err *e)
{
    CLEANUP(clearp)
    PGresult *r = clair2_ask(c, "read its schema's number", e,
                             "SELECT max(version)::text FROM public.schema_migrations");
    uint64_t version = 0;
    if (!r)
        return -1;
    if (!str_to_u64(str_from(PQgetvalue(r, 0, 0)), &version) || version < SCHEMA_MIN)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: a database of Clair, but too old: its schema is %llu, that of Clair 2.0 is %d: "
                       "start Clair 2.0.9 on it once",
                       c->p->sql.where, (unsigned long long)version, SCHEMA_MIN);
    return 0;
}

static int check_columns(struct clair2 *c, struct err *e)
{
    CLEANUP(clearp) PGresult *r = clair2_ask(c, "look at its tables", e, MISSING);
    if (!r)
        return -1;
    return PQntuples(r) ? err_set(e, ERR_UNSUPPORTED, "%s: no database of Clair 2: public.%s is missing",
                                  c->p->sql.where, PQgetvalue(r, 0, 0))
                        : 0;
}

static int check(struct clair2 *c, struct err *e)
{
    CLEANUP(clearp)
    PGresult *r = clair2_ask(c, "look at its tables", e,
                             "SELECT " IS_CLAIR2 ", " THERE("goose_db_version") ", " THERE("ancestry_layer"));
    if (!r)
        return -1;
    if (is_true(r, 1))
        return unsupported(c, e, "a database of Clair 1, which is too old: start Clair 2.0.9 on it once");
    if (is_true(r, 2))
        return unsupported(c, e, "a database of Clair 3 or its development, which cannot be imported");
    if (!is_true(r, 0))
        return unsupported(c, e,
                           "no database of Clair 2: it has no public.layer_diff_featureversion, or no "
                           "public.schema_migrations");
    return check_version(c, e) < 0 ? -1 : check_columns(c, e);
}

int clair2_is_beside(struct store *s, struct err *e)
{
    if (s->engine != &store_postgres)
        return 0;
    PGresult *r = postgres_execute((struct postgres *)s, "SELECT " IS_CLAIR2, e);
    int found = r ? is_true(r, 0) : -1;
    PQclear(r);
    return found;
}

/* ---- opening ---- */

/* Each statement is a walk along indexes, and small: a planner's guess of how many ancestors there are would have it read whole tables. Whoever
 * waits long between two of them, for what was read is being written elsewhere, is not to be thrown out. */
static const struct {
    int since; /* server version */
    const char *sql;
} settings[] = {
    { 0, "SET client_encoding TO 'UTF8'; SET search_path TO pg_catalog; SET enable_seqscan TO off;"
         "SET enable_hashjoin TO off; SET enable_mergejoin TO off" },
    { 90600, "SET idle_in_transaction_session_timeout TO 0" },
    { 110000, "SET jit TO off" },
    { 0, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" },
};

static int begin(struct clair2 *c, struct err *e)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (PQserverVersion(c->p->conn) < settings[i].since)
            continue;
        PGresult *r = clair2_ask(c, "begin", e, "%s", settings[i].sql);
        PQclear(r);
        if (!r)
            return -1;
    }
    return 0;
}

struct clair2 *clair2_open(const char *where, struct err *e)
{
    CLEANUP(clair2_freep) struct clair2 *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_OOM, "Clair's database: out of memory");
        return NULL;
    }
    if (!(c->p = postgres_attach(where, e)) || begin(c, e) < 0 || check(c, e) < 0)
        return NULL;
    struct clair2 *ret = c;
    c = NULL;
    return ret;
}

void clair2_freep(struct clair2 **c)
{
    if (!*c)
        return;
    if ((*c)->p)
        postgres_close(&(*c)->p->sql.store);
    free(*c);
    *c = NULL;
}
