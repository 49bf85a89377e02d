#include "index/container.h"
#include "base/cleanup.h"
#include "codec/pack.h"
#include "index/archive.h"
#include "index/rootfs.h"
#include "index/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CONTENT_MAX ((size_t)64 << 20) /* of all small files of one archive */
#define HOPS_MAX    8

struct member {
    struct archive_member m;
    struct buf content; /* STREAM: of a small file */
    bool is_content;
    struct layer_builder *layer; /* STREAM: of anything else */
};

struct container {
    struct image_files files;
    enum container_kind kind;
    struct arena *arena;
    int fd;                /* of the archive or the folder */
    uint64_t start, size;  /* of the archive in its file; of a pipe: how much of it was read */
    struct strmap members; /* path -> struct member */
    bool sparse;           /* a member is */
    bool seekable;         /* STREAM: it can be read again */
    struct member *current;
    size_t content;
    struct rootfs *rootfs;
    struct image_remote *remote;
    struct container_giver giver; /* .read NULL: there is a descriptor */
    bool begun;
};

static int no_memory(const struct container *c, struct err *e)
{
    return arena_failed(c->arena)
               ? err_set(e, ERR_LIMIT, "more than %zu MiB of package data", LAYER_MEMORY_MAX >> 20)
               : err_set(e, ERR_OOM, "archive");
}

static struct member *new_member(struct container *c, str body, struct err *e)
{
    struct member *x = arena_alloc(c->arena, 1, sizeof *x);
    if (!x || archive_member_read(body, &x->m, e) < 0)
        goto failed;
    x->m.path = arena_dup(c->arena, x->m.path);
    x->m.link = arena_dup(c->arena, x->m.link);
    void **place = strmap_at(&c->members, x->m.path);
    if (arena_failed(c->arena) || !place)
        goto failed;
    struct member *old = *place; /* replaced by the later member of the same path */
    if (old && old->layer)
        layer_builder_done(old->layer);
    if (old)
        buf_done(&old->content);
    *place = x;
    c->sparse |= x->m.sparse;
    return x;
failed:
    if (!e->kind)
        no_memory(c, e);
    return NULL;
}

static int on_content(struct container *c, str body, struct err *e)
{
    struct member *x = c->current;
    if (!x || x->layer || (c->content += body.len) > CONTENT_MAX)
        return err_set(e, ERR_LIMIT, "more than %zu bytes of small files", CONTENT_MAX);
    x->is_content = true;
    buf_str(&x->content, body);
    return x->content.failed ? err_set(e, ERR_OOM, "archive") : 0;
}

static int on_layer(struct container *c, unsigned type, str body, struct err *e)
{
    struct member *x = c->current;
    if (!x || x->is_content)
        return err_set(e, ERR_CAGE, "worker sent a layer of no member");
    if (!x->layer) {
        x->layer = arena_alloc(c->arena, 1, sizeof *x->layer);
        if (!x->layer)
            return no_memory(c, e);
        x->layer->arena = c->arena;
    }
    return layer_builder_frame(x->layer, type, body, e);
}

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    struct container *c = ctx;
    if (type == INDEX_MEMBER)
        return (c->current = new_member(c, body, e)) ? 0 : -1;
    return type == INDEX_CONTENT ? on_content(c, body, e) : on_layer(c, type, body, e);
}

/* ---- archives ---- */

static int read_fd(void *ctx, str *ret, struct err *e)
{
    static _Thread_local char chunk[65536];
    struct container *c = ctx;
    ssize_t n;
    while ((n = read(c->fd, chunk, sizeof chunk)) < 0 && errno == EINTR)
        ;
    if (n < 0)
        return err_errno(e, "read");
    c->size += (uint64_t)n;
    *ret = str_of(chunk, (size_t)n);
    return n > 0;
}

static int read_giver(void *ctx, str *ret, struct err *e)
{
    struct container *c = ctx;
    int r = c->giver.read(c->giver.ctx, ret, e);
    c->size += r > 0 ? ret->len : 0;
    return r;
}

static bool is_tar(const struct container *c) /* a tar says so in its first header; a pipe cannot be asked */
{
    char magic[5];
    return pread(c->fd, magic, sizeof magic, (off_t)c->start + 257) == sizeof magic &&
           !memcmp(magic, "ustar", sizeof magic);
}

static int list_archive(struct container *c, struct cage *cage, struct err *e)
{
    CLEANUP(buf_done) struct buf params = { 0 };
    pack_u64(&params, c->size);
    c->kind = CONTAINER_ARCHIVE;
    struct cage_input in = { .fd = c->fd, .offset = c->start, .size = c->size };
    return cage_run(cage, &index_list_task, buf_view(&params), &in, on_frame, c, NULL, e);
}

