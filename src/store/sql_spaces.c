/* sql_spaces.c - whose ranges count for an image: of which namespaces, and of which repositories. */
#include "store/sql_match.h"

#include "base/cleanup.h"
#include "model/cpe.h"
#include "store/metadata.h"

/* ---- namespaces ---- */

int sql_space_find(struct sql *s, str name, struct arena *arena, struct sql_space *ret, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_NAMESPACE_FIND, "b", name);
    int r = st ? sql_row(s, st, e) : -1;
    if (r > 0)
        *ret = (struct sql_space){ .id = sql_int(st, 0),
                                   .name = name,
                                   .scheme = arena_dup(arena, sql_str(st, 1)),
                                   .kinds = sql_int(st, 2) };
    return r < 0 ? -1 : arena_failed(arena) ? sql_oom(s, e) : r;
}

/* Does a feed speak of it, not clients alone? 1, 0, -1. */
static int is_fed(struct sql *s, int64_t namespace, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_MATCH_FEEDS, "i", namespace);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0)
        if (!str_eq(sql_str(st, 1), STORE_MANUAL))
            return 1;
    return r;
}

int sql_spaces_of(struct sql *s, str namespace, struct arena *arena, struct sql_space ret[SQL_SPACES],
                  size_t *ret_count, str *ret_data, struct err *e)
{
    bool instead = false;
    size_t n = 0;
    int found = namespace.len ? sql_space_find(s, namespace, arena, &ret[n], e) : 0;
    str data = distribution_data(arena, namespace, &instead);
    *ret_data = namespace;
    if (found < 0)
        return -1;
    n += (size_t)found;
    if (data.len && instead && found) {
        int fed = is_fed(s, ret[0].id, e);
        if (fed < 0)
            return -1;
        data = fed ? STR("") : data;
    }
    if (data.len) {
        found = sql_space_find(s, data, arena, &ret[n], e);
        if (found < 0)
            return -1;
        bool same = found && (!n || !ret[0].scheme.len || str_eq(ret[0].scheme, ret[n].scheme));
        n += same;
        if (same && instead)
            *ret_data = data;
    }
    *ret_count = n;
    return arena_failed(arena) ? sql_oom(s, e) : 0;
}

/* ---- repositories ---- */

static int add_cpes(struct sql *s, struct sql_cpes *c, size_t *cap, str packed, struct err *e)
{
    struct metadata_room room;
    struct metadata meta;
    if (!metadata_unpack(packed, &room, &meta))
        return err_set(e, ERR_FORMAT, "%s: damaged metadata of a repository", s->where);
    for (size_t i = 0; i < meta.cpe_count; i++) {
        c->list = arena_grow(c->arena, c->list, c->count, cap, sizeof *c->list);
        if (!c->list)
            return sql_oom(s, e);
        c->list[c->count++] = arena_dup(c->arena, meta.cpes[i]);
    }
    return arena_failed(c->arena) ? sql_oom(s, e) : 0;
}

static int read_cpes(struct sql *s, const struct sql_pair *repositories, size_t count, int64_t generation,
                     struct sql_cpes *c, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_METADATA, "Pi", repositories, count, generation);
    size_t cap = 0;
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0)
        if (add_cpes(s, c, &cap, sql_str(st, 10), e) < 0)
            return -1;
    return r;
}

int sql_cpes_of(struct sql *s, const struct image_fact *facts, size_t fact_count, str data,
                int64_t generation, struct arena *arena, struct sql_cpes *ret, struct err *e)
{
    size_t count = 0;
    struct sql_pair *repositories = fact_count ? arena_array(arena, struct sql_pair, fact_count) : NULL;
    ret->arena = arena;
    for (size_t i = 0; repositories && i < fact_count; i++)
        if (str_eq(facts[i].fact.name, STR("content-set")))
            repositories[count++].name = facts[i].fact.value;
    count = sql_pairs_unique(repositories, count);
    if (count && read_cpes(s, repositories, count, generation, ret, e) < 0)
        return -1;
    if (!ret->count)
        ret->count = cpe_defaults(data, arena, &ret->list);
    return arena_failed(arena) ? sql_oom(s, e) : 0;
}

int sql_cpe_applies(struct sql_cpes *c, str cpe)
{
    const uintptr_t yes = 1, no = 2;
    if (!cpe.len || !c->count)
        return !cpe.len;
    void *known = strmap_get(&c->judged, cpe);
    if (known)
        return (uintptr_t)known == yes;
    bool covers = false;
    for (size_t i = 0; i < c->count && !covers; i++)
        covers = cpe_covers(cpe, c->list[i]);
    str key = arena_dup(c->arena, cpe);
    void **at = key.ptr ? strmap_at(&c->judged, key) : NULL;
    if (!at)
        return -1;
    *at = (void *)(covers ? yes : no);
    return covers;
}

void sql_cpes_done(struct sql_cpes *c) { strmap_done(&c->judged); }
