#include "feed/updater.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LEASE        STR("updater")
#define LEASE_S      600
#define RENEW_MS     (LEASE_S * 1000 / 3)
#define RETRY_S      60
#define BUSY_RETRY_S 60
#define SOURCES_MAX  64
#define TIDY_S       600
#define TIDY_MS      2000
#define LAST_KEY     64 /* bytes of "updater/last/SOURCE" */

struct updater {
    struct updater_options options;
    struct arena *arena; /* what they point to */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* stop, or ended */
    atomic_bool stop;
    bool ended;
    char owner[STORE_OWNER];
    struct store *store, *leases; /* a lease is renewed while the other is in a transaction */
    int64_t renew_ms;
    struct {
        unsigned failures;
        int64_t again;      /* seconds since 1970; 0: not before it is due */
    } sources[SOURCES_MAX]; /* as in feeds[] */
    unsigned troubles;
    int64_t tidy_at; /* seconds since 1970 */
};

/* The real time: what ECLAIR_NOW says is for reports. */
static int64_t now(void) { return (int64_t)time(NULL); }

static void tell(struct updater *u, const struct updater_event *event)
{
    u->options.told(u->options.ctx, event);
}

static int64_t backoff(int64_t interval_s, unsigned failures)
{
    int64_t wait = RETRY_S;
    while (--failures && wait < interval_s)
        wait *= 2;
    return wait < interval_s ? wait : interval_s;
}

/* Its place among the options' sources; -1: it is not wanted. */
static ptrdiff_t place_of(const struct updater *u, const struct feed *f)
{
    for (size_t i = 0; i < u->options.source_count; i++)
        if (str_eq(u->options.sources[i], str_from(f->name)))
            return (ptrdiff_t)i;
    return -1;
}

static bool is_wanted(const struct updater *u, const struct feed *f)
{
    return !u->options.sources || place_of(u, f) >= 0;
}

static int64_t interval_of(const struct updater *u, const struct feed *f)
{
    ptrdiff_t i = u->options.intervals ? place_of(u, f) : -1;
    return i < 0 ? u->options.interval_s : u->options.intervals[i];
}

/* It is no part of cycles. */
static bool has_own_pace(const struct updater *u, const struct feed *f)
{
    return interval_of(u, f) != u->options.interval_s;
}

/* Between advisories: is it time to end, or to renew the lease? */
static int tick(void *ctx, struct err *e)
{
    struct updater *u = ctx;
    int64_t until;
    if (atomic_load(&u->stop))
        return err_set(e, ERR_BUSY, "the server stops");
    if (clock_ms() < u->renew_ms)
        return 0;
    int held = store_lease_take(u->leases, LEASE, str_from(u->owner), LEASE_S, &until, e);
    if (held == 0)
        return err_set(e, ERR_BUSY, "another server has taken over the update");
    u->renew_ms = clock_ms() + RENEW_MS;
    return held < 0 ? -1 : 0;
}

static void update_one(struct updater *u, size_t i)
{
    ptrdiff_t place = u->options.urls ? place_of(u, feeds[i]) : -1;
    const struct update_options options = {
        .mirror = u->options.mirror, .url = place < 0 ? NULL : u->options.urls[place], .tick = tick, .ctx = u
    };
    struct update_result result = { 0 };
    struct err e = { 0 };
    if (feed_update(u->store, u->options.cage, feeds[i], &options, &result, &e) == 0) {
        u->sources[i].failures = 0;
        u->sources[i].again = 0;
        tell(u,
             &(struct updater_event){ .kind = UPDATER_SOURCE, .source = feeds[i]->name, .result = &result });
        return;
    }
    if (atomic_load(&u->stop))
        return;
    /* a source that shrank is to say so again in three cycles, not in three minutes */
    u->sources[i].again =
        result.shrunk ? 0 : now() + backoff(interval_of(u, feeds[i]), ++u->sources[i].failures);
    tell(u, &(struct updater_event){ .kind = UPDATER_FAILED, .source = feeds[i]->name, .err = &e });
}

/* `source`: NULL for the cycle. */
static str last_key(const char *source, char ret[LAST_KEY])
{
    int n = snprintf(ret, LAST_KEY, "updater/last%s%s", source ? "/" : "", source ? source : "");
    return str_of(ret, n < LAST_KEY ? (size_t)n : LAST_KEY - 1);
}

static int read_last(struct updater *u, const char *source, int64_t *ret, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    char key[LAST_KEY];
    str text;
    uint64_t last = 0;
    int found = arena ? store_value_get(u->store, last_key(source, key), arena, &text, e)
                      : err_set(e, ERR_OOM, "updater");
    *ret = found > 0 && str_to_u64(text, &last) && last <= INT64_MAX ? (int64_t)last : 0;
    if (*ret > now()) /* a clock that was wrong must not put off updates for years */
        *ret = 0;
    return found < 0 ? -1 : 0;
}

