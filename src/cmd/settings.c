#include "cmd/settings.h"

#include "base/cleanup.h"
#include "feed/feed.h"
#include "cmd/command.h"
#include "cmd/settings_notifier.h"
#include "codec/fernet.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_MAX 4096

extern char **environ;

struct settings {
    struct arena *arena;
    atomic_uint holders;
    str *notes; /* of the view */
    struct settings_view view;
};

const struct settings_view *settings_view(const struct settings *s) { return &s->view; }
struct arena *settings_arena(struct settings *s) { return s->arena; }

struct settings *settings_hold(struct settings *s)
{
    atomic_fetch_add(&s->holders, 1);
    return s;
}

void settings_freep(struct settings **s)
{
    if (*s && atomic_fetch_sub(&(*s)->holders, 1) == 1) {
        arena_freep(&(*s)->arena);
        free(*s);
    }
    *s = NULL;
}

static const char *find_file(const struct serve_options *o)
{
    const char *named = getenv("ECLAIR_CONFIG");
    if (o->config)
        return *o->config ? o->config : NULL;
    if (named && *named)
        return named;
    static const char *const places[] = { CONFIG_PLACES };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], F_OK) == 0)
            return places[i];
    return NULL;
}

/* What main's parser took from the environment is that very text. */
static const char *flag_name(const char *value, const char *variable, const char *flag)
{
    return value == getenv(variable) ? variable : flag;
}

static int read_config(struct settings *s, const struct serve_options *o, struct err *e)
{
    struct config_flag flags[2];
    size_t n = 0;
    if (o->db)
        flags[n++] =
            (struct config_flag){ "database.options.source", o->db, flag_name(o->db, "ECLAIR_DB", "--db") };
    if (o->log_level)
        flags[n++] = (struct config_flag){ "log.level", o->log_level,
                                           flag_name(o->log_level, "ECLAIR_LOG_LEVEL", "--log-level") };
    s->view.file = find_file(o);
    const struct config_sources from = {
        .file = s->view.file, .environment = (const char *const *)environ, .flags = flags, .flag_count = n
    };
    return config_load(&from, s->arena, &s->view.config, e);
}

/* Of the configured database: another one has another. */
static int find_replica(struct settings *s, const struct serve_options *o, struct err *e)
{
    str source = s->view.config.database_readsource;
    if (o->db || !source.len)
        return 0;
    if (!(s->view.replica = arena_cstr(s->arena, source)))
        return err_set(e, ERR_OOM, "out of memory");
    return store_is_server(s->view.replica) && store_is_server(s->view.database)
               ? 0
               : err_set(e, ERR_USAGE,
                         "database.options.readsource: wants a connection string of PostgreSQL, as source");
}

static int find_database(struct settings *s, const struct serve_options *o, struct err *e)
{
    char place[4096];
    const char *state = getenv("STATE_DIRECTORY"); /* of a service manager: may be several, with ":" */
    str type = s->view.config.database_type, source = s->view.config.database_source;
    bool sqlite = str_eq(type, STR("sqlite"));
    if (o->db && !*o->db)
        return err_set(e, ERR_USAGE, "--db: is empty");
    if (source.len)
        s->view.database = arena_cstr(s->arena, source);
    else if (state && *state == '/' && !strchr(state, ':'))
        s->view.database = arena_cstr(s->arena, arena_printf(s->arena, "%s/eclair.db", state));
    else if (geteuid() == 0)
        s->view.database = DB_PLACE;
    else if (database_place(NULL, place, sizeof place, e) < 0)
        return -1;
    else
        s->view.database = arena_cstr(s->arena, str_from(place));
    if (!s->view.database)
        return err_set(e, ERR_OOM, "out of memory");
    /* the flag wins over both; without a word on the type the string tells it */
    if (!o->db && type.len && source.len && sqlite == store_is_server(s->view.database))
        return err_set(e, ERR_USAGE, "database.type is %s, but database.options.source is %s",
                       sqlite ? "sqlite" : "pgsql",
                       sqlite ? "a connection string" : "none of libpq's forms (a path needs type: sqlite)");
    return find_replica(s, o, e);
}

/* Which of Clair's updaters (spec/updaters-legacy.md 1) is which source of ours, where the names differ. */
static const struct {
    const char *updater, *source;
} old_names[] = {
    { "amzn1", "amazon" }, { "amzn2", "amazon" }, { "opensuse", "suse" },
    { "rhel", "redhat" },  { "RHEL", "redhat" },
};

