#include "image/registry.h"
#include "base/cleanup.h"
#include "base/strmap.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "image/registry_internal.h"
#include "net/download.h"
#include "net/http_pools.h"

#define POOLS_MAX 16
#define RATE_MIN  1024 /* bytes a second over a minute, as of posted layers */

static const char accept_manifests[] =
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

struct registry {
    struct image_remote remote; /* the first member */
    struct arena *arena;
    struct reference name;
    struct registry_endpoint endpoints[2];
    size_t count, current;   /* the current one answered for the name */
    struct http_pool *pool;  /* of `files` */
    str top, top_digest;     /* the manifest, or index, that was asked for */
    struct strmap manifests; /* digests that an index named: blobs are asked for elsewhere */

    pthread_mutex_t
        settling;            /* an endpoint that was never asked learns from one thread how it is spoken to */
    struct http_pools pools; /* of transfers */
};

/* ---- manifests ---- */

static int keep_digests(struct registry *r, struct json *j, struct err *e)
{
    enum json_type type;
    str text, key;
    int more, inner = 0;
    if (json_enter(j, JSON_ARRAY, e) < 0)
        return -1;
    while ((more = json_element(j, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT) {
            if (json_skip_rest(j, type, e) < 0)
                return -1;
            continue;
        }
        while ((inner = json_key(j, &key, e)) > 0) {
            bool digest = str_eq(key, STR("digest"));
            if ((digest ? json_string(j, &text, e) : json_skip(j, e)) < 0)
                return -1;
            void **place = digest ? strmap_at(&r->manifests, arena_dup(r->arena, text)) : NULL;
            if (digest && (!place || arena_failed(r->arena)))
                return err_set(e, ERR_OOM, "manifest");
            if (place)
                *place = r;
        }
        if (inner < 0)
            return -1;
    }
    return more;
}

static int check_schema(struct json *j, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type == JSON_NUMBER && str_eq(text, STR("1")))
        return err_set(
            e, ERR_UNSUPPORTED,
            "a manifest of schema 1, as before Docker 1.10: push the image again with a newer one");
    return json_skip_rest(j, type, e);
}

