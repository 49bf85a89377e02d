#include "proxy/signer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/origin.h"
#include "codec/json.h"
#include "jwt/token.h"
#include "proxy/forward.h"
#include "proxy/leaf.h"

#include <gnutls/crypto.h>
#include <poll.h>
#include <strings.h>

#define NONCE_MAX    1024
#define HANDSHAKE_MS 10000
#define HEAD_MS      120000
#define GO_ERROR     "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
#define NO_PROXY     "This is a forward proxy server. Does not respond to non-proxy requests."
#define NO_CA        "No CA keypair specified, the proxy will not be able to forward requests to TLS endpoints."

struct signing {
    struct signing_options o;
    struct listen *listen;
    struct leaves *leaves; /* NULL: no CONNECT */
    struct credential_store *trust;
    char name[128];
};

static void say(const struct signing *s, enum proxy_level level, const char *event, const char *error)
{
    if (s->o.log.say)
        s->o.log.say(s->o.log.ctx, level, event, s->name, error);
}

/* ---- tokens ---- */

void signer_audience(str url, struct buf *out)
{
    struct origin o;
    if (origin_of(url, &o))
        buf_printf(out, STR_FMT "://" STR_FMT, STR_ARG(o.scheme), STR_ARG(o.authority));
}

/* 64 letters: a random byte gives each as often as any other. */
static int make_nonce(char *ret, size_t n, struct err *e)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
    if (n && gnutls_rnd(GNUTLS_RND_NONCE, ret, n) < 0)
        return err_set(e, ERR_INTERNAL, "random bytes for a nonce");
    for (size_t i = 0; i < n; i++)
        ret[i] = letters[(unsigned char)ret[i] & 63];
    return 0;
}

int signer_token(const struct signer_rules *r, struct keys_own *keys, str audience, struct buf *out,
                 struct err *e)
{
    CLEANUP(jwt_key_freep) struct jwt_key *key = NULL;
    CLEANUP(buf_done) struct buf claims = { 0 };
    struct json_writer w = { .out = &claims };
    char nonce[NONCE_MAX];
    size_t n = r->nonce_length < sizeof nonce ? r->nonce_length : sizeof nonce;
    int64_t now = clock_now();
    if (keys_own_get(keys, &key, e) < 0 || make_nonce(nonce, n, e) < 0)
        return -1;
    json_w_object(&w);
    json_w_text(&w, "aud", audience);
    json_w_number(&w, "exp", now + r->expires_s);
    json_w_number(&w, "iat", now);
    json_w_text(&w, "iss", str_from(r->issuer));
    json_w_text(&w, "jti", str_of(nonce, n));
    json_w_number(&w, "nbf", now - r->max_skew_s);
    json_w_object_end(&w);
    if (claims.failed)
        return err_set(e, ERR_OOM, "out of memory");
    return jwt_sign(key, 0, jwt_key_kid(key), buf_view(&claims), out, e);
}

/* ---- one request to a URL ---- */

struct destination {
    bool https;
    str url, authority; /* as it came; "host[:port]" of it */
    char host[256], port[8];
    str target;
};

static bool find_destination(str url, struct destination *ret)
{
    struct origin o;
    if (!origin_of(url, &o))
        return false;
    str host = origin_host(&o);
    uint16_t port = origin_port(&o);
    *ret = (struct destination){ .url = url, .authority = o.authority, .target = o.rest };
    ret->https = o.scheme.len == 5 && !strncasecmp(o.scheme.ptr, "https", 5);
    bool http = o.scheme.len == 4 && !strncasecmp(o.scheme.ptr, "http", 4);
    if (!(http || ret->https) || !host.len || host.len > ORIGIN_HOST_MAX || !port)
        return false;
    snprintf(ret->host, sizeof ret->host, STR_FMT, STR_ARG(host));
    snprintf(ret->port, sizeof ret->port, "%u", port);
    return true;
}

static struct link *open_link(struct signing *s, const struct destination *d, struct err *e)
{
    const struct dial_tls tls = { s->trust, s->o.insecure, false };
    struct link *l = upstream_dial(d->host, d->port, listen_halt(s->listen), e);
    if (l && d->https && upstream_secure(l, d->host, &tls, &l->hold, e) < 0) {
        err_wrap(e, "%s:%s", d->host, d->port);
        link_freep(&l);
    }
    return l;
}

static void count(const struct signing *s, const char *what, unsigned status)
{
    if (s->o.signed_one)
        s->o.signed_one(s->o.log.ctx, what, status);
}

