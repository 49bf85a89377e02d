#include "store/sql_update.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/metadata.h"

#define WALK           2000 /* advisories of one step, as Q_ADVISORY_WALK says */
#define LEASE          STR("update")
#define RENEW_AFTER_MS (LEASE_S * 1000 / 2)
#define RENEW_AGAIN_MS                                                                                       \
    1000 /* a document that begins renews it unless that was just done: feeds have tens of thousands */

static int oom(const struct sql *s, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: update: out of memory", s->where);
}

/* ---- the lease ---- */

struct sql *update_transaction(struct store_update *u, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin(u->s, true, e);
    if (!t ||
        sql_run(t, e, Q_LEASE_RENEW, "ttii", LEASE, str_from(u->owner), clock_up(), (int64_t)LEASE_S) < 0)
        return NULL;
    if (!sql_changes(t)) {
        u->holds_lease = false;
        err_set(e, ERR_BUSY, "%s: another process has taken over the update", t->where);
        return NULL;
    }
    u->renewed_ms = clock_ms();
    t = NULL;
    return u->s;
}

/* Unless that was done within `after_ms`. */
static int lease_renew(struct store_update *u, int64_t after_ms, struct err *e)
{
    if (clock_ms() - u->renewed_ms < after_ms)
        return 0;
    CLEANUP(sql_endp) struct sql *t = update_transaction(u, e);
    return t ? sql_commit(&t, e) : -1;
}

static int lease_take(struct store_update *u, struct err *e)
{
    int64_t until;
    store_owner(u->owner);
    CLEANUP(sql_endp) struct sql *t = sql_begin(u->s, true, e);
    int held = t ? sql_lease_take(t, LEASE, str_from(u->owner), LEASE_S, &until, e) : -1;
    if (held <= 0)
        return held < 0 ? -1 : err_set(e, ERR_BUSY, "%s: another update is running", t->where);
    if (sql_run(u->s, e, Q_FEED_ADD, "ti", u->feed, u->rank) < 0 || sql_commit(&t, e) < 0)
        return -1;
    u->holds_lease = true;
    u->renewed_ms = clock_ms();
    return 0;
}

/* ---- begin and end ---- */

void store_update_freep(struct store_update **update)
{
    struct err ignored = { 0 };
    struct store_update *u = *update;
    if (!u)
        return;
    if (u->holds_lease && store_lease_drop(&u->s->store, LEASE, str_from(u->owner), &ignored) < 0)
        memcpy(u->s->lost_lease, u->owner, sizeof u->owner);
    arena_freep(&u->batch);
    arena_freep(&u->arena);
    strmap_done(&u->space_by_name);
    strmap_done(&u->document_by_name);
    strmap_done(&u->document_by_id);
    buf_done(&u->work);
    free(u->seen);
    free(u);
    *update = NULL;
}

static int get_numbers(struct store_update *u, struct err *e)
{
    int64_t last = 0;
    if (sql_generation(u->s, &u->generation, e) < 0 || sql_number(u->s, e, &last, Q_ADVISORY_LAST, "") < 0)
        return -1;
    CLEANUP(sql_resetp) struct sql_stmt *feed = sql_bind(u->s, e, Q_FEED_GET, "t", u->feed);
    if (!feed || sql_row(u->s, feed, e) < 0)
        return -1;
    u->generation++;
    u->feed_id = sql_int(feed, 0);
    u->first_load = !sql_int(feed, 1);
    u->advisories = sql_int(feed, 2);
    u->first = u->next = last + 1;
    u->seen = calloc((size_t)u->first / 8 + 1, 1);
    return u->seen ? 0 : oom(u->s, e);
}

struct store_update *store_update_begin(struct store *store, str feed, unsigned rank, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return NULL;
    CLEANUP(store_update_freep) struct store_update *u = calloc(1, sizeof *u);
    if (!u) {
        oom(s, e);
        return NULL;
    }
    u->s = s;
    u->rank = rank;
    u->arena = arena_new(0);
    if (!u->arena || !(u->feed = arena_dup(u->arena, feed)).ptr) {
        oom(s, e);
        return NULL;
    }
    if (lease_take(u, e) < 0 || update_sweep(u, e) < 0 || get_numbers(u, e) < 0)
        return NULL;
    struct store_update *ret = u;
    u = NULL;
    return ret;
}

void store_update_hush(struct store_update *u) { u->silent = true; }

/* ---- documents ---- */

static struct document *document_by_id(struct store_update *u, int64_t id)
{
    if (u->current && u->current->id == id)
        return u->current;
    return strmap_get(&u->document_by_id, str_of(&id, sizeof id));
}

int document_number(struct store_update *u, struct document *d, int64_t id, struct err *e)
{
    d->id = id; /* for good: the map borrows it */
    void **at = strmap_at(&u->document_by_id, str_of(&d->id, sizeof d->id));
    if (!at)
        return oom(u->s, e);
    *at = d;
    return 0;
}