static int stream_archive(struct container *c, struct cage *cage, bool seekable, str aliases, struct err *e)
{
    c->kind = CONTAINER_STREAM;
    c->seekable = seekable;
    struct cage_input in = { .fd = c->fd, .offset = c->start, .size = c->size };
    if (!seekable)
        in = (struct cage_input){ .fd = -1, .read = read_fd, .ctx = c, .wait = true, .wait_fd = c->fd };
    return cage_run(cage, &index_stream_task, aliases, &in, on_frame, c, NULL, e);
}

static int stream_given(struct container *c, struct cage *cage, str aliases, struct err *e)
{
    struct container_giver *g = &c->giver;
    struct cage_input in = {
        .fd = -1, .read = read_giver, .ctx = c, .first = g->first, .wait = g->waits, .wait_fd = g->wait_fd
    };
    if (g->open && g->open(g->ctx, e) < 0)
        return -1;
    c->size = g->first.len;
    int r = cage_run(cage, &index_stream_task, aliases, &in, on_frame, c, NULL, e);
    if (g->close)
        g->close(g->ctx);
    return r;
}

/* Standard input may already have been read in part: a file begins where its descriptor stands. */
static int open_archive(struct container *c, struct cage *cage, const struct stat *st, struct err *e)
{
    bool seekable = S_ISREG(st->st_mode);
    off_t at = seekable ? lseek(c->fd, 0, SEEK_CUR) : 0;
    if (at < 0)
        return err_errno(e, "lseek");
    c->start = (uint64_t)at;
    c->size = seekable && st->st_size > at ? (uint64_t)(st->st_size - at) : 0;
    if (seekable && !c->size)
        return err_set(e, ERR_FORMAT, "is empty");
    bool plain = seekable && is_tar(c);
    if (plain && list_archive(c, cage, e) < 0)
        return -1;
    /* Sparse members are not in the file as they are; the stream gives every member again. */
    if ((!plain || c->sparse) && stream_archive(c, cage, seekable, STR(""), e) < 0)
        return -1;
    return c->size ? 0 : err_set(e, ERR_FORMAT, "is empty");
}

/* A symbolic link is seen from its own folder, a hard link from the top. */
static str link_target(const struct archive_member *m, struct arena *arena)
{
    if (m->type == TAR_HARDLINK || str_starts(m->link, STR("/")))
        return m->link;
    str parent = str_head(m->path, (size_t)(str_rfind(m->path, '/') + 1));
    return arena_printf(arena, STR_FMT STR_FMT, STR_ARG(parent), STR_ARG(m->link));
}

/* The member that a path leads to, links followed; NULL if there is none. */
static struct member *find(const struct container *c, str path, struct arena *arena)
{
    for (unsigned hops = 0; hops < HOPS_MAX; hops++) {
        char normal[PATH_MAX]; /* "/a/./b/../c" is "a/c", without ever leaving the archive */
        struct member *x = strmap_get(&c->members, path_join(STR(""), path, normal));
        if (!x || (x->m.type != TAR_SYMLINK && x->m.type != TAR_HARDLINK))
            return x && x->m.type == TAR_FILE ? x : NULL;
        path = link_target(&x->m, arena);
    }
    return NULL;
}

static int read_range(int fd, uint64_t offset, uint64_t size, str path, struct arena *arena, str *ret,
                      struct err *e)
{
    if (size > IMAGE_FILE_MAX)
        return err_set(e, ERR_LIMIT, STR_FMT ": %llu bytes, more than the %zu that are read of such a file",
                       STR_ARG(path), (unsigned long long)size, IMAGE_FILE_MAX);
    char *to = arena_alloc(arena, (size_t)size + 1, 1);
    if (!to)
        return err_set(e, ERR_OOM, STR_FMT, STR_ARG(path));
    for (size_t have = 0; have < size;) {
        ssize_t n = pread(fd, to + have, (size_t)size - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_errno(e, STR_FMT, STR_ARG(path))
                         : err_set(e, ERR_IO, STR_FMT ": became shorter", STR_ARG(path));
        have += (size_t)n;
    }
    *ret = str_of(to, (size_t)size);
    return 1;
}

static int read_member(struct image_files *f, str path, struct arena *arena, str *ret, struct err *e)
{
    struct container *c = (struct container *)f;
    struct member *x = find(c, path, arena);
    if (!x)
        return arena_failed(arena) ? err_set(e, ERR_OOM, STR_FMT, STR_ARG(path)) : 0;
    if (c->kind == CONTAINER_ARCHIVE)
        return read_range(c->fd, c->start + x->m.offset, x->m.size, path, arena, ret, e);
    if (!x->is_content)
        return err_set(e, ERR_FORMAT, STR_FMT ": not JSON", STR_ARG(path));
    *ret = buf_view(&x->content);
    return 1;
}

static bool has_member(struct image_files *f, str path)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    return !arena || find((struct container *)f, path, arena);
}

