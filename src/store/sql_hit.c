/*
 * sql_hit.c - the names that an advisory hits, by age: layers of REST v1 and ancestries.
 *
 * Ways   Which package sets are hit is known first (sql_posting.h). Then either all names are walked in order and looked up in that list, which
 *        costs what lies between two hits; or the names of each set are listed and sorted, which costs what is hit in all. The better one is
 *        taken; a walk that finds too little ends, and the other one goes on where it stood.
 * Batch  Candidates are judged many at a time, for to a server each question is a journey.
 */
#include "store/sql_reverse.h"

#include "base/cleanup.h"
#include "store/posting.h"

#include <stdlib.h>

#define CANDIDATES 64   /* beside those that are wanted: layers that inherit, images of other repositories */
#define WALK_ROWS  4096 /* at a time, at most */
#define HEIRS      20   /* hits, to one that is meant, with which a walk is still tried */

struct candidate_name {
    int64_t name, image, set;
    struct affected_space *space;
    bool meant;
};

/* Of a namespace. */
struct hit_space {
    struct affected_space *n;
    int64_t *sets, *distributions; /* ascending */
    size_t set_count, distribution_count;
};

struct page {
    struct affected_name *list;
    size_t count, limit;
};

struct asking {
    struct reverse v;
    const struct kind *kind;
    struct hit_space *spaces;
    size_t space_count, set_count;
    struct page page;
};

/* Names of one kind. */
struct kind {
    enum query walk, with, names, last;
    int (*judge)(struct asking *a, struct candidate_name *list, size_t count, struct err *e);
};

static void asking_done(struct asking *a)
{
    for (size_t i = 0; i < a->space_count; i++) {
        free(a->spaces[i].sets);
        free(a->spaces[i].distributions);
    }
}

static bool has_number(const int64_t *list, size_t count, int64_t value)
{
    for (size_t half; count > 1;
         count -= half) { /* a walk asks at each step: without bsearch()'s calls and surprises */
        half = count / 2;
        list += list[half] <= value ? half : 0;
    }
    return count && *list == value;
}

/* ---- which layers themselves bring one ---- */

/* Of a set what is affected: their places in space->packages. */
struct part {
    size_t *places;
    size_t count;
};

struct judging {
    struct asking *a;
    struct arena *arena;
    int64_t *sets; /* of the candidates and their parents: ascending, each once */
    struct part *parts;
    size_t set_count;
    struct parent {
        size_t child; /* a candidate */
        int64_t set;
    } * parents; /* by child */
    size_t parent_count, cap;
};

static int read_parents(struct judging *j, const struct candidate_name *list, size_t count, struct err *e)
{
    struct sql *s = j->a->v.s;
    int64_t *ids = arena_array(j->arena, int64_t, count);
    if (!ids)
        return sql_oom(s, e);
    for (size_t i = 0; i < count; i++)
        ids[i] = list[i].name;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_PARENT_SETS, "I", ids, count);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        j->parents = arena_grow(j->arena, j->parents, j->parent_count, &j->cap, sizeof *j->parents);
        if (!j->parents)
            return sql_oom(s, e);
        j->parents[j->parent_count++] = (struct parent){ (size_t)sql_int(st, 0), sql_int(st, 1) };
    }
    return r;
}

/* A layer with its parent's set adds nothing: most are so. */
static void drop_heirs(struct judging *j, const struct candidate_name *list, bool *heirs)
{
    for (size_t i = 0; i < j->parent_count; i++)
        heirs[j->parents[i].child] |= j->parents[i].set == list[j->parents[i].child].set;
}

static int list_sets(struct judging *j, const struct candidate_name *list, size_t count, const bool *heirs,
                     struct err *e)
{
    size_t n = 0;
    j->sets = arena_array(j->arena, int64_t, count + j->parent_count + 1);
    if (!j->sets)
        return sql_oom(j->a->v.s, e);
    for (size_t i = 0; i < count; i++)
        if (!heirs[i])
            j->sets[n++] = list[i].set;
    for (size_t i = 0; i < j->parent_count; i++)
        if (!heirs[j->parents[i].child] && j->parents[i].set)
            j->sets[n++] = j->parents[i].set;
    j->set_count = numbers_sort(j->sets, n);
    j->parts = arena_array(j->arena, struct part, j->set_count + 1);
    return j->parts ? 0 : sql_oom(j->a->v.s, e);
}

static int take_part(struct judging *j, const struct affected_space *n, str members, struct part *to,
                     struct err *e)
{
    size_t count = 0, cap = 0;
    CLEANUP(freep) int64_t *ids = set_unpack(members, &count, e);
    if (!ids)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const int64_t *at = bsearch(&ids[i], n->packages, n->count, sizeof *ids, number_order);
        if (!at)
            continue;
        to->places = arena_grow(j->arena, to->places, to->count, &cap, sizeof *to->places);
        if (!to->places)
            return sql_oom(j->a->v.s, e);
        to->places[to->count++] = (size_t)(at - n->packages);
    }
    return 0;
}

