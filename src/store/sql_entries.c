/* sql_entries.c - advisories as their feed gave them, one or page by page: the ranges of a whole page are looked up by a few statements, for to
 * a server each is a journey. */
#include "store/sql_update.h"

#include "base/cleanup.h"
#include "store/metadata.h"
#include "store/rows.h"

#include <endian.h>

#define RANGES_AT_ONCE 4096
#define KEY_NUMBERS    32 /* bytes of namespace, kind, advisory and part, before the rest of a key */

struct name { /* of a namespace */
    struct name *next;
    int64_t id;
    str name, scheme;
};

struct wanted { /* a range that is to be read */
    struct affected_range *to;
    struct sql_pair pair;
    int64_t advisory;
    bool found;
};

struct page {
    struct sql *s;
    struct arena *arena; /* what is given back */
    struct arena *work;
    struct stored_entry *list;
    size_t count;
    struct name *names;
    struct wanted *wanted[2]; /* affected, negative */
    size_t wanted_count[2], wanted_cap[2];
    size_t range_cap; /* of the entry that is being read */
};

static const struct name *name_of(struct page *p, int64_t id, struct err *e)
{
    for (const struct name *n = p->names; n; n = n->next)
        if (n->id == id)
            return n;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(p->s, e, Q_NAMESPACE_BY_ID, "i", id);
    int r = st ? sql_row(p->s, st, e) : -1;
    if (r <= 0) {
        if (!r)
            err_set(e, ERR_FORMAT, "%s: namespace %lld is missing", p->s->where, (long long)id);
        return NULL;
    }
    struct name *n = arena_alloc(p->work, 1, sizeof *n);
    if (!n) {
        sql_oom(p->s, e);
        return NULL;
    }
    *n = (struct name){ p->names, id, arena_dup(p->arena, sql_str(st, 0)),
                        arena_dup(p->arena, sql_str(st, 1)) };
    return p->names = n;
}

/* Namespace, kind, advisory and part, and the rest of the primary key. */
static str key_of(struct page *p, const struct range_ref *r, int64_t advisory, str rest)
{
    char *room = arena_alloc(p->work, KEY_NUMBERS + rest.len, 1);
    const uint64_t numbers[] = { htobe64((uint64_t)r->namespace), htobe64((uint64_t)r->kind),
                                 htobe64((uint64_t)advisory), htobe64((uint64_t)r->part) };
    if (!room)
        return (str){ 0 };
    memcpy(room, numbers, sizeof numbers);
    if (rest.len)
        memcpy(room + KEY_NUMBERS, rest.ptr, rest.len);
    return str_of(room, KEY_NUMBERS + rest.len);
}

static int add_range(void *ctx, const struct range_ref *r, struct err *e)
{
    struct page *p = ctx;
    struct stored_entry *entry = &p->list[p->count];
    struct advisory *a = &entry->advisory;
    bool k = r->negative;
    const struct name *n = name_of(p, r->namespace, e);
    if (!n)
        return -1;
    a->ranges = arena_grow(p->arena, a->ranges, a->range_count, &p->range_cap, sizeof *a->ranges);
    p->wanted[k] =
        arena_grow(p->work, p->wanted[k], p->wanted_count[k], &p->wanted_cap[k], sizeof **p->wanted);
    if (!a->ranges || !p->wanted[k])
        return sql_oom(p->s, e);
    struct affected_range *to = &a->ranges[a->range_count++];
    *to = (struct affected_range){ .namespace = n->name,
                                   .scheme = n->scheme,
                                   .package = arena_dup(p->arena, r->name),
                                   .kind = (enum affected_kind)r->kind,
                                   .negative = r->negative };
    p->wanted[k][p->wanted_count[k]++] = (struct wanted){
        .advisory = entry->id,
        .pair = { to->package, key_of(p, r, entry->id, r->negative ? a->id : r->fixed_key) },
    };
    return 0;
}

/* Ranges lie where they will stay only when all of an entry are there. */
static void place_ranges(struct page *p, const size_t before[2])
{
    size_t at[2] = { before[0], before[1] };
    struct advisory *a = &p->list[p->count].advisory;
    for (size_t i = 0; i < a->range_count; i++)
        p->wanted[a->ranges[i].negative][at[a->ranges[i].negative]++].to = &a->ranges[i];
}

static int take_metadata(struct page *p, str packed, struct stored_entry *entry, struct err *e)
{
    struct metadata_room room;
    struct metadata meta;
    if (!metadata_unpack(packed, &room, &meta))
        return err_set(e, ERR_FORMAT, "%s: damaged metadata of advisory %lld", p->s->where,
                       (long long)entry->id);
    metadata_copy(&meta, p->arena, &entry->advisory.meta);
    return 0;
}