/* A new entry; id 0 and no name are filled in later. */
static struct document *document_new(struct store_update *u, struct err *e)
{
    struct document *d = arena_alloc(u->arena, 1, sizeof *d);
    if (!d) {
        oom(u->s, e);
        return NULL;
    }
    d->next = u->documents;
    u->documents = d;
    return d;
}

/* What the feed has under that name, or a new one. */
static struct document *document_load(struct store_update *u, str name, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(u->s, e, Q_DOCUMENT_FIND, "ib", u->feed_id, name);
    int found = st ? sql_row(u->s, st, e) : -1;
    int64_t id = found > 0 ? sql_int(st, 0) : 0;
    struct document *d = id ? document_by_id(u, id) : NULL;
    if (found < 0 || (!d && !(d = document_new(u, e))))
        return NULL;
    if (found && !d->id && document_number(u, d, id, e) < 0)
        return NULL;
    if (found) {
        d->stored_validator = sql_null(st, 1) ? STR("") : arena_dup(u->arena, sql_str(st, 1));
        d->stored = !sql_null(st, 1);
        d->before = sql_int(st, 2);
    }
    d->name = arena_dup(u->arena, name);
    void **at = arena_failed(u->arena) ? NULL : strmap_at(&u->document_by_name, d->name);
    if (!at) {
        oom(u->s, e);
        return NULL;
    }
    *at = d;
    return d;
}

static struct document *document_open(struct store_update *u, str name, str validator, struct err *e)
{
    struct document *d = strmap_get(&u->document_by_name, name);
    if (!d && !(d = document_load(u, name, e)))
        return NULL;
    d->validator = arena_dup(u->arena, validator);
    d->named = true;
    if (arena_failed(u->arena)) {
        oom(u->s, e);
        return NULL;
    }
    return d;
}

int store_update_document(struct store_update *u, str name, str validator, struct err *e)
{
    if (lease_renew(u, RENEW_AGAIN_MS, e) < 0)
        return -1;
    struct document *d = document_open(u, name, validator, e);
    if (!d)
        return -1;
    d->dropped = false;
    u->current = d;
    return 0;
}

int store_update_drop(struct store_update *u, str name, struct err *e)
{
    struct document *d = document_open(u, name, STR(""), e);
    if (!d)
        return -1;
    if (d->after)
        return err_set(e, ERR_INTERNAL, "document " STR_FMT ": dropped after it was filled", STR_ARG(name));
    d->dropped = true;
    u->current = NULL;
    return 0;
}

/* ---- advisories ---- */

static bool see(struct store_update *u, int64_t id)
{
    uint8_t *byte = &u->seen[id / 8], bit = (uint8_t)(1u << (id % 8));
    bool first = !(*byte & bit);
    *byte |= bit;
    return first;
}

/* What is there under the key of item i: to be replaced, unless it is the same. */
static int on_old(void *ctx, size_t i, int64_t id, int64_t document, str hash, struct err *e)
{
    struct store_update *u = ctx;
    struct staged *item = &u->items[i];
    if (id >= u->first || !see(u, id))
        return err_set(e, ERR_FORMAT, STR_FMT ": " STR_FMT ": the key comes twice",
                       STR_ARG(item->document->name), STR_ARG(item->advisory.key));
    struct document *d = document_by_id(u, document);
    /* if it was another's key, that one must be named too: see check_moves() */
    if (!d && (!(d = document_new(u, e)) || document_number(u, d, document, e) < 0))
        return -1;
    d->seen++;
    item->old = id;
    advisory_hash_compare(hash, item->hash, &item->same_meaning, &item->same);
    item->same &= d == item->document;
    return 0;
}

int update_resolve(struct store_update *u, struct err *e)
{
    if (u->first_load || !u->item_count)
        return 0;
    str *keys = arena_array(u->batch, str, u->item_count);
    if (!keys)
        return oom(u->s, e);
    for (size_t i = 0; i < u->item_count; i++)
        keys[i] = u->items[i].advisory.key;
    return u->s->driver->advisories(u->s, u->feed_id, keys, u->item_count, on_old, u, e);
}

int store_update_put(struct store_update *u, const struct advisory *a, struct err *e)
{
    uint8_t hash[CONTENT_HASH];
    struct advisory bound = *a;
    struct metadata_room room;
    uint64_t ignored = 0;
    if (!u->current)
        return err_set(e, ERR_INTERNAL, STR_FMT ": an advisory before its document", STR_ARG(u->feed));
    if (lease_renew(u, RENEW_AFTER_MS, e) < 0)
        return -1;
    metadata_bound(&a->meta, &room, &bound.meta, &ignored);
    if (str_eq(u->feed, STORE_MANUAL))
        bound.meta.client = a->meta.client;
    if (advisory_hash(&bound, &u->work, hash, e) < 0)
        return -1;
    u->current->after++;
    return stage_add(u, &bound, hash, e);
}

/* ---- commit ---- */

