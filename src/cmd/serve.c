/* serve.c - the server: what `clair` was. Opens the ports, starts the updater, waits for a signal. */
#include "api/api.h"
#include "api/metrics.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cage/cage.h"
#include "cmd/command.h"
#include "cmd/proxies.h"
#include "cmd/serve_notify.h"
#include "cmd/service.h"
#include "cmd/settings.h"
#include "cmd/words.h"
#include "feed/feed.h"
#include "feed/updater.h"
#include "index/layer.h"
#include "net/http.h"
#include "net/places.h"
#include "net/server.h"
#include "net/trust.h"
#include "store/clair2.h"
#include "store/store.h"

#include <malloc.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#define WORK_STOP_MS    5000 /* for posts whose clients were answered with 503 */
#define HEALTH_STOP_MS  10000
#define UPDATER_STOP_MS 3000
#define TRUST_LOOK_MS   5000
#define UPDATER_LOOK_MS 1000 /* while one of before a reload has not ended */

static const struct option options[] = {
    { "config", "FILE", OPT_TEXT, offsetof(struct serve_options, config),
      "config.yaml of Clair [" CONFIG_PLACE " if it is there, else what `eclair help config` says]" },
    { "c", "FILE", OPT_TEXT, offsetof(struct serve_options, config), NULL },
    { "db", "WHERE", OPT_TEXT, offsetof(struct serve_options, db),
      "the database, whatever the file says: a connection string, or a path [" DB_PLACE "]" },
    { "log-level", "LEVEL", OPT_TEXT, offsetof(struct serve_options, log_level),
      "panic, fatal, error, warn, info (default) or debug", .words = words_log_levels },
    { "loglevel", "LEVEL", OPT_TEXT, offsetof(struct serve_options, log_level), NULL }, /* of clair-jwt */
    { "cpu-profile", "FILE", OPT_TEXT, offsetof(struct serve_options, cpu_profile),
      "taken, with a warning: perf(1) profiles a running server" },
    { "insecure-tls", NULL, OPT_BOOL, offsetof(struct serve_options, insecure_tls),
      "believe any certificate when layers are fetched" },
    { 0 },
};
_Static_assert(sizeof(struct serve_options) <= OPTIONS_SIZE_MAX, "options");

static const struct cage_task *const tasks[] = { &index_layer_task, &feed_task, NULL };

struct serving {
    const struct serve_options *options;
    struct settings *started; /* by which what cannot change was made */
    struct settings *current; /* by which the rest goes on */
    struct cage *cage;
    struct metrics *metrics;
    int64_t update_began_ms; /* of the updater's thread */
    struct api *api;
    struct server *main, *health;
    struct updater *updater;
    struct notify *notify;
    struct settings *notified; /* by which it runs */
    struct trust *trust;
    struct nonces *used; /* tokens, in memory: over all restarts of the proxies */
    struct proxies *proxies;
    struct settings *proxied; /* by which they run */
    bool notify_due;          /* to be started anew */
    uint8_t made_key[32];     /* of page tokens, when none is configured */
    bool updater_due;         /* to be started again, as soon as the old one has ended */
};

/* Nothing that a request began is left. */
static void silence(struct server *s)
{
    if (!s)
        return;
    server_stop(s, 0);
    while (!server_rest(s, 1000))
        ;
}

static void stop_notifier(struct serving *s)
{
    notify_stop(&s->notify);
    settings_freep(&s->notified);
}

/* What would go through our own signer is signed without the way there. */
static int start_notifier(struct serving *s, struct err *e)
{
    s->notified = settings_hold(s->current);
    const struct settings_view *v = settings_view(s->notified);
    struct notify_options o = v->notify;
    if (s->proxies && o.webhook.proxy && proxies_is_signer(v->config.jwtproxy, str_from(o.webhook.proxy))) {
        o.webhook.proxy = NULL;
        o.webhook.sign = proxies_sign;
        o.webhook.sign_ctx = s->proxies;
    }
    s->notify = serve_notify(&o, s->metrics, e);
    return s->notify ? 0 : -1;
}

