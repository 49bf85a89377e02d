#include "config/config.h"

#include "base/cleanup.h"
#include "codec/yaml.h"
#include "config/duration.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define WARNINGS_MAX 100

enum type { TEXT, PORT, MILLISECONDS, SECONDS, BYTES, LIST, IGNORED, WITHOUT_EFFECT, REFUSED };

struct key {
    struct config_key about;
    enum type type;
    size_t field; /* in struct config */
};

#define ROW(key, type, field, fallback, help)                                                                \
    {                                                                                                        \
        { key, fallback, help }, type, offsetof(struct config, field)                                        \
    }
#define OLD(key)                                                                                             \
    {                                                                                                        \
        { key, "", NULL }, IGNORED, 0                                                                        \
    }

/* Known of Clair, and not done here: the help says what is instead. Told when it is set to more than nothing. */
#define TOLD(key, type, instead)                                                                             \
    {                                                                                                        \
        { key, "", instead }, type, 0                                                                        \
    }

/* A later row of the same field wins where the file has both. */
static const struct key keys[] = {
    ROW("database.type", TEXT, database_type, "", "pgsql, or sqlite for an embedded database."),
    ROW("database.options.source", TEXT, database_source, "",
        "Connection string of PostgreSQL (URL or keywords), or the path of an SQLite file."),
    ROW("database.options.readsource", TEXT, database_readsource, "",
        "Connection string of a hot standby of source: GET of layers reads there, and from source what it "
        "does not "
        "know yet or while it does not answer."),
    ROW("database.options.paginationkey", TEXT, paginationkey, "", "Key of page tokens: 32 bytes as base64."),
    OLD("database.options.cachesize"),
    TOLD("database.options.managedatabaselifecycle", WITHOUT_EFFECT,
         "the database must be there, and is not dropped"),
    TOLD("database.options.fixturepath", WITHOUT_EFFECT, "nothing is loaded from it"),
    TOLD("database.options.maxopenconnections", WITHOUT_EFFECT,
         "each thread that needs the database has one connection"),
    TOLD("database.options.readonly", REFUSED, "this server writes; give it a database that it may write"),
    ROW("api.port", PORT, addr, "6060", "TCP port of the API, on all addresses."),
    ROW("api.addr", TEXT, addr, ":6060", "Address and port of the API; wins over port."),
    ROW("api.healthport", PORT, healthaddr, "6061", "TCP port of the health API, on all addresses."),
    ROW("api.healthaddr", TEXT, healthaddr, ":6061",
        "Address and port of the health API; wins over healthport."),
    ROW("api.timeout", MILLISECONDS, timeout_ms, "900s", "A request that takes longer is answered with 503."),
    ROW("api.paginationkey", TEXT, paginationkey, "", "Key of page tokens: 32 bytes as base64."),
    ROW("api.localpaths", LIST, localpaths, "",
        "Folders below which the Path of a layer may lie; without it clients on this machine may name any "
        "regular file, others none."),
    OLD("api.servername"),
    ROW("api.cafile", TEXT, cafile, "", "PEM file: clients must have a certificate of it."),
    ROW("api.keyfile", TEXT, keyfile, "", "PEM file of the server's private key."),
    ROW("api.certfile", TEXT, certfile, "", "PEM file of the server's certificate."),
    ROW("fetch.allow", LIST, fetch_allow, "",
        "Where layers' URLs may lead: host, *.example.com, address or 10.0.0.0/8, each with :port behind it "
        "if only that is meant; without it anywhere but to link-local addresses."),
    ROW("fetch.deny", LIST, fetch_deny, "", "The same, where they may not; wins over allow."),
    ROW("fetch.cafile", TEXT, fetch_cafile, "",
        "PEM file: authorities that are believed beside the system's when layers are fetched."),
    ROW("fetch.timeout", MILLISECONDS, fetch_timeout_ms, "1h",
        "The most that one layer may take from its first byte to its last; 0: any time."),
    ROW("fetch.maxsize", BYTES, fetch_size_max, "32GiB",
        "The most bytes that are fetched of one layer (KiB, MiB, GiB); 0: any number."),
    ROW("updater.interval", SECONDS, updater_interval_s, "2h",
        "Time between two updates; 0 turns the updater off."),
    ROW("updater.enabledupdaters", LIST, updaters, "", "Which sources to load; without it all."),
    ROW("feeds.mirror", TEXT, mirror, "", "Folder or base URL that stands for every source's own place."),
    ROW("notifier.http.endpoint", TEXT, notifier_endpoint, "", "Address that is told of changes."),
    OLD("notifier.attempts"),
    OLD("notifier.renotifyinterval"),
    OLD("notifier.http.servername"),
    OLD("notifier.http.cafile"),
    OLD("notifier.http.keyfile"),
    OLD("notifier.http.certfile"),
    OLD("notifier.http.proxy"),
    OLD("notifier.stomp"),
    OLD("worker"),
};
#define KEYS (sizeof keys / sizeof *keys)

