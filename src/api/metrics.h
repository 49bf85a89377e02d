/* metrics.h - the families of metrics that a server has: Clair's under their old names (spec/server.md 7), and ours. */
#pragma once
#include "base/metrics.h"
#include "net/server.h"

enum metric {
    METRIC_API_DURATION, /* route, code */
    METRIC_V3_DURATION,  /* route, code */
    METRIC_GRPC_STARTED, /* grpc_method, grpc_service, grpc_type */
    METRIC_GRPC_HANDLED, /* the same, before them grpc_code */
    METRIC_GRPC_RECEIVED,
    METRIC_GRPC_SENT,
    METRIC_UPDATER_ERRORS,
    METRIC_UPDATER_DURATION,
    METRIC_UPDATER_NOTES,
    METRIC_NOTIFIER_LATENCY,
    METRIC_NOTIFIER_ERRORS, /* backend */
    METRIC_NOTIFIER_TOLD,
    METRIC_NOTIFIER_FAILURES, /* reason, sender */
    METRIC_NOTIFICATIONS,     /* state: waiting, failed */
    METRIC_NOTIFICATIONS_AGE,
    METRIC_PGSQL_ERRORS, /* request */
    METRIC_PGSQL_CACHE_HITS,
    METRIC_PGSQL_CACHE_QUERIES, /* object */
    METRIC_PGSQL_DURATION,      /* query, subquery */
    METRIC_PGSQL_LOCK,
    METRIC_BUILD, /* version */
    METRIC_STORE_UP,
    METRIC_STORE_BYTES,
    METRIC_STORE_GENERATION,
    METRIC_STORE_LAYERS,
    METRIC_STORE_IMAGES,
    METRIC_STORE_ADVISORIES,
    METRIC_FEED_AGE, /* feed, as the three below */
    METRIC_FEED_LOADED,
    METRIC_FEED_ENTRIES,
    METRIC_FEED_FAILED,
    METRIC_UPDATER_RUNNING,
    METRIC_REPORTS,       /* kept: hit, miss */
    METRIC_LATE,          /* answered with 503 after api.timeout */
    METRIC_CAGE_FAILURES, /* reason */
    METRIC_CAGE_JOBS,
    METRIC_CAGE_RUNNING,
    METRIC_CAGE_BYTES, /* direction: in, out */
    METRIC_CAGE_ENDED, /* reason: died, time, output */
    METRIC_LAYER_SECONDS,
    METRIC_QUEUE, /* state: waiting, running */
    METRIC_REFUSED,
    METRIC_CONNECTIONS, /* port: main, health */
    METRIC_REQUESTS,    /* port */
    METRIC_POOL,        /* pool: read, long; state: waiting, running */
    METRIC_POOL_REFUSED,
    METRIC_PROXY_JUDGED, /* result, status */
    METRIC_PROXY_SECONDS,
    METRIC_PROXY_SIGNED, /* result */
    METRIC_PROCESS_CPU,
    METRIC_PROCESS_RSS,
    METRIC_PROCESS_VIRTUAL,
    METRIC_PROCESS_FDS,
    METRIC_PROCESS_MAX_FDS,
    METRIC_PROCESS_START,
    METRICS
};

struct metrics *metrics_of_server(struct err *e);
