/* bundle_part.c - the records of one source, read in the cage. */
#include "base/cleanup.h"
#include "cage/cage.h"
#include "codec/inflate.h"
#include "codec/pack.h"
#include "feed/bundle.h"
#include "feed/want.h"

static const struct inflate_limits part_limits = {
    .max_out = UINT64_C(32) << 30, .max_ratio = 1000, .ratio_from = 64 << 20, .max_window = 8 << 20
};

struct reader {
    struct stream *in;
    str chunk;
    uint64_t at;     /* bytes given */
    struct buf body; /* of the record */
    uint64_t documents, advisories;
};

static int bad(const struct reader *r, const char *what, struct err *e)
{
    return err_set(e, ERR_FORMAT, "byte %llu: %s", (unsigned long long)r->at, what);
}

/* 1, 0 the end, -1 */
static int more(struct reader *r, struct err *e)
{
    return r->chunk.len ? 1 : stream_next(r->in, &r->chunk, e);
}

/* LEB128, as pack_u64() writes it. 1, 0 the end before it, -1. */
static int read_number(struct reader *r, uint64_t *ret, struct err *e)
{
    *ret = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        int got = more(r, e);
        if (got <= 0)
            return got < 0 ? -1 : shift ? bad(r, "it ends within a record", e) : 0;
        uint8_t byte = (uint8_t)*r->chunk.ptr;
        r->chunk = str_skip(r->chunk, 1);
        r->at++;
        *ret |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return 1;
    }
    return bad(r, "a number is too long", e);
}

static int read_body(struct reader *r, uint64_t len, struct err *e)
{
    buf_clear(&r->body);
    while (r->body.len < len) {
        int got = more(r, e);
        if (got <= 0)
            return got < 0 ? -1 : bad(r, "it ends within a record", e);
        str part = str_head(r->chunk, (size_t)len - r->body.len);
        buf_str(&r->body, part);
        if (r->body.failed)
            return err_set(e, ERR_OOM, "out of memory");
        r->chunk = str_skip(r->chunk, part.len);
        r->at += part.len;
    }
    return 0;
}

static int check_end(struct reader *r, struct err *e)
{
    struct unpack u = { .rest = buf_view(&r->body) };
    uint64_t documents = unpack_u64(&u), advisories = unpack_u64(&u);
    if (!unpack_end(&u) || documents != r->documents || advisories != r->advisories)
        return bad(r, "the counts at its end do not fit", e);
    int got = more(r, e);
    return got > 0 ? bad(r, "bytes follow the end", e) : got;
}

/* 1 there is more, 0 it was the end, -1 */
static int read_record(struct reader *r, bundle_on_record *on, void *ctx, struct err *e)
{
    uint64_t type, len;
    int got = read_number(r, &type, e);
    if (got > 0)
        got = read_number(r, &len, e);
    if (got <= 0)
        return got < 0 ? -1 : bad(r, "it ends without an end", e);
    if (type < BUNDLE_DOCUMENT || type > BUNDLE_END)
        return bad(r, "an unknown record", e);
    if (len > FRAME_MAX)
        return bad(r, "a record is too long", e);
    if (read_body(r, len, e) < 0)
        return -1;
    if (type == BUNDLE_END)
        return check_end(r, e);
    if (type == BUNDLE_DOCUMENT && (r->advisories || ++r->documents > WANTS_MAX))
        return bad(r, r->advisories ? "a document behind advisories" : "too many documents", e);
    r->advisories += type == BUNDLE_ADVISORY;
    return on(ctx, (enum bundle_record)type, buf_view(&r->body), e) < 0 ? -1 : 1;
}

int bundle_part_read(struct stream *in, bundle_on_record *on, void *ctx, struct err *e)
{
    struct reader r = { .in = in, .body = { .max = 2 * FRAME_MAX } };
    int more_records;
    while ((more_records = read_record(&r, on, ctx, e)) > 0)
        ;
    buf_done(&r.body);
    return more_records;
}

/* ---- the caged side ---- */

static int put_record(void *ctx, enum bundle_record type, str body, struct err *e)
{
    return frame_put(ctx, FRAME_TASK + type, body, e);
}

static int run(str params, struct stream *in, struct frame_writer *out, struct buf *summary, struct err *e)
{
    (void)params, (void)summary;
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(in, &part_limits, NULL, e);
    return plain && bundle_part_read(plain, put_record, out, e) == 0 ? stream_drain(plain, e) : -1;
}

const struct cage_task bundle_task = { .name = "bundle", .run = run };
