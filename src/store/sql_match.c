#include "store/sql.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strmap.h"
#include "store/rows.h"

#include <stdlib.h>

#define RUN          64   /* as Q_ADVISORIES has it */
#define RUNS_AT_ONCE 1024 /* bounds what the database holds in memory at a time */

struct matching {
    struct sql *s;
    struct arena *arena;
    int64_t image, namespace, generation;
    str namespace_name, scheme;
    int64_t *feed_ids; /* of match.feeds */
    int64_t kinds;     /* a set of enum sql_kinds: what the namespace has */
    struct hit *hits;
    size_t hit_count, hit_cap;
    struct texts *texts; /* of the visible advisories of the hits, by number */
    size_t text_count;
    struct strmap negatives; /* what a negative statement says no to */
};

/* A range that contains a package's version; whether it is to be seen, its advisory says. */
struct hit {
    int64_t position, advisory, kind;
    str fixed_key, fixed;
    enum fix_state state;
    enum severity severity;
    bool uncertain;
};

/* What an advisory says in each of its findings: one copy, for hundreds of packages may have one source. */
struct texts {
    int64_t advisory, feed;
    str key, id, title, link, description;
};

static int oom(const struct sql *s, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: matching: out of memory", s->where);
}

/* And the generation. 1 the image's namespace is known to feeds, 0 it is not, -1. */
static int read_namespace(struct matching *m, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(m->s, e, Q_IMAGE_NAMESPACE, "i", m->image);
    int r = st ? sql_row(m->s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "%s: no image %lld", m->s->where, (long long)m->image);
    m->namespace_name = arena_dup(m->arena, sql_str(st, 0));
    m->namespace = sql_int(st, 1);
    m->scheme = arena_dup(m->arena, sql_str(st, 2));
    m->kinds = sql_int(st, 3);
    m->generation = sql_int(st, 4);
    return arena_failed(m->arena) ? oom(m->s, e) : m->namespace != 0;
}

static int read_feeds(struct matching *m, struct match *ret, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(m->s, e, Q_MATCH_FEEDS, "i", m->namespace);
    size_t cap = 0, id_cap = 0;
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        ret->feeds = arena_grow(m->arena, ret->feeds, ret->feed_count, &cap, sizeof *ret->feeds);
        m->feed_ids = arena_grow(m->arena, m->feed_ids, ret->feed_count, &id_cap, sizeof *m->feed_ids);
        if (!ret->feeds || !m->feed_ids)
            return oom(m->s, e);
        m->feed_ids[ret->feed_count] = sql_int(st, 0);
        ret->feeds[ret->feed_count++] = (struct match_feed){
            .name = arena_dup(m->arena, sql_str(st, 1)),
            .last_success = sql_int(st, 2),
        };
    }
    return r;
}

static str feed_name(const struct matching *m, const struct match *match, int64_t id)
{
    for (size_t i = 0; i < match->feed_count; i++)
        if (m->feed_ids[i] == id)
            return match->feeds[i].name;
    return STR("");
}

static int read_hits(struct matching *m, enum affected_kind kind, struct err *e)
{
    enum query q = kind == AFFECTS_SOURCE ? Q_MATCH_SOURCE : Q_MATCH_BINARY;
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(m->s, e, q, "iibi", m->image, m->namespace, m->scheme, (int64_t)STORE_MATCH_MAX + 1);
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        if (m->hit_count == STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u findings", STORE_MATCH_MAX);
        m->hits = arena_grow(m->arena, m->hits, m->hit_count, &m->hit_cap, sizeof *m->hits);
        if (!m->hits)
            return oom(m->s, e);
        m->hits[m->hit_count++] = (struct hit){
            .position = sql_int(st, 0),
            .advisory = sql_int(st, 2),
            .kind = kind,
            .fixed_key = arena_dup(m->arena, sql_str(st, 3)),
            .fixed = arena_dup(m->arena, sql_str(st, 4)),
            .state = (enum fix_state)sql_int(st, 5),
            .severity = (enum severity)sql_int(st, 6),
            .uncertain = sql_int(st, 1) || sql_int(st, 7),
        };
    }
    return r < 0 ? -1 : arena_failed(m->arena) ? oom(m->s, e) : 0;
}

