#include "config/config.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "codec/yaml.h"
#include "config/distance.h"
#include "config/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PREFIX "ECLAIR_"

#define ROW(key, type, field, fallback, help)                                                                \
    {                                                                                                        \
        { key, fallback, help, false, false }, type, offsetof(struct config, field), NULL, false             \
    }
/* What a running server takes over (config_key.live). */
#define LIVE(key, type, field, fallback, help)                                                               \
    {                                                                                                        \
        { key, fallback, help, false, true }, type, offsetof(struct config, field), NULL, false              \
    }
#define LIVE_WORD(key, field, fallback, words, help)                                                         \
    {                                                                                                        \
        { key, fallback, help, false, true }, WORD, offsetof(struct config, field), words, false             \
    }
#define OF_SOURCE(key, type, field, help)                                                                    \
    {                                                                                                        \
        { "feeds." CONFIG_SOURCE "." key, "", help, false, true }, type,                                     \
            offsetof(struct config_feed, field), NULL, true                                                  \
    }
#define OLD(key)                                                                                             \
    {                                                                                                        \
        { key, "", NULL, true, false }, IGNORED, 0, NULL, false                                              \
    }

/* Known of Clair, and not done here: the help says what is instead. Told when it is set to more than nothing. */
#define TOLD(key, type, instead)                                                                             \
    {                                                                                                        \
        { key, "", instead, true, false }, type, 0, NULL, false                                              \
    }

#define COUNT_BEHIND(list, count)                                                                            \
    _Static_assert(offsetof(struct config, count) == offsetof(struct config, list) + sizeof(const str *),    \
                   "the count of a list stands behind it")
COUNT_BEHIND(updaters, updater_count);
COUNT_BEHIND(localpaths, localpath_count);
COUNT_BEHIND(fetch_allow, fetch_allow_count);
COUNT_BEHIND(fetch_deny, fetch_deny_count);
COUNT_BEHIND(amqp.uris, amqp.uri_count);
COUNT_BEHIND(stomp.brokers, stomp.broker_count);
COUNT_BEHIND(stomp.uris, stomp.uri_count);

