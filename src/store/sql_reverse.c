/* sql_reverse.c - who is hit: from an advisory over the packages that its ranges mean to the images that have them. */
#include "store/sql_reverse.h"

#include "base/cleanup.h"
#include "store/rows.h"
#include "store/sql_update.h"

#include <stdlib.h>

#define SETS_AT_LEAST 256 /* whose images one statement gives; a page may need the first few of many sets */

struct of_package { /* what a row of Q_PACKAGES_OF_* says beside its number */
    str key, arch, module, version;
    uint64_t feature;
    bool unlabelled;
};

/* NULL in *ret: it was never seen, no image is of it. */
static int space_of(struct reverse *v, str name, struct affected_space **ret, struct err *e)
{
    struct affected_space made = { .name = name };
    if (sql_spaces_of(v->s, name, v->arena, made.spaces, &made.space_count, &made.data, e) < 0)
        return -1;
    *ret = NULL;
    if (!made.space_count || !str_eq(made.spaces[0].name, name))
        return 0;
    made.id = made.spaces[0].id;
    struct affected_space **at = &v->spaces;
    while (*at && (*at)->id < made.id)
        at = &(*at)->next;
    if (!*at || (*at)->id != made.id) {
        struct affected_space *n = arena_alloc(v->arena, 1, sizeof *n);
        if (!n)
            return sql_oom(v->s, e);
        made.next = *at;
        *n = made;
        *at = n;
    }
    *ret = *at;
    return 0;
}

static bool is_judged_by(const struct affected_space *n, str namespace)
{
    for (size_t i = 0; i < n->space_count; i++)
        if (str_eq(n->spaces[i].name, namespace))
            return true;
    return false;
}

/* A package whose version has no key is below every fix; only a statement on all versions holds for it. */
static bool within(const struct bounds *b, const struct of_package *p)
{
    return (!b->arch.len || str_eq(b->arch, p->arch)) &&
           module_fits(b->module, p->module, p->version, p->unlabelled) &&
           (!p->key.len || str_cmp(b->introduced, p->key) <= 0) && str_cmp(p->key, b->fixed) < 0;
}

static bool denies(const struct bounds *b, const struct of_package *p)
{
    bool all = str_eq(b->fixed, version_key_max()) && !b->introduced.len;
    return within(b, p) && (p->key.len || all);
}

/* "Not affected" of the same id by a feed whose word counts as much. */
static int read_denials(struct reverse *v, int64_t namespace, const struct affected_range *r,
                        struct bounds **ret, size_t *ret_count, size_t *cap, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(v->s, e, Q_NEGATIVES_OF, "ibibi", namespace, r->package, (int64_t)r->kind,
                                   v->stored.advisory.id, (int64_t)v->stored.rank);
    int found = -1;
    while (st && (found = sql_row(v->s, st, e)) > 0) {
        *ret = arena_grow(v->arena, *ret, *ret_count, cap, sizeof **ret);
        if (!*ret)
            return sql_oom(v->s, e);
        struct bounds *b = &(*ret)[(*ret_count)++];
        *b = (struct bounds){ .introduced = arena_dup(v->arena, sql_str(st, 0)),
                              .fixed = arena_dup(v->arena, sql_str(st, 1)),
                              .arch = arena_dup(v->arena, sql_str(st, 2)) };
        qualifiers_unpack(arena_dup(v->arena, sql_str(st, 3)), &b->module, &b->cpe);
    }
    return found < 0 ? -1 : arena_failed(v->arena) ? sql_oom(v->s, e) : 0;
}

/* A package of the range's versions: it is affected, unless all images of it are denied. */
static int add_package(struct reverse *v, struct affected_space *n, int64_t id, const struct of_package *p,
                       const struct affected_range *r, const struct bounds *denials, size_t denial_count,
                       struct err *e)
{
    struct affected_package one = { .id = id, .feature = p->feature, .cpe = r->cpe };
    size_t cap = 0;
    struct bounds *some = NULL;
    for (size_t i = 0; i < denial_count; i++) {
        if (!denies(&denials[i], p))
            continue;
        if (!denials[i].cpe.len)
            return 0;
        some = arena_grow(v->arena, some, one.denial_count, &cap, sizeof *some);
        if (!some)
            return sql_oom(v->s, e);
        some[one.denial_count++] = denials[i];
    }
    one.denials = some;
    n->list = arena_grow(v->arena, n->list, n->list_count, &n->cap, sizeof *n->list);
    if (!n->list)
        return sql_oom(v->s, e);
    n->list[n->list_count++] = one;
    n->depends |= one.cpe.len || one.denial_count;
    return 0;
}

