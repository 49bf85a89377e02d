/* sql_reverse.c - who is hit: from an advisory over the packages that its ranges mean to the images that have them. */
#include "store/sql_posting.h"

#include "base/cleanup.h"
#include "store/rows.h"
#include "store/sql_update.h"

#include <stdlib.h>

#define SETS_AT_LEAST 256 /* whose images one statement gives; a page may need the first few of many sets */

/* What an advisory affects in one namespace. */
struct affected_space {
    struct affected_space *next; /* by number */
    int64_t id;
    str name, scheme;
    int64_t *packages; /* ascending, each once */
    size_t count, cap;
};

struct reverse {
    struct sql *s;
    struct arena *arena;
    str only; /* the namespace that is wanted; empty: all */
    struct stored_advisory stored;
    struct affected_space *spaces;
};

static int space_of(struct reverse *v, const struct affected_range *r, struct affected_space **ret,
                    struct err *e)
{
    int64_t id;
    int found = sql_number(v->s, e, &id, Q_NAMESPACE_FIND, "b", r->namespace);
    if (found <= 0)
        return found < 0 ? -1
                         : err_set(e, ERR_FORMAT, "%s: a namespace of " STR_FMT " is missing", v->s->where,
                                   STR_ARG(v->stored.advisory.key));
    struct affected_space **at = &v->spaces;
    while (*at && (*at)->id < id)
        at = &(*at)->next;
    if (!*at || (*at)->id != id) {
        struct affected_space *n = arena_alloc(v->arena, 1, sizeof *n);
        if (!n)
            return sql_oom(v->s, e);
        *n = (struct affected_space){ .next = *at, .id = id, .name = r->namespace, .scheme = r->scheme };
        *at = n;
    }
    *ret = *at;
    return 0;
}

struct bounds {
    str introduced, fixed, arch, module;
};

/* A package whose version has no key is below every fix; only a statement on all versions holds for it. */
static bool within(const struct bounds *b, str key, str arch, str module)
{
    return (!b->arch.len || str_eq(b->arch, arch)) && str_eq(b->module, module) &&
           (!key.len || str_cmp(b->introduced, key) <= 0) && str_cmp(key, b->fixed) < 0;
}

static bool denies(const struct bounds *b, str key, str arch, str module)
{
    bool all = str_eq(b->fixed, version_key_max()) && !b->introduced.len;
    return within(b, key, arch, module) && (key.len || all);
}

/* "Not affected" of the same id by a feed whose word counts as much. */
static int read_denials(struct reverse *v, int64_t namespace, const struct affected_range *r,
                        struct bounds **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(v->s, e, Q_NEGATIVES_OF, "ibibi", namespace, r->package, (int64_t)r->kind,
                                   v->stored.advisory.id, (int64_t)v->stored.rank);
    size_t cap = 0;
    int found = -1;
    while (st && (found = sql_row(v->s, st, e)) > 0) {
        *ret = arena_grow(v->arena, *ret, *ret_count, &cap, sizeof **ret);
        if (!*ret)
            return sql_oom(v->s, e);
        (*ret)[(*ret_count)++] =
            (struct bounds){ arena_dup(v->arena, sql_str(st, 0)), arena_dup(v->arena, sql_str(st, 1)),
                             arena_dup(v->arena, sql_str(st, 2)), arena_dup(v->arena, sql_str(st, 3)) };
    }
    return found < 0 ? -1 : arena_failed(v->arena) ? sql_oom(v->s, e) : 0;
}

static int add_packages(struct reverse *v, struct affected_space *n, const struct affected_range *r,
                        const struct bounds *b, struct err *e)
{
    struct bounds *denials = NULL;
    size_t denial_count = 0;
    if (read_denials(v, n->id, r, &denials, &denial_count, e) < 0)
        return -1;
    enum query q = r->kind == AFFECTS_SOURCE ? Q_PACKAGES_OF_SOURCE : Q_PACKAGES_OF_NAME;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(v->s, e, q, "bbb", r->package, b->fixed, n->scheme);
    int found = -1;
    while (st && (found = sql_row(v->s, st, e)) > 0) {
        str key = sql_str(st, 1), arch = sql_str(st, 2), module = sql_str(st, 3);
        bool denied = !within(b, key, arch, module);
        for (size_t i = 0; i < denial_count && !denied; i++)
            denied = denies(&denials[i], key, arch, module);
        if (denied)
            continue;
        n->packages = arena_grow(v->arena, n->packages, n->count, &n->cap, sizeof *n->packages);
        if (!n->packages)
            return sql_oom(v->s, e);
        n->packages[n->count++] = sql_int(st, 0);
    }
    return found;
}

