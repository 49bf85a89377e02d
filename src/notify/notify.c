/* notify.c - takes notifications that are due, gives them to the lanes, and marks what came of it. */
#include "notify/notify.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "notify/lane.h"
#include "notify/maker.h"
#include "store/store.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define LOOK_MS      1000 /* for what is due, without a word of anybody */
#define TURN_MS      250  /* while something is under way */
#define CHECK_MS     2000 /* is what waits for its lane still ours? */
#define RETRY_MS     5000 /* after the database failed */
#define PASSED_S     30   /* at least, when only a sender was not asked that is down or slow */
#define BACKOFF_S    900
#define REMEMBERED   16384u
#define SENDER_COUNT (sizeof kinds / sizeof *kinds)

static const struct sender_kind *const kinds[] = { &sender_webhook, &sender_amqp, &sender_stomp };
_Static_assert(SENDER_COUNT == NOTIFY_SENDERS, "the table of senders");

struct notify {
    struct notify_options options;
    struct shared shared;
    struct lane lanes[NOTIFY_SENDERS];
    unsigned lane_count;
    struct maker *maker;
    pthread_t thread;
    bool runs;
    char owner[STORE_OWNER];
    struct store *store;
    struct item *items; /* under way */
    bool failed;        /* the log knows that the database does not answer */
    /* Who has told a notification that another one could not: they are not asked again. One that is forgotten is told twice. */
    struct remembered {
        uint64_t key;
        unsigned told;
    } * remembered;
    uint64_t seed;
};

size_t sender_body(str name, char ret[NOTIFY_BODY])
{
    int n = snprintf(ret, NOTIFY_BODY, "{\"Notification\":{\"Name\":\"%.*s\"}}", (int)str_head(name, 64).len,
                     name.ptr);
    return n > 0 ? (size_t)n : 0;
}

size_t notify_senders(const struct notify_options *o, const char *ret[NOTIFY_SENDERS])
{
    size_t n = 0;
    for (size_t i = 0; i < SENDER_COUNT; i++)
        if (kinds[i]->configured(o))
            ret[n++] = kinds[i]->name;
    return n;
}

int notify_send(const struct notify_options *o, const char *sender, str name, struct err *e)
{
    for (size_t i = 0; i < SENDER_COUNT; i++) {
        if (strcmp(kinds[i]->name, sender) != 0)
            continue;
        void *s = kinds[i]->new (o, e);
        int r = s ? kinds[i]->send(s, name, e) : -1;
        kinds[i]->free(s);
        return r;
    }
    return err_set(e, ERR_USAGE, "%s: no such sender", sender);
}

/* ---- who has told it ---- */

static struct remembered *place_of(struct notify *n, const struct item *i)
{
    uint64_t key = str_hash(str_from(i->name), n->seed) + (uint64_t)i->notified * 0x9e3779b97f4a7c15u;
    struct remembered *r = &n->remembered[key % REMEMBERED];
    if (r->key != key)
        *r = (struct remembered){ key, 0 };
    return r;
}

/* ---- waiting ---- */

static void tell(struct notify *n, const struct notify_event *event)
{
    if (n->options.told)
        n->options.told(n->options.ctx, event);
}

/* Under the lock; cut short by news. */
static void wait_for_news(struct notify *n, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!n->shared.something && !n->shared.stop)
        if (pthread_cond_timedwait(&n->shared.news, &n->shared.lock, &until) == ETIMEDOUT)
            break;
    n->shared.something = false;
}

static void on_made(void *ctx)
{
    struct notify *n = ctx;
    pthread_mutex_lock(&n->shared.lock);
    n->shared.something = true;
    pthread_cond_signal(&n->shared.news);
    pthread_mutex_unlock(&n->shared.lock);
}

/* ---- what came of it ---- */

static int64_t with_jitter(int64_t seconds)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        r = 0;
    return seconds + (int64_t)((uint64_t)(seconds / 4 + 1) * r >> 32);
}

/* The `failed`th failure of a round: 1, 2, 4 ... s. */
static int64_t backoff(int64_t failed) { return failed > 10 ? BACKOFF_S : (int64_t)1 << (failed - 1); }

static int64_t due_of(const struct notify *n, const struct item *i, bool *gives_up)
{
    int64_t attempts = i->attempts + 1, round = n->options.attempts;
    if (!i->failed) {
        int64_t s = backoff(attempts);
        return with_jitter(s > PASSED_S ? s : PASSED_S);
    }
    *gives_up = attempts % round == 0;
    return with_jitter(*gives_up ? n->options.again_s : backoff(attempts % round));
}