/* What this file must know of a manifest; all else is manifest.c's, which tells what is wrong with its form, too. */
static int look_at(struct registry *r, str content, struct err *e)
{
    struct err form = { 0 };
    str key;
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(content, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    if (!j)
        return -1;
    if (json_enter(j, JSON_OBJECT, &form) < 0)
        return 0;
    while ((more = json_key(j, &key, &form)) > 0)
        if ((str_eq(key, STR("manifests"))       ? keep_digests(r, j, &form)
             : str_eq(key, STR("schemaVersion")) ? check_schema(j, &form)
                                                 : json_skip(j, &form)) < 0)
            break;
    if (form.kind != ERR_UNSUPPORTED && form.kind != ERR_OOM)
        return 0;
    *e = form;
    return -1;
}

static int digest_of(struct registry *r, str content, str *ret, struct err *e)
{
    uint8_t raw[32];
    char hex[65];
    if (sha256_of(content.ptr, content.len, raw, e) < 0)
        return -1;
    hex_encode(raw, sizeof raw, hex);
    *ret = arena_printf(r->arena, "sha256:%s", hex);
    return ret->len ? 0 : err_set(e, ERR_OOM, "manifest");
}

static int check_digest(const char *host, const char *who, str want, str is, struct err *e)
{
    if (!want.len || str_eq(want, is))
        return 0;
    return err_set(e, ERR_DIGEST, "%s: the manifest is " STR_FMT ", but %s says " STR_FMT, host, STR_ARG(is),
                   who, STR_ARG(want));
}

/* One endpoint: the content lives in `arena`. */
static int ask(struct registry_endpoint *p, struct registry *r, const char *what, const char *accept,
               struct arena *arena, str *ret, char told[72], struct err *e)
{
    CLEANUP(answer_done) struct registry_answer a = { 0 };
    if (endpoint_ask(p, r->pool, "GET", what, accept, &a, e) < 0)
        return -1;
    if (a.status != 200)
        return endpoint_refusal(p, &a, what, e);
    if (str_contains(str_from(a.type), STR("manifest.v1+")) && !str_contains(str_from(a.type), STR(".oci.")))
        return err_set(
            e, ERR_UNSUPPORTED,
            "%s: a manifest of schema 1, as before Docker 1.10: push the image again with a newer one",
            p->host);
    *ret = arena_dup(arena, buf_view(&a.body));
    memcpy(told, a.digest, sizeof a.digest);
    return arena_failed(arena) ? err_set(e, ERR_OOM, "manifest") : 0;
}

/* The current endpoint, then those behind it; what the last says counts. */
static int ask_all(struct registry *r, const char *what, const char *accept, struct arena *arena, str *ret,
                   struct registry_endpoint **who, char told[72], struct err *e)
{
    struct err why = { 0 };
    for (size_t i = r->current; i < r->count; i++) {
        why = (struct err){ 0 };
        *who = &r->endpoints[i];
        if (ask(*who, r, what, accept, arena, ret, told, &why) == 0) {
            r->current = i;
            return 0;
        }
    }
    *e = why;
    return -1;
}

static int read_top(struct registry *r, struct err *e)
{
    char what[REFERENCE_NAME_MAX], told[72];
    struct registry_endpoint *who;
    str wanted = r->name.digest.len ? r->name.digest : r->name.tag;
    snprintf(what, sizeof what, "manifests/" STR_FMT, STR_ARG(wanted));
    if (ask_all(r, what, accept_manifests, r->arena, &r->top, &who, told, e) < 0 ||
        digest_of(r, r->top, &r->top_digest, e) < 0)
        return -1;
    if (check_digest(who->host, "the name", r->name.digest, r->top_digest, e) < 0 ||
        check_digest(who->host, "the registry", str_from(told), r->top_digest, e) < 0)
        return -1;
    return look_at(r, r->top, e) < 0 ? err_wrap(e, "%s", who->host) : 0;
}

/* ---- files ---- */

static int read_index(struct registry *r, struct arena *arena, str *ret, struct err *e)
{
    *ret =
        arena_printf(arena, "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" STR_FMT "\",\"size\":%zu}]}",
                     STR_ARG(r->top_digest), r->top.len);
    return ret->len ? 1 : err_set(e, ERR_OOM, "manifest");
}

/* "blobs/sha256/HEX" as digest, or empty. */
static str digest_at(str path, struct arena *arena)
{
    if (!str_starts(path, STR("blobs/sha256/")))
        return STR("");
    str digest = arena_printf(arena, "sha256:" STR_FMT, STR_ARG(str_skip(path, STR("blobs/sha256/").len)));
    return digest_valid(digest) ? digest : STR("");
}

static int read_file(struct image_files *f, str path, struct arena *arena, str *ret, struct err *e)
{
    struct registry *r = (struct registry *)f;
    struct registry_endpoint *who;
    char what[REFERENCE_NAME_MAX], told[72];
    if (str_eq(path, STR("index.json")))
        return read_index(r, arena, ret, e);
    str digest = digest_at(path, arena);
    if (!digest.len)
        return arena_failed(arena) ? err_set(e, ERR_OOM, "manifest") : 0;
    if (str_eq(digest, r->top_digest)) {
        *ret = r->top;
        return 1;
    }
    bool manifest = strmap_get(&r->manifests, digest);
    snprintf(what, sizeof what, "%s/" STR_FMT, manifest ? "manifests" : "blobs", STR_ARG(digest));
    if (ask_all(r, what, manifest ? accept_manifests : "Accept: */*", arena, ret, &who, told, e) < 0)
        return -1;
    if (manifest && look_at(r, *ret, e) < 0)
        return err_wrap(e, "%s", who->host);
    return 1;
}

/* Only asked of layers that may not be distributed. */
static bool has_file(struct image_files *f, str path)
{
    struct registry *r = (struct registry *)f;
    struct registry_endpoint *p = &r->endpoints[r->current];
    char what[REFERENCE_NAME_MAX];
    struct err ignored = { 0 };
    CLEANUP(answer_done) struct registry_answer a = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    str digest = arena ? digest_at(path, arena) : STR("");
    snprintf(what, sizeof what, "blobs/" STR_FMT, STR_ARG(digest));
    return digest.len && endpoint_ask(p, r->pool, "HEAD", what, "Accept: */*", &a, &ignored) == 0 &&
           a.status == 200;
}

/* ---- layers ---- */

struct transfer {
    struct registry *registry;
    struct registry_endpoint *endpoint;
    struct http_pool *pool;
    struct download *download;
    struct http_head refused;
    char *url, *line;
    const char *headers[2];
    unsigned version;
    uint64_t size, given;
    char digest[72];
    struct err login; /* what became of logging in again */
};

static const char *const *renew(void *ctx)
{
    struct transfer *t = ctx;
    if (auth_renew(t->endpoint, NULL, t->version, t->pool, &t->login) <= 0)
        return NULL;
    free(t->line);
    t->line = NULL;
    if (auth_line(t->endpoint, &t->line, &t->version, &t->login) < 0)
        return NULL;
    t->headers[0] = t->line;
    return t->headers;
}

/* What a download says of a status is for everybody; we know more. */
static int explain(struct transfer *t, struct err *e)
{
    char what[REFERENCE_NAME_MAX];
    const struct registry_answer a = { .status = t->refused.status,
                                       .retry_after_s = t->refused.retry_after_s };
    snprintf(what, sizeof what, "blobs/%s", t->digest);
    if (t->login.kind)
        *e = t->login;
    else if (a.status && e->kind != ERR_BUSY)
        endpoint_refusal(t->endpoint, &a, what, e);
    else
        endpoint_hint(e);
    return -1;
}

static void transfer_close(void *transfer)
{
    struct transfer *t = transfer;
    if (!t)
        return;
    download_freep(&t->download);
    http_pools_give(&t->registry->pools, t->pool);
    free(t->url);
    free(t->line);
    free(t);
}

static void transfer_freep(struct transfer **t)
{
    transfer_close(*t);
    *t = NULL;
}

static struct transfer *open_at(struct registry *r, struct registry_endpoint *p, const struct image_layer *l,
                                struct err *e)
{
    char what[REFERENCE_NAME_MAX];
    CLEANUP(transfer_freep) struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    t->registry = r, t->endpoint = p, t->size = l->size;
    snprintf(t->digest, sizeof t->digest, STR_FMT, STR_ARG(l->digest));
    snprintf(what, sizeof what, "blobs/%s", t->digest);
    t->url = endpoint_url(p, what);
    if (!t->url)
        err_set(e, ERR_OOM, "out of memory");
    if (!t->url || !(t->pool = http_pools_take(&r->pools, e)) || auth_line(p, &t->line, &t->version, e) < 0)
        return NULL;
    t->headers[0] = t->line;
    struct http_options o = endpoint_http(p);
    o.min_rate = RATE_MIN;
    o.stop = r->remote.stop;
    const struct download_options how = {
        .http = o, .immutable = true, .pool = t->pool, .renew = renew, .ctx = t, .refused = &t->refused
    };
    t->download = download_open(t->url, t->headers, &how, e);
    if (!t->download && endpoint_widen(p, &o, e)) {
        *e = (struct err){ 0 };
        return open_at(r, p, l, e);
    }
    if (!t->download) {
        explain(t, e);
        return NULL;
    }
    struct transfer *ret = t;
    t = NULL;
    return ret;
}

/* Only the endpoint that answered for the name knows its scheme, and whether it wants a login. */
static int settle(struct registry *r, struct registry_endpoint *p, const struct image_layer *l, struct err *e)
{
    char what[REFERENCE_NAME_MAX];
    CLEANUP(answer_done) struct registry_answer a = { 0 };
    struct http_pool *pool = http_pools_take(&r->pools, e);
    if (!pool)
        return -1;
    snprintf(what, sizeof what, "blobs/" STR_FMT, STR_ARG(l->digest));
    pthread_mutex_lock(&r->settling);
    int result = p->settled ? 0 : endpoint_ask(p, pool, "HEAD", what, "Accept: */*", &a, e);
    pthread_mutex_unlock(&r->settling);
    http_pools_give(&r->pools, pool);
    return result;
}

static void *transfer_open(struct image_remote *remote, const struct image_layer *l, struct err *e)
{
    struct registry *r = (struct registry *)remote;
    struct err why = { 0 };
    for (size_t i = r->current; i < r->count; i++) {
        why = (struct err){ 0 };
        struct registry_endpoint *p = &r->endpoints[i];
        struct transfer *t = i > r->current && settle(r, p, l, &why) < 0 ? NULL : open_at(r, p, l, &why);
        if (t)
            return t;
    }
    *e = why;
    return NULL;
}

static int transfer_read(void *transfer, str *ret, struct err *e)
{
    struct transfer *t = transfer;
    int more = download_read(t->download, ret, e);
    if (more < 0)
        return explain(t, e);
    t->given += more ? ret->len : 0;
    if (t->size && more && t->given > t->size)
        return err_set(e, ERR_DIGEST, "%s: gives more of %s than the %llu bytes that the image says it has",
                       t->endpoint->host, t->digest, (unsigned long long)t->size);
    return more;
}

/* ---- opening ---- */

static void registry_free(struct image_remote *remote)
{
    struct registry *r = (struct registry *)remote;
    if (!r)
        return;
    http_pools_done(&r->pools);
    http_pool_freep(&r->pool);
    for (size_t i = 0; i < r->count; i++)
        endpoint_done(&r->endpoints[i]);
    strmap_done(&r->manifests);
    pthread_mutex_destroy(&r->settling);
    arena_freep(&r->arena);
    free(r);
}

static void registry_freep(struct registry **r)
{
    if (*r)
        registry_free(&(*r)->remote);
    *r = NULL;
}

/* "[HOST=]URL": a URL has no "=" before its "://". NULL: none for this host. */
static const char *mirror_of(const struct reference *name, const char *mirror)
{
    str rest = str_from(mirror);
    if (!mirror)
        return NULL;
    ptrdiff_t equals = str_find(rest, '='), scheme = str_find(rest, '/');
    bool told = equals >= 0 && (scheme < 0 || equals < scheme);
    str host = told ? str_head(rest, (size_t)equals) : STR("docker.io");
    return str_eq(host, name->host) ? mirror + (told ? equals + 1 : 0) : NULL;
}

static int add_endpoint(struct registry *r, const char *mirror_url, const struct registry_options *o,
                        struct err *e)
{
    return endpoint_init(&r->endpoints[r->count++], &r->name, mirror_url, o, e);
}

static int set_up(struct registry *r, str name, const struct registry_options *o, struct err *e)
{
    r->arena = arena_new(64 << 20);
    if (!r->arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (!(r->pool = http_pool_new(e)) || reference_parse(name, r->arena, &r->name, e) < 0)
        return -1;
    const char *mirror = mirror_of(&r->name, o->mirror);
    if ((mirror && add_endpoint(r, mirror, o, e) < 0) || add_endpoint(r, NULL, o, e) < 0)
        return -1;
    return read_top(r, e);
}

struct image_remote *registry_open(str name, const struct registry_options *o, struct err *e)
{
    CLEANUP(registry_freep) struct registry *r = calloc(1, sizeof *r);
    if (!r) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&r->settling, NULL);
    http_pools_init(&r->pools);
    r->remote = (struct image_remote){
        .files = { .read = read_file, .has = has_file, .dear = true },
        .open = transfer_open,
        .read = transfer_read,
        .close = transfer_close,
        .free = registry_free,
    };
    if (set_up(r, name, o, e) < 0)
        return NULL;
    struct registry *ret = r;
    r = NULL;
    return &ret->remote;
}
