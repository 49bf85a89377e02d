/* store_tidy.c - see store_tidy(): notifications made and ended, postings merged, old generations pruned, what nothing refers to collected. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "store/rows.h"
#include "store/sql_posting.h"
#include "store/sql_update.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LEASE            STR("tidy")
#define TIDY_LEASE_S     120
#define WINDOW           1000 /* numbers that one transaction looks at */
#define PACKAGES_AT_ONCE 256  /* their postings are read: fewer */
#define PLACE            STR("tidy/place")
#define HISTORY_S        (30 * 86400)
#define HISTORY_MIN      10000
#define DAY_S            86400
#define HOUR_S           3600
#define WEEK_S           (7 * DAY_S)
#define NONCE_STEPS      100
#define NOTIFY_AT_ONCE   500

struct tidying {
    struct sql *s;
    const struct tidy_options *options;
    struct tidy_counts counts;
    char owner[STORE_OWNER];
    int64_t renew_ms, end_ms; /* 0: no end */
    /* where the walk through images, layers, sets and packages is */
    size_t kind;
    int64_t at;
};

/* Before each transaction: the lease is renewed at half time. */
static int tick(void *ctx, struct err *e)
{
    struct tidying *t = ctx;
    int64_t until;
    if (clock_ms() < t->renew_ms)
        return 0;
    int held = store_lease_take(&t->s->store, LEASE, str_from(t->owner), TIDY_LEASE_S, &until, e);
    t->renew_ms = clock_ms() + TIDY_LEASE_S * 1000 / 2;
    return held ? (held < 0 ? -1 : 0) : err_set(e, ERR_BUSY, "%s: another process tidies up", t->s->where);
}

static bool is_late(const struct tidying *t)
{
    const struct tidy_options *o = t->options;
    return (t->end_ms && clock_ms() >= t->end_ms) || (o->enough && o->enough(o->ctx));
}

/* ---- notifications ---- */

/* Was there somebody within the last 30 days who tells them? */
static int are_wanted(struct tidying *t, bool *ret, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    str text;
    uint64_t when = 0;
    int found = arena ? store_value_get(&t->s->store, NOTIFY_WANTED, arena, &text, e) : sql_oom(t->s, e);
    *ret = found > 0 && str_to_u64(text, &when) && when <= INT64_MAX &&
           (int64_t)when > t->options->now - HISTORY_S;
    return found < 0 ? -1 : 0;
}

