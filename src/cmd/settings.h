/*
 * settings.h - what a server is to do: its configuration from file, environment and flags, judged as a whole. `serve` does it,
 *              `config check` tells it.
 *
 * Ownership  shared by holders: the server, and requests that run by them; they do not change once they are loaded.
 */
#pragma once
#include "base/log.h"
#include "config/config.h"
#include "net/places.h"
#include "notify/notify.h"

#define CONFIG_PLACE "/etc/clair/config.yaml" /* if it is there */
/* The first that is there; the others are those of the images of clair-jwt (spec/clair-jwt.md 1). */
#define CONFIG_PLACES CONFIG_PLACE, "/clair/config/config.yaml", "/config/config.yaml"
#define DB_PLACE      "/var/lib/eclair/eclair.db" /* of a service (design.md 9, Store place) */

struct serve_options { /* the flags */
    const char *config, *db, *log_level, *cpu_profile;
    int insecure_tls; /* OPT_BOOL */
};

struct settings;
struct settings_view {
    const char *file; /* that was read; NULL: none */
    struct config config;
    const char *database, *replica; /* replica: NULL for none */
    const str *sources;             /* feeds to load */
    const char **source_urls;       /* of each: its place; NULL: its own */
    int64_t *source_intervals;      /* of each, in seconds */
    size_t source_count;
    const str *unknown; /* enabledupdaters that are not there */
    size_t unknown_count;
    const str *notes; /* what is odd about feeds: warnings beside those of config */
    size_t note_count;
    str token; /* of api.token or its file; empty: none */
    uint8_t pagination_key[32];
    bool has_pagination_key; /* else one is to be made up */
    bool insecure_tls;
    struct places places;         /* of layers' URLs */
    struct notify_options notify; /* without told and ctx */
    const char *fetch_cafile;     /* NULL: none */
    enum log_level log_level;
    enum log_form log_form;
};

/* NULL on error. The file: -config, else ECLAIR_CONFIG, else one of CONFIG_PLACES; -config= is none. */
struct settings *settings_load(const struct serve_options *o, struct err *e);
const struct settings_view *settings_view(const struct settings *s);
struct arena *settings_arena(struct settings *s); /* for what must live as long; the loader's thread only */
struct settings *settings_hold(struct settings *s);
void settings_freep(struct settings **s); /* gives up one hold; NULL is fine. Any thread */
