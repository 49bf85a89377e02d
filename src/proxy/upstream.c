#include "proxy/upstream.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/origin.h"

#include <ctype.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <arpa/inet.h>

#define KEPT_MAX   64
#define KEPT_MS    30000
#define DIAL_MS    30000
#define TLS_MS     10000
#define PROBE_MS   1000
#define PROBE_KEEP 60000

struct upstream {
    bool https;
    char *unix_path;
    char host[256], port[8], place[300];
    str prefix, query; /* of the URL's copy */
    char *url;
    const char *name;
    bool insecure;
    struct credential_store *trust;
    pthread_mutex_t lock;
    struct kept {
        struct link *link;
        int64_t since_ms;
    } kept[KEPT_MAX];
    size_t kept_count;
    pthread_mutex_t probe_lock;
    pthread_cond_t probed;
    int64_t probe_ms; /* when it is asked again */
    bool probing, known, http2;
};

/* ---- the URL ---- */

static bool set_place(struct upstream *u, const struct origin *o)
{
    str host = origin_host(o);
    uint16_t port = origin_port(o);
    if (!host.len || host.len > ORIGIN_HOST_MAX || !port || o->user.len)
        return false;
    snprintf(u->host, sizeof u->host, STR_FMT, STR_ARG(host));
    snprintf(u->port, sizeof u->port, "%u", port);
    snprintf(u->place, sizeof u->place, str_find(host, ':') >= 0 ? "[%s]:%s" : "%s:%s", u->host, u->port);
    return true;
}

static int read_url(struct upstream *u, const char *url, struct err *e)
{
    if (!(u->url = strdup(url)))
        return err_set(e, ERR_OOM, "out of memory");
    str rest = str_from(u->url);
    for (size_t i = 0; i < rest.len; i++)
        if ((unsigned char)rest.ptr[i] <= ' ')
            return err_set(e, ERR_USAGE, "upstream '%s': a blank in it", url);
    if (str_starts(rest, STR("unix:"))) {
        u->unix_path = u->url + 5;
        snprintf(u->place, sizeof u->place, "localhost");
        return *u->unix_path ? 0 : err_set(e, ERR_USAGE, "upstream '%s': no path", url);
    }
    u->https = str_starts(rest, STR("https://"));
    if (!u->https && !str_starts(rest, STR("http://")))
        return err_set(e, ERR_USAGE, "upstream '%s': http://, https:// or unix: is wanted", url);
    struct origin o;
    if (!origin_of(rest, &o) || !set_place(u, &o))
        return err_set(e, ERR_USAGE, "upstream '%s': no host, or no port", url);
    rest = str_cut(&o.rest, '#');
    u->prefix = str_cut(&rest, '?');
    u->query = rest;
    return 0;
}

void upstream_target(const struct upstream *u, str target, struct buf *out)
{
    str query = target, path = str_cut(&query, '?');
    bool slash = str_ends(u->prefix, STR("/")), begins = str_starts(path, STR("/"));
    if (u->prefix.len) {
        buf_str(out, u->prefix);
        if (!slash && !begins)
            buf_char(out, '/');
        path = slash && begins ? str_skip(path, 1) : path;
    }
    buf_str(out, path);
    if (u->query.len || query.len)
        buf_char(out, '?');
    buf_str(out, u->query);
    if (u->query.len && query.len)
        buf_char(out, '&');
    buf_str(out, query);
}

/* ---- connecting ---- */

struct limits {
    int halt;
    int64_t end_ms; /* sooner than the usual ones; 0: those */
};

static int dial_failed(const char *what, int code, struct err *e)
{
    char text[128];
    snprintf(text, sizeof text, "%s", strerror(code));
    text[0] = (char)tolower((unsigned char)text[0]);
    return err_set(e, ERR_NETWORK, "dial %s: connect: %s", what, text);
}

static void put_place(const struct sockaddr *a, char ret[80])
{
    char text[INET6_ADDRSTRLEN] = "";
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        snprintf(ret, 80, "tcp [%s]:%u", text, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)a;
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        snprintf(ret, 80, "tcp %s:%u", text, ntohs(four->sin_port));
    }
}

/* Waits for the connection to be there. */
static int finish(int fd, const char *place, const struct limits *by, struct err *e)
{
    int64_t end = clock_ms() + DIAL_MS;
    if (by->end_ms && by->end_ms < end)
        end = by->end_ms;
    int number = 0;
    socklen_t size = sizeof number;
    for (;;) {
        struct pollfd p[2] = { { .fd = fd, .events = POLLOUT }, { .fd = by->halt, .events = POLLIN } };
        int64_t left = end - clock_ms();
        int n = left > 0 ? poll(p, 2, (int)left) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || p[1].revents)
            return err_set(e, ERR_NETWORK, "dial %s: i/o timeout", place);
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
        return number ? dial_failed(place, number, e) : 0;
    }
}

