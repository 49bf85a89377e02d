#include "cmd/proxies.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "proxy/signer.h"
#include "proxy/verifying.h"

#include <stdio.h>

struct proxies {
    struct metrics *metrics;
    struct verifying **verifiers;
    size_t count;
    struct signing *signer;
    struct keys_own *keys;
    struct signer_rules rules;
};

static const char *text_or_null(struct arena *a, str s) { return s.len ? arena_cstr(a, s) : NULL; }

static const char *const *list_of(struct arena *a, const str *items, size_t n)
{
    const char **list = n ? arena_array(a, const char *, n + 1) : NULL;
    for (size_t i = 0; list && i < n; i++)
        list[i] = arena_cstr(a, items[i]);
    return list;
}

/* ---- what they tell ---- */

static void say(void *ctx, enum proxy_level level, const char *event, const char *proxy, const char *error)
{
    static const enum log_level levels[] = { [PROXY_ERROR] = LOG_ERROR,
                                             [PROXY_WARNING] = LOG_WARNING,
                                             [PROXY_INFO] = LOG_INFO,
                                             [PROXY_DEBUG] = LOG_DEBUG };
    (void)ctx;
    if (error)
        LOG(levels[level], event, LOG_TEXT("error", str_from(error)), LOG_TEXT("proxy", str_from(proxy)));
    else
        LOG(levels[level], event, LOG_TEXT("proxy", str_from(proxy)));
}

static void judged(void *ctx, const char *what, unsigned status, int64_t judge_ns)
{
    struct proxies *p = ctx;
    char code[8];
    snprintf(code, sizeof code, "%u", status);
    metrics_add(p->metrics, METRIC_PROXY_JUDGED, 1, str_from(what), str_from(code));
    metrics_observe(p->metrics, METRIC_PROXY_SECONDS, (double)judge_ns / 1e9, STR(""), STR(""));
}

static void signed_one(void *ctx, const char *what, unsigned status)
{
    struct proxies *p = ctx;
    (void)status;
    metrics_add(p->metrics, METRIC_PROXY_SIGNED, 1, str_from(what), STR(""));
}

static struct proxy_log log_of(struct proxies *p) { return (struct proxy_log){ say, p }; }

/* ---- verifiers ---- */

static int find_algorithms(const struct jwtproxy_verifier *v, unsigned *ret, struct err *e)
{
    *ret = v->algorithms ? 0 : JWT_RS256;
    for (size_t i = 0; i < v->algorithm_count; i++) {
        unsigned one = 0;
        if (!jwt_algorithm_find(v->algorithms[i], &one) || !(one & (JWT_RS256 | JWT_ES256 | JWT_PS256)))
            return err_set(e, ERR_USAGE,
                           "jwtproxy: verifier.algorithms: '" STR_FMT "' (there are: RS256, ES256, PS256)",
                           STR_ARG(str_head(v->algorithms[i], 40)));
        *ret |= one;
    }
    return 0;
}

static const struct verifier_claim *claims_of(struct arena *a, const struct jwtproxy_verifier *v)
{
    struct verifier_claim *list = arena_array(a, struct verifier_claim, v->claim_count + 1);
    for (size_t i = 0; list && i < v->claim_count; i++)
        list[i] = (struct verifier_claim){ v->claims[i].name, v->claims[i].value, v->claims[i].text };
    return list;
}

static int start_verifier(struct proxies *p, const struct jwtproxy_verifier *v,
                          const struct proxies_options *o, struct err *e)
{
    struct arena *a = o->arena;
    bool shared = !str_eq(v->nonce_type, STR("local"));
    struct verifying_options with = {
        .address = arena_cstr(a, v->at.listen_addr),
        .permissions = v->at.permissions,
        .stop_ms = v->at.stop_ms,
        .certfile = text_or_null(a, v->certfile),
        .keyfile = text_or_null(a, v->keyfile),
        .upstream = arena_cstr(a, v->upstream),
        .rules = { .audience = v->audience,
                   .max_skew_s = v->max_skew_s,
                   .max_ttl_s = v->max_ttl_s,
                   .claims = claims_of(a, v),
                   .claim_count = v->claim_count },
        .keys = { .registry = str_eq(v->key_type, STR("keyregistry")) ? text_or_null(a, v->registry) : NULL,
                  .issuer = text_or_null(a, v->issuer),
                  .key_id = text_or_null(a, v->key_id),
                  .public_key_path = text_or_null(a, v->public_key_path) },
        .nonce_database = shared ? o->database : NULL,
        .used = o->used,
        .log = log_of(p),
        .judged = judged,
    };
    if (find_algorithms(v, &with.rules.algorithms, e) < 0)
        return -1;
    if (arena_failed(a))
        return err_set(e, ERR_OOM, "out of memory");
    if (!v->claim_count)
        log_info("No claims verifiers specified, upstream should be configured to verify authorization");
    struct verifying *one = verifying_new(&with, e);
    if (!one)
        return -1;
    p->verifiers[p->count++] = one;
    return 0;
}

static int start_verifiers(struct proxies *p, const struct proxies_options *o, struct err *e)
{
    const struct jwtproxy *c = o->config;
    p->verifiers = calloc(c->verifier_count + 1, sizeof(struct verifying *));
    if (!p->verifiers)
        return err_set(e, ERR_OOM, "out of memory");
    for (size_t i = 0; i < c->verifier_count; i++)
        if (c->verifiers[i].at.enabled && start_verifier(p, &c->verifiers[i], o, e) < 0)
            return -1;
    return 0;
}

