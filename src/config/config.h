/*
 * config.h - config.yaml of Clair 2 and Clair 3, one table of keys for both (spec/server.md 2, spec/seeds.md).
 *
 * Shape      config_read() fills a struct with what the file says; what it does not say keeps the fallback of the table. Both
 *            generations' keys are taken: `port` and `addr`, `paginationkey` in either place.
 * Sections   absent: fallbacks. Present but empty: `updater:` turns the updater off, as Clair took it; others count as absent.
 * Unknown    keys are a warning each, never an error; those that Clair knew and we do not need (`cachesize`) are silent.
 * Durations  "900s", "2h", "1h30m" as Go writes them; a bare number below 1,000,000 is seconds, with a warning, and above it
 *            nanoseconds, which is what the old server took it for (design.md 9, "Time-outs").
 * Errors     "config.yaml: line 7: clair.api.timeout: '9x' is no duration (900s, 2h, 1h30m)".
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct config {
    str database_type;       /* "pgsql", "sqlite"; empty: neither was said */
    str database_source;     /* connection string or path; may be empty */
    str database_readsource; /* connection string of a replica; empty: none */
    str addr, healthaddr;
    int64_t timeout_ms;
    str servername, cafile, keyfile, certfile;
    str paginationkey;
    bool updater; /* false: off */
    int64_t updater_interval_s;
    const str *updaters; /* enabledupdaters; NULL: all */
    size_t updater_count;
    str mirror;            /* folder or base URL for every feed; empty: their own places */
    const str *localpaths; /* folders below which a layer's Path may lie; NULL: not said */
    size_t localpath_count;
    const str *fetch_allow, *fetch_deny; /* places.h; NULL: not said */
    size_t fetch_allow_count, fetch_deny_count;
    str fetch_cafile;
    int64_t fetch_timeout_ms; /* 0: none */
    uint64_t fetch_size_max;  /* bytes, 0: any */
    str notifier_endpoint;
    const str *warnings;
    size_t warning_count;
};

/* What holds without a file. */
void config_defaults(struct config *ret);
/* `name` is the file's, for errors and warnings. */
int config_read(str bytes, const char *name, struct arena *arena, struct config *ret, struct err *e);
/* The same from a file; $VAR and ${VAR} in the path are taken from the environment. */
int config_load(const char *path, struct arena *arena, struct config *ret, struct err *e);

/* Every key, for help. */
struct config_key {
    const char *key;      /* below `clair`, with dots: "api.addr" */
    const char *fallback; /* as a person would write it; "" for none */
    const char *help;     /* NULL: taken and ignored */
};
const struct config_key *config_key(size_t i); /* NULL behind the last */
