#include "cmd/output.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static int write_all(int fd, str bytes)
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

/* A device or pipe has no name to give late. */
static int write_special(const char *path, str bytes, struct err *e)
{
    CLEANUP(close_fdp) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write_all(fd, bytes) < 0 ? err_errno(e, "--output %s", path) : 0;
}

static int write_file(const char *path, str bytes, struct err *e)
{
    char temp[4200];
    if (snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= (int)sizeof temp)
        return err_set(e, ERR_USAGE, "--output: the name is too long");
    CLEANUP(close_fdp) int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "--output %s", path);
    mode_t mask = umask(0);
    umask(mask);
    if (write_all(fd, bytes) < 0 || fchmod(fd, 0666 & ~mask) < 0 || fsync(fd) < 0 || rename(temp, path) < 0) {
        err_errno(e, "--output %s", path);
        unlink(temp);
        return -1;
    }
    return 0;
}

int output_write(const char *path, str bytes, struct err *e)
{
    struct stat st;
    if (!path || !strcmp(path, "-"))
        return write_all(STDOUT_FILENO, bytes) < 0 ? err_errno(e, "write to standard output") : 0;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(e, ERR_USAGE, "--output %s: is a folder", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return write_special(path, bytes, e);
    return write_file(path, bytes, e);
}