struct loading {
    const char *name;
    struct arena *arena;
    struct config *to;
    str *warnings;
};

static int oom(const struct loading *l, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: out of memory", l->name);
}

#define WARN(l, ...)                                                                                         \
    do {                                                                                                     \
        if ((l)->to->warning_count < WARNINGS_MAX)                                                           \
            (l)->warnings[(l)->to->warning_count++] = arena_printf((l)->arena, __VA_ARGS__);                 \
    } while (0)

static int wrong(const struct loading *l, const struct key *k, const struct yaml *v, const char *want,
                 struct err *e)
{
    return err_set(e, ERR_FORMAT, "%s: line %u: clair.%s: '" STR_FMT "' is no %s", l->name, v->line,
                   k->about.key, STR_ARG(v->text), want);
}

static int set_port(struct loading *l, const struct key *k, const struct yaml *v, str *to, struct err *e)
{
    uint64_t port;
    if (!str_to_u64(v->text, &port) || port > 65535)
        return wrong(l, k, v, "port (1 to 65535)", e);
    *to = arena_printf(l->arena, ":%u", (unsigned)port);
    return 0;
}

static int set_duration(struct loading *l, const struct key *k, const struct yaml *v, int64_t unit_ns,
                        int64_t *to, struct err *e)
{
    uint64_t number;
    int64_t ns;
    if (!v->quoted && str_to_u64(v->text, &number) && number) {
        if (number > INT64_MAX)
            return wrong(l, k, v, "duration (900s, 2h, 1h30m)", e);
        bool seconds = number < 1000000;
        ns = seconds ? (int64_t)number * 1000000000 : (int64_t)number;
        WARN(l, "%s: line %u: clair.%s: a number without a unit is taken for %s: write a unit (900s, 2h)",
             l->name, v->line, k->about.key, seconds ? "seconds" : "nanoseconds");
    } else if (!duration_parse(v->text, &ns)) {
        return wrong(l, k, v, "duration (900s, 2h, 1h30m)", e);
    }
    *to = ns / unit_ns + (ns % unit_ns > 0); /* less than one unit is not zero, which would mean "off" */
    return 0;
}

/* "32GiB", or a number of bytes. */
static int set_bytes(struct loading *l, const struct key *k, const struct yaml *v, uint64_t *to,
                     struct err *e)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
    str number = v->text;
    unsigned shift = 0;
    for (unsigned i = 0; i < sizeof units / sizeof *units && !shift; i++)
        if (str_ends(v->text, str_from(units[i]))) {
            shift = 10 * (i + 1);
            number = str_trim(str_head(v->text, v->text.len - 3));
        }
    if (!str_to_u64(number, to) || *to > UINT64_MAX >> shift)
        return wrong(l, k, v, "size (1048576, 500MiB, 32GiB)", e);
    *to <<= shift;
    return 0;
}

/* Where the length of a list is. */
static const struct {
    size_t list, count;
} counts[] = {
    { offsetof(struct config, updaters), offsetof(struct config, updater_count) },
    { offsetof(struct config, localpaths), offsetof(struct config, localpath_count) },
    { offsetof(struct config, fetch_allow), offsetof(struct config, fetch_allow_count) },
    { offsetof(struct config, fetch_deny), offsetof(struct config, fetch_deny_count) },
};

