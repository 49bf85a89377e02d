#include "image/daemon.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "net/http.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define DEFAULT_HOST "unix:///var/run/docker.sock"
#define ANSWER_MAX   ((size_t)64 << 10) /* of /version and of error texts */
#define INSPECT_MAX  ((size_t)4 << 20)
#define LIST_MAX     1024
#define SAVE_MS      (30u * 60 * 1000) /* a daemon may gather the whole image before its first byte */

struct daemon {
    struct arena *arena;
    struct http_pool *pool;
    struct http_options options;
    const char *engine; /* "Docker" */
    const char *host;   /* as given */
    bool ping;          /* it was not asked yet whether it is there */
    unsigned idle_ms;   /* 0: what is usual */
    const char *base;   /* "http://host:port" */
    const char *api_version;
};

static bool is_set(const char *text) { return text && *text; }

struct daemon_options daemon_options_from_environment(void)
{
    struct daemon_options o = {
        .host = getenv("DOCKER_HOST"),
        .certificates = getenv("DOCKER_CERT_PATH"),
        .verify = is_set(getenv("DOCKER_TLS_VERIFY")),
        .api_version = getenv("DOCKER_API_VERSION"),
    };
    return o;
}

/* ---- where it is ---- */

static const char *joined(struct daemon *d, const char *a, const char *b)
{
    return arena_printf(d->arena, "%s%s", a, b).ptr;
}

static void use_certificates(struct daemon *d, const struct daemon_options *o)
{
    d->options.cert = joined(d, o->certificates, "/cert.pem");
    d->options.key = joined(d, o->certificates, "/key.pem");
    d->options.insecure = !o->verify;
    if (o->verify)
        d->options.ca = joined(d, o->certificates, "/ca.pem");
}

static int find_place(struct daemon *d, const struct daemon_options *o, struct err *e)
{
    str rest = str_from(d->host);
    const char *address = strstr(d->host, "://");
    if (!address)
        return err_set(e, ERR_USAGE, "unable to parse docker host `%s`", d->host);
    str scheme = str_head(rest, (size_t)(address - d->host));
    address += 3;
    bool tls = is_set(o->certificates);
    if (str_eq(scheme, STR("unix"))) {
        d->options.unix_socket = address;
        d->base = "http://docker";
        return 0;
    }
    if (!str_eq(scheme, STR("tcp")) && !str_eq(scheme, STR("http")) && !str_eq(scheme, STR("https")))
        return err_set(e, ERR_UNSUPPORTED, "protocol not available in docker host `%s`", d->host);
    if (tls)
        use_certificates(d, o);
    d->base = joined(d, tls || str_eq(scheme, STR("https")) ? "https://" : "http://", address);
    return 0;
}

static bool is_version(str s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.len; i++) {
        bool digit = s.ptr[i] >= '0' && s.ptr[i] <= '9';
        digits += digit;
        if (!digit && s.ptr[i] != '.')
            return false;
    }
    return digits && s.len <= 16;
}

struct daemon *daemon_new(const struct daemon_options *o, struct err *e)
{
    CLEANUP(daemon_freep) struct daemon *d = calloc(1, sizeof *d);
    if (!d || !(d->arena = arena_new(0))) {
        err_set(e, ERR_OOM, "docker client");
        return NULL;
    }
    d->engine = o->engine ? o->engine : "Docker";
    d->idle_ms = o->idle_ms;
    d->ping = o->ping;
    d->host = is_set(o->host) ? arena_cstr(d->arena, str_from(o->host)) : DEFAULT_HOST;
    if (!d->host) {
        err_set(e, ERR_OOM, "docker client");
        return NULL;
    }
    d->api_version = is_set(o->api_version) ? arena_cstr(d->arena, str_from(o->api_version)) : NULL;
    d->pool = http_pool_new(e);
    if (!d->pool || find_place(d, o, e) < 0)
        return NULL;
    if (d->api_version && !is_version(str_from(d->api_version))) {
        err_set(e, ERR_USAGE, "DOCKER_API_VERSION: '%s' is no version", d->api_version);
        return NULL;
    }
    if (arena_failed(d->arena)) {
        err_set(e, ERR_OOM, "docker client");
        return NULL;
    }
    struct daemon *ret = d;
    d = NULL;
    return ret;
}