static str source_of(str updater)
{
    for (size_t i = 0; i < sizeof old_names / sizeof *old_names; i++)
        if (str_eq(updater, str_from(old_names[i].updater)))
            return str_from(old_names[i].source);
    return updater;
}

/* Severities and the like are wanted whatever is found. */
static bool is_metadata(const struct feed *f) { return !*f->covers; }

static bool is_enabled(const struct config *c, const struct feed *f)
{
    for (size_t i = 0; i < c->updater_count; i++)
        if (str_eq(source_of(c->updaters[i]), str_from(f->name)))
            return true;
    return !c->updaters || is_metadata(f);
}

static const struct config_feed *own_settings(const struct config *c, const struct feed *f)
{
    for (size_t i = 0; i < c->feed_count; i++)
        if (config_is_source(c->feeds[i].name, str_from(f->name)))
            return &c->feeds[i];
    return NULL;
}

static void add_source(struct settings *s, str *list, const struct feed *f)
{
    const struct config *c = &s->view.config;
    const struct config_feed *own = own_settings(c, f);
    bool says = own && own->interval_s != CONFIG_UNSAID;
    size_t n = s->view.source_count;
    if (!is_enabled(c, f) || (says && !own->interval_s))
        return;
    list[n] = str_from(f->name);
    s->view.source_intervals[n] = says ? own->interval_s : c->updater_interval_s;
    s->view.source_urls[n] = own && own->url.len ? arena_cstr(s->arena, own->url) : NULL;
    s->view.source_count++;
}

static void find_unknown(struct settings *s, str *unknown, str *notes)
{
    const struct config *c = &s->view.config;
    for (size_t i = 0; i < c->updater_count; i++)
        if (!feed_by_name(source_of(c->updaters[i])))
            unknown[s->view.unknown_count++] = c->updaters[i];
    for (size_t i = 0; i < c->feed_count; i++) {
        bool known = false;
        for (size_t k = 0; feeds[k] && !known; k++)
            known = config_is_source(c->feeds[i].name, str_from(feeds[k]->name));
        if (!known)
            notes[s->view.note_count++] =
                arena_printf(s->arena, STR_FMT ": no such source: ignored (eclair feed list names them)",
                             STR_ARG(c->feeds[i].where));
    }
    s->view.unknown = unknown;
    s->view.notes = s->notes = notes;
}

static int find_sources(struct settings *s, struct err *e)
{
    const struct config *c = &s->view.config;
    size_t n = 0;
    while (feeds[n])
        n++;
    str *list = arena_array(s->arena, str, n + 1);
    str *unknown = arena_array(s->arena, str, c->updater_count + 1);
    str *notes = arena_array(s->arena, str, c->feed_count + 1 + NOTIFIER_NOTES);
    s->view.source_urls = arena_array(s->arena, const char *, n + 1);
    s->view.source_intervals = arena_array(s->arena, int64_t, n + 1);
    if (!list || !unknown || !notes || !s->view.source_urls || !s->view.source_intervals)
        return err_set(e, ERR_OOM, "out of memory");
    for (size_t i = 0; i < n; i++)
        add_source(s, list, feeds[i]);
    find_unknown(s, unknown, notes);
    s->view.sources = list;
    return 0;
}

/* What may be said of layers' URLs (section fetch). */
static int find_places(struct settings *s, struct err *e)
{
    const struct config *c = &s->view.config;
    struct places *to = &s->view.places;
    if (places_read(c->fetch_allow, c->fetch_allow_count, s->arena, &to->allow, e) < 0)
        return err_wrap(e, "fetch.allow");
    if (places_read(c->fetch_deny, c->fetch_deny_count, s->arena, &to->deny, e) < 0)
        return err_wrap(e, "fetch.deny");
    if (!c->fetch_cafile.len)
        return 0;
    s->view.fetch_cafile = arena_cstr(s->arena, c->fetch_cafile);
    if (!s->view.fetch_cafile || access(s->view.fetch_cafile, R_OK) < 0)
        return err_errno(e, "fetch.cafile: " STR_FMT, STR_ARG(c->fetch_cafile));
    return 0;
}

