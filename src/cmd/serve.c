/* serve.c - the server: what `clair` was. Opens the ports, starts the updater, waits for a signal. */
#include "api/api.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cage/cage.h"
#include "cmd/command.h"
#include "config/config.h"
#include "feed/feed.h"
#include "feed/updater.h"
#include "index/layer.h"
#include "net/http.h"
#include "net/places.h"
#include "net/server.h"
#include "store/store.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define CONFIG_PLACE    "/etc/clair/config.yaml"
#define DB_PLACE        "/var/lib/eclair/eclair.db" /* of a service (design.md 9, Store place) */
#define WORK_STOP_MS    5000                        /* for posts whose clients were answered with 503 */
#define HEALTH_STOP_MS  10000
#define UPDATER_STOP_MS 3000

struct serve_options {
    const char *config, *db, *log_level;
    bool insecure_tls;
};

static const struct option options[] = {
    { "config", "FILE", OPT_TEXT, offsetof(struct serve_options, config),
      "config.yaml of Clair [" CONFIG_PLACE " if it is there, else what `eclair help config` says]" },
    { "c", "FILE", OPT_TEXT, offsetof(struct serve_options, config), NULL },
    { "db", "WHERE", OPT_TEXT, offsetof(struct serve_options, db),
      "the database, whatever the file says: a connection string, or a path [" DB_PLACE "]" },
    { "log-level", "LEVEL", OPT_TEXT, offsetof(struct serve_options, log_level),
      "panic, fatal, error, warn, info (default) or debug" },
    { "insecure-tls", NULL, OPT_FLAG, offsetof(struct serve_options, insecure_tls),
      "believe any certificate when layers are fetched" },
    { 0 },
};
_Static_assert(sizeof(struct serve_options) <= OPTIONS_SIZE_MAX, "options");

static const struct cage_task *const tasks[] = { &index_layer_task, &feed_task, NULL };

struct serving {
    struct arena *arena;
    struct config config;
    const char *database, *replica;
    struct places places; /* of layers' URLs */
    const char *cafile;   /* NULL: none */
    struct cage *cage;
    struct api *api;
    struct server *main, *health;
    struct updater *updater;
    const str *sources; /* NULL: all */
    size_t source_count;
};

static void serving_done(struct serving *s)
{
    server_freep(&s->main);
    server_freep(&s->health);
    api_freep(&s->api);
    cage_freep(&s->cage);
    arena_freep(&s->arena);
}

/* ---- before anything runs ---- */

static int read_config(struct serving *s, const struct serve_options *o, struct err *e)
{
    if (o->config && *o->config)
        return config_load(o->config, s->arena, &s->config, e);
    config_defaults(&s->config);
    if (!o->config && access(CONFIG_PLACE, F_OK) == 0)
        return config_load(CONFIG_PLACE, s->arena, &s->config, e);
    return 0;
}

/* Of the file's database: another one has another. */
static int find_replica(struct serving *s, const struct serve_options *o, struct err *e)
{
    str source = s->config.database_readsource;
    if (o->db || !source.len)
        return 0;
    if (!(s->replica = arena_cstr(s->arena, source)))
        return err_set(e, ERR_OOM, "out of memory");
    return store_is_server(s->replica) && store_is_server(s->database)
               ? 0
               : err_set(e, ERR_USAGE,
                         "database.options.readsource: wants a connection string of PostgreSQL, as source");
}

static int find_database(struct serving *s, const struct serve_options *o, struct err *e)
{
    char place[4096];
    str source = s->config.database_source;
    bool sqlite = str_eq(s->config.database_type, STR("sqlite"));
    if (o->db)
        s->database = o->db;
    else if (source.len)
        s->database = arena_cstr(s->arena, source);
    else if (geteuid() == 0)
        s->database = DB_PLACE;
    else if (database_place(NULL, place, sizeof place, e) < 0)
        return -1;
    else
        s->database = arena_cstr(s->arena, str_from(place));
    if (!s->database)
        return err_set(e, ERR_OOM, "out of memory");
    if (!*s->database)
        return err_set(e, ERR_USAGE, "--db: is empty");
    if (!o->db && source.len && sqlite == store_is_server(s->database))
        return err_set(e, ERR_USAGE, "database.type is %s, but database.options.source is %s",
                       sqlite ? "sqlite" : "pgsql",
                       sqlite ? "a connection string" : "none of libpq's forms (a path needs type: sqlite)");
    return find_replica(s, o, e);
}

