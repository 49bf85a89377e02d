/* sql_advisory.c - advisories one by one, as their feed gave them. */
#include "store/sql_update.h"

#include "base/cleanup.h"
#include "store/metadata.h"

int store_advisory_find(struct store *store, str feed, str key, int64_t *ret_id, struct err *e)
{
    return sql_number((struct sql *)store, e, ret_id, Q_ADVISORY_VISIBLE, "tb", feed, key);
}

struct reading {
    struct sql *s;
    struct arena *arena;
    int64_t id;
    struct advisory *advisory;
    size_t cap;
};

static int missing(const struct reading *r, struct err *e)
{
    return err_set(e, ERR_FORMAT, "%s: a range of advisory %lld is missing", r->s->where, (long long)r->id);
}

static int read_negative(struct reading *r, const struct range_ref *ref, struct affected_range *to,
                         struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(r->s, e, Q_NEGATIVE_GET, "ibibii", ref->namespace, ref->name, ref->kind,
                                   r->advisory->id, r->id, ref->part);
    int found = st ? sql_row(r->s, st, e) : -1;
    if (found <= 0)
        return found < 0 ? -1 : missing(r, e);
    to->fixed_version = arena_dup(r->arena, sql_str(st, 0));
    to->introduced = arena_dup(r->arena, sql_str(st, 1));
    to->arch = arena_dup(r->arena, sql_str(st, 2));
    to->module = arena_dup(r->arena, sql_str(st, 3));
    return 0;
}

static int read_affected(struct reading *r, const struct range_ref *ref, struct affected_range *to,
                         struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(r->s, e, Q_AFFECTED_GET, "ibibii", ref->namespace, ref->name, ref->kind,
                                   ref->fixed_key, r->id, ref->part);
    int found = st ? sql_row(r->s, st, e) : -1;
    if (found <= 0)
        return found < 0 ? -1 : missing(r, e);
    to->fixed_version = arena_dup(r->arena, sql_str(st, 2));
    to->state = (enum fix_state)sql_int(st, 3);
    to->severity = (enum severity)sql_int(st, 4);
    to->arch = arena_dup(r->arena, sql_str(st, 7));
    to->module = arena_dup(r->arena, sql_str(st, 8));
    to->introduced = arena_dup(r->arena, sql_str(st, 9));
    return 0;
}

static int read_range(void *ctx, const struct range_ref *ref, struct err *e)
{
    struct reading *r = ctx;
    struct advisory *a = r->advisory;
    a->ranges = arena_grow(r->arena, a->ranges, a->range_count, &r->cap, sizeof *a->ranges);
    if (!a->ranges)
        return sql_oom(r->s, e);
    struct affected_range *to = &a->ranges[a->range_count++];
    *to = (struct affected_range){ .package = arena_dup(r->arena, ref->name),
                                   .kind = (enum affected_kind)ref->kind,
                                   .negative = ref->negative };
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(r->s, e, Q_NAMESPACE_BY_ID, "i", ref->namespace);
    int found = st ? sql_row(r->s, st, e) : -1;
    if (found <= 0)
        return found < 0 ? -1 : missing(r, e);
    to->namespace = arena_dup(r->arena, sql_str(st, 0));
    to->scheme = arena_dup(r->arena, sql_str(st, 1));
    return (ref->negative ? read_negative : read_affected)(r, ref, to, e);
}

int store_advisory_get(struct store *store, int64_t id, struct arena *arena, struct stored_advisory *ret,
                       struct err *e)
{
    struct stored_advisory a = { 0 };
    struct reading r = { .s = (struct sql *)store, .arena = arena, .id = id, .advisory = &a.advisory };
    struct metadata_room room;
    struct metadata meta;
    CLEANUP(sql_endp) struct sql *t = sql_begin(r.s, false, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = t ? sql_bind(r.s, e, Q_ADVISORY_TEXTS, "i", id) : NULL;
    int found = st ? sql_row(r.s, st, e) : -1;
    if (found <= 0)
        return found;
    a.feed = arena_dup(arena, sql_str(st, 0));
    str ranges = arena_dup(arena, sql_str(st, 1));
    a.document = arena_dup(arena, sql_str(st, 2));
    a.advisory.id = arena_dup(arena, sql_str(st, 5));
    a.advisory.key = arena_dup(arena, sql_str(st, 6));
    a.advisory.title = arena_dup(arena, sql_str(st, 7));
    a.advisory.link = arena_dup(arena, sql_str(st, 8));
    a.advisory.description = arena_dup(arena, sql_str(st, 9));
    if (!metadata_unpack(sql_str(st, 10), &room, &meta))
        return err_set(e, ERR_FORMAT, "%s: damaged metadata of advisory %lld", r.s->where, (long long)id);
    metadata_copy(&meta, arena, &a.advisory.meta);
    sql_resetp(&st);
    if (range_refs(ranges, read_range, &r, e) < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(r.s, e);
    *ret = a;
    return sql_commit(&t, e) < 0 ? -1 : 1;
}
