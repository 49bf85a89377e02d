#include "index/spool.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "index/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static const char *folder(void)
{
    const char *path = getenv("TMPDIR");
    return path && *path ? path : "/tmp";
}

int spool_open(struct err *e)
{
    char name[PATH_MAX];
    int fd = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    snprintf(name, sizeof name, "%s/eclair.XXXXXX", folder());
    fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "temporary file in %s", folder());
    unlink(name);
    return fd;
}

static int put(int fd, str bytes, struct err *e)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "temporary file in %s", folder());
        bytes = str_skip(bytes, (size_t)n);
    }
    return 0;
}

int spool_copy(int from, int to, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_fd(from, e);
    str chunk;
    int more = in ? 1 : -1;
    while (more > 0 && (more = stream_next(in, &chunk, e)) > 0)
        if (put(to, chunk, e) < 0)
            return -1;
    return more;
}

bool spool_is_tar(int fd, uint64_t at)
{
    char magic[5];
    return pread(fd, magic, sizeof magic, (off_t)at + 257) == sizeof magic &&
           !memcmp(magic, "ustar", sizeof magic);
}

static int run_inflate(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                       struct err *e)
{
    static const struct inflate_limits limits = LAYER_INFLATE_LIMITS;
    (void)params, (void)summary;
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(in, &limits, NULL, e);
    str chunk;
    int more = plain ? 1 : -1;
    while (more > 0 && (more = stream_next(plain, &chunk, e)) > 0)
        for (; chunk.len; chunk = str_skip(chunk, FRAME_MAX))
            if (frame_put(out, INDEX_CONTENT, str_head(chunk, FRAME_MAX), e) < 0)
                return -1;
    return more;
}

const struct cage_task index_inflate_task = { .name = "inflate", .run = run_inflate };

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    const int *to = ctx;
    if (type != INDEX_CONTENT)
        return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
    return put(*to, body, e);
}

int spool_inflate(struct cage *c, int from, int to, struct err *e)
{
    struct stat st;
    off_t at = lseek(from, 0, SEEK_CUR);
    if (at < 0 || fstat(from, &st) < 0)
        return err_errno(e, "read");
    struct cage_input in = { .fd = from,
                             .offset = (uint64_t)at,
                             .size = st.st_size > at ? (uint64_t)(st.st_size - at) : 0 };
    if (!in.size)
        return err_set(e, ERR_FORMAT, "is empty");
    return cage_run(c, &index_inflate_task, STR(""), &in, on_frame, &to, NULL, e);
}
