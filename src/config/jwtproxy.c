#include "config/jwtproxy.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/yaml.h"
#include "config/duration.h"
#include "config/internal.h"
#include "config/jwtproxy_internal.h"

#define SIGNER         "signer_proxy."
#define PATH_MAX_BYTES 256

enum kind { WORDS, FLAG, OCTAL, MS, S, COUNT, ITEMS, KEY_ID, CLAIMS, TAKEN /* and whatever is below it */ };

struct row {
    const char *path;
    enum kind kind;
    size_t field;
};

#define OF_SIGNER(path, kind, field)                                                                         \
    {                                                                                                        \
        path, kind, offsetof(struct jwtproxy_signer, field)                                                  \
    }
#define OF_VERIFIER(path, kind, field)                                                                       \
    {                                                                                                        \
        path, kind, offsetof(struct jwtproxy_verifier, field)                                                \
    }

static const struct row signer_rows[] = {
    OF_SIGNER("enabled", FLAG, at.enabled),
    OF_SIGNER("listen_addr", WORDS, at.listen_addr),
    OF_SIGNER("socket_permission", OCTAL, at.permissions),
    OF_SIGNER("shutdown_timeout", MS, at.stop_ms),
    OF_SIGNER("ca_key_file", WORDS, ca_keyfile),
    OF_SIGNER("ca_crt_file", WORDS, ca_certfile),
    OF_SIGNER("trusted_certificates", ITEMS, trusted),
    OF_SIGNER("insecure_skip_verify", FLAG, insecure),
    OF_SIGNER("signer.issuer", WORDS, issuer),
    OF_SIGNER("signer.expiration_time", S, expires_s),
    OF_SIGNER("signer.max_skew", S, max_skew_s),
    OF_SIGNER("signer.nonce_length", COUNT, nonce_length),
    OF_SIGNER("signer.private_key.type", WORDS, key_type),
    OF_SIGNER("signer.private_key.options.key_id", KEY_ID, key_id),
    OF_SIGNER("signer.private_key.options.private_key_path", WORDS, private_key_path),
    OF_SIGNER("signer.private_key.options.rotate_every", S, rotate_s),
    OF_SIGNER("signer.private_key.options.key_folder", WORDS, key_folder),
    OF_SIGNER("signer.private_key.options.key_server.type", WORDS, registry_type),
    OF_SIGNER("signer.private_key.options.key_server.options.registry", WORDS, registry),
    { "signer.private_key.options.key_server.options", TAKEN, 0 },
    { NULL, TAKEN, 0 },
};

static const struct row verifier_rows[] = {
    OF_VERIFIER("enabled", FLAG, at.enabled),
    OF_VERIFIER("listen_addr", WORDS, at.listen_addr),
    OF_VERIFIER("socket_permission", OCTAL, at.permissions),
    OF_VERIFIER("shutdown_timeout", MS, at.stop_ms),
    OF_VERIFIER("crt_file", WORDS, certfile),
    OF_VERIFIER("key_file", WORDS, keyfile),
    OF_VERIFIER("verifier.upstream", WORDS, upstream),
    OF_VERIFIER("verifier.audience", WORDS, audience),
    OF_VERIFIER("verifier.max_skew", S, max_skew_s),
    OF_VERIFIER("verifier.max_ttl", S, max_ttl_s),
    OF_VERIFIER("verifier.algorithms", ITEMS, algorithms),
    OF_VERIFIER("verifier.key_server.type", WORDS, key_type),
    OF_VERIFIER("verifier.key_server.options.registry", WORDS, registry),
    OF_VERIFIER("verifier.key_server.options.issuer", WORDS, issuer),
    OF_VERIFIER("verifier.key_server.options.key_id", KEY_ID, key_id),
    OF_VERIFIER("verifier.key_server.options.public_key_path", WORDS, public_key_path),
    { "verifier.key_server.options", TAKEN, 0 }, /* cache, and what Quay sends */
    OF_VERIFIER("verifier.nonce_storage.type", WORDS, nonce_type),
    { "verifier.nonce_storage.options", TAKEN, 0 }, /* purge_interval: what has expired goes by itself */
    OF_VERIFIER("verifier.claims_verifiers", CLAIMS, claims),
    { NULL, TAKEN, 0 },
};

