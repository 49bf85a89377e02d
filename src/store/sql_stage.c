#include "store/sql_update.h"

#include "base/cleanup.h"
#include "store/metadata.h"

#include <stdlib.h>

#define BATCH_BYTES  ((size_t)1 << 20) /* of advisories that wait: 10 to 20 ms of writing */
#define BATCH_RANGES 8192
#define SPACES_MAX   65536

struct row { /* of affected or negative */
    const struct affected_range *range;
    struct space *in;
    int64_t space, advisory, part;
    str id, introduced_key, fixed_key, qualifiers;
    bool uncertain;
};

static int oom(struct store_update *u, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: update: out of memory", u->s->where);
}

/* ---- namespaces ---- */

static struct space *space_add(struct store_update *u, int64_t id, str scheme)
{
    struct space *n = arena_alloc(u->arena, 1, sizeof *n);
    if (!n)
        return NULL;
    n->id = id;
    n->scheme_name = arena_dup(u->arena, scheme);
    n->scheme = version_scheme_by_name(scheme);
    n->next = u->spaces;
    u->spaces = n;
    return n;
}

/* From the table, where it stays even if the update is abandoned: a name alone says nothing. */
static struct space *space_load(struct store_update *u, const struct affected_range *r, struct err *e)
{
    int64_t ignored;
    /* nothing is added when it is there, or another transaction has just put it */
    if (sql_number(u->s, e, &ignored, Q_NAMESPACE_ADD, "bb", r->namespace, r->scheme) < 0)
        return NULL;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(u->s, e, Q_NAMESPACE_FIND, "b", r->namespace);
    int found = st ? sql_row(u->s, st, e) : -1;
    if (found <= 0) {
        if (!found)
            err_set(e, ERR_INTERNAL, "%s: a namespace vanished", u->s->where);
        return NULL;
    }
    struct space *n = space_add(u, sql_int(st, 0), sql_str(st, 1));
    if (!n)
        oom(u, e);
    else
        n->kinds = n->stored_kinds = sql_int(st, 2);
    return n;
}

/* One that an image or a client named first may have none yet. */
static int set_scheme(struct store_update *u, struct space *n, str scheme, struct err *e)
{
    if (sql_run(u->s, e, Q_NAMESPACE_SCHEME, "ib", n->id, scheme) < 0)
        return -1;
    n->scheme_name = arena_dup(u->arena, scheme);
    n->scheme = version_scheme_by_name(scheme);
    return arena_failed(u->arena) ? oom(u, e) : 0;
}

static struct space *space_of(struct store_update *u, const struct affected_range *r, struct err *e)
{
    struct space *n = strmap_get(&u->space_by_name, r->namespace);
    if (!n) {
        if (u->space_by_name.count >= SPACES_MAX) {
            err_set(e, ERR_LIMIT, "more than %d namespaces in one feed", SPACES_MAX);
            return NULL;
        }
        n = space_load(u, r, e);
        if (!n)
            return NULL;
        void **at = strmap_at(&u->space_by_name, arena_dup(u->arena, r->namespace));
        if (!at || arena_failed(u->arena)) {
            oom(u, e);
            return NULL;
        }
        *at = n;
    }
    if (!n->scheme_name.len && r->scheme.len && set_scheme(u, n, r->scheme, e) < 0)
        return NULL;
    if (r->scheme.len && !str_eq(n->scheme_name, r->scheme)) {
        err_set(e, ERR_FORMAT, "namespace " STR_FMT " has versions of scheme " STR_FMT ", not " STR_FMT,
                STR_ARG(r->namespace), STR_ARG(n->scheme_name), STR_ARG(r->scheme));
        return NULL;
    }
    return n;
}

static struct space *space_by_id(struct store_update *u, int64_t id)
{
    for (struct space *n = u->spaces; n; n = n->next)
        if (n->id == id)
            return n;
    return space_add(u, id, STR(""));
}

/* ---- what waits ---- */