static int write_last(struct updater *u, const char *source, struct err *e)
{
    char text[24], key[LAST_KEY];
    int n = snprintf(text, sizeof text, "%lld", (long long)now());
    return store_value_set(u->store, last_key(source, key), str_of(text, (size_t)n), e);
}

/* When source `i` is due by itself: because it failed, or by its own pace. INT64_MAX: never. */
static int source_due(struct updater *u, size_t i, int64_t *ret, struct err *e)
{
    int64_t last;
    *ret = u->sources[i].again ? u->sources[i].again : INT64_MAX;
    if (!u->options.interval_s || !is_wanted(u, feeds[i]) || !has_own_pace(u, feeds[i]) ||
        u->sources[i].again)
        return 0;
    if (read_last(u, feeds[i]->name, &last, e) < 0)
        return -1;
    *ret = last + interval_of(u, feeds[i]);
    return 0;
}

/* All wanted sources when the cycle is due, else those that are to be tried again. Under the lease. */
static int run(struct updater *u, bool cycle, struct err *e)
{
    tell(u, &(struct updater_event){ .kind = UPDATER_STARTED });
    for (size_t i = 0; feeds[i] && i < SOURCES_MAX && !atomic_load(&u->stop); i++) {
        bool own = has_own_pace(u, feeds[i]);
        int64_t due;
        if (!is_wanted(u, feeds[i]))
            continue;
        if (source_due(u, i, &due, e) < 0)
            return -1;
        if ((!cycle || own) && due > now())
            continue;
        update_one(u, i);
        if (own && !atomic_load(&u->stop) && write_last(u, feeds[i]->name, e) < 0)
            return -1;
    }
    if (atomic_load(&u->stop))
        return 0;
    if (cycle && write_last(u, NULL, e) < 0)
        return -1;
    tell(u, &(struct updater_event){ .kind = UPDATER_FINISHED });
    return 0;
}

/* When something is to be done next, and what. */
static int plan(struct updater *u, int64_t *when, bool *cycle, struct err *e)
{
    int64_t last;
    if (read_last(u, NULL, &last, e) < 0)
        return -1;
    *when = u->options.interval_s ? last + u->options.interval_s : INT64_MAX;
    *cycle = *when <= now();
    for (size_t i = 0; !*cycle && feeds[i] && i < SOURCES_MAX; i++) {
        int64_t due;
        if (source_due(u, i, &due, e) < 0)
            return -1;
        if (due < *when)
            *when = due;
    }
    return 0;
}

/* One look: does what is due; *next is when to look again. */
static int look(struct updater *u, int64_t *next, struct err *e)
{
    bool cycle;
    if (!u->store && !(u->store = store_open(u->options.database, STORE_WRITE, e)))
        return -1;
    if (!u->leases && !(u->leases = store_open(u->options.database, STORE_WRITE, e)))
        return -1;
    if (plan(u, next, &cycle, e) < 0)
        return -1;
    if (*next > now())
        return 0;
    int64_t until = 0;
    int held = store_lease_take(u->leases, LEASE, str_from(u->owner), LEASE_S, &until, e);
    if (held < 0)
        return -1;
    if (!held) {
        *next = until < now() + BUSY_RETRY_S ? until : now() + BUSY_RETRY_S;
        return 0;
    }
    u->renew_ms = clock_ms() + RENEW_MS;
    int result = plan(u, next, &cycle, e); /* another one may have done it just before */
    if (result == 0 && *next <= now())
        result = run(u, cycle, e);
    struct err ignored;
    store_lease_drop(u->leases, LEASE, str_from(u->owner), result < 0 ? &ignored : e);
    return result < 0 ? -1 : plan(u, next, &cycle, e);
}

/* look(), its errors told; returns when to look again. */
static int64_t look_safely(struct updater *u)
{
    struct err e = { 0 };
    int64_t next = 0;
    if (look(u, &next, &e) < 0) {
        tell(u, &(struct updater_event){ .kind = UPDATER_TROUBLE, .err = &e });
        return now() + (backoff(u->options.interval_s, ++u->troubles) + 5) / 6; /* 10 s, 20 s, 40 s ... */
    }
    u->troubles = 0;
    return next > now() ? next : now() + 1;
}

/* ---- tidying, between cycles ---- */

static bool is_stopping(void *ctx) { return atomic_load(&((struct updater *)ctx)->stop); }