_Static_assert(offsetof(struct jwtproxy_signer, trusted_count) ==
                   offsetof(struct jwtproxy_signer, trusted) + sizeof(str *),
               "the count of a list stands behind it");
_Static_assert(offsetof(struct jwtproxy_verifier, algorithm_count) ==
                   offsetof(struct jwtproxy_verifier, algorithms) + sizeof(str *),
               "the count of a list stands behind it");
_Static_assert(offsetof(struct jwtproxy_verifier, claim_count) ==
                   offsetof(struct jwtproxy_verifier, claims) + sizeof(str *),
               "the count of a list stands behind it");

static void warn(const struct place *p, const char *what)
{
    p->r->warn(p->r->ctx, arena_printf(p->r->arena, "%s: line %u: jwtproxy.%s%s: %s", p->r->name, p->line,
                                       p->prefix, p->path, what));
}

static int wrong(const struct place *p, const struct yaml *v, const char *want, struct err *e)
{
    static const char *const kinds[] = {
        [YAML_NULL] = "nothing", [YAML_LIST] = "a list", [YAML_MAP] = "a map"
    };
    char text[80];
    snprintf(text, sizeof text, "'" STR_FMT "'", STR_ARG(str_head(v->text, 70)));
    return err_set(e, ERR_FORMAT, "%s: line %u: jwtproxy.%s%s: %s is no %s", p->r->name, v->line, p->prefix,
                   p->path, v->type == YAML_SCALAR ? text : kinds[v->type], want);
}

/* ---- values ---- */

static int take_flag(const struct place *p, const struct yaml *v, bool *to, struct err *e)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (v->type == YAML_SCALAR && config_is_word(v->text, str_from(words[i]))) {
            *to = i % 2;
            return 0;
        }
    return wrong(p, v, "true or false", e);
}

static int take_octal(const struct place *p, const struct yaml *v, unsigned *to, struct err *e)
{
    str digits = v->text;
    unsigned sum = 0;
    bool zero = str_starts(digits, STR("0"));
    if (str_starts(digits, STR("0o")))
        digits = str_skip(digits, 2);
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '7' || sum > 0777)
            return wrong(p, v, "permission (0755)", e);
        sum = sum * 8 + (unsigned)(digits.ptr[i] - '0');
    }
    if (v->type != YAML_SCALAR || !digits.len || sum > 0777)
        return wrong(p, v, "permission (0755)", e);
    if (!zero)
        warn(p, "taken for octal: write it with a leading zero (0755)");
    *to = sum;
    return 0;
}

static int take_duration(const struct place *p, const struct yaml *v, int64_t unit_ns, int64_t *to,
                         struct err *e)
{
    uint64_t number;
    int64_t ns;
    bool negative = str_starts(v->text, STR("-"));
    str text = str_skip(v->text, negative);
    if (v->type != YAML_SCALAR)
        return wrong(p, v, "duration (5m, 12h)", e);
    if (!v->quoted && str_to_u64(text, &number) && number && number < (uint64_t)INT64_MAX) {
        ns = number < 1000000 ? (int64_t)number * 1000000000 : (int64_t)number;
        warn(p, number < 1000000
                    ? "a number without a unit is taken for seconds: write a unit (300s, 5m)"
                    : "a number without a unit is taken for nanoseconds: write a unit (300s, 5m)");
    } else if (!duration_parse(text, &ns)) {
        return wrong(p, v, "duration (5m, 12h)", e);
    }
    *to = negative ? 0 : ns / unit_ns + (ns % unit_ns > 0);
    return 0;
}

static int take_count(const struct place *p, const struct yaml *v, int64_t *to, struct err *e)
{
    uint64_t number;
    if (v->type != YAML_SCALAR || !str_to_u64(v->text, &number) || number > 1024)
        return wrong(p, v, "number (0 to 1024)", e);
    *to = (int64_t)number;
    return 0;
}

