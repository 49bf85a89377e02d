/* sql_care.c - what people in doubt ask of a database: how large it is, smaller please, and a copy. */
#include "store/sql.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/rows.h"

int store_size(struct store *store, int64_t *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    return s->care->size(s, ret, e);
}

int store_compact(struct store *store, struct err *e)
{
    struct sql *s = (struct sql *)store;
    return sql_writable(s, e) < 0 ? -1 : s->care->compact(s, e);
}

/* In one view: a backup that others' writing begins again might never end. */
int store_backup(struct store *store, const char *path, struct err *e)
{
    struct sql *s = (struct sql *)store;
    int64_t generation;
    CLEANUP(sql_endp) struct sql *view = sql_begin(s, false, e);
    /* a view begins with what is read first */
    if (!view || sql_generation(s, &generation, e) < 0 || s->care->backup(s, path, e) < 0)
        return -1;
    return sql_commit(&view, e);
}

static int read_leases(struct sql *s, struct arena *arena, struct store_condition *ret, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_LEASES, "i", clock_up());
    size_t cap = 0;
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        /* one that ends later than it may is of before the machine started anew */
        if (sql_int(st, 2) <= 0 || sql_int(st, 2) > sql_int(st, 3) || lease_owner_dead(sql_str(st, 1)))
            continue;
        ret->leases = arena_grow(arena, ret->leases, ret->lease_count, &cap, sizeof *ret->leases);
        if (!ret->leases)
            return sql_oom(s, e);
        ret->leases[ret->lease_count++] =
            (struct store_lease){ arena_dup(arena, sql_str(st, 0)), arena_dup(arena, sql_str(st, 1)),
                                  sql_int(st, 2) };
    }
    return r < 0 ? -1 : arena_failed(arena) ? sql_oom(s, e) : 0;
}

int store_condition(struct store *store, struct arena *arena, struct store_condition *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct store_condition n = { 0 };
    CLEANUP(sql_endp) struct sql *view = sql_begin(s, false, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = view ? sql_bind(s, e, Q_CONDITION, "") : NULL;
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1 : err_set(e, ERR_FORMAT, "%s: no generation", s->where);
    n.waiting = sql_int(st, 0);
    n.segments = sql_int(st, 1);
    n.oldest = sql_int(st, 2);
    if (s->care->size(s, &n.bytes, e) < 0 || read_leases(s, arena, &n, e) < 0)
        return -1;
    *ret = n;
    return 0;
}