static bool cannot_sign(struct signing *s, struct link *client, const struct head *h, const struct err *why)
{
    char text[600];
    int n = snprintf(text, sizeof text, "jwtproxy: unable to sign request: %s", why->text);
    say(s, PROXY_WARNING, "request could not be signed", why->text);
    count(s, "no-key", 502);
    return proxy_answer_head(client, h, 502, "Content-Type: text/plain\r\n", str_of(text, (size_t)n));
}

static bool send_signed(struct signing *s, struct link *client, struct head *h, const struct destination *d,
                        str target)
{
    struct err e = { 0 };
    unsigned status = 500;
    CLEANUP(buf_done) struct buf extra = { 0 }, audience = { 0 };
    char text[600];
    signer_audience(d->url, &audience);
    buf_str(&extra, STR("Authorization: Bearer "));
    if (audience.failed)
        return false;
    if (signer_token(&s->o.rules, s->o.keys, buf_view(&audience), &extra, &e) < 0)
        return cannot_sign(s, client, h, &e);
    buf_str(&extra, STR("\r\n"));
    struct forward f = { .client = client,
                         .head = h,
                         .target = target,
                         .extra = buf_view(&extra),
                         .halt = listen_halt(s->listen) };
    bool keep;
    if (extra.failed || !(f.link = open_link(s, d, &e))) {
        int n = snprintf(text, sizeof text, "%s\n", e.text);
        keep = proxy_answer_head(client, h, 500, GO_ERROR, str_of(text, (size_t)n));
    } else {
        keep = forward_run(&f, &status, &e);
    }
    if (e.kind)
        say(s, PROXY_WARNING, "request failed", e.text);
    count(s, e.kind ? "failed" : "signed", status);
    return keep;
}

static bool is_origin(str target) { return target.len && target.ptr[0] == '/'; }

/* RFC 9112 3.2.2: of a URL that is asked for, its own host goes on in place of what Host says. */
static void set_host(struct head *h, str authority)
{
    for (size_t i = 0; i < h->count; i++)
        if (head_is(h->fields[i].name, "Host")) {
            h->fields[i].value = authority;
            return;
        }
    if (h->count < HEAD_FIELDS) /* of HTTP/1.0 */
        h->fields[h->count++] = (struct head_field){ STR("Host"), authority };
}

static bool to_url(struct signing *s, struct link *client, struct head *h, str url)
{
    struct destination d;
    CLEANUP(buf_done) struct buf target = { .max = HEAD_MAX * 2 };
    if (!find_destination(url, &d)) {
        count(s, "no-proxy", 500);
        return proxy_answer_head(client, h, 500, GO_ERROR, STR(NO_PROXY "\n"));
    }
    if (!is_origin(h->target))
        set_host(h, d.authority);
    if (!str_starts(d.target, STR("/")))
        buf_char(&target, '/');
    str rest = d.target;
    buf_str(&target, str_cut(&rest, '#'));
    return !target.failed && send_signed(s, client, h, &d, buf_view(&target));
}

/* ---- CONNECT ---- */

/* The head of a request in the tunnel; its bytes are in `copy`. */
static bool next_head(struct signing *s, struct link *l, struct buf *copy, struct head *ret)
{
    size_t seen = 0, size;
    struct err e = { 0 };
    int64_t end = clock_ms() + HEAD_MS;
    while (!(size = head_find_end(str_head(link_bytes(l), HEAD_MAX), &seen))) {
        ptrdiff_t n = link_bytes(l).len < HEAD_MAX ? link_read(l) : LINK_ERROR;
        if (n == 0 || n == LINK_ERROR || (n == LINK_AGAIN && link_wait(l, POLLIN, NULL, 0, end) <= 0))
            return false;
    }
    buf_clear(copy);
    buf_str(copy, str_head(link_bytes(l), size));
    link_use(l, size);
    if (!copy->failed && head_read_request(buf_view(copy), ret, &e) == 0)
        return true;
    say(s, PROXY_DEBUG, "request in a tunnel refused", e.text);
    proxy_answer(l, 400, "Content-Type: text/plain\r\n", STR("400 Bad Request"), false);
    return false;
}

