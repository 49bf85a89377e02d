/* sql_hit.c - the names that an advisory hits, by age: layers of REST v1 and ancestries. */
#include "store/sql_reverse.h"

#include "base/cleanup.h"

#include <stdlib.h>

#define CANDIDATES_MORE                                                                                      \
    64 /* beside those that are wanted: layers that inherit, images of other repositories */

struct candidate_name {
    int64_t name, image, set;
};

struct page {
    struct affected_name *list;
    size_t count, limit;
};

/* What is asked for: names of one kind. */
struct kind {
    enum query with; /* candidates that have one of some sets */
    enum query name;
    int (*is_meant)(struct reverse *v, struct affected_space *n, const struct candidate_name *c,
                    struct err *e);
};

/* Did the layer itself bring one? Those that add nothing share the image of the one below, and so have none at their own place. */
static int is_introducing(struct reverse *v, struct affected_space *n, const struct candidate_name *c,
                          struct err *e)
{
    int64_t depth = 0;
    if (sql_number(v->s, e, &depth, Q_NAMED_DEPTH, "ii", c->name, (int64_t)STORE_CHAIN_MAX + 1) < 0)
        return -1;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    int64_t *packages;
    size_t count;
    if (!arena)
        return sql_oom(v->s, e);
    if (sql_reverse_packages(v, n, c->image, arena, &packages, &count, e) < 0)
        return -1;
    return sql_image_brought(v->s, c->image, depth - 1, packages, count, e);
}

static int has_one(struct reverse *v, struct affected_space *n, const struct candidate_name *c, struct err *e)
{
    return sql_reverse_hits(v, n, c->image, c->set, e);
}

static const struct kind layers = { Q_NAMED_WITH, Q_NAMED_NAME, is_introducing };
static const struct kind ancestries = { Q_ANCESTRIES_WITH, Q_ANCESTRY_NAME, has_one };

static int judge(struct reverse *v, struct affected_space *n, const struct kind *k,
                 const struct candidate_name *c, struct page *page, struct err *e)
{
    if (page->count && page->list[page->count - 1].id == c->name)
        return 0;
    int is = k->is_meant(v, n, c, e);
    if (is <= 0)
        return is;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(v->s, e, k->name, "i", c->name);
    int found = st ? sql_row(v->s, st, e) : -1;
    if (found > 0)
        page->list[page->count++] =
            (struct affected_name){ .id = c->name, .name = arena_dup(v->arena, sql_str(st, 0)) };
    return found < 0 ? -1 : arena_failed(v->arena) ? sql_oom(v->s, e) : 0;
}

static int find_candidates(struct reverse *v, const struct affected_space *n, const struct kind *k,
                           const int64_t *sets, size_t set_count, int64_t from, struct candidate_name *list,
                           size_t room, size_t *count, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(v->s, e, k->with, "Ibii", sets, set_count, n->name, from, (int64_t)room);
    int r = -1;
    *count = 0;
    while (st && *count < room && (r = sql_row(v->s, st, e)) > 0)
        list[(*count)++] = (struct candidate_name){ sql_int(st, 0), sql_int(st, 1), sql_int(st, 2) };
    return r < 0 ? -1 : 0;
}

/* From `from` on until the page is full; each round begins behind the last name of the one before. */
static int fill(struct reverse *v, struct affected_space *n, const struct kind *k, const int64_t *sets,
                size_t set_count, int64_t from, struct page *page, struct err *e)
{
    size_t room = 2 * page->limit + CANDIDATES_MORE, count = room;
    CLEANUP(freep) struct candidate_name *list = malloc(room * sizeof *list);
    if (!list)
        return sql_oom(v->s, e);
    while (count == room && page->count < page->limit) {
        if (find_candidates(v, n, k, sets, set_count, from, list, room, &count, e) < 0)
            return -1;
        for (size_t i = 0; i < count && page->count < page->limit; i++) {
            if (judge(v, n, k, &list[i], page, e) < 0)
                return -1;
            from = list[i].name + 1; /* its other views say the same of it */
        }
    }
    return page->count == page->limit;
}

/* Those of images of one namespace, from `from` on: 1 there may be more, 0, -1. */
static int names_in(struct reverse *v, struct affected_space *n, const struct kind *k, int64_t from,
                    struct page *page, struct err *e)
{
    CLEANUP(freep) int64_t *sets = NULL;
    size_t set_count = 0;
    int64_t end;
    page->list = arena_array(v->arena, struct affected_name, page->limit + 1);
    if (!page->list)
        return sql_oom(v->s, e);
    if (sql_sets_with(v->s, n->packages, n->count, 0, SIZE_MAX / 64, &sets, &set_count, &end, e) < 0)
        return -1;
    return set_count ? fill(v, n, k, sets, set_count, from, page, e) : 0;
}

/* Two pages into one: each is whole up to its last name, or has all. True: something is left. */
static bool merge(struct page *into, const struct page *more, struct affected_name *room)
{
    size_t a = 0, b = 0, n = 0;
    while (n < into->limit && (a < into->count || b < more->count)) {
        const struct affected_name *x = a < into->count ? &into->list[a] : NULL;
        const struct affected_name *y = b < more->count ? &more->list[b] : NULL;
        bool first = x && (!y || x->id <= y->id);
        room[n++] = first ? *x : *y;
        b += y && (!first || x->id == y->id); /* a layer with views of both */
        a += first;
    }
    bool left = a < into->count || b < more->count;
    into->list = room;
    into->count = n;
    return left;
}

static int names(struct store *store, const struct kind *k, int64_t advisory, str namespace, int64_t from,
                 size_t limit, struct arena *arena, struct affected_name **ret, size_t *ret_count,
                 struct err *e)
{
    struct reverse v = { .s = (struct sql *)store, .arena = arena, .only = namespace };
    struct page page = { .limit = limit };
    bool more = false;
    CLEANUP(sql_endp) struct sql *t = sql_begin(v.s, false, e);
    *ret = NULL, *ret_count = 0;
    int known = t ? sql_reverse_read(&v, advisory, e) : -1;
    if (known <= 0)
        return known < 0 ? -1
                         : err_set(e, ERR_NOT_FOUND, "%s: no advisory %lld", v.s->where, (long long)advisory);
    if (!v.spaces || !limit)
        return v.spaces && !limit;
    for (struct affected_space *n = v.spaces; n; n = n->next) {
        struct page one = { .limit = limit };
        struct affected_name *room = arena_array(arena, struct affected_name, limit + 1);
        int r = room ? names_in(&v, n, k, from, &one, e) : sql_oom(v.s, e);
        if (r < 0)
            return -1;
        more |= r > 0;
        more |= merge(&page, &one, room);
    }
    *ret = page.list;
    *ret_count = page.count;
    return sql_commit(&t, e) < 0 ? -1 : more;
}

int store_introducing(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                      struct arena *arena, struct affected_name **ret, size_t *ret_count, struct err *e)
{
    return names(s, &layers, advisory, namespace, from, limit, arena, ret, ret_count, e);
}

int store_affected_ancestries(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                              struct arena *arena, struct affected_name **ret, size_t *ret_count,
                              struct err *e)
{
    return names(s, &ancestries, advisory, namespace, from, limit, arena, ret, ret_count, e);
}