/* A later row of the same field wins where the file has both. */
static const struct key keys[] = {
    ROW("database.type", TEXT, database_type, "", "pgsql, or sqlite for an embedded database."),
    ROW("database.options.source", TEXT, database_source, "",
        "Connection string of PostgreSQL (URL or keywords), or the path of an SQLite file."),
    ROW("database.options.readsource", TEXT, database_readsource, "",
        "Connection string of a hot standby of source: GET of layers reads there, and from source what it "
        "does not "
        "know yet or while it does not answer."),
    ROW("database.options.paginationkey", SECRET, paginationkey, "",
        "Key of page tokens: 32 bytes as base64."),
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
    ROW("api.paginationkey", SECRET, paginationkey, "", "Key of page tokens: 32 bytes as base64."),
    LIVE("api.localpaths", LIST, localpaths, "",
         "Folders below which the Path of a layer may lie; without it clients on this machine may name any "
         "regular file, others none."),
    LIVE("api.readonly", BOOL, readonly, "false",
         "Requests that would change something are refused with 403."),
    LIVE("api.token", SECRET, token, "",
         "Requests that change something must say `Authorization: Bearer TOKEN`; others get 401."),
    LIVE("api.tokenfile", TEXT, tokenfile, "", "File whose first line is that token."),
    LIVE("keys.registry", BOOL, keys_registry, "false",
         "Serve a registry of keys for services, as Quay's, under `/keys/`: what it is sent waits for "
         "`eclair keys "
         "approve`."),
    LIVE(
        "keys.audience", TEXT, keys_audience, "",
        "URL by which services reach this server: tokens of its writers must name its scheme, host and port. "
        "A registry cannot be without."),
    OLD("api.servername"),
    ROW("api.cafile", TEXT, cafile, "", "PEM file: clients must have a certificate of it."),
    ROW("api.keyfile", TEXT, keyfile, "", "PEM file of the server's private key."),
    ROW("api.certfile", TEXT, certfile, "", "PEM file of the server's certificate."),
    LIVE("fetch.allow", LIST, fetch_allow, "",
         "Where layers' URLs may lead: host, *.example.com, address or 10.0.0.0/8, each with :port behind it "
         "if only that is meant; without it anywhere but to link-local addresses."),
    LIVE("fetch.deny", LIST, fetch_deny, "", "The same, where they may not; wins over allow."),
    LIVE("fetch.cafile", TEXT, fetch_cafile, "",
         "PEM file: authorities that are believed beside the system's when layers are fetched."),
    LIVE("fetch.timeout", MILLISECONDS, fetch_timeout_ms, "1h",
         "The most that one layer may take from its first byte to its last; 0: any time."),
    LIVE("fetch.maxsize", BYTES, fetch_size_max, "32GiB",
         "The most bytes that are fetched of one layer, or sent of a blob (KiB, MiB, GiB); 0: any number."),
    LIVE("updater.interval", SECONDS, updater_interval_s, "2h",
         "Time between two updates; 0 turns the updater off."),
    LIVE("updater.enabledupdaters", LIST, updaters, "",
         "Which sources to load, also by the names of Clair's updaters; without it all. Those that tell "
         "severities are loaded in any "
         "case."),
    LIVE("feeds.mirror", TEXT, mirror, "", "Folder or base URL that stands for every source's own place."),
    OF_SOURCE(
        "url", TEXT, url,
        "Folder or base URL that stands for this source's own place; wins over mirror. `eclair feed list` "
        "names the sources."),
    OF_SOURCE("interval", SECONDS, interval_s,
              "Time between two updates of this source, if it has one of its own; 0: never."),
    LIVE("notifier.attempts", NUMBER, notifier_attempts, "5",
         "Tries to tell a notification, 1, 2, 4 ... seconds apart; the next round begins renotifyinterval "
         "later."),
    LIVE("notifier.renotifyinterval", SECONDS, notifier_again_s, "2h",
         "A notification that no client has deleted is told again after this time; at least 1s."),
    LIVE("notifier.http.endpoint", TEXT, webhook.endpoint, "",
         "URL that is told of changes by POST, a notification each; without one nobody is."),
    LIVE("notifier.http.servername", TEXT, webhook.servername, "",
         "Name that the endpoint's certificate must have, in place of the URL's."),
    LIVE("notifier.http.cafile", TEXT, webhook.cafile, "",
         "PEM file: authorities that are believed in place of the system's."),
    LIVE("notifier.http.certfile", TEXT, webhook.certfile, "",
         "PEM file: the certificate that is shown to the endpoint."),
    LIVE("notifier.http.keyfile", TEXT, webhook.keyfile, "", "PEM file: its private key."),
    LIVE("notifier.http.proxy", TEXT, webhook.proxy, "",
         "URL of the proxy on the way to the endpoint; those of the environment are not used for it."),
    LIVE("notifier.http.hmac.secret", SECRET, webhook.hmac, "",
         "With it requests say `Clair-Signature: sha256=HEX`, HMAC-SHA-256 of the body."),
    LIVE("notifier.http.hmac.secretfile", TEXT, webhook.hmacfile, "",
         "File whose first line is that secret."),
    LIVE("notifier.http.jwt.secret", SECRET, webhook.jwt_secret, "",
         "With it requests say `Authorization: Bearer JWT`, signed by HS256: iss, aud (the endpoint), iat, "
         "exp and jti (the notification)."),
    LIVE("notifier.http.jwt.secretfile", TEXT, webhook.jwt_secretfile, "",
         "File whose first line is that secret."),
    LIVE("notifier.http.jwt.keyfile", TEXT, webhook.jwt_keyfile, "",
         "PEM file of a private key that signs in its place: RSA (RS256) or P-256 (ES256)."),
    LIVE("notifier.http.jwt.keyid", TEXT, webhook.jwt_keyid, "", "What the JWT says as kid."),
    LIVE("notifier.http.jwt.issuer", TEXT, webhook.jwt_issuer, "clair", "What it says as iss."),
    LIVE("notifier.amqp.uris", LIST, amqp.uris, "",
         "Brokers of AMQP 0-9-1 that are told too, amqp://user:password@host:port/vhost or amqps; the first "
         "that answers is taken."),
    LIVE("notifier.amqp.exchange.name", TEXT, amqp.exchange, "",
         "Exchange, which must be there; without it the default one."),
    LIVE("notifier.amqp.exchange.type", TEXT, amqp.type, "direct", "Its type."),
    LIVE("notifier.amqp.exchange.durability", BOOL, amqp.durable, "false", "Whether it is durable."),
    LIVE("notifier.amqp.exchange.auto_delete", BOOL, amqp.auto_delete, "false",
         "Whether it goes with its last user."),
    LIVE("notifier.amqp.routing_key", TEXT, amqp.routing_key, "",
         "Routing key; of the default exchange a queue."),
    LIVE("notifier.amqp.tls.root_ca", TEXT, amqp.cafile, "", "PEM file of authorities for amqps."),
    LIVE("notifier.amqp.tls.cert", TEXT, amqp.certfile, "", "PEM file of a client certificate."),
    LIVE("notifier.amqp.tls.key", TEXT, amqp.keyfile, "", "PEM file of its private key."),
    LIVE("notifier.stomp.brokers", LIST, stomp.brokers, "",
         "Brokers of STOMP that are told too, host:port, always in TLS; the first that answers is taken."),
    LIVE("notifier.stomp.uris", LIST, stomp.uris, "",
         "The same, in TLS only if one of the files below is named; wins over brokers."),
    LIVE("notifier.stomp.destination", TEXT, stomp.destination, "", "To which it is sent."),
    LIVE("notifier.stomp.user.login", TEXT, stomp.login, "", "Name of a user of the broker."),
    LIVE("notifier.stomp.user.passcode", SECRET, stomp.passcode, "", "Their password."),
    LIVE("notifier.stomp.failoverretrydelay", MILLISECONDS, stomp.delay_ms, "0s",
         "Time between a broker that failed and the next one; at most 10s."),
    LIVE("notifier.stomp.cafile", TEXT, stomp.cafile, "", "PEM file of authorities."),
    LIVE("notifier.stomp.certfile", TEXT, stomp.certfile, "", "PEM file of a client certificate."),
    LIVE("notifier.stomp.keyfile", TEXT, stomp.keyfile, "", "PEM file of its private key."),
    LIVE("notifier.stomp.tls.root_ca", TEXT, stomp.cafile, "", "The same as cafile."),
    LIVE("notifier.stomp.tls.cert", TEXT, stomp.certfile, "", "The same as certfile."),
    LIVE("notifier.stomp.tls.key", TEXT, stomp.keyfile, "", "The same as keyfile."),
    /* of later Clairs, whose consumers are told where to ask */
    OLD("notifier.amqp.callback"),
    OLD("notifier.stomp.callback"),
    LIVE_WORD("log.level", log_level, "info", "panic fatal error warn warning info debug trace",
              "What is logged: panic, fatal, error, warn, info or debug."),
    LIVE_WORD("log.format", log_format, "auto", "auto json text",
              "json: an object a line, as Clair's; text: for people; auto: text on a terminal."),
    OLD("worker"),
};
#define KEYS (sizeof keys / sizeof *keys)

