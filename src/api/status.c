/* status.c - what this server has and lacks: /readyz for those who send requests here, GET /v1/status for people and clients. */
#include "api/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"

#include <stdlib.h>
#include <time.h>

#define FRESH_MS    1000       /* of an answer */
#define PATIENCE_MS 1000       /* with a database that says nothing */
#define COUNT_MS    30000      /* of the counts, which read whole tables */
#define STALE_LEAST 3600       /* seconds: an interval of minutes makes nobody nervous */
#define STALE_NEVER 172800     /* without an updater of its own */
#define MEMORY      (1u << 20) /* of an answer */

struct standing {
    struct api *api;
    pthread_t thread; /* it alone asks the database, which may hang for a minute */
    bool started;
    pthread_mutex_t lock; /* of all down to the next comment */
    pthread_cond_t changed;
    bool asking, answers, stop; /* asking: the thread has work; answers: the database did, this time */
    int64_t asked_ms, until_ms;
    struct buf ready, status;
    unsigned ready_code;
    bool known, up; /* the database was looked at; it answered */
    /* the thread's own */
    int64_t count_until_ms;
    struct store_counts counts;
    int64_t bytes;
    int64_t began; /* when the server started */
};

static void *look_when_asked(void *ctx);

struct standing *standing_new(struct api *a, struct err *e)
{
    struct standing *s = calloc(1, sizeof *s);
    pthread_condattr_t attr;
    if (!s) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    s->api = a;
    s->began = clock_now();
    s->started = pthread_create(&s->thread, NULL, look_when_asked, s) == 0;
    if (s->started)
        return s;
    err_set(e, ERR_OOM, "status: no thread could be started");
    standing_freep(&s);
    return NULL;
}

void standing_freep(struct standing **p)
{
    struct standing *s = *p;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (s->started)
        pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    buf_done(&s->ready);
    buf_done(&s->status);
    free(s);
    *p = NULL;
}

/* ---- what there is ---- */

struct picture {
    const struct api_options *o;
    struct arena *arena;
    int64_t now;
    bool up;
    struct err why; /* it is not up */
    struct feed_status *feeds;
    size_t feed_count;
    struct store_counts counts;
    struct notification_counts notifications;
    int64_t bytes, last;
};

/* Its place among the sources that are loaded; -1: it is none of them. */
static ptrdiff_t source_of(const struct picture *p, str feed)
{
    for (size_t i = 0; i < p->o->source_count; i++)
        if (str_eq(p->o->sources[i], feed))
            return (ptrdiff_t)i;
    return -1;
}

static bool is_wanted(const struct picture *p, str feed) { return source_of(p, feed) >= 0; }

static int64_t interval_of(const struct picture *p, str feed)
{
    ptrdiff_t i = source_of(p, feed);
    bool own = i >= 0 && p->o->source_intervals && p->o->updater_interval_s; /* else nothing is updated */
    return own ? p->o->source_intervals[i] : p->o->updater_interval_s;
}

static const char *state_of(const struct picture *p, const struct feed_status *f)
{
    int64_t interval = interval_of(p, f->name);
    int64_t limit = interval ? 3 * interval : STALE_NEVER;
    if (!p->up)
        return "unknown";
    if (!f->last_success)
        return "never loaded";
    return p->now - f->last_success > (limit > STALE_LEAST ? limit : STALE_LEAST) ? "stale" : "loaded";
}

/* What clients write is no source: it is neither old nor missing, and judges no image. */
static void leave_out_manual(struct picture *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->feed_count; i++)
        if (!str_eq(p->feeds[i].name, STORE_MANUAL))
            p->feeds[kept++] = p->feeds[i];
    p->feed_count = kept;
}

/* Those that are wanted and of which the database knows nothing are listed, too. */
static int add_missing(struct picture *p, struct err *e)
{
    struct feed_status *all =
        arena_array(p->arena, struct feed_status, p->feed_count + p->o->source_count + 1);
    size_t known = p->feed_count;
    if (!all)
        return err_set(e, ERR_OOM, "out of memory");
    if (known)
        memcpy(all, p->feeds, known * sizeof *all);
    for (size_t i = 0; i < p->o->source_count; i++) {
        size_t k = 0;
        while (k < known && !str_eq(all[k].name, p->o->sources[i]))
            k++;
        if (k == known)
            all[p->feed_count++] = (struct feed_status){ .name = p->o->sources[i] };
    }
    p->feeds = all;
    return 0;
}

