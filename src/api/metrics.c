/* metrics.c - GET /v1/metrics, on both ports also /metrics: what has been counted, in the words of Clair's dashboards and in ours. */
#include "api/metrics.h"

#include "api/internal.h"
#include "cage/cage.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Those of the old server: 9.375 ms, doubled nine times; and the Go library's own. */
static const double api_bounds[] = { 9.375, 18.75, 37.5, 75, 150, 300, 600, 1200, 2400, 4800 };
static const double usual_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };
static const double judge_bounds[] = { .00005, .0001, .0002, .0005, .001, .002, .005, .01, .1, 1, 10 };
static const double layer_bounds[] = { .01, .03, .1, .3, 1, 3, 10, 30, 100, 300 };
#define BOUNDS(list) list, sizeof list / sizeof *list

static const struct metric_about families[METRICS] = {
    [METRIC_API_DURATION] = { "clair_api_response_duration_milliseconds",
                              "The duration of time it takes to receive and write a response to an API "
                              "request",
                              METRIC_HISTOGRAM,
                              { "code", "route" },
                              BOUNDS(api_bounds) },
    [METRIC_V3_DURATION] = { "clair_v3_api_response_duration_milliseconds",
                             "The same of API v3 over REST.",
                             METRIC_HISTOGRAM,
                             { "code", "route" },
                             BOUNDS(api_bounds) },
    [METRIC_GRPC_STARTED] = { "grpc_server_started_total",
                              "Calls that began.",
                              METRIC_COUNTER,
                              { "grpc_method", "grpc_service", "grpc_type" } },
    [METRIC_GRPC_HANDLED] = { "grpc_server_handled_total",
                              "Calls that ended, by how.",
                              METRIC_COUNTER,
                              { "grpc_code", "grpc_method", "grpc_service", "grpc_type" } },
    [METRIC_GRPC_RECEIVED] = { "grpc_server_msg_received_total",
                               "Messages of clients.",
                               METRIC_COUNTER,
                               { "grpc_method", "grpc_service", "grpc_type" } },
    [METRIC_GRPC_SENT] = { "grpc_server_msg_sent_total",
                           "Messages to clients.",
                           METRIC_COUNTER,
                           { "grpc_method", "grpc_service", "grpc_type" } },
    [METRIC_UPDATER_ERRORS] = { "clair_updater_errors_total", "Sources that could not be loaded.",
                                METRIC_COUNTER },
    [METRIC_UPDATER_DURATION] = { "clair_updater_duration_seconds", "Time of the last update.",
                                  METRIC_GAUGE },
    [METRIC_UPDATER_NOTES] = { "clair_updater_notes_total", "Notes of the last update: always 0.",
                               METRIC_GAUGE },
    [METRIC_NOTIFIER_LATENCY] = { "clair_notifier_latency_milliseconds",
                                  "From a notification's creation to its delivery.",
                                  METRIC_HISTOGRAM,
                                  { NULL },
                                  BOUNDS(usual_bounds) },
    [METRIC_NOTIFIER_ERRORS] = { "clair_notifier_backend_errors_total",
                                 "Deliveries that failed.",
                                 METRIC_COUNTER,
                                 { "backend" } },
    [METRIC_NOTIFIER_TOLD] = { "eclair_notifications_told_total",
                               "Notifications that were told by all senders.", METRIC_COUNTER },
    [METRIC_NOTIFIER_FAILURES] = { "eclair_notification_failures_total",
                                   "Tries to tell a notification that failed.",
                                   METRIC_COUNTER,
                                   { "reason", "sender" } },
    [METRIC_NOTIFICATIONS] = { "eclair_notifications_waiting",
                               "Notifications that nobody has been told of yet; those of them of which a try "
                               "failed.",
                               METRIC_GAUGE,
                               { "state" } },
    [METRIC_NOTIFICATIONS_AGE] = { "eclair_notifications_oldest_seconds",
                                   "Age of the oldest notification that waits; 0: none does.", METRIC_GAUGE },
    [METRIC_PGSQL_ERRORS] = { "clair_pgsql_errors_total",
                              "Requests that the database failed.",
                              METRIC_COUNTER,
                              { "request" } },
    [METRIC_PGSQL_CACHE_HITS] = { "clair_pgsql_cache_hits_total",
                                  "Answers that were kept in memory.",
                                  METRIC_COUNTER,
                                  { "object" } },
    [METRIC_PGSQL_CACHE_QUERIES] = { "clair_pgsql_cache_queries_total",
                                     "Answers that were looked for in memory.",
                                     METRIC_COUNTER,
                                     { "object" } },
    [METRIC_PGSQL_DURATION] = { "clair_pgsql_query_duration_milliseconds",
                                "Time in the database, by what was asked.",
                                METRIC_HISTOGRAM,
                                { "query", "subquery" },
                                BOUNDS(usual_bounds) },
    [METRIC_PGSQL_LOCK] = { "clair_pgsql_concurrent_lock_vafv_total",
                            "Holders of a lock that is not there any more: always 0.", METRIC_GAUGE },
    [METRIC_BUILD] = { "eclair_build_info", "1, with the version.", METRIC_GAUGE, { "version" } },
    [METRIC_STORE_UP] = { "eclair_store_up", "1 while the database answers.", METRIC_GAUGE },
    [METRIC_STORE_BYTES] = { "eclair_store_bytes", "Size of the database.", METRIC_GAUGE },
    [METRIC_STORE_GENERATION] = { "eclair_store_generation", "Number of the feeds' last change.",
                                  METRIC_GAUGE },
    [METRIC_STORE_LAYERS] = { "eclair_store_layers", "Layers that are indexed.", METRIC_GAUGE },
    [METRIC_STORE_IMAGES] = { "eclair_store_images", "Images and views of layers.", METRIC_GAUGE },
    [METRIC_STORE_ADVISORIES] = { "eclair_store_advisories", "Advisories of all feeds.", METRIC_GAUGE },
    [METRIC_FEED_AGE] = { "eclair_feed_age_seconds",
                          "Since the feed was last found whole, new or not.",
                          METRIC_GAUGE,
                          { "feed" } },
    [METRIC_FEED_LOADED] = { "eclair_feed_loaded",
                             "1 once the feed has been loaded.",
                             METRIC_GAUGE,
                             { "feed" } },
    [METRIC_FEED_ENTRIES] = { "eclair_feed_entries",
                              "Affected ranges of the feed.",
                              METRIC_GAUGE,
                              { "feed" } },
    [METRIC_FEED_FAILED] = { "eclair_feed_failed", "1 if the last try failed.", METRIC_GAUGE, { "feed" } },
    [METRIC_UPDATER_RUNNING] = { "eclair_updater_running", "1 while this server updates.", METRIC_GAUGE },
    [METRIC_REPORTS] = { "eclair_reports_total",
                         "Reports by whether they were kept in memory.",
                         METRIC_COUNTER,
                         { "kept" } },
    [METRIC_LATE] = { "eclair_requests_late_total", "Requests answered with 503 after api.timeout.",
                      METRIC_COUNTER },
    [METRIC_CAGE_FAILURES] = { "eclair_cage_failures_total",
                               "Layers that a worker could not read.",
                               METRIC_COUNTER,
                               { "reason" } },
    [METRIC_CAGE_JOBS] = { "eclair_cage_jobs_total", "Layers and feeds that were given to workers.",
                           METRIC_COUNTER },
    [METRIC_CAGE_RUNNING] = { "eclair_cage_running", "Workers that are reading.", METRIC_GAUGE },
    [METRIC_CAGE_BYTES] = { "eclair_cage_bytes_total",
                            "Bytes that workers were given, and gave.",
                            METRIC_COUNTER,
                            { "direction" } },
    [METRIC_CAGE_ENDED] = { "eclair_cage_ended_total",
                            "Workers that crashed, or were ended for their time or output.",
                            METRIC_COUNTER,
                            { "reason" } },
    [METRIC_LAYER_SECONDS] = { "eclair_layer_index_seconds",
                               "Time to fetch, read and store a new layer.",
                               METRIC_HISTOGRAM,
                               { NULL },
                               BOUNDS(layer_bounds) },
    [METRIC_QUEUE] = { "eclair_layer_posts",
                       "Posts of layers that are under way.",
                       METRIC_GAUGE,
                       { "state" } },
    [METRIC_REFUSED] = { "eclair_layer_posts_refused_total", "Posts that were told to come again.",
                         METRIC_COUNTER },
    [METRIC_CONNECTIONS] = { "eclair_http_connections",
                             "Connections that are open.",
                             METRIC_GAUGE,
                             { "port" } },
    [METRIC_REQUESTS] = { "eclair_http_requests",
                          "Requests that have come and are not answered yet.",
                          METRIC_GAUGE,
                          { "port" } },
    [METRIC_POOL] = { "eclair_http_pool_requests",
                      "Requests of the main port that wait for a thread, or have one.",
                      METRIC_GAUGE,
                      { "pool", "state" } },
    [METRIC_POOL_REFUSED] = { "eclair_http_refused_total",
                              "Requests that were told to come again, for too many waited.", METRIC_COUNTER },
    [METRIC_PROXY_JUDGED] = { "eclair_proxy_requests_total",
                              "Requests that a verifying proxy judged: good, or what was wrong with them.",
                              METRIC_COUNTER,
                              { "result", "status" } },
    [METRIC_PROXY_SECONDS] = { "eclair_proxy_judge_seconds",
                               "Time that it took to judge one, with the key and the nonce.",
                               METRIC_HISTOGRAM,
                               { NULL },
                               BOUNDS(judge_bounds) },
    [METRIC_PROXY_SIGNED] = { "eclair_proxy_signed_total",
                              "Requests that came to the signing proxy: signed, or what was wrong.",
                              METRIC_COUNTER,
                              { "result" } },
    [METRIC_PROCESS_CPU] = { "process_cpu_seconds_total",
                             "CPU time of the server and of workers that have ended.", METRIC_COUNTER },
    [METRIC_PROCESS_RSS] = { "process_resident_memory_bytes", "Resident memory size in bytes.",
                             METRIC_GAUGE },
    [METRIC_PROCESS_VIRTUAL] = { "process_virtual_memory_bytes", "Virtual memory size in bytes.",
                                 METRIC_GAUGE },
    [METRIC_PROCESS_FDS] = { "process_open_fds", "Number of open file descriptors.", METRIC_GAUGE },
    [METRIC_PROCESS_MAX_FDS] = { "process_max_fds", "Maximum number of open file descriptors.",
                                 METRIC_GAUGE },
    [METRIC_PROCESS_START] = { "process_start_time_seconds", "Start time of the process since 1970-01-01.",
                               METRIC_GAUGE },
};