static bool has_field(const struct key *k) { return k->type <= LIST && !k->of_source; }

/* As a person would write it. */
static str written(const struct loading *l, const struct yaml *v)
{
    str text = v->type == YAML_SCALAR ? v->text : STR("");
    for (size_t i = 0; v->type == YAML_LIST && i < v->count; i++)
        text = arena_printf(l->arena, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? ", " : "",
                            STR_ARG(v->pairs[i].value->text));
    return text;
}

/* The last one that sets a field counts, whichever key it was. */
static void remember(struct loading *l, const struct setting *s)
{
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].field == s->key->field && has_field(&keys[i]))
            l->values[i].loses = &keys[i] != s->key;
    l->values[s->key - keys] = (struct config_value){
        .text = written(l, s->value), .origin = s->origin, .name = s->name, .line = s->value->line
    };
}

static int set(struct loading *l, const struct setting *s, struct err *e)
{
    if (s->value->type == YAML_NULL || s->key->type == IGNORED)
        return 0;
    if (s->key->type == WITHOUT_EFFECT || s->key->type == REFUSED)
        return config_tell(l, s, e);
    if (config_set_field(l, s, e) < 0)
        return -1;
    remember(l, s);
    return 0;
}

/* ---- keys with a source in them ---- */

/* What stands for the source in a path with the shape of the key; empty: it has another. */
static str source_in(str path, const char *key, str pattern)
{
    const char *at = strstr(key, pattern.ptr);
    str head = str_of(key, at ? (size_t)(at - key) : 0), tail = str_from(at ? at + pattern.len : "");
    if (!at || path.len <= head.len + tail.len)
        return STR("");
    for (size_t i = 0; i < path.len; i++) {
        bool in_head = i < head.len, in_tail = i >= path.len - tail.len;
        char want = in_head ? head.ptr[i] : in_tail ? tail.ptr[i - (path.len - tail.len)] : path.ptr[i];
        if (want != path.ptr[i])
            return STR("");
    }
    return str_of(path.ptr + head.len, path.len - head.len - tail.len);
}