/* Which of Clair's updaters (spec/server.md 2) is which source of ours. */
static const struct {
    const char *updater, *source;
} sources[] = {
    { "alpine", "alpine" },
    { "debian", "debian" },
};

static int find_sources(struct serving *s, struct err *e)
{
    if (!s->config.updaters)
        return 0;
    str *list = arena_array(s->arena, str, s->config.updater_count + 1);
    if (!list)
        return err_set(e, ERR_OOM, "out of memory");
    for (size_t i = 0; i < s->config.updater_count; i++) {
        str name = s->config.updaters[i];
        size_t k = 0;
        while (k < sizeof sources / sizeof *sources && !str_eq(name, str_from(sources[k].updater)))
            k++;
        if (k < sizeof sources / sizeof *sources)
            list[s->source_count++] = str_from(sources[k].source);
        else
            log_warning("an enabled updater is not there: its data is not loaded",
                        LOG_TEXT("updater name", name));
    }
    s->sources = list;
    return 0;
}

/* What may be said of layers' URLs (section fetch). */
static int find_places(struct serving *s, struct err *e)
{
    const struct config *c = &s->config;
    if (places_read(c->fetch_allow, c->fetch_allow_count, s->arena, &s->places.allow, e) < 0)
        return err_wrap(e, "fetch.allow");
    if (places_read(c->fetch_deny, c->fetch_deny_count, s->arena, &s->places.deny, e) < 0)
        return err_wrap(e, "fetch.deny");
    if (!c->fetch_cafile.len)
        return 0;
    s->cafile = arena_cstr(s->arena, c->fetch_cafile);
    if (!s->cafile || access(s->cafile, R_OK) < 0)
        return err_errno(e, "fetch.cafile: " STR_FMT, STR_ARG(c->fetch_cafile));
    return 0;
}

static int set_log_level(const struct serve_options *o, struct err *e)
{
    enum log_level level = LOG_INFO;
    if (o->log_level && !log_level_parse(str_from(o->log_level), &level))
        return err_set(e, ERR_USAGE, "--log-level: '%s' is none of panic, fatal, error, warn, info, debug",
                       o->log_level);
    log_set_level(level);
    return 0;
}

/* ---- the updater ---- */

static void log_source(const struct updater_event *event)
{
    static const char *const outcomes[] = { [UPDATE_LOADED] = "finished fetching",
                                            [UPDATE_UNCHANGED] = "nothing new",
                                            [UPDATE_NOT_MIRRORED] = "not mirrored" };
    const struct update_counts *n = &event->result->counts;
    log_info(outcomes[event->result->outcome], LOG_NUM("added", n->added), LOG_NUM("changed", n->changed),
             LOG_NUM("unchanged", n->unchanged), LOG_TEXT("updater name", str_from(event->source)),
             LOG_NUM("withdrawn", n->withdrawn));
}