static int by_number(const void *pa, const void *pb)
{
    const int64_t *a = pa, *b = pb;
    return (*a > *b) - (*a < *b);
}

/* The advisories of the hits, each once, in order. Returns how many. */
static size_t list_advisories(const struct matching *m, int64_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < m->hit_count; i++)
        ids[i] = m->hits[i].advisory;
    qsort(ids, m->hit_count, sizeof *ids, by_number);
    for (size_t i = 0; i < m->hit_count; i++)
        if (!n || ids[n - 1] != ids[i])
            ids[n++] = ids[i];
    return n;
}

/* Those of one source have mostly been loaded one after the other: runs of up to RUN numbers, as Q_ADVISORIES wants them. In place; returns
 * how many. */
static size_t list_runs(int64_t *ids, size_t count)
{
    size_t runs = 0;
    for (size_t i = 0, n; i < count; i += n) {
        int64_t first = ids[i];
        for (n = 1; n < RUN && i + n < count && ids[i + n] == first + (int64_t)n;)
            n++;
        ids[runs++] = first * RUN + (int64_t)(n - 1);
    }
    return runs;
}

static int read_some_texts(struct matching *m, const int64_t *runs, size_t count, size_t max, struct err *e)
{
    struct arena *a = m->arena;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(m->s, e, Q_ADVISORIES, "Ii", runs, count, m->generation);
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0 && m->text_count < max)
        m->texts[m->text_count++] = (struct texts){
            .advisory = sql_int(st, 0),
            .feed = sql_int(st, 1),
            .id = arena_dup(a, sql_str(st, 2)),
            .key = arena_dup(a, sql_str(st, 3)),
            .title = arena_dup(a, sql_str(st, 4)),
            .link = arena_dup(a, sql_str(st, 5)),
            .description = arena_dup(a, sql_str(st, 6)),
        };
    return r < 0 ? -1 : arena_failed(a) ? oom(m->s, e) : 0;
}

static int read_texts(struct matching *m, struct err *e)
{
    CLEANUP(freep) int64_t *ids = malloc((m->hit_count + 1) * sizeof *ids);
    if (!ids)
        return oom(m->s, e);
    size_t n = list_advisories(m, ids), runs = list_runs(ids, n);
    m->texts = arena_array(m->arena, struct texts, n + 1);
    if (!m->texts)
        return oom(m->s, e);
    for (size_t i = 0, some; i < runs; i += some) {
        some = runs - i < RUNS_AT_ONCE ? runs - i : RUNS_AT_ONCE;
        if (read_some_texts(m, ids + i, some, n, e) < 0)
            return -1;
    }
    qsort(m->texts, m->text_count, sizeof *m->texts, by_number); /* its first member is the number */
    return 0;
}

