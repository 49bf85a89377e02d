#include "cmd/new_file.h"

#include "base/cleanup.h"
#include "cmd/watch.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void remove_beside(const char *path, const char *ending)
{
    char name[PATH_MAX + 8];
    snprintf(name, sizeof name, "%s%s", path, ending);
    unlink(name);
}

void new_file_done(struct new_file *f)
{
    if (f->temp[0]) {
        remove_beside(f->temp, "");
        remove_beside(f->temp, "-wal");
        remove_beside(f->temp, "-shm");
    }
    watch_freep(&f->watch);
}

/* Another process's WAL would be taken for that of the new file. */
static bool is_in_use(const char *path)
{
    char name[PATH_MAX + 8];
    struct stat st;
    snprintf(name, sizeof name, "%s-wal", path);
    return stat(name, &st) == 0 && st.st_size > 0;
}

bool file_is_same(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int may_replace(const char *path, const char *place, bool force, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(e, "%s", path);
    if (!force)
        return err_set(e, ERR_USAGE, "%s: is there already (--force replaces it)", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_USAGE, "%s: is not a regular file", path);
    if (!store_is_server(place) && file_is_same(path, place))
        return err_set(e, ERR_USAGE, "%s: is the database itself", path);
    return is_in_use(path) ? err_set(e, ERR_BUSY, "%s: is a database in use", path) : 0;
}

int new_file_begin(struct new_file *f, const char *path, const char *place, bool force, struct err *e)
{
    f->path = path;
    if (!*path)
        return err_set(e, ERR_USAGE, "db: FILE is empty");
    if (may_replace(path, place, force, e) < 0)
        return -1;
    int n = snprintf(f->temp, sizeof f->temp, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof f->temp) {
        f->temp[0] = '\0';
        return err_set(e, ERR_USAGE, "%s: too long", path);
    }
    struct watch_options watch = { .what = path, .shows = watch_can_show() };
    mode_t mask = umask(0);
    umask(mask);
    watch_block(&watch.before);
    CLEANUP(close_fdp) int fd = mkostemp(f->temp, O_CLOEXEC);
    int code = errno;
    watch.remove = fd < 0 ? NULL : f->temp;
    f->watch = watch_start(&watch, e);
    if (fd < 0)
        f->temp[0] = '\0';
    if (!f->watch)
        return -1;
    errno = code;
    return fd < 0 || fchmod(fd, 0644 & ~mask) < 0 ? err_errno(e, "%s", path) : 0;
}

/* The folder too: else a power cut might take the name back. */
static int sync_path(const char *path, int flags)
{
    CLEANUP(close_fdp) int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

int new_file_commit(struct new_file *f, struct err *e)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(f->path, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - f->path) + 1, f->path);
    if (sync_path(f->temp, O_RDONLY) < 0 || rename(f->temp, f->path) < 0)
        return err_errno(e, "%s", f->path);
    watch_keep(f->watch); /* first: it looks at the name */
    f->temp[0] = '\0';
    return sync_path(folder, O_RDONLY | O_DIRECTORY) < 0 ? err_errno(e, "%s", folder) : 0;
}