static struct link *connect_to(const struct sockaddr *a, socklen_t size, const char *place,
                               const struct limits *by, struct err *e)
{
    int one = 1, fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        dial_failed(place, errno, e);
        return NULL;
    }
    int r = connect(fd, a, size);
    if (r < 0 && errno == EINPROGRESS)
        r = finish(fd, place, by, e);
    else if (r < 0)
        dial_failed(place, errno, e);
    if (r < 0) {
        close(fd);
        return NULL;
    }
    if (a->sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    }
    return link_new(fd, by->halt, e);
}

static struct link *dial_unix(const char *path, const struct limits *by, struct err *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    char place[sizeof a.sun_path + 8];
    if (strlen(path) >= sizeof a.sun_path) {
        err_set(e, ERR_USAGE, "dial unix %s: the path is too long", path);
        return NULL;
    }
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    snprintf(place, sizeof place, "unix %s", path);
    return connect_to((struct sockaddr *)&a, sizeof a, place, by, e);
}

static struct link *dial(const char *host, const char *port, const struct limits *by, struct err *e)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    struct link *l = NULL;
    int r = getaddrinfo(host, port, &hints, &list);
    if (r) {
        err_set(e, ERR_NETWORK, "dial tcp: lookup %s: %s", host,
                r == EAI_NONAME ? "no such host" : gai_strerror(r));
        return NULL;
    }
    struct err first = { 0 };
    for (const struct addrinfo *a = list; a && !l; a = a->ai_next) {
        struct err why = { 0 };
        char place[80];
        put_place(a->ai_addr, place);
        l = connect_to(a->ai_addr, a->ai_addrlen, place, by, &why);
        if (!l && (!first.kind || a->ai_family == AF_INET))
            first = why;
    }
    freeaddrinfo(list);
    if (!l)
        *e = first;
    return l;
}

struct link *upstream_dial(const char *host, const char *port, int halt, struct err *e)
{
    return dial(host, port, &(struct limits){ .halt = halt }, e);
}