/* `st`: a row of Q_PACKAGES_OF_*. */
static uint64_t feature_of(struct sql_stmt *st, str kind)
{
    const struct package p = { .kind = kind,
                               .version = sql_str(st, 4),
                               .name = sql_str(st, 5),
                               .source = sql_str(st, 6),
                               .source_version = sql_str(st, 7) };
    str name, version;
    package_feature(&p, &name, &version);
    return str_hash(name, str_hash(version, str_hash(kind, 0)));
}

static int add_packages(struct reverse *v, struct affected_space *n, const struct affected_range *r,
                        const struct bounds *b, struct err *e)
{
    struct bounds *denials = NULL;
    size_t denial_count = 0, cap = 0;
    for (size_t i = 0; i < n->space_count; i++)
        if (read_denials(v, n->spaces[i].id, r, &denials, &denial_count, &cap, e) < 0)
            return -1;
    enum query q = r->kind == AFFECTS_SOURCE ? Q_PACKAGES_OF_SOURCE : Q_PACKAGES_OF_NAME;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(v->s, e, q, "bbb", r->package, b->fixed, r->scheme);
    int found = -1;
    while (st && (found = sql_row(v->s, st, e)) > 0) {
        const struct of_package p = { .key = sql_str(st, 1),
                                      .arch = sql_str(st, 2),
                                      .module = sql_str(st, 3),
                                      .version = sql_str(st, 4),
                                      .feature = feature_of(st, r->scheme),
                                      .unlabelled = distribution_unlabelled(n->data) };
        if (within(b, &p) && add_package(v, n, sql_int(st, 0), &p, r, denials, denial_count, e) < 0)
            return -1;
    }
    return found;
}

/* In images of its namespace, and of the one that it serves. */
static int add_range(struct reverse *v, const struct affected_range *r, struct err *e)
{
    struct range_keys keys;
    bool ignored;
    if (r->negative || (v->only.len && !str_eq(r->namespace, v->only)))
        return 0;
    range_keys(r, version_scheme_by_name(r->scheme), &keys);
    const struct bounds b = {
        .introduced = keys.introduced, .fixed = keys.fixed, .arch = r->arch, .module = r->module
    };
    const str names[] = { r->namespace, distribution_served(v->arena, r->namespace, &ignored) };
    for (size_t i = 0; i < 2 && names[i].len; i++) {
        struct affected_space *n;
        if (space_of(v, names[i], &n, e) < 0)
            return -1;
        if (!n && !i)
            return err_set(e, ERR_FORMAT, "%s: a namespace of " STR_FMT " is missing", v->s->where,
                           STR_ARG(v->stored.advisory.key));
        if (n && is_judged_by(n, r->namespace) && add_packages(v, n, r, &b, e) < 0)
            return -1;
    }
    return arena_failed(v->arena) ? sql_oom(v->s, e) : 0;
}

static int by_package_id(const void *pa, const void *pb)
{
    return number_order(&((const struct affected_package *)pa)->id,
                        &((const struct affected_package *)pb)->id);
}

static int list_packages(struct reverse *v, struct affected_space *n, struct err *e)
{
    n->packages = arena_array(v->arena, int64_t, n->list_count + 1);
    n->features = arena_array(v->arena, uint64_t, n->list_count + 1);
    if (!n->packages || !n->features)
        return sql_oom(v->s, e);
    if (n->list_count)
        qsort(n->list, n->list_count, sizeof *n->list, by_package_id);
    for (size_t i = 0; i < n->list_count; i++) {
        if (i && n->list[i].id == n->list[i - 1].id)
            continue;
        n->features[n->count] = n->list[i].feature;
        n->packages[n->count++] = n->list[i].id;
    }
    return 0;
}

/* 1, 0 unknown, -1. */
int sql_reverse_read(struct reverse *v, int64_t id, struct err *e)
{
    if (sql_state(v->s, &v->generation, &v->metadata, e) < 0)
        return -1;
    int found = sql_advisory_read(v->s, id, v->arena, &v->stored, e);
    const struct advisory *a = &v->stored.advisory;
    for (size_t i = 0; found > 0 && i < a->range_count; i++)
        if (add_range(v, &a->ranges[i], e) < 0)
            return -1;
    for (struct affected_space *n = v->spaces; n; n = n->next)
        if (list_packages(v, n, e) < 0)
            return -1;
    return found;
}

/* ---- the repositories of an image ---- */

static int counts_for(struct sql_cpes *c, const struct affected_package *p)
{
    int r = sql_cpe_applies(c, p->cpe);
    for (size_t i = 0; r > 0 && i < p->denial_count; i++) {
        int denied = sql_cpe_applies(c, p->denials[i].cpe);
        r = denied < 0 ? -1 : !denied;
    }
    return r;
}

