#include "net/http_internal.h"

#include "base/cleanup.h"
#include "net/places.h"
#include "net/proxy.h"

#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>

/* ---- what is refused, and to whom nothing is told ---- */

static bool plain_address(const struct curl_sockaddr *a, uint8_t ret[16], unsigned *port)
{
    const void *p = &a->addr;
    const struct sockaddr_in *v4 = p;
    const struct sockaddr_in6 *v6 = p;
    memset(ret, 0, 16);
    if (a->family == AF_INET) {
        ret[10] = ret[11] = 0xff;
        memcpy(ret + 12, &v4->sin_addr, 4);
        *port = ntohs(v4->sin_port);
    } else if (a->family == AF_INET6) {
        memcpy(ret, &v6->sin6_addr, 16);
        *port = ntohs(v6->sin6_port);
    } else {
        return false;
    }
    places_plain(ret);
    return true;
}

/* The address itself is looked at, because a name may lead anywhere. */
curl_socket_t http_on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http *h = ctx;
    uint8_t address[16];
    unsigned port;
    (void)purpose;
    bool bad = h->places && h->direct && plain_address(a, address, &port) &&
               !places_address(h->places, address, port, h->name_allowed);
    h->refused |= bad;
    return bad ? CURL_SOCKET_BAD : socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

struct place {
    char *scheme, *host, *port;
};

static void place_done(struct place *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
}

static bool place_of(const char *url, struct place *ret)
{
    CURLU *u = curl_url();
    bool ok = u && !curl_url_set(u, CURLUPART_URL, url, CURLU_GUESS_SCHEME) &&
              !curl_url_get(u, CURLUPART_SCHEME, &ret->scheme, 0) &&
              !curl_url_get(u, CURLUPART_HOST, &ret->host, 0) &&
              !curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT);
    curl_url_cleanup(u);
    return ok;
}

/* The same host and port, not less secret; from http to https the default ports are the same place. */
static bool same_place(const char *from, const char *to)
{
    CLEANUP(place_done) struct place a = { 0 }, b = { 0 };
    if (!place_of(from, &a) || !place_of(to, &b) || strcasecmp(a.host, b.host))
        return false;
    if (!strcmp(a.scheme, b.scheme))
        return !strcmp(a.port, b.port);
    return !strcmp(a.scheme, "http") && !strcmp(a.port, "80") && !strcmp(b.port, "443");
}

/* A connection that another transfer opened is no new socket. */
static bool is_bad_peer(const struct http *h, const char *ip, int port)
{
    uint8_t address[16];
    if (!h->places || !h->direct || !places_address_of(str_from(ip), address))
        return false;
    places_plain(address);
    return !places_address(h->places, address, (unsigned)port, h->name_allowed);
}

/* Before each request, and behind each redirect that libcurl follows. */
int http_on_request(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
    struct http *h = ctx;
    const char *now = NULL;
    (void)local_ip, (void)local_port;
    if (curl_easy_getinfo(h->easy, CURLINFO_EFFECTIVE_URL, &now) || !now)
        return CURL_PREREQFUNC_ABORT;
    if (is_bad_peer(h, ip, port)) {
        h->refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    h->refused = false; /* another address of the name was */
    if (!same_place(h->url, now) && curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->ours))
        return CURL_PREREQFUNC_ABORT;
    return CURL_PREREQFUNC_OK;
}

/* ---- hop by hop, each judged before it is gone ---- */

static int refuse(struct http *h, struct err *e)
{
    h->refused = true;
    return http_fail(h, e);
}

/* What the URL says of its place, and who connects to it: a proxy resolves names itself, so they must do. */
static int judge(struct http *h, struct err *e)
{
    if (!h->places)
        return 0;
    CLEANUP(place_done) struct place p = { 0 };
    uint64_t port;
    if (!place_of(h->hop, &p) || !str_to_u64(str_from(p.port), &port))
        return err_set(e, ERR_UNSUPPORTED, "bad URL");
    str host = str_from(p.host);
    enum place_verdict v = places_name(h->places, host, (unsigned)port);
    const char *proxy = proxy_of(p.scheme, host, (unsigned)port);
    h->direct = !proxy;
    h->name_allowed = v == PLACE_ALLOWED;
    if (v == PLACE_REFUSED || (proxy && v == PLACE_BY_ADDRESS))
        return refuse(h, e);
    if (curl_easy_setopt(h->easy, CURLOPT_PROXY, proxy ? proxy : "") ||
        curl_easy_setopt(h->easy, CURLOPT_NOPROXY, ""))
        return err_set(e, ERR_OOM, "out of memory");
    return 0;
}

