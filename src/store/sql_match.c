#include "store/sql.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strmap.h"
#include "store/posting.h"
#include "store/rows.h"

#include <stdlib.h>

#define RUN          64   /* as Q_ADVISORIES has it */
#define GAP          4    /* advisories that are read in vain are cheaper than one more look-up */
#define RUNS_AT_ONCE 1024 /* bounds what the database holds in memory at a time */

/* Names and versions that ranges may speak of, each once: several binary packages have one source. */
struct pairs {
    struct sql_pair *list;
    size_t count;
    uint32_t *members; /* packages, by position: those of pair i are members[starts[i]] up to starts[i + 1] */
    size_t *starts;
};

struct matching {
    struct sql *s;
    struct arena *arena;
    const struct image_index *image;
    int64_t namespace, generation;
    bool metadata; /* is there any? */
    str scheme;
    struct feed_rank {
        int64_t feed, rank;
    } * ranks;     /* of match.feeds */
    int64_t kinds; /* a set of enum sql_kinds: what the namespace has */
    struct pairs pairs[AFFECTS_BINARY + 1];
    struct hit *hits;
    size_t hit_count, hit_cap;
    int64_t *ids; /* the advisories of the hits, each once, in order; and their texts */
    struct texts *texts;
    size_t text_count;
    struct strmap
        negatives; /* what a negative statement says no to: the best rank of those who say so, plus one */
};

static int oom(const struct sql *s, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: matching: out of memory", s->where);
}

/* 1 the image's namespace is known to feeds, 0 it is not, -1. */
static int read_namespace(struct matching *m, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(m->s, e, Q_NAMESPACE_FIND, "b", m->image->distribution.namespace);
    int r = st ? sql_row(m->s, st, e) : -1;
    if (r <= 0)
        return r;
    m->namespace = sql_int(st, 0);
    m->scheme = arena_dup(m->arena, sql_str(st, 1));
    m->kinds = sql_int(st, 2);
    return arena_failed(m->arena) ? oom(m->s, e) : 1;
}

static int read_feeds(struct matching *m, struct match *ret, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(m->s, e, Q_MATCH_FEEDS, "i", m->namespace);
    size_t cap = 0, rank_cap = 0;
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        ret->feeds = arena_grow(m->arena, ret->feeds, ret->feed_count, &cap, sizeof *ret->feeds);
        m->ranks = arena_grow(m->arena, m->ranks, ret->feed_count, &rank_cap, sizeof *m->ranks);
        if (!ret->feeds || !m->ranks)
            return oom(m->s, e);
        m->ranks[ret->feed_count] = (struct feed_rank){ sql_int(st, 0), sql_int(st, 3) };
        ret->feeds[ret->feed_count++] = (struct match_feed){
            .name = arena_dup(m->arena, sql_str(st, 1)),
            .last_success = sql_int(st, 2),
        };
    }
    return r;
}

/* Its place in match.feeds; their number when it is none of them. */
static size_t feed_at(const struct matching *m, const struct match *match, int64_t feed)
{
    size_t i = 0;
    while (i < match->feed_count && m->ranks[i].feed != feed)
        i++;
    return i;
}

/* ---- pairs ---- */

struct named {
    struct sql_pair pair;
    uint32_t position;
};

static int by_pair(const void *pa, const void *pb)
{
    const struct named *a = pa, *b = pb;
    int r = str_cmp(a->pair.name, b->pair.name);
    r = r ? r : str_cmp(a->pair.key, b->pair.key);
    return r ? r : (a->position > b->position) - (a->position < b->position);
}

/* Packages of another kind than the namespace's are not judged. */
static size_t name_packages(struct matching *m, bool source, struct named *list)
{
    size_t n = 0;
    struct version_key key;
    for (size_t i = 0; i < m->image->package_count; i++) {
        const struct package *p = &m->image->packages[i].package;
        if (!str_eq(p->kind, m->scheme))
            continue;
        str version = source ? p->source_version : p->version;
        list[n++] = (struct named){ { source ? p->source : p->name,
                                      arena_dup(m->arena, installed_key(p->kind, version, &key)) },
                                    (uint32_t)i };
    }
    return n;
}