/* One step through the feed's advisories: those that their named document did not bring again. */
static int walk(struct store_update *u, struct buf *after, int64_t ids[WALK], size_t *ret_count,
                struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(u->s, e, Q_ADVISORY_WALK, "ib", u->feed_id, buf_view(after));
    int r = -1, rows = 0;
    *ret_count = 0;
    for (; st && (r = sql_row(u->s, st, e)) > 0; rows++) {
        int64_t id = sql_int(st, 0);
        const struct document *d = document_by_id(u, sql_int(st, 1));
        if (id < u->first && d && d->named && see(u, id))
            ids[(*ret_count)++] = id;
        if (rows == WALK - 1) {
            buf_clear(after);
            buf_str(after, sql_str(st, 2));
        }
    }
    if (r < 0)
        return -1;
    return after->failed ? oom(u->s, e) : rows == WALK;
}

static int withdraw(struct store_update *u, struct err *e)
{
    bool missing = false;
    for (const struct document *d = u->documents; d; d = d->next)
        missing |= d->seen < d->before;
    CLEANUP(buf_done) struct buf after = { 0 };
    CLEANUP(freep) int64_t *ids = missing ? malloc(WALK * sizeof *ids) : NULL;
    if (missing && !ids)
        return oom(u->s, e);
    for (int more = missing; more;) {
        size_t count;
        more = walk(u, &after, ids, &count, e);
        if (more < 0 || (count && stage_end(u, ids, count, e) < 0))
            return -1;
    }
    return 0;
}

static int write_documents(struct store_update *u, struct err *e)
{
    if (stage_documents(u, e) < 0)
        return -1;
    for (const struct document *d = u->documents; d; d = d->next) {
        int r = 0;
        if (d->dropped)
            r = d->id ? sql_run(u->s, e, Q_DOCUMENT_DROP, "i", d->id) : 0;
        else if (!d->stored || !str_eq(d->stored_validator, d->validator) || d->before != d->after)
            r = sql_run(u->s, e, Q_DOCUMENT_SET, "ibi", d->id, d->validator, d->after);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* The one moment in which readers go from the old state to the new. */
static int write_generation(struct store_update *u, int64_t now, struct err *e)
{
    int64_t ranges = 0;
    for (const struct space *n = u->spaces; n; n = n->next) {
        if (n->delta && sql_run(u->s, e, Q_NAMESPACE_COUNT, "iii", u->feed_id, n->id, n->delta) < 0)
            return -1;
        ranges += n->delta;
    }
    if (sql_run(u->s, e, Q_FEED_CHANGED, "iiiii", u->feed_id, u->generation, now,
                u->counts.added - u->counts.withdrawn, ranges) < 0 ||
        sql_run(u->s, e, Q_GENERATION_LOG, "iii", u->generation, u->feed_id, now) < 0 ||
        sql_run(u->s, e, Q_GENERATION_SET, "ii", u->generation, (int64_t)u->metadata) < 0)
        return -1;
    return sql_run(u->s, e, Q_PENDING_DROP, "");
}

/* A key may go from one document to another only when the update replaces both. */
static int check_moves(const struct store_update *u, struct err *e)
{
    for (const struct document *d = u->documents; d; d = d->next)
        if (!d->named)
            return err_set(e, ERR_FORMAT, "%lld keys come twice: a document that stays has them too",
                           (long long)d->seen);
    return 0;
}

/* ---- does it take away too much? ---- */

#define SHRINK_FROM 100 /* advisories: less says nothing */

static bool is_less(const struct update_shrink *k)
{
    return k->before >= SHRINK_FROM && k->after < k->before - k->after;
}

static int64_t lost(const struct update_shrink *k) { return k->before - k->after; }

bool store_update_shrunk(struct store_update *u, struct update_shrink *ret)
{
    struct update_shrink feed = { .before = u->advisories, .after = u->advisories }, worst = { 0 };
    for (const struct document *d = u->documents; d; d = d->next) {
        struct update_shrink k = { d->name, d->before, d->after };
        if (!d->named)
            continue;
        feed.after += k.after - k.before;
        int64_t more = lost(&k) - lost(&worst);
        if (!d->dropped && is_less(&k) && (more > 0 || (!more && str_cmp(k.document, worst.document) < 0)))
            worst = k;
    }
    *ret = is_less(&feed) ? feed : worst;
    return is_less(ret);
}

int store_update_commit(struct store_update *update, int64_t now, struct update_counts *ret, struct err *e)
{
    CLEANUP(store_update_freep) struct store_update *u = update;
    if (stage_flush(u, e) < 0 || check_moves(u, e) < 0 || withdraw(u, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = update_transaction(u, e);
    if (!t || write_documents(u, e) < 0 || (u->pending && write_generation(u, now, e) < 0) ||
        sql_run(t, e, Q_LEASE_DROP, "tt", LEASE, str_from(u->owner)) < 0 || sql_commit(&t, e) < 0)
        return -1;
    u->holds_lease = false;
    *ret = u->counts;
    return 0;
}