static int take_items(const struct place *p, const struct yaml *v, void *to, struct err *e)
{
    const str **items = to;
    if (v->type == YAML_NULL)
        return 0;
    if (v->type != YAML_LIST)
        return wrong(p, v, "list", e);
    str *list = arena_array(p->r->arena, str, v->count + 1);
    for (size_t i = 0; list && i < v->count; i++) {
        if (v->pairs[i].value->type != YAML_SCALAR)
            return wrong(p, v->pairs[i].value, "text", e);
        list[i] = v->pairs[i].value->text;
    }
    *items = v->count ? list : NULL;
    *(size_t *)(items + 1) = v->count;
    return list ? 0 : config_oom(e);
}

/* Quay's documents print the key id in braces, which is a map of one key without a value. */
static int take_key_id(const struct place *p, const struct yaml *v, str *to, struct err *e)
{
    if (v->type == YAML_SCALAR) {
        *to = v->text;
        return 0;
    }
    if (v->type != YAML_MAP || v->count != 1 || v->pairs[0].value->type != YAML_NULL)
        return wrong(p, v, "text", e);
    *to = v->pairs[0].key;
    warn(p, "the braces are taken away: write the id alone (key_id: 4fb9...)");
    return 0;
}

static bool is_json_word(const struct yaml *v)
{
    char text[64], *end;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(str_head(v->text, sizeof text - 1)));
    strtod(text, &end);
    bool number = *text && !*end && strspn(text, "+-.0123456789eE") == strlen(text);
    return !v->quoted && (number || str_eq(v->text, STR("true")) || str_eq(v->text, STR("false")));
}

static int take_claim_options(const struct place *p, const struct yaml *options, struct jwtproxy_verifier *to,
                              struct err *e)
{
    for (size_t i = 0; options && options->type == YAML_MAP && i < options->count; i++) {
        const struct yaml *v = options->pairs[i].value;
        if (v->type != YAML_SCALAR)
            return wrong(p, v, "text, number or boolean", e);
        if (to->claim_count == JWTPROXY_CLAIMS)
            return err_set(e, ERR_LIMIT, "%s: line %u: jwtproxy.%s%s: more than %d claims", p->r->name,
                           v->line, p->prefix, p->path, JWTPROXY_CLAIMS);
        to->claims[to->claim_count++] =
            (struct jwtproxy_claim){ options->pairs[i].key, v->text, !is_json_word(v) };
    }
    return 0;
}

static int take_claims(const struct place *p, const struct yaml *v, struct jwtproxy_verifier *to,
                       struct err *e)
{
    if (v->type == YAML_NULL)
        return 0;
    if (v->type != YAML_LIST)
        return wrong(p, v, "list", e);
    if (!(to->claims = arena_array(p->r->arena, struct jwtproxy_claim, JWTPROXY_CLAIMS)))
        return config_oom(e);
    for (size_t i = 0; i < v->count; i++) {
        const struct yaml *type = yaml_get(v->pairs[i].value, STR("type"));
        if (!type || !str_eq(type->text, STR("static")))
            return wrong(p, type ? type : v->pairs[i].value, "claims verifier (type: static)", e);
        if (take_claim_options(p, yaml_get(v->pairs[i].value, STR("options")), to, e) < 0)
            return -1;
    }
    return 0;
}

static int take(const struct place *p, const struct row *row, const struct yaml *v, void *to, struct err *e)
{
    void *field = (char *)to + row->field;
    if (v->type == YAML_NULL && row->kind != KEY_ID)
        return 0;
    switch (row->kind) {
    case WORDS:
        if (v->type != YAML_SCALAR)
            return wrong(p, v, "text", e);
        *(str *)field = v->text;
        return 0;
    case FLAG:
        return take_flag(p, v, field, e);
    case OCTAL:
        return take_octal(p, v, field, e);
    case MS:
        return take_duration(p, v, 1000000, field, e);
    case S:
        return take_duration(p, v, 1000000000, field, e);
    case COUNT:
        return take_count(p, v, field, e);
    case ITEMS:
        return take_items(p, v, field, e);
    case KEY_ID:
        return v->type == YAML_NULL ? 0 : take_key_id(p, v, field, e);
    case CLAIMS:
        return take_claims(p, v, to, e);
    case TAKEN:
        break;
    }
    return 0;
}

