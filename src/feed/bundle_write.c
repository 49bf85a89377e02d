/* bundle_write.c - a bundle out of a store. */
#include "base/cleanup.h"
#include "base/strmap.h"
#include "codec/deflate_zstd.h"
#include "codec/pack.h"
#include "codec/sha256.h"
#include "codec/signature.h"
#include "feed/bundle.h"
#include "feed/bundle_tar.h"
#include "feed/parse_task.h"
#include "store/store.h"

#define PAGE  200
#define CHUNK (256u << 10)

static int oom(struct err *e) { return err_set(e, ERR_OOM, "out of memory"); }

/* ---- one part, at the end of the spool ---- */

struct part {
    struct store *from;
    const struct feed_status *feed;
    int spool;
    struct sha256 *sum;
    struct deflate *deflate;
    struct strmap places; /* of a document's number: its place in the part, plus one */
    uint64_t current;     /* place plus one of the document that is entered */
    struct buf record, body;
    struct bundle_source *ret;
};

static void part_done(struct part *p)
{
    sha256_freep(&p->sum);
    deflate_freep(&p->deflate);
    strmap_done(&p->places);
    buf_done(&p->record);
    buf_done(&p->body);
}

static int on_packed(void *ctx, str bytes, struct err *e)
{
    struct part *p = ctx;
    sha256_add(p->sum, bytes.ptr, bytes.len);
    p->ret->size += bytes.len;
    return bundle_put(p->spool, bytes, e);
}

static int put(struct part *p, enum bundle_record type, str body, struct err *e)
{
    buf_clear(&p->record);
    pack_u64(&p->record, type);
    pack_str(&p->record, body);
    return p->record.failed ? oom(e) : deflate_add(p->deflate, buf_view(&p->record), e);
}

static int put_body(struct part *p, enum bundle_record type, struct err *e)
{
    return p->body.failed ? oom(e) : put(p, type, buf_view(&p->body), e);
}