static int mark_told(struct notify *n, const struct item *i, struct err *e)
{
    int r = store_notification_sent(n->store, str_from(i->name), str_from(n->owner), n->options.again_s, e);
    if (r < 0)
        return -1;
    place_of(n, i)->told = 0;
    int64_t ms = (clock_now() - i->created) * 1000;
    tell(n, &(struct notify_event){ .kind = NOTIFY_TOLD,
                                    .name = str_from(i->name),
                                    .sender = "",
                                    .reason = "",
                                    .error = "",
                                    .attempts = i->attempts + 1,
                                    .ms = i->notified ? -1
                                          : ms > 0    ? ms
                                                      : 0 });
    return 0;
}

static int mark_failed(struct notify *n, const struct item *i, struct err *e)
{
    bool gives_up = false;
    int64_t due = due_of(n, i, &gives_up);
    place_of(n, i)->told = i->told;
    if (store_notification_failed(n->store, str_from(i->name), str_from(n->owner), due, str_from(i->error),
                                  e) < 0)
        return -1;
    if (gives_up)
        tell(n, &(struct notify_event){ .kind = NOTIFY_GAVE_UP,
                                        .name = str_from(i->name),
                                        .sender = "",
                                        .reason = "",
                                        .error = i->error,
                                        .attempts = i->attempts + 1 });
    return 0;
}

/* Nobody was asked: that is no attempt. It is free as soon as its lease ends. */
static int give_back(struct notify *n, const struct item *i, struct err *e)
{
    place_of(n, i)->told = i->told;
    return store_notification_renew(n->store, str_from(i->name), str_from(n->owner), 1, e) < 0 ? -1 : 0;
}

static int mark(struct notify *n, const struct item *i, struct err *e)
{
    unsigned all = 0;
    for (unsigned k = 0; k < n->lane_count; k++)
        all |= n->lanes[k].bit;
    if (i->gone && !i->failed && (i->told & all) != all)
        return 0;
    if ((i->told & all) == all)
        return mark_told(n, i, e);
    if (!i->failed && (n->shared.alone || n->shared.stop))
        return give_back(n, i, e);
    return mark_failed(n, i, e);
}

/* Unlinks one that no lane holds. */
static struct item *take_done(struct notify *n)
{
    for (struct item **at = &n->items; *at; at = &(*at)->next)
        if (!(*at)->left) {
            struct item *i = *at;
            *at = i->next;
            return i;
        }
    return NULL;
}

/* Called with the lock held, which it gives up meanwhile. */
static int mark_done(struct notify *n, struct err *e)
{
    for (struct item *i; (i = take_done(n));) {
        pthread_mutex_unlock(&n->shared.lock);
        int r = mark(n, i, e);
        pthread_mutex_lock(&n->shared.lock);
        if (r < 0) { /* later, with a new handle; perhaps somebody tells it again */
            i->next = n->items;
            n->items = i;
            return -1;
        }
        free(i);
    }
    return 0;
}

/* ---- leases of what waits ---- */

/* Only this thread adds and frees items: a lane may change one meanwhile. */
static int renew(struct notify *n, struct err *e)
{
    for (struct item *i = n->items; i; i = i->next) {
        if (!i->left || i->gone || clock_ms() - i->checked_ms < CHECK_MS)
            continue;
        pthread_mutex_unlock(&n->shared.lock);
        int r = store_notification_renew(n->store, str_from(i->name), str_from(n->owner), NOTIFY_LEASE_S, e);
        pthread_mutex_lock(&n->shared.lock);
        if (r < 0)
            return -1;
        i->checked_ms = clock_ms();
        i->gone = !r;
    }
    return 0;
}

/* ---- taking ---- */

/* There is one that can be asked, and none that only needs a moment. */
static bool may_take(const struct notify *n)
{
    bool open = false;
    for (unsigned k = 0; k < n->lane_count; k++) {
        enum lane_state state = lane_state(&n->lanes[k], clock_ms());
        if (state == LANE_FULL)
            return false;
        open |= state == LANE_OPEN;
    }
    return open;
}

static void give(struct notify *n, struct item *i)
{
    i->told = place_of(n, i)->told;
    for (unsigned k = 0; k < n->lane_count; k++) {
        struct lane *l = &n->lanes[k];
        enum lane_state state = lane_state(l, clock_ms());
        if (i->told & l->bit)
            continue;
        if (state == LANE_OPEN) {
            lane_give(l, i);
            continue;
        }
        i->passed |= l->bit;
        snprintf(i->error, sizeof i->error, "%s: %s", l->kind->name,
                 state == LANE_SLOW ? "it is slow, others wait" : "it does not answer");
    }
    i->next = n->items;
    n->items = i;
}

/* 1 one was taken, 0, -1. Called with the lock held, which it gives up meanwhile. */
static int take(struct notify *n, struct err *e)
{
    struct notification got = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct item *i = calloc(1, sizeof *i);
    if (!arena || !i) {
        free(i);
        return err_set(e, ERR_OOM, "out of memory");
    }
    pthread_mutex_unlock(&n->shared.lock);
    i->checked_ms = clock_ms();
    int r = store_notification_take(n->store, str_from(n->owner), NOTIFY_LEASE_S, arena, &got, e);
    pthread_mutex_lock(&n->shared.lock);
    if (r <= 0) {
        free(i);
        return r;
    }
    i->created = got.created;
    i->notified = got.notified;
    i->attempts = got.attempts;
    snprintf(i->name, sizeof i->name, STR_FMT, STR_ARG(got.name));
    give(n, i);
    return 1;
}

