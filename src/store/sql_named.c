/* sql_named.c - the named layers of REST v1: a tree of names over the layers and images of sql_index.c. */
#include "store/sql.h"

#include "base/cleanup.h"
#include "store/rows.h"

static int read_views(struct sql *s, int64_t id, struct arena *arena, struct named_layer *ret, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_NAMED_VIEWS, "i", id);
    int64_t *views = NULL;
    size_t cap = 0;
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        views = arena_grow(arena, views, ret->view_count, &cap, sizeof *views);
        if (!views)
            return sql_oom(s, e);
        views[ret->view_count++] = sql_int(st, 0);
    }
    ret->views = views;
    return r;
}

/* A row of Q_NAMED_FIND or Q_NAMED_AFTER. */
static int read_named(struct sql *s, struct sql_stmt *st, struct arena *arena, struct named_layer *ret,
                      struct err *e)
{
    *ret = (struct named_layer){
        .id = sql_int(st, 0),
        .name = arena_dup(arena, sql_str(st, 1)),
        .parent = arena_dup(arena, sql_str(st, 2)),
        .parent_chain = arena_dup(arena, sql_str(st, 3)),
        .digest = digest_unpack(sql_str(st, 4), arena),
        .chain = arena_dup(arena, sql_str(st, 5)),
        .namespace = arena_dup(arena, sql_str(st, 6)),
        .engine = (unsigned)sql_int(st, 7),
        .indexer = (unsigned)sql_int(st, 8),
    };
    if (read_views(s, ret->id, arena, ret, e) < 0)
        return -1;
    return arena_failed(arena) ? sql_oom(s, e) : 0;
}

int store_named_find(struct store *store, str name, struct arena *arena, struct named_layer **ret,
                     struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = t ? sql_bind(s, e, Q_NAMED_FIND, "b", name) : NULL;
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    struct named_layer *n = arena_alloc(arena, 1, sizeof *n);
    if (!n)
        return sql_oom(s, e);
    if (read_named(s, st, arena, n, e) < 0)
        return -1;
    *ret = n;
    return 1;
}

int store_named_after(struct store *store, int64_t after, size_t limit, struct arena *arena,
                      struct named_layer **ret, size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct named_layer *list = arena_array(arena, struct named_layer, limit);
    CLEANUP(sql_endp) struct sql *t = list ? sql_begin(s, false, e) : NULL;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = t ? sql_bind(s, e, Q_NAMED_AFTER, "ii", after, (int64_t)limit) : NULL;
    int r = list ? -1 : sql_oom(s, e);
    size_t n = 0;
    for (; st && n < limit && (r = sql_row(s, st, e)) > 0; n++)
        if (read_named(s, st, arena, &list[n], e) < 0)
            return -1;
    *ret = list;
    *ret_count = n;
    return r < 0 ? -1 : 0;
}

static int not_there(const char *what, str name, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "%s " STR_FMT " is not stored", what, STR_ARG(name));
}

static int put_views(struct sql *s, const struct named_layer *l, int64_t id, struct err *e)
{
    if (sql_run(s, e, Q_NAMED_VIEWS_CLEAR, "i", id) < 0)
        return -1;
    for (size_t i = 0; i < l->view_count; i++) {
        if (sql_run(s, e, Q_NAMED_VIEW_ADD, "iii", id, (int64_t)i, l->views[i]) < 0)
            return -1;
        if (!sql_changes(s))
            return not_there("a view of layer", l->name, e);
    }
    return 0;
}

/* The parent as it is now, kept so until the end of the transaction: the layer was made from this one? */
static int check_parent(struct sql *s, const struct named_layer *l, int64_t *parent, struct err *e)
{
    int64_t ancestors;
    *parent = 0;
    if (!l->parent.len)
        return 0;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_NAMED_PARENT, "b", l->parent);
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found < 0 ? -1 : not_there("parent", l->parent, e);
    *parent = sql_int(st, 0);
    if (!str_eq(sql_str(st, 1), l->parent_chain))
        return err_set(e, ERR_BUSY, "parent " STR_FMT " is another one now", STR_ARG(l->parent));
    sql_resetp(&st);
    if (sql_number(s, e, &ancestors, Q_NAMED_DEPTH, "ii", *parent, (int64_t)STORE_CHAIN_MAX + 1) < 0)
        return -1;
    return ancestors > STORE_CHAIN_MAX ? err_set(e, ERR_LIMIT, "more than %u layers below " STR_FMT,
                                                 STORE_CHAIN_MAX, STR_ARG(l->name))
                                       : 0;
}