static void stop_proxies(struct serving *s)
{
    proxies_stop(&s->proxies);
    settings_freep(&s->proxied);
}

static int start_proxies(struct serving *s, struct settings *by, struct err *e)
{
    s->proxied = settings_hold(by);
    if (!s->used && !(s->used = nonces_new(NULL, e)))
        return -1;
    const struct settings_view *v = settings_view(by);
    const struct proxies_options o = { .config = v->config.jwtproxy,
                                       .database = store_is_server(v->database) ? v->database : NULL,
                                       .used = s->used,
                                       .metrics = s->metrics,
                                       .arena = settings_arena(by) };
    s->proxies = proxies_start(&o, e);
    return s->proxies ? 0 : -1;
}

static str described(struct settings *s)
{
    const struct jwtproxy *j = settings_view(s)->config.jwtproxy;
    return j ? jwtproxy_describe(j, settings_arena(s)) : STR("");
}

/* Their ports are closed and opened again, if anything about them is another: the old ones stay when the new ones cannot be. */
static void restart_proxies(struct serving *s)
{
    struct err e = { 0 }, again = { 0 };
    if (s->proxies && str_eq(described(s->proxied), described(s->current)))
        return;
    CLEANUP(settings_freep) struct settings *old = settings_hold(s->proxied);
    stop_proxies(s);
    if (start_proxies(s, s->current, &e) == 0)
        return;
    log_error("the proxies stay as they were", LOG_TEXT("error", str_from(e.text)));
    stop_proxies(s);
    if (start_proxies(s, old, &again) < 0)
        log_error("the proxies could not be started again", LOG_TEXT("error", str_from(again.text)));
}

static void serving_done(struct serving *s)
{
    silence(s->main); /* each port tells of the other */
    silence(s->health);
    stop_notifier(s);
    stop_proxies(s);
    nonces_freep(&s->used);
    server_freep(&s->main);
    server_freep(&s->health);
    api_freep(&s->api);
    metrics_freep(&s->metrics);
    cage_freep(&s->cage);
    settings_freep(&s->current);
    settings_freep(&s->started);
    trust_freep(&s->trust);
}

/* ---- the updater ---- */

static void log_source(const struct updater_event *event)
{
    static const char *const outcomes[] = { [UPDATE_LOADED] = "finished fetching",
                                            [UPDATE_UNCHANGED] = "nothing new",
                                            [UPDATE_NOT_MIRRORED] = "not mirrored" };
    const struct update_counts *n = &event->result->counts;
    if (event->result->shrunk)
        log_warning("a source says less than half of what it said before, and was taken",
                    LOG_TEXT("updater name", str_from(event->source)));
    log_info(outcomes[event->result->outcome], LOG_NUM("added", n->added), LOG_NUM("changed", n->changed),
             LOG_NUM("unchanged", n->unchanged), LOG_TEXT("updater name", str_from(event->source)),
             LOG_NUM("withdrawn", n->withdrawn));
}

static void count_event(struct serving *s, enum updater_event_kind kind)
{
    const str none = STR("");
    if (kind == UPDATER_FAILED)
        metrics_add(s->metrics, METRIC_UPDATER_ERRORS, 1, none, none);
    if (kind == UPDATER_STARTED)
        s->update_began_ms = clock_ms();
    if (kind == UPDATER_FINISHED)
        metrics_set(s->metrics, METRIC_UPDATER_DURATION, (double)(clock_ms() - s->update_began_ms) / 1e3,
                    none, none);
    if (kind == UPDATER_STARTED || kind == UPDATER_FINISHED)
        metrics_set(s->metrics, METRIC_UPDATER_RUNNING, kind == UPDATER_STARTED, none, none);
}

