#include "cmd/output.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define HOPS_MAX 40 /* as Linux (path_resolution(7)) */

int output_all(int fd, str bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = str_skip(bytes, (size_t)n);
    }
    return 0;
}

struct place {
    char path[PATH_MAX]; /* without a link as its last component */
    size_t parent;       /* bytes of it up to the last "/" */
    bool special;        /* it has no name to give late: a device, a pipe, somebody's open file */
};

/* Links there lead to open files, not to names. */
static bool is_kernels(const char *path)
{
    return !strncmp(path, "/dev/fd/", 8) || !strncmp(path, "/proc/", 6);
}

static size_t parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* One link further: 1, 0 it is none, -1. By hand and not with realpath(3), for the target may not exist yet. */
static int follow(struct place *p)
{
    char target[PATH_MAX], *to = p->path;
    ssize_t n = readlink(p->path, target, sizeof target);
    if (n < 0)
        return 0;
    size_t parent = target[0] == '/' ? 0 : p->parent;
    errno = ENAMETOOLONG;
    if ((size_t)n >= sizeof p->path - parent)
        return -1;
    memcpy(to + parent, target, (size_t)n);
    to[parent + (size_t)n] = '\0';
    p->parent = parent_of(to);
    return 1;
}

static int follow_all(const char *path, struct place *ret)
{
    errno = *path ? ENAMETOOLONG : ENOENT;
    if (!*path || strlen(path) >= sizeof ret->path)
        return -1;
    memcpy(ret->path, path, strlen(path) + 1);
    ret->parent = parent_of(path);
    for (unsigned hops = 0; hops < HOPS_MAX; hops++) {
        struct place next = *ret;
        int r = follow(&next);
        ret->special = r > 0 && is_kernels(ret->path);
        if (r <= 0 || ret->special)
            return r < 0 ? -1 : 0;
        *ret = next;
    }
    errno = ELOOP;
    return -1;
}

static int find_place(const char *option, const char *path, struct place *ret, struct err *e)
{
    struct stat st;
    if (follow_all(path, ret) < 0)
        return err_errno(e, "%s %s", option, path);
    int r = stat(ret->path, &st);
    if (r < 0 && (errno != ENOENT || ret->special))
        return err_errno(e, "%s %s", option, path);
    if (r == 0 && S_ISDIR(st.st_mode))
        return err_set(e, ERR_USAGE, "%s %s: is a folder", option, path);
    ret->special |= r == 0 && !S_ISREG(st.st_mode);
    return 0;
}

static bool is_standard(const char *path) { return !path || !strcmp(path, "-"); }

int output_check(const char *option, const char *path, struct err *e)
{
    struct place p;
    char folder[PATH_MAX + 2];
    if (is_standard(path))
        return 0;
    if (find_place(option, path, &p, e) < 0)
        return -1;
    snprintf(folder, sizeof folder, "%.*s.", (int)p.parent, p.path);
    if (p.special ? access(p.path, W_OK) < 0 : access(folder, W_OK | X_OK) < 0)
        return err_errno(e, "%s %s", option, path);
    return 0;
}

/* Behind what is already there, if it is the file of a ">>". */
static int write_special(const char *path, str bytes)
{
    CLEANUP(close_fdp) int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? -1 : output_all(fd, bytes);
}

static int fill(int fd, str bytes)
{
    mode_t mask = umask(0);
    umask(mask);
    return output_all(fd, bytes) == 0 && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0 ? 0 : -1;
}

static void temp_name(const struct place *p, const char *ending, char ret[PATH_MAX + 64])
{
    snprintf(ret, PATH_MAX + 64, "%.*s.eclair.%s", (int)p->parent, p->path, ending);
}

/* A file without a name until all is in it: whoever kills us leaves nothing. 0, -1, or 1: that cannot be done there. */
static int write_nameless(const struct place *p, str bytes)
{
    char name[PATH_MAX + 64], number[32], from[64];
    snprintf(name, sizeof name, "%.*s.", (int)p->parent, p->path);
    CLEANUP(close_fdp) int fd = open(name, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return 1;
    if (fill(fd, bytes) < 0)
        return -1;
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    snprintf(number, sizeof number, "%ld", (long)getpid());
    temp_name(p, number, name);
    unlink(name); /* of somebody who had this number, and was killed right here */
    if (linkat(AT_FDCWD, from, AT_FDCWD, name, AT_SYMLINK_FOLLOW) < 0)
        return 1;
    if (rename(name, p->path) == 0)
        return 0;
    int code = errno;
    unlink(name);
    errno = code;
    return -1;
}

static int write_named(const struct place *p, str bytes)
{
    char temp[PATH_MAX + 64];
    temp_name(p, "XXXXXX", temp);
    CLEANUP(close_fdp) int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fill(fd, bytes) == 0 && rename(temp, p->path) == 0)
        return 0;
    int code = errno;
    unlink(temp);
    errno = code;
    return -1;
}

/* A signal that would end us waits until the file has its name, or none. */
static int write_file(const struct place *p, str bytes)
{
    sigset_t ending, before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, &before);
    int r = write_nameless(p, bytes);
    r = r > 0 ? write_named(p, bytes) : r;
    int code = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return r;
}

void output_end_if_closed(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    sigset_t pipe_too;
    if (poll(&out, 1, 0) != 1 || !(out.revents & POLLERR))
        return;
    signal(SIGPIPE, SIG_DFL); /* the cage has it ignored */
    sigemptyset(&pipe_too);
    sigaddset(&pipe_too, SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &pipe_too, NULL);
    raise(SIGPIPE);
}

static int write_standard(str bytes, struct err *e)
{
    if (output_all(STDOUT_FILENO, bytes) == 0)
        return 0;
    int code = errno;
    output_end_if_closed();
    errno = code;
    return err_errno(e, "write to standard output");
}

int output_write(const char *option, const char *path, str bytes, struct err *e)
{
    struct place p;
    if (is_standard(path))
        return write_standard(bytes, e);
    if (find_place(option, path, &p, e) < 0)
        return -1;
    if ((p.special ? write_special(p.path, bytes) : write_file(&p, bytes)) < 0)
        return err_errno(e, "%s %s", option, path);
    return 0;
}