static int choose(struct reverse *v, const struct affected_space *n, const struct image_fact *facts,
                  size_t fact_count, struct arena *arena, int64_t **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(sql_cpes_done) struct sql_cpes cpes = { 0 };
    size_t kept = 0;
    *ret = arena_array(arena, int64_t, n->list_count + 1);
    if (!*ret)
        return sql_oom(v->s, e);
    if (sql_cpes_of(v->s, facts, v->metadata ? fact_count : 0, n->data, v->generation, arena, &cpes, e) < 0)
        return -1;
    for (size_t i = 0; i < n->list_count; i++) {
        int counts = counts_for(&cpes, &n->list[i]);
        if (counts < 0)
            return sql_oom(v->s, e);
        if (counts)
            (*ret)[kept++] = n->list[i].id;
    }
    *ret_count = numbers_sort(*ret, kept);
    return 0;
}

/* Of the packages those that are affected in that image. */
int sql_reverse_packages(struct reverse *v, struct affected_space *n, int64_t image, struct arena *arena,
                         int64_t **ret, size_t *ret_count, struct err *e)
{
    const struct image_fact *facts = NULL;
    size_t fact_count = 0;
    *ret = n->packages;
    *ret_count = n->count;
    if (!n->depends)
        return 0;
    if (sql_image_facts(v->s, image, arena, &facts, &fact_count, e) < 0)
        return -1;
    if (fact_count)
        return choose(v, n, facts, fact_count, arena, ret, ret_count, e);
    if (!n->usual && choose(v, n, NULL, 0, v->arena, &n->usual, &n->usual_count, e) < 0)
        return -1;
    *ret = n->usual;
    *ret_count = n->usual_count;
    return 0;
}

/* The set has one of n->packages. 1, 0, -1. */
int sql_reverse_hits(struct reverse *v, struct affected_space *n, int64_t image, int64_t set, struct err *e)
{
    if (!n->depends)
        return 1;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    int64_t *packages;
    size_t count;
    if (!arena)
        return sql_oom(v->s, e);
    if (sql_reverse_packages(v, n, image, arena, &packages, &count, e) < 0)
        return -1;
    return sql_set_has(v->s, set, packages, count, e);
}

/* ---- images ---- */

struct page {
    struct affected_image *list;
    size_t count, cap, limit;
};

/* One statement's worth of them; *ret_rows: how many it gave. */
static int add_some_images(struct reverse *v, struct affected_space *n, const int64_t *sets, size_t count,
                           struct affected_cursor *at, struct page *page, size_t *ret_rows, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(v->s, e, Q_IMAGES_WITH, "Ibiiii", sets, count, n->name, at->set,
                                   at->distribution, at->image, (int64_t)(page->limit - page->count));
    int r = -1;
    *ret_rows = 0;
    while (st && (r = sql_row(v->s, st, e)) > 0) {
        at->set = sql_int(st, 0);
        at->distribution = sql_int(st, 1);
        at->image = sql_int(st, 2);
        ++*ret_rows;
        int hit = sql_reverse_hits(v, n, at->image, at->set, e);
        if (hit < 0)
            return -1;
        if (!hit)
            continue;
        page->list = arena_grow(v->arena, page->list, page->count, &page->cap, sizeof *page->list);
        if (!page->list)
            return sql_oom(v->s, e);
        page->list[page->count++] =
            (struct affected_image){ .id = at->image,
                                     .digest = digest_unpack(sql_str(st, 3), v->arena),
                                     .indexer = (unsigned)sql_int(st, 4),
                                     .namespace = n->name };
    }
    return r < 0 ? -1 : arena_failed(v->arena) ? sql_oom(v->s, e) : 0;
}

/* Those that some sets have, up to the last or a full page. */
static int add_images(struct reverse *v, struct affected_space *n, const int64_t *sets, size_t count,
                      struct affected_cursor *at, struct page *page, struct err *e)
{
    for (;;) {
        size_t rows, wanted = page->limit - page->count;
        if (add_some_images(v, n, sets, count, at, page, &rows, e) < 0)
            return -1;
        if (rows < wanted || page->count == page->limit)
            return 0;
    }
}

/* The images of one namespace, up to the end or a full page. */
static int fill(struct reverse *v, struct affected_space *n, struct affected_cursor *at, struct page *page,
                struct err *e)
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
    int known = t ? sql_reverse_read(&v, advisory, e) : -1;
    if (known <= 0)
        return known < 0 ? -1
                         : err_set(e, ERR_NOT_FOUND, "%s: no advisory %lld", v.s->where, (long long)advisory);
    struct affected_space *n = v.spaces;
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
