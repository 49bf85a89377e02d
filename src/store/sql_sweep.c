#include "store/sql_update.h"

#include "base/cleanup.h"
#include "codec/pack.h"

/* The name is left out when it is that of the range before. */
void range_ref_pack(struct buf *b, const struct range_ref *r, str previous_name)
{
    pack_u64(b, (uint64_t)r->namespace);
    pack_u64(b, (uint64_t)r->kind << 1 | r->negative);
    pack_str(b, str_eq(r->name, previous_name) ? STR("") : r->name);
    pack_str(b, r->fixed_key);
}

int range_refs(str blob, int (*each)(void *context, const struct range_ref *r, struct err *e), void *context,
               struct err *e)
{
    struct unpack u = { .rest = blob };
    struct range_ref r = { 0 };
    for (; u.rest.len; r.part++) {
        r.namespace = (int64_t)unpack_u64(&u);
        uint64_t kind = unpack_u64(&u);
        r.kind = (int64_t)(kind >> 1);
        r.negative = kind & 1;
        str name = unpack_str(&u);
        r.name = name.len ? name : r.name;
        r.fixed_key = unpack_str(&u);
        if (u.failed)
            return err_set(e, ERR_FORMAT, "damaged list of ranges");
        if (each(context, &r, e) < 0)
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
