#include "store/store.h"

#include "store/sql.h"

#include <ctype.h>

/* A connection string of libpq: a URI, or "keyword = value" with a word of letters and "_" before the "=". A
 * path that looks like that is written "./host=x". */
bool store_is_server(const char *place)
{
    str where = str_from(place);
    if (str_starts(where, STR("postgresql://")) || str_starts(where, STR("postgres://")))
        return true;
    str word = str_trim(str_cut(&where, '='));
    if (word.ptr + word.len >= place + strlen(place) || !word.len)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (!isalpha((unsigned char)word.ptr[i]) && word.ptr[i] != '_')
            return false;
    return true;
}

struct store *store_open(const char *where, enum store_mode mode, struct err *e)
{
    return (store_is_server(where) ? &store_postgres : &store_sqlite)->open(where, mode, e);
}

int store_ping(struct store *s, struct err *e) { return s->engine->ping(s, e); }

void store_freep(struct store **s)
{
    if (*s)
        (*s)->engine->close(*s);
    *s = NULL;
}

int64_t store_schema_before(const struct store *s) { return s->schema_before; }
