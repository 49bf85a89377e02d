#include "store/sql_update.h"

#include "base/cleanup.h"
#include "codec/pack.h"

/*
 * A list of schema 6 begins with a byte 0, for no namespace has that number. A range is then a number of flags, its namespace unless that is the one of
 * the range before, how long the beginning is that its name shares with that one's and what follows, and its fixed key, likewise or none at
 * all when both are the same. Before that it was namespace, kind and negative, name (empty: the same), and fixed key.
 */
enum { REF_NEGATIVE = 1, REF_SPACE = 2, REF_KEY = 4, REF_KIND = 8 };

static void shared_pack(struct buf *b, str text, str before)
{
    size_t n = 0;
    while (n < text.len && n < before.len && text.ptr[n] == before.ptr[n])
        n++;
    pack_u64(b, n);
    pack_str(b, str_skip(text, n));
}

void range_ref_pack(struct buf *b, const struct range_ref *r, const struct range_ref *previous)
{
    static const struct range_ref none = { 0 };
    if (!previous)
        buf_char(b, 0);
    const struct range_ref *p = previous ? previous : &none;
    bool same_space = r->namespace == p->namespace, same_key = str_eq(r->fixed_key, p->fixed_key);
    pack_u64(b, (uint64_t)r->kind * REF_KIND | (r->negative ? REF_NEGATIVE : 0) |
                    (same_space ? 0 : REF_SPACE) | (same_key ? 0 : REF_KEY));
    if (!same_space)
        pack_u64(b, (uint64_t)r->namespace);
    shared_pack(b, r->name, p->name);
    if (!same_key)
        shared_pack(b, r->fixed_key, p->fixed_key);
}

/* Of one list: the texts of the range that is being told. */
struct refs {
    struct unpack u;
    struct range_ref now;
    struct buf name, key;
};

static void refs_done(struct refs *r)
{
    buf_done(&r->name);
    buf_done(&r->key);
}

static str shared_unpack(struct unpack *u, struct buf *text)
{
    uint64_t n = unpack_u64(u);
    str rest = unpack_str(u);
    u->failed |= n > text->len;
    if (!u->failed) {
        text->len = (size_t)n;
        buf_str(text, rest);
    }
    return buf_view(text);
}

static void take_ref(struct refs *r)
{
    uint64_t flags = unpack_u64(&r->u);
    r->now.negative = flags & REF_NEGATIVE;
    r->now.kind = (int64_t)(flags / REF_KIND);
    if (flags & REF_SPACE)
        r->now.namespace = (int64_t)unpack_u64(&r->u);
    r->now.name = shared_unpack(&r->u, &r->name);
    if (flags & REF_KEY)
        r->now.fixed_key = shared_unpack(&r->u, &r->key);
}

static void take_old_ref(struct refs *r)
{
    r->now.namespace = (int64_t)unpack_u64(&r->u);
    uint64_t kind = unpack_u64(&r->u);
    r->now.kind = (int64_t)(kind >> 1);
    r->now.negative = kind & 1;
    str name = unpack_str(&r->u);
    r->now.name = name.len ? name : r->now.name;
    r->now.fixed_key = unpack_str(&r->u);
}

int range_refs(str blob, int (*each)(void *context, const struct range_ref *r, struct err *e), void *context,
               struct err *e)
{
    bool old = blob.len && *blob.ptr;
    CLEANUP(refs_done) struct refs r = { .u.rest = old ? blob : str_skip(blob, 1) };
    for (; r.u.rest.len; r.now.part++) {
        (old ? take_old_ref : take_ref)(&r);
        if (r.name.failed || r.key.failed)
            return err_set(e, ERR_OOM, "out of memory");
        if (r.u.failed)
            return err_set(e, ERR_FORMAT, "damaged list of ranges");
        if (each(context, &r.now, e) < 0)
            return -1;
    }
    return 0;
}

struct sweep {
    struct sql *s;
    int64_t advisory;
    str name; /* CVE-2024-1 */
};

static int delete_range(void *context, const struct range_ref *r, struct err *e)
{
    const struct sweep *w = context;
    if (r->negative)
        return sql_run(w->s, e, Q_SWEEP_NEGATIVE, "ibibii", r->namespace, r->name, r->kind, w->name,
                       w->advisory, r->part);
    return sql_run(w->s, e, Q_SWEEP_AFFECTED, "ibibii", r->namespace, r->name, r->kind, r->fixed_key,
                   w->advisory, r->part);
}

/* The last advisory of a block takes with it what is said of all of them. */
static int forget_block(struct sql *s, int64_t block, struct err *e)
{
    int64_t ignored;
    int used = sql_number(s, e, &ignored, Q_BLOCK_USED, "i", block);
    return used ? (used < 0 ? -1 : 0) : sql_run(s, e, Q_SWEEP_SPACES, "i", block);
}

int sql_delete_advisories(struct sql *s, enum query q, int64_t argument, int64_t *ret_count, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, q, "i", argument);
    int r = -1;
    *ret_count = 0;
    while (st && (r = sql_row(s, st, e)) > 0) {
        struct sweep w = { .s = s, .advisory = sql_int(st, 0), .name = sql_str(st, 1) };
        if (range_refs(sql_str(st, 2), delete_range, &w, e) < 0 ||
            sql_run(s, e, Q_SWEEP_METADATA, "bi", w.name, w.advisory) < 0 ||
            sql_run(s, e, Q_SWEEP_ADVISORY, "i", w.advisory) < 0 ||
            forget_block(s, w.advisory >> BLOCK_BITS, e) < 0)
            return -1;
        ++*ret_count;
    }
    return r;
}

/* One transaction; *ret_count rows went. */
static int step(struct store_update *u, enum query q, int64_t argument, int64_t *ret_count, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = update_transaction(u, e);
    if (!t)
        return -1;
    if (q == Q_SWEEP_STAGED) {
        if (sql_delete_advisories(t, q, argument, ret_count, e) < 0)
            return -1;
    } else {
        if (sql_run(t, e, q, "i", argument) < 0)
            return -1;
        *ret_count = sql_changes(t);
    }
    return sql_commit(&t, e);
}

static int find_pending(struct sql *s, int64_t *generation, int64_t *first, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_PENDING_GET, "");
    int r = st ? sql_row(s, st, e) : -1;
    if (r > 0) {
        *generation = sql_int(st, 0);
        *first = sql_int(st, 1);
    }
    return r;
}

int update_sweep(struct store_update *u, struct err *e)
{
    int64_t generation, first, count;
    int r = find_pending(u->s, &generation, &first, e);
    if (r <= 0)
        return r;
    /* New rows go before old ones live again: their keys would collide. */
    const struct {
        enum query query;
        int64_t argument;
    } steps[] = { { Q_SWEEP_STAGED, first }, { Q_SWEEP_ENDED, generation }, { Q_SWEEP_CHANGES, generation } };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        do
            if (step(u, steps[i].query, steps[i].argument, &count, e) < 0)
                return -1;
        while (count);
    CLEANUP(sql_endp) struct sql *t = update_transaction(u, e);
    if (!t || sql_run(t, e, Q_SWEEP_SPACES_BEHIND, "i", (first - 1) >> BLOCK_BITS) < 0 ||
        sql_run(t, e, Q_SWEEP_DOCUMENTS, "") < 0 || sql_run(t, e, Q_PENDING_DROP, "") < 0)
        return -1;
    return sql_commit(&t, e);
}