static const struct texts *texts_of(const struct matching *m, int64_t advisory)
{
    return m->text_count ? bsearch(&advisory, m->texts, m->text_count, sizeof *m->texts, by_number) : NULL;
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

static int add_negative(struct matching *m, enum affected_kind kind, struct sql_stmt *st, struct err *e)
{
    str id = sql_str(st, 1);
    char *room = arena_alloc(m->arena, id.len + 16, 1);
    void **at = room ? strmap_at(&m->negatives, negative_key(room, sql_int(st, 0), kind, id)) : NULL;
    if (!at)
        return oom(m->s, e);
    *at = m;
    return 0;
}

static int read_negatives(struct matching *m, enum affected_kind kind, struct err *e)
{
    enum query q = kind == AFFECTS_SOURCE ? Q_NEGATIVES_SOURCE : Q_NEGATIVES_BINARY;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(m->s, e, q, "iibi", m->image, m->namespace, m->scheme, m->generation);
    int r = -1;
    for (size_t n = 0; st && (r = sql_row(m->s, st, e)) > 0; n++)
        if (n == 4 * (size_t)STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u statements on its packages", 4 * STORE_MATCH_MAX);
        else if (add_negative(m, kind, st, e) < 0)
            return -1;
    return r;
}

static bool is_denied(struct matching *m, const struct hit *h, const struct texts *t, struct buf *work)
{
    if (!m->negatives.count)
        return false;
    buf_clear(work);
    char *room = buf_reserve(work, t->id.len + 16);
    return room && strmap_get(&m->negatives, negative_key(room, h->position, h->kind, t->id));
}

/* ---- findings ---- */

static struct candidate candidate_of(const struct matching *m, const struct match *match,
                                     const struct texts *t, const struct hit *h)
{
    str feed = feed_name(m, match, t->feed);
    return (struct candidate){
        .finding = {
            .package = (uint32_t)h->position,
            .id = t->id,
            .fixed_version = h->fixed,
            .state = h->state,
            .severity = h->severity,
            .severity_source = feed,
            .namespace = m->namespace_name,
            .feed = feed,
            .uncertain = h->uncertain,
            .title = t->title,
            .link = t->link,
            .description = t->description,
        },
        .key = t->key,
        .fixed_key = h->fixed_key,
    };
}

static int pick(struct matching *m, struct match *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf work = { 0 };
    CLEANUP(freep) struct candidate *list = malloc((m->hit_count + 1) * sizeof *list);
    size_t n = 0;
    if (!list)
        return oom(m->s, e);
    for (size_t i = 0; i < m->hit_count; i++) {
        const struct hit *h = &m->hits[i];
        const struct texts *t = texts_of(m, h->advisory);
        if (t && !is_denied(m, h, t, &work))
            list[n++] = candidate_of(m, ret, t, h);
    }
    if (work.failed)
        return oom(m->s, e);
    n = candidates_pick(list, n);
    ret->findings = arena_array(m->arena, struct finding, n);
    if (!ret->findings)
        return oom(m->s, e);
    for (size_t i = 0; i < n; i++)
        ret->findings[i] = list[i].finding;
    ret->finding_count = n;
    return 0;
}

static int read_candidates(struct matching *m, struct match *ret, struct err *e)
{
    int64_t k = m->kinds;
    if (((k & KIND_SOURCE) && read_hits(m, AFFECTS_SOURCE, e) < 0) ||
        ((k & KIND_BINARY) && read_hits(m, AFFECTS_BINARY, e) < 0))
        return -1;
    if (!m->hit_count)
        return 0;
    if (read_texts(m, e) < 0 || ((k & KIND_NOT_SOURCE) && read_negatives(m, AFFECTS_SOURCE, e) < 0) ||
        ((k & KIND_NOT_BINARY) && read_negatives(m, AFFECTS_BINARY, e) < 0))
        return -1;
    return pick(m, ret, e);
}

static void matching_done(struct matching *m) { strmap_done(&m->negatives); }

int sql_match(struct store *store, int64_t image_id, struct arena *arena, struct match *ret, struct err *e)
{
    CLEANUP(matching_done)
    struct matching m = { .s = (struct sql *)store, .arena = arena, .image = image_id };
    struct match match = { 0 };
    CLEANUP(sql_endp) struct sql *t = sql_begin(m.s, false, e);
    int known = t ? read_namespace(&m, e) : -1;
    match.generation = m.generation;
    if (known < 0 || (known && (read_feeds(&m, &match, e) < 0 || read_candidates(&m, &match, e) < 0)))
        return -1;
    if (match.feed_count)
        match.scheme = m.scheme;
    *ret = match;
    return sql_commit(&t, e);
}