int stage_add(struct store_update *u, const struct advisory *a, const uint8_t hash[CONTENT_HASH],
              struct err *e)
{
    if (!u->batch && !(u->batch = arena_new(0)))
        return oom(u, e);
    struct arena *to = u->batch;
    u->items = arena_grow(to, u->items, u->item_count, &u->item_cap, sizeof *u->items);
    struct affected_range *ranges = arena_array(to, struct affected_range, a->range_count);
    if (!u->items || !ranges)
        return oom(u, e);
    for (size_t i = 0; i < a->range_count; i++) {
        ranges[i] = a->ranges[i];
        ranges[i].namespace = arena_dup(to, a->ranges[i].namespace);
        ranges[i].scheme = arena_dup(to, a->ranges[i].scheme);
        ranges[i].package = arena_dup(to, a->ranges[i].package);
        ranges[i].introduced = arena_dup(to, a->ranges[i].introduced);
        ranges[i].fixed_version = arena_dup(to, a->ranges[i].fixed_version);
        ranges[i].last_affected = arena_dup(to, a->ranges[i].last_affected);
        ranges[i].arch = arena_dup(to, a->ranges[i].arch);
        str module = a->ranges[i].module;
        ranges[i].module = arena_dup(to, str_cut(&module, 0));
        ranges[i].cpe = arena_dup(to, a->ranges[i].cpe);
    }
    struct staged *item = &u->items[u->item_count++];
    *item = (struct staged){ .document = u->current };
    memcpy(item->hash, hash, CONTENT_HASH);
    buf_clear(&u->work);
    metadata_pack(&u->work, &a->meta);
    if (u->work.failed)
        return oom(u, e);
    item->metadata = arena_dup(to, buf_view(&u->work));
    item->advisory = (struct advisory){
        .key = arena_dup(to, a->key),
        .id = arena_dup(to, a->id),
        .title = arena_dup(to, a->title),
        .description = arena_dup(to, a->description),
        .link = arena_dup(to, a->link),
        .ranges = ranges,
        .range_count = a->range_count,
    };
    u->range_count += a->range_count;
    if (arena_failed(to))
        return oom(u, e);
    return arena_used(to) >= BATCH_BYTES || u->range_count >= BATCH_RANGES ? stage_flush(u, e) : 0;
}

/* ---- writing ---- */

/* The row that tells a successor what to sweep, before the first thing to sweep. */
static int mark_pending(struct store_update *u, struct err *e)
{
    if (u->pending)
        return 0;
    return sql_run(u->s, e, Q_PENDING_ADD, "ii", u->generation, u->first);
}

int stage_documents(struct store_update *u, struct err *e)
{
    for (struct document *d = u->documents; d; d = d->next) {
        int64_t id;
        if (d->id || d->dropped)
            continue;
        if (sql_number(u->s, e, &id, Q_DOCUMENT_ADD, "ib", u->feed_id, d->name) < 0 ||
            document_number(u, d, id, e) < 0)
            return -1;
    }
    return 0;
}

static int uncount_range(void *context, const struct range_ref *r, struct err *e)
{
    struct store_update *u = context;
    struct space *n = space_by_id(u, r->namespace);
    if (!n)
        return oom(u, e);
    n->delta--;
    u->counts.rows++;
    return 0;
}

static int end_advisory(struct store_update *u, int64_t id, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(u->s, e, Q_ADVISORY_RANGES, "i", id);
    int r = st ? sql_row(u->s, st, e) : -1;
    if (r <= 0 || range_refs(sql_str(st, 0), uncount_range, u, e) < 0)
        return r == 0 ? err_set(e, ERR_FORMAT, "%s: advisory %lld is missing", u->s->where, (long long)id)
                      : -1;
    return sql_run(u->s, e, Q_ADVISORY_END, "ii", id, u->generation);
}