static void log_event(void *ctx, const struct updater_event *event)
{
    count_event(ctx, event->kind);
    switch (event->kind) {
    case UPDATER_STARTED:
        log_info("updating vulnerabilities");
        break;
    case UPDATER_SOURCE:
        log_source(event);
        break;
    case UPDATER_FAILED:
        log_error("an error occured when fetching update", LOG_TEXT("error", str_from(event->err->text)),
                  LOG_TEXT("updater name", str_from(event->source)));
        break;
    case UPDATER_FINISHED:
        log_info("update finished");
        break;
    case UPDATER_TROUBLE:
        log_error("the updater waits", LOG_TEXT("error", str_from(event->err->text)));
        break;
    case UPDATER_UNTIDY:
        log_error("the database could not be tidied up", LOG_TEXT("error", str_from(event->err->text)));
        break;
    }
}

/* 0: not at all */
static int64_t update_interval(const struct settings_view *v)
{
    return v->config.updater && v->source_count ? v->config.updater_interval_s : 0;
}

static int start_updater(struct serving *s, struct err *e)
{
    const struct settings_view *v = settings_view(s->current);
    const struct updater_options o = {
        .database = v->database,
        .cage = s->cage,
        .mirror = v->config.mirror.len ? arena_cstr(settings_arena(s->current), v->config.mirror) : NULL,
        .interval_s = update_interval(v),
        .sources = v->sources,
        .source_count = v->source_count,
        .urls = v->source_urls,
        .intervals = v->source_intervals,
        .told = log_event,
        .ctx = s,
    };
    s->updater = updater_start(&o, e);
    if (!s->updater)
        return -1;
    log_info(o.interval_s ? "updater service started" : "updater service is disabled.");
    return 0;
}

/* ---- the ports ---- */

static void look_for_clair(struct store *store)
{
    struct err ignored = { 0 };
    if (clair2_is_beside(store, &ignored) > 0)
        log_info("a database of Clair 2 is there, too, and is left alone; what it holds can be imported",
                 LOG_TEXT("command", STR("eclair db import-clair SOURCE --db SOURCE")));
}

/* A server that is not up yet is no reason to give up: requests are answered with 500 meanwhile, and try again. Anything else is. */
static int try_database(const struct settings_view *v, struct err *e)
{
    CLEANUP(store_freep) struct store *store = store_open(v->database, STORE_WRITE, e);
    if (store)
        look_for_clair(store);
    if (store)
        return 0;
    if (e->kind != ERR_NETWORK)
        return -1;
    log_error("could not open database: it is tried again", LOG_TEXT("error", str_from(e->text)));
    *e = (struct err){ 0 };
    return 0;
}

/* One can do without it. */
static int try_replica(const struct settings_view *v, struct err *e)
{
    struct err why = { 0 };
    CLEANUP(store_freep)
    struct store *store = v->replica ? store_open(v->replica, STORE_READ, &why) : NULL;
    if (store || !v->replica)
        return 0;
    if (why.kind == ERR_USAGE)
        return err_set(e, why.kind, "database.options.readsource: %s", why.text);
    log_warning("could not open the read replica: the primary is asked until it answers",
                LOG_TEXT("error", str_from(why.text)));
    return 0;
}

static void log_notice(enum server_notice what, const char *peer, const char *text)
{
    switch (what) {
    case NOTICE_REFUSED:
        log_debug("TLS handshake failed", LOG_TEXT("error", str_from(text)),
                  LOG_TEXT("remote addr", str_from(peer)));
        break;
    case NOTICE_RELOADED:
        log_info("certificate, key and CA were read again");
        break;
    case NOTICE_KEPT:
        log_warning("certificate, key or CA changed, but the old ones stay",
                    LOG_TEXT("error", str_from(text)));
        break;
    case NOTICE_EXPIRED:
        log_warning("clients will not trust this server", LOG_TEXT("error", str_from(text)));
        break;
    }
}