void daemon_freep(struct daemon **d)
{
    if (!*d)
        return;
    http_pool_freep(&(*d)->pool);
    arena_freep(&(*d)->arena);
    free(*d);
    *d = NULL;
}

/* ---- requests ---- */

/* No answer at all: in the words of Docker's client, with the reason where it is none that they tell. */
static int no_daemon(const struct daemon *d, struct err *e)
{
    struct err reason = *e;
    const char *socket = d->options.unix_socket;
    if (reason.kind != ERR_NETWORK)
        return -1;
    if (socket && access(socket, R_OK | W_OK) < 0 && errno == EACCES)
        return err_set(e, ERR_NETWORK,
                       "permission denied while trying to connect to the %s daemon socket at %s", d->engine,
                       d->host);
    if (strstr(reason.text, "no byte for"))
        return err_set(e, ERR_NETWORK, "the %s daemon at %s does not answer: %s", d->engine, d->host,
                       reason.text);
    bool tls = !strncmp(d->base, "https", 5);
    char running[16];
    snprintf(running, sizeof running, "%c%s", d->engine[0] | ' ', d->engine + 1);
    return err_set(e, ERR_NETWORK, "Cannot connect to the %s daemon at %s. Is the %s daemon running?%s%s%s",
                   d->engine, d->host, running, tls ? " (" : "", tls ? reason.text : "", tls ? ")" : "");
}

static struct http *request(struct daemon *d, const char *path, unsigned idle_ms, struct err *e)
{
    struct http_limits limits = { .idle_ms = d->idle_ms ? d->idle_ms : idle_ms };
    str url = arena_printf(d->arena, "%s%s", d->base, path);
    if (!url.ptr) {
        err_set(e, ERR_OOM, "docker client");
        return NULL;
    }
    struct http *h = http_open(d->pool, url.ptr, NULL, &d->options, &limits, e);
    if (!h)
        no_daemon(d, e);
    return h;
}

static int read_answer(struct http *h, size_t max, struct buf *ret, struct err *e)
{
    str chunk;
    int more;
    while ((more = http_read(h, &chunk, e)) > 0 && ret->len < max)
        buf_str(ret, str_head(chunk, max - ret->len));
    return more < 0 ? -1 : ret->failed ? err_set(e, ERR_OOM, "docker client") : 0;
}

/* The string member of that name of a JSON object, at its top; empty if there is none or it is no JSON. */
static str member(struct daemon *d, str json, const char *name)
{
    struct err ignored = { 0 };
    str key, value = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(json, &ignored);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, &ignored) : NULL;
    if (!j || json_enter(j, JSON_OBJECT, &ignored) < 0)
        return value;
    while (json_key(j, &key, &ignored) > 0) {
        if (str_eq(key, str_from(name)))
            return json_string(j, &value, &ignored) < 0 ? (str){ 0 } : arena_dup(d->arena, value);
        if (json_skip(j, &ignored) < 0)
            break;
    }
    return value;
}

static int ping(struct daemon *d, struct err *e)
{
    CLEANUP(http_freep) struct http *h = request(d, "/_ping", DAEMON_ANSWER_MS, e);
    if (!h)
        return -1;
    d->ping = false;
    return http_head(h)->status == 200
               ? 0
               : err_set(e, ERR_NETWORK, "%s is no %s daemon: it answers a ping with status %u", d->host,
                         d->engine, http_head(h)->status);
}

int daemon_greet(struct daemon *d, struct err *e)
{
    if (d->api_version)
        return d->ping ? ping(d, e) : 0;
    CLEANUP(http_freep) struct http *h = request(d, "/version", DAEMON_ANSWER_MS, e);
    CLEANUP(buf_done) struct buf answer = { 0 };
    if (!h || read_answer(h, ANSWER_MAX, &answer, e) < 0)
        return -1;
    str version = http_head(h)->status == 200 ? member(d, buf_view(&answer), "ApiVersion") : (str){ 0 };
    if (!is_version(version))
        return err_set(e, ERR_NETWORK, "%s is no %s daemon: its /version (status %u) names no ApiVersion",
                       d->host, d->engine, http_head(h)->status);
    d->api_version = arena_cstr(d->arena, version);
    return d->api_version ? 0 : err_set(e, ERR_OOM, "docker client");
}