static int log_change(struct store_update *u, int64_t before, int64_t after, struct err *e)
{
    if (u->first_load || u->silent)
        return 0;
    return sql_bulk(u->s, e, BULK_CHANGE, "iiiiin", u->generation, ++u->changes, u->feed_id, before, after);
}

int stage_change(struct store_update *u, int64_t before, int64_t after, str namespace, struct err *e)
{
    const struct affected_range r = { .namespace = namespace };
    CLEANUP(sql_endp) struct sql *t = update_transaction(u, e);
    struct space *n = t && mark_pending(u, e) == 0 ? space_of(u, &r, e) : NULL;
    if (!n ||
        sql_bulk(t, e, BULK_CHANGE, "iiiiii", u->generation, ++u->changes, u->feed_id, before, after, n->id) <
            0 ||
        sql_bulk_end(t, e) < 0 || sql_commit(&t, e) < 0)
        return -1;
    u->pending = true;
    return 0;
}

static int add_block(struct store_update *u, struct space *n, int64_t block, struct err *e)
{
    if (n->last_block == block + 1)
        return 0;
    n->blocks = arena_grow(u->batch, n->blocks, n->block_count, &n->block_cap, sizeof *n->blocks);
    if (!n->blocks)
        return oom(u, e);
    n->blocks[n->block_count++] = block;
    n->last_block = block + 1;
    return 0;
}

/* Where something is affected; of a client's, which may have no range, in the namespace of its key. */
static int add_blocks(struct store_update *u, const struct staged *item, const struct row *rows,
                      struct err *e)
{
    int64_t block = item->id >> BLOCK_BITS;
    if (str_eq(u->feed, STORE_MANUAL)) {
        const struct affected_range of_key = { .namespace = store_manual_namespace(&item->advisory) };
        if (!of_key.namespace.len)
            return err_set(e, ERR_FORMAT, "its key names no namespace");
        struct space *n = space_of(u, &of_key, e);
        return n ? add_block(u, n, block, e) : -1;
    }
    for (size_t i = 0; i < item->advisory.range_count; i++)
        if (!rows[i].range->negative && add_block(u, rows[i].in, block, e) < 0)
            return -1;
    return 0;
}

/* Some are there already: of an update of before, which ended in the same block. */
static int write_blocks(struct store_update *u, struct err *e)
{
    for (struct space *n = u->spaces; n; n = n->next) {
        if (n->block_count && sql_run(u->s, e, Q_SPACE_ADD, "iI", n->id, n->blocks, n->block_count) < 0)
            return -1;
        n->blocks = NULL; /* they go with the batch */
        n->block_count = n->block_cap = 0;
    }
    return 0;
}

static int make_row(struct store_update *u, const struct staged *item, size_t part, struct row *ret,
                    struct err *e)
{
    const struct affected_range *r = &item->advisory.ranges[part];
    struct range_keys keys;
    if (!r->package.len || !r->namespace.len)
        return err_set(e, ERR_FORMAT, "range %zu names no package or namespace", part);
    struct space *n = space_of(u, r, e);
    if (!n)
        return -1;
    range_keys(r, n->scheme, &keys);
    *ret = (struct row){
        .range = r,
        .in = n,
        .space = n->id,
        .advisory = item->id,
        .part = (int64_t)part,
        .id = item->advisory.id,
        .introduced_key = arena_dup(u->batch, keys.introduced),
        .fixed_key = arena_dup(u->batch, keys.fixed),
        .uncertain = keys.uncertain,
    };
    qualifiers_pack(u->batch, r->module, r->cpe, &ret->qualifiers);
    n->delta++;
    n->kinds |= r->kind == AFFECTS_SOURCE ? (r->negative ? KIND_NOT_SOURCE : KIND_SOURCE)
                                          : (r->negative ? KIND_NOT_BINARY : KIND_BINARY);
    u->counts.rows++;
    return arena_failed(u->batch) ? oom(u, e) : 0;
}

