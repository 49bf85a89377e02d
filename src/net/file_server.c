#include "net/file_server.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 64u
#define IDLE_S          300u

struct file_server {
    struct MHD_Daemon *daemon;
    const struct file_range *rows;
    size_t count;
    atomic_bool *asked; /* of each row */
    unsigned port;
};

static const struct file_range *find(const struct file_server *s, const char *path)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->rows[i].path, str_from(path)))
            return &s->rows[i];
    return NULL;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    enum MHD_Result queued = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result send_range(struct MHD_Connection *c, const struct file_range *row)
{
    int fd = fcntl(row->fd, F_DUPFD_CLOEXEC, 3); /* the response closes it */
    struct MHD_Response *r =
        fd < 0 ? NULL : MHD_create_response_from_fd_at_offset64(row->size, fd, row->offset);
    if (!r) {
        close_fdp(&fd);
        return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR);
    }
    enum MHD_Result queued = MHD_NO;
    if (MHD_add_response_header(r, "Content-Type", "application/x-tar") == MHD_YES)
        queued = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *path, const char *method,
                              const char *version, const char *body, size_t *body_size, void **state)
{
    static char seen;
    (void)version, (void)body;
    if (!*state) { /* the head alone: answer at the second call */
        *state = &seen;
        return MHD_YES;
    }
    if (*body_size) {
        *body_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET"))
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED);
    const struct file_range *row = find(ctx, path);
    if (row)
        atomic_store(&((struct file_server *)ctx)->asked[row - ((struct file_server *)ctx)->rows], true);
    return row ? send_range(c, row) : refuse(c, MHD_HTTP_NOT_FOUND);
}

static int bind_to(int family, unsigned port, struct err *e)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    bool is_six = family == AF_INET6;
    int off = 0, on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (!is_six || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0) &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four,
             is_six ? sizeof six : sizeof four) == 0 &&
        listen(fd, (int)CONNECTIONS_MAX) == 0)
        return fd;
    int code = errno;
    close_fdp(&fd);
    err_set(e, code == EADDRINUSE ? ERR_BUSY : ERR_IO, "listen on port %u: %s", port, strerror(code));
    return -1;
}

/* A machine may have no IPv6. */
static int listen_on(unsigned port, struct err *e)
{
    struct err first = { 0 };
    int fd = bind_to(AF_INET6, port, &first);
    if (fd < 0 && first.kind == ERR_BUSY)
        *e = first;
    return fd < 0 && first.kind != ERR_BUSY ? bind_to(AF_INET, port, e) : fd;
}

static int find_port(struct file_server *s, int fd, struct err *e)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } a;
    socklen_t size = sizeof a;
    if (getsockname(fd, &a.any, &size) < 0)
        return err_errno(e, "getsockname");
    s->port = ntohs(a.any.sa_family == AF_INET6 ? a.six.sin6_port : a.four.sin_port);
    return 0;
}

static int start(struct file_server *s, unsigned port, struct err *e)
{
    CLEANUP(close_fdp) int fd = listen_on(port, e);
    if (fd < 0 || find_port(s, fd, e) < 0)
        return -1;
    s->daemon = MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, s,
                                 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                                 MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_END);
    if (!s->daemon)
        return err_set(e, ERR_IO, "serve on port %u: %s", port, strerror(errno));
    fd = -1; /* the daemon's now */
    return 0;
}

struct file_server *file_server_new(unsigned port, const struct file_range *rows, size_t count, struct err *e)
{
    struct file_server *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_OOM, "file server");
        return NULL;
    }
    s->rows = rows, s->count = count;
    s->asked = calloc(count + 1, sizeof *s->asked);
    if (!s->asked || start(s, port, e) < 0)
        file_server_freep(&s);
    return s;
}

bool file_server_was_asked(struct file_server *s, str path)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->rows[i].path, path) && atomic_load(&s->asked[i]))
            return true;
    return false;
}

unsigned file_server_port(const struct file_server *s) { return s->port; }

void file_server_freep(struct file_server **s)
{
    if (*s && (*s)->daemon)
        MHD_stop_daemon((*s)->daemon);
    if (*s)
        free((*s)->asked);
    free(*s);
    *s = NULL;
}
