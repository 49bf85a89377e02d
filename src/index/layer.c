#include "index/layer.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "codec/pack.h"
#include "detect/detector.h"
#include "image/tar.h"
#include "index/walk.h"

#define ENTRIES_MAX  100000
#define PACKAGES_MAX 100000

/* ---- the worker's side ---- */

struct visit {
    struct frame_writer *out;
    struct buf body;    /* of the frame being made */
    struct buf content; /* of the wanted file being read */
    size_t entries;
    bool below_rootfs;
};

static void visit_done(struct visit *w)
{
    buf_done(&w->body);
    buf_done(&w->content);
}

static int put_body(struct visit *w, unsigned type, struct err *e)
{
    if (w->body.failed)
        return err_set(e, ERR_OOM, "frame");
    int r = frame_put(w->out, type, buf_view(&w->body), e);
    buf_clear(&w->body);
    return r;
}

static int put_entry(struct visit *w, const struct layer_entry *x, struct err *e)
{
    if (++w->entries > ENTRIES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d files, links and whiteouts that concern package databases",
                       ENTRIES_MAX);
    pack_u64(&w->body, x->kind);
    pack_str(&w->body, x->path);
    pack_str(&w->body, x->target);
    pack_str(&w->body, x->detector);
    pack_str(&w->body, x->distribution.id);
    pack_str(&w->body, x->distribution.version);
    pack_str(&w->body, x->distribution.name);
    pack_str(&w->body, x->distribution.namespace);
    pack_str(&w->body, x->note);
    return put_body(w, INDEX_ENTRY, e);
}

static int put_packages(struct visit *w, const struct detected *d, struct err *e)
{
    for (size_t i = 0; i < d->package_count; i++) {
        const struct package *p = &d->packages[i];
        const str fields[] = {
            p->kind, p->name, p->version, p->arch, p->source, p->source_version, p->module
        };
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            pack_str(&w->body, fields[k]);
        if (put_body(w, INDEX_PACKAGE, e) < 0)
            return -1;
    }
    return 0;
}

static int read_wanted(struct visit *w, struct tar *tar, const struct tar_member *m, struct err *e)
{
    str chunk;
    int r;
    if (m->size > DETECT_FILE_MAX)
        return err_set(e, ERR_FILE_LIMIT, "%llu bytes, more than the %u that are read of one file",
                       (unsigned long long)m->size, DETECT_FILE_MAX);
    buf_clear(&w->content);
    if (m->size)
        buf_reserve(&w->content, (size_t)m->size);
    while ((r = tar_chunk(tar, &chunk, e)) > 0)
        buf_str(&w->content, chunk);
    if (r == 0 && w->content.failed)
        return err_set(e, ERR_OOM, "no memory for its %llu bytes", (unsigned long long)m->size);
    return r;
}

/* Most wanted files are small and rare, but a package database can be large: its memory is given back. */
static void trim_content(struct visit *w)
{
    if (w->content.cap > ((size_t)1 << 20))
        buf_done(&w->content);
}

static int wanted_file(struct visit *w, struct tar *tar, const struct tar_member *m, const struct detector *d,
                       struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct detected found = { .arena = arena };
    struct layer_entry x = { .kind = ENTRY_FILE, .path = m->path, .detector = str_from(d->name) };
    if (!arena)
        return err_set(e, ERR_OOM, "arena");
    CLEANUP(freep)
    char *path = strndup(m->path.ptr, m->path.len); /* the member's views end with its first chunk */
    x.path.ptr = path;
    if (!path)
        return err_set(e, ERR_OOM, "path");
    struct detect_file file = { .path = x.path };
    int read = d->unreadable ? 0 : read_wanted(w, tar, m, e);
    file.content = buf_view(&w->content);
    if (read < 0 || (!d->unreadable && d->scan(&file, &found, e) < 0))
        return err_wrap(e, STR_FMT, STR_ARG(x.path));
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, STR_FMT, STR_ARG(x.path));
    x.distribution = found.distribution;
    x.note = found.note;
    if (put_entry(w, &x, e) < 0 || put_packages(w, &found, e) < 0)
        return -1;
    trim_content(w);
    return 0;
}

static str base_of(str path) { return str_skip(path, (size_t)(str_rfind(path, '/') + 1)); }