static int skip_notifications(struct tidying *t, struct err *e)
{
    if (tick(t, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *s = sql_begin(t->s, true, e);
    return !s || sql_run(s, e, Q_NOTIFY_SKIP, "") < 0 ? -1 : sql_commit(&s, e);
}

/* What has not become one yet must stay: where nobody would be told, it never would go. */
static int make_notifications(struct tidying *t, struct err *e)
{
    size_t made;
    bool wanted;
    if (are_wanted(t, &wanted, e) < 0)
        return -1;
    if (!wanted)
        return is_late(t) ? 1 : skip_notifications(t, e);
    for (int more = 1; more;) {
        if (is_late(t))
            return 1;
        if (tick(t, e) < 0)
            return -1;
        more = store_notifications_make(&t->s->store, t->options->now, NOTIFY_AT_ONCE, &made, e);
        if (more < 0)
            return -1;
    }
    return 0;
}

static int drop_notifications(struct tidying *t, struct err *e)
{
    int64_t now = t->options->now;
    for (int64_t gone = 1; gone;) {
        if (is_late(t))
            return 1;
        if (tick(t, e) < 0)
            return -1;
        CLEANUP(sql_endp) struct sql *s = sql_begin(t->s, true, e);
        if (!s || sql_run(s, e, Q_NOTIFY_TIDY, "ii", now - HISTORY_S, now - HOUR_S) < 0)
            return -1;
        gone = sql_changes(s);
        t->counts.notifications += gone;
        if (sql_commit(&s, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- keys and nonces ---- */

/* Nonces come fast: what else is to be done has its turn, too. */
static int drop_nonces(struct tidying *t, struct err *e)
{
    int64_t gone = 1;
    for (int i = 0; i < NONCE_STEPS && gone; i++) {
        if (is_late(t))
            return 1;
        if (tick(t, e) < 0)
            return -1;
        CLEANUP(sql_endp) struct sql *s = sql_begin(t->s, true, e);
        if (!s || sql_run(s, e, Q_NONCE_TIDY, "i", t->options->now) < 0)
            return -1;
        gone = sql_changes(s);
        if (sql_commit(&s, e) < 0)
            return -1;
    }
    return 0;
}

static int drop_keys(struct tidying *t, struct err *e)
{
    if (is_late(t))
        return 1;
    if (tick(t, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *s = sql_begin(t->s, true, e);
    return !s || sql_run(s, e, Q_KEY_TIDY, "i", t->options->now - WEEK_S) < 0 ? -1 : sql_commit(&s, e);
}

/* ---- old generations ---- */

/* The last generation whose end of rows can go, 0 when all stay: none that a notification may speak of. */
static int find_old(struct tidying *t, int64_t *ret, struct err *e)
{
    struct ended {
        int64_t generation, count, time;
    } *list = NULL;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(sql_resetp) struct sql_stmt *st = arena ? sql_bind(t->s, e, Q_ENDED, "") : NULL;
    size_t n = 0, cap = 0;
    int64_t total = 0, live = 0, last = 0;
    int r = -1;
    if (sql_number(t->s, e, &last, Q_NOTIFY_KEPT, "") < 0)
        return -1;
    while (st && (r = sql_row(t->s, st, e)) > 0) {
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            return sql_oom(t->s, e);
        list[n++] = (struct ended){ sql_int(st, 0), sql_int(st, 1), sql_int(st, 2) };
        total += list[n - 1].count;
        live = sql_int(st, 3);
    }
    *ret = 0;
    if (r < 0)
        return -1;
    int64_t allowed = live / 4 > HISTORY_MIN ? live / 4 : HISTORY_MIN;
    for (size_t i = 0; i < n && list[i].generation <= last &&
                       (total > allowed || list[i].time < t->options->now - HISTORY_S);
         i++) {
        total -= list[i].count;
        *ret = list[i].generation;
    }
    return 0;
}

static int prune_step(struct tidying *t, int64_t generation, struct err *e)
{
    int64_t gone = 0;
    if (tick(t, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *s = sql_begin(t->s, true, e);
    if (!s || sql_delete_advisories(s, Q_ENDED_ADVISORIES, generation, &gone, e) < 0)
        return -1;
    t->counts.advisories += gone;
    if (!gone) {
        if (sql_run(s, e, Q_ENDED_CHANGES, "i", generation) < 0)
            return -1;
        gone = sql_changes(s);
        t->counts.changes += gone;
    }
    if (!gone && sql_run(s, e, Q_ENDED_GENERATIONS, "i", generation) < 0)
        return -1;
    return sql_commit(&s, e) < 0 ? -1 : gone > 0;
}

/* ---- what nothing refers to ---- */

static int delete_image(struct tidying *t, int64_t id, struct err *e)
{
    t->counts.images++;
    return sql_run(t->s, e, Q_TIDY_IMAGE_LAYERS, "i", id) < 0 ? -1 : sql_run(t->s, e, Q_TIDY_IMAGE, "i", id);
}

static int delete_layer(struct tidying *t, int64_t id, struct err *e)
{
    t->counts.layers++;
    if (sql_run(t->s, e, Q_TIDY_LAYER_SETS, "i", id) < 0 ||
        sql_run(t->s, e, Q_TIDY_LAYER_HASHES, "i", id) < 0)
        return -1;
    return sql_run(t->s, e, Q_TIDY_LAYER, "i", id);
}

static int delete_set(struct tidying *t, int64_t id, struct err *e)
{
    t->counts.sets++;
    if (sql_run(t->s, e, Q_TIDY_SET_QUEUED, "i", id) < 0)
        return -1;
    if (!sql_changes(t->s) && sql_run(t->s, e, Q_TIDY_SEGMENTS, "i", id) < 0)
        return -1;
    return sql_run(t->s, e, Q_TIDY_SET, "i", id);
}

static int delete_package(struct tidying *t, int64_t id, struct err *e)
{
    t->counts.packages++;
    return sql_run(t->s, e, Q_TIDY_PACKAGE, "i", id);
}

static const struct kind {
    enum query last, list;
    int64_t window;
    int (*delete)(struct tidying *t, int64_t id, struct err *e);
    bool is_package;
} kinds[] = {
    { Q_LAST_IMAGE, Q_TIDY_IMAGES, WINDOW, delete_image, false },
    { Q_LAST_LAYER, Q_TIDY_LAYERS, WINDOW, delete_layer, false },
    { Q_LAST_SET, Q_TIDY_SETS, WINDOW, delete_set, false },
    { Q_LAST_PACKAGE, Q_TIDY_PACKAGES, PACKAGES_AT_ONCE, delete_package, true },
};
#define KINDS (sizeof kinds / sizeof *kinds)

static int list_window(struct tidying *t, const struct kind *k, int64_t ids[WINDOW], size_t *ret_count,
                       struct err *e)
{
    const struct tidy_options *o = t->options;
    int64_t now = (int64_t)time(NULL), unused = o->unused_s ? o->unused_s : HISTORY_S;
    int64_t soon = k->list == Q_TIDY_LAYERS ? now - DAY_S : now - HOUR_S;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(t->s, e, k->list, "iiii", t->at, t->at + k->window, soon, now - unused);
    int r = -1;
    *ret_count = 0;
    while (st && (r = sql_row(t->s, st, e)) > 0 && *ret_count < WINDOW)
        ids[(*ret_count)++] = sql_int(st, 0);
    return r < 0 ? -1 : 0;
}

/* Packages are all listed: those that are used stay. */
static int leave_used(struct tidying *t, int64_t *ids, size_t *count, struct err *e)
{
    bool used[PACKAGES_AT_ONCE];
    size_t kept = 0;
    if (sql_packages_used(t->s, t->at + 1, PACKAGES_AT_ONCE, used, e) < 0)
        return -1;
    for (size_t i = 0; i < *count; i++)
        if (!used[ids[i] - t->at - 1])
            ids[kept++] = ids[i];
    *count = kept;
    return 0;
}

static int collect_window(struct tidying *t, struct err *e)
{
    const struct kind *k = &kinds[t->kind];
    int64_t ids[WINDOW];
    size_t count;
    if (tick(t, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *s = sql_begin_as(t->s, SQL_COLLECT, e);
    if (!s || list_window(t, k, ids, &count, e) < 0 ||
        (k->is_package && count && leave_used(t, ids, &count, e) < 0))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (k->delete (t, ids[i], e) < 0)
            return -1;
    return sql_commit(&s, e);
}

/* One window on. 1, 0 when a round is done. */
static int collect_step(struct tidying *t, struct err *e)
{
    const struct kind *k = &kinds[t->kind];
    int64_t last = 0;
    bool skip = k->is_package && !t->options->whole && !t->counts.sets;
    if (sql_number(t->s, e, &last, k->last, "") < 0)
        return -1;
    if (t->at < last && !skip) {
        if (collect_window(t, e) < 0)
            return -1;
        t->at += k->window;
        return 1;
    }
    t->at = 0;
    t->kind = (t->kind + 1) % KINDS;
    return t->kind != 0;
}

/* ---- the whole ---- */

static int read_place(struct tidying *t, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    str text;
    uint64_t kind, at;
    int found = arena ? store_value_get(&t->s->store, PLACE, arena, &text, e) : sql_oom(t->s, e);
    if (found <= 0)
        return found;
    if (str_to_u64(str_cut(&text, ' '), &kind) && str_to_u64(text, &at) && kind < KINDS &&
        at < INT64_MAX / 2) {
        t->kind = (size_t)kind;
        t->at = (int64_t)at;
    }
    return 0;
}

static int write_place(struct tidying *t, struct err *e)
{
    char text[48];
    int n = snprintf(text, sizeof text, "%zu %lld", t->kind, (long long)t->at);
    return store_value_set(&t->s->store, PLACE, str_of(text, (size_t)n), e);
}

/* 1: time is up. */
static int merge_postings(struct tidying *t, struct err *e)
{
    struct posting_work w = { .s = t->s, .whole = t->options->whole, .tick = tick, .ctx = t };
    for (int more = 1; more;) {
        if (is_late(t))
            return 1;
        more = sql_posting_step(&w, e);
        if (more < 0)
            return -1;
        t->counts.steps += more;
    }
    return 0;
}

static int prune(struct tidying *t, struct err *e)
{
    int64_t generation = 0;
    if (find_old(t, &generation, e) < 0)
        return -1;
    for (int more = generation > 0; more;) {
        if (is_late(t))
            return 1;
        more = prune_step(t, generation, e);
        if (more < 0)
            return -1;
    }
    return 0;
}

static int collect(struct tidying *t, struct err *e)
{
    if (read_place(t, e) < 0)
        return -1;
    if (t->options->whole)
        t->kind = 0, t->at = 0;
    int more = 1;
    while (more > 0 && !is_late(t))
        more = collect_step(t, e);
    return more < 0 || write_place(t, e) < 0 ? -1 : more;
}

static int work(struct tidying *t, struct err *e)
{
    int r = make_notifications(t, e);
    r = r ? r : drop_notifications(t, e);
    r = r ? r : drop_keys(t, e);
    r = r ? r : drop_nonces(t, e);
    r = r ? r : merge_postings(t, e);
    r = r ? r : prune(t, e);
    r = r ? r : collect(t, e);
    if (r == 0 && t->options->whole && t->counts.sets) /* segments have dead sets now */
        r = merge_postings(t, e);
    return r;
}

int store_tidy(struct store *store, const struct tidy_options *o, struct tidy_counts *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct tidying t = { .s = s, .options = o, .end_ms = o->ms ? clock_ms() + o->ms : 0 };
    int64_t until;
    if (sql_writable(s, e) < 0)
        return -1;
    store_owner(t.owner);
    int held = store_lease_take(store, LEASE, str_from(t.owner), TIDY_LEASE_S, &until, e);
    if (held <= 0)
        return held < 0 ? -1 : err_set(e, ERR_BUSY, "%s: another process tidies up", s->where);
    t.renew_ms = clock_ms() + TIDY_LEASE_S * 1000 / 2;
    int r = work(&t, e);
    struct err ignored = { 0 };
    if (store_lease_drop(store, LEASE, str_from(t.owner), r < 0 ? &ignored : e) < 0)
        r = -1;
    *ret = t.counts;
    return r;
}
