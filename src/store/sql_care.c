/* sql_care.c - what people in doubt ask of a database: how large it is, smaller please, and a copy. */
#include "store/sql.h"

#include "base/cleanup.h"

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

/* In one view: a backup that others' writing begins again might never end. */
int sql_backup(struct store *store, const char *path, struct err *e)
{
    struct sql *s = (struct sql *)store;
    int64_t generation;
    CLEANUP(sql_endp) struct sql *view = sql_begin(s, false, e);
    /* a view begins with what is read first */
    if (!view || sql_generation(s, &generation, e) < 0 || s->care->backup(s, path, e) < 0)
        return -1;
    return sql_commit(&view, e);
}