/* ---- the thread ---- */

static int step(struct notify *n, struct err *e)
{
    if (!n->store && !(n->store = store_open(n->options.database, STORE_WRITE, e)))
        return -1;
    if (mark_done(n, e) < 0 || renew(n, e) < 0)
        return -1;
    bool may = !n->shared.stop && may_take(n);
    int took = may ? take(n, e) : 0;
    if (took < 0)
        return -1;
    if (!took)
        wait_for_news(n, may && !n->items ? LOOK_MS : TURN_MS);
    return 0;
}

static void note_failure(struct notify *n, const struct err *e)
{
    if (!n->failed && e->kind != ERR_BUSY)
        log_warning("notifications are told later", LOG_TEXT("error", str_from(e->text)));
    n->failed = true;
    pthread_mutex_unlock(&n->shared.lock);
    store_freep(&n->store);
    pthread_mutex_lock(&n->shared.lock);
    n->shared.something = false;
    wait_for_news(n, RETRY_MS);
}

static void *work(void *ctx)
{
    struct notify *n = ctx;
    struct err e = { 0 };
    pthread_mutex_lock(&n->shared.lock);
    while (!n->shared.stop) {
        e = (struct err){ 0 };
        if (step(n, &e) < 0)
            note_failure(n, &e);
        else
            n->failed = false;
    }
    pthread_mutex_unlock(&n->shared.lock);
    for (unsigned k = 0; k < n->lane_count; k++)
        lane_join(&n->lanes[k]);
    pthread_mutex_lock(&n->shared.lock);
    if (n->store)
        mark_done(n, &e);
    pthread_mutex_unlock(&n->shared.lock);
    store_freep(&n->store);
    return NULL;
}

/* ---- begin and end ---- */

static void set_up(struct notify *n, const struct notify_options *o)
{
    pthread_condattr_t monotonic;
    n->options = *o;
    n->options.attempts = o->attempts ? o->attempts : 1;
    n->options.again_s = o->again_s > 0 ? o->again_s : 1;
    pthread_mutex_init(&n->shared.lock, NULL);
    pthread_cond_init(&n->shared.work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&n->shared.news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    n->shared.options = &n->options;
    for (size_t i = 0; i < SENDER_COUNT; i++)
        if (kinds[i]->configured(o))
            n->lanes[n->lane_count++] =
                (struct lane){ .kind = kinds[i], .bit = 1u << i, .shared = &n->shared };
    n->shared.alone = n->lane_count == 1;
    store_owner(n->owner);
}

static int start(struct notify *n, struct err *e)
{
    if (getrandom(&n->seed, sizeof n->seed, 0) != (ssize_t)sizeof n->seed)
        return err_errno(e, "random bytes");
    if (!(n->remembered = calloc(REMEMBERED, sizeof *n->remembered)))
        return err_set(e, ERR_OOM, "out of memory");
    for (unsigned k = 0; k < n->lane_count; k++)
        if (lane_start(&n->lanes[k], e) < 0)
            return -1;
    if (!(n->maker = maker_start(n->options.database, on_made, n, e)))
        return -1;
    n->runs = n->lane_count && pthread_create(&n->thread, NULL, work, n) == 0;
    return n->runs || !n->lane_count ? 0 : err_set(e, ERR_OOM, "notifications: no thread could be started");
}

struct notify *notify_start(const struct notify_options *o, struct err *e)
{
    struct notify *n = calloc(1, sizeof *n);
    if (!n) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    set_up(n, o);
    if (start(n, e) < 0)
        notify_stop(&n);
    return n;
}

static void free_items(struct notify *n)
{
    for (struct item *i; (i = n->items);) {
        n->items = i->next;
        free(i);
    }
}

void notify_stop(struct notify **at)
{
    struct notify *n = *at;
    if (!n)
        return;
    pthread_mutex_lock(&n->shared.lock);
    n->shared.stop = true;
    pthread_cond_broadcast(&n->shared.work);
    pthread_cond_broadcast(&n->shared.news);
    pthread_mutex_unlock(&n->shared.lock);
    maker_stop(&n->maker);
    if (n->runs)
        pthread_join(n->thread, NULL);
    for (unsigned k = 0; k < n->lane_count; k++)
        lane_join(&n->lanes[k]);
    free_items(n);
    pthread_cond_destroy(&n->shared.news);
    pthread_cond_destroy(&n->shared.work);
    pthread_mutex_destroy(&n->shared.lock);
    free(n->remembered);
    free(n);
    *at = NULL;
}