/* From column `at` on: document, ranges; number, feed, id, key, title, link, description, metadata */
static int add_entry(struct page *p, struct sql_stmt *st, int at, struct err *e)
{
    const size_t before[] = { p->wanted_count[0], p->wanted_count[1] };
    struct stored_entry *entry = &p->list[p->count];
    *entry = (struct stored_entry){ .id = sql_int(st, at + 2), .document = sql_int(st, at + 0) };
    entry->advisory = (struct advisory){
        .id = arena_dup(p->arena, sql_str(st, at + 4)),
        .key = arena_dup(p->arena, sql_str(st, at + 5)),
        .title = arena_dup(p->arena, sql_str(st, at + 6)),
        .link = arena_dup(p->arena, sql_str(st, at + 7)),
        .description = arena_dup(p->arena, sql_str(st, at + 8)),
    };
    p->range_cap = 0;
    if (take_metadata(p, sql_str(st, at + 9), entry, e) < 0 ||
        range_refs(sql_str(st, at + 1), add_range, p, e) < 0)
        return -1;
    place_ranges(p, before);
    p->count++;
    return 0;
}

static void take_qualifiers(struct page *p, str packed, struct affected_range *to)
{
    str module, cpe;
    qualifiers_unpack(packed, &module, &cpe);
    to->module = arena_dup(p->arena, module);
    to->cpe = arena_dup(p->arena, cpe);
}

static void take_negative(struct page *p, struct sql_stmt *st, struct affected_range *to)
{
    to->fixed_version = arena_dup(p->arena, sql_str(st, 1));
    to->introduced = arena_dup(p->arena, sql_str(st, 2));
    to->arch = arena_dup(p->arena, sql_str(st, 3));
    take_qualifiers(p, sql_str(st, 4), to);
}

static void take_affected(struct page *p, struct sql_stmt *st, struct affected_range *to)
{
    range_end_read(arena_dup(p->arena, sql_str(st, 3)), to);
    to->state = (enum fix_state)sql_int(st, 4);
    to->severity = (enum severity)sql_int(st, 5);
    to->arch = arena_dup(p->arena, sql_str(st, 8));
    take_qualifiers(p, sql_str(st, 9), to);
    to->introduced = arena_dup(p->arena, sql_str(st, 10));
}

static int read_some(struct page *p, bool negative, struct wanted *list, size_t count, struct err *e)
{
    struct sql_pair *pairs = arena_array(p->work, struct sql_pair, count);
    if (!pairs || arena_failed(p->work))
        return sql_oom(p->s, e);
    for (size_t i = 0; i < count; i++)
        pairs[i] = list[i].pair;
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(p->s, e, negative ? Q_NEGATIVE_THESE : Q_AFFECTED_THESE, "P", pairs, count);
    int r = -1;
    while (st && (r = sql_row(p->s, st, e)) > 0) {
        size_t i = (size_t)sql_int(st, 0);
        if (i >= count)
            return err_set(e, ERR_INTERNAL, "%s: a range of nothing", p->s->where);
        (negative ? take_negative : take_affected)(p, st, list[i].to);
        list[i].found = true;
    }
    for (size_t i = 0; r == 0 && i < count; i++)
        if (!list[i].found)
            return err_set(e, ERR_FORMAT, "%s: a range of advisory %lld is missing", p->s->where,
                           (long long)list[i].advisory);
    return r;
}

static int read_ranges(struct page *p, struct err *e)
{
    for (int k = 0; k < 2; k++)
        for (size_t i = 0, n; i < p->wanted_count[k]; i += n) {
            n = p->wanted_count[k] - i < RANGES_AT_ONCE ? p->wanted_count[k] - i : RANGES_AT_ONCE;
            if (read_some(p, k, p->wanted[k] + i, n, e) < 0)
                return -1;
        }
    return 0;
}

/* Rows of a document, ranges and a record, and all that their ranges say. Inside a transaction. */
static int read_page(struct page *p, struct sql_stmt *st, size_t limit, struct err *e)
{
    int r = -1;
    while (st && p->count < limit && (r = sql_row(p->s, st, e)) > 0)
        if (add_entry(p, st, 0, e) < 0)
            return -1;
    if (r < 0 || read_ranges(p, e) < 0)
        return -1;
    return arena_failed(p->arena) ? sql_oom(p->s, e) : 0;
}

int store_advisories_after(struct store *store, str feed, int64_t after, size_t limit, struct arena *arena,
                           struct stored_entry **ret, size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(arena_freep) struct arena *work = arena_new(0);
    struct page p = {
        .s = s, .arena = arena, .work = work, .list = arena_array(arena, struct stored_entry, limit)
    };
    if (!work || !p.list)
        return sql_oom(s, e);
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    CLEANUP(sql_resetp)
    struct sql_stmt *st = t ? sql_bind(s, e, Q_ADVISORIES_AFTER, "tii", feed, after, (int64_t)limit) : NULL;
    if (read_page(&p, st, limit, e) < 0)
        return -1;
    *ret = p.list;
    *ret_count = p.count;
    return 0;
}

/* ---- one ---- */