static int set_sources_from_file(struct loading *l, const struct yaml *clair, const struct key *k,
                                 struct err *e)
{
    const struct yaml *feeds = yaml_get(clair, STR("feeds"));
    str name = str_skip(str_from(k->about.key), STR("feeds." CONFIG_SOURCE ".").len);
    for (size_t i = 0; feeds && feeds->type == YAML_MAP && i < feeds->count; i++) {
        const struct yaml_pair *p = &feeds->pairs[i];
        const struct yaml *v = p->value->type == YAML_MAP ? yaml_get(p->value, name) : NULL;
        const struct setting s = { k, v, CONFIG_FILE, l->name, p->key };
        if (v && set(l, &s, e) < 0)
            return -1;
    }
    return 0;
}

/* For people: what is said of which source. */
static void tell_sources(struct loading *l)
{
    for (size_t k = 0; k < KEYS; k++) {
        str text = STR("");
        for (size_t i = 0; keys[k].of_source && i < l->to->feed_count; i++) {
            const struct config_feed *f = &l->feeds[i];
            bool seconds = keys[k].type == SECONDS;
            str one = seconds ? arena_printf(l->arena, "%llds", (long long)f->interval_s) : f->url;
            if (seconds ? f->interval_s != CONFIG_UNSAID : f->url.len > 0)
                text = arena_printf(l->arena, STR_FMT "%s" STR_FMT ": " STR_FMT, STR_ARG(text),
                                    text.len ? ", " : "", STR_ARG(f->name), STR_ARG(one));
        }
        if (keys[k].of_source)
            l->values[k].text = text;
    }
}

/* ---- the file ---- */

/* NULL: not there. */
static const struct yaml *find(const struct yaml *root, const char *key)
{
    for (str rest = str_from(key), part; root && (part = str_cut(&rest, '.')).len;)
        root = yaml_get(root, part);
    return root;
}

enum known { UNKNOWN, SECTION, KEY };

static bool of_source(const struct key *k, str path)
{
    str source = k->of_source ? source_in(path, k->about.key, STR(CONFIG_SOURCE)) : STR("");
    return source.len && str_find(source, '.') < 0;
}

/* feeds.debian */
static bool is_source_section(str path)
{
    str name = path;
    return str_eq(str_cut(&name, '.'), STR("feeds")) && name.len && str_find(name, '.') < 0;
}

static enum known lookup(str path)
{
    for (size_t i = 0; i < KEYS; i++) {
        str key = str_from(keys[i].about.key);
        bool below = keys[i].type == IGNORED && str_starts(path, key) && path.ptr[key.len] == '.';
        if (str_eq(key, path) || below || of_source(&keys[i], path))
            return KEY;
        if (str_starts(key, path) && key.ptr[path.len] == '.')
            return SECTION;
    }
    return is_source_section(path) ? SECTION : UNKNOWN;
}

/* As much of a key as the path has parts. */
static str as_deep(const char *key, str path)
{
    str rest = str_from(key);
    for (; path.len && rest.len; str_cut(&path, '.'))
        str_cut(&rest, '.');
    size_t n = rest.len ? (size_t)(rest.ptr - key) - 1 : strlen(key);
    return str_of(key, n);
}

/* ": ignored", and what may have been meant. */
static str advice(const struct loading *l, str path)
{
    str best = STR("");
    unsigned least = 3; /* edits */
    for (size_t i = 0; i < KEYS; i++) {
        str key = as_deep(keys[i].about.key, path);
        unsigned d = has_field(&keys[i]) ? edit_distance(path, key) : least;
        if (d < least && d * 3 <= path.len)
            best = key, least = d;
    }
    return best.len ? arena_printf(l->arena, "ignored; did you mean " STR_FMT "?", STR_ARG(best))
                    : STR("ignored");
}

