#include "index/layer.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "codec/pack.h"
#include "detect/detector.h"
#include "index/visit.h"

static int walk_tar(struct stream *plain, unsigned flags, str aliases, struct frame_writer *out,
                    struct err *e)
{
    CLEANUP(visit_freep) struct visit *v = visit_new(out, flags, aliases, e);
    CLEANUP(tar_freep) struct tar *tar = v ? tar_new(plain, NULL, e) : NULL;
    if (!tar)
        return -1;
    struct tar_member m;
    int r;
    while ((r = tar_next(tar, &m, e)) > 0)
        if (visit_member(v, tar, &m, e) < 0)
            return -1;
    return r < 0 ? -1 : visit_end(v, e);
}

/* `top` is the innermost of the streams around the stored bytes. *whole: all stored bytes went through the outer one. */
static int walk_and_drain(struct stream *top, struct stream *outer, unsigned flags, str aliases,
                          struct frame_writer *out, bool *whole, struct err *e)
{
    struct err late = { 0 };
    if (walk_tar(top, flags, aliases, out, e) == 0 && stream_drain(top, e) == 0 &&
        (!outer || stream_drain(outer, e) == 0)) {
        *whole = true;
        return 0;
    }
    *whole = outer && e->kind == ERR_FORMAT && stream_drain(outer, &late) == 0;
    return -1;
}

int layer_walk(struct stream *stored, unsigned flags, str aliases, struct frame_writer *out,
               struct layer_sums *ret, struct err *e)
{
    static const struct inflate_limits limits = LAYER_INFLATE_LIMITS;
    struct helper *helper = cage_helper(out);
    *ret = (struct layer_sums){ 0 };
    CLEANUP(stream_freep)
    struct stream *outer = flags & HASH_STORED ? stream_sha256(stored, helper, e) : NULL;
    if ((flags & HASH_STORED) && !outer)
        return -1;
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(outer ? outer : stored, &limits, NULL, e);
    if (!plain)
        return -1;
    CLEANUP(stream_freep) struct stream *inner = flags & HASH_DIFF ? stream_sha256(plain, helper, e) : NULL;
    if ((flags & HASH_DIFF) && !inner)
        return -1;
    bool whole;
    int r = walk_and_drain(inner ? inner : plain, outer, flags, aliases, out, &whole, e);
    if (outer && whole) {
        stream_sha256_hex(outer, ret->stored);
        ret->size = stream_sha256_size(outer);
    }
    if (inner && r == 0) {
        stream_sha256_hex(inner, ret->diff);
        ret->size = outer ? ret->size : stream_sha256_size(inner);
    }
    return r;
}

static int put_body(struct buf *work, unsigned type, struct frame_writer *out, struct err *e)
{
    if (work->failed)
        return err_set(e, ERR_OOM, "frame");
    int r = frame_put(out, type, buf_view(work), e);
    buf_clear(work);
    return r;
}

int layer_put_entry(const struct layer_entry *x, struct buf *work, struct frame_writer *out, struct err *e)
{
    pack_u64(work, x->kind);
    pack_str(work, x->path);
    pack_str(work, x->target);
    pack_str(work, x->detector);
    pack_str(work, x->distribution.id);
    pack_str(work, x->distribution.version);
    pack_str(work, x->distribution.name);
    pack_str(work, x->distribution.namespace);
    pack_str(work, x->note);
    return put_body(work, INDEX_ENTRY, out, e);
}

int layer_put_found(const struct detected *d, struct buf *work, struct frame_writer *out, struct err *e)
{
    for (size_t i = 0; i < d->package_count; i++) {
        const struct package *p = &d->packages[i];
        const str fields[] = {
            p->kind, p->name, p->version, p->arch, p->source, p->source_version, p->module
        };
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            pack_str(work, fields[k]);
        if (put_body(work, INDEX_PACKAGE, out, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < d->fact_count; i++) {
        pack_str(work, d->facts[i].name);
        pack_str(work, d->facts[i].value);
        if (put_body(work, INDEX_FACT, out, e) < 0)
            return -1;
    }
    return 0;
}

int layer_put_sums(const struct layer_sums *sums, const struct err *failure, struct frame_writer *out,
                   struct err *e)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    pack_str(&b, str_from(sums->stored));
    pack_str(&b, str_from(sums->diff));
    pack_u64(&b, sums->size);
    pack_u64(&b, failure->kind);
    pack_str(&b, failure->kind ? str_from(failure->text) : STR(""));
    return b.failed ? err_set(e, ERR_OOM, "frame") : frame_put(out, INDEX_LAYER, buf_view(&b), e);
}

static int run_layer(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                     struct err *e)
{
    struct layer_sums sums;
    struct err failure = { 0 };
    (void)summary;
    if (!params.len)
        return err_set(e, ERR_INTERNAL, "layer: params");
    layer_walk(in, (unsigned char)params.ptr[0], str_skip(params, 1), out, &sums, &failure);
    return layer_put_sums(&sums, &failure, out, e);
}

const struct cage_task index_layer_task = { .name = "layer", .run = run_layer, .helper = true };