static const char *path_or_null(struct arena *a, str path) { return path.len ? arena_cstr(a, path) : NULL; }

static int open_ports(struct serving *s, struct err *e)
{
    const struct config *c = &settings_view(s->started)->config;
    struct arena *arena = settings_arena(s->started);
    const struct server_handler handler = api_handler(s->api), health = api_health_handler(s->api);
    const struct server_options main_options = { .address = arena_cstr(arena, c->addr),
                                                 .long_threads = API_POST_THREADS,
                                                 .timeout_ms = c->timeout_ms,
                                                 .tls = { path_or_null(arena, c->certfile),
                                                          path_or_null(arena, c->keyfile),
                                                          path_or_null(arena, c->cafile) },
                                                 .notice = log_notice };
    const struct server_options health_options = { .address = arena_cstr(arena, c->healthaddr),
                                                   .read_threads = 2,
                                                   .long_threads = 1,
                                                   .timeout_ms = c->timeout_ms };
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "out of memory");
    if (!(s->main = server_new(&main_options, &handler, e)) ||
        !(s->health = server_new(&health_options, &health, e)))
        return -1;
    api_watch_servers(s->api, s->main, s->health);
    if (server_start(s->main, e) < 0 || server_start(s->health, e) < 0)
        return -1;
    log_info("starting main API", LOG_TEXT("addr", c->addr), LOG_NUM("port", server_port(s->main)));
    log_info("starting health API", LOG_TEXT("addr", c->healthaddr), LOG_NUM("port", server_port(s->health)));
    return 0;
}

static void let_go(void *owner)
{
    struct settings *s = owner;
    settings_freep(&s);
}

/* What requests go by; it keeps `settings`. */
static struct api_options api_options(const struct serving *s, struct settings *settings)
{
    const struct settings_view *v = settings_view(settings);
    struct api_options o = { .database = v->database,
                             .timeout_ms = v->config.timeout_ms,
                             .replica = v->replica,
                             .cage = s->cage,
                             .metrics = s->metrics,
                             .localpaths = v->config.localpaths,
                             .localpath_count = v->config.localpath_count,
                             .fetch = { .places = &v->places,
                                        .cafile = v->fetch_cafile,
                                        .insecure_tls = v->insecure_tls,
                                        .timeout_ms = v->config.fetch_timeout_ms,
                                        .size_max = v->config.fetch_size_max },
                             .sources = v->sources,
                             .source_count = v->source_count,
                             .source_intervals = v->source_intervals,
                             .updater_interval_s = update_interval(v),
                             .readonly = v->config.readonly,
                             .token = v->token,
                             .keys = v->config.keys_registry,
                             .keys_audience = v->config.keys_audience,
                             .release = let_go,
                             .owner = settings_hold(settings) };
    memcpy(o.pagination_key, v->has_pagination_key ? v->pagination_key : s->made_key,
           sizeof o.pagination_key);
    return o;
}

static int make_key(struct serving *s, struct err *e)
{
    if (getrandom(s->made_key, sizeof s->made_key, 0) != (ssize_t)sizeof s->made_key)
        return err_errno(e, "random bytes for page tokens");
    if (!settings_view(s->started)->has_pagination_key)
        log_warning("no api.paginationkey: one is made up, so that page tokens of this process are good for "
                    "no other");
    return 0;
}

static int start(struct serving *s, struct err *e)
{
    const struct settings_view *v = settings_view(s->started);
    if (make_key(s, e) < 0)
        return -1;
    if (http_init(e) < 0 || try_database(v, e) < 0 || try_replica(v, e) < 0)
        return -1;
    if (!(s->metrics = metrics_of_server(e)))
        return -1;
    metrics_set(s->metrics, METRIC_PROCESS_START, (double)clock_now(), STR(""), STR(""));
    const struct api_options o = api_options(s, s->started);
    s->api = api_new(&o, e);
    if (!s->api)
        let_go(o.owner);
    if (!s->api || open_ports(s, e) < 0 || start_proxies(s, s->current, e) < 0 || start_notifier(s, e) < 0)
        return -1;
    return start_updater(s, e);
}

