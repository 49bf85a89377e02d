/* database.c - where the database is, and how a person's command opens it. */
#include "cmd/command.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

int database_place(const char *db, char *ret, size_t size, struct err *e)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (db && !*db)
        return err_set(e, ERR_USAGE, "--db: is empty");
    if (db)
        n = snprintf(ret, size, "%s", db);
    else if (cache && *cache == '/')
        n = snprintf(ret, size, "%s/eclair/eclair.db", cache);
    else if (home && *home == '/')
        n = snprintf(ret, size, "%s/.cache/eclair/eclair.db", home);
    else
        n = snprintf(ret, size, "/var/lib/eclair/eclair.db");
    return n < 0 || (size_t)n >= size ? err_set(e, ERR_USAGE, "--db: too long") : 0;
}

struct store *database_open(const char *place, bool quiet, struct err *e)
{
    struct err first = { 0 };
    struct store *s = store_open(place, STORE_WRITE, &first);
    if (s)
        return s;
    if (first.kind != ERR_READONLY && first.kind != ERR_FULL) {
        *e = first;
        return NULL;
    }
    s = store_open(place, STORE_SCRATCH, e);
    if (s && !quiet)
        warn("%s; the result is not stored", first.text);
    return s;
}