static bool is_address(const char *host)
{
    uint8_t any[16];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

static int secure(struct link *l, const char *host, const struct dial_tls *t, int64_t end_ms,
                  struct credentials **hold, struct err *e)
{
    gnutls_datum_t protocol = { (unsigned char *)(t->http2 ? "h2" : "http/1.1"), t->http2 ? 2 : 8 };
    gnutls_session_t session;
    if (gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
        return err_set(e, ERR_OOM, "out of memory");
    *hold = credentials_hold(t->trust);
    int r = gnutls_priority_set_direct(session, PROXY_TLS_CLIENT, NULL);
    if (r >= 0)
        r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_of(*hold));
    if (r >= 0 && !is_address(host))
        r = gnutls_server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
    if (r >= 0)
        r = gnutls_alpn_set_protocols(session, &protocol, 1, 0);
    if (r < 0) {
        gnutls_deinit(session);
        return err_set(e, ERR_INTERNAL, "TLS: %s", gnutls_strerror(r));
    }
    if (!t->insecure)
        gnutls_session_set_verify_cert(session, host, 0);
    int64_t end = clock_ms() + TLS_MS;
    return link_handshake(l, session, end_ms && end_ms < end ? end_ms : end, e);
}

int upstream_secure(struct link *l, const char *host, const struct dial_tls *t, struct credentials **hold,
                    struct err *e)
{
    return secure(l, host, t, 0, hold, e);
}

static struct link *open_new(struct upstream *u, const struct limits *by, bool http2, struct err *e)
{
    struct credentials *hold = NULL;
    const struct dial_tls tls = { u->trust, u->insecure, http2 };
    struct link *l = u->unix_path ? dial_unix(u->unix_path, by, e) : dial(u->host, u->port, by, e);
    if (l && u->https && secure(l, u->host, &tls, by->end_ms, &hold, e) < 0) {
        err_wrap(e, "%s", u->place);
        link_freep(&l);
    }
    if (l)
        l->hold = hold;
    else
        credentials_drop(hold);
    return l;
}

/* ---- connections that are kept ---- */

static bool is_alive(struct link *l)
{
    char byte;
    return !l->in.len && recv(l->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* The one used last. */
static struct link *take_kept(struct upstream *u)
{
    int64_t now = clock_ms();
    struct link *l = NULL;
    pthread_mutex_lock(&u->lock);
    while (!l && u->kept_count) {
        struct kept *k = &u->kept[--u->kept_count];
        l = k->link;
        if (now - k->since_ms > KEPT_MS || !is_alive(l))
            link_freep(&l);
    }
    pthread_mutex_unlock(&u->lock);
    return l;
}

struct link *upstream_open(struct upstream *u, int halt, bool http2, bool *kept, struct err *e)
{
    struct link *l = kept && !http2 ? take_kept(u) : NULL;
    if (kept)
        *kept = l != NULL;
    if (!l)
        return open_new(u, &(struct limits){ .halt = halt }, http2, e);
    l->halt = halt;
    return l;
}

void upstream_keep(struct upstream *u, struct link **l)
{
    struct link *oldest = NULL;
    pthread_mutex_lock(&u->lock);
    if (u->kept_count == KEPT_MAX || (u->kept_count && clock_ms() - u->kept[0].since_ms > KEPT_MS)) {
        oldest = u->kept[0].link;
        memmove(u->kept, u->kept + 1, --u->kept_count * sizeof *u->kept);
    }
    (*l)->in.len = (*l)->at = 0;
    u->kept[u->kept_count++] = (struct kept){ *l, clock_ms() };
    *l = NULL;
    pthread_mutex_unlock(&u->lock);
    link_freep(&oldest);
}

/* ---- HTTP/2 ---- */

/* The preface and empty settings; who speaks it answers with a frame of settings. A second at most, but for the name's look-up. */
static bool probe(struct upstream *u, int halt)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    const struct limits by = { halt, clock_ms() + PROBE_MS };
    struct err e = { 0 };
    CLEANUP(link_freep) struct link *l = open_new(u, &by, true, &e);
    if (!l || (u->https && !link_is_http2(l)) ||
        link_write_all(l, str_of(hello, sizeof hello - 1), by.end_ms, &e) < 0)
        return false;
    while (link_bytes(l).len < 9) {
        ptrdiff_t n = link_read(l);
        if (n == 0 || n == LINK_ERROR || (n == LINK_AGAIN && link_wait(l, POLLIN, NULL, 0, by.end_ms) <= 0))
            return false;
    }
    return link_bytes(l).ptr[3] == 4;
}

/* The first answer of all is waited for, a little longer than it may take. With the lock held. */
static void await_first(struct upstream *u)
{
    int64_t end = clock_ns() + (int64_t)(PROBE_MS + 200) * 1000000;
    const struct timespec until = { .tv_sec = (time_t)(end / 1000000000),
                                    .tv_nsec = (long)(end % 1000000000) };
    while (u->probing && !u->known)
        if (pthread_cond_clockwait(&u->probed, &u->probe_lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
            return;
}

bool upstream_speaks_http2(struct upstream *u, int halt)
{
    pthread_mutex_lock(&u->probe_lock);
    if (!u->probing && clock_ms() >= u->probe_ms) {
        u->probing = true;
        pthread_mutex_unlock(&u->probe_lock);
        bool yes = probe(u, halt);
        pthread_mutex_lock(&u->probe_lock);
        u->http2 = yes;
        u->known = true;
        u->probing = false;
        u->probe_ms = clock_ms() + (yes ? PROBE_KEEP : PROBE_MS * 5);
        pthread_cond_broadcast(&u->probed);
    } else {
        await_first(u);
    }
    bool yes = u->http2;
    pthread_mutex_unlock(&u->probe_lock);
    return yes;
}

/* ---- life ---- */

struct upstream *upstream_new(const struct upstream_options *o, struct err *e)
{
    const struct credential_files files = { .trusted = o->trusted, .trusts = !o->insecure };
    struct upstream *u = calloc(1, sizeof *u);
    if (!u) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&u->lock, NULL);
    pthread_mutex_init(&u->probe_lock, NULL);
    pthread_cond_init(&u->probed, NULL);
    u->name = o->name;
    u->insecure = o->insecure;
    if (read_url(u, o->url, e) < 0 ||
        (u->https && !(u->trust = credential_store_new(&files, o->name, &o->log, e))))
        upstream_freep(&u);
    return u;
}

void upstream_freep(struct upstream **up)
{
    struct upstream *u = *up;
    if (!u)
        return;
    for (size_t i = 0; i < u->kept_count; i++)
        link_freep(&u->kept[i].link);
    credential_store_freep(&u->trust);
    pthread_mutex_destroy(&u->lock);
    pthread_cond_destroy(&u->probed);
    pthread_mutex_destroy(&u->probe_lock);
    free(u->url);
    free(u);
    *up = NULL;
}