/* ---- the signer ---- */

/* $XDG_CONFIG_HOME/jwtproxy, or $HOME/.config/jwtproxy. */
static const char *key_folder(struct arena *a, const struct jwtproxy_signer *s)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (s->key_folder.len)
        return arena_cstr(a, s->key_folder);
    str folder = xdg && *xdg ? arena_printf(a, "%s/jwtproxy", xdg)
                             : arena_printf(a, "%s/.config/jwtproxy", home ? home : "");
    return arena_cstr(a, folder);
}

static int start_keys(struct proxies *p, const struct jwtproxy_signer *s, struct arena *a, struct err *e)
{
    bool preshared = str_eq(s->key_type, STR("preshared"));
    const struct keys_own_options own = { .issuer = p->rules.issuer,
                                          .key_id = text_or_null(a, s->key_id),
                                          .private_key_path =
                                              preshared ? text_or_null(a, s->private_key_path) : NULL,
                                          .folder = preshared ? NULL : key_folder(a, s),
                                          .registry = preshared ? NULL : text_or_null(a, s->registry),
                                          .rotate_s = (unsigned)s->rotate_s,
                                          .trusted = list_of(a, s->trusted, s->trusted_count),
                                          .insecure = s->insecure };
    if (arena_failed(a))
        return err_set(e, ERR_OOM, "out of memory");
    p->keys = keys_own_new(&own, e);
    return p->keys ? 0 : err_wrap(e, "Failed to create JWT signer");
}

static int start_signer(struct proxies *p, const struct proxies_options *o, struct err *e)
{
    const struct jwtproxy_signer *s = &o->config->signer;
    struct arena *a = o->arena;
    p->rules = (struct signer_rules){ .issuer = arena_cstr(a, s->issuer),
                                      .expires_s = s->expires_s,
                                      .max_skew_s = s->max_skew_s,
                                      .nonce_length = (unsigned)s->nonce_length };
    if (start_keys(p, s, a, e) < 0)
        return -1;
    const struct signing_options with = { .address = arena_cstr(a, s->at.listen_addr),
                                          .permissions = s->at.permissions,
                                          .stop_ms = s->at.stop_ms,
                                          .ca_certfile = text_or_null(a, s->ca_certfile),
                                          .ca_keyfile = text_or_null(a, s->ca_keyfile),
                                          .trusted = list_of(a, s->trusted, s->trusted_count),
                                          .insecure = s->insecure,
                                          .rules = p->rules,
                                          .keys = p->keys,
                                          .log = log_of(p),
                                          .signed_one = signed_one };
    if (arena_failed(a))
        return err_set(e, ERR_OOM, "out of memory");
    p->signer = signing_new(&with, e);
    return p->signer ? 0 : -1;
}

/* ---- life ---- */

static int run_all(struct proxies *p, const struct proxies_options *o, struct err *e)
{
    for (size_t i = 0; i < p->count; i++) {
        if (verifying_start(p->verifiers[i], e) < 0)
            return -1;
        log_info("starting verifier proxy", LOG_NUM("port", verifying_port(p->verifiers[i])));
    }
    if (!p->signer)
        return 0;
    if (signing_start(p->signer, e) < 0)
        return -1;
    log_info("starting signer proxy", LOG_TEXT("issuer", o->config->signer.issuer),
             LOG_NUM("port", signing_port(p->signer)));
    return 0;
}

struct proxies *proxies_start(const struct proxies_options *o, struct err *e)
{
    struct proxies *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    p->metrics = o->metrics;
    if (o->config && (start_verifiers(p, o, e) < 0 ||
                      (o->config->signer.at.enabled && start_signer(p, o, e) < 0) || run_all(p, o, e) < 0))
        proxies_stop(&p);
    return p;
}

size_t proxies_count(const struct proxies *p) { return p->count + (p->signer != NULL); }

void proxies_stop(struct proxies **pp)
{
    struct proxies *p = *pp;
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        verifying_freep(&p->verifiers[i]);
    signing_freep(&p->signer);
    keys_own_freep(&p->keys);
    free(p->verifiers);
    free(p);
    *pp = NULL;
}

/* ---- for the notifier ---- */

static bool is_here(str host)
{
    return str_eq(host, STR("localhost")) || str_eq(host, STR("127.0.0.1")) || str_eq(host, STR("[::1]"));
}

bool proxies_is_signer(const struct jwtproxy *config, str url)
{
    str rest = url, place;
    if (!config || !config->signer.at.enabled || !str_starts(url, STR("http://")))
        return false;
    rest = str_skip(rest, 7);
    place = str_cut(&rest, '/');
    str listen = config->signer.at.listen_addr;
    ptrdiff_t a = str_rfind(place, ':'), b = str_rfind(listen, ':');
    if (a < 0 || b < 0 || !str_eq(str_skip(place, (size_t)a), str_skip(listen, (size_t)b)))
        return false;
    str host = str_head(place, (size_t)a);
    return is_here(host) || str_eq(host, str_head(listen, (size_t)b));
}

int proxies_sign(void *ctx, const char *url, struct buf *out, struct err *e)
{
    struct proxies *p = ctx;
    CLEANUP(buf_done) struct buf audience = { 0 };
    signer_audience(str_from(url), &audience);
    buf_str(out, STR("Authorization: Bearer "));
    if (audience.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (signer_token(&p->rules, p->keys, buf_view(&audience), out, e) < 0)
        return err_wrap(e, "jwtproxy: unable to sign request");
    buf_char(out, '\0');
    return out->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}