static int set_list(struct loading *l, const struct key *k, const struct yaml *v, struct err *e)
{
    if (v->type != YAML_LIST)
        return wrong(l, k, v, "list", e);
    str *list = arena_array(l->arena, str, v->count + 1);
    if (!list)
        return oom(l, e);
    for (size_t i = 0; i < v->count; i++) {
        const struct yaml *item = v->pairs[i].value;
        if (item->type != YAML_SCALAR)
            return wrong(l, k, item, "text", e);
        list[i] = item->text;
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].list == k->field)
            *(size_t *)(void *)((char *)l->to + counts[i].count) = v->count;
    *(const str **)(void *)((char *)l->to + k->field) = list;
    return 0;
}

/* false, 0 and nothing are what it does anyway. */
static int tell(struct loading *l, const struct key *k, const struct yaml *v, struct err *e)
{
    static const char *const nothing[] = { "", "0", "false", "False", "FALSE", "no", "off" };
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (v->type == YAML_SCALAR && str_eq(v->text, str_from(nothing[i])))
            return 0;
    if (k->type == REFUSED)
        return err_set(e, ERR_UNSUPPORTED, "%s: line %u: clair.%s: %s", l->name, v->line, k->about.key,
                       k->about.help);
    WARN(l, "%s: line %u: clair.%s has no effect: %s", l->name, v->line, k->about.key, k->about.help);
    return 0;
}

static int set(struct loading *l, const struct key *k, const struct yaml *v, struct err *e)
{
    void *field = (char *)l->to + k->field;
    if (v->type == YAML_NULL || k->type == IGNORED)
        return 0;
    if (k->type == WITHOUT_EFFECT || k->type == REFUSED)
        return tell(l, k, v, e);
    if (k->type != LIST && v->type != YAML_SCALAR)
        return err_set(e, ERR_FORMAT, "%s: line %u: clair.%s: a list or map where one value is wanted",
                       l->name, v->line, k->about.key);
    switch (k->type) {
    case TEXT:
        *(str *)field = v->text;
        return 0;
    case PORT:
        return set_port(l, k, v, field, e);
    case MILLISECONDS:
        return set_duration(l, k, v, 1000000, field, e);
    case SECONDS:
        return set_duration(l, k, v, 1000000000, field, e);
    case BYTES:
        return set_bytes(l, k, v, field, e);
    case LIST:
        return set_list(l, k, v, e);
    case IGNORED:
    case WITHOUT_EFFECT:
    case REFUSED:
        break;
    }
    return 0;
}

/* NULL: not there. */
static const struct yaml *find(const struct yaml *root, const char *key)
{
    for (str rest = str_from(key), part; root && (part = str_cut(&rest, '.')).len;)
        root = yaml_get(root, part);
    return root;
}

static bool is_known(str path)
{
    for (size_t i = 0; i < KEYS; i++) {
        str key = str_from(keys[i].about.key);
        bool whole = str_eq(key, path);
        bool above = str_starts(key, path) && key.ptr[path.len] == '.';
        bool below = keys[i].type == IGNORED && str_starts(path, key) && path.ptr[key.len] == '.';
        if (whole || above || below)
            return true;
    }
    return false;
}

static void warn_unknown(struct loading *l, const struct yaml *map, const char *prefix)
{
    for (size_t i = 0; map->type == YAML_MAP && i < map->count; i++) {
        const struct yaml_pair *p = &map->pairs[i];
        char path[256];
        int n = snprintf(path, sizeof path, "%s%s" STR_FMT, prefix, *prefix ? "." : "", STR_ARG(p->key));
        if (n < 0 || (size_t)n >= sizeof path || !is_known(str_from(path)))
            WARN(l, "%s: line %u: unknown key clair.%s%s" STR_FMT ": ignored", l->name, p->line, prefix,
                 *prefix ? "." : "", STR_ARG(str_head(p->key, 100)));
        else
            warn_unknown(l, p->value, path);
    }
}