static void serve_tunnel(struct signing *s, struct link *l, str authority)
{
    CLEANUP(buf_done) struct buf copy = { 0 };
    CLEANUP(freep) struct head *h = malloc(sizeof *h);
    bool keep = h != NULL;
    while (keep && !listen_is_leaving(s->listen) && next_head(s, l, &copy, h)) {
        CLEANUP(buf_done) struct buf url = { .max = HEAD_MAX * 2 };
        str rest = authority;
        bool usual = str_ends(authority, STR(":443"));
        str host = usual ? str_head(authority, authority.len - 4) : rest;
        buf_str(&url, STR("https://"));
        buf_str(&url, host);
        buf_str(&url, is_origin(h->target) ? h->target : STR("/"));
        keep = !url.failed && to_url(s, l, h, buf_view(&url));
    }
}

static int tunnel_tls(struct signing *s, struct link *l, struct leaf *leaf, struct err *e)
{
    const gnutls_datum_t protocol = { (unsigned char *)"http/1.1", 8 };
    gnutls_session_t session;
    if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
        return err_set(e, ERR_OOM, "out of memory");
    (void)s;
    gnutls_priority_set_direct(session, PROXY_TLS_SERVER, NULL);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, leaf_credentials(leaf));
    gnutls_alpn_set_protocols(session, &protocol, 1, 0);
    return link_handshake(l, session, clock_ms() + HANDSHAKE_MS, e);
}

static bool connect_through(struct signing *s, struct link *client, const struct head *h)
{
    struct err e = { 0 };
    struct destination d;
    char url[300], authority[280];
    if (!s->leaves) {
        say(s, PROXY_WARNING, "CONNECT dropped", NO_CA);
        count(s, "connect-dropped", 0);
        return false;
    }
    snprintf(authority, sizeof authority, STR_FMT, STR_ARG(str_head(h->target, sizeof authority - 1)));
    snprintf(url, sizeof url, "https://%s", authority);
    if (client->tls || !find_destination(str_from(url), &d) || d.target.len)
        return proxy_answer(client, 400, "Content-Type: text/plain\r\n", STR("400 Bad Request"), false);
    struct leaf *leaf = leaf_for(s->leaves, d.host, &e);
    if (leaf && link_write_all(client, STR("HTTP/1.0 200 OK\r\n\r\n"), clock_ms() + HANDSHAKE_MS, &e) == 0 &&
        tunnel_tls(s, client, leaf, &e) == 0)
        serve_tunnel(s, client, str_from(authority));
    if (e.kind)
        say(s, PROXY_DEBUG, "CONNECT failed", e.text);
    if (client->tls) /* before what it was made with */
        gnutls_bye(client->tls, GNUTLS_SHUT_WR), gnutls_deinit(client->tls), client->tls = NULL;
    leaf_drop(leaf);
    return false;
}

static bool serve(void *ctx, struct link *client, struct head *h)
{
    if (str_eq(h->method, STR("CONNECT")))
        return connect_through(ctx, client, h);
    return to_url(ctx, client, h, h->target);
}

/* ---- life ---- */

static int make(struct signing *s, struct err *e)
{
    const struct signing_options *o = &s->o;
    const struct credential_files files = { .trusted = o->trusted, .trusts = !o->insecure };
    const struct listen_options l = { .name = s->name,
                                      .address = o->address,
                                      .permissions = o->permissions,
                                      .stop_ms = o->stop_ms,
                                      .log = o->log,
                                      .serve = serve,
                                      .ctx = s };
    if (o->ca_certfile && o->ca_keyfile && !(s->leaves = leaves_new(o->ca_certfile, o->ca_keyfile, e)))
        return -1;
    if (!s->leaves)
        say(s, PROXY_WARNING, NO_CA, NULL);
    if (!(s->trust = credential_store_new(&files, s->name, &o->log, e)))
        return -1;
    return (s->listen = listen_new(&l, e)) ? 0 : -1;
}

struct signing *signing_new(const struct signing_options *o, struct err *e)
{
    struct signing *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    s->o = *o;
    snprintf(s->name, sizeof s->name, "signer %.100s", o->address);
    if (make(s, e) < 0)
        signing_freep(&s);
    return s;
}

int signing_start(struct signing *s, struct err *e) { return listen_start(s->listen, e); }
unsigned signing_port(const struct signing *s) { return listen_port(s->listen); }
void signing_freep(struct signing **sp)
{
    struct signing *s = *sp;
    if (!s)
        return;
    listen_freep(&s->listen);
    leaves_freep(&s->leaves);
    credential_store_freep(&s->trust);
    free(s);
    *sp = NULL;
}
