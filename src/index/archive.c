#include "index/archive.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "codec/pack.h"
#include "image/manifest.h"
#include "index/layer.h"

#define MEMBERS_MAX 100000

static int put_member(const struct tar_member *m, struct frame_writer *out, struct err *e)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    pack_u64(&b, m->type);
    pack_str(&b, m->path);
    pack_str(&b, m->link);
    pack_u64(&b, m->offset);
    pack_u64(&b, m->size);
    pack_u64(&b, m->sparse);
    return b.failed ? err_set(e, ERR_OOM, "frame") : frame_put(out, INDEX_MEMBER, buf_view(&b), e);
}

int archive_member_read(str body, struct archive_member *ret, struct err *e)
{
    struct unpack u = { .rest = body, .max_str = 8192 };
    ret->type = (enum tar_type)unpack_u64(&u);
    ret->path = unpack_str(&u);
    ret->link = unpack_str(&u);
    ret->offset = unpack_u64(&u);
    ret->size = unpack_u64(&u);
    ret->sparse = unpack_u64(&u);
    return unpack_end(&u) && ret->type <= TAR_OTHER ? 0 : err_set(e, ERR_CAGE, "worker sent a bad member");
}

/* ---- list: hops from header to header ---- */

#define HOP 4096u

struct hop_stream { /* the input from `at` on, fetched piece by piece */
    struct stream base;
    struct frame_writer *out;
    uint64_t at, size;
    char piece[HOP];
};

static int hop_next(struct stream *s, str *ret, struct err *e)
{
    struct hop_stream *h = (struct hop_stream *)s;
    size_t n = h->size - h->at < HOP ? (size_t)(h->size - h->at) : HOP;
    if (!n)
        return 0;
    if (cage_want(h->out, h->at, n, h->piece, e) < 0)
        return -1;
    h->at += n;
    *ret = str_of(h->piece, n);
    return 1;
}

/* One member whose header stands at *at: 1, 0 end, -1. Moves *at behind its content. */
static int hop(struct frame_writer *out, uint64_t *at, uint64_t size, struct err *e)
{
    struct hop_stream h = { .base = { .next = hop_next }, .out = out, .at = *at, .size = size };
    struct tar_limits limits = { .start = *at, .leave_rest = true };
    CLEANUP(tar_freep) struct tar *tar = tar_new(&h.base, &limits, e);
    struct tar_member m;
    uint64_t end;
    int r = tar ? tar_next(tar, &m, e) : -1;
    if (r <= 0)
        return r;
    if (__builtin_add_overflow(m.offset, m.stored, &end) || end > size)
        return err_set(e, ERR_FORMAT,
                       STR_FMT
                       ": needs %llu bytes at byte %llu, but the archive ends at byte %llu (truncated)",
                       STR_ARG(m.path), (unsigned long long)m.stored, (unsigned long long)m.offset,
                       (unsigned long long)size);
    *at = (end + 511) & ~(uint64_t)511;
    return put_member(&m, out, e) < 0 ? -1 : 1;
}

static int run_list(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                    struct err *e)
{
    struct unpack u = { .rest = params };
    uint64_t at = 0, size = unpack_u64(&u);
    (void)in, (void)summary;
    if (!unpack_end(&u))
        return err_set(e, ERR_INTERNAL, "list: params");
    for (unsigned members = 0; at < size; members++) {
        if (members >= MEMBERS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d members in an image archive", MEMBERS_MAX);
        int r = hop(out, &at, size, e);
        if (r <= 0)
            return r;
    }
    return 0;
}

const struct cage_task index_list_task = { .name = "list", .run = run_list, .random_access = true };

/* ---- stream: one pass, layers as they come ---- */

static int put_content(struct stream *in, struct frame_writer *out, struct err *e)
{
    str chunk;
    int r;
    while ((r = stream_next(in, &chunk, e)) > 0)
        for (; chunk.len; chunk = str_skip(chunk, FRAME_MAX))
            if (frame_put(out, INDEX_CONTENT, str_head(chunk, FRAME_MAX), e) < 0)
                return -1;
    return r;
}

#define PEEK 4096 /* what a stream can be peeked at */

/* One of the image's own small files, rather than a layer: a tar's first member may have a name like "[". */
static bool begins_json(str head)
{
    if (tar_begins(head))
        return false;
    while (head.len && memchr(" \t\r\n", head.ptr[0], 4))
        head = str_skip(head, 1);
    return head.len && (head.ptr[0] == '{' || head.ptr[0] == '[');
}

/* What does not begin like JSON may be a layer. */
static int stream_file(struct tar *tar, const struct tar_member *m, str aliases, struct frame_writer *out,
                       struct err *e)
{
    uint64_t size = m->size;
    str head = { 0 };
    struct err failure = { 0 };
    CLEANUP(stream_freep) struct stream *content = tar_stream(tar, e);
    CLEANUP(stream_freep) struct stream *in = content ? stream_peekable(content, e) : NULL;
    if (!in)
        return -1;
    if (stream_peek(in, PEEK, &head, &failure) == 0 && size <= IMAGE_FILE_MAX && begins_json(head))
        return put_content(in, out, e);
    struct layer_sums sums = { 0 };
    if (!failure.kind)
        layer_walk(in, HASH_STORED | HASH_DIFF, aliases, out, &sums, &failure);
    /* when the archive itself is broken, the next step over it says so */
    return layer_put_sums(&sums, &failure, out, e);
}

static int run_stream(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                      struct err *e)
{
    static const struct inflate_limits limits = LAYER_INFLATE_LIMITS;
    static const struct tar_limits members = { .max_members = MEMBERS_MAX };
    (void)summary;
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(in, &limits, NULL, e);
    CLEANUP(tar_freep) struct tar *tar = plain ? tar_new(plain, &members, e) : NULL;
    if (!tar)
        return -1;
    struct tar_member m;
    int r;
    while ((r = tar_next(tar, &m, e)) > 0)
        if (put_member(&m, out, e) < 0 || (m.type == TAR_FILE && stream_file(tar, &m, params, out, e) < 0))
            return -1;
    return r < 0 ? -1 : stream_drain(plain, e);
}

const struct cage_task index_stream_task = { .name = "stream", .run = run_stream, .helper = true };