/* For a moment only, for a cycle that becomes due waits for it. Each server does, under a lease of the store's: then it is done by the first. A
 * database that does not answer is look()'s to tell. */
static void tidy(struct updater *u)
{
    const struct tidy_options o = { .ms = TIDY_MS, .now = now(), .enough = is_stopping, .ctx = u };
    int64_t pause = u->options.tidy_s ? u->options.tidy_s : TIDY_S;
    struct tidy_counts counts;
    struct err e = { 0 };
    int more = u->store ? store_tidy(u->store, &o, &counts, &e) : 0;
    if (more < 0 && e.kind != ERR_BUSY && !is_stopping(u))
        tell(u, &(struct updater_event){ .kind = UPDATER_UNTIDY, .err = &e });
    u->tidy_at = now() + (more > 0 ? pause / 10 : pause);
}

static void sleep_until(struct updater *u, int64_t when)
{
    struct timespec t = { .tv_sec = when };
    pthread_mutex_lock(&u->lock);
    if (!atomic_load(&u->stop))
        pthread_cond_timedwait(&u->wake, &u->lock, &t);
    pthread_mutex_unlock(&u->lock);
}

static void *work(void *ctx)
{
    struct updater *u = ctx;
    int64_t next = 0;
    while (!atomic_load(&u->stop)) {
        if (next <= now())
            next = look_safely(u);
        if (u->tidy_at <= now() && !atomic_load(&u->stop))
            tidy(u);
        sleep_until(u, next < u->tidy_at ? next : u->tidy_at);
    }
    store_freep(&u->store);
    store_freep(&u->leases);
    pthread_mutex_lock(&u->lock);
    u->ended = true;
    pthread_cond_broadcast(&u->wake);
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

static void free_updater(struct updater *u)
{
    arena_freep(&u->arena);
    pthread_mutex_destroy(&u->lock);
    pthread_cond_destroy(&u->wake);
    free(u);
}

/* What is another for each source. */
static void copy_own(struct updater *u, const struct updater_options *o)
{
    const char **urls = o->urls ? arena_array(u->arena, const char *, o->source_count + 1) : NULL;
    int64_t *intervals = o->intervals ? arena_array(u->arena, int64_t, o->source_count + 1) : NULL;
    for (size_t i = 0; i < o->source_count; i++) {
        if (urls && o->urls[i])
            urls[i] = arena_cstr(u->arena, str_from(o->urls[i]));
        if (intervals)
            intervals[i] = o->intervals[i];
    }
    u->options.urls = urls;
    u->options.intervals = intervals;
}

static int copy_options(struct updater *u, const struct updater_options *o)
{
    str *sources = NULL;
    u->options = *o;
    if (!(u->arena = arena_new(0)))
        return -1;
    u->options.database = arena_cstr(u->arena, str_from(o->database));
    u->options.mirror = o->mirror ? arena_cstr(u->arena, str_from(o->mirror)) : NULL;
    if (o->sources)
        u->options.sources = sources = arena_array(u->arena, str, o->source_count + 1);
    for (size_t i = 0; sources && i < o->source_count; i++)
        sources[i] = arena_dup(u->arena, o->sources[i]);
    copy_own(u, o);
    return arena_failed(u->arena) ? -1 : 0;
}

struct updater *updater_start(const struct updater_options *o, struct err *e)
{
    struct updater *u = calloc(1, sizeof *u);
    if (!u) {
        err_set(e, ERR_OOM, "updater");
        return NULL;
    }
    if (copy_options(u, o) < 0) {
        err_set(e, ERR_OOM, "updater");
        arena_freep(&u->arena);
        free(u);
        return NULL;
    }
    store_owner(u->owner);
    u->tidy_at =
        now() + (o->tidy_s ? o->tidy_s : TIDY_S) / 10; /* a server that starts has better things to do */
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->wake, NULL);
    if (pthread_create(&u->thread, NULL, work, u) == 0)
        return u;
    err_set(e, ERR_OOM, "updater: no thread could be started");
    free_updater(u);
    return NULL;
}

bool updater_stop(struct updater **u, int64_t wait_ms)
{
    struct updater *x = *u;
    struct timespec until;
    if (!x)
        return true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000 + 1;
    pthread_mutex_lock(&x->lock);
    atomic_store(&x->stop, true);
    pthread_cond_broadcast(&x->wake);
    int late = 0;
    while (!x->ended && !late)
        late = pthread_cond_timedwait(&x->wake, &x->lock, &until);
    bool ended = x->ended;
    pthread_mutex_unlock(&x->lock);
    if (!ended)
        return false;
    pthread_join(x->thread, NULL);
    free_updater(x);
    *u = NULL;
    return true;
}