static void warn_unknown(struct loading *l, const struct yaml_pair *p, const char *prefix, str path)
{
    CONFIG_WARN(l, "%s: line %u: unknown key clair.%s%s" STR_FMT ": " STR_FMT, l->name, p->line, prefix,
                *prefix ? "." : "", STR_ARG(str_head(p->key, 100)), STR_ARG(advice(l, path)));
}

/* Every key of the file that is none of ours is told; a section must be one. */
static int check_keys(struct loading *l, const struct yaml *map, const char *prefix, struct err *e)
{
    for (size_t i = 0; map->type == YAML_MAP && i < map->count; i++) {
        const struct yaml_pair *p = &map->pairs[i];
        char path[256];
        int n = snprintf(path, sizeof path, "%s%s" STR_FMT, prefix, *prefix ? "." : "", STR_ARG(p->key));
        bool fits = n >= 0 && (size_t)n < sizeof path;
        if (fits && !strcmp(path, "updater.notifier"))
            continue; /* honoured, and told */
        enum known known = fits ? lookup(str_from(path)) : UNKNOWN;
        if (known == SECTION && p->value->type != YAML_MAP && p->value->type != YAML_NULL &&
            is_source_section(str_from(path)))
            known = UNKNOWN; /* a key of feeds that is mistyped, rather */
        if (known == UNKNOWN)
            warn_unknown(l, p, prefix, str_from(fits ? path : ""));
        else if (known == SECTION && p->value->type != YAML_MAP && p->value->type != YAML_NULL)
            return err_set(e, ERR_FORMAT, "%s: line %u: clair.%s: a section with keys is wanted", l->name,
                           p->line, path);
        else if (known == SECTION && check_keys(l, p->value, path, e) < 0)
            return -1;
    }
    return 0;
}

static void warn_of_proxies(void *ctx, str text) { config_warn(ctx, text); }

/* Beside `clair`: files of clair-jwt carry the configuration of its proxies. */
static int read_sections(struct loading *l, const struct yaml *root, struct err *e)
{
    const struct jwtproxy_reading r = { l->name, l->arena, warn_of_proxies, l };
    for (size_t i = 0; i < root->count; i++) {
        const struct yaml_pair *p = &root->pairs[i];
        if (!str_eq(p->key, STR("clair")) && !str_eq(p->key, STR("jwtproxy")))
            CONFIG_WARN(l, "%s: line %u: unknown section " STR_FMT ": ignored", l->name, p->line,
                        STR_ARG(str_head(p->key, 100)));
    }
    const struct yaml *proxies = yaml_get(root, STR("jwtproxy"));
    return !proxies || (l->to->jwtproxy = jwtproxy_read(proxies, &r, e)) ? 0 : -1;
}

/* In Quay's printed sample the notifier stands inside the updater (spec/clair-jwt.md 3). */
static const struct yaml *find_misplaced(struct loading *l, const struct yaml *clair, const char *key)
{
    const struct yaml *updater = yaml_get(clair, STR("updater"));
    const struct yaml *nested = updater ? yaml_get(updater, STR("notifier")) : NULL;
    str rest = str_from(key);
    if (!nested || !str_eq(str_cut(&rest, '.'), STR("notifier")) || yaml_get(clair, STR("notifier")))
        return NULL;
    return find(nested, rest.ptr);
}

/* `updater:` with nothing behind it is off. */
static int set_updater_null(struct loading *l, const struct yaml *clair, struct err *e)
{
    const struct yaml *updater = yaml_get(clair, STR("updater"));
    if (!updater || updater->type != YAML_NULL)
        return 0;
    const struct yaml off = { .type = YAML_SCALAR, .line = updater->line, .text = STR("0") };
    struct setting s = { .value = &off, .origin = CONFIG_FILE, .name = l->name };
    for (size_t i = 0; i < KEYS; i++)
        if (!strcmp(keys[i].about.key, "updater.interval"))
            s.key = &keys[i];
    return set(l, &s, e);
}

