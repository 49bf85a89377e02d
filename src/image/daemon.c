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
#define INSPECT_MAX  ((size_t)1 << 20)
#define LIST_MAX     1024
#define ANSWER_MAX   ((size_t)64 << 10) /* of /version and of error texts */
#define IDLE_MS      (30u * 60 * 1000)  /* a daemon may gather the whole image before its first byte */

struct daemon {
    struct arena *arena;
    struct http_pool *pool;
    struct http_options options;
    const char *host; /* as given */
    const char *base; /* "http://host:port" */
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
    d->host = is_set(o->host) ? o->host : DEFAULT_HOST;
    d->api_version = is_set(o->api_version) ? o->api_version : NULL;
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
                       "permission denied while trying to connect to the Docker daemon socket at %s",
                       d->host);
    bool tls = !strncmp(d->base, "https", 5);
    return err_set(e, ERR_NETWORK,
                   "Cannot connect to the Docker daemon at %s. Is the docker daemon running?%s%s%s", d->host,
                   tls ? " (" : "", tls ? reason.text : "", tls ? ")" : "");
}

static struct http *request(struct daemon *d, const char *path, struct err *e)
{
    static const struct http_limits limits = { .idle_ms = IDLE_MS };
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

static int read_answer(struct http *h, struct buf *ret, struct err *e)
{
    str chunk;
    int more;
    while ((more = http_read(h, &chunk, e)) > 0 && ret->len < ANSWER_MAX)
        buf_str(ret, str_head(chunk, ANSWER_MAX - ret->len));
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

static int find_version(struct daemon *d, struct err *e)
{
    if (d->api_version)
        return 0;
    CLEANUP(http_freep) struct http *h = request(d, "/version", e);
    CLEANUP(buf_done) struct buf answer = { 0 };
    if (!h || read_answer(h, &answer, e) < 0)
        return -1;
    str version = http_head(h)->status == 200 ? member(d, buf_view(&answer), "ApiVersion") : (str){ 0 };
    if (!is_version(version))
        return err_set(e, ERR_NETWORK, "%s is no Docker daemon: its /version (status %u) names no ApiVersion",
                       d->host, http_head(h)->status);
    d->api_version = arena_cstr(d->arena, version);
    return d->api_version ? 0 : err_set(e, ERR_OOM, "docker client");
}

static int refused(struct daemon *d, struct http *h, struct err *e)
{
    CLEANUP(buf_done) struct buf answer = { 0 };
    if (read_answer(h, &answer, e) < 0)
        return -1;
    str message = member(d, buf_view(&answer), "message");
    if (!message.len)
        message = str_trim(buf_view(&answer));
    if (!message.len)
        return err_set(e, ERR_NETWORK, "Error response from daemon: status %u", http_head(h)->status);
    return err_set(e, ERR_NETWORK, "Error response from daemon: " STR_FMT, STR_ARG(message));
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
static void put_escaped(struct buf *b, const char *text, const char *plain_too)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-_.~", c) || strchr(plain_too, c);
        if (plain)
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

/* "/vN" `before` IMAGE `after`, and its answer when that is 200. */
static struct http *get(struct daemon *d, const char *before, const char *image, const char *after,
                        struct err *e)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    if (find_version(d, e) < 0)
        return NULL;
    buf_printf(&path, "/v%s%s", d->api_version, before);
    put_escaped(&path, image,
                *after ? "/:@" : ""); /* in a path as Docker's client, which escapes nothing there */
    buf_printf(&path, "%s", after);
    buf_char(&path, '\0');
    if (path.failed) {
        err_set(e, ERR_OOM, "docker client");
        return NULL;
    }
    CLEANUP(http_freep) struct http *h = request(d, path.ptr, e);
    if (!h || http_head(h)->status != 200) {
        if (h)
            refused(d, h, e);
        return NULL;
    }
    struct http *ret = h;
    h = NULL;
    return ret;
}

struct daemon_save {
    struct http *h;
};

struct daemon_save *daemon_save_open(struct daemon *d, const char *image, struct err *e)
{
    struct daemon_save *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_OOM, "docker client");
        return NULL;
    }
    s->h = get(d, "/images/get?names=", image, "", e);
    if (!s->h)
        daemon_save_close(&s);
    return s;
}

int daemon_save_read(struct daemon_save *s, str *ret, struct err *e) { return http_read(s->h, ret, e); }

void daemon_save_close(struct daemon_save **s)
{
    if (*s)
        http_freep(&(*s)->h);
    free(*s);
    *s = NULL;
}

int daemon_save(struct daemon *d, const char *image, int fd, struct err *e)
{
    CLEANUP(daemon_save_close) struct daemon_save *s = daemon_save_open(d, image, e);
    str chunk;
    int more = -1;
    while (s && (more = daemon_save_read(s, &chunk, e)) > 0)
        if (write_all(fd, chunk, e) < 0)
            return -1;
    return more;
}

/* ---- what it says of an image ---- */

struct list {
    str *items;
    size_t count, cap;
};

static int read_list(struct daemon *d, struct json *j, struct list *ret, struct err *e)
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
        ret->items = arena_grow(d->arena, ret->items, ret->count, &ret->cap, sizeof *ret->items);
        if (!ret->items)
            return err_set(e, ERR_OOM, "docker client");
        ret->items[ret->count++] = arena_dup(d->arena, text);
    }
    return more;
}

static int read_rootfs(struct daemon *d, struct json *j, struct list *ret, struct err *e)
{
    str key;
    int more = json_enter_or_null(j, JSON_OBJECT, e);
    if (more <= 0)
        return more;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("Layers")) ? read_list(d, j, ret, e) : json_skip(j, e)) < 0)
            return -1;
    return more;
}

static int read_image(struct daemon *d, str text, struct daemon_image *ret, struct err *e)
{
    struct list layers = { 0 }, digests = { 0 };
    str key, id = { 0 };
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    if (!j || json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool is_id = str_eq(key, STR("Id"));
        int r = is_id                             ? json_string(j, &id, e)
                : str_eq(key, STR("RootFS"))      ? read_rootfs(d, j, &layers, e)
                : str_eq(key, STR("RepoDigests")) ? read_list(d, j, &digests, e)
                                                  : json_skip(j, e);
        if (r < 0)
            return -1;
        if (is_id)
            ret->id = arena_dup(d->arena, id);
    }
    ret->diff_ids = layers.items, ret->diff_id_count = layers.count;
    ret->repo_digests = digests.items, ret->repo_digest_count = digests.count;
    return more < 0 ? -1 : arena_failed(d->arena) ? err_set(e, ERR_OOM, "docker client") : 0;
}

int daemon_inspect(struct daemon *d, const char *image, struct daemon_image *ret, struct err *e)
{
    CLEANUP(http_freep) struct http *h = get(d, "/images/", image, "/json", e);
    CLEANUP(buf_done) struct buf text = { .max = INSPECT_MAX };
    str chunk;
    int more = -1;
    *ret = (struct daemon_image){ 0 };
    while (h && (more = http_read(h, &chunk, e)) > 0)
        buf_str(&text, chunk);
    if (more < 0)
        return -1;
    if (text.failed)
        return err_set(e, ERR_LIMIT, "%s says more than %zu MiB of an image", d->host, INSPECT_MAX >> 20);
    return read_image(d, buf_view(&text), ret, e) < 0 ? err_wrap(e, "%s: what it says of an image", d->host)
                                                      : 0;
}
