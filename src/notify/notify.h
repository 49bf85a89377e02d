/*
 * notify.h - turns what changed into notifications, within a second or two of each new generation, and tells them: by webhook, AMQP 0-9-1
 *            and STOMP, as configured, in threads of its own.
 *
 * Several    servers on one database may do so: of each change one makes it (store_notifications_make()), of each notification one at a time
 *            tells it, under a lease (spec/server.md 8). A kill is made good by another one, or the next one, NOTIFY_LEASE_S later.
 * Twice      A notification is told at least once; who is told twice knows it by the name. None is told that was deleted before it was taken.
 * Failures   1, 2, 4 ... s up to 15 min between tries, with jitter; after `attempts` of them the next round begins `again_s` later. What came
 *            of it is in the database. A sender that failed three times in a row is asked by one notification at a time, at most each
 *            30 s, until it answers; one that is slow or dead holds up no other.
 * Database   that is away is tried again.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define NOTIFY_LEASE_S 10u
#define NOTIFY_SEND_MS 5000 /* of one try, in all (spec/server.md 10) */

struct notify_tls {
    bool on;                     /* of a webhook: its URL says so */
    const char *ca, *cert, *key; /* PEM files; NULL: the system's authorities; none */
};

struct notify_webhook {
    const char *endpoint;   /* NULL: not configured */
    const char *servername; /* of its certificate; NULL: the endpoint's host */
    const char *proxy;      /* URL; NULL: none: the environment's is not asked (spec/server.md 1) */
    struct notify_tls tls;
    str hmac;               /* secret of Clair-Signature; empty: none */
    str jwt_secret;         /* HS256; empty: none */
    str jwt_key;            /* PEM, RS256 or ES256; empty: none */
    const char *jwt_issuer; /* NULL: "clair" */
    const char *jwt_key_id; /* NULL: not told */
    /* Appends a whole header and a NUL for a request to `url`: what a signing proxy on the way would add. NULL: none. From any thread. */
    int (*sign)(void *ctx, const char *url, struct buf *out, struct err *e);
    void *sign_ctx;
};

struct notify_amqp {
    const char *const *uris; /* tried in their order */
    size_t uri_count;        /* 0: not configured */
    const char *exchange;    /* must be there; NULL or empty: the usual one */
    const char *type;        /* "direct" */
    bool durable, auto_delete;
    const char *routing_key;
    struct notify_tls tls; /* of amqps:// */
};

struct notify_stomp {
    const char *const *brokers; /* "host:port", tried in their order */
    size_t broker_count;        /* 0: not configured */
    const char *destination;
    const char *login, *passcode; /* NULL: none */
    unsigned delay_ms;            /* between a broker that failed and the next one */
    struct notify_tls tls;
};

struct notify_event {
    enum notify_event_kind {
        NOTIFY_TOLD,    /* by all senders: `ms` */
        NOTIFY_FAILED,  /* one sender: `sender`, `reason`, `error` */
        NOTIFY_GAVE_UP, /* for this round: `attempts` */
        NOTIFY_SENDER_DOWN,
        NOTIFY_SENDER_UP
    } kind;
    str name;           /* of the notification */
    const char *sender; /* "webhook" */
    const char *reason; /* few words: "timeout", "network", "status", "refused", "other" */
    const char *error;
    int64_t attempts;
    int64_t ms; /* from its creation; -1: it was told before */
};

/* What a server is to do, and where. Texts are borrowed until notify_stop(). */
struct notify_options {
    const char *database;
    unsigned attempts; /* of a round; 0: 1 */
    int64_t again_s;   /* until it is told again if it was not deleted; below 1: 1 */
    struct notify_webhook webhook;
    struct notify_amqp amqp;
    struct notify_stomp stomp;
    void (*told)(void *ctx, const struct notify_event *event); /* from any thread; may be NULL */
    void *ctx;
};

/* How many senders are configured; their names, in the order in which they are tried. */
#define NOTIFY_SENDERS 3
size_t notify_senders(const struct notify_options *o, const char *ret[NOTIFY_SENDERS]);
/* One notification of that name by one sender, now. */
int notify_send(const struct notify_options *o, const char *sender, str name, struct err *e);

struct notify;
struct notify *notify_start(const struct notify_options *o, struct err *e);
void notify_stop(
    struct notify **n); /* what is being told is finished: some NOTIFY_SEND_MS at most. NULL is fine */