int store_advisory_find(struct store *store, str feed, str key, int64_t *ret_id, struct err *e)
{
    return sql_number((struct sql *)store, e, ret_id, Q_ADVISORY_VISIBLE, "tb", feed, key);
}

int sql_advisory_read(struct sql *s, int64_t id, struct arena *arena, struct stored_advisory *ret,
                      struct err *e)
{
    struct stored_entry entry;
    CLEANUP(arena_freep) struct arena *work = arena_new(0);
    struct page p = { .s = s, .arena = arena, .work = work, .list = &entry };
    if (!work)
        return sql_oom(s, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_ADVISORY_GET, "i", id);
    if (read_page(&p, st, 1, e) < 0)
        return -1;
    if (!p.count)
        return 0;
    CLEANUP(sql_resetp) struct sql_stmt *place = sql_bind(s, e, Q_ADVISORY_PLACE, "i", id);
    int r = place ? sql_row(s, place, e) : -1;
    if (r <= 0)
        return r < 0 ? -1
                     : err_set(e, ERR_FORMAT, "%s: advisory %lld is of no feed", s->where, (long long)id);
    *ret = (struct stored_advisory){ .feed = arena_dup(arena, sql_str(place, 0)),
                                     .document = arena_dup(arena, sql_str(place, 1)),
                                     .rank = (unsigned)sql_int(place, 2),
                                     .advisory = entry.advisory };
    return arena_failed(arena) ? sql_oom(s, e) : 1;
}

int sql_advisories_these(struct sql *s, const int64_t *ids, size_t count, struct arena *arena,
                         struct stored_entry **ret, struct err *e)
{
    CLEANUP(arena_freep) struct arena *work = arena_new(0);
    struct page p = { .s = s, .arena = arena, .work = work };
    struct stored_entry *list = arena_array(arena, struct stored_entry, count + 1);
    p.list = arena_array(arena, struct stored_entry, count + 1);
    if (!work || !p.list || !list)
        return sql_oom(s, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_ADVISORIES_THESE, "I", ids, count);
    if (read_page(&p, st, count, e) < 0)
        return -1;
    for (size_t i = 0, k = 0; i < count; i++) /* they come in order */
        list[i] = k < p.count && p.list[k].id == ids[i] ? p.list[k++] : (struct stored_entry){ 0 };
    *ret = list;
    return 0;
}

/* ---- those of some names ---- */

/* rank, feed; the place of the name stands where a document does */
static int add_said(struct page *p, struct sql_stmt *st, struct sql_said *to, struct err *e)
{
    if (add_entry(p, st, 2, e) < 0)
        return -1;
    *to = (struct sql_said){
        .said = { .feed = arena_dup(p->arena, sql_str(st, 1)), .rank = (unsigned)sql_int(st, 0) },
    };
    return 0;
}

int sql_said_of(struct sql *s, const struct sql_pair *names, size_t count, int64_t generation,
                struct arena *arena, struct sql_said **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(arena_freep) struct arena *work = arena_new(0);
    struct page p = { .s = s, .arena = arena, .work = work };
    struct sql_said *said = NULL;
    size_t cap = 0, said_cap = 0;
    int r = -1;
    if (!work)
        return sql_oom(s, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_SAID_OF, "Pi", names, count, generation);
    while (st && (r = sql_row(s, st, e)) > 0) {
        p.list = arena_grow(work, p.list, p.count, &cap, sizeof *p.list);
        said = arena_grow(arena, said, p.count, &said_cap, sizeof *said);
        if (!p.list || !said)
            return sql_oom(s, e);
        if (add_said(&p, st, &said[p.count], e) < 0)
            return -1;
    }
    if (r < 0 || read_ranges(&p, e) < 0)
        return -1;
    for (size_t i = 0; i < p.count; i++) {
        said[i].name = (size_t)p.list[i].document;
        said[i].id = p.list[i].id;
        said[i].said.advisory = p.list[i].advisory;
    }
    *ret = said;
    *ret_count = p.count;
    return arena_failed(arena) ? sql_oom(s, e) : 0;
}

int store_advisory_get(struct store *store, int64_t id, struct arena *arena, struct stored_advisory *ret,
                       struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    int found = t ? sql_advisory_read(s, id, arena, ret, e) : -1;
    return found < 0 || sql_commit(&t, e) < 0 ? -1 : found;
}

int store_said(struct store *store, str id, struct arena *arena, struct stored_advisory **ret,
               size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    const struct sql_pair names[] = { { .name = id } };
    struct sql_said *said = NULL;
    size_t count = 0;
    int64_t generation;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t || sql_generation(s, &generation, e) < 0 ||
        sql_said_of(s, names, 1, generation, arena, &said, &count, e) < 0)
        return -1;
    struct stored_advisory *list = arena_array(arena, struct stored_advisory, count + 1);
    if (!list)
        return sql_oom(s, e);
    for (size_t i = 0; i < count; i++)
        list[i] = said[i].said;
    *ret = list;
    *ret_count = count;
    return sql_commit(&t, e);
}