/* ---- folders ---- */

static int open_beneath(const struct container *c, str path, struct stat *st, struct err *e)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    CLEANUP(freep) char *z = strndup(path.ptr, path.len);
    int fd = z ? (int)syscall(SYS_openat2, c->fd, z, &how, sizeof how) : -1;
    if (fd < 0 || fstat(fd, st) < 0) {
        err_errno(e, STR_FMT, STR_ARG(path));
        close_fdp(&fd);
    } else if (!S_ISREG(st->st_mode)) {
        err_set(e, ERR_FORMAT, STR_FMT ": not a regular file", STR_ARG(path));
        close_fdp(&fd);
    }
    return fd;
}

static int read_beneath(struct image_files *f, str path, struct arena *arena, str *ret, struct err *e)
{
    struct stat st;
    struct err none = { 0 };
    CLEANUP(close_fdp) int fd = open_beneath((struct container *)f, path, &st, &none);
    if (fd < 0) {
        if (none.kind == ERR_NOT_FOUND)
            return 0;
        *e = none;
        return -1;
    }
    return read_range(fd, 0, (uint64_t)st.st_size, path, arena, ret, e);
}

static bool has(const struct container *c, const char *name) { return faccessat(c->fd, name, F_OK, 0) == 0; }

static int open_folder(struct container *c, struct err *e)
{
    bool named = has(c, "index.json") || has(c, "manifest.json");
    if (named && (has(c, "blobs") || !has(c, "etc"))) { /* a root file system may hold such a file too */
        c->kind = CONTAINER_FOLDER;
        return 0;
    }
    if (!has(c, "etc") && !has(c, "usr") && !has(c, "var") && !has(c, "lib") && !has(c, "bin"))
        return err_set(e, ERR_FORMAT,
                       "not an image: neither index.json nor manifest.json nor a root file system in it");
    c->kind = CONTAINER_ROOTFS;
    return 0;
}

static bool has_beneath(struct image_files *f, str path)
{
    struct stat st;
    struct err none = { 0 };
    CLEANUP(close_fdp) int fd = open_beneath((struct container *)f, path, &st, &none);
    return fd >= 0 || none.kind != ERR_NOT_FOUND;
}

/* ---- the face ---- */

static int open_path(struct container *c, struct cage *cage, const char *path, struct err *e)
{
    struct stat st;
    c->arena = arena_new(LAYER_MEMORY_MAX);
    if (!c->arena)
        return err_set(e, ERR_OOM, "arena");
    c->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (c->fd < 0 || fstat(c->fd, &st) < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", strerror(errno));
    bool folder = S_ISDIR(st.st_mode);
    c->files.read = folder ? read_beneath : read_member;
    c->files.has = folder ? has_beneath : has_member;
    return folder ? open_folder(c, e) : open_archive(c, cage, &st, e);
}

struct container *container_open(struct cage *cage, const char *path, struct err *e)
{
    struct container *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_OOM, "container");
        return NULL;
    }
    c->fd = -1;
    if (open_path(c, cage, path, e) < 0)
        container_freep(&c);
    return c;
}

struct container *container_of_remote(struct image_remote *r, struct err *e)
{
    struct container *c = calloc(1, sizeof *c);
    if (!c) {
        r->free(r);
        err_set(e, ERR_OOM, "container");
        return NULL;
    }
    c->fd = -1;
    c->kind = CONTAINER_REMOTE;
    c->remote = r;
    return c;
}

struct container *container_open_rootfs(const char *path, struct err *e)
{
    struct container *c = calloc(1, sizeof *c);
    if (!c || !(c->arena = arena_new(LAYER_MEMORY_MAX))) {
        err_set(e, ERR_OOM, "container");
        free(c);
        return NULL;
    }
    c->kind = CONTAINER_ROOTFS;
    c->fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (c->fd >= 0)
        return c;
    err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", strerror(errno));
    container_freep(&c);
    return NULL;
}

struct container *container_from(const struct container_giver *g, struct err *e)
{
    struct container *c = calloc(1, sizeof *c);
    struct arena *arena = arena_new(LAYER_MEMORY_MAX);
    if (!c || !arena) {
        err_set(e, ERR_OOM, "container");
        arena_freep(&arena);
        free(c);
        g->free(g->ctx);
        return NULL;
    }
    *c = (struct container){ .kind = CONTAINER_STREAM, .arena = arena, .fd = -1, .giver = *g };
    c->giver.key = arena_dup(arena, g->key);
    c->seekable = g->again;
    c->files.read = read_member;
    c->files.has = has_member;
    return c;
}