static int add_range(struct reverse *v, const struct affected_range *r, struct err *e)
{
    struct affected_space *n = NULL;
    struct range_keys keys;
    if (r->negative || (v->only.len && !str_eq(r->namespace, v->only)))
        return 0;
    if (space_of(v, r, &n, e) < 0)
        return -1;
    range_keys(r, version_scheme_by_name(r->scheme), &keys);
    const struct bounds b = {
        .introduced = keys.introduced, .fixed = keys.fixed, .arch = r->arch, .module = r->module
    };
    return add_packages(v, n, r, &b, e);
}

/* 1, 0 unknown, -1. */
static int read_advisory(struct reverse *v, int64_t id, struct err *e)
{
    int found = sql_advisory_read(v->s, id, v->arena, &v->stored, e);
    const struct advisory *a = &v->stored.advisory;
    for (size_t i = 0; found > 0 && i < a->range_count; i++)
        if (add_range(v, &a->ranges[i], e) < 0)
            return -1;
    for (struct affected_space *n = v->spaces; n; n = n->next)
        n->count = numbers_sort(n->packages, n->count);
    return found;
}

struct page {
    struct affected_image *list;
    size_t count, cap, limit;
};

static int add_images(struct reverse *v, const struct affected_space *n, const int64_t *sets, size_t count,
                      struct affected_cursor *at, struct page *page, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(v->s, e, Q_IMAGES_WITH, "Ibiiii", sets, count, n->name, at->set,
                                   at->distribution, at->image, (int64_t)(page->limit - page->count));
    int r = -1;
    while (st && (r = sql_row(v->s, st, e)) > 0) {
        page->list = arena_grow(v->arena, page->list, page->count, &page->cap, sizeof *page->list);
        if (!page->list)
            return sql_oom(v->s, e);
        at->set = sql_int(st, 0);
        at->distribution = sql_int(st, 1);
        at->image = sql_int(st, 2);
        page->list[page->count++] =
            (struct affected_image){ .id = at->image,
                                     .digest = digest_unpack(sql_str(st, 3), v->arena),
                                     .indexer = (unsigned)sql_int(st, 4),
                                     .namespace = n->name };
    }
    return r < 0 ? -1 : arena_failed(v->arena) ? sql_oom(v->s, e) : 0;
}

/* The images of one namespace, up to the end or a full page. */
static int fill(struct reverse *v, const struct affected_space *n, struct affected_cursor *at,
                struct page *page, struct err *e)
{
    int64_t ignored;
    int used = sql_number(v->s, e, &ignored, Q_SPACE_USED, "b", n->name);
    if (used <= 0)
        return used;
    while (page->count < page->limit) {
        int64_t *sets, end;
        size_t count;
        int64_t after = at->image ? at->set - 1 : at->set; /* a set may have more images than a page */
        if (sql_sets_with(v->s, n->packages, n->count, after, page->limit - page->count, &sets, &count, &end,
                          e) < 0)
            return -1;
        int r = 0;
        for (size_t i = 0, some; i < count && r == 0 && page->count < page->limit; i += some) {
            size_t most = page->limit > SETS_AT_LEAST ? page->limit : SETS_AT_LEAST;
            some = count - i < most ? count - i : most;
            r = add_images(v, n, sets + i, some, at, page, e);
        }
        free(sets);
        if (r < 0)
            return -1;
        if (page->count == page->limit)
            return 0;
        *at = (struct affected_cursor){ .namespace = n->id, .set = end };
        if (end == INT64_MAX)
            return 0;
    }
    return 0;
}

int store_affected(struct store *store, int64_t advisory, struct affected_cursor *cursor, size_t limit,
                   struct arena *arena, struct affected_image **ret, size_t *ret_count, struct err *e)
{
    struct reverse v = { .s = (struct sql *)store, .arena = arena };
    struct page page = { .limit = limit };
    CLEANUP(sql_endp) struct sql *t = sql_begin(v.s, false, e);
    *ret = NULL, *ret_count = 0;
    int known = t ? read_advisory(&v, advisory, e) : -1;
    if (known <= 0)
        return known < 0 ? -1
                         : err_set(e, ERR_NOT_FOUND, "%s: no advisory %lld", v.s->where, (long long)advisory);
    const struct affected_space *n = v.spaces;
    while (n && n->id < cursor->namespace)
        n = n->next;
    for (; n && page.count < limit; n = n->next) {
        if (n->id != cursor->namespace)
            *cursor = (struct affected_cursor){ .namespace = n->id };
        if (fill(&v, n, cursor, &page, e) < 0)
            return -1;
    }
    *ret = page.list;
    *ret_count = page.count;
    return sql_commit(&t, e) < 0 ? -1 : page.count == limit;
}