/* ---- sections ---- */

enum match { NONE, INNER, EXACT };

static enum match look_up(const struct row *rows, str path, const struct row **ret)
{
    enum match m = NONE;
    for (*ret = NULL; rows->path; rows++) {
        str row = str_from(rows->path);
        bool below =
            rows->kind == TAKEN && str_starts(path, row) && path.len > row.len && path.ptr[row.len] == '.';
        if (str_eq(row, path) && rows->kind != TAKEN) {
            *ret = rows;
            return EXACT;
        }
        if (below && m == NONE) {
            *ret = rows;
            m = EXACT;
        }
        if (str_starts(row, path) && row.len > path.len && row.ptr[path.len] == '.')
            m = INNER;
        else if (str_eq(row, path) && m == NONE)
            m = INNER;
    }
    return m;
}

static int read_map(const struct place *at, const struct row *rows, const struct yaml *map, void *to,
                    struct err *e)
{
    for (size_t i = 0; map->type == YAML_MAP && i < map->count; i++) {
        char path[PATH_MAX_BYTES];
        const struct yaml_pair *pair = &map->pairs[i];
        int n =
            snprintf(path, sizeof path, "%s%s" STR_FMT, at->path, *at->path ? "." : "", STR_ARG(pair->key));
        const struct place p = { at->r, at->prefix, path, pair->line };
        const struct row *row = NULL;
        enum match m = n > 0 && (size_t)n < sizeof path ? look_up(rows, str_from(path), &row) : NONE;
        if (m == NONE) {
            warn(&p, "unknown key: ignored");
        } else if (m == EXACT) {
            if (take(&p, row, pair->value, to, e) < 0)
                return -1;
        } else if (pair->value->type == YAML_MAP) {
            if (read_map(&p, rows, pair->value, to, e) < 0)
                return -1;
        } else if (pair->value->type != YAML_NULL) {
            return wrong(&p, pair->value, "section with keys", e);
        }
    }
    return 0;
}

/* ---- all of it ---- */

static const struct jwtproxy_listener listener_defaults = { .enabled = true,
                                                            .permissions = 0755,
                                                            .stop_ms = 5000 };

static struct jwtproxy_signer signer_defaults(void)
{
    struct jwtproxy_signer s = { .at = listener_defaults,
                                 .issuer = STR("jwtproxy"),
                                 .expires_s = 300,
                                 .max_skew_s = 60,
                                 .nonce_length = 32,
                                 .rotate_s = 12 * 3600 };
    s.at.listen_addr = STR(":8080");
    return s;
}

static struct jwtproxy_verifier verifier_defaults(void)
{
    struct jwtproxy_verifier v = { .at = listener_defaults, .max_skew_s = 300, .max_ttl_s = 300 };
    v.at.listen_addr = STR(":8082");
    return v;
}

static int read_verifiers(struct jwtproxy *to, const struct yaml *list, const struct jwtproxy_reading *r,
                          struct err *e)
{
    const struct place all = { r, "", "verifier_proxies", list->line };
    if (list->type == YAML_NULL)
        return 0;
    if (list->type != YAML_LIST)
        return wrong(&all, list, "list", e);
    if (list->count > JWTPROXY_VERIFIERS)
        return err_set(e, ERR_LIMIT, "%s: line %u: jwtproxy.verifier_proxies: more than %d", r->name,
                       list->line, JWTPROXY_VERIFIERS);
    to->verifiers = arena_array(r->arena, struct jwtproxy_verifier, list->count + 1);
    for (size_t i = 0; to->verifiers && i < list->count; i++) {
        char *prefix = arena_cstr(r->arena, arena_printf(r->arena, "verifier_proxies[%zu].", i));
        const struct yaml *one = list->pairs[i].value;
        const struct place p = { r, prefix ? prefix : "", "", one->line };
        struct jwtproxy_verifier *v = &to->verifiers[to->verifier_count++];
        *v = verifier_defaults();
        if (read_map(&p, verifier_rows, one, v, e) < 0 || jwtproxy_check_verifier(&p, v, e) < 0)
            return -1;
    }
    return to->verifiers ? 0 : config_oom(e);
}