static void log_event(void *ctx, const struct updater_event *event)
{
    (void)ctx;
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

static int start_updater(struct serving *s, struct err *e)
{
    bool enabled = s->config.updater && !(s->sources && !s->source_count);
    const struct updater_options o = {
        .database = s->database,
        .cage = s->cage,
        .mirror = s->config.mirror.len ? arena_cstr(s->arena, s->config.mirror) : NULL,
        .interval_s = enabled ? s->config.updater_interval_s : 0,
        .sources = s->sources,
        .source_count = s->source_count,
        .told = log_event,
    };
    s->updater = updater_start(&o, e);
    if (!s->updater)
        return -1;
    log_info(enabled ? "updater service started" : "updater service is disabled.");
    return 0;
}

/* ---- the ports ---- */

/* A server that is not up yet is no reason to give up: requests are answered with 500 meanwhile, and try again. Anything else is. */
static int try_database(const struct serving *s, struct err *e)
{
    CLEANUP(store_freep) struct store *store = store_open(s->database, STORE_WRITE, e);
    if (store)
        return 0;
    if (e->kind != ERR_NETWORK)
        return -1;
    log_error("could not open database: it is tried again", LOG_TEXT("error", str_from(e->text)));
    *e = (struct err){ 0 };
    return 0;
}

/* One can do without it. */
static int try_replica(const struct serving *s, struct err *e)
{
    struct err why = { 0 };
    CLEANUP(store_freep)
    struct store *store = s->replica ? store_open(s->replica, STORE_READ, &why) : NULL;
    if (store || !s->replica)
        return 0;
    if (why.kind == ERR_USAGE)
        return err_set(e, why.kind, "database.options.readsource: %s", why.text);
    log_warning("could not open the read replica: the primary is asked until it answers",
                LOG_TEXT("error", str_from(why.text)));
    return 0;
}

static int open_ports(struct serving *s, struct err *e)
{
    const struct server_handler handler = api_handler(s->api), health = api_health_handler(s->api);
    const struct server_options main_options = { .address = arena_cstr(s->arena, s->config.addr),
                                                 .long_threads = API_POST_THREADS,
                                                 .timeout_ms = s->config.timeout_ms };
    const struct server_options health_options = { .address = arena_cstr(s->arena, s->config.healthaddr),
                                                   .read_threads = 2,
                                                   .long_threads = 1,
                                                   .timeout_ms = s->config.timeout_ms };
    if (arena_failed(s->arena))
        return err_set(e, ERR_OOM, "out of memory");
    if (!(s->main = server_new(&main_options, &handler, e)) ||
        !(s->health = server_new(&health_options, &health, e)) || server_start(s->main, e) < 0 ||
        server_start(s->health, e) < 0)
        return -1;
    log_info("starting main API", LOG_TEXT("addr", s->config.addr), LOG_NUM("port", server_port(s->main)));
    log_info("starting health API", LOG_TEXT("addr", s->config.healthaddr),
             LOG_NUM("port", server_port(s->health)));
    return 0;
}

static int start(struct serving *s, const struct serve_options *o, struct err *e)
{
    const struct api_options api = { .database = s->database,
                                     .replica = s->replica,
                                     .cage = s->cage,
                                     .localpaths = s->config.localpaths,
                                     .localpath_count = s->config.localpath_count,
                                     .fetch = { .places = &s->places,
                                                .cafile = s->cafile,
                                                .insecure_tls = o->insecure_tls,
                                                .timeout_ms = s->config.fetch_timeout_ms,
                                                .size_max = s->config.fetch_size_max } };
    if (http_init(e) < 0 || try_database(s, e) < 0 || try_replica(s, e) < 0)
        return -1;
    s->api = api_new(&api, e);
    return s->api && open_ports(s, e) == 0 ? start_updater(s, e) : -1;
}

/* ---- the end ---- */

static void wait_for_signal(const sigset_t *set)
{
    int which;
    while (sigwait(set, &which) != 0)
        ;
    log_info("Received interruption, gracefully stopping ...");
    /* a second one does not wait */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

static void stop(struct serving *s)
{
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
    if (!updated || !rests)
        _exit(0);
}

static int serve(struct serving *s, const struct serve_options *o, struct err *e)
{
    sigset_t set;
    /* what a report took is used by the next one; given back, it would be faulted in again page by page */
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    mallopt(M_ARENA_MAX, 4);
    if (set_log_level(o, e) < 0 || read_config(s, o, e) < 0 || find_database(s, o, e) < 0 ||
        find_sources(s, e) < 0 || find_places(s, e) < 0)
        return -1;
    for (size_t i = 0; i < s->config.warning_count; i++)
        log_warning("configuration", LOG_TEXT("note", s->config.warnings[i]));
    s->cage = cage_new(tasks, NULL, e);
    if (!s->cage)
        return -1;
    if (*cage_notice(s->cage))
        log_warning("cage", LOG_TEXT("note", str_from(cage_notice(s->cage))));
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (start(s, o, e) < 0) {
        updater_stop(&s->updater, UPDATER_STOP_MS);
        return -1;
    }
    wait_for_signal(&set);
    stop(s);
    return 0;
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    CLEANUP(serving_done) struct serving s = { .arena = arena_new(0) };
    (void)args, (void)count;
    return s.arena ? serve(&s, opts, e) : err_set(e, ERR_OOM, "out of memory");
}

const struct command command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "Runs the server: Clair's REST API and its updater",
    .details = "Takes config.yaml as Clair 2 and Clair 3 did; `eclair help config` lists its keys. Without "
               "one: an embedded\n"
               "database, the API on port 6060, health on 6061, an update every two hours. The log is JSON, "
               "a line an event, on "
               "standard output.\n"
               "SIGTERM stops it gracefully: requests that run are finished.",
    .options = options,
    .args_max = 0,
    .go_flags = true,
    .run = run,
};