static int set_from_file(struct loading *l, str bytes, struct err *e)
{
    const struct yaml *root = yaml_read(bytes, l->arena, e);
    if (!root)
        return err_wrap(e, "%s", l->name);
    const struct yaml *clair = yaml_get(root, STR("clair"));
    if (!clair || clair->type != YAML_MAP)
        return err_set(e, ERR_FORMAT, "%s: line %u: no section 'clair'", l->name, root->line);
    for (size_t i = 0; i < KEYS; i++) {
        const struct yaml *v = find(clair, keys[i].about.key);
        if (!v)
            v = find_misplaced(l, clair, keys[i].about.key);
        const struct setting s = { &keys[i], v, CONFIG_FILE, l->name, { 0 } };
        if (v && set(l, &s, e) < 0)
            return -1;
        if (keys[i].of_source && set_sources_from_file(l, clair, &keys[i], e) < 0)
            return -1;
    }
    const struct yaml *nested = find(clair, "updater.notifier");
    if (nested)
        CONFIG_WARN(l, "%s: line %u: clair.updater.notifier %s", l->name, nested->line,
                    yaml_get(clair, STR("notifier"))
                        ? "is ignored: clair.notifier is there"
                        : "is taken for clair.notifier: write it there, one level "
                          "up, beside clair.updater");
    if (read_sections(l, root, e) < 0)
        return -1;
    return check_keys(l, clair, "", e) < 0 ? -1 : set_updater_null(l, clair, e);
}

/* ---- the environment and the command line ---- */

/* One text as if it had stood in a file; of a list with commas. */
static const struct yaml *as_yaml(struct loading *l, const struct key *k, str text)
{
    struct yaml *v = arena_array(l->arena, struct yaml, 1);
    if (!v)
        return NULL;
    *v = (struct yaml){ .type = YAML_SCALAR, .text = text };
    if (k->type != LIST)
        return v;
    size_t room = 1;
    for (size_t i = 0; i < text.len; i++)
        room += text.ptr[i] == ',';
    struct yaml *items = arena_array(l->arena, struct yaml, room);
    *v = (struct yaml){ .type = YAML_LIST, .pairs = arena_array(l->arena, struct yaml_pair, room) };
    for (str item; items && v->pairs && text.len;) {
        item = str_trim(str_cut(&text, ','));
        items[v->count] = (struct yaml){ .type = YAML_SCALAR, .text = item };
        v->pairs[v->count] = (struct yaml_pair){ .value = &items[v->count] };
        v->count += item.len > 0;
    }
    return v;
}

static int set_text(struct loading *l, const struct key *k, str text, enum config_origin origin,
                    const char *name, struct err *e)
{
    const struct setting s = { k, as_yaml(l, k, text), origin, name, { 0 } };
    return s.value ? set(l, &s, e) : config_oom(e);
}