static int check(struct loading *l, struct err *e)
{
    const struct config *c = l->to;
    str type = c->database_type;
    if (type.len && !str_eq(type, STR("pgsql")) && !str_eq(type, STR("sqlite")))
        return err_set(e, ERR_USAGE,
                       "%s: database: unknown Driver \"" STR_FMT "\" (there are: pgsql, sqlite)", l->name,
                       STR_ARG(type));
    if (str_eq(type, STR("pgsql")) && !c->database_source.len)
        return err_set(e, ERR_USAGE, "%s: pgsql: no database connection string specified", l->name);
    if (c->certfile.len || c->keyfile.len || c->cafile.len) /* never plain text where TLS was asked for */
        return err_set(e, ERR_UNSUPPORTED, "%s: clair.api.certfile, keyfile, cafile: TLS is not built in yet",
                       l->name);
    if (c->notifier_endpoint.len)
        WARN(l, "%s: clair.notifier.http.endpoint: notifications are not sent yet", l->name);
    return arena_failed(l->arena) ? oom(l, e) : 0;
}

void config_defaults(struct config *ret)
{
    *ret = (struct config){
        .addr = STR(":6060"),
        .healthaddr = STR(":6061"),
        .timeout_ms = 900 * 1000,
        .updater = true,
        .updater_interval_s = 2 * 3600,
        .fetch_timeout_ms = 3600 * 1000,
        .fetch_size_max = (uint64_t)32 << 30,
    };
}

int config_read(str bytes, const char *name, struct arena *arena, struct config *ret, struct err *e)
{
    struct loading l = {
        .name = name, .arena = arena, .to = ret, .warnings = arena_array(arena, str, WARNINGS_MAX)
    };
    config_defaults(ret);
    if (!l.warnings)
        return oom(&l, e);
    ret->warnings = l.warnings;
    const struct yaml *root = yaml_read(bytes, arena, e);
    if (!root)
        return err_wrap(e, "%s", name);
    const struct yaml *clair = yaml_get(root, STR("clair"));
    if (!clair || clair->type != YAML_MAP)
        return err_set(e, ERR_FORMAT, "%s: line %u: no section 'clair'", name, root->line);
    for (size_t i = 0; i < KEYS; i++) {
        const struct yaml *v = find(clair, keys[i].about.key);
        if (v && set(&l, &keys[i], v, e) < 0)
            return -1;
    }
    const struct yaml *updater = yaml_get(clair, STR("updater"));
    ret->updater = !(updater && updater->type == YAML_NULL) && ret->updater_interval_s > 0 &&
                   !(ret->updaters && !ret->updater_count);
    warn_unknown(&l, clair, "");
    return check(&l, e);
}

/* $VAR and ${VAR}, as Go's os.ExpandEnv: nothing else is special, an unknown name is empty. */
static void expand(const char *path, struct arena *arena, str *ret)
{
    *ret = STR("");
    while (*path) {
        size_t n = strcspn(path, "$");
        *ret = arena_printf(arena, STR_FMT "%.*s", STR_ARG(*ret), (int)n, path);
        path += n;
        if (*path != '$')
            break;
        bool braces = *++path == '{';
        path += braces;
        n = strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
        const char *name = arena_cstr(arena, str_of(path, n)), *value = name ? getenv(name) : NULL;
        path += n + (braces && path[n] == '}');
        *ret = arena_printf(arena, STR_FMT "%s", STR_ARG(*ret), value ? value : "");
    }
}

static int read_file(const char *path, struct arena *arena, str *ret, struct err *e)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(e, "open %s", path);
    char *bytes = arena_alloc(arena, 1, YAML_MAX + 1);
    size_t len = 0;
    ssize_t n = bytes ? 1 : -1;
    while (n > 0 && len <= YAML_MAX) {
        n = read(fd, bytes + len, YAML_MAX + 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        return err_errno(e, "read %s", path);
    *ret = str_of(bytes, len);
    return 0;
}

int config_load(const char *path, struct arena *arena, struct config *ret, struct err *e)
{
    str expanded, bytes;
    expand(path, arena, &expanded);
    const char *place = arena_cstr(arena, expanded);
    if (!place)
        return err_set(e, ERR_OOM, "%s: out of memory", path);
    if (read_file(place, arena, &bytes, e) < 0)
        return -1;
    return config_read(bytes, place, arena, ret, e);
}

const struct config_key *config_key(size_t i) { return i < KEYS ? &keys[i].about : NULL; }