/* What a file is that holds a secret: its first line. */
static int read_secret(struct settings *s, const char *key, str path, str *ret, struct err *e)
{
    char bytes[TOKEN_MAX];
    const char *name = arena_cstr(s->arena, path);
    CLEANUP(close_fdp) int fd = name ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (n < 0)
        return err_errno(e, "%s: %s", key, name ? name : "");
    str rest = str_of(bytes, (size_t)n), first = str_trim(str_line(&rest));
    if (!first.len || first.len == sizeof bytes)
        return err_set(e, ERR_FORMAT, "%s: %s: nothing in its first line", key, name);
    *ret = arena_dup(s->arena, first);
    return 0;
}

static int find_token(struct settings *s, struct err *e)
{
    const struct config *c = &s->view.config;
    s->view.token = c->token;
    return c->tokenfile.len ? read_secret(s, "api.tokenfile", c->tokenfile, &s->view.token, e) : 0;
}

/* Where the key that counts was written, for error texts. */
static str pagination_place(const struct settings *s)
{
    for (size_t i = 0; config_key(i); i++) {
        const struct config_value *v = &s->view.config.values[i];
        const char *key = config_key(i)->key;
        if (!str_ends(str_from(key), STR(".paginationkey")) || v->loses || !v->text.len)
            continue;
        return v->origin == CONFIG_FILE
                   ? arena_printf(s->arena, "%s: line %u: clair.%s: ", v->name, v->line, key)
                   : arena_printf(s->arena, "%s: ", v->name);
    }
    return STR("");
}

static int find_pagination_key(struct settings *s, struct err *e)
{
    str text = s->view.config.paginationkey;
    s->view.has_pagination_key = text.len > 0;
    if (!text.len || fernet_key_parse(text, s->view.pagination_key))
        return 0;
    return err_set(e, ERR_USAGE, STR_FMT "Invalid Pagination key; must be 32-bit URL-safe base64",
                   STR_ARG(pagination_place(s)));
}

static int find_notifier(struct settings *s, struct err *e)
{
    const struct config *c = &s->view.config;
    str note = STR("");
    struct settings_notifier n = { .hmac = c->webhook.hmac,
                                   .jwt_secret = c->webhook.jwt_secret,
                                   .note = &note };
    if ((c->webhook.hmacfile.len &&
         read_secret(s, "notifier.http.hmac.secretfile", c->webhook.hmacfile, &n.hmac, e) < 0) ||
        (c->webhook.jwt_secretfile.len &&
         read_secret(s, "notifier.http.jwt.secretfile", c->webhook.jwt_secretfile, &n.jwt_secret, e) < 0))
        return -1;
    s->view.notify.database = s->view.database;
    if (settings_notifier(c, &n, s->arena, &s->view.notify, e) < 0)
        return -1;
    if (note.len)
        s->notes[s->view.note_count++] = note;
    return 0;
}

static void find_log(struct settings *s)
{
    const struct config *c = &s->view.config;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool terminal = isatty(STDOUT_FILENO), plain = (no_color && *no_color) || !term || !strcmp(term, "dumb");
    s->view.log_level = LOG_INFO;
    log_level_parse(c->log_level, &s->view.log_level);
    if (str_eq(c->log_format, STR("json")) || (str_eq(c->log_format, STR("auto")) && !terminal))
        s->view.log_form = LOG_JSON;
    else
        s->view.log_form = terminal && !plain ? LOG_COLOURED : LOG_PLAIN;
}

static int load(struct settings *s, const struct serve_options *o, struct err *e)
{
    s->view.insecure_tls = o->insecure_tls > 0;
    if (read_config(s, o, e) < 0 || find_database(s, o, e) < 0 || find_sources(s, e) < 0 ||
        find_places(s, e) < 0 || find_token(s, e) < 0 || find_pagination_key(s, e) < 0 ||
        find_notifier(s, e) < 0)
        return -1;
    find_log(s);
    return arena_failed(s->arena) ? err_set(e, ERR_OOM, "out of memory") : 0;
}

struct settings *settings_load(const struct serve_options *o, struct err *e)
{
    struct settings *s = calloc(1, sizeof *s);
    if (s) {
        s->arena = arena_new(0);
        atomic_init(&s->holders, 1);
    }
    if (!s || !s->arena)
        err_set(e, ERR_OOM, "out of memory");
    else if (load(s, o, e) == 0)
        return s;
    settings_freep(&s);
    return NULL;
}