/* 1: the row is written, 0: it is there as it should be. */
static int put_row(struct sql *s, const struct named_layer *l, int64_t *id, struct err *e)
{
    int64_t layer, parent;
    char room[DIGEST_ROOM];
    int found =
        sql_number(s, e, &layer, Q_LAYER_FIND, "bi", digest_pack(l->digest, room), (int64_t)l->indexer);
    if (found <= 0)
        return found < 0 ? -1 : not_there("content", l->digest, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_NAMED_ID, "b", l->name);
    found = st ? sql_row(s, st, e) : -1;
    if (found < 0)
        return -1;
    *id = found ? sql_int(st, 0) : 0;
    if (found && (l->only_new || (sql_int(st, 1) == l->engine && sql_int(st, 2) == l->indexer)))
        return 0;
    int64_t had = found ? sql_int(st, 3) : 0;
    sql_resetp(&st);
    if (check_parent(s, l, &parent, e) < 0)
        return -1;
    if (found && had != parent)
        return err_set(e, ERR_BUSY, "layer " STR_FMT " has another parent", STR_ARG(l->name));
    if (found)
        return sql_run(s, e, Q_NAMED_REPLACE, "iibbi", *id, layer, l->chain, l->namespace,
                       (int64_t)l->engine) < 0
                   ? -1
                   : 1;
    /* nothing when another transaction has just put the name */
    return sql_number(s, e, id, Q_NAMED_ADD, "biibbi", l->name, parent, layer, l->chain, l->namespace,
                      (int64_t)l->engine);
}

static int named_put(struct sql *s, const struct named_layer *l, struct err *e)
{
    int64_t id = 0;
    CLEANUP(sql_endp) struct sql *t = sql_begin_as(s, SQL_INDEX, e);
    int written = t ? put_row(s, l, &id, e) : -1;
    if (written <= 0)
        return written;
    if (sql_namespace_seen(s, l->namespace, e) < 0)
        return -1;
    return put_views(s, l, id, e) < 0 || sql_commit(&t, e) < 0 ? -1 : 1;
}

int store_named_put(struct store *store, const struct named_layer *layer, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    do
        r = named_put(s, layer, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

/* *gone: a commit that may have gone through deleted it. The layer is locked before what stands on it, as
 * whoever puts a child does. */
static int named_delete(struct sql *s, str name, bool *gone, struct err *e)
{
    int64_t id;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int found = t ? sql_number(s, e, &id, Q_NAMED_ID, "b", name) : -1;
    if (found < 0 || (found && (sql_run(s, e, Q_NAMED_DELETE_VIEWS, "b", name) < 0 ||
                                sql_run(s, e, Q_NAMED_DELETE, "b", name) < 0)))
        return -1;
    *gone |= found;
    return sql_commit(&t, e) < 0 ? -1 : *gone;
}

int store_named_delete(struct store *store, str name, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    bool gone = false;
    int r;
    do
        r = named_delete(s, name, &gone, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

int store_named_chain(struct store *store, str name, struct arena *arena, struct named_link **ret,
                      size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct named_link *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    CLEANUP(sql_resetp)
    struct sql_stmt *st = t ? sql_bind(s, e, Q_NAMED_CHAIN, "bi", name, (int64_t)STORE_CHAIN_MAX + 2) : NULL;
    while (st && (r = sql_row(s, st, e)) > 0) {
        if (n > STORE_CHAIN_MAX)
            return err_set(e, ERR_LIMIT, "more than %u layers on each other", STORE_CHAIN_MAX);
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            return sql_oom(s, e);
        list[n++] = (struct named_link){ arena_dup(arena, sql_str(st, 0)),
                                         digest_unpack(sql_str(st, 1), arena), (unsigned)sql_int(st, 2) };
    }
    if (r < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    for (size_t i = 0; i < n / 2; i++) { /* they came from the layer down to the root */
        struct named_link swap = list[i];
        list[i] = list[n - 1 - i];
        list[n - 1 - i] = swap;
    }
    *ret = list;
    *ret_count = n;
    return 0;
}
