/* sql_metadata.c - what all feeds say of the ids that were found, whatever they say it of. */
#include "store/metadata.h"
#include "store/sql.h"

#include "base/cleanup.h"

#include <stdlib.h>

#define IDS_AT_ONCE 1024 /* bounds what the database holds in memory at a time */

struct statement { /* of a feed, on an id */
    size_t id;     /* its place in reading.ids */
    int64_t rank;
    str key;
    struct metadata_source source;
};

struct reading {
    struct sql *s;
    struct arena *arena, *scratch; /* what is given back, and what is not */
    int64_t generation;
    struct sql_pair *ids; /* each once, in order; keys are empty */
    struct finding_meta **metas;
    size_t id_count;
    struct statement *statements; /* on IDS_AT_ONCE of them */
    size_t count, cap;
};

static int list_ids(struct reading *r, const struct finding *findings, size_t count, struct err *e)
{
    size_t n = 0;
    r->ids = arena_array(r->scratch, struct sql_pair, 2 * count);
    r->metas = arena_array(r->scratch, struct finding_meta *, 2 * count);
    if (!r->ids || !r->metas)
        return sql_oom(r->s, e);
    for (size_t i = 0; i < count; i++) {
        r->ids[n++].name = findings[i].id;
        if (findings[i].advisory.len)
            r->ids[n++].name = findings[i].advisory;
    }
    r->id_count = sql_pairs_unique(r->ids, n);
    return 0;
}

/* ---- statements ---- */

static int add_statement(struct reading *r, struct sql_stmt *st, size_t first, struct err *e)
{
    struct metadata_room room;
    struct metadata meta;
    size_t id = first + (size_t)sql_int(st, 0);
    if (id >= r->id_count || !metadata_unpack(sql_str(st, 10), &room, &meta))
        return err_set(e, ERR_FORMAT, "%s: damaged metadata of advisory %lld", r->s->where,
                       (long long)sql_int(st, 3));
    r->statements = arena_grow(r->scratch, r->statements, r->count, &r->cap, sizeof *r->statements);
    if (!r->statements)
        return sql_oom(r->s, e);
    struct statement *to = &r->statements[r->count++];
    *to = (struct statement){ .id = id,
                              .rank = sql_int(st, 1),
                              .key = arena_dup(r->scratch, sql_str(st, 6)),
                              .source.feed = arena_dup(r->arena, sql_str(st, 2)) };
    metadata_copy(&meta, r->arena, &to->source.meta);
    return arena_failed(r->arena) || arena_failed(r->scratch) ? sql_oom(r->s, e) : 0;
}

static int number_cmp(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int by_weight(const void *pa, const void *pb)
{
    const struct statement *a = pa, *b = pb;
    int r = number_cmp((int64_t)a->id, (int64_t)b->id);
    r = r ? r : number_cmp(a->rank, b->rank);
    r = r ? r : str_cmp(a->source.feed, b->source.feed);
    return r ? r : str_cmp(a->key, b->key);
}

static int keep(struct reading *r, const struct statement *first, size_t count, struct err *e)
{
    struct finding_meta *meta = arena_alloc(r->arena, 1, sizeof *meta);
    count = count < FINDING_SOURCES ? count : FINDING_SOURCES;
    struct metadata_source *sources = arena_array(r->arena, struct metadata_source, count);
    if (!meta || !sources)
        return sql_oom(r->s, e);
    for (size_t i = 0; i < count; i++)
        sources[i] = first[i].source;
    *meta = (struct finding_meta){ sources, count };
    r->metas[first->id] = meta;
    return 0;
}

static int read_some(struct reading *r, size_t first, size_t count, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(r->s, e, Q_METADATA, "Pi", r->ids + first, count, r->generation);
    int got = -1;
    r->count = 0;
    while (st && (got = sql_row(r->s, st, e)) > 0)
        if (add_statement(r, st, first, e) < 0)
            return -1;
    if (got < 0)
        return -1;
    if (r->count)
        qsort(r->statements, r->count, sizeof *r->statements, by_weight);
    for (size_t i = 0, next; i < r->count; i = next) {
        for (next = i + 1; next < r->count && r->statements[next].id == r->statements[i].id;)
            next++;
        if (keep(r, &r->statements[i], next - i, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- findings ---- */

static const struct finding_meta *said_of(const struct reading *r, str id)
{
    const struct sql_pair *at = id.len ? sql_pair_find(r->ids, r->id_count, id) : NULL;
    return at ? r->metas[at - r->ids] : NULL;
}

/* What that feed says, or, with none named, the first that says anything. */
static const struct metadata_source *severity_of(const struct finding_meta *meta, const str *feed)
{
    for (size_t i = 0; meta && i < meta->source_count; i++)
        if (meta->sources[i].meta.has_severity && (!feed || str_eq(meta->sources[i].feed, *feed)))
            return &meta->sources[i];
    return NULL;
}

/* Whose severity counts. That of a range of a vendor's advisory is the worst of the flaws that it speaks of: what the same feed says of the flaw
 * is better. */
static void apply(const struct reading *r, struct finding *f)
{
    const struct finding_meta *flaw = said_of(r, f->id), *advisory = said_of(r, f->advisory);
    f->meta = flaw ? flaw : advisory;
    if (!f->meta || (f->severity != SEVERITY_UNKNOWN && !f->advisory.len))
        return;
    const struct metadata_source *s = severity_of(flaw, &f->feed);
    if (!s && f->severity != SEVERITY_UNKNOWN)
        return;
    s = s ? s : severity_of(advisory, &f->feed);
    s = s ? s : severity_of(flaw, NULL);
    s = s ? s : severity_of(advisory, NULL);
    if (s) {
        f->severity = s->meta.severity;
        f->severity_source = s->feed;
    }
}

int sql_match_metadata(struct sql *s, int64_t generation, struct finding *findings, size_t count,
                       struct arena *arena, struct err *e)
{
    CLEANUP(arena_freep) struct arena *scratch = arena_new(0);
    struct reading r = { .s = s, .arena = arena, .scratch = scratch, .generation = generation };
    if (!scratch)
        return sql_oom(s, e);
    if (!count)
        return 0;
    if (list_ids(&r, findings, count, e) < 0)
        return -1;
    for (size_t i = 0, some; i < r.id_count; i += some) {
        some = r.id_count - i < IDS_AT_ONCE ? r.id_count - i : IDS_AT_ONCE;
        if (read_some(&r, i, some, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < count; i++)
        apply(&r, &findings[i]);
    return 0;
}
