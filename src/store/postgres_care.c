/* postgres_care.c - what a server does with our tables by itself, once more on demand. */
#include "store/postgres.h"

#include "base/cleanup.h"

#include <stdlib.h>

static int care_size(struct sql *s, int64_t *ret, struct err *e)
{
    PGresult *r = postgres_execute((struct postgres *)s,
                                   "SELECT coalesce(sum(pg_catalog.pg_total_relation_size(oid)), 0)::bigint"
                                   " FROM pg_catalog.pg_class WHERE relkind = 'r'"
                                   " AND relnamespace = to_regnamespace('eclair')",
                                   e);
    if (!r)
        return -1;
    *ret = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return 0;
}

/* Not VACUUM FULL, which locks everybody out: space inside of the tables is used again, that at their ends goes back. */
static int care_compact(struct sql *s, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    PGresult *r = postgres_execute(
        p,
        "SELECT 'VACUUM ' || string_agg('eclair.' || quote_ident(relname), ', ') FROM pg_catalog.pg_class"
        " WHERE relkind = 'r' AND relnamespace = to_regnamespace('eclair')",
        e);
    CLEANUP(freep) char *sql = r ? strdup(PQgetvalue(r, 0, 0)) : NULL;
    PQclear(r);
    if (!sql)
        return r ? sql_oom(s, e) : -1;
    r = postgres_execute(p, sql, e);
    PQclear(r);
    return r ? 0 : -1;
}

static int care_backup(struct sql *s, const char *path, struct err *e)
{
    (void)path;
    return err_set(e, ERR_UNSUPPORTED,
                   "%s: a server is backed up by its own means: pg_dump --schema=eclair (eclair db export "
                   "makes an SQLite file of it)",
                   s->where);
}

const struct sql_care postgres_care = {
    .size = care_size,
    .compact = care_compact,
    .backup = care_backup,
};