/* Some say so with another status than 404. */
static bool says_no_image(str message)
{
    return str_contains(message, STR("o such image")) || str_contains(message, STR("image not known"));
}

static int refused(struct daemon *d, struct http *h, struct err *e)
{
    CLEANUP(buf_done) struct buf answer = { 0 };
    if (read_answer(h, ANSWER_MAX, &answer, e) < 0)
        return -1;
    str message = member(d, buf_view(&answer), "message");
    enum err_kind kind = http_head(h)->status == 404 || says_no_image(message) ? ERR_NOT_FOUND : ERR_NETWORK;
    if (!message.len)
        message = str_trim(buf_view(&answer));
    if (!message.len)
        return err_set(e, kind, "Error response from daemon: status %u", http_head(h)->status);
    return err_set(e, kind, "Error response from daemon: " STR_FMT, STR_ARG(message));
}

static int write_all(int fd, str bytes, struct err *e)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "write the temporary file");
        bytes = str_skip(bytes, (size_t)n);
    }
    return 0;
}

/* As Go's url.QueryEscape, which the daemons were written for. */
static void put_escaped(struct buf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.~", c);
        if (plain)
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

/* A name of an image is part of a path there: its slashes stand. */
static void put_name(struct buf *path, const char *image)
{
    for (; *image; image++) {
        char c[] = { *image, 0 };
        if (*image == '/' || *image == ':' || *image == '@')
            buf_char(path, *image);
        else
            put_escaped(path, c);
    }
}

/* ---- the archive ---- */

static bool speaks(const struct daemon *d, uint64_t minor)
{
    str rest = str_from(d->api_version), text = str_cut(&rest, '.');
    uint64_t a = 0, b = 0;
    return str_to_u64(text, &a) && str_to_u64(rest, &b) && (a > 1 || (a == 1 && b >= minor));
}

bool daemon_saves_platform(const struct daemon *d) { return speaks(d, 48); }

/* As OCI's platform in JSON. */
static void put_platform(struct buf *path, char before, const struct image_platform *p)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    struct json_writer w = { .out = &text };
    json_w_object(&w);
    json_w_text(&w, "os", p->os);
    json_w_text(&w, "architecture", p->architecture);
    if (p->variant.len)
        json_w_text(&w, "variant", p->variant);
    json_w_object_end(&w);
    buf_char(&text, '\0');
    buf_printf(path, "%cplatform=", before);
    if (text.failed)
        path->failed = true;
    else
        put_escaped(path, text.ptr);
}

struct daemon_transfer {
    struct daemon *daemon;
    struct http *http;
    uint64_t had;
};

struct daemon_transfer *daemon_save_open(struct daemon *d, const char *image,
                                         const struct image_platform *platform, struct err *e)
{
    CLEANUP(daemon_save_close) struct daemon_transfer *t = calloc(1, sizeof *t);
    CLEANUP(buf_done) struct buf path = { 0 };
    if (daemon_greet(d, e) < 0)
        return NULL;
    buf_printf(&path, "/v%s/images/get?names=", d->api_version);
    put_escaped(&path, image);
    if (platform && platform->demanded && daemon_saves_platform(d))
        put_platform(&path, '&', platform);
    buf_char(&path, '\0');
    if (path.failed || !t) {
        err_set(e, ERR_OOM, "docker client");
        return NULL;
    }
    t->daemon = d;
    t->http = request(d, path.ptr, SAVE_MS, e);
    if (!t->http)
        return NULL;
    if (http_head(t->http)->status != 200) {
        refused(d, t->http, e);
        return NULL;
    }
    struct daemon_transfer *ret = t;
    t = NULL;
    return ret;
}

int daemon_save_read(struct daemon_transfer *t, str *ret, struct err *e)
{
    int more = http_read(t->http, ret, e);
    if (more < 0)
        return err_wrap(e, "the %s daemon broke off after %llu bytes of the image", t->daemon->engine,
                        (unsigned long long)t->had);
    t->had += more ? ret->len : 0;
    return more;
}

void daemon_save_close(struct daemon_transfer **t)
{
    if (!*t)
        return;
    http_freep(&(*t)->http);
    free(*t);
    *t = NULL;
}