static int read_parts(struct judging *j, const struct affected_space *n, struct err *e)
{
    struct sql *s = j->a->v.s;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_SETS_GET, "I", j->sets, j->set_count);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0)
        if (take_part(j, n, sql_str(st, 1), &j->parts[sql_int(st, 0)], e) < 0)
            return -1;
    return r;
}

static const struct part *part_of(const struct judging *j, int64_t set)
{
    static const struct part none;
    const int64_t *at = j->set_count ? bsearch(&set, j->sets, j->set_count, sizeof set, number_order) : NULL;
    return at ? &j->parts[at - j->sets] : &none;
}

static bool has_feature(const struct affected_space *n, const struct part *p, uint64_t feature)
{
    for (size_t i = 0; i < p->count; i++)
        if (n->features[p->places[i]] == feature)
            return true;
    return false;
}

/* Of what counts in the image something that no view of the parent has, as a feature (package_feature()). `first`: of its parents. */
static int brings(const struct judging *j, const struct candidate_name *c, size_t child, size_t first,
                  struct err *e)
{
    struct affected_space *n = c->space;
    const struct part *own = part_of(j, c->set);
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    int64_t *packages;
    size_t count;
    if (!arena)
        return sql_oom(j->a->v.s, e);
    if (sql_reverse_packages(&j->a->v, n, c->image, arena, &packages, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < own->count; i++) {
        bool had = !has_number(packages, count, n->packages[own->places[i]]);
        for (size_t k = first; !had && k < j->parent_count && j->parents[k].child == child; k++)
            had = has_feature(n, part_of(j, j->parents[k].set), n->features[own->places[i]]);
        if (!had)
            return 1;
    }
    return 0;
}

/* Candidates of one space. */
static int judge_space(struct asking *a, struct candidate_name *list, size_t count, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct judging j = { .a = a, .arena = arena };
    bool *heirs = arena ? arena_array(arena, bool, count) : NULL;
    if (!heirs)
        return sql_oom(a->v.s, e);
    if (read_parents(&j, list, count, e) < 0)
        return -1;
    drop_heirs(&j, list, heirs);
    if (list_sets(&j, list, count, heirs, e) < 0 || (j.set_count && read_parts(&j, list->space, e) < 0))
        return -1;
    for (size_t i = 0, k = 0; i < count; i++) {
        while (k < j.parent_count && j.parents[k].child < i)
            k++;
        int is = heirs[i] ? 0 : brings(&j, &list[i], i, k, e);
        if (is < 0)
            return -1;
        list[i].meant = is;
    }
    return 0;
}

/* Neighbours of one space together. */
static int judge_layers(struct asking *a, struct candidate_name *list, size_t count, struct err *e)
{
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && list[i + n].space == list[i].space;)
            n++;
        if (judge_space(a, list + i, n, e) < 0)
            return -1;
    }
    return 0;
}

static int judge_ancestries(struct asking *a, struct candidate_name *list, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        int hit = sql_reverse_hits(&a->v, list[i].space, list[i].image, list[i].set, e);
        if (hit < 0)
            return -1;
        list[i].meant = hit;
    }
    return 0;
}

static const struct kind kinds[] = {
    [NAMES_INTRODUCING] = { Q_NAMED_WALK, Q_NAMED_WITH, Q_NAMED_NAMES, Q_NAMED_LAST, judge_layers },
    [NAMES_OF_ANCESTRIES] = { Q_ANCESTRY_WALK, Q_ANCESTRIES_WITH, Q_ANCESTRY_NAMES, Q_ANCESTRY_LAST,
                              judge_ancestries },
};

/* ---- pages ---- */

/* Those that are meant, while there is room; of two views of a name one is enough. */
static int add_meant(struct asking *a, struct candidate_name *list, size_t count, struct page *page,
                     struct err *e)
{
    if (count && a->kind->judge(a, list, count, e) < 0)
        return -1;
    for (size_t i = 0; i < count && page->count < page->limit; i++)
        if (list[i].meant && (!page->count || page->list[page->count - 1].id != list[i].name))
            page->list[page->count++] = (struct affected_name){ .id = list[i].name };
    return 0;
}