static int make_pairs(struct matching *m, enum affected_kind kind, struct err *e)
{
    size_t max = m->image->package_count;
    struct pairs *p = &m->pairs[kind];
    CLEANUP(freep) struct named *list = malloc((max + 1) * sizeof *list);
    p->list = arena_array(m->arena, struct sql_pair, max + 1);
    p->members = arena_array(m->arena, uint32_t, max + 1);
    p->starts = arena_array(m->arena, size_t, max + 2);
    if (!list || arena_failed(m->arena))
        return oom(m->s, e);
    size_t n = name_packages(m, kind == AFFECTS_SOURCE, list);
    if (n)
        qsort(list, n, sizeof *list, by_pair);
    for (size_t i = 0; i < n; i++) {
        const struct sql_pair *last = p->count ? &p->list[p->count - 1] : NULL;
        if (!last || !str_eq(last->name, list[i].pair.name) || !str_eq(last->key, list[i].pair.key)) {
            p->starts[p->count] = i;
            p->list[p->count++] = list[i].pair;
        }
        p->members[i] = list[i].position;
    }
    p->starts[p->count] = n;
    return arena_failed(m->arena) ? oom(m->s, e) : 0;
}

/* Does a range speak of this package, whose version is below its end? An invalid version has an empty key, which is below all. */
static bool fits(const struct package *p, str key, str introduced, str arch, str module)
{
    return (!arch.len || str_eq(arch, p->arch)) && str_eq(module, p->module) &&
           (!key.len || str_cmp(introduced, key) <= 0);
}

static int add_hits(struct matching *m, enum affected_kind kind, struct sql_stmt *st, struct err *e)
{
    const struct pairs *p = &m->pairs[kind];
    size_t pair = (size_t)sql_int(st, 0);
    if (pair >= p->count)
        return err_set(e, ERR_INTERNAL, "%s: a match of nothing", m->s->where);
    str key = p->list[pair].key, introduced = sql_str(st, 7), arch = sql_str(st, 8), module = sql_str(st, 9);
    struct hit hit = {
        .advisory = sql_int(st, 1),
        .kind = kind,
        .state = (uint8_t)sql_int(st, 4),
        .severity = (uint8_t)sql_int(st, 5),
        .uncertain = !key.len || sql_int(st, 6),
    };
    bool copied = false;
    for (size_t i = p->starts[pair]; i < p->starts[pair + 1]; i++) {
        uint32_t position = p->members[i];
        if (!fits(&m->image->packages[position].package, key, introduced, arch, module))
            continue;
        if (!copied) {
            hit.fixed_key = arena_dup(m->arena, sql_str(st, 2));
            hit.fixed = arena_dup(m->arena, sql_str(st, 3));
            copied = true;
        }
        if (m->hit_count == STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u findings", STORE_MATCH_MAX);
        m->hits = arena_grow(m->arena, m->hits, m->hit_count, &m->hit_cap, sizeof *m->hits);
        if (!m->hits)
            return oom(m->s, e);
        hit.position = position;
        m->hits[m->hit_count++] = hit;
    }
    return 0;
}

static int read_hits(struct matching *m, enum affected_kind kind, struct err *e)
{
    enum query q = kind == AFFECTS_SOURCE ? Q_MATCH_SOURCE : Q_MATCH_BINARY;
    const struct pairs *p = &m->pairs[kind];
    if (make_pairs(m, kind, e) < 0)
        return -1;
    if (!p->count)
        return 0;
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(m->s, e, q, "Pii", p->list, p->count, m->namespace, (int64_t)STORE_MATCH_MAX + 1);
    int r = -1;
    size_t rows = 0;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        if (rows++ == STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u findings", STORE_MATCH_MAX);
        if (add_hits(m, kind, st, e) < 0)
            return -1;
    }
    return r < 0 ? -1 : arena_failed(m->arena) ? oom(m->s, e) : 0;
}

/* ---- texts ---- */

/* Into m->ids. */
static int list_advisories(struct matching *m, struct err *e)
{
    m->ids = arena_array(m->arena, int64_t, m->hit_count + 1);
    m->texts = arena_array(m->arena, struct texts, m->hit_count + 1);
    if (!m->ids || !m->texts)
        return oom(m->s, e);
    for (size_t i = 0; i < m->hit_count; i++)
        m->ids[i] = m->hits[i].advisory;
    m->text_count = numbers_sort(m->ids, m->hit_count);
    return 0;
}

/* Those of one source have mostly been loaded one after the other: runs of up to RUN numbers, as Q_ADVISORIES wants them. Returns how many. */
static size_t list_runs(const int64_t *ids, size_t count, int64_t *ret)
{
    size_t runs = 0;
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && ids[i + n] - ids[i + n - 1] <= GAP && ids[i + n] - ids[i] < RUN;)
            n++;
        ret[runs++] = ids[i] * RUN + (ids[i + n - 1] - ids[i]);
    }
    return runs;
}

static struct texts *texts_of(const struct matching *m, int64_t advisory)
{
    const int64_t *at = bsearch(&advisory, m->ids, m->text_count, sizeof *m->ids, number_order);
    return at ? &m->texts[at - m->ids] : NULL;
}