/* ECLAIR_FEEDS_DEBIAN_URL. 1 it is one, 0, -1. */
static int set_source_from_variable(struct loading *l, const struct key *k, const char *name,
                                    const char *value, struct err *e)
{
    if (!k->of_source)
        return 0;
    const char *pattern = arena_cstr(l->arena, config_variable(&k->about, l->arena));
    str source = pattern ? source_in(str_from(name), pattern, STR("<SOURCE>")) : STR("");
    if (!source.len)
        return 0;
    char *small = arena_cstr(l->arena, source);
    for (char *at = small; at && *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    const struct setting s = { k, as_yaml(l, k, str_from(value)), CONFIG_ENVIRONMENT, name, str_from(small) };
    if (!small || !s.value)
        return config_oom(e);
    return *value && set(l, &s, e) < 0 ? -1 : 1;
}

/* ECLAIR_API_... is meant for us, whatever follows; ECLAIR_TEST_... is not. */
static bool is_of_a_section(const char *variable)
{
    str rest = str_skip(str_from(variable), strlen(PREFIX)), section = str_cut(&rest, '_');
    for (size_t i = 0; i < KEYS && rest.len; i++) {
        str key = str_from(keys[i].about.key);
        if (config_is_word(section, str_cut(&key, '.')))
            return true;
    }
    return false;
}

static int set_from_variable(struct loading *l, const char *name, const char *value, struct err *e)
{
    for (size_t i = 0; i < KEYS; i++)
        if (str_eq(config_variable(&keys[i].about, l->arena), str_from(name)))
            return *value ? set_text(l, &keys[i], str_from(value), CONFIG_ENVIRONMENT, name, e) : 0;
    for (size_t i = 0; i < KEYS; i++) {
        int r = set_source_from_variable(l, &keys[i], name, value, e);
        if (r)
            return r < 0 ? -1 : 0;
    }
    if (is_of_a_section(name))
        CONFIG_WARN(l, "%s: no such key: ignored (eclair help config lists them)", name);
    return 0;
}

static int set_from_environment(struct loading *l, const char *const *environment, struct err *e)
{
    for (; environment && *environment; environment++) {
        const char *is = strchr(*environment, '=');
        if (!is || !str_starts(str_from(*environment), STR(PREFIX)))
            continue;
        const char *name = arena_cstr(l->arena, str_of(*environment, (size_t)(is - *environment)));
        if (!name)
            return config_oom(e);
        if (set_from_variable(l, name, is + 1, e) < 0)
            return -1;
    }
    return 0;
}

static int set_from_flags(struct loading *l, const struct config_sources *from, struct err *e)
{
    for (size_t i = 0; i < KEYS; i++)
        for (size_t k = 0; k < from->flag_count; k++) {
            const struct config_flag *f = &from->flags[k];
            if (!strcmp(keys[i].about.key, f->key) &&
                set_text(l, &keys[i], str_from(f->value), CONFIG_FLAG, f->name, e) < 0)
                return -1;
        }
    return 0;
}

/* ---- all of it ---- */

static int check_pair(const char *name, const char *where, str cert, str key, struct err *e)
{
    if (!cert.len == !key.len)
        return 0;
    return err_set(e, ERR_USAGE, "%s: clair.notifier.%s: a certificate and its key go together", name, where);
}

static int check_notifier(struct loading *l, const char *name, struct err *e)
{
    const struct config *c = l->to;
    const struct config_webhook *w = &c->webhook;
    if (check_pair(name, "http", w->certfile, w->keyfile, e) < 0 ||
        check_pair(name, "amqp.tls", c->amqp.certfile, c->amqp.keyfile, e) < 0 ||
        check_pair(name, "stomp", c->stomp.certfile, c->stomp.keyfile, e) < 0)
        return -1;
    if (w->hmac.len && w->hmacfile.len)
        return err_set(e, ERR_USAGE, "%s: clair.notifier.http.hmac: secret or secretfile, not both", name);
    if (!!w->jwt_secret.len + !!w->jwt_secretfile.len + !!w->jwt_keyfile.len > 1)
        return err_set(e, ERR_USAGE, "%s: clair.notifier.http.jwt: one of secret, secretfile and keyfile",
                       name);
    if (c->stomp.broker_count + c->stomp.uri_count && !c->stomp.destination.len)
        return err_set(e, ERR_USAGE, "%s: clair.notifier.stomp: no destination", name);
    if (c->amqp.uri_count && !c->amqp.routing_key.len)
        return err_set(e, ERR_USAGE, "%s: clair.notifier.amqp: no routing_key", name);
    if (c->stomp.broker_count && c->stomp.uri_count)
        CONFIG_WARN(l, "%s: clair.notifier.stomp: uris win over brokers", name);
    return 0;
}

static int check(struct loading *l, struct err *e)
{
    const struct config *c = l->to;
    const char *name = l->name ? l->name : "configuration";
    str type = c->database_type;
    if (type.len && !str_eq(type, STR("pgsql")) && !str_eq(type, STR("sqlite")))
        return err_set(e, ERR_USAGE,
                       "%s: database: unknown Driver \"" STR_FMT "\" (there are: pgsql, sqlite)", name,
                       STR_ARG(type));
    if (str_eq(type, STR("pgsql")) && !c->database_source.len)
        return err_set(e, ERR_USAGE, "%s: pgsql: no database connection string specified", name);
    /* never plain text where TLS was asked for */
    if (!c->certfile.len != !c->keyfile.len)
        return err_set(e, ERR_USAGE, "%s: clair.api: certfile and keyfile go together", name);
    if (c->cafile.len && !c->certfile.len)
        return err_set(e, ERR_USAGE,
                       "%s: clair.api.cafile: without certfile and keyfile there is no TLS, and no client "
                       "that shows a certificate",
                       name);
    if (c->token.len && c->tokenfile.len)
        return err_set(e, ERR_USAGE, "%s: clair.api.token and clair.api.tokenfile: one of them is enough",
                       name);
    if (c->keys_registry && !c->keys_audience.len)
        return err_set(e, ERR_USAGE,
                       "%s: clair.keys.audience: a registry of keys wants the URL by which services reach it "
                       "(http://HOST:PORT), for it takes no tokens that are meant for others",
                       name);
    return check_notifier(l, name, e) < 0 ? -1 : arena_failed(l->arena) ? config_oom(e) : 0;
}

static void set_defaults(struct loading *l)
{
    for (size_t i = 0; i < KEYS; i++) {
        l->values[i].text = str_from(keys[i].about.fallback);
        for (size_t k = i + 1; k < KEYS && has_field(&keys[i]); k++)
            l->values[i].loses |= has_field(&keys[k]) && keys[k].field == keys[i].field;
    }
    *l->to = (struct config){
        .addr = STR(":6060"),
        .healthaddr = STR(":6061"),
        .timeout_ms = 900 * 1000,
        .updater_interval_s = 2 * 3600,
        .fetch_timeout_ms = 3600 * 1000,
        .fetch_size_max = (uint64_t)32 << 30,
        .notifier_attempts = 5,
        .notifier_again_s = 2 * 3600,
        .webhook.jwt_issuer = STR("clair"),
        .amqp.type = STR("direct"),
        .log_level = STR("info"),
        .log_format = STR("auto"),
        .values = l->values,
        .warnings = l->warnings,
        .feeds = l->feeds,
    };
}

static int load(const struct config_sources *from, const char *name, str bytes, struct arena *arena,
                struct config *ret, struct err *e)
{
    struct loading l = { .name = name,
                         .arena = arena,
                         .to = ret,
                         .values = arena_array(arena, struct config_value, KEYS),
                         .warnings = arena_array(arena, str, CONFIG_WARNINGS),
                         .feeds = arena_array(arena, struct config_feed, CONFIG_FEEDS) };
    if (!l.values || !l.warnings || !l.feeds)
        return config_oom(e);
    set_defaults(&l);
    if ((name && set_from_file(&l, bytes, e) < 0) || set_from_environment(&l, from->environment, e) < 0 ||
        set_from_flags(&l, from, e) < 0)
        return -1;
    tell_sources(&l);
    ret->updater = ret->updater_interval_s > 0 && !(ret->updaters && !ret->updater_count);
    return check(&l, e);
}

int config_read(str bytes, const char *name, struct arena *arena, struct config *ret, struct err *e)
{
    return load(&(struct config_sources){ 0 }, name, bytes, arena, ret, e);
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

/* What is too long for YAML yaml_read() says. */
static int read_file(const char *path, struct arena *arena, str *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf bytes = { .max = YAML_MAX + (1 << 16) };
    if (buf_read_file(&bytes, path, e) < 0)
        return -1;
    *ret = arena_dup(arena, buf_view(&bytes));
    return arena_failed(arena) ? config_oom(e) : 0;
}

int config_load(const struct config_sources *from, struct arena *arena, struct config *ret, struct err *e)
{
    str expanded, bytes = STR("");
    if (!from->file)
        return load(from, NULL, bytes, arena, ret, e);
    expand(from->file, arena, &expanded);
    const char *name = arena_cstr(arena, expanded);
    if (!name)
        return config_oom(e);
    if (read_file(name, arena, &bytes, e) < 0)
        return -1;
    return load(from, name, bytes, arena, ret, e);
}

const struct config_key *config_key(size_t i) { return i < KEYS ? &keys[i].about : NULL; }

str config_shown(const struct config *c, size_t i, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    str text = c->values[i].text;
    if (keys[i].type == SECRET)
        return text.len ? STR(SECRET_MASK) : text;
    secret_mask(text, &out);
    return arena_dup(arena, buf_view(&out));
}

str config_variable(const struct config_key *k, struct arena *arena)
{
    char *name = arena_cstr(arena, arena_printf(arena, PREFIX "%s", k->key));
    for (char *at = name; at && *at; at++)
        *at = *at == '.' ? '_' : (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    return str_from(name);
}
