/* listen_socket.c - an address becomes listening sockets. */
#include "proxy/listen_socket.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 4096

static int bind_error(const struct sockets *s, const char *net, const char *what, int code, struct err *e)
{
    char text[128];
    snprintf(text, sizeof text, "%s", strerror(code));
    text[0] = (char)tolower((unsigned char)text[0]);
    return err_set(e, ERR_IO, "listen %s %s: %s: %s", net, s->address, what, text);
}

static int open_inet(struct sockets *s, const struct addrinfo *a, bool dual, struct err *e)
{
    int yes = 1, only6 = !dual;
    CLEANUP(close_fdp) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return bind_error(s, "tcp", "socket", errno, e);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof only6);
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0)
        return bind_error(s, "tcp", "bind", errno, e);
    if (listen(fd, BACKLOG) < 0)
        return bind_error(s, "tcp", "listen", errno, e);
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    getsockname(fd, (struct sockaddr *)&own, &size);
    s->port = ntohs(own.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&own)->sin6_port
                                              : ((struct sockaddr_in *)&own)->sin_port);
    s->fds[s->count++] = fd;
    fd = -1;
    return 0;
}

static int open_all(struct sockets *s, uint16_t port, struct err *e)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct addrinfo a = { .ai_family = AF_INET6,
                          .ai_addr = (struct sockaddr *)&six,
                          .ai_addrlen = sizeof six };
    struct err six_failed = { 0 };
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0) {
        close(probe);
        if (open_inet(s, &a, true, &six_failed) == 0)
            return 0;
    }
    a = (struct addrinfo){ .ai_family = AF_INET,
                           .ai_addr = (struct sockaddr *)&four,
                           .ai_addrlen = sizeof four };
    return open_inet(s, &a, false, e);
}

static void freeaddrinfop(struct addrinfo **a)
{
    if (*a)
        freeaddrinfo(*a);
}

static int open_tcp(struct sockets *s, struct err *e)
{
    char host[256], port[8];
    str all = str_from(s->address);
    ptrdiff_t colon = str_rfind(all, ':');
    uint64_t number = 0;
    if (colon < 0)
        return err_set(e, ERR_IO, "listen tcp: address %s: missing port in address", s->address);
    str name = str_head(all, (size_t)colon), digits = str_skip(all, (size_t)colon + 1);
    if (digits.len && (!str_to_u64(digits, &number) || number > 65535))
        return err_set(e, ERR_IO, "listen tcp: address " STR_FMT ": invalid port", STR_ARG(digits));
    if (!name.len)
        return open_all(s, (uint16_t)number, e);
    if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
        name = str_skip(str_head(name, name.len - 1), 1);
    snprintf(host, sizeof host, STR_FMT, STR_ARG(str_head(name, 255)));
    snprintf(port, sizeof port, "%u", (unsigned)number);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    CLEANUP(freeaddrinfop) struct addrinfo *list = NULL;
    int r = getaddrinfo(host, port, &hints, &list);
    if (r)
        return err_set(e, ERR_IO, "listen tcp: lookup %s: %s", host, gai_strerror(r));
    return open_inet(s, list, false, e);
}

/* Nobody listens behind a socket that a dead process left. */
static bool is_dead(const struct sockaddr_un *a)
{
    struct stat st;
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return stat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && fd >= 0 &&
           connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 && errno == ECONNREFUSED;
}

static int open_unix(struct sockets *s, const char *path, struct err *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (!*path || strlen(path) >= sizeof a.sun_path)
        return err_set(e, ERR_USAGE, "listen unix %s: the path is empty, or longer than %zu bytes", path,
                       sizeof a.sun_path - 1);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return bind_error(s, "unix", "socket", errno, e);
    if (is_dead(&a))
        unlink(path);
    fchmod(fd, 0); /* nobody comes in before its permissions are set */
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return bind_error(s, "unix", "bind", errno, e);
    s->path = strdup(path);
    if (chmod(path, s->permissions) < 0 || listen(fd, BACKLOG) < 0)
        return bind_error(s, "unix", "listen", errno, e);
    s->fds[s->count++] = fd;
    fd = -1;
    return 0;
}

int sockets_open(struct sockets *s, struct err *e)
{
    bool is_unix = str_starts(str_from(s->address), STR("unix:"));
    return is_unix ? open_unix(s, s->address + 5, e) : open_tcp(s, e);
}

void sockets_close(struct sockets *s)
{
    for (int i = 0; i < s->count; i++)
        close(s->fds[i]);
    if (s->path)
        unlink(s->path);
    s->count = 0;
    free(s->path);
    s->path = NULL;
}
