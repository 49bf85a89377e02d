/* sql_walk.c - all that is stored, page by page. */
#include "store/sql.h"

#include "base/cleanup.h"
#include "store/rows.h"

static int contents_after(struct sql *s, enum query q, int64_t after, size_t limit, struct arena *arena,
                          struct stored_content **ret, size_t *ret_count, struct err *e)
{
    struct stored_content *list = arena_array(arena, struct stored_content, limit);
    CLEANUP(sql_endp) struct sql *t = list ? sql_begin(s, false, e) : NULL;
    CLEANUP(sql_resetp) struct sql_stmt *st = t ? sql_bind(s, e, q, "ii", after, (int64_t)limit) : NULL;
    int r = list ? -1 : sql_oom(s, e);
    size_t n = 0;
    for (; st && (r = sql_row(s, st, e)) > 0 && n < limit; n++)
        list[n] = (struct stored_content){ sql_int(st, 0), digest_unpack(sql_str(st, 1), arena),
                                           (unsigned)sql_int(st, 2) };
    if (r < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = list;
    *ret_count = n;
    return 0;
}

int store_layers_after(struct store *store, int64_t after, size_t limit, struct arena *arena,
                       struct stored_content **ret, size_t *ret_count, struct err *e)
{
    return contents_after((struct sql *)store, Q_LAYERS_AFTER, after, limit, arena, ret, ret_count, e);
}

int store_images_after(struct store *store, int64_t after, size_t limit, struct arena *arena,
                       struct stored_content **ret, size_t *ret_count, struct err *e)
{
    return contents_after((struct sql *)store, Q_IMAGES_AFTER, after, limit, arena, ret, ret_count, e);
}

int store_documents(struct store *store, str feed, struct arena *arena, struct stored_document **ret,
                    size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct stored_document *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_DOCUMENTS, "t", feed);
    while (st && (r = sql_row(s, st, e)) > 0) {
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            return sql_oom(s, e);
        list[n++] = (struct stored_document){ sql_int(st, 0), arena_dup(arena, sql_str(st, 1)),
                                              arena_dup(arena, sql_str(st, 2)) };
    }
    if (r < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = list;
    *ret_count = n;
    return 0;
}

int store_values_after(struct store *store, str after, size_t limit, struct arena *arena,
                       struct stored_value **ret, size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct stored_value *list = arena_array(arena, struct stored_value, limit);
    size_t n = 0;
    if (!list)
        return sql_oom(s, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_VALUES_AFTER, "ti", after, (int64_t)limit);
    int r = -1;
    for (; st && (r = sql_row(s, st, e)) > 0 && n < limit; n++)
        list[n] = (struct stored_value){ arena_dup(arena, sql_str(st, 0)), arena_dup(arena, sql_str(st, 1)) };
    if (r < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = list;
    *ret_count = n;
    return 0;
}