static void warn_others(const struct yaml *section, const struct jwtproxy_reading *r)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct yaml_pair *pair = &section->pairs[i];
        char *path = arena_cstr(r->arena, str_head(pair->key, 100));
        const struct place p = { r, "", path ? path : "", pair->line };
        if (!str_eq(pair->key, STR("signer_proxy")) && !str_eq(pair->key, STR("verifier_proxies")))
            warn(&p, "unknown key: ignored");
    }
}

static int read_section(struct jwtproxy *to, const struct yaml *section, const struct jwtproxy_reading *r,
                        struct err *e)
{
    const struct place all = { r, "", "", section->line };
    if (section->type == YAML_NULL)
        return 0;
    if (section->type != YAML_MAP)
        return wrong(&all, section, "section with keys", e);
    const struct yaml *signer = yaml_get(section, STR("signer_proxy")),
                      *list = yaml_get(section, STR("verifier_proxies"));
    const struct place p = { r, SIGNER, "", signer ? signer->line : section->line };
    warn_others(section, r);
    if (signer && signer->type != YAML_MAP && signer->type != YAML_NULL)
        return wrong(&p, signer, "section with keys", e);
    if (signer && read_map(&p, signer_rows, signer, &to->signer, e) < 0)
        return -1;
    return list ? read_verifiers(to, list, r, e) : 0;
}

struct jwtproxy *jwtproxy_read(const struct yaml *section, const struct jwtproxy_reading *r, struct err *e)
{
    struct jwtproxy *to = arena_array(r->arena, struct jwtproxy, 1);
    if (!to) {
        config_oom(e);
        return NULL;
    }
    to->signer = signer_defaults();
    if ((section && read_section(to, section, r, e) < 0) || jwtproxy_check_signer(r, &to->signer, e) < 0)
        return NULL;
    return arena_failed(r->arena) ? (config_oom(e), NULL) : to;
}

/* ---- for people ---- */

static void describe_list(const void *field, struct buf *out)
{
    const str *items = *(const str *const *)field;
    size_t count = *(const size_t *)((const char *)field + sizeof(str *));
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s" STR_FMT, i ? ", " : "", STR_ARG(items[i]));
}

static void describe_claims(const struct jwtproxy_verifier *v, struct buf *out)
{
    for (size_t i = 0; i < v->claim_count; i++)
        buf_printf(out, v->claims[i].text ? "%s" STR_FMT "=\"" STR_FMT "\"" : "%s" STR_FMT "=" STR_FMT,
                   i ? ", " : "", STR_ARG(v->claims[i].name), STR_ARG(v->claims[i].value));
}

static void describe(const char *prefix, const struct row *rows, const void *from, struct buf *out)
{
    for (; rows->path; rows++) {
        const void *field = (const char *)from + rows->field;
        if (rows->kind == TAKEN)
            continue;
        buf_printf(out, "%s%s: ", prefix, rows->path);
        switch (rows->kind) {
        case WORDS:
        case KEY_ID:
            buf_str(out, *(const str *)field);
            break;
        case FLAG:
            buf_str(out, *(const bool *)field ? STR("true") : STR("false"));
            break;
        case OCTAL:
            buf_printf(out, "%04o", *(const unsigned *)field);
            break;
        case MS:
        case S:
        case COUNT:
            buf_printf(out, "%lld%s", (long long)*(const int64_t *)field,
                       rows->kind == MS  ? "ms"
                       : rows->kind == S ? "s"
                                         : "");
            break;
        case ITEMS:
            describe_list(field, out);
            break;
        case CLAIMS:
            describe_claims(from, out);
            break;
        case TAKEN:
            break;
        }
        buf_char(out, '\n');
    }
}

str jwtproxy_describe(const struct jwtproxy *j, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    describe(SIGNER, signer_rows, &j->signer, &out);
    for (size_t i = 0; i < j->verifier_count; i++) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "verifier_proxies[%zu].", i);
        describe(prefix, verifier_rows, &j->verifiers[i], &out);
    }
    return arena_dup(arena, buf_view(&out));
}
