/*
 * api.h - what clients see: REST v1 on the main port, health on the other. Requests in, answers out; nothing of HTTP is below this,
 *         nothing of SQL above it.
 *
 * Shape      struct api is shared by both ports. Routes are rows of one table (routes.c).
 * Writing    every request but GET and HEAD; `readonly` refuses it with 403, a wrong token with 401 (design.md 9).
 * Threads    handlers run on the server's pools; each takes a store handle of its own for as long as it needs one.
 * Source     spec/api-v1.md, spec/server.md 6.
 */
#pragma once
#include "base/err.h"
#include "net/server.h"

#define API_POST_THREADS                                                                                     \
    512 /* what api_handler() wants of a server for SERVE_LONG: most of them wait (posts.h) */

struct cage;
struct metrics;
struct places;

struct api_fetch {               /* of layers whose Path is a URL; 0 = no limit */
    const struct places *places; /* NULL: anywhere but link-local addresses */
    const char *cafile;          /* PEM file: authorities beside the system's; NULL: none */
    bool insecure_tls;           /* believe any certificate */
    int64_t timeout_ms;          /* from its first byte to its last */
    uint64_t size_max;           /* bytes */
};

struct api_options {
    const char *database; /* for store_open() */
    const char *replica;  /* the same, perhaps behind: what is read is read there, if it can be; NULL: none */
    struct cage *cage;    /* with index_tasks */
    struct metrics *metrics; /* of metrics_of_server(); NULL: nothing is counted */
    const str *
        localpaths; /* folders below which the Path of a layer may lie; NULL: any regular file, for clients on this machine */
    size_t localpath_count;
    struct api_fetch fetch;
    const str *sources; /* feeds that the updater loads */
    size_t source_count;
    const int64_t *source_intervals; /* of each; NULL: updater_interval_s */
    int64_t updater_interval_s;      /* 0: this server does not load any */
    uint8_t pagination_key[32]; /* of page tokens (codec/fernet.h): the same for all instances of a cluster */
    int64_t timeout_ms;         /* after which a client is told that it took too long; 0: never */
    bool readonly;              /* nothing may be changed */
    str token;                  /* what must be shown to change something; empty: nothing */
    bool keys;                  /* serve a registry of keys (keys.h) */
    str keys_audience;          /* URL that tokens of its writers name */
    /* Who owns what all these point to: told when no request needs it any more. NULL: it outlives the api. */
    void (*release)(void *owner);
    void *owner;
};

struct api;
struct api *api_new(const struct api_options *o, struct err *e); /* borrows what the options point to */
/* From now on requests go by these; those that run keep to the old ones. Of another database, replica or cage nothing is taken
 * over. On error `o` is not owned. Any thread. */
int api_set_options(struct api *a, const struct api_options *o, struct err *e);
/* False: a thread of its own waits for the database, and api_freep() would wait for that, a minute perhaps. */
bool api_rests(struct api *a);
void api_freep(struct api **a); /* after both servers have stopped */

/* Before they start: metrics tell their load. */
void api_watch_servers(struct api *a, struct server *main, struct server *health);
struct server_handler api_handler(struct api *a);        /* of the main port */
struct server_handler api_health_handler(struct api *a); /* of the health port */

/* Posts, for whoever watches. */
struct api_load {
    unsigned
        waiting; /* for their layer to be indexed: in a queue, being opened, or joined to the same post */
    unsigned running; /* layers that are being indexed */
    uint64_t refused; /* answered with 503 for there were too many, since the start */
};
void api_load(const struct api *a, struct api_load *ret); /* any thread */
