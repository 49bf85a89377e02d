#include "keys/jwk_file.h"

#include "base/cleanup.h"
#include "keys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>

#define TEXT_MAX ((size_t)128 << 10)

int jwk_folder_make(const char *path, struct err *e)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : err_errno(e, "%s", path);
}

static void wipe(struct buf *b)
{
    if (b->ptr)
        explicit_bzero(b->ptr, b->len);
    buf_done(b);
}

int jwk_file_read(const char *path, struct jwt_key **ret, struct err *e)
{
    CLEANUP(wipe) struct buf text = { .max = TEXT_MAX };
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(e, "%s", path);
    if (buf_read_file(&text, path, e) < 0)
        return -1;
    struct jwt_key *k = jwt_key_read_jwk(buf_view(&text), e);
    if (k && !jwt_key_is_private(k)) {
        jwt_key_freep(&k);
        err_set(e, ERR_FORMAT, "a public key: a private one is wanted");
    }
    if (!k)
        return err_wrap(e, "%s", path);
    key_file_warn(path, &st);
    *ret = k;
    return 1;
}

static int write_all(const char *path, int fd, str text, struct err *e)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "%s", path);
        text = str_skip(text, n < 0 ? 0 : (size_t)n);
    }
    return fsync(fd) < 0 ? err_errno(e, "%s", path) : 0;
}

int jwk_file_write(const char *path, const struct jwt_key *k, struct err *e)
{
    CLEANUP(wipe) struct buf text = { 0 };
    CLEANUP(freep) char *part = NULL;
    if (jwt_key_put_jwk(k, true, &text, e) < 0)
        return -1;
    if (asprintf(&part, "%s.part", path) < 0)
        return err_set(e, ERR_OOM, "out of memory");
    unlink(part);
    CLEANUP(close_fdp) int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, "%s", part);
    if (write_all(part, fd, buf_view(&text), e) == 0 && jwk_file_rename(part, path, e) == 0)
        return 0;
    unlink(part);
    return -1;
}

int jwk_file_rename(const char *from, const char *to, struct err *e)
{
    if (rename(from, to) < 0)
        return err_errno(e, "%s", to);
    CLEANUP(freep) char *copy = strdup(to);
    CLEANUP(close_fdp) int folder = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder >= 0)
        fsync(folder); /* what does not come through is there as well as before */
    return 0;
}