static int put_documents(struct part *p, struct arena *arena, struct err *e)
{
    struct stored_document *list;
    size_t count;
    if (store_documents(p->from, p->feed->name, arena, &list, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        void **at = strmap_at(&p->places, str_of(&list[i].id, sizeof list[i].id));
        if (!at)
            return oom(e);
        *at = (void *)(uintptr_t)(i + 1);
        buf_clear(&p->body);
        pack_str(&p->body, list[i].name);
        pack_str(&p->body, list[i].validator);
        if (put_body(p, BUNDLE_DOCUMENT, e) < 0)
            return -1;
    }
    p->ret->documents = (int64_t)count;
    return 0;
}

static int enter(struct part *p, int64_t document, struct err *e)
{
    uint64_t place = (uintptr_t)strmap_get(&p->places, str_of(&document, sizeof document));
    if (!place)
        return err_set(e, ERR_FORMAT, "document %lld is not stored", (long long)document);
    if (place == p->current)
        return 0;
    p->current = place;
    buf_clear(&p->body);
    pack_u64(&p->body, place - 1);
    return put_body(p, BUNDLE_ENTER, e);
}

static int put_advisory(struct part *p, struct stored_entry *a, struct err *e)
{
    uint64_t skipped = 0;
    for (size_t i = 0; i < a->advisory.range_count; i++)
        if (a->advisory.ranges[i].negative) /* of those it is not kept, and not compared */
            a->advisory.ranges[i].state = FIX_AFFECTED;
    if (enter(p, a->document, e) < 0)
        return -1;
    int r = advisory_pack(&a->advisory, &p->body, &skipped, e);
    if (r <= 0)
        return r;
    p->ret->advisories++;
    return put_body(p, BUNDLE_ADVISORY, e);
}

static int put_advisories(struct part *p, struct err *e)
{
    for (int64_t after = 0;;) {
        struct stored_entry *list;
        size_t count;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return oom(e);
        if (store_advisories_after(p->from, p->feed->name, after, PAGE, arena, &list, &count, e) < 0)
            return -1;
        if (!count)
            return 0;
        for (size_t i = 0; i < count; i++)
            if (put_advisory(p, &list[i], e) < 0)
                return -1;
        after = list[count - 1].id;
    }
}

static int put_end(struct part *p, struct err *e)
{
    buf_clear(&p->body);
    pack_u64(&p->body, (uint64_t)p->ret->documents);
    pack_u64(&p->body, (uint64_t)p->ret->advisories);
    return put_body(p, BUNDLE_END, e) < 0 ? -1 : deflate_end(p->deflate, e);
}

static int write_part(struct store *from, const struct feed_status *feed, int spool,
                      struct bundle_source *ret, struct arena *arena, struct err *e)
{
    CLEANUP(part_done) struct part p = { .from = from, .feed = feed, .spool = spool, .ret = ret };
    CLEANUP(arena_freep) struct arena *own = arena_new(0);
    char *hex = arena_array(arena, char, 65);
    *ret = (struct bundle_source){
        .name = feed->name, .here = true, .generation = feed->generation, .last_success = feed->last_success
    };
    if (!own || !hex)
        return oom(e);
    if (!(p.sum = sha256_new(e)) || !(p.deflate = deflate_zstd(on_packed, &p, e)))
        return -1;
    if (put_documents(&p, own, e) < 0 || put_advisories(&p, e) < 0 || put_end(&p, e) < 0)
        return err_wrap(e, STR_FMT, STR_ARG(feed->name));
    sha256_hex(p.sum, hex);
    ret->sha256 = str_of(hex, 64);
    return 0;
}

/* ---- all of it ---- */

static bool is_wanted(const struct bundle_export *o, const struct feed_status *f)
{
    if (!f->last_success || !feed_by_name(f->name)) /* what clients write is no source */
        return false;
    for (size_t i = 0; i < o->source_count; i++)
        if (str_eq(o->sources[i], f->name))
            return true;
    return !o->sources;
}

/* As it was in the bundle before: the same bytes. */
static bool is_known(const struct bundle_export *o, const struct bundle_source *s)
{
    const struct bundle_source *before = o->since ? bundle_source_of(o->since, s->name) : NULL;
    return before && str_eq(before->sha256, s->sha256);
}

static int write_parts(struct store *from, int spool, const struct bundle_export *o,
                       struct bundle_manifest *m, struct arena *arena, struct err *e)
{
    struct feed_status *list;
    size_t count;
    off_t end = 0;
    if (store_generation(from, &m->generation, e) < 0 || store_feeds(from, arena, &list, &count, e) < 0)
        return -1;
    m->sources = arena_array(arena, struct bundle_source, count + 1);
    if (!m->sources)
        return oom(e);
    for (size_t i = 0; i < count; i++) {
        struct bundle_source *s = &m->sources[m->count];
        if (!is_wanted(o, &list[i]))
            continue;
        if (m->count++ == BUNDLE_SOURCES)
            return err_set(e, ERR_LIMIT, "more than %u sources", BUNDLE_SOURCES);
        if (write_part(from, &list[i], spool, s, arena, e) < 0)
            return -1;
        s->here = !is_known(o, s);
        if (s->here)
            end += (off_t)s->size;
        else if (ftruncate(spool, end) < 0 || lseek(spool, end, SEEK_SET) < 0)
            return err_errno(e, "temporary file");
    }
    return 0;
}

static int copy_part(int spool, uint64_t offset, uint64_t size, int fd, struct err *e)
{
    CLEANUP(freep) char *chunk = malloc(CHUNK);
    if (!chunk)
        return oom(e);
    for (uint64_t done = 0; done < size;) {
        size_t n = size - done < CHUNK ? (size_t)(size - done) : CHUNK;
        if (bundle_pread(spool, chunk, n, offset + done, e) < 0 || bundle_put(fd, str_of(chunk, n), e) < 0)
            return -1;
        done += n;
    }
    return 0;
}

static int put_member(int fd, const char *name, str bytes, int64_t now, struct err *e)
{
    if (bundle_tar_head(fd, name, bytes.len, now, e) < 0 || bundle_put(fd, bytes, e) < 0)
        return -1;
    return bundle_tar_pad(fd, bytes.len, e);
}

static int assemble(int fd, int spool, const struct bundle_export *o, const struct bundle_manifest *m,
                    struct err *e)
{
    CLEANUP(buf_done) struct buf json = { .max = BUNDLE_MANIFEST_MAX };
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t offset = 0;
    bundle_manifest_write(m, &json);
    if (json.failed)
        return oom(e);
    if (o->private_key.len && signature_make(o->private_key, buf_view(&json), signature, e) < 0)
        return err_wrap(e, "key");
    if (put_member(fd, "manifest.json", buf_view(&json), o->now, e) < 0 ||
        (o->private_key.len &&
         put_member(fd, "manifest.sig", str_of(signature, sizeof signature), o->now, e) < 0))
        return -1;
    for (size_t i = 0; i < m->count; i++) {
        const struct bundle_source *s = &m->sources[i];
        char name[TAR_NAME];
        if (!s->here)
            continue;
        snprintf(name, sizeof name, STR_FMT ".zst", STR_ARG(s->name));
        if (bundle_tar_head(fd, name, s->size, o->now, e) < 0 ||
            copy_part(spool, offset, s->size, fd, e) < 0 || bundle_tar_pad(fd, s->size, e) < 0)
            return -1;
        offset += s->size;
    }
    return bundle_tar_end(fd, e);
}

int bundle_write(struct store *from, int fd, int spool, const struct bundle_export *o,
                 struct bundle_manifest *ret, struct arena *arena, struct err *e)
{
    *ret = (struct bundle_manifest){ .created = o->now };
    if (store_view_begin(from, e) < 0)
        return -1;
    int r = write_parts(from, spool, o, ret, arena, e);
    store_view_end(from);
    return r < 0 ? -1 : assemble(fd, spool, o, ret, e);
}