static int read_counts(struct api *a, struct store *s, struct picture *p, struct err *e)
{
    struct standing *st = a->standing;
    if (st->count_until_ms <= clock_ms()) {
        if (store_count(s, &st->counts, e) < 0 || store_size(s, &st->bytes, e) < 0)
            return -1;
        st->count_until_ms = clock_ms() + COUNT_MS;
    }
    p->counts = st->counts;
    p->bytes = st->bytes;
    return store_generation(s, &p->counts.generation, e);
}

static void note_answer(struct standing *s)
{
    pthread_mutex_lock(&s->lock);
    s->answers = true;
    pthread_mutex_unlock(&s->lock);
}

static int read_store(struct api *a, struct store *s, struct picture *p, struct err *e)
{
    str last;
    uint64_t number = 0;
    if (store_ping(s, e) < 0)
        return -1;
    note_answer(a->standing);
    if (store_feeds(s, p->arena, &p->feeds, &p->feed_count, e) < 0 || read_counts(a, s, p, e) < 0)
        return -1;
    if (store_notification_count(s, &p->notifications, e) < 0)
        return -1;
    leave_out_manual(p);
    int found = store_value_get(s, STR("updater/last"), p->arena, &last, e);
    if (found > 0 && str_to_u64(last, &number))
        p->last = (int64_t)number;
    return found < 0 ? -1 : 0;
}

static void read_picture(struct api *a, struct picture *p)
{
    struct store *s = stores_take(a->stores, &p->why);
    p->up = s && read_store(a, s, p, &p->why) == 0;
    stores_give(a->stores, s);
    if (!p->up)
        p->feed_count = 0;
}

/* ---- what is told ---- */

/* null: never */
static void put_time(struct json_writer *w, const char *key, int64_t t)
{
    char text[CLOCK_TEXT] = "";
    if (t)
        clock_format(t, text);
    json_w_text_or_null(w, key, str_from(text));
}

