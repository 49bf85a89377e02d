/* An address becomes listening sockets. */
#include "net/server_internal.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

/* Go's words are the C library's with a small first letter. */
static int bind_error(const char *address, const char *what, int code, struct err *e)
{
    char text[128];
    snprintf(text, sizeof text, "%s", strerror(code));
    text[0] = (char)tolower((unsigned char)text[0]);
    return err_set(e, ERR_IO, "listen tcp %s: %s: %s", address, what, text);
}

/* 0, or an errno with *what naming the call. */
static int open_one(const struct sockaddr *addr, socklen_t len, bool dual, int *ret, const char **what)
{
    int yes = 1, only6 = !dual;
    *what = "socket";
    CLEANUP(close_fdp) int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (addr->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof only6);
    *what = "bind";
    if (bind(fd, addr, len) < 0)
        return errno;
    *what = "listen";
    if (listen(fd, BACKLOG) < 0)
        return errno;
    *ret = fd;
    fd = -1;
    return 0;
}

static void remember(struct server *s, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = { 0 };
    socklen_t len = sizeof at;
    s->listeners[s->listener_count++] = fd;
    if (s->port == 0 && getsockname(fd, &at.any, &len) == 0)
        s->port = ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}

static int listen_all(struct server *s, const char *address, uint16_t port, struct err *e)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    const char *what;
    int fd = -1;
    int code = open_one((const struct sockaddr *)&v6, sizeof v6, true, &fd, &what);
    if (code == EAFNOSUPPORT || code == EADDRNOTAVAIL) /* a machine without IPv6 */
        code = open_one((const struct sockaddr *)&v4, sizeof v4, false, &fd, &what);
    if (code)
        return bind_error(address, what, code, e);
    remember(s, fd);
    return 0;
}

static int listen_named(struct server *s, const char *address, const char *host, const char *port,
                        struct err *e)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    int code = 0;
    const char *what = "bind";

    int r = getaddrinfo(host, port, &hints, &found);
    if (r)
        return err_set(e, ERR_IO, "listen tcp: lookup %s: %s", host,
                       r == EAI_NONAME ? "no such host" : gai_strerror(r));
    for (struct addrinfo *a = found; a && s->listener_count < LISTENERS_MAX; a = a->ai_next) {
        int fd = -1;
        if (a->ai_family == AF_INET) /* port 0 means the same port for all */
            ((struct sockaddr_in *)a->ai_addr)->sin_port = htons((uint16_t)s->port);
        else if (a->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)a->ai_addr)->sin6_port = htons((uint16_t)s->port);
        else
            continue;
        int failed = open_one(a->ai_addr, a->ai_addrlen, false, &fd, &what);
        if (!failed)
            remember(s, fd);
        else if (failed != EAFNOSUPPORT && (failed != EADDRNOTAVAIL || !a->ai_next))
            code = failed; /* "localhost" names ::1 also where there is no IPv6 */
    }
    freeaddrinfo(found);
    if (code || !s->listener_count)
        return bind_error(address, what, code ? code : EADDRNOTAVAIL, e);
    return 0;
}

int server_listen(struct server *s, const char *address, struct err *e)
{
    char host[256];
    uint64_t port = 0;
    str all = str_from(address), name;
    ptrdiff_t colon = str_rfind(all, ':');
    if (colon < 0)
        return err_set(e, ERR_IO, "listen tcp: address %s: missing port in address", address);
    name = str_head(all, (size_t)colon);
    str digits = str_skip(all, (size_t)colon + 1);
    if (digits.len && (!str_to_u64(digits, &port) || port > 65535))
        return err_set(e, ERR_IO, "listen tcp: address " STR_FMT ": invalid port", STR_ARG(digits));
    if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
        name = str_skip(str_head(name, name.len - 1), 1);
    else if (str_find(name, ':') >= 0)
        return err_set(e, ERR_IO, "listen tcp: address %s: too many colons in address", address);
    if (name.len >= sizeof host)
        return err_set(e, ERR_IO, "listen tcp: address %s: host name too long", address);

    s->port = (unsigned)port;
    if (!name.len)
        return listen_all(s, address, (uint16_t)port, e);
    char text[8];
    snprintf(text, sizeof text, "%u", s->port);
    snprintf(host, sizeof host, STR_FMT, STR_ARG(name));
    return listen_named(s, address, host, text, e);
}