static int write_advisory(struct store_update *u, const struct staged *item, struct row *rows, struct err *e)
{
    const struct advisory *a = &item->advisory;
    struct range_ref previous;
    buf_clear(&u->work);
    for (size_t i = 0; i < a->range_count; i++) {
        const struct affected_range *r = &a->ranges[i];
        if (make_row(u, item, i, &rows[i], e) < 0)
            return -1;
        struct range_ref ref = { .namespace = rows[i].space,
                                 .kind = r->kind,
                                 .negative = r->negative,
                                 .name = r->package,
                                 .fixed_key = r->negative ? STR("") : rows[i].fixed_key };
        range_ref_pack(&u->work, &ref, i ? &previous : NULL);
        previous = ref;
    }
    if (u->work.failed)
        return oom(u, e);
    if (item->old && end_advisory(u, item->old, e) < 0)
        return -1;
    if (sql_bulk(u->s, e, BULK_ADVISORY, "iiiibbbbbbbb", item->id, u->feed_id, item->document->id,
                 u->generation, str_of(item->hash, CONTENT_HASH), a->key, a->id, buf_view(&u->work), a->link,
                 a->title, a->description, item->metadata) < 0)
        return -1;
    if (add_blocks(u, item, rows, e) < 0)
        return -1;
    /* what a client writes in one namespace says nothing of an id in others */
    bool as_such = item->metadata.len && !str_eq(u->feed, STORE_MANUAL);
    u->metadata |= as_such;
    if (as_such && sql_bulk(u->s, e, BULK_METADATA, "bi", a->id, item->id) < 0)
        return -1;
    return item->same_meaning ? 0 : log_change(u, item->old, item->id, e);
}

/* As the tables are clustered, so that a batch touches each page once. */
static int by_cluster(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    int r = (a->range->negative > b->range->negative) - (a->range->negative < b->range->negative);
    r = r ? r : (a->space > b->space) - (a->space < b->space);
    r = r ? r : str_cmp(a->range->package, b->range->package);
    r = r ? r : (a->range->kind > b->range->kind) - (a->range->kind < b->range->kind);
    return r ? r : a->range->negative ? str_cmp(a->id, b->id) : str_cmp(a->fixed_key, b->fixed_key);
}

static int write_row(struct store_update *u, const struct row *w, struct err *e)
{
    const struct affected_range *r = w->range;
    char room[RANGE_END_ROOM];
    if (r->negative)
        return sql_bulk(u->s, e, BULK_NEGATIVE, "ibibiibbbbbb", w->space, r->package, (int64_t)r->kind, w->id,
                        w->advisory, w->part, w->introduced_key, w->fixed_key, r->fixed_version,
                        r->introduced, r->arch, w->qualifiers);
    return sql_bulk(u->s, e, BULK_AFFECTED, "ibibiibiiibbbb", w->space, r->package, (int64_t)r->kind,
                    w->fixed_key, w->advisory, w->part, w->introduced_key, (int64_t)r->severity,
                    (int64_t)r->state, (int64_t)w->uncertain, range_end(r, room), r->introduced, r->arch,
                    w->qualifiers);
}

static int by_key(const void *pa, const void *pb)
{
    return str_cmp((*(const struct staged *const *)pa)->advisory.key,
                   (*(const struct staged *const *)pb)->advisory.key);
}

/* Two items that wait have one key. */
static int check_keys(struct store_update *u, struct err *e)
{
    const struct staged **sorted = arena_array(u->batch, const struct staged *, u->item_count + 1);
    if (!sorted)
        return oom(u, e);
    for (size_t i = 0; i < u->item_count; i++)
        sorted[i] = &u->items[i];
    qsort(sorted, u->item_count, sizeof *sorted, by_key);
    for (size_t i = 1; i < u->item_count; i++)
        if (by_key(&sorted[i - 1], &sorted[i]) == 0)
            return err_set(e, ERR_FORMAT, STR_FMT ": " STR_FMT ": the key comes twice",
                           STR_ARG(sorted[i]->document->name), STR_ARG(sorted[i]->advisory.key));
    return 0;
}