static void put_feeds(struct json_writer *w, const struct picture *p)
{
    json_w_key(w, "feeds");
    json_w_array(w);
    for (size_t i = 0; i < p->feed_count; i++) {
        const struct feed_status *f = &p->feeds[i];
        json_w_object(w);
        json_w_text(w, "name", f->name);
        json_w_text(w, "state", str_from(state_of(p, f)));
        json_w_flag(w, "enabled", is_wanted(p, f->name));
        json_w_number(w, "entries", f->entries);
        put_time(w, "last_try", f->last_try);
        put_time(w, "last_success", f->last_success);
        json_w_key(w, "age");
        if (f->last_success)
            json_w_int(w, p->now > f->last_success ? p->now - f->last_success : 0);
        else
            json_w_null(w);
        json_w_text_or_null(w, "error", f->error);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void put_missing(struct json_writer *w, const struct picture *p)
{
    json_w_key(w, "missing");
    json_w_array(w);
    for (size_t i = 0; i < p->feed_count; i++)
        if (!p->feeds[i].last_success && is_wanted(p, p->feeds[i].name))
            json_w_str(w, p->feeds[i].name);
    json_w_array_end(w);
}

static bool any_loaded(const struct picture *p)
{
    for (size_t i = 0; i < p->feed_count; i++)
        if (p->feeds[i].last_success && p->feeds[i].entries)
            return true;
    return false;
}

static unsigned write_ready(const struct picture *p, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    bool loaded = any_loaded(p), ready = p->up && loaded;
    json_w_object(&w);
    json_w_flag(&w, "ready", ready);
    if (!ready)
        json_w_text(&w, "reason",
                    p->up ? STR("no feed has been loaded") : STR("the database does not answer"));
    put_missing(&w, p);
    put_feeds(&w, p);
    json_w_object_end(&w);
    buf_char(out, '\n');
    return ready ? 200 : 503;
}

static void put_database(struct json_writer *w, const struct picture *p)
{
    json_w_key(w, "database");
    json_w_object(w);
    json_w_text(w, "engine", store_is_server(p->o->database) ? STR("postgresql") : STR("sqlite"));
    json_w_flag(w, "up", p->up);
    if (p->up) {
        json_w_number(w, "schema", p->counts.schema);
        json_w_number(w, "bytes", p->bytes);
    }
    json_w_object_end(w);
}

static void put_counts(struct json_writer *w, const struct store_counts *c)
{
    json_w_key(w, "counts");
    json_w_object(w);
    json_w_number(w, "layers", c->layers);
    json_w_number(w, "images", c->images);
    json_w_number(w, "packages", c->packages);
    json_w_number(w, "advisories", c->advisories);
    json_w_number(w, "ranges", c->ranges);
    json_w_object_end(w);
}

static void put_updater(struct json_writer *w, const struct picture *p)
{
    int64_t interval = p->o->updater_interval_s;
    json_w_key(w, "updater");
    json_w_object(w);
    json_w_flag(w, "enabled", interval > 0);
    json_w_number(w, "interval", interval);
    put_time(w, "last", p->last);
    put_time(w, "next", p->last && interval ? p->last + interval : 0);
    json_w_object_end(w);
}

static void write_status(const struct picture *p, const struct standing *s, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_object(&w);
    json_w_text(&w, "program", STR("eclair"));
    json_w_text(&w, "version", STR(ECLAIR_VERSION));
    json_w_key(&w, "features"); /* for clients that can do more than Clair's */
    json_w_array(&w);
    json_w_str(&w, STR("blobs"));
    json_w_array_end(&w);
    put_time(&w, "started", s->began);
    put_time(&w, "now", p->now);
    json_w_flag(&w, "ready", p->up && any_loaded(p));
    put_database(&w, p);
    if (p->up) {
        json_w_number(&w, "generation", p->counts.generation);
        put_counts(&w, &p->counts);
    }
    put_updater(&w, p);
    put_feeds(&w, p);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

/* ---- what is counted ---- */

static void set_notifications(struct metrics *m, const struct picture *p)
{
    const struct notification_counts *n = &p->notifications;
    int64_t age = n->oldest && p->now > n->oldest ? p->now - n->oldest : 0;
    metrics_set(m, METRIC_NOTIFICATIONS, (double)n->waiting, STR("waiting"), STR(""));
    metrics_set(m, METRIC_NOTIFICATIONS, (double)n->failed, STR("failed"), STR(""));
    metrics_set(m, METRIC_NOTIFICATIONS_AGE, (double)age, STR(""), STR(""));
}

static void set_gauges(struct metrics *m, const struct picture *p)
{
    const str none = STR("");
    metrics_set(m, METRIC_STORE_UP, p->up, none, none);
    if (!p->up)
        return; /* the others stay what was known last */
    for (size_t i = 0; i < p->feed_count; i++) {
        const struct feed_status *f = &p->feeds[i];
        metrics_set(m, METRIC_FEED_LOADED, f->last_success > 0, f->name, none);
        metrics_set(m, METRIC_FEED_ENTRIES, (double)f->entries, f->name, none);
        metrics_set(m, METRIC_FEED_FAILED, f->error.len > 0, f->name, none);
        if (f->last_success)
            metrics_set(m, METRIC_FEED_AGE, (double)(p->now - f->last_success), f->name, none);
    }
    metrics_set(m, METRIC_STORE_BYTES, (double)p->bytes, none, none);
    metrics_set(m, METRIC_STORE_GENERATION, (double)p->counts.generation, none, none);
    metrics_set(m, METRIC_STORE_LAYERS, (double)p->counts.layers, none, none);
    metrics_set(m, METRIC_STORE_IMAGES, (double)p->counts.images, none, none);
    metrics_set(m, METRIC_STORE_ADVISORIES, (double)p->counts.advisories, none, none);
    set_notifications(m, p);
}

/* ---- once a second ---- */

static void replace(struct buf *old, struct buf *new)
{
    buf_done(old);
    *old = *new;
    *new = (struct buf){ 0 };
}

/* `ask`: the database; else it is known that it says nothing. */
static void tell(struct api *a, const struct api_options *o, bool ask)
{
    struct standing *s = a->standing;
    CLEANUP(arena_freep) struct arena *arena = arena_new(MEMORY);
    CLEANUP(buf_done) struct buf ready = { 0 }, status = { 0 };
    struct picture p = { .o = o, .arena = arena, .now = clock_now() };
    struct err ignored = { 0 };
    if (!arena)
        return;
    if (ask)
        read_picture(a, &p);
    if (add_missing(&p, &ignored) < 0)
        p.feed_count = 0;
    unsigned code = write_ready(&p, &ready);
    write_status(&p, s, &status);
    pthread_mutex_lock(&s->lock);
    if (ask || s->asking) { /* else it has answered after all */
        set_gauges(a->options.metrics, &p);
        replace(&s->ready, &ready);
        replace(&s->status, &status);
        s->ready_code = code;
        s->known = true;
        s->up = p.up;
        s->until_ms = clock_ms() + FRESH_MS;
    }
    pthread_mutex_unlock(&s->lock);
}

static void tell_by_rules(struct api *a, bool ask)
{
    struct rules *rules = rules_hold(a);
    tell(a, rules_options(rules), ask);
    rules_drop(a, rules);
}

static void *look_when_asked(void *ctx)
{
    struct standing *s = ctx;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (!s->asking) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        tell_by_rules(s->api, true);
        pthread_mutex_lock(&s->lock);
        s->asking = false;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* True when it has. Whoever knows nothing yet waits longer for a database that answers, but has much to count. The lock is held. */
static bool wait_for_look(struct standing *s)
{
    int64_t end = s->asked_ms + PATIENCE_MS;
    const struct timespec t = { .tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000 };
    int late = 0;
    while (s->asking && !s->stop && !late)
        late = pthread_cond_timedwait(&s->changed, &s->lock, &t);
    while (s->asking && !s->stop && s->answers && !s->ready.len)
        pthread_cond_wait(&s->changed, &s->lock);
    return !s->asking || s->answers;
}

/* The lock is held. */
static void begin_look(struct standing *s)
{
    if (!s->asking) {
        s->asked_ms = clock_ms();
        s->answers = false;
    }
    s->asking = true;
    pthread_cond_broadcast(&s->changed);
}

int standing_glance(struct api *a)
{
    struct standing *s = a->standing;
    pthread_mutex_lock(&s->lock);
    if (clock_ms() >= s->until_ms && !s->asking)
        begin_look(s);
    bool silent = s->asking && !s->answers && clock_ms() - s->asked_ms >= PATIENCE_MS;
    int ret = silent ? 0 : s->asking && s->answers ? 1 : s->known ? s->up : -1;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

void standing_look(struct api *a)
{
    struct standing *s = a->standing;
    bool done = true;
    pthread_mutex_lock(&s->lock);
    if (clock_ms() >= s->until_ms) {
        begin_look(s);
        done = wait_for_look(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (!done)
        tell_by_rules(a, false);
}

bool api_rests(struct api *a)
{
    struct standing *s = a->standing;
    pthread_mutex_lock(&s->lock);
    bool rests = !s->asking;
    pthread_mutex_unlock(&s->lock);
    return rests;
}

static void give(struct api *a, bool status, struct response *ret)
{
    struct standing *s = a->standing;
    standing_look(a);
    pthread_mutex_lock(&s->lock);
    ret->status = status ? 200 : s->ready_code;
    buf_str(&ret->body, buf_view(status ? &s->status : &s->ready));
    pthread_mutex_unlock(&s->lock);
    response_header(ret, "Content-Type", STR("application/json;charset=utf-8"));
    response_header(ret, "Server", STR("clair"));
}

void ready_answer(struct api *a, struct response *ret) { give(a, false, ret); }

void v1_get_status(struct call *c)
{
    give(c->api, true, c->response);
    c->response->gzip = gzip_wanted(c->request);
}