/* ---- REST v1's layers ---- */

#define CANDIDATES_MORE 64 /* of layers that inherit, beside those that are wanted */

struct candidate_layer {
    int64_t named, image;
};

struct introducing {
    struct introducing_layer *list;
    size_t count, limit;
};

static int judge_layer(struct reverse *v, const struct affected_space *n, const struct candidate_layer *c,
                       struct introducing *page, struct err *e)
{
    if (page->count && page->list[page->count - 1].id == c->named)
        return 0;
    int64_t depth = 0; /* layers that add nothing share the image of the one below */
    if (sql_number(v->s, e, &depth, Q_NAMED_DEPTH, "ii", c->named, (int64_t)STORE_CHAIN_MAX + 1) < 0)
        return -1;
    int is = sql_image_brought(v->s, c->image, depth - 1, n->packages, n->count, e);
    if (is <= 0)
        return is;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(v->s, e, Q_NAMED_NAME, "i", c->named);
    int found = st ? sql_row(v->s, st, e) : -1;
    if (found > 0)
        page->list[page->count++] =
            (struct introducing_layer){ .id = c->named, .name = arena_dup(v->arena, sql_str(st, 0)) };
    return found < 0 ? -1 : arena_failed(v->arena) ? sql_oom(v->s, e) : 0;
}

static int find_candidates(struct reverse *v, const struct affected_space *n, const int64_t *sets,
                           size_t set_count, int64_t from, struct candidate_layer *list, size_t room,
                           size_t *count, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(v->s, e, Q_NAMED_WITH, "Ibii", sets, set_count, n->name, from, (int64_t)room);
    int r = -1;
    *count = 0;
    while (st && *count < room && (r = sql_row(v->s, st, e)) > 0)
        list[(*count)++] = (struct candidate_layer){ sql_int(st, 0), sql_int(st, 1) };
    return r < 0 ? -1 : 0;
}

/* From `from` on until the page is full; each round begins behind the last layer of the one before. */
static int fill_introducing(struct reverse *v, const struct affected_space *n, const int64_t *sets,
                            size_t set_count, int64_t from, struct introducing *page, struct err *e)
{
    size_t room = 2 * page->limit + CANDIDATES_MORE, count = room;
    CLEANUP(freep) struct candidate_layer *list = malloc(room * sizeof *list);
    if (!list)
        return sql_oom(v->s, e);
    while (count == room && page->count < page->limit) {
        if (find_candidates(v, n, sets, set_count, from, list, room, &count, e) < 0)
            return -1;
        for (size_t i = 0; i < count && page->count < page->limit; i++) {
            if (judge_layer(v, n, &list[i], page, e) < 0)
                return -1;
            from = list[i].named + 1; /* its other views say the same of it */
        }
    }
    return page->count == page->limit;
}

int store_introducing(struct store *store, int64_t advisory, str namespace, int64_t from, size_t limit,
                      struct arena *arena, struct introducing_layer **ret, size_t *ret_count, struct err *e)
{
    struct reverse v = { .s = (struct sql *)store, .arena = arena, .only = namespace };
    struct introducing page = { .limit = limit };
    CLEANUP(freep) int64_t *sets = NULL;
    size_t set_count = 0;
    int64_t end;
    CLEANUP(sql_endp) struct sql *t = sql_begin(v.s, false, e);
    *ret = NULL, *ret_count = 0;
    int known = t ? read_advisory(&v, advisory, e) : -1;
    if (known <= 0)
        return known < 0 ? -1
                         : err_set(e, ERR_NOT_FOUND, "%s: no advisory %lld", v.s->where, (long long)advisory);
    const struct affected_space *n = v.spaces; /* there is but one */
    if (!n || !limit)
        return n && !limit;
    page.list = arena_array(arena, struct introducing_layer, limit + 1);
    if (!page.list)
        return sql_oom(v.s, e);
    if (sql_sets_with(v.s, n->packages, n->count, 0, SIZE_MAX / 64, &sets, &set_count, &end, e) < 0)
        return -1;
    int more = set_count ? fill_introducing(&v, n, sets, set_count, from, &page, e) : 0;
    *ret = page.list;
    *ret_count = page.count;
    return more < 0 || sql_commit(&t, e) < 0 ? -1 : more;
}
