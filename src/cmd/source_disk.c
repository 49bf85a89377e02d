/* source_disk.c - what is on disk or comes on a pipe: one look at its first bytes tells a list of packages from an image. */
#include "base/cleanup.h"
#include "cmd/scan_source.h"
#include "index/sbom.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PEEK        4096u
#define LIST_MEMORY ((size_t)256 << 20)

/* ---- a pipe, of which the beginning was read ---- */

struct pipe {
    int fd;
    size_t have;
    char head[PEEK], chunk[65536];
};

static ssize_t read_some(int fd, char *to, size_t room)
{
    ssize_t n;
    while ((n = read(fd, to, room)) < 0 && errno == EINTR)
        ;
    return n;
}

static int pipe_read(void *ctx, str *ret, struct err *e)
{
    struct pipe *p = ctx;
    ssize_t n = read_some(p->fd, p->chunk, sizeof p->chunk);
    if (n < 0)
        return err_errno(e, "read");
    *ret = str_of(p->chunk, (size_t)n);
    return n > 0;
}

static void pipe_free(void *ctx)
{
    struct pipe *p = ctx;
    close_fdp(&p->fd);
    free(p);
}

static void pipe_freep(struct pipe **p)
{
    if (*p)
        pipe_free(*p);
}

/* A tar is known by its first block, a list by its first line that says anything; a slow writer is not waited for longer than that. */
static bool is_enough(const struct pipe *p)
{
    size_t i = 0;
    while (i < p->have && strchr(" \t\r\n", p->head[i]))
        i++;
    return p->have == PEEK || (p->have >= 512 && i < p->have && p->head[i] != '#');
}

static int pipe_peek(struct pipe *p, struct err *e)
{
    ssize_t n = 1;
    while (!is_enough(p) && n > 0) {
        n = read_some(p->fd, p->head + p->have, PEEK - p->have);
        if (n < 0)
            return err_errno(e, "read");
        p->have += (size_t)n;
    }
    return p->have ? 0 : err_set(e, ERR_FORMAT, "is empty");
}

/* ---- lists ---- */

static int open_list(const struct scan_session *s, const struct cage_input *in, struct scan_input *input,
                     struct err *e)
{
    input->arena = arena_new(LIST_MEMORY);
    input->list = input->arena ? arena_alloc(input->arena, 1, sizeof *input->list) : NULL;
    if (!input->list)
        return err_set(e, ERR_OOM, "arena");
    return index_sbom(s->cage, in, input->arena, input->list, e);
}

/* ---- either ---- */

enum wanted { ANYTHING, IMAGE, LIST };

static int open_pipe(const struct scan_session *s, int *fd, enum wanted wanted, struct scan_input *input,
                     struct err *e)
{
    CLEANUP(pipe_freep) struct pipe *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_OOM, "pipe");
    p->fd = *fd;
    *fd = -1;
    if (pipe_peek(p, e) < 0)
        return -1;
    if (wanted == LIST || (wanted == ANYTHING && sbom_begins(str_of(p->head, p->have)))) {
        struct cage_input in = { .fd = -1,
                                 .read = pipe_read,
                                 .ctx = p,
                                 .first = str_of(p->head, p->have),
                                 .wait = true,
                                 .wait_fd = p->fd };
        return open_list(s, &in, input, e);
    }
    struct container_giver g = { .read = pipe_read,
                                 .free = pipe_free,
                                 .ctx = p,
                                 .first = str_of(p->head, p->have),
                                 .waits = true,
                                 .wait_fd = p->fd };
    p = NULL;
    input->container = container_from(&g, e);
    return input->container ? container_begin(input->container, s->cage, e) : -1;
}

static int open_file(const struct scan_session *s, const char *path, int fd, const struct stat *st,
                     enum wanted wanted, struct scan_input *input, struct err *e)
{
    char head[PEEK];
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t n = at < 0 ? -1 : pread(fd, head, sizeof head, at);
    if (n < 0)
        return err_errno(e, "read");
    if (wanted == LIST || (wanted == ANYTHING && sbom_begins(str_of(head, (size_t)n)))) {
        struct cage_input in = { .fd = fd, .offset = (uint64_t)at, .size = (uint64_t)(st->st_size - at) };
        return n ? open_list(s, &in, input, e) : err_set(e, ERR_FORMAT, "is empty");
    }
    input->container = container_open(s->cage, path, e);
    return input->container ? 0 : -1;
}

static int open_wanted(const struct scan_session *s, const char *path, enum wanted wanted,
                       struct scan_input *input, struct err *e)
{
    struct stat st;
    CLEANUP(close_fdp)
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG
                   ? err_set(e, ERR_NOT_FOUND, "no such file or folder")
                   : err_set(e, ERR_IO, "%s", strerror(errno));
    if (S_ISREG(st.st_mode))
        return open_file(s, path, fd, &st, wanted, input, e);
    if (!S_ISDIR(st.st_mode))
        return open_pipe(s, &fd, wanted, input, e);
    if (wanted == LIST)
        return err_set(e, ERR_FORMAT, "a folder, not a list of packages");
    input->container = container_open(s->cage, path, e);
    return input->container ? 0 : -1;
}

