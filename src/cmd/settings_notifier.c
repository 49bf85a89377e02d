#include "cmd/settings_notifier.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "jwt/key.h"
#include "net/http.h"

#include <strings.h>

#define KEY_MAX      (64u << 10)
#define DELAY_MAX_MS 10000

static const char *text_or_null(struct arena *a, str s) { return s.len ? arena_cstr(a, s) : NULL; }

static const char *const *list_of(struct arena *a, const str *items, size_t n)
{
    const char **list = arena_array(a, const char *, n + 1);
    for (size_t i = 0; list && i < n; i++)
        list[i] = arena_cstr(a, items[i]);
    return list;
}

static int check_file(const char *key, const char *what, const char *path, struct err *e)
{
    return path && access(path, R_OK) < 0 ? err_errno(e, "notifier.%s%s: %s", key, what, path) : 0;
}

struct files {
    const char *key, *ca_name, *cert_name, *key_name;
    str ca, cert, private_key;
};

static int find_tls(const struct files *f, struct arena *a, struct notify_tls *ret, struct err *e)
{
    ret->ca = text_or_null(a, f->ca);
    ret->cert = text_or_null(a, f->cert);
    ret->key = text_or_null(a, f->private_key);
    return check_file(f->key, f->ca_name, ret->ca, e) < 0 ||
                   check_file(f->key, f->cert_name, ret->cert, e) < 0
               ? -1
               : check_file(f->key, f->key_name, ret->key, e);
}

static bool is_http(str url)
{
    char place[HTTP_PLACE], copy[2048];
    if (url.len >= sizeof copy || (strncasecmp(url.ptr, "http://", 7) && strncasecmp(url.ptr, "https://", 8)))
        return false;
    snprintf(copy, sizeof copy, STR_FMT, STR_ARG(url));
    http_place(copy, place);
    return strcmp(place, "bad URL") != 0;
}

static int read_key(str path, struct arena *a, str *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf bytes = { .max = KEY_MAX };
    const char *name = text_or_null(a, path);
    if (!name)
        return 0;
    if (buf_read_file(&bytes, name, e) < 0)
        return err_wrap(e, "notifier.http.jwt.keyfile");
    *ret = arena_dup(a, buf_view(&bytes));
    CLEANUP(jwt_key_freep) struct jwt_key *key = jwt_key_read_private(*ret, STR(""), e);
    return key ? 0 : err_wrap(e, "notifier.http.jwt.keyfile: %s", name);
}

static int find_webhook(const struct config_webhook *c, const struct settings_notifier *n, struct arena *a,
                        struct notify_webhook *ret, struct err *e)
{
    const struct files files = {
        "http.", "cafile", "certfile", "keyfile", c->cafile, c->certfile, c->keyfile
    };
    bool good = c->endpoint.len && is_http(c->endpoint);
    if (c->endpoint.len && !good)
        *n->note = STR("notifier.http.endpoint: no URL of http or https: no webhook is told");
    ret->endpoint = good ? arena_cstr(a, c->endpoint) : NULL;
    ret->servername = text_or_null(a, c->servername);
    ret->proxy = text_or_null(a, c->proxy);
    ret->hmac = n->hmac;
    ret->jwt_secret = n->jwt_secret;
    ret->jwt_issuer = text_or_null(a, c->jwt_issuer);
    ret->jwt_key_id = text_or_null(a, c->jwt_keyid);
    return find_tls(&files, a, &ret->tls, e) < 0 ? -1 : read_key(c->jwt_keyfile, a, &ret->jwt_key, e);
}

static int find_amqp(const struct config_amqp *c, struct arena *a, struct notify_amqp *ret, struct err *e)
{
    const struct files files = { "amqp.tls.", "root_ca", "cert", "key", c->cafile, c->certfile, c->keyfile };
    for (size_t i = 0; i < c->uri_count; i++)
        if (!str_starts(c->uris[i], STR("amqp://")) && !str_starts(c->uris[i], STR("amqps://")))
            return err_set(e, ERR_USAGE, "notifier.amqp.uris: amqp:// or amqps:// is wanted");
    ret->uris = list_of(a, c->uris, c->uri_count);
    ret->uri_count = c->uri_count;
    ret->exchange = text_or_null(a, c->exchange);
    ret->type = text_or_null(a, c->type);
    ret->durable = c->durable;
    ret->auto_delete = c->auto_delete;
    ret->routing_key = text_or_null(a, c->routing_key);
    return find_tls(&files, a, &ret->tls, e);
}

static int find_stomp(const struct config_stomp *c, struct arena *a, struct notify_stomp *ret, struct err *e)
{
    const struct files files = {
        "stomp.", "cafile", "certfile", "keyfile", c->cafile, c->certfile, c->keyfile
    };
    bool brokers = !c->uri_count;
    ret->broker_count = brokers ? c->broker_count : c->uri_count;
    ret->brokers = list_of(a, brokers ? c->brokers : c->uris, ret->broker_count);
    ret->destination = text_or_null(a, c->destination);
    ret->login = text_or_null(a, c->login);
    ret->passcode = text_or_null(a, c->passcode);
    ret->delay_ms = (unsigned)(c->delay_ms < DELAY_MAX_MS ? c->delay_ms : DELAY_MAX_MS);
    ret->tls.on = brokers || c->cafile.len || c->certfile.len;
    return find_tls(&files, a, &ret->tls, e);
}

int settings_notifier(const struct config *c, const struct settings_notifier *n, struct arena *arena,
                      struct notify_options *ret, struct err *e)
{
    ret->attempts = (unsigned)c->notifier_attempts;
    ret->again_s = c->notifier_again_s;
    return find_webhook(&c->webhook, n, arena, &ret->webhook, e) < 0 ||
                   find_amqp(&c->amqp, arena, &ret->amqp, e) < 0
               ? -1
               : find_stomp(&c->stomp, arena, &ret->stomp, e);
}