int daemon_save(struct daemon *d, const char *image, int fd, struct err *e)
{
    CLEANUP(daemon_save_close) struct daemon_transfer *t = daemon_save_open(d, image, NULL, e);
    str chunk;
    int more = t ? 1 : -1;
    while (more > 0 && (more = http_read(t->http, &chunk, e)) > 0)
        if (write_all(fd, chunk, e) < 0)
            return -1;
    return more;
}

/* ---- what it knows of an image ---- */

struct list {
    str *items;
    size_t count, cap;
};

static int read_list(struct json *j, struct arena *arena, struct list *ret, struct err *e)
{
    enum json_type type;
    str text;
    int more = json_enter_or_null(j, JSON_ARRAY, e);
    if (more <= 0)
        return more;
    while ((more = json_element(j, &type, &text, e)) > 0) {
        if (type != JSON_STRING || ret->count >= LIST_MAX)
            return err_set(e, ERR_FORMAT, "byte %llu: no string, or one too many",
                           (unsigned long long)json_offset(j));
        ret->items = arena_grow(arena, ret->items, ret->count, &ret->cap, sizeof *ret->items);
        if (!ret->items)
            return err_set(e, ERR_OOM, "docker client");
        ret->items[ret->count++] = arena_dup(arena, text);
    }
    return more;
}

static int read_rootfs(struct json *j, struct arena *arena, struct list *ret, struct err *e)
{
    str key;
    int more = json_enter_or_null(j, JSON_OBJECT, e);
    if (more <= 0)
        return more;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("Layers")) ? read_list(j, arena, ret, e) : json_skip(j, e)) < 0)
            return -1;
    return more;
}

static int read_text(struct json *j, struct arena *arena, str *ret, struct err *e)
{
    str value;
    if (json_string(j, &value, e) < 0)
        return -1;
    *ret = arena_dup(arena, str_head(value, 256));
    return 0;
}

static int read_inspected(struct json *j, struct arena *arena, struct daemon_image *ret, struct err *e)
{
    struct list layers = { 0 };
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        int r = str_eq(key, STR("Id"))             ? read_text(j, arena, &ret->id, e)
                : str_eq(key, STR("Os"))           ? read_text(j, arena, &ret->platform.os, e)
                : str_eq(key, STR("Architecture")) ? read_text(j, arena, &ret->platform.architecture, e)
                : str_eq(key, STR("Variant"))      ? read_text(j, arena, &ret->platform.variant, e)
                : str_eq(key, STR("RootFS"))       ? read_rootfs(j, arena, &layers, e)
                                                   : json_skip(j, e);
        if (r < 0)
            return -1;
    }
    ret->diff_ids = layers.items, ret->diff_id_count = layers.count;
    return more;
}

static int parse_inspected(str text, struct arena *arena, struct daemon_image *ret, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    *ret = (struct daemon_image){ 0 };
    if (!j || read_inspected(j, arena, ret, e) < 0)
        return -1;
    return arena_failed(arena) ? err_set(e, ERR_OOM, "docker client") : 0;
}

int daemon_inspect(struct daemon *d, const char *image, const struct image_platform *platform,
                   struct arena *arena, struct daemon_image *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(buf_done) struct buf answer = { 0 };
    if (daemon_greet(d, e) < 0)
        return -1;
    buf_printf(&path, "/v%s/images/", d->api_version);
    put_name(&path, image);
    buf_str(&path, STR("/json"));
    if (platform && platform->demanded && speaks(d, 49))
        put_platform(&path, '?', platform);
    buf_char(&path, '\0');
    if (path.failed)
        return err_set(e, ERR_OOM, "docker client");
    CLEANUP(http_freep) struct http *h = request(d, path.ptr, DAEMON_ANSWER_MS, e);
    if (!h)
        return -1;
    if (http_head(h)->status != 200) {
        refused(d, h, e);
        if (http_head(h)->status == 400)
            e->kind = ERR_UNSUPPORTED;
        return -1;
    }
    if (read_answer(h, INSPECT_MAX, &answer, e) < 0)
        return err_wrap(e, "the %s daemon broke off what it says of the image", d->engine);
    return parse_inspected(buf_view(&answer), arena, ret, e) < 0
               ? err_wrap(e, "what the %s daemon says of the image", d->engine)
               : 0;
}