static str moved(str field, const char *from, const char *to)
{
    return str_of(to + (field.ptr - from), field.len);
}

/* The fields of a record lie one behind the other: they are copied together. */
static void take_texts(struct matching *m, struct sql_stmt *st, struct texts *ret)
{
    str first = sql_str(st, 2), last = sql_str(st, 6);
    str copy = arena_dup(m->arena, str_of(first.ptr, (size_t)(last.ptr + last.len - first.ptr)));
    if (!copy.ptr)
        return;
    *ret = (struct texts){
        .feed = sql_int(st, 1),
        .id = moved(first, first.ptr, copy.ptr),
        .key = moved(sql_str(st, 3), first.ptr, copy.ptr),
        .title = moved(sql_str(st, 4), first.ptr, copy.ptr),
        .link = moved(sql_str(st, 5), first.ptr, copy.ptr),
        .description = moved(last, first.ptr, copy.ptr),
    };
}

static int read_some_texts(struct matching *m, const int64_t *runs, size_t count, size_t *next, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(m->s, e, Q_ADVISORIES, "Ii", runs, count, m->generation);
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        int64_t id = sql_int(st, 0);
        while (*next < m->text_count && m->ids[*next] < id)
            ++*next;
        if (*next < m->text_count && m->ids[*next] == id)
            take_texts(m, st, &m->texts[*next]);
    }
    return r < 0 ? -1 : arena_failed(m->arena) ? oom(m->s, e) : 0;
}

