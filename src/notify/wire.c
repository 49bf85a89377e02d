#include "notify/wire.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

struct wire {
    int fd;
    gnutls_certificate_credentials_t trust;
    gnutls_session_t tls; /* NULL: plain */
};

bool wire_split(const char *place, char host[256], char port[8])
{
    str all = str_from(place);
    ptrdiff_t at = str_rfind(all, ':');
    uint64_t number;
    if (at <= 0)
        return false;
    str name = str_head(all, (size_t)at), rest = str_skip(all, (size_t)at + 1);
    if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
        name = str_of(name.ptr + 1, name.len - 2);
    if (!name.len || name.len > 255 || !str_to_u64(rest, &number) || !number || number > 65535)
        return false;
    snprintf(host, 256, STR_FMT, STR_ARG(name));
    snprintf(port, 8, "%u", (unsigned)number);
    return true;
}

static int late(struct err *e) { return err_set(e, ERR_BUSY, "no answer in time"); }

static int wait_for(int fd, short what, int64_t end_ms, struct err *e)
{
    for (;;) {
        int64_t left = end_ms - clock_ms();
        struct pollfd p = { .fd = fd, .events = what };
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return late(e);
        if (errno != EINTR)
            return err_errno(e, "poll");
    }
}

static int broken(const char *what, int number, struct err *e)
{
    return err_set(e, ERR_NETWORK, "%s: %s", what, strerror(number));
}

static int connect_to(const struct addrinfo *a, int64_t end_ms, struct err *e)
{
    int number = 0, one = 1;
    socklen_t size = sizeof number;
    CLEANUP(close_fdp) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return broken("socket", errno, e);
    if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return broken("connect", errno, e);
        if (wait_for(fd, POLLOUT, end_ms, e) < 0)
            return -1;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0 || number)
            return broken("connect", number, e);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    int ret = fd;
    fd = -1;
    return ret;
}

static int connect_any(const char *host, const char *port, int64_t end_ms, struct err *e)
{
    const struct addrinfo want = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    int r = getaddrinfo(host, port, &want, &list), fd = -1;
    if (r)
        return err_set(e, ERR_NETWORK, "%s", gai_strerror(r));
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        *e = (struct err){ 0 };
        fd = connect_to(a, end_ms, e);
    }
    freeaddrinfo(list);
    return fd;
}

static int load_trust(struct wire *w, const struct notify_tls *t, struct err *e)
{
    int code = gnutls_certificate_allocate_credentials(&w->trust);
    if (code < 0)
        return err_set(e, ERR_OOM, "out of memory");
    code = t->ca ? gnutls_certificate_set_x509_trust_file(w->trust, t->ca, GNUTLS_X509_FMT_PEM)
                 : gnutls_certificate_set_x509_system_trust(w->trust);
    const char *more = getenv("SSL_CERT_FILE");
    if (code >= 0 && !t->ca && more && *more)
        gnutls_certificate_set_x509_trust_file(w->trust, more, GNUTLS_X509_FMT_PEM);
    if (code < 0)
        return err_set(e, ERR_IO, "%s: %s", t->ca ? t->ca : "the system's authorities",
                       gnutls_strerror(code));
    if (!t->cert)
        return 0;
    code = gnutls_certificate_set_x509_key_file(w->trust, t->cert, t->key, GNUTLS_X509_FMT_PEM);
    return code < 0 ? err_set(e, ERR_IO, "%s: %s", t->cert, gnutls_strerror(code)) : 0;
}

/* What a function of GnuTLS says: 1 again, 0 done, -1. */
static int judge(struct wire *w, int code, int64_t end_ms, struct err *e)
{
    if (code >= 0)
        return 0;
    if (code == GNUTLS_E_AGAIN)
        return wait_for(w->fd, gnutls_record_get_direction(w->tls) ? POLLOUT : POLLIN, end_ms, e) < 0 ? -1
                                                                                                      : 1;
    if (!gnutls_error_is_fatal(code))
        return 1;
    bool untrusted = code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR || code == GNUTLS_E_FATAL_ALERT_RECEIVED;
    return err_set(e, untrusted ? ERR_DENIED : ERR_NETWORK, "TLS: %s", gnutls_strerror(code));
}

static int begin_tls(struct wire *w, const char *host, const struct notify_tls *t, int64_t end_ms,
                     struct err *e)
{
    int again;
    if (load_trust(w, t, e) < 0)
        return -1;
    if (gnutls_init(&w->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0 ||
        gnutls_set_default_priority(w->tls) < 0 ||
        gnutls_credentials_set(w->tls, GNUTLS_CRD_CERTIFICATE, w->trust) < 0 ||
        gnutls_server_name_set(w->tls, GNUTLS_NAME_DNS, host, strlen(host)) < 0)
        return err_set(e, ERR_OOM, "TLS could not be set up");
    gnutls_session_set_verify_cert(w->tls, host, 0);
    gnutls_transport_set_int(w->tls, w->fd);
    while ((again = judge(w, gnutls_handshake(w->tls), end_ms, e)) > 0)
        ;
    return again;
}

struct wire *wire_open(const char *place, const struct notify_tls *tls, int64_t end_ms, struct err *e)
{
    char host[256], port[8];
    CLEANUP(wire_freep) struct wire *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    w->fd = -1;
    if (!wire_split(place, host, port)) {
        err_set(e, ERR_USAGE, "no host:port");
        return NULL;
    }
    if ((w->fd = connect_any(host, port, end_ms, e)) < 0 ||
        (tls->on && begin_tls(w, host, tls, end_ms, e) < 0))
        return NULL;
    struct wire *ret = w;
    w = NULL;
    return ret;
}

static ptrdiff_t write_some(struct wire *w, str bytes, int64_t end_ms, struct err *e)
{
    for (;;) {
        ssize_t n = w->tls ? gnutls_record_send(w->tls, bytes.ptr, bytes.len)
                           : send(w->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (w->tls            ? judge(w, (int)n, end_ms, e) < 0
            : errno != EAGAIN ? broken("send", errno, e) < 0
                              : wait_for(w->fd, POLLOUT, end_ms, e) < 0)
            return -1;
    }
}

int wire_write(struct wire *w, str bytes, int64_t end_ms, struct err *e)
{
    while (bytes.len) {
        ptrdiff_t n = write_some(w, bytes, end_ms, e);
        if (n < 0)
            return -1;
        bytes = str_skip(bytes, (size_t)n);
    }
    return 0;
}

ptrdiff_t wire_read(struct wire *w, void *to, size_t room, int64_t end_ms, struct err *e)
{
    for (;;) {
        ssize_t n = w->tls ? gnutls_record_recv(w->tls, to, room) : recv(w->fd, to, room, 0);
        if (n > 0)
            return n;
        if (n == 0)
            return err_set(e, ERR_NETWORK, "the connection was closed");
        if (w->tls            ? judge(w, (int)n, end_ms, e) < 0
            : errno != EAGAIN ? broken("receive", errno, e) < 0
                              : wait_for(w->fd, POLLIN, end_ms, e) < 0)
            return -1;
    }
}

void wire_freep(struct wire **w)
{
    if (!*w)
        return;
    if ((*w)->tls)
        gnutls_deinit((*w)->tls);
    if ((*w)->trust)
        gnutls_certificate_free_credentials((*w)->trust);
    close_fdp(&(*w)->fd);
    free(*w);
    *w = NULL;
}