/* ---- while it runs ---- */

static void log_notes(const struct settings_view *v)
{
    for (size_t i = 0; i < v->config.warning_count; i++)
        log_warning("configuration", LOG_TEXT("note", v->config.warnings[i]));
    for (size_t i = 0; i < v->note_count; i++)
        log_warning("configuration", LOG_TEXT("note", v->notes[i]));
    for (size_t i = 0; i < v->unknown_count; i++)
        log_warning("an enabled updater is not there: its data is not loaded",
                    LOG_TEXT("updater name", v->unknown[i]));
}

static void use_log(const struct settings_view *v)
{
    log_set_level(v->log_level);
    log_set_form(v->log_form);
}

static bool is_about_updates(const char *key)
{
    return str_starts(str_from(key), STR("updater.")) || str_starts(str_from(key), STR("feeds."));
}

/* Tells what is another than before, and notes who is concerned. */
static void log_changes(struct serving *s, struct settings *next)
{
    const struct config *now = &settings_view(next)->config;
    for (size_t i = 0; config_key(i); i++) {
        const struct config_key *k = config_key(i);
        const struct settings *before = k->live ? s->current : s->started;
        if (str_eq(now->values[i].text, settings_view(before)->config.values[i].text))
            continue;
        log_info(k->live ? "configuration changed" : "configuration changed: in force after a restart",
                 LOG_TEXT("key", str_from(k->key)),
                 LOG_TEXT("value", config_shown(now, i, settings_arena(next))));
        s->updater_due |= k->live && is_about_updates(k->key);
    }
}

/* All or nothing of what can change while it runs. */
static int take_over(struct serving *s, struct settings *next, struct err *e)
{
    const struct api_options o = api_options(s, next);
    if (api_set_options(s->api, &o, e) < 0) {
        let_go(o.owner);
        return -1;
    }
    use_log(settings_view(next));
    return 0;
}

static void restart_notifier(struct serving *s)
{
    struct err e = { 0 };
    if (!s->notify_due)
        return;
    stop_notifier(s);
    s->notify_due = start_notifier(s, &e) < 0;
    if (s->notify_due)
        log_error("the notifier could not be started: it is tried again",
                  LOG_TEXT("error", str_from(e.text)));
}

static void reload(struct serving *s)
{
    struct err e = { 0 };
    CLEANUP(settings_freep) struct settings *next = settings_load(s->options, &e);
    if (!next || take_over(s, next, &e) < 0) {
        log_error("the configuration stays as it was", LOG_TEXT("error", str_from(e.text)));
        return;
    }
    log_notes(settings_view(next));
    log_changes(s, next);
    s->notify_due = true; /* in any case: what stands in files may be another */
    struct settings *old = s->current;
    s->current = next;
    next = old;       /* freed here, when no request goes by it */
    stop_notifier(s); /* it signs by the proxies' key */
    restart_proxies(s);
    restart_notifier(s);
    log_info("configuration read again");
}

/* One that is in the middle of a transfer ends later: then it is looked after once a second. */
static void restart_updater(struct serving *s)
{
    struct err e = { 0 };
    if (!s->updater_due || !updater_stop(&s->updater, 0))
        return;
    s->updater_due = start_updater(s, &e) < 0;
    if (s->updater_due)
        log_error("the updater could not be started: it is tried again", LOG_TEXT("error", str_from(e.text)));
}

/* The next signal; 0 when it is time to look after something. */
static int next_signal(const struct serving *s, const sigset_t *set)
{
    int64_t ms = service_alive_ms();
    if (!ms || ms > TRUST_LOOK_MS)
        ms = TRUST_LOOK_MS;
    if ((s->updater_due || s->notify_due) && (!ms || ms > UPDATER_LOOK_MS))
        ms = UPDATER_LOOK_MS;
    const struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    int which = sigtimedwait(set, NULL, &wait);
    return which < 0 ? 0 : which;
}