/* Items that are as what is there go; the others get their numbers. */
static void keep_different(struct store_update *u)
{
    size_t kept = 0;
    u->range_count = 0;
    for (size_t i = 0; i < u->item_count; i++) {
        struct staged *item = &u->items[i];
        if (item->same) {
            u->counts.unchanged++;
            continue;
        }
        item->id = u->next++;
        u->range_count += item->advisory.range_count;
        if (item->old)
            u->counts.changed++;
        else
            u->counts.added++;
        u->items[kept++] = *item;
    }
    u->item_count = kept;
}

/* The unique index found that a key comes twice, but of many rows it does not say which. */
static int name_twice(struct store_update *u, struct err *e)
{
    struct err ignored = { 0 };
    if (check_keys(u, e) < 0)
        return -1;
    for (size_t i = 0; i < u->item_count; i++) {
        const struct staged *item = &u->items[i];
        int64_t id;
        if (sql_number(u->s, &ignored, &id, Q_ADVISORY_FIND, "ib", u->feed_id, item->advisory.key) > 0 &&
            id != item->old)
            return err_set(e, ERR_FORMAT, STR_FMT ": " STR_FMT ": the key comes twice",
                           STR_ARG(item->document->name), STR_ARG(item->advisory.key));
    }
    return -1;
}

/* Before the first row of a kind can be seen; that there are none any more is not worth knowing. */
static int write_kinds(struct store_update *u, struct err *e)
{
    for (struct space *n = u->spaces; n; n = n->next) {
        if (n->kinds == n->stored_kinds)
            continue;
        if (sql_run(u->s, e, Q_NAMESPACE_KINDS, "ii", n->id, n->kinds) < 0)
            return -1;
        n->stored_kinds = n->kinds;
    }
    return 0;
}

static int write_batch(struct store_update *u, struct err *e)
{
    struct row *rows = arena_array(u->batch, struct row, u->range_count);
    size_t n = 0;
    if (!rows)
        return oom(u, e);
    for (size_t i = 0; i < u->item_count; i++) {
        const struct staged *item = &u->items[i];
        if (write_advisory(u, item, rows + n, e) < 0)
            return err_wrap(e, STR_FMT ": " STR_FMT, STR_ARG(item->document->name),
                            STR_ARG(item->advisory.key));
        n += item->advisory.range_count;
    }
    qsort(rows, n, sizeof *rows, by_cluster);
    for (size_t i = 0; i < n; i++)
        if (write_row(u, &rows[i], e) < 0)
            return -1;
    return write_kinds(u, e) < 0 || write_blocks(u, e) < 0 ? -1 : sql_bulk_end(u->s, e);
}

static int write_items(struct store_update *u, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = update_transaction(u, e);
    if (!t || mark_pending(u, e) < 0 || stage_documents(u, e) < 0)
        return -1;
    if (write_batch(u, e) < 0 || sql_commit(&t, e) < 0)
        return -1;
    u->pending = true;
    return 0;
}

int stage_flush(struct store_update *u, struct err *e)
{
    if (!u->item_count)
        return 0;
    if (update_resolve(u, e) < 0)
        return -1;
    keep_different(u);
    if (u->item_count && write_items(u, e) < 0)
        return u->s->conflict ? name_twice(u, e) : -1;
    arena_freep(&u->batch);
    u->items = NULL;
    u->item_count = u->item_cap = u->range_count = 0;
    return 0;
}

int stage_end(struct store_update *u, const int64_t *ids, size_t count, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = update_transaction(u, e);
    if (!t || mark_pending(u, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (end_advisory(u, ids[i], e) < 0 || log_change(u, ids[i], 0, e) < 0)
            return -1;
    if (sql_bulk_end(t, e) < 0 || sql_commit(&t, e) < 0)
        return -1;
    u->pending = true;
    u->counts.withdrawn += (int64_t)count;
    return 0;
}