static int open_disk(const struct scan_session *s, const char *path, bool guessing, struct scan_input *input,
                     struct err *e)
{
    (void)guessing;
    return open_wanted(s, path, ANYTHING, input, e);
}

static int open_sbom(const struct scan_session *s, const char *path, bool guessing, struct scan_input *input,
                     struct err *e)
{
    (void)guessing;
    return open_wanted(s, path, LIST, input, e);
}

/* ---- of one kind only ---- */

static bool holds(struct container *c, const char *name)
{
    struct image_files *f = container_files(c);
    return f->has && f->has(f, str_from(name));
}

/* "PATH", or "PATH:TAG" and "PATH@sha256:..." where that is no path itself. *ret_choice is a view of image. */
static char *split(const char *image, str *ret_choice)
{
    str all = str_from(image);
    ptrdiff_t at = str_find(all, '@');
    *ret_choice = STR("");
    if (access(image, F_OK) == 0)
        return strdup(image);
    if (at <= 0 || !str_starts(str_skip(all, (size_t)at + 1), STR("sha256:")))
        at = str_find(all, ':');
    if (at <= 0)
        return strdup(image);
    *ret_choice = str_skip(all, (size_t)at + 1);
    return strndup(image, (size_t)at);
}

static int open_kind(const struct scan_session *s, const char *image, bool folder, const char *file,
                     const char *what, struct scan_input *input, struct err *e)
{
    str choice;
    CLEANUP(freep) char *path = split(image, &choice);
    if (!path)
        return err_set(e, ERR_OOM, "path");
    if (open_wanted(s, path, IMAGE, input, e) < 0)
        return -1;
    struct container *c = input->container;
    if (container_is_folder(c) != folder || !holds(c, file))
        return err_set(e, ERR_FORMAT, "not %s: %s", what,
                       container_is_folder(c) != folder ? (folder ? "no folder" : "a folder") : file);
    container_files(c)->choice = choice;
    container_files(c)->oci = !strcmp(file, "index.json");
    return 0;
}

#define OPEN(name, folder, file, what)                                                                       \
    static int name(const struct scan_session *s, const char *image, bool guessing,                          \
                    struct scan_input *input, struct err *e)                                                 \
    {                                                                                                        \
        (void)guessing;                                                                                      \
        return open_kind(s, image, folder, file, what, input, e);                                            \
    }
OPEN(open_docker_archive, false, "manifest.json", "an archive of docker save")
OPEN(open_oci_archive, false, "index.json", "an archive of an OCI layout")
OPEN(open_oci, true, "index.json", "an OCI layout")
OPEN(open_aci, false, "manifest", "an ACI")

static int open_dir(const struct scan_session *s, const char *path, bool guessing, struct scan_input *input,
                    struct err *e)
{
    (void)guessing;
    input->container = container_open(s->cage, path, e);
    if (!input->container)
        return -1;
    return container_is_folder(input->container) ? 0 : err_set(e, ERR_FORMAT, "no folder");
}

static int open_rootfs(const struct scan_session *s, const char *path, bool guessing,
                       struct scan_input *input, struct err *e)
{
    (void)s, (void)guessing;
    input->container = container_open_rootfs(path, e);
    return input->container ? 0 : -1;
}

const struct scan_source source_disk = { "disk", "PATH",
                                         "a file or folder of any kind below, or - for standard input", true,
                                         open_disk };
const struct scan_source source_docker_archive = { "docker-archive", "PATH[:TAG]",
                                                   "a file of docker save or podman save", false,
                                                   open_docker_archive };
const struct scan_source source_oci_archive = { "oci-archive", "PATH[:TAG]", "an OCI layout as one file",
                                                false, open_oci_archive };
const struct scan_source source_oci = { "oci", "PATH[:TAG|@DIGEST]", "an OCI layout folder", false,
                                        open_oci };
const struct scan_source source_oci_dir = { "oci-dir", "PATH[:TAG|@DIGEST]", "the same", false, open_oci };
const struct scan_source source_aci = { "aci", "PATH", "an App Container Image", false, open_aci };
const struct scan_source source_dir = { "dir", "PATH", "a folder of skopeo, or a root file system", false,
                                        open_dir };
const struct scan_source source_rootfs = { "rootfs", "PATH", "a root file system", false, open_rootfs };
const struct scan_source source_sbom = { "sbom", "PATH", "CycloneDX or SPDX, in place of an image", false,
                                         open_sbom };
const struct scan_source source_purls = { "purls", "PATH", "package URLs, one a line", false, open_sbom };