static int read_texts(struct matching *m, struct err *e)
{
    if (list_advisories(m, e) < 0)
        return -1;
    CLEANUP(freep) int64_t *list = malloc((m->text_count + 1) * sizeof *list);
    if (!list)
        return oom(m->s, e);
    size_t runs = list_runs(m->ids, m->text_count, list), next = 0;
    for (size_t i = 0, some; i < runs; i += some) {
        some = runs - i < RUNS_AT_ONCE ? runs - i : RUNS_AT_ONCE;
        if (read_some_texts(m, list + i, some, &next, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- negative statements: what says "not affected" of a package and an id ---- */

/* Into `room`, which has 16 bytes more than the id. */
static str negative_key(char *room, int64_t position, int64_t kind, str id)
{
    memcpy(room, &position, sizeof position);
    memcpy(room + 8, &kind, sizeof kind);
    memcpy(room + 16, id.ptr, id.len);
    return str_of(room, 16 + id.len);
}

static int add_negative(struct matching *m, uint32_t position, enum affected_kind kind, str id, int64_t rank,
                        struct err *e)
{
    char *room = arena_alloc(m->arena, id.len + 16, 1);
    void **at = room ? strmap_at(&m->negatives, negative_key(room, position, kind, id)) : NULL;
    if (!at)
        return oom(m->s, e);
    if (!*at || (uintptr_t)*at > (uintptr_t)rank + 1)
        *at = (void *)((uintptr_t)rank + 1);
    return 0;
}

static int add_negatives(struct matching *m, const struct match *match, enum affected_kind kind,
                         struct sql_stmt *st, struct err *e)
{
    const struct pairs *p = &m->pairs[kind];
    size_t pair = (size_t)sql_int(st, 0);
    if (pair >= p->count)
        return err_set(e, ERR_INTERNAL, "%s: a statement on nothing", m->s->where);
    size_t feed = feed_at(m, match, sql_int(st, 5));
    int64_t rank = feed < match->feed_count ? m->ranks[feed].rank : STORE_RANK;
    for (size_t i = p->starts[pair]; i < p->starts[pair + 1]; i++)
        if (fits(&m->image->packages[p->members[i]].package, p->list[pair].key, sql_str(st, 2),
                 sql_str(st, 3), sql_str(st, 4)) &&
            add_negative(m, p->members[i], kind, sql_str(st, 1), rank, e) < 0)
            return -1;
    return 0;
}

static int read_negatives(struct matching *m, const struct match *match, enum affected_kind kind,
                          struct err *e)
{
    enum query q = kind == AFFECTS_SOURCE ? Q_NEGATIVES_SOURCE : Q_NEGATIVES_BINARY;
    const struct pairs *p = &m->pairs[kind];
    if (!p->list && make_pairs(m, kind, e) < 0)
        return -1;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(m->s, e, q, "Pii", p->list, p->count, m->namespace, m->generation);
    int r = -1;
    for (size_t n = 0; st && (r = sql_row(m->s, st, e)) > 0; n++)
        if (n == 4 * (size_t)STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u statements on its packages", 4 * STORE_MATCH_MAX);
        else if (add_negatives(m, match, kind, st, e) < 0)
            return -1;
    return r;
}

static bool is_denied(struct matching *m, const struct hit *h, const struct texts *t, int64_t rank,
                      struct buf *work)
{
    if (!m->negatives.count)
        return false;
    buf_clear(work);
    char *room = buf_reserve(work, t->id.len + 16);
    void *best = room ? strmap_get(&m->negatives, negative_key(room, h->position, h->kind, t->id)) : NULL;
    return best && (uintptr_t)best <= (uintptr_t)rank + 1;
}

/* ---- findings ---- */

static struct finding finding_of(const struct matching *m, const struct candidate *c)
{
    const struct texts *t = c->first->texts;
    return (struct finding){
        .package = c->hit->position,
        .id = c->texts->id,
        .fixed_version = c->hit->fixed,
        .state = (enum fix_state)c->hit->state,
        .severity = (enum severity)c->first->hit->severity,
        .severity_source = *c->first->feed,
        .namespace = m->image->distribution.namespace,
        .feed = *c->first->feed,
        .uncertain = c->hit->uncertain,
        .title = t->title,
        .link = t->link,
        .description = t->description,
    };
}

/* The hits that are to be seen. Returns how many. */
static size_t list_candidates(struct matching *m, const struct match *match, struct candidate *ret,
                              struct buf *work)
{
    static const str nobody;
    size_t n = 0;
    for (size_t i = 0; i < m->hit_count; i++) {
        const struct hit *h = &m->hits[i];
        const struct texts *t = texts_of(m, h->advisory);
        if (!t || !t->feed)
            continue;
        size_t at = feed_at(m, match, t->feed);
        bool known = at < match->feed_count;
        int64_t rank = known ? m->ranks[at].rank : STORE_RANK;
        if (!is_denied(m, h, t, rank, work))
            ret[n++] = (struct candidate){
                .hit = h, .texts = t, .feed = known ? &match->feeds[at].name : &nobody, .rank = rank
            };
    }
    return n;
}

static int pick(struct matching *m, struct match *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf work = { 0 };
    CLEANUP(freep) struct candidate *list = malloc((2 * m->hit_count + 1) * sizeof *list);
    if (!list)
        return oom(m->s, e);
    size_t n = list_candidates(m, ret, list, &work);
    if (work.failed)
        return oom(m->s, e);
    n = candidates_pick(list, n, list + m->hit_count);
    ret->findings = arena_array(m->arena, struct finding, n);
    if (!ret->findings)
        return oom(m->s, e);
    for (size_t i = 0; i < n; i++)
        ret->findings[i] = finding_of(m, &list[i]);
    ret->finding_count = n;
    return m->metadata ? sql_match_metadata(m->s, m->generation, ret->findings, n, m->arena, e) : 0;
}

static int read_candidates(struct matching *m, struct match *ret, struct err *e)
{
    int64_t k = m->kinds;
    if (((k & KIND_SOURCE) && read_hits(m, AFFECTS_SOURCE, e) < 0) ||
        ((k & KIND_BINARY) && read_hits(m, AFFECTS_BINARY, e) < 0))
        return -1;
    if (!m->hit_count)
        return 0;
    if (read_texts(m, e) < 0 || ((k & KIND_NOT_SOURCE) && read_negatives(m, ret, AFFECTS_SOURCE, e) < 0) ||
        ((k & KIND_NOT_BINARY) && read_negatives(m, ret, AFFECTS_BINARY, e) < 0))
        return -1;
    return pick(m, ret, e);
}

/* What clients wrote of a namespace does not cover it. */
static void leave_out_manual(struct match *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->feed_count; i++)
        if (!str_eq(m->feeds[i].name, STORE_MANUAL))
            m->feeds[kept++] = m->feeds[i];
    m->feed_count = kept;
}

static void matching_done(struct matching *m) { strmap_done(&m->negatives); }

int store_match(struct store *store, const struct image_index *image, struct arena *arena, struct match *ret,
                struct err *e)
{
    CLEANUP(matching_done) struct matching m = { .s = (struct sql *)store, .arena = arena, .image = image };
    struct match match = { 0 };
    CLEANUP(sql_endp) struct sql *t = sql_begin(m.s, false, e);
    if (!t || sql_state(m.s, &m.generation, &m.metadata, e) < 0)
        return -1;
    int known = image->distribution.namespace.len ? read_namespace(&m, e) : 0;
    match.generation = m.generation;
    if (known < 0 || (known && (read_feeds(&m, &match, e) < 0 || read_candidates(&m, &match, e) < 0)))
        return -1;
    leave_out_manual(&match);
    if (match.feed_count)
        match.scheme = m.scheme;
    *ret = match;
    return sql_commit(&t, e);
}
