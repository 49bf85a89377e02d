/*
 * config.h - config.yaml of Clair 2 and Clair 3, one table of keys for both (spec/server.md 2, spec/seeds.md), and what overrides it.
 *
 * Shape      config_load() fills a struct with what the file says, then the environment, then flags; what none says keeps the
 *            fallback of the table. Both generations' keys are taken: `port` and `addr`, `paginationkey` in either place.
 * Sections   absent: fallbacks. Present but empty: `updater:` turns the updater off, as Clair took it; others count as absent.
 * Environment  ECLAIR_ and the key in capitals, "_" for ".": ECLAIR_API_ADDR, ECLAIR_DATABASE_OPTIONS_SOURCE; lists with commas. An
 *            empty one counts as absent. One that begins as a section of ours and is no key is a warning; others are not ours.
 * Patterns   "<source>" in a key is any name: feeds.debian.url, ECLAIR_FEEDS_DEBIAN_URL. The caller knows which names there are.
 * Unknown    keys are a warning each, never an error; those that Clair knew and we do not need (`cachesize`) are silent.
 * Durations  "900s", "2h", "1h30m" as Go writes them; a bare number below 1,000,000 is seconds, with a warning, and above it
 *            nanoseconds, which is what the old server took it for (design.md 9, "Time-outs").
 * Errors     "config.yaml: line 7: clair.api.timeout: '9x' is no duration (900s, 2h, 1h30m)"; what is secret is not quoted.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "config/jwtproxy.h"

enum config_origin { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

/* What a key was set to, and by whom. */
struct config_value {
    /* As written; of a list its items with ", "; of a pattern "debian: TEXT, alpine: TEXT" by name; secrets are in it
     * (config_shown() masks them). */
    str text;
    enum config_origin origin;
    const char *name; /* of the file, the variable, the flag; NULL by default */
    unsigned line;    /* of the file */
    bool loses;       /* another key of the same meaning counts */
};

/* What is said of one source of vulnerability data, known or not: `feeds.<source>`. */
struct config_feed {
    str name;           /* as written; "-" and "_" are the same, for a variable has no "-" */
    str url;            /* its place; empty: not said */
    int64_t interval_s; /* between two updates; 0: never; CONFIG_UNSAID */
    str where;          /* that named it first: "config.yaml: line 7: clair.feeds.debian.url", for warnings */
};
#define CONFIG_UNSAID (-1)
bool config_is_source(str a, str b); /* the same name, but for "-" and "_" */

struct config {
    str database_type;       /* "pgsql", "sqlite"; empty: neither was said */
    str database_source;     /* connection string or path; may be empty */
    str database_readsource; /* connection string of a replica; empty: none */
    str addr, healthaddr;
    int64_t timeout_ms;
    str servername, cafile, keyfile, certfile;
    str paginationkey;
    bool readonly;      /* no request may change anything */
    str token;          /* what requests that change something must show; empty: nothing */
    str tokenfile;      /* the same, in a file */
    bool keys_registry; /* serve one */
    str keys_audience;  /* URL that tokens of its writers name; never empty when it is served */
    bool updater;       /* false: off */
    int64_t updater_interval_s;
    const str *updaters; /* enabledupdaters; NULL: all */
    size_t updater_count;
    str mirror; /* folder or base URL for every feed; empty: their own places */
    const struct config_feed *feeds;
    size_t feed_count;
    const str *localpaths; /* folders below which a layer's Path may lie; NULL: not said */
    size_t localpath_count;
    const str *fetch_allow; /* places.h; NULL: not said */
    size_t fetch_allow_count;
    const str *fetch_deny;
    size_t fetch_deny_count;
    str fetch_cafile;
    int64_t fetch_timeout_ms; /* 0: none */
    uint64_t fetch_size_max;  /* bytes, 0: any */
    int64_t notifier_attempts, notifier_again_s;
    struct config_webhook {
        str endpoint, servername, cafile, certfile, keyfile, proxy;
        str hmac, hmacfile; /* a secret, or a file with it; so the next two */
        str jwt_secret, jwt_secretfile;
        str jwt_keyfile, jwt_keyid, jwt_issuer;
    } webhook;
    struct config_amqp {
        const str *uris;
        size_t uri_count;
        str exchange, type, routing_key, cafile, certfile, keyfile;
        bool durable, auto_delete;
    } amqp;
    struct config_stomp {
        const str *brokers; /* in TLS */
        size_t broker_count;
        const str *uris; /* in TLS where one of its files is named */
        size_t uri_count;
        str destination, login, passcode, cafile, certfile, keyfile;
        int64_t delay_ms;
    } stomp;
    const struct jwtproxy *jwtproxy; /* NULL: the file has no such section */
    str log_level, log_format;
    const struct config_value *values; /* one for each config_key() */
    const str *warnings;               /* without secrets */
    size_t warning_count;
};

struct config_flag { /* a key that the command line sets */
    const char *key, *value, *name;
};

struct config_sources {
    const char *file;               /* $VAR and ${VAR} in it are taken from the environment; NULL: no file */
    const char *const *environment; /* "NAME=value", ends with NULL; NULL: none */
    const struct config_flag *flags;
    size_t flag_count;
};

int config_load(const struct config_sources *from, struct arena *arena, struct config *ret, struct err *e);
/* The bytes of a file alone; `name` is the file's, for errors and warnings. */
int config_read(str bytes, const char *name, struct arena *arena, struct config *ret, struct err *e);

/* Every key, for help. */
struct config_key {
    const char *key;      /* below `clair`, with dots: "api.addr", "feeds.<source>.url" */
    const char *fallback; /* as a person would write it; "" for none */
    const char *help;     /* NULL: taken and ignored */
    bool inert;           /* taken because Clair had it, and without effect: help says what is instead */
    bool live;            /* a server takes it over while it runs, when it is told to read its file again */
};
const struct config_key *config_key(size_t i); /* NULL behind the last */
/* The value of key `i` for people: secrets masked. */
str config_shown(const struct config *c, size_t i, struct arena *arena);
/* The variable that sets it. */
str config_variable(const struct config_key *k, struct arena *arena);
