/* sql_findings.c - of the ranges that contain an image's packages those that count: their texts, who says no, and the best for each name. */
#include "store/sql_match.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "store/metadata.h"
#include "store/posting.h"

#include <stdlib.h>

#define RUN            64 /* as Q_ADVISORIES has it */
#define GAP            4  /* advisories that are read in vain are cheaper than one more look-up */
#define CANDIDATES_MAX (4 * STORE_MATCH_MAX) /* one range may speak of many flaws */
#define RUNS_AT_ONCE   1024                  /* bounds what the database holds in memory at a time */

/* ---- texts ---- */

/* Into m->ids. */
static int list_advisories(struct matching *m, struct err *e)
{
    m->ids = arena_array(m->arena, int64_t, m->hit_count + 1);
    m->texts = arena_array(m->arena, struct texts, m->hit_count + 1);
    if (!m->ids || !m->texts)
        return match_oom(m->s, e);
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

/* The flaws that a vendor's advisory speaks of. */
static int take_flaws(struct matching *m, str metadata, struct texts *ret, struct err *e)
{
    struct metadata_room room;
    struct metadata meta;
    if (!metadata_unpack(metadata, &room, &meta))
        return err_set(e, ERR_FORMAT, "%s: damaged metadata of " STR_FMT, m->s->where, STR_ARG(ret->key));
    for (size_t i = 0; i < meta.alias_count; i++)
        if (id_is_cve(meta.aliases[i]))
            meta.aliases[ret->flaw_count++] = meta.aliases[i];
    ret->flaws = arena_array(m->arena, str, ret->flaw_count + 1);
    for (size_t i = 0; ret->flaws && i < ret->flaw_count; i++)
        ret->flaws[i] = arena_dup(m->arena, meta.aliases[i]);
    return arena_failed(m->arena) ? match_oom(m->s, e) : 0;
}

static int take_texts(struct matching *m, struct sql_stmt *st, struct texts *ret, struct err *e)
{
    *ret = (struct texts){
        .feed = sql_int(st, 1),
        .id = arena_dup(m->arena, sql_str(st, 2)),
        .key = arena_dup(m->arena, sql_str(st, 3)),
        .title = arena_dup(m->arena, sql_str(st, 4)),
        .link = arena_dup(m->arena, sql_str(st, 5)),
        .description = arena_dup(m->arena, sql_str(st, 6)),
    };
    if (arena_failed(m->arena))
        return match_oom(m->s, e);
    str metadata = sql_str(st, 7);
    return m->names == MATCH_BY_FLAW && metadata.len && !id_is_cve(ret->id) ? take_flaws(m, metadata, ret, e)
                                                                            : 0;
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
        if (*next < m->text_count && m->ids[*next] == id && take_texts(m, st, &m->texts[*next], e) < 0)
            return -1;
    }
    return r < 0 ? -1 : arena_failed(m->arena) ? match_oom(m->s, e) : 0;
}

static int read_texts(struct matching *m, struct err *e)
{
    if (list_advisories(m, e) < 0)
        return -1;
    CLEANUP(freep) int64_t *list = malloc((m->text_count + 1) * sizeof *list);
    if (!list)
        return match_oom(m->s, e);
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
        return match_oom(m->s, e);
    if (!*at || (uintptr_t)*at > (uintptr_t)rank + 1)
        *at = (void *)((uintptr_t)rank + 1);
    return 0;
}

static int add_negatives(struct matching *m, const struct match *match, const struct pairs *p,
                         enum affected_kind kind, struct sql_stmt *st, struct err *e)
{
    size_t pair = (size_t)sql_int(st, 0);
    if (pair >= p->count)
        return err_set(e, ERR_INTERNAL, "%s: a statement on nothing", m->s->where);
    size_t feed = match_feed_at(m, match, sql_int(st, 5));
    int64_t rank = feed < match->feed_count ? m->ranks[feed].rank : STORE_RANK;
    for (size_t i = p->starts[pair]; i < p->starts[pair + 1]; i++) {
        int fits = match_fits(m, &m->image->packages[p->members[i]].package, p->list[pair].key,
                              sql_str(st, 2), sql_str(st, 3), sql_str(st, 4), e);
        if (fits < 0 || (fits && add_negative(m, p->members[i], kind, sql_str(st, 1), rank, e) < 0))
            return -1;
    }
    return 0;
}