static int read_names(struct asking *a, struct err *e)
{
    struct sql *s = a->v.s;
    struct page *page = &a->page;
    CLEANUP(freep) int64_t *ids = calloc(page->count + 1, sizeof *ids);
    if (!ids)
        return sql_oom(s, e);
    for (size_t i = 0; i < page->count; i++)
        ids[i] = page->list[i].id;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, a->kind->names, "I", ids, page->count);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0)
        page->list[sql_int(st, 0)].name = arena_dup(a->v.arena, sql_str(st, 1));
    return r < 0 ? -1 : arena_failed(a->v.arena) ? sql_oom(s, e) : 0;
}

/* ---- a walk over all names ---- */

struct place {
    int64_t name, part; /* of the last row */
};

static const struct hit_space *space_hit(const struct asking *a, int64_t set, int64_t distribution)
{
    for (size_t i = 0; i < a->space_count; i++)
        if (has_number(a->spaces[i].distributions, a->spaces[i].distribution_count, distribution) &&
            has_number(a->spaces[i].sets, a->spaces[i].set_count, set))
            return &a->spaces[i];
    return NULL;
}

/* Some rows on, with what is hit of them; *rows: how many there were. */
static int walk_some(struct asking *a, struct place *at, size_t most, struct candidate_name *list,
                     size_t *count, size_t *rows, struct err *e)
{
    struct sql *s = a->v.s;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, a->kind->walk, "iii", at->name, at->part, (int64_t)most);
    int r = -1;
    *count = *rows = 0;
    for (; st && *rows < most && (r = sql_row(s, st, e)) > 0; ++*rows) {
        *at = (struct place){ sql_int(st, 0), sql_int(st, 1) };
        int64_t set = sql_int(st, 3);
        const struct hit_space *hit = set ? space_hit(a, set, sql_int(st, 4)) : NULL;
        if (hit)
            list[(*count)++] = (struct candidate_name){ at->name, sql_int(st, 2), set, hit->n, false };
    }
    return r < 0 ? -1 : 0;
}

/* 1: all rows have been looked at, or the page is full. */
static int walk(struct asking *a, struct place *at, int64_t bound, size_t step, struct err *e)
{
    CLEANUP(freep) struct candidate_name *list = malloc(WALK_ROWS * sizeof *list);
    if (!list)
        return sql_oom(a->v.s, e);
    while (bound > 0) {
        size_t most = step < WALK_ROWS ? step : WALK_ROWS, count, rows;
        most = (int64_t)most < bound ? most : (size_t)bound;
        if (walk_some(a, at, most, list, &count, &rows, e) < 0 || add_meant(a, list, count, &a->page, e) < 0)
            return -1;
        if (rows < most || a->page.count == a->page.limit)
            return 1;
        bound -= (int64_t)rows;
        step *= 2;
    }
    return 0;
}

/* ---- the names of what is hit ---- */

static int list_some(struct asking *a, const struct hit_space *h, int64_t from, struct candidate_name *list,
                     size_t room, size_t *count, struct err *e)
{
    struct sql *s = a->v.s;
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(s, e, a->kind->with, "Ibii", h->sets, h->set_count, h->n->name, from, (int64_t)room);
    int r = -1;
    *count = 0;
    while (st && *count < room && (r = sql_row(s, st, e)) > 0)
        list[(*count)++] =
            (struct candidate_name){ sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), h->n, false };
    return r < 0 ? -1 : 0;
}

/* From `from` on until the page is full; each round begins behind the last name of the one before. */
static int list_space(struct asking *a, const struct hit_space *h, int64_t from, struct page *page,
                      struct err *e)
{
    size_t room = 2 * page->limit + CANDIDATES, count = room;
    CLEANUP(freep) struct candidate_name *list = h->set_count ? malloc(room * sizeof *list) : NULL;
    if (!list)
        return h->set_count ? sql_oom(a->v.s, e) : 0;
    while (count == room && page->count < page->limit) {
        if (list_some(a, h, from, list, room, &count, e) < 0 || add_meant(a, list, count, page, e) < 0)
            return -1;
        from = count ? list[count - 1].name + 1 : from; /* its other views say the same of it */
    }
    return 0;
}

/* Two pages into one: each is whole up to its last name, or has all. */
static void merge(struct page *into, const struct page *more, struct affected_name *room)
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
    into->list = room;
    into->count = n;
}

static int list_all(struct asking *a, int64_t from, struct err *e)
{
    for (size_t i = 0; i < a->space_count; i++) {
        struct page one = { .list = arena_array(a->v.arena, struct affected_name, a->page.limit + 1),
                            .limit = a->page.limit };
        struct affected_name *room = arena_array(a->v.arena, struct affected_name, a->page.limit + 1);
        if (!one.list || !room)
            return sql_oom(a->v.s, e);
        if (list_space(a, &a->spaces[i], from, &one, e) < 0)
            return -1;
        merge(&a->page, &one, room);
    }
    return 0;
}

/* ---- the whole ---- */

