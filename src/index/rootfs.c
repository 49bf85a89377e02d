#include "index/rootfs.h"
#include "base/cleanup.h"
#include "detect/detector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CHUNK     ((size_t)64 << 10)
#define FILES_MAX 100000

struct rootfs {
    int folder, fd; /* fd: the file being given, -1 = none */
    struct arena *arena;
    str *paths;
    size_t count, cap, at;
    uint64_t left, padding; /* of the file being given */
    bool ended;
    char chunk[CHUNK];
};

static int open_inside(int folder, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

static int add(struct rootfs *r, str path, struct err *e)
{
    if (r->count >= FILES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d files of package databases", FILES_MAX);
    str *more = arena_grow(r->arena, r->paths, r->count, &r->cap, sizeof *more);
    if (!more)
        return err_set(e, ERR_OOM, "rootfs");
    r->paths = more;
    more[r->count++] = arena_dup(r->arena, path);
    return 0;
}

static int by_name(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

/* Patterns have at most one "*", as their last component. */
static int add_folder(struct rootfs *r, str pattern, struct err *e)
{
    str parent = str_head(pattern, (size_t)str_rfind(pattern, '/'));
    char *path = arena_cstr(r->arena, parent);
    int fd = path ? open_inside(r->folder, path, O_DIRECTORY) : -1;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        close_fdp(&fd);
        return 0;
    }
    size_t first = r->count;
    int result = 0;
    for (struct dirent *f; result == 0 && (f = readdir(d));) {
        str name = arena_printf(r->arena, STR_FMT "/%s", STR_ARG(parent), f->d_name);
        if (f->d_name[0] != '.' && detector_for(name))
            result = add(r, name, e);
    }
    closedir(d);
    if (r->count > first)
        qsort(r->paths + first, r->count - first, sizeof *r->paths, by_name);
    return result;
}

struct rootfs *rootfs_open(int folder, struct arena *arena, struct err *e)
{
    struct rootfs *r = arena_alloc(arena, 1, sizeof *r);
    if (!r) {
        err_set(e, ERR_OOM, "rootfs");
        return NULL;
    }
    r->folder = folder, r->fd = -1, r->arena = arena;
    for (size_t i = 0; detectors[i]; i++) {
        str rest = str_from(detectors[i]->paths);
        for (str pattern; (pattern = str_word(&rest)).len;)
            if ((str_find(pattern, '*') < 0 ? add(r, pattern, e) : add_folder(r, pattern, e)) < 0)
                return NULL;
    }
    return r;
}

/* A ustar header (POSIX.1-2017 pax, "ustar Interchange Format"); every wanted path fits its 100 bytes or is skipped. */
static void header(char h[512], str path, uint64_t size)
{
    memset(h, 0, 512);
    memcpy(h, path.ptr, path.len);
    memcpy(h + 100, "0000644", 7);
    memcpy(h + 108, "0000000", 7);
    memcpy(h + 116, "0000000", 7);
    snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
    memcpy(h + 136, "00000000000", 11);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
}

/* Opens the next file that is there; false when none is left. */
static bool next_file(struct rootfs *r)
{
    for (; r->at < r->count; r->at++) {
        struct stat st;
        char *path = arena_cstr(r->arena, r->paths[r->at]);
        close_fdp(&r->fd);
        r->fd = path && r->paths[r->at].len <= 100 ? open_inside(r->folder, path, 0) : -1;
        if (r->fd < 0 || fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > 077777777777)
            continue;
        r->left = (uint64_t)st.st_size;
        r->padding = (512 - r->left % 512) % 512;
        return true;
    }
    return false;
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

int rootfs_read(void *rootfs, str *ret, struct err *e)
{
    struct rootfs *r = rootfs;
    if (r->left)
        return content(r, ret, e);
    if (r->padding) {
        memset(r->chunk, 0, r->padding);
        *ret = str_of(r->chunk, (size_t)r->padding);
        r->padding = 0;
        return 1;
    }
    if (next_file(r)) {
        header(r->chunk, r->paths[r->at++], r->left);
        *ret = str_of(r->chunk, 512);
        return 1;
    }
    if (r->ended)
        return 0;
    r->ended = true;
    memset(r->chunk, 0, 1024);
    *ret = str_of(r->chunk, 1024);
    return 1;
}

void rootfs_close(struct rootfs *r) { close_fdp(&r->fd); }