static void wait_for_the_end(struct serving *s, const sigset_t *set)
{
    for (int which = 0; which != SIGTERM && which != SIGINT; which = next_signal(s, set)) {
        if (which == SIGHUP) {
            service_reloading();
            reload(s);
            service_ready();
        }
        restart_updater(s);
        restart_notifier(s);
        if (trust_look(s->trust))
            log_info("authorities were read again", LOG_NUM("own", (int64_t)trust_count(s->trust)));
        service_alive();
    }
    log_info("Received interruption, gracefully stopping ...");
    service_stopping();
    /* a second one does not wait */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

/* ---- the end ---- */

static void stop(struct serving *s)
{
    stop_notifier(s);
    stop_proxies(s);
    server_stop(s->main, -1);
    log_info("main API stopped");
    server_stop(s->health, HEALTH_STOP_MS);
    log_info("health API stopped");
    bool updated = updater_stop(&s->updater, UPDATER_STOP_MS), rests = server_rest(s->main, WORK_STOP_MS);
    if (updated)
        log_info("updater service stopped");
    else
        log_warning("updater service abandoned");
    if (!rests)
        log_warning("layers that were being read abandoned");
    /* they wait for somebody else's server; what they have begun is swept, or begun anew, by the next one */
    if (!updated || !rests || !api_rests(s->api))
        _exit(0);
}

/* A connection in TLS has three. */
static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static int serve(struct serving *s, struct err *e)
{
    sigset_t set;
    const struct settings_view *v = settings_view(s->started);
    raise_descriptors();
    s->cage = cage_new(tasks, NULL, e);
    if (!s->cage)
        return -1;
    if (*cage_notice(s->cage))
        log_warning("cage", LOG_TEXT("note", str_from(cage_notice(s->cage))));
    if (!(s->trust = trust_new(NULL, e)))
        return -1;
    if (trust_count(s->trust))
        log_info("authorities beside the system's are believed",
                 LOG_NUM("own", (int64_t)trust_count(s->trust)));
    log_notes(v);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (start(s, e) < 0) {
        updater_stop(&s->updater, UPDATER_STOP_MS);
        return -1;
    }
    service_ready();
    wait_for_the_end(s, &set);
    stop(s);
    return 0;
}

/* As the old server: text on standard error before it has a log, then a line of the log too. */
static int fail(const struct err *e, bool has_log)
{
    if (has_log)
        LOG(LOG_FATAL, "the server ends", LOG_TEXT("error", str_from(e->text)));
    log_fatal_text(has_log ? "the server ends" : "failed to load configuration", e->text);
    return 1;
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    CLEANUP(serving_done) struct serving s = { .options = opts, .started = settings_load(opts, e) };
    (void)args, (void)count;
    /* what a report took is used by the next one; given back, it would be faulted in again page by page */
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    mallopt(M_ARENA_MAX, 4);
    if (!s.started)
        return fail(e, false);
    s.current = settings_hold(s.started);
    use_log(settings_view(s.started));
    if (s.options->cpu_profile)
        log_warning("-cpu-profile has no effect: perf(1) profiles a running server");
    return serve(&s, e) < 0 ? fail(e, true) : 0;
}

const struct command command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "Runs the server: Clair's REST API and its updater",
    .details =
        "Takes config.yaml as Clair 2 and Clair 3 did; `eclair help config` lists its keys. Without "
        "one: an embedded\n"
        "database, the API on port 6060, health on 6061, an update every two hours. The log is JSON, "
        "a line an event, on "
        "standard output.\n"
        "SIGTERM stops it gracefully: requests that run are finished. SIGHUP lets it read its configuration "
        "again.",
    .options = options,
    .args_max = 0,
    .go_flags = true,
    .own_config = true,
    .run = run,
};
