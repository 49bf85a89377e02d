#include "index/rootfs.h"
#include "base/cleanup.h"
#include "detect/detector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CHUNK     ((size_t)64 << 10)
#define FILES_MAX 100000
#define BLOCK     512
#define FIELD     100 /* bytes of a path or link in a ustar header; longer ones travel in front of it */

struct rootfs {
    int folder, fd; /* fd: the file being given, -1 = none */
    struct arena *arena;
    str *paths;
    size_t count, cap, at;
    uint64_t left, padding; /* of the file being given */
    bool ended;
    char chunk[CHUNK];
};

/* ---- finding ---- */

struct place {
    str path; /* as asked for; of a link that leads nowhere: where that link stands */
    str link; /* its target as written */
    struct stat st;
};

/* EAGAIN: something was renamed or mounted meanwhile, so that ".." could not be trusted (openat2(2)). */
static int open_inside(const struct rootfs *r, str path, int flags)
{
    char z[PATH_MAX];
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    errno = ENAMETOOLONG;
    if (path.len >= sizeof z)
        return -1;
    memcpy(z, path.ptr, path.len);
    z[path.len] = '\0';
    int fd = -1;
    for (unsigned tries = 0; tries < 100; tries++) {
        fd = (int)syscall(SYS_openat2, r->folder, z, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd;
}

static bool is_absent(int code) { return code == ENOENT || code == ENOTDIR; }

static int read_link(struct rootfs *r, int fd, struct place *ret, struct err *e)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(fd, "", target, sizeof target);
    if (n < 0)
        return err_errno(e, STR_FMT, STR_ARG(ret->path));
    ret->link = arena_dup(r->arena, str_of(target, (size_t)n));
    return ret->link.len ? 1 : err_set(e, ERR_OOM, "rootfs");
}

/* One step towards a path that cannot be opened: 1 this is a link that leads nowhere, or no folder, 0 go on, -1.
 * *absent: no need to. */
static int look_at_step(struct rootfs *r, struct place *ret, bool *absent, struct err *e)
{
    CLEANUP(close_fdp) int fd = open_inside(r, ret->path, O_PATH | O_NOFOLLOW);
    *absent = fd < 0 && is_absent(errno);
    if (*absent)
        return 0;
    if (fd < 0 || fstat(fd, &ret->st) < 0)
        return err_errno(e, STR_FMT, STR_ARG(ret->path));
    if (!S_ISLNK(ret->st.st_mode))
        return !S_ISDIR(ret->st.st_mode);
    CLEANUP(close_fdp) int target = open_inside(r, ret->path, O_PATH);
    if (target >= 0)
        return 0;
    if (!is_absent(errno) && errno != ELOOP)
        return err_errno(e, STR_FMT, STR_ARG(ret->path));
    return read_link(r, fd, ret, e);
}

/* What stands at a path, links followed: 1, 0 nothing (and no link is to blame), -1. */
static int look(struct rootfs *r, str path, struct place *ret, struct err *e)
{
    *ret = (struct place){ .path = path };
    CLEANUP(close_fdp) int fd = open_inside(r, path, O_PATH);
    if (fd >= 0 && fstat(fd, &ret->st) == 0)
        return 1;
    if (fd >= 0 || (!is_absent(errno) && errno != ELOOP))
        return err_errno(e, STR_FMT, STR_ARG(path));
    for (size_t n = 1; n <= path.len; n++) {
        bool absent;
        if (n < path.len && path.ptr[n] != '/')
            continue;
        ret->path = str_head(path, n);
        int found = look_at_step(r, ret, &absent, e);
        if (found || absent)
            return found;
    }
    return 0;
}

/* ---- the list of wanted files ---- */

static int add(struct rootfs *r, str path, struct err *e)
{
    if (r->count >= FILES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d files of package databases", FILES_MAX);
    str *more = arena_grow(r->arena, r->paths, r->count, &r->cap, sizeof *more);
    str copy = arena_dup(r->arena, path);
    if (!more || !copy.ptr)
        return err_set(e, ERR_OOM, "rootfs");
    r->paths = more;
    more[r->count++] = copy;
    return 0;
}

static int by_name(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

/* The names in a folder, each with the rest of the pattern. */
static int add_entries(struct rootfs *r, DIR *d, str folder, str rest, struct err *e)
{
    char path[PATH_MAX];
    size_t first = r->count;
    struct dirent *f;
    for (errno = 0; (f = readdir(d)); errno = 0) {
        int n = snprintf(path, sizeof path, STR_FMT "/%s" STR_FMT, STR_ARG(folder), f->d_name, STR_ARG(rest));
        bool real = strcmp(f->d_name, ".") && strcmp(f->d_name, "..");
        if (real && detector_for(str_of(path, (size_t)n)) && add(r, str_of(path, (size_t)n), e) < 0)
            return -1;
    }
    if (errno)
        return err_errno(e, STR_FMT, STR_ARG(folder));
    if (r->count > first)
        qsort(r->paths + first, r->count - first, sizeof *r->paths, by_name);
    return 0;
}

/* A pattern has at most one "*", for a file ("status.d/" and any name) or a folder (any name and "/desc"). */
static int add_folder(struct rootfs *r, str pattern, struct err *e)
{
    struct place p;
    size_t star = (size_t)str_find(pattern, '*');
    str folder = str_head(pattern, (size_t)str_rfind(str_head(pattern, star), '/'));
    ptrdiff_t slash = str_find(str_skip(pattern, star), '/');
    str rest = slash < 0 ? STR("") : str_skip(pattern, star + (size_t)slash);
    int found = look(r, folder, &p, e);
    if (found <= 0)
        return found;
    if (p.link.len || !S_ISDIR(p.st.st_mode))
        return add(r, folder, e); /* what stands there is given when its turn comes */
    int fd = open_inside(r, folder, O_RDONLY | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        err_errno(e, STR_FMT, STR_ARG(folder));
        close_fdp(&fd);
        return -1;
    }
    int result = add_entries(r, d, folder, rest, e);
    closedir(d);
    return result;
}

static int add_wanted(struct rootfs *r, const struct detector *d, struct err *e)
{
    str rest = str_from(d->paths);
    for (str pattern; (pattern = str_word(&rest)).len;) {
        if (str_find(pattern, '*') >= 0 ? add_folder(r, pattern, e) < 0 : add(r, pattern, e) < 0)
            return -1;
        str beside = d->beside ? arena_printf(r->arena, STR_FMT "%s", STR_ARG(pattern), d->beside) : STR("");
        if (beside.len && add(r, beside, e) < 0)
            return -1;
    }
    return 0;
}

struct rootfs *rootfs_open(int folder, struct arena *arena, struct err *e)
{
    struct rootfs *r = arena_alloc(arena, 1, sizeof *r);
    if (!r) {
        err_set(e, ERR_OOM, "rootfs");
        return NULL;
    }
    r->folder = folder, r->fd = -1, r->arena = arena;
    CLEANUP(close_fdp) int root = open_inside(r, STR("."), O_PATH);
    if (root < 0) {
        err_errno(e, "openat2 (Linux 5.6 and later), without which no folder can be read safely");
        return NULL;
    }
    for (size_t i = 0; detectors[i]; i++)
        if (add_wanted(r, detectors[i], e) < 0)
            return NULL;
    return r;
}

/* ---- the tar ---- */

static char type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return '0';
    case S_IFLNK:
        return '2';
    case S_IFCHR:
        return '3';
    case S_IFBLK:
        return '4';
    case S_IFDIR:
        return '5';
    default:
        return '6';
    }
}

/* A ustar header (POSIX.1-2017 pax, "ustar Interchange Format") into zeroed bytes; the size is at most DETECT_FILE_MAX. */
static void header(char h[BLOCK], char type, str path, str link, uint64_t size)
{
    memcpy(h, path.ptr, str_head(path, FIELD).len);
    memcpy(h + 100, "0000644", 7);
    memcpy(h + 108, "0000000", 7);
    memcpy(h + 116, "0000000", 7);
    snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
    memcpy(h + 136, "00000000000", 11);
    memset(h + 148, ' ', 8);
    h[156] = type;
    if (link.len)
        memcpy(h + 157, link.ptr, str_head(link, FIELD).len);
    memcpy(h + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
}

static size_t padding_of(uint64_t n) { return (size_t)(-n % BLOCK); }

/* What does not fit its field is the content of a member in front (GNU tar manual, "Basic Tar Format"). Gives the bytes written. */
static size_t long_name(char *to, char type, str name)
{
    if (name.len <= FIELD)
        return 0;
    header(to, type, STR("././@LongLink"), STR(""), name.len + 1);
    memcpy(to + BLOCK, name.ptr, name.len);
    return BLOCK + name.len + 1 + padding_of(name.len + 1);
}

static str headers(struct rootfs *r, const struct place *p)
{
    _Static_assert(CHUNK > 3 * BLOCK + 2 * (PATH_MAX + BLOCK), "two long names and three headers");
    memset(r->chunk, 0, CHUNK);
    size_t n = long_name(r->chunk, 'L', p->path);
    n += long_name(r->chunk + n, 'K', p->link);
    header(r->chunk + n, type_of(p->st.st_mode), p->path, p->link, r->left);
    return str_of(r->chunk, n + BLOCK);
}

static int open_file(struct rootfs *r, struct place *p, struct err *e)
{
    const struct detector *d = detector_for(p->path);
    d = d ? d : detector_beside(p->path);
    if (!d)
        return 0; /* that it is there is all that counts */
    r->fd = open_inside(r, p->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (r->fd < 0 || fstat(r->fd, &p->st) < 0)
        return err_errno(e, STR_FMT, STR_ARG(p->path));
    if (!S_ISREG(p->st.st_mode))
        return err_set(e, ERR_IO, STR_FMT ": was replaced while it was read", STR_ARG(p->path));
    if (p->st.st_size > DETECT_FILE_MAX)
        return err_set(e, ERR_FILE_LIMIT, STR_FMT ": %llu bytes, more than the %u that are read of one file",
                       STR_ARG(p->path), (unsigned long long)p->st.st_size, DETECT_FILE_MAX);
    r->left = (uint64_t)p->st.st_size;
    r->padding = padding_of(r->left);
    return 0;
}

static int next_file(struct rootfs *r, str *ret, struct err *e)
{
    struct place p;
    int found = 0;
    close_fdp(&r->fd);
    while (!found && r->at < r->count)
        found = look(r, r->paths[r->at++], &p, e);
    if (found > 0 && S_ISREG(p.st.st_mode) && open_file(r, &p, e) < 0)
        return -1;
    if (found > 0)
        *ret = headers(r, &p);
    return found;
}

static int content(struct rootfs *r, str *ret, struct err *e)
{
    str path = r->paths[r->at - 1];
    ssize_t n = read(r->fd, r->chunk, r->left < CHUNK ? (size_t)r->left : CHUNK);
    if (n < 0)
        return err_errno(e, STR_FMT, STR_ARG(path));
    if (n == 0)
        return err_set(e, ERR_IO, STR_FMT ": became shorter while it was read", STR_ARG(path));
    r->left -= (uint64_t)n;
    *ret = str_of(r->chunk, (size_t)n);
    return 1;
}

static int zeroes(struct rootfs *r, size_t n, str *ret)
{
    memset(r->chunk, 0, n);
    *ret = str_of(r->chunk, n);
    return 1;
}

int rootfs_read(void *rootfs, str *ret, struct err *e)
{
    struct rootfs *r = rootfs;
    if (r->left)
        return content(r, ret, e);
    if (r->padding) {
        size_t n = (size_t)r->padding;
        r->padding = 0;
        return zeroes(r, n, ret);
    }
    int found = next_file(r, ret, e);
    if (found || r->ended)
        return found;
    r->ended = true;
    return zeroes(r, 2 * (size_t)BLOCK, ret);
}

void rootfs_close(struct rootfs *r) { close_fdp(&r->fd); }