int container_begin(struct container *c, struct cage *cage, struct err *e)
{
    if (!c->giver.read || c->begun)
        return 0;
    if (stream_given(c, cage, STR(""), e) < 0)
        return -1;
    c->begun = true;
    return c->size ? 0 : err_set(e, ERR_FORMAT, "is empty");
}

str container_key(const struct container *c) { return c->begun ? STR("") : c->giver.key; }

static void forget_members(struct container *c)
{
    for (size_t i = 0; i < c->members.cap; i++) {
        struct member *x = c->members.slots[i].value;
        if (x && x->layer)
            layer_builder_done(x->layer);
        if (x)
            buf_done(&x->content);
    }
    strmap_done(&c->members);
    c->members = (struct strmap){ 0 };
    c->current = NULL;
    c->content = 0;
}

void container_freep(struct container **cp)
{
    struct container *c = *cp;
    if (!c)
        return;
    forget_members(c);
    if (c->rootfs)
        rootfs_close(c->rootfs);
    if (c->remote)
        c->remote->free(c->remote);
    if (c->giver.free)
        c->giver.free(c->giver.ctx);
    close_fdp(&c->fd);
    arena_freep(&c->arena);
    free(c);
    *cp = NULL;
}

enum container_kind container_kind(const struct container *c) { return c->kind; }

struct image_files *container_files(struct container *c) { return c->remote ? &c->remote->files : &c->files; }

int container_transfer(const struct container *c, const struct image_layer *l, struct container_transfer *t,
                       struct cage_input *ret, struct err *e)
{
    t->remote = c->remote;
    t->transfer = c->remote->open(c->remote, l, e);
    *ret = (struct cage_input){ .fd = -1, .read = c->remote->read, .ctx = t->transfer };
    return t->transfer ? 0 : -1;
}

void container_stop(struct container *c, const atomic_bool *stop)
{
    if (c->remote)
        c->remote->stop = stop;
}

void container_transfer_done(struct container_transfer *t)
{
    if (t->transfer)
        t->remote->close(t->transfer);
    t->transfer = NULL;
}

bool container_is_folder(const struct container *c)
{
    return c->kind == CONTAINER_FOLDER || c->kind == CONTAINER_ROOTFS;
}

int container_layer(const struct container *c, str path, int *fd, uint64_t *offset, uint64_t *size,
                    struct err *e)
{
    if (c->kind == CONTAINER_FOLDER) {
        struct stat st;
        if ((*fd = open_beneath(c, path, &st, e)) < 0)
            return -1;
        *offset = 0, *size = (uint64_t)st.st_size;
        return 0;
    }
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct member *x = arena ? find(c, path, arena) : NULL;
    if (!x)
        return err_set(e, ERR_NOT_FOUND, STR_FMT ": not in the archive", STR_ARG(path));
    *fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
    *offset = c->start + x->m.offset, *size = x->m.size;
    return *fd < 0 ? err_errno(e, STR_FMT, STR_ARG(path)) : 0;
}

int container_whole(const struct container *c, struct cage_input *ret, struct err *e)
{
    struct stat st;
    if (c->fd < 0 || fstat(c->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_UNSUPPORTED, "an ACI is read from a file, not from a pipe");
    *ret = (struct cage_input){ .fd = c->fd, .offset = c->start, .size = (uint64_t)st.st_size - c->start };
    return 0;
}

const struct layer_builder *container_read_layer(const struct container *c, str path)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct member *x = arena ? find(c, path, arena) : NULL;
    return x ? x->layer : NULL;
}

int container_look_again(struct container *c, struct cage *cage, str aliases, struct err *e)
{
    if (c->kind != CONTAINER_STREAM || !c->seekable)
        return 0;
    forget_members(c);
    int r = c->giver.read ? stream_given(c, cage, aliases, e) : stream_archive(c, cage, true, aliases, e);
    return r < 0 ? -1 : 1;
}

int container_rootfs(struct container *c, struct cage_input *ret, struct err *e)
{
    if (c->kind != CONTAINER_ROOTFS)
        return err_set(e, ERR_INTERNAL, "not a root file system");
    if (c->rootfs)
        rootfs_close(c->rootfs);
    c->rootfs = rootfs_open(c->fd, c->arena, e);
    if (!c->rootfs)
        return arena_failed(c->arena) ? no_memory(c, e) : -1;
    *ret = (struct cage_input){ .fd = -1, .read = rootfs_read, .ctx = c->rootfs };
    return 0;
}