static int read_distributions(struct asking *a, struct hit_space *h, struct err *e)
{
    struct sql *s = a->v.s;
    size_t cap = 0;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_SPACE_DISTRIBUTIONS, "b", h->n->name);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        if (h->distribution_count == cap) {
            cap = cap ? 2 * cap : 8;
            int64_t *more = realloc(h->distributions, cap * sizeof *more);
            if (!more)
                return sql_oom(s, e);
            h->distributions = more;
        }
        h->distributions[h->distribution_count++] = sql_int(st, 0);
    }
    return r;
}

static int read_hits(struct asking *a, struct err *e)
{
    size_t count = 0;
    for (struct affected_space *n = a->v.spaces; n; n = n->next)
        count++;
    a->spaces = arena_array(a->v.arena, struct hit_space, count + 1);
    if (!a->spaces)
        return sql_oom(a->v.s, e);
    for (struct affected_space *n = a->v.spaces; n; n = n->next) {
        struct hit_space *h = &a->spaces[a->space_count++];
        int64_t end;
        h->n = n;
        if (read_distributions(a, h, e) < 0)
            return -1;
        if (h->distribution_count &&
            sql_sets_with(a->v.s, n->packages, n->count, 0, SETS_ALL, &h->sets, &h->set_count, &end, e) < 0)
            return -1;
        a->set_count += h->set_count;
    }
    return 0;
}

/* How many rows a walk may look at: half as many as there are sets to be listed otherwise, which costs more each; in a small registry more, for
 * most of what is hit may be heirs. *step: how many it will need, about. */
static int plan(struct asking *a, int64_t from, int64_t *bound, size_t *step, struct err *e)
{
    int64_t last = 0, hits = (int64_t)a->set_count;
    if (sql_number(a->v.s, e, &last, a->kind->last, "") < 0)
        return -1;
    double need = (double)a->page.limit * (double)last / (double)hits;
    double left = last >= from ? (double)(last - from) + 1 : 0;
    need = need < left ? need : left;
    int64_t heirs = (int64_t)(HEIRS * need) < 2 * hits ? (int64_t)(HEIRS * need) : 2 * hits;
    *bound = need < (double)hits / 2 ? (heirs > hits / 2 ? heirs : hits / 2) : 0;
    *step = need < WALK_ROWS ? (size_t)need + CANDIDATES : WALK_ROWS;
    return 0;
}

static int find(struct asking *a, int64_t from, int64_t bound, struct err *e)
{
    size_t step = CANDIDATES;
    struct place at = { from - 1, INT64_MAX };
    if (read_hits(a, e) < 0)
        return -1;
    if (!a->set_count)
        return 0;
    if (bound == INT64_MAX && plan(a, from, &bound, &step, e) < 0)
        return -1;
    int done = walk(a, &at, bound, step, e);
    if (done < 0 || (!done && list_all(a, at.part == INT64_MAX ? from : at.name, e) < 0))
        return -1;
    return read_names(a, e);
}

int sql_names_hit(struct sql *s, const struct names_question *q, struct arena *arena,
                  struct affected_name **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(asking_done)
    struct asking a = { .v = { .s = s, .arena = arena, .only = q->namespace },
                        .kind = &kinds[q->what],
                        .page = { .limit = q->limit } };
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    *ret = NULL, *ret_count = 0;
    int known = t ? sql_reverse_read(&a.v, q->advisory, e) : -1;
    if (known <= 0)
        return known < 0
                   ? -1
                   : err_set(e, ERR_NOT_FOUND, "%s: no advisory %lld", s->where, (long long)q->advisory);
    a.page.list = arena_array(arena, struct affected_name, q->limit + 1);
    if (!a.page.list)
        return sql_oom(s, e);
    if (q->limit && find(&a, q->from > 0 ? q->from : 0, q->walk, e) < 0)
        return -1;
    *ret = a.page.list;
    *ret_count = a.page.count;
    if (sql_commit(&t, e) < 0)
        return -1;
    return q->limit ? a.page.count == q->limit : a.v.spaces != NULL;
}

int store_introducing(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                      struct arena *arena, struct affected_name **ret, size_t *ret_count, struct err *e)
{
    const struct names_question q = { NAMES_INTRODUCING, advisory, namespace, from, limit, INT64_MAX };
    return sql_names_hit((struct sql *)s, &q, arena, ret, ret_count, e);
}

int store_affected_ancestries(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                              struct arena *arena, struct affected_name **ret, size_t *ret_count,
                              struct err *e)
{
    const struct names_question q = { NAMES_OF_ANCESTRIES, advisory, namespace, from, limit, INT64_MAX };
    return sql_names_hit((struct sql *)s, &q, arena, ret, ret_count, e);
}