/* NULL: it leads nowhere, or not to HTTP. To be freed by curl_free(). */
static char *next_hop(struct http *h)
{
    struct curl_header *to;
    char *next = NULL;
    CURLU *u = curl_url();
    if (u && !curl_easy_header(h->easy, "Location", 0, CURLH_HEADER, -1, &to) &&
        !curl_url_set(u, CURLUPART_URL, h->hop, 0) &&
        !curl_url_set(u, CURLUPART_URL, to->value, CURLU_URLENCODE | CURLU_ALLOW_SPACE))
        curl_url_get(u, CURLUPART_URL, &next, 0);
    curl_url_cleanup(u);
    if (next && strncasecmp(next, "http://", 7) && strncasecmp(next, "https://", 8)) {
        curl_free(next);
        next = NULL;
    }
    return next;
}

static bool is_redirect(const struct http *h)
{
    unsigned s = h->head.status;
    return s == 301 || s == 302 || s == 303 || s == 307 || s == 308;
}

/* What libcurl would do by itself, and what it would not: our certificate is for the first place only. */
static bool turn(struct http *h, const char *next)
{
    CURL *c = h->easy;
    unsigned s = h->head.status;
    if (h->posts && s >= 301 && s <= 303) {
        h->posts = false;
        if (curl_easy_setopt(c, CURLOPT_HTTPGET, 1L))
            return false;
    }
    return same_place(h->url, next) ||
           (!curl_easy_setopt(c, CURLOPT_SSLCERT, NULL) && !curl_easy_setopt(c, CURLOPT_SSLKEY, NULL));
}

static int go_on(struct http *h, const char *next, struct err *e)
{
    if (h->stay_secure && strncasecmp(next, "https://", strlen("https://")))
        return err_set(e, ERR_UNSUPPORTED, "a redirect from https to something else is refused");
    unsigned idle_ms = h->idle_ms;
    if (!h->done)
        http_drain(h);
    curl_multi_remove_handle(h->multi, h->easy);
    free(h->hop);
    h->hop = strdup(next);
    h->idle_ms = idle_ms;
    h->given = h->paused = h->done = false;
    h->result = CURLE_OK;
    h->text[0] = '\0';
    buf_clear(&h->body);
    if (!h->hop || !turn(h, next) || curl_easy_setopt(h->easy, CURLOPT_URL, next))
        return err_set(e, ERR_OOM, "out of memory");
    if (judge(h, e) < 0)
        return -1;
    return curl_multi_add_handle(h->multi, h->easy) ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int follow(struct http *h, struct err *e)
{
    for (unsigned hops = 0; is_redirect(h); hops++) {
        char *next = next_hop(h);
        if (!next && !h->places && !http_header(h, "Location", 0, &(str){ 0 }))
            return 0; /* nobody follows what leads nowhere */
        if (!next)
            return err_set(e, ERR_UNSUPPORTED, "a redirect that leads to no URL of HTTP");
        int result = hops < h->max_redirects
                         ? go_on(h, next, e)
                         : err_set(e, ERR_LIMIT, "more than %u redirects", h->max_redirects);
        curl_free(next);
        if (result < 0 || http_await_head(h, e) < 0)
            return -1;
    }
    return 0;
}

int http_go(struct http *h, struct err *e)
{
    if (!h->steps)
        return http_await_head(h, e);
    if (!(h->hop = strdup(h->url)))
        return err_set(e, ERR_OOM, "out of memory");
    return judge(h, e) < 0 || http_await_head(h, e) < 0 ? -1 : follow(h, e);
}