/* ".wh." names: OCI image-spec layer.md "Whiteouts"; other ".wh..wh." names are AUFS's own bookkeeping. */
static int whiteout(struct visit *w, str path, struct err *e)
{
    str base = base_of(path), parent = path_parent(path);
    if (str_eq(base, STR(".wh..wh..opq"))) {
        struct layer_entry x = { .kind = ENTRY_OPAQUE, .path = parent };
        return detector_wants_below(parent) || !parent.len ? put_entry(w, &x, e) : 0;
    }
    if (str_starts(base, STR(".wh..wh.")) || base.len <= 4)
        return 0;
    CLEANUP(buf_done) struct buf name = { 0 };
    if (parent.len) {
        buf_str(&name, parent);
        buf_char(&name, '/');
    }
    buf_str(&name, str_skip(base, 4));
    if (name.failed)
        return err_set(e, ERR_OOM, "whiteout");
    struct layer_entry x = { .kind = ENTRY_REMOVED, .path = buf_view(&name) };
    return detector_wants_below(x.path) ? put_entry(w, &x, e) : 0;
}

static int member(struct visit *w, struct tar *tar, const struct tar_member *m, struct err *e)
{
    if (m->escapes || !m->path.len)
        return 0;
    if (str_starts(base_of(m->path), STR(".wh.")))
        return whiteout(w, m->path, e);
    const struct detector *d = detector_for(m->path);
    if (d && m->type == TAR_FILE)
        return wanted_file(w, tar, m, d, e);
    if (!d && !detector_wants_below(m->path))
        return 0;
    struct layer_entry x = { .path = m->path, .target = m->link };
    switch (m->type) {
    case TAR_FOLDER:
        x.kind = ENTRY_FOLDER;
        break;
    case TAR_SYMLINK:
        x.kind = ENTRY_LINK;
        break;
    case TAR_HARDLINK:
        x.kind = ENTRY_HARDLINK;
        break;
    case TAR_FILE:
    case TAR_OTHER:
        x.kind = ENTRY_OTHER;
        break;
    }
    return put_entry(w, &x, e);
}

/* Names relative to "rootfs/"; false: it lies elsewhere. */
static bool below_rootfs(struct tar_member *m)
{
    static const str root = { "rootfs/", 7 };
    if (!str_starts(m->path, root))
        return false;
    m->path = str_skip(m->path, root.len);
    if (m->type == TAR_HARDLINK && str_starts(m->link, root))
        m->link = str_skip(m->link, root.len);
    return true;
}

static int walk_tar(struct stream *plain, unsigned flags, struct frame_writer *out, struct err *e)
{
    CLEANUP(visit_done)
    struct visit w = { .out = out,
                       .content = { .max = DETECT_FILE_MAX },
                       .below_rootfs = flags & LAYER_BELOW_ROOTFS };
    CLEANUP(tar_freep) struct tar *tar = tar_new(plain, NULL, e);
    if (!tar)
        return -1;
    struct tar_member m;
    int r;
    while ((r = tar_next(tar, &m, e)) > 0)
        if ((!w.below_rootfs || below_rootfs(&m)) && member(&w, tar, &m, e) < 0)
            return -1;
    return r;
}

/* `top` is the innermost of the streams around the stored bytes. *whole: all stored bytes went through the outer one. */
static int walk_and_drain(struct stream *top, struct stream *outer, unsigned flags, struct frame_writer *out,
                          bool *whole, struct err *e)
{
    struct err late = { 0 };
    if (walk_tar(top, flags, out, e) == 0 && stream_drain(top, e) == 0 &&
        (!outer || stream_drain(outer, e) == 0)) {
        *whole = true;
        return 0;
    }
    *whole = outer && e->kind == ERR_FORMAT && stream_drain(outer, &late) == 0;
    return -1;
}

int layer_walk(struct stream *stored, unsigned flags, struct frame_writer *out, struct layer_sums *ret,
               struct err *e)
{
    static const struct inflate_limits limits = LAYER_INFLATE_LIMITS;
    *ret = (struct layer_sums){ 0 };
    CLEANUP(stream_freep) struct stream *outer = flags & HASH_STORED ? stream_sha256(stored, e) : NULL;
    if ((flags & HASH_STORED) && !outer)
        return -1;
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(outer ? outer : stored, &limits, NULL, e);
    if (!plain)
        return -1;
    CLEANUP(stream_freep) struct stream *inner = flags & HASH_DIFF ? stream_sha256(plain, e) : NULL;
    if ((flags & HASH_DIFF) && !inner)
        return -1;
    bool whole;
    int r = walk_and_drain(inner ? inner : plain, outer, flags, out, &whole, e);
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
    if (params.len != 1)
        return err_set(e, ERR_INTERNAL, "layer: params");
    layer_walk(in, (unsigned char)params.ptr[0], out, &sums, &failure);
    return layer_put_sums(&sums, &failure, out, e);
}

const struct cage_task index_layer_task = { .name = "layer", .run = run_layer };

/* ---- the parent's side ---- */

