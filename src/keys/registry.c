#include "keys/registry.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/http_pools.h"
#include "codec/json.h"
#include "jwt/token.h"

#include <strings.h>
#include <sys/mman.h>
#include <sys/random.h>

#define TOKEN_S   300
#define SKEW_S    60
#define NONCE     16
#define AGENT     "KeyRegistryClient/0.1.0" /* the old client's: what stands between may know it */
#define CA_MAX    ((size_t)4 << 20)
#define TOKEN_MAX (JWT_TOKEN_MAX + 64)

struct registry {
    char *base;     /* ends with "/" */
    char *audience; /* "https://quay.example.com:8443" */
    int ca_fd;      /* -1, or several files of authorities as one */
    char ca_path[64];
    const char *ca;
    bool insecure;
    const atomic_bool *stop;
    struct http_pools pools;
};

/* ---- authorities ---- */

/* The HTTP client takes one file beside the system's: a nameless one that holds all, where there are several. */
static int join_files(struct registry *r, const char *const *files, struct err *e)
{
    CLEANUP(buf_done) struct buf all = { .max = CA_MAX };
    const char *usual = getenv("SSL_CERT_FILE");
    for (size_t i = 0; files[i]; i++) {
        if (buf_read_file(&all, files[i], e) < 0)
            return -1;
        buf_char(&all, '\n');
    }
    if (usual && *usual && buf_read_file(&all, usual, e) < 0)
        return -1;
    r->ca_fd = memfd_create("authorities", MFD_CLOEXEC);
    if (r->ca_fd < 0 || write(r->ca_fd, all.ptr, all.len) != (ssize_t)all.len)
        return err_errno(e, "authorities");
    snprintf(r->ca_path, sizeof r->ca_path, "/proc/self/fd/%d", r->ca_fd);
    r->ca = r->ca_path;
    return 0;
}

static int set_trusted(struct registry *r, const char *const *files, struct err *e)
{
    return files && files[0] ? join_files(r, files, e) : 0;
}

/* ---- URLs ---- */

static int set_url(struct registry *r, const char *url, struct err *e)
{
    const char *host = strstr(url, "://");
    if ((strncasecmp(url, "http://", 7) && strncasecmp(url, "https://", 8)) || !host[3] || strpbrk(url, "?#"))
        return err_set(e, ERR_USAGE, "key registry '%s': a URL of http or https is wanted", url);
    host += 3;
    size_t origin = (size_t)(host - url) + strcspn(host, "/");
    const char *user = memchr(host, '@', strcspn(host, "/"));
    CLEANUP(buf_done) struct buf b = { 0 };
    buf_add(&b, url, origin); /* slashes are cleaned, as the old client did */
    for (str rest = str_from(url + origin); rest.len;) {
        str part = str_cut(&rest, '/');
        if (part.len) {
            buf_char(&b, '/');
            buf_str(&b, part);
        }
    }
    buf_str(&b, STR("/"));
    buf_char(&b, '\0');
    if (b.failed)
        return err_set(e, ERR_OOM, "out of memory");
    r->base = strdup(b.ptr);
    buf_clear(&b);
    buf_add(&b, url, (size_t)(host - url)); /* nobody's password is an audience */
    buf_str(&b, str_of(user ? user + 1 : host, (size_t)(url + origin - (user ? user + 1 : host))));
    buf_char(&b, '\0');
    r->audience = b.failed ? NULL : strdup(b.ptr);
    return r->base && r->audience ? 0 : err_set(e, ERR_OOM, "out of memory");
}

static void put_escaped(struct buf *b, str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c && strchr("-_~", c)) || (c == '.' && s.len > 2))
            buf_char(b, c);
        else
            buf_printf(b, "%%%02X", (uint8_t)c);
    }
}

static void put_place(const struct registry *r, str service, str kid, struct buf *b)
{
    buf_str(b, str_from(r->base));
    buf_str(b, STR("services/"));
    put_escaped(b, service);
    buf_str(b, STR("/keys/"));
    put_escaped(b, kid);
}

/* ---- asking ---- */

static int read_body(struct http *h, struct registry_answer *ret, struct err *e)
{
    str chunk;
    int r;
    while ((r = http_read(h, &chunk, e)) > 0) {
        buf_str(&ret->body, chunk);
        if (ret->body.failed)
            return err_set(e, ERR_NETWORK, "a key registry that answers with more than %zu KiB",
                           REGISTRY_BODY >> 10);
    }
    return r;
}

/* The operator sees it: what is to be looked at stands in it. The place comes with the reason. */
static int no_answer(struct err *e)
{
    return err_wrap(e, "no answer of the key registry (does it run, is key_server.options.registry right, "
                       "is its authority believed?)");
}