struct metrics *metrics_of_server(struct err *e)
{
    struct metrics *m = metrics_new(families, METRICS, e);
    metrics_set(m, METRIC_BUILD, 1, STR(ECLAIR_VERSION), STR(""));
    return m;
}

/* ---- the process ---- */

static void set(struct api *a, enum metric which, double value)
{
    metrics_set(a->options.metrics, which, value, STR(""), STR(""));
}

static unsigned count_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and this one */
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static void look_at_process(struct api *a)
{
    struct rusage self, children;
    struct rlimit files;
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%lu %lu", &size, &resident) != 2)
            size = resident = 0;
        fclose(f);
    }
    double page = (double)sysconf(_SC_PAGESIZE);
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    set(a, METRIC_PROCESS_CPU,
        seconds(self.ru_utime) + seconds(self.ru_stime) + seconds(children.ru_utime) +
            seconds(children.ru_stime));
    set(a, METRIC_PROCESS_VIRTUAL, (double)size * page);
    set(a, METRIC_PROCESS_RSS, (double)resident * page);
    set(a, METRIC_PROCESS_FDS, count_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        set(a, METRIC_PROCESS_MAX_FDS, (double)files.rlim_cur);
}

static void look_at_posts(struct api *a)
{
    struct metrics *m = a->options.metrics;
    struct api_load load;
    api_load(a, &load);
    metrics_set(m, METRIC_QUEUE, load.waiting, STR("waiting"), STR(""));
    metrics_set(m, METRIC_QUEUE, load.running, STR("running"), STR(""));
    metrics_set(m, METRIC_REFUSED, (double)load.refused, STR(""), STR(""));
}

