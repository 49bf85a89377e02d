/* sql_care.c - what people in doubt ask of a database: how large, and smaller please. */
#include "store/sql.h"

int sql_size(struct store *store, int64_t *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    return s->care->size(s, ret, e);
}

int sql_compact(struct store *store, struct err *e)
{
    struct sql *s = (struct sql *)store;
    return sql_writable(s, e) < 0 ? -1 : s->care->compact(s, e);
}
