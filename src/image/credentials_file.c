/* credentials_file.c - config.json of Docker, auth.json of Podman: one form. */
#include "base/cleanup.h"
#include "codec/json.h"
#include "image/credentials.h"

#include <gnutls/gnutls.h>

struct reading {
    str host, path;
    struct arena *arena;
    struct credentials_entry *ret;
    size_t helper_length;
};

static bool is_hub(str host)
{
    return str_eq(host, STR("docker.io")) || str_eq(host, STR("index.docker.io")) ||
           str_eq(host, STR("registry-1.docker.io"));
}

/* 0: the key is for others; else the length of the path that it names, + 1. */
static size_t fit(const struct reading *r, str key)
{
    bool schemed = true;
    if (str_starts(key, STR("https://")))
        key = str_skip(key, STR("https://").len);
    else if (str_starts(key, STR("http://")))
        key = str_skip(key, STR("http://").len);
    else
        schemed = false;
    str host = str_cut(&key, '/'); /* the path stays */
    if (!str_eq(host, r->host) && !(is_hub(host) && is_hub(r->host)))
        return 0;
    while (str_ends(key, STR("/")))
        key.len--;
    if (schemed || str_eq(key, STR("v1")) || str_eq(key, STR("v2")))
        key.len = 0;
    if (!key.len)
        return 1;
    bool below = str_starts(r->path, key) && (r->path.len == key.len || r->path.ptr[key.len] == '/');
    return below ? key.len + 1 : 0;
}

/* base64 of "user:password"; Docker pads old passwords with NUL. */
static int read_pair(struct reading *r, str text, struct credentials *c, struct err *e)
{
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len }, out = { 0 };
    if (!text.len)
        return 0;
    if (text.len > (1u << 20) || gnutls_base64_decode2(&in, &out) < 0)
        return err_set(e, ERR_FORMAT, "auth: not base64");
    str pair = arena_dup(r->arena, str_of(out.data, out.size)), user;
    gnutls_memset(out.data, 0, out.size);
    gnutls_free(out.data);
    if (str_find(pair, ':') < 0)
        return arena_failed(r->arena) ? err_set(e, ERR_OOM, "credentials")
                                      : err_set(e, ERR_FORMAT, "auth: not USER:PASSWORD in base64");
    user = str_cut(&pair, ':');
    while (pair.len && !pair.ptr[pair.len - 1])
        pair.len--;
    c->user = user, c->password = pair;
    return 0;
}

static int keep(struct reading *r, struct json *j, str *ret, struct err *e)
{
    str s;
    if (json_string(j, &s, e) < 0)
        return -1;
    *ret = arena_dup(r->arena, s);
    return arena_failed(r->arena) ? err_set(e, ERR_OOM, "credentials") : 0;
}

static int auth_members(struct reading *r, struct json *j, struct credentials *c, struct err *e)
{
    str key, pair = { 0 };
    int more;
    if ((more = json_enter_or_null(j, JSON_OBJECT, e)) <= 0)
        return more;
    while ((more = json_key(j, &key, e)) > 0) {
        int result = str_eq(key, STR("auth"))            ? keep(r, j, &pair, e)
                     : str_eq(key, STR("username"))      ? keep(r, j, &c->user, e)
                     : str_eq(key, STR("password"))      ? keep(r, j, &c->password, e)
                     : str_eq(key, STR("identitytoken")) ? keep(r, j, &c->identity_token, e)
                     : str_eq(key, STR("registrytoken")) ? keep(r, j, &c->registry_token, e)
                                                         : json_skip(j, e);
        if (result < 0)
            return -1;
    }
    return more < 0 ? -1 : read_pair(r, pair, c, e);
}

/* An empty entry only says that a helper has it. */
static bool says_something(const struct credentials *c)
{
    return c->user.len || c->identity_token.len || c->registry_token.len;
}

static int read_auths(struct reading *r, struct json *j, struct err *e)
{
    str key;
    int more;
    if ((more = json_enter_or_null(j, JSON_OBJECT, e)) <= 0)
        return more;
    while ((more = json_key(j, &key, e)) > 0) {
        struct credentials c = { 0 };
        size_t length = fit(r, key);
        str name = arena_dup(r->arena, key);
        if (length <= r->ret->length) {
            if (json_skip(j, e) < 0)
                return -1;
            continue;
        }
        if (auth_members(r, j, &c, e) < 0)
            return err_wrap(e, "auths." STR_FMT, STR_ARG(name));
        if (!says_something(&c))
            continue;
        r->ret->given = c;
        r->ret->has = true;
        r->ret->length = length;
    }
    return more;
}

static int read_helpers(struct reading *r, struct json *j, struct err *e)
{
    str key;
    int more;
    if ((more = json_enter_or_null(j, JSON_OBJECT, e)) <= 0)
        return more;
    while ((more = json_key(j, &key, e)) > 0) {
        size_t length = fit(r, key);
        str name = arena_dup(r->arena, key);
        if ((length > r->helper_length ? keep(r, j, &r->ret->helper, e) : json_skip(j, e)) < 0)
            return err_wrap(e, "credHelpers." STR_FMT, STR_ARG(name));
        if (length <= r->helper_length)
            continue;
        r->helper_length = length;
        r->ret->helper_key = name;
    }
    return more;
}

static int read_members(struct reading *r, struct json *j, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        int result = str_eq(key, STR("auths"))         ? read_auths(r, j, e)
                     : str_eq(key, STR("credHelpers")) ? read_helpers(r, j, e)
                     : str_eq(key, STR("credsStore"))  ? keep(r, j, &r->ret->store, e)
                                                       : json_skip(j, e);
        if (result < 0)
            return -1;
    }
    return more < 0 ? -1 : json_finish(j, e);
}

int credentials_read(str content, str host, str path, struct arena *arena, struct credentials_entry *ret,
                     struct err *e)
{
    *ret = (struct credentials_entry){ 0 };
    struct reading r = { .host = host, .path = path, .arena = arena, .ret = ret };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(content, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    return j ? read_members(&r, j, e) : -1;
}