static int ask(struct registry *r, const char *method, const char *url, const char *const headers[], str body,
               struct registry_answer *ret, struct err *e)
{
    const struct http_options options = { .method = method,
                                          .body = body,
                                          .user_agent = AGENT,
                                          .ca_more = r->ca,
                                          .insecure = r->insecure,
                                          .stay_secure = true,
                                          .max_redirects = 5,
                                          .stop = r->stop };
    const struct http_limits limits = { .connect_ms = REGISTRY_ASK_MS / 2, .total_ms = REGISTRY_ASK_MS };
    *ret = (struct registry_answer){ .body.max = REGISTRY_BODY };
    struct http_pool *pool = http_pools_take(&r->pools, e);
    if (!pool)
        return -1;
    struct http *h = http_open(pool, url, headers, &options, &limits, e);
    if (h) {
        ret->head = *http_head(h);
        ret->status = ret->head.status;
    }
    bool answered = h != NULL;
    int done = answered ? read_body(h, ret, e) : -1;
    http_freep(&h);
    if (done < 0) {
        buf_done(&ret->body);
        http_pool_freep(&pool); /* what is in it may be broken */
        return answered ? -1 : no_answer(e);
    }
    http_pools_give(&r->pools, pool);
    return 0;
}

/* ---- the protocol ---- */

int registry_get(struct registry *r, str service, str kid, const char *const headers[],
                 struct registry_answer *ret, struct err *e)
{
    static const char *const none[] = { NULL };
    CLEANUP(buf_done) struct buf url = { 0 };
    put_place(r, service, kid, &url);
    buf_char(&url, '\0');
    if (url.failed)
        return err_set(e, ERR_OOM, "out of memory");
    return ask(r, "GET", url.ptr, headers ? headers : none, (str){ 0 }, ret, e);
}

static int put_token(const struct registry *r, str service, const struct jwt_key *by, struct buf *out,
                     struct err *e)
{
    CLEANUP(buf_done) struct buf claims = { 0 };
    struct json_writer w = { .out = &claims };
    uint8_t random[NONCE];
    char nonce[2 * NONCE + 1];
    int64_t now = clock_now();
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_errno(e, "random bytes");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(nonce + 2 * i, 3, "%02x", random[i]);
    json_w_object(&w);
    json_w_text(&w, "iss", service);
    json_w_text(&w, "aud", str_from(r->audience));
    json_w_number(&w, "exp", now + TOKEN_S);
    json_w_number(&w, "nbf", now - SKEW_S);
    json_w_number(&w, "iat", now);
    json_w_text(&w, "jti", str_from(nonce));
    json_w_object_end(&w);
    buf_str(out, STR("Authorization: Bearer "));
    if (claims.failed || jwt_sign(by, 0, jwt_key_kid(by), buf_view(&claims), out, e) < 0)
        return claims.failed ? err_set(e, ERR_OOM, "out of memory") : -1;
    buf_char(out, '\0');
    return out->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

int registry_put(struct registry *r, str service, const struct jwt_key *k, const struct jwt_key *by,
                 int64_t expires, int64_t rotation_s, struct registry_answer *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf url = { 0 };
    CLEANUP(buf_done) struct buf body = { 0 };
    CLEANUP(buf_done) struct buf token = { .max = TOKEN_MAX };
    put_place(r, service, jwt_key_kid(k), &url);
    if (expires)
        buf_printf(&url, "?expiration=%lld", (long long)expires);
    if (rotation_s)
        buf_printf(&url, "%crotation=%lld", expires ? '&' : '?', (long long)rotation_s);
    buf_char(&url, '\0');
    if (url.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (jwt_key_put_jwk(k, false, &body, e) < 0 || put_token(r, service, by, &token, e) < 0)
        return -1;
    const char *headers[] = { token.ptr, "Content-Type: application/json", NULL };
    return ask(r, "PUT", url.ptr, headers, buf_view(&body), ret, e);
}

int registry_delete(struct registry *r, str service, str kid, const struct jwt_key *by,
                    struct registry_answer *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf url = { 0 };
    CLEANUP(buf_done) struct buf token = { .max = TOKEN_MAX };
    put_place(r, service, kid, &url);
    buf_char(&url, '\0');
    if (url.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (put_token(r, service, by, &token, e) < 0)
        return -1;
    const char *headers[] = { token.ptr, NULL };
    return ask(r, "DELETE", url.ptr, headers, (str){ 0 }, ret, e);
}

void registry_answer_done(struct registry_answer *a) { buf_done(&a->body); }

struct registry *registry_new(const struct registry_options *o, struct err *e)
{
    struct registry *r = calloc(1, sizeof *r);
    if (!r) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    r->ca_fd = -1;
    r->insecure = o->insecure;
    r->stop = o->stop;
    http_pools_init(&r->pools);
    if (set_url(r, o->url, e) < 0 || set_trusted(r, o->trusted, e) < 0)
        registry_freep(&r);
    return r;
}

void registry_freep(struct registry **r)
{
    struct registry *old = *r;
    *r = NULL;
    if (!old)
        return;
    http_pools_done(&old->pools);
    close_fdp(&old->ca_fd);
    free(old->base);
    free(old->audience);
    free(old);
}