static void look_at_cage(struct api *a)
{
    struct metrics *m = a->options.metrics;
    const str none = STR("");
    struct cage_load load;
    cage_load(a->options.cage, &load);
    metrics_set(m, METRIC_CAGE_JOBS, (double)load.jobs, none, none);
    metrics_set(m, METRIC_CAGE_RUNNING, load.running, none, none);
    metrics_set(m, METRIC_CAGE_BYTES, (double)load.input, STR("in"), none);
    metrics_set(m, METRIC_CAGE_BYTES, (double)load.output, STR("out"), none);
    metrics_set(m, METRIC_CAGE_ENDED, (double)load.died, STR("died"), none);
    metrics_set(m, METRIC_CAGE_ENDED, (double)load.late, STR("time"), none);
    metrics_set(m, METRIC_CAGE_ENDED, (double)load.too_much, STR("output"), none);
}

static struct server_load look_at_port(struct api *a, struct server *server, str port)
{
    struct server_load load;
    server_load(server, &load);
    metrics_set(a->options.metrics, METRIC_CONNECTIONS, load.connections, port, STR(""));
    metrics_set(a->options.metrics, METRIC_REQUESTS, load.requests, port, STR(""));
    return load;
}

static void look_at_servers(struct api *a)
{
    struct metrics *m = a->options.metrics;
    if (!a->main)
        return;
    struct server_load main = look_at_port(a, a->main, STR("main")),
                       health = look_at_port(a, a->health, STR("health"));
    metrics_set(m, METRIC_POOL, main.read.waiting, STR("read"), STR("waiting"));
    metrics_set(m, METRIC_POOL, main.read.running, STR("read"), STR("running"));
    metrics_set(m, METRIC_POOL, main.work.waiting, STR("long"), STR("waiting"));
    metrics_set(m, METRIC_POOL, main.work.running, STR("long"), STR("running"));
    metrics_set(m, METRIC_POOL_REFUSED, (double)(main.refused + health.refused), STR(""), STR(""));
}

void api_watch_servers(struct api *a, struct server *main, struct server *health)
{
    a->main = main;
    a->health = health;
}

/* ---- the answer ---- */

void metrics_answer(struct api *a, const struct request *r, struct response *ret)
{
    standing_look(a); /* feeds and store: it sets theirs */
    look_at_process(a);
    look_at_posts(a);
    look_at_servers(a);
    look_at_cage(a);
    metrics_write(a->options.metrics, &ret->body);
    ret->status = 200;
    ret->gzip = gzip_wanted(r);
    response_header(ret, "Content-Type", STR("text/plain; version=0.0.4"));
}

void v1_get_metrics(struct call *c) { metrics_answer(c->api, c->request, c->response); }
