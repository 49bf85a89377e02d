#include "proxy/link.h"

#include "base/clock.h"
#include "proxy/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <stdio.h>
#include <netdb.h>

#define READ_STEP  ((size_t)16 << 10)
#define LINGER_MS  500
#define LINGER_MAX ((size_t)1 << 20)

struct link *link_new(int fd, int halt, struct err *e)
{
    struct link *l = calloc(1, sizeof *l);
    int flags = fcntl(fd, F_GETFL);
    if (!l) {
        close(fd);
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    *l = (struct link){ .fd = fd, .halt = halt, .in.max = LINK_IN + READ_STEP };
    return l;
}

void link_freep(struct link **lp)
{
    struct link *l = *lp;
    if (!l)
        return;
    if (l->tls) {
        gnutls_bye(l->tls, GNUTLS_SHUT_WR);
        gnutls_deinit(l->tls);
    }
    credentials_drop(l->hold);
    close(l->fd);
    buf_done(&l->in);
    free(l);
    *lp = NULL;
}

static ptrdiff_t read_tls(struct link *l, char *to, size_t room)
{
    for (;;) {
        ssize_t n = gnutls_record_recv(l->tls, to, room);
        if (n >= 0)
            return n;
        if (n == GNUTLS_E_AGAIN)
            return LINK_AGAIN;
        if (n == GNUTLS_E_PREMATURE_TERMINATION)
            return 0;
        if (n != GNUTLS_E_INTERRUPTED)
            return LINK_ERROR;
    }
}

static ptrdiff_t read_plain(struct link *l, char *to, size_t room)
{
    ssize_t n;
    do
        n = recv(l->fd, to, room, 0);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : errno == EAGAIN ? LINK_AGAIN : LINK_ERROR;
}

ptrdiff_t link_read(struct link *l)
{
    if (l->eof)
        return 0;
    if (l->at == l->in.len)
        l->at = l->in.len = 0;
    if (l->in.len - l->at >= LINK_IN)
        return LINK_AGAIN;
    if (l->at && l->in.len + READ_STEP > l->in.cap) {
        memmove(l->in.ptr, l->in.ptr + l->at, l->in.len - l->at);
        l->in.len -= l->at;
        l->at = 0;
    }
    char *to = buf_reserve(&l->in, READ_STEP);
    if (!to)
        return LINK_ERROR;
    ptrdiff_t n = l->tls ? read_tls(l, to, READ_STEP) : read_plain(l, to, READ_STEP);
    if (n > 0)
        l->in.len += (size_t)n;
    l->eof = n == 0;
    return n;
}

void link_use(struct link *l, size_t n) { l->at += n; }

ptrdiff_t link_write(struct link *l, str bytes)
{
    ssize_t n;
    if (!l->tls) {
        do
            n = send(l->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n >= 0 ? n : errno == EAGAIN ? LINK_AGAIN : LINK_ERROR;
    }
    do
        n = gnutls_record_send(l->tls, bytes.ptr, bytes.len);
    while (n == GNUTLS_E_INTERRUPTED);
    return n >= 0 ? n : n == GNUTLS_E_AGAIN ? LINK_AGAIN : LINK_ERROR;
}

int link_wait(struct link *l, short events, struct link *also, short also_events, int64_t end_ms)
{
    /* One that is waited for in nothing must not wake, again and again, because it is closed. */
    struct pollfd p[3] = { { .fd = events ? l->fd : -1, .events = events },
                           { .fd = l->halt, .events = POLLIN },
                           { .fd = also && also_events ? also->fd : -1, .events = also_events } };
    bool waits = (events & POLLIN && l->tls && gnutls_record_check_pending(l->tls)) ||
                 (also && also_events & POLLIN && also->tls && gnutls_record_check_pending(also->tls));
    for (;;) {
        int64_t left = waits ? 0 : end_ms - clock_ms();
        int n = poll(p, 3, left > 0 ? (int)(left < 3600000 ? left : 3600000) : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || p[1].revents)
            return -1;
        return n > 0 || waits;
    }
}

int link_write_all(struct link *l, str bytes, int64_t end_ms, struct err *e)
{
    while (bytes.len) {
        ptrdiff_t n = link_write(l, bytes);
        if (n == LINK_ERROR)
            return err_set(e, ERR_NETWORK, "write: the connection is gone");
        if (n > 0)
            bytes = str_skip(bytes, (size_t)n);
        else if (link_wait(l, POLLOUT, NULL, 0, end_ms) <= 0)
            return err_set(e, ERR_NETWORK, "write: i/o timeout");
    }
    return 0;
}

static void explain(gnutls_session_t session, int code, struct err *e)
{
    gnutls_datum_t text = { 0 };
    if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(session),
                                                     GNUTLS_CRT_X509, &text, 0) == 0)
        err_set(e, ERR_DENIED, "TLS handshake: %s", (const char *)text.data);
    else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED)
        err_set(e, ERR_NETWORK, "TLS handshake: %s", gnutls_alert_get_name(gnutls_alert_get(session)));
    else
        err_set(e, ERR_NETWORK, "TLS handshake: %s", gnutls_strerror(code));
    gnutls_free(text.data);
}

int link_handshake(struct link *l, gnutls_session_t session, int64_t end_ms, struct err *e)
{
    int r;
    l->tls = session;
    gnutls_transport_set_int(session, l->fd);
    gnutls_handshake_set_timeout(session, 0);
    while ((r = gnutls_handshake(session)) < 0 && !gnutls_error_is_fatal(r)) {
        short want = gnutls_record_get_direction(session) ? POLLOUT : POLLIN;
        if (r == GNUTLS_E_AGAIN && link_wait(l, want, NULL, 0, end_ms) <= 0)
            return err_set(e, ERR_NETWORK, "TLS handshake timeout");
    }
    if (r == GNUTLS_E_SUCCESS)
        return 0;
    explain(session, r, e);
    gnutls_alert_send_appropriate(session, r);
    return -1;
}

bool link_is_http2(const struct link *l)
{
    gnutls_datum_t name;
    return l->tls && gnutls_alpn_get_selected_protocol(l->tls, &name) == 0 && name.size == 2 &&
           !memcmp(name.data, "h2", 2);
}

void link_linger(struct link *l)
{
    int64_t end = clock_ms() + LINGER_MS;
    if (l->tls)
        gnutls_bye(l->tls, GNUTLS_SHUT_WR);
    shutdown(l->fd, SHUT_WR);
    for (size_t sum = 0; sum < LINGER_MAX;) {
        ptrdiff_t n = link_read(l);
        if (n == 0 || n == LINK_ERROR || (n == LINK_AGAIN && link_wait(l, POLLIN, NULL, 0, end) <= 0))
            return;
        sum += n > 0 ? (size_t)n : 0;
        l->at = l->in.len;
    }
}

void link_peer(const struct link *l, char ret[LINK_PEER])
{
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    if (getpeername(l->fd, (struct sockaddr *)&a, &size) < 0 || a.ss_family == AF_UNIX ||
        getnameinfo((struct sockaddr *)&a, size, ret, LINK_PEER, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(ret, LINK_PEER, "unknown");
}