static int read_negatives(struct matching *m, const struct match *match, const struct match_space *n,
                          enum affected_kind kind, struct err *e)
{
    enum query q = kind == AFFECTS_SOURCE ? Q_NEGATIVES_SOURCE : Q_NEGATIVES_BINARY;
    const struct pairs *p = &n->judged->pairs[kind];
    if (match_pairs(m, n->judged, kind, e) < 0)
        return -1;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(m->s, e, q, "Pii", p->list, p->count, n->space.id, m->generation);
    int r = -1;
    for (size_t rows = 0; st && (r = sql_row(m->s, st, e)) > 0; rows++)
        if (rows == 4 * (size_t)STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u statements on its packages", 4 * STORE_MATCH_MAX);
        else if (add_negatives(m, match, p, kind, st, e) < 0)
            return -1;
    return r;
}

/* Does a feed that counts as much as `rank` say that this id is not there? */
static bool is_denied(struct matching *m, const struct hit *h, str id, int64_t rank, struct buf *work)
{
    if (!m->negatives.count)
        return false;
    buf_clear(work);
    char *room = buf_reserve(work, id.len + 16);
    void *best = room ? strmap_get(&m->negatives, negative_key(room, h->position, h->kind, id)) : NULL;
    return best && (uintptr_t)best <= (uintptr_t)rank + 1;
}

/* ---- findings ---- */

static struct finding finding_of(const struct matching *m, const struct candidate *c)
{
    const struct texts *t = c->first->texts;
    str kind = m->image->packages[c->hit->position].package.kind;
    return (struct finding){
        .package = c->hit->position,
        .kind = (enum affected_kind)c->hit->kind,
        .id = c->id,
        .advisory = c->id.ptr == c->texts->id.ptr ? STR("") : c->texts->id,
        .fixed_version = c->hit->fixed,
        .state = (enum fix_state)c->hit->state,
        .severity = (enum severity)c->first->hit->severity,
        .severity_source = *c->first->feed,
        .namespace = ecosystem_of(kind) ? kind : m->image->distribution.namespace,
        .feed = *c->first->feed,
        .uncertain = c->hit->uncertain,
        .title = t->title,
        .link = t->link,
        .description = t->description,
    };
}

struct candidates {
    struct candidate *list;
    size_t count, cap;
    struct buf work;
};

static void candidates_done(struct candidates *c)
{
    free(c->list);
    buf_done(&c->work);
}

static int add_candidate(struct matching *m, struct candidates *c, const struct candidate *one, struct err *e)
{
    if (is_denied(m, one->hit, one->id, one->rank, &c->work))
        return 0;
    if (c->count == CANDIDATES_MAX)
        return err_set(e, ERR_LIMIT, "more than %u findings", CANDIDATES_MAX);
    if (c->count == c->cap) {
        size_t cap = 2 * c->cap;
        struct candidate *more = realloc(c->list, cap * sizeof *more);
        if (!more)
            return match_oom(m->s, e);
        c->list = more;
        c->cap = cap;
    }
    c->list[c->count++] = *one;
    return 0;
}

/* A hit under the name of its advisory, or under each of the flaws that it speaks of. */
static int add_named(struct matching *m, struct candidates *c, struct candidate one, struct err *e)
{
    const struct texts *t = one.texts;
    one.id = t->id;
    if (!t->flaw_count)
        return add_candidate(m, c, &one, e);
    if (is_denied(m, one.hit, t->id, one.rank, &c->work))
        return 0;
    for (size_t i = 0; i < t->flaw_count; i++) {
        one.id = t->flaws[i];
        if (add_candidate(m, c, &one, e) < 0)
            return -1;
    }
    return 0;
}

/* The hits that are to be seen. */
static int list_candidates(struct matching *m, const struct match *match, struct candidates *c, struct err *e)
{
    static const str nobody;
    c->cap = m->hit_count + 1;
    c->list = malloc(c->cap * sizeof *c->list);
    if (!c->list)
        return match_oom(m->s, e);
    for (size_t i = 0; i < m->hit_count; i++) {
        const struct hit *h = &m->hits[i];
        const struct texts *t = texts_of(m, h->advisory);
        if (!t || !t->feed)
            continue;
        size_t at = match_feed_at(m, match, t->feed);
        bool known = at < match->feed_count;
        const struct candidate one = { .hit = h,
                                       .texts = t,
                                       .feed = known ? &match->feeds[at].name : &nobody,
                                       .rank = known ? m->ranks[at].rank : STORE_RANK };
        if (add_named(m, c, one, e) < 0)
            return -1;
    }
    return c->work.failed ? match_oom(m->s, e) : 0;
}

static int pick(struct matching *m, struct match *ret, struct err *e)
{
    CLEANUP(candidates_done) struct candidates c = { 0 };
    if (list_candidates(m, ret, &c, e) < 0)
        return -1;
    CLEANUP(freep) struct candidate *room = malloc((c.count + 1) * sizeof *room);
    if (!room)
        return match_oom(m->s, e);
    size_t n = candidates_pick(c.list, c.count, room);
    if (n > STORE_MATCH_MAX)
        return err_set(e, ERR_LIMIT, "more than %u findings", STORE_MATCH_MAX);
    ret->findings = arena_array(m->arena, struct finding, n);
    if (!ret->findings)
        return match_oom(m->s, e);
    for (size_t i = 0; i < n; i++)
        ret->findings[i] = finding_of(m, &c.list[i]);
    ret->finding_count = n;
    return m->metadata ? sql_match_metadata(m->s, m->generation, ret->findings, n, m->arena, e) : 0;
}

int match_findings(struct matching *m, struct match *ret, struct err *e)
{
    if (read_texts(m, e) < 0)
        return -1;
    for (size_t i = 0; i < m->space_count; i++) {
        const struct match_space *n = &m->spaces[i];
        if (((n->space.kinds & KIND_NOT_SOURCE) && read_negatives(m, ret, n, AFFECTS_SOURCE, e) < 0) ||
            ((n->space.kinds & KIND_NOT_BINARY) && read_negatives(m, ret, n, AFFECTS_BINARY, e) < 0))
            return -1;
    }
    return pick(m, ret, e);
}
