#include "codec/stream.h"
#include "base/cleanup.h"
#include "codec/sha256.h"

#include <errno.h>

/* A chunk should stay in L2 from its hash to its inflation. Measured: 64 to 512 KiB differ by less than 1 %. */
#define READ_SIZE      ((size_t)128 << 10)
#define WORTH_A_THREAD ((size_t)8 << 10) /* below that waking it costs more than hashing */
#define MEM_CHUNK      ((size_t)64 << 10)
#define PEEK_SIZE      4096
#define PAGE_ALIGN     4096

void stream_freep(struct stream **s)
{
    if (*s)
        (*s)->free(*s);
    *s = NULL;
}

static void plain_free(struct stream *s) { free(s); }

static void *no_memory(struct err *e)
{
    err_set(e, ERR_OOM, "out of memory");
    return NULL;
}

struct fd_stream {
    struct stream s;
    int fd;
    int failed; /* errno of the first failure */
    char *buf;
};

static int fd_next(struct stream *s, str *ret, struct err *e)
{
    struct fd_stream *f = (struct fd_stream *)s;
    ssize_t n = -1;
    while (!f->failed && (n = read(f->fd, f->buf, READ_SIZE)) < 0)
        f->failed = errno == EINTR ? 0 : errno;
    if (f->failed) {
        errno = f->failed;
        return err_errno(e, "read");
    }
    if (n == 0)
        return 0;
    *ret = str_of(f->buf, (size_t)n);
    return 1;
}

static void fd_free(struct stream *s)
{
    free(((struct fd_stream *)s)->buf);
    free(s);
}

struct stream *stream_from_fd(int fd, struct err *e)
{
    struct fd_stream *f = calloc(1, sizeof *f);
    char *buf = aligned_alloc(PAGE_ALIGN, READ_SIZE);
    if (!f || !buf) {
        free(f);
        free(buf);
        return no_memory(e);
    }
    *f = (struct fd_stream){ .s = { fd_next, fd_free }, .fd = fd, .buf = buf };
    return &f->s;
}

struct mem_stream {
    struct stream s;
    str rest;
};

static int mem_next(struct stream *s, str *ret, struct err *e)
{
    struct mem_stream *m = (struct mem_stream *)s;
    if (!m->rest.len)
        return 0;
    *ret = str_head(m->rest, MEM_CHUNK);
    m->rest = str_skip(m->rest, MEM_CHUNK);
    return 1;
}

struct stream *stream_from_mem(str bytes, struct err *e)
{
    struct mem_stream *m = calloc(1, sizeof *m);
    if (!m)
        return no_memory(e);
    *m = (struct mem_stream){ .s = { mem_next, plain_free }, .rest = bytes };
    return &m->s;
}

struct tap {
    struct stream s;
    struct stream *in;
    struct sha256 *sum; /* NULL once the input has ended */
    struct helper *helper;
    str hashing; /* the chunk that the helper has */
    uint64_t size;
    char hex[65]; /* empty until then: equal to no digest */
};

static void hash_chunk(void *ctx)
{
    struct tap *t = ctx;
    sha256_add(t->sum, t->hashing.ptr, t->hashing.len);
}

static void hash(struct tap *t, str chunk)
{
    t->hashing = chunk;
    if (t->helper && chunk.len >= WORTH_A_THREAD)
        helper_start(t->helper, hash_chunk, t);
    else
        hash_chunk(t);
}

static void wait_for_hash(struct tap *t)
{
    if (t->helper)
        helper_wait(t->helper);
}

static int tap_next(struct stream *s, str *ret, struct err *e)
{
    struct tap *t = (struct tap *)s;
    if (!t->sum)
        return 0;
    str chunk;
    if (!t->in->keeps)
        wait_for_hash(t);
    int r = stream_next(t->in, &chunk, e);
    wait_for_hash(t);
    if (r > 0) {
        hash(t, chunk);
        t->size += chunk.len;
        *ret = chunk;
    } else if (r == 0) {
        sha256_hex(t->sum, t->hex);
        sha256_freep(&t->sum);
    }
    return r;
}

static void tap_free(struct stream *s)
{
    wait_for_hash((struct tap *)s);
    sha256_freep(&((struct tap *)s)->sum);
    free(s);
}

struct stream *stream_sha256(struct stream *in, struct helper *helper, struct err *e)
{
    struct sha256 *sum = sha256_new(e);
    if (!sum)
        return NULL;
    struct tap *t = calloc(1, sizeof *t);
    if (!t) {
        sha256_freep(&sum);
        return no_memory(e);
    }
    *t = (struct tap){ .s = { tap_next, tap_free, in->keeps }, .in = in, .sum = sum, .helper = helper };
    return &t->s;
}

void stream_sha256_hex(struct stream *tap, char ret[65]) { memcpy(ret, ((struct tap *)tap)->hex, 65); }

uint64_t stream_sha256_size(const struct stream *tap) { return ((const struct tap *)tap)->size; }

int stream_drain(struct stream *s, struct err *e)
{
    str chunk;
    int r;
    while ((r = stream_next(s, &chunk, e)) > 0)
        ;
    return r;
}

struct peekable {
    struct stream s;
    struct stream *in;
    str head; /* peeked, not yet given: either in `buf` or a chunk of `in` */
    str tail; /* what follows it in the current chunk of `in` */
    char buf[PEEK_SIZE];
};

static int peek_next(struct stream *s, str *ret, struct err *e)
{
    struct peekable *p = (struct peekable *)s;
    str *from = p->head.len ? &p->head : &p->tail;
    if (!from->len)
        return stream_next(p->in, ret, e);
    *ret = *from;
    *from = (str){ 0 };
    return 1;
}

int stream_peek(struct stream *peekable, size_t n, str *ret, struct err *e)
{
    struct peekable *p = (struct peekable *)peekable;
    if (n > PEEK_SIZE)
        return err_set(e, ERR_INTERNAL, "peek at %zu bytes", n);
    if (!p->head.len) {
        p->head = p->tail;
        p->tail = (str){ 0 };
    }
    while (p->head.len < n) {
        memmove(p->buf, p->head.ptr ? p->head.ptr : p->buf, p->head.len);
        p->head.ptr = p->buf;
        int r = p->tail.len ? 1 : stream_next(p->in, &p->tail, e);
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        str more = str_head(p->tail, PEEK_SIZE - p->head.len);
        memcpy(p->buf + p->head.len, more.ptr, more.len);
        p->head.len += more.len;
        p->tail = str_skip(p->tail, more.len);
    }
    *ret = p->head;
    return 0;
}

struct stream *stream_peekable(struct stream *in, struct err *e)
{
    struct peekable *p = calloc(1, sizeof *p);
    if (!p)
        return no_memory(e);
    p->s = (struct stream){ peek_next, plain_free };
    p->in = in;
    return &p->s;
}