/* Entries that stand for their path: a later member of the same path replaces the earlier one. */
static struct layer_entry *place_of(struct layer_builder *b, const struct layer_entry *x)
{
    bool stands = x->kind != ENTRY_REMOVED && x->kind != ENTRY_OPAQUE && x->kind != ENTRY_FOLDER;
    void **known = stands ? strmap_at(&b->paths, x->path) : NULL;
    if (stands && !known)
        return NULL;
    if (known && *known) /* holds index + 1 */
        return &b->layer.entries[(uintptr_t)*known - 1];
    struct layer_entry *more =
        arena_grow(b->arena, b->layer.entries, b->layer.entry_count, &b->entry_cap, sizeof *more);
    if (!more)
        return NULL;
    b->layer.entries = more;
    if (known)
        *known = (void *)(uintptr_t)(b->layer.entry_count + 1);
    return &more[b->layer.entry_count++];
}

int layer_memory_error(struct err *e)
{
    return err_set(e, ERR_LIMIT, "its package databases need more than %zu MiB", LAYER_MEMORY_MAX >> 20);
}

static int on_entry(struct layer_builder *b, str body, struct err *e)
{
    struct unpack u = { .rest = body, .max_str = 65536 };
    struct layer_entry x = { .kind = (enum entry_kind)unpack_u64(&u) };
    str *const fields[] = { &x.path,
                            &x.target,
                            &x.detector,
                            &x.distribution.id,
                            &x.distribution.version,
                            &x.distribution.name,
                            &x.distribution.namespace,
                            &x.note };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = arena_dup(b->arena, unpack_str(&u));
    if (!unpack_end(&u) || x.kind < ENTRY_FILE || x.kind > ENTRY_FOLDER ||
        b->layer.entry_count >= ENTRIES_MAX)
        return err_set(e, ERR_CAGE, "worker sent a bad entry");
    struct layer_entry *to = arena_failed(b->arena) ? NULL : place_of(b, &x);
    if (!to)
        return layer_memory_error(e);
    *to = x;
    b->current = (size_t)(to - b->layer.entries) + 1;
    b->package_cap = 0;
    return 0;
}

static int on_package(struct layer_builder *b, str body, struct err *e)
{
    if (!b->current)
        return err_set(e, ERR_CAGE, "worker sent a package of no file");
    struct layer_entry *x = &b->layer.entries[b->current - 1];
    struct unpack u = { .rest = body, .max_str = PACKAGE_TEXT_MAX };
    struct package p;
    str *const fields[] = { &p.kind, &p.name, &p.version, &p.arch, &p.source, &p.source_version, &p.module };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = arena_dup(b->arena, unpack_str(&u));
    if (!unpack_end(&u) || !p.name.len)
        return err_set(e, ERR_CAGE, "worker sent a bad package");
    if (++b->package_total > PACKAGES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d packages in one layer", PACKAGES_MAX);
    struct package *more = arena_grow(b->arena, x->packages, x->package_count, &b->package_cap, sizeof *more);
    if (!more)
        return layer_memory_error(e);
    x->packages = more;
    more[x->package_count++] = p;
    return 0;
}

static int on_sums(struct layer_builder *b, str body, struct err *e)
{
    struct unpack u = { .rest = body, .max_str = sizeof b->failure.text };
    str stored = unpack_str(&u), diff = unpack_str(&u);
    b->layer.size = b->sums.size = unpack_u64(&u);
    uint64_t kind = unpack_u64(&u);
    str text = unpack_str(&u);
    if (!unpack_end(&u) || stored.len > 64 || diff.len > 64 || kind >= ERR_KINDS)
        return err_set(e, ERR_CAGE, "worker sent bad sums");
    memcpy(b->sums.stored, stored.ptr, stored.len);
    memcpy(b->sums.diff, diff.ptr, diff.len);
    b->layer.diff_id = diff.len ? arena_printf(b->arena, "sha256:%s", b->sums.diff) : STR("");
    if (kind)
        err_set(&b->failure, (enum err_kind)kind, STR_FMT, STR_ARG(text));
    b->ended = true;
    return arena_failed(b->arena) ? layer_memory_error(e) : 0;
}

int layer_builder_frame(struct layer_builder *b, unsigned type, str body, struct err *e)
{
    if (b->ended)
        return err_set(e, ERR_CAGE, "worker went on after the end of a layer");
    switch (type) {
    case INDEX_ENTRY:
        return on_entry(b, body, e);
    case INDEX_PACKAGE:
        return on_package(b, body, e);
    case INDEX_LAYER:
        return on_sums(b, body, e);
    default:
        return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
    }
}

void layer_builder_done(struct layer_builder *b) { strmap_done(&b->paths); }
