#include "store/rows.h"

#include "codec/pack.h"
#include "codec/sha256.h"

int advisory_hash(const struct advisory *a, struct buf *work, uint8_t ret[CONTENT_HASH], struct err *e)
{
    uint8_t sum[32];
    buf_clear(work);
    pack_str(work, a->id);
    pack_str(work, a->title);
    pack_str(work, a->description);
    pack_str(work, a->link);
    for (size_t i = 0; i < a->range_count; i++) {
        const struct affected_range *r = &a->ranges[i];
        pack_str(work, r->namespace);
        pack_str(work, r->package);
        pack_str(work, r->introduced);
        pack_str(work, r->fixed_version);
        pack_str(work, r->arch);
        pack_str(work, r->module);
        uint8_t small[] = { (uint8_t)r->kind, r->negative, (uint8_t)r->severity, (uint8_t)r->state };
        buf_add(work, small, sizeof small);
    }
    if (work->failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (sha256_of(work->ptr, work->len, sum, e) < 0)
        return -1;
    memcpy(ret, sum, CONTENT_HASH);
    return 0;
}

/* One bound of a range. Of a version outside the grammar the key up to there is sure, and its last byte stands for the rest
 * (version.h): the bound then takes in all versions that begin alike. */
static void bound(const struct version_scheme *scheme, str text, bool upper, struct version_key *buffer,
                  str *ret, bool *uncertain)
{
    if (!text.len)
        return;
    if (!scheme || !scheme->key(text, buffer)) {
        *uncertain = true;
        return;
    }
    if (!scheme->exact(text)) {
        *uncertain = true;
        buffer->len--;
        if (upper)
            buffer->bytes[buffer->len++] = 0xff;
    }
    *ret = version_key_view(buffer);
}

void range_keys(const struct affected_range *r, const struct version_scheme *scheme, struct range_keys *ret)
{
    ret->introduced = STR("");
    ret->fixed = version_key_max();
    ret->uncertain = false;
    bound(scheme, r->introduced, false, &ret->introduced_buffer, &ret->introduced, &ret->uncertain);
    bound(scheme, r->fixed_version, true, &ret->fixed_buffer, &ret->fixed, &ret->uncertain);
    if (r->negative && ret->uncertain)
        ret->fixed = STR("");
}

str installed_key(str kind, str version, struct version_key *buffer)
{
    const struct version_scheme *scheme = version_scheme_by_name(kind);
    return scheme && scheme->exact(version) && scheme->key(version, buffer) ? version_key_view(buffer)
                                                                            : STR("");
}

void layer_pack(const struct layer_index *layer, const int64_t *sets, struct buf *ret)
{
    pack_u64(ret, layer->entry_count);
    for (size_t i = 0; i < layer->entry_count; i++) {
        const struct layer_entry *n = &layer->entries[i];
        pack_u64(ret, n->kind);
        pack_str(ret, n->path);
        pack_str(ret, n->target);
        pack_str(ret, n->detector);
        pack_str(ret, n->note);
        pack_str(ret, n->distribution.id);
        pack_str(ret, n->distribution.version);
        pack_str(ret, n->distribution.name);
        pack_str(ret, n->distribution.namespace);
        pack_u64(ret, (uint64_t)sets[i]);
    }
}

static str take(struct unpack *u, struct arena *arena) { return arena_dup(arena, unpack_str(u)); }

int layer_unpack(str blob, struct arena *arena, struct layer_index *ret, int64_t **ret_sets, struct err *e)
{
    struct unpack u = { .rest = blob };
    uint64_t count = unpack_u64(&u);
    if (u.failed || count > blob.len) /* an entry takes ten bytes at least */
        return err_set(e, ERR_FORMAT, "damaged entries of a layer");
    ret->entries = arena_array(arena, struct layer_entry, count);
    int64_t *sets = arena_array(arena, int64_t, count);
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "a layer of %llu entries: out of memory", (unsigned long long)count);
    for (uint64_t i = 0; i < count && !u.failed; i++) {
        struct layer_entry *n = &ret->entries[i];
        n->kind = (enum entry_kind)unpack_u64(&u);
        n->path = take(&u, arena);
        n->target = take(&u, arena);
        n->detector = take(&u, arena);
        n->note = take(&u, arena);
        n->distribution.id = take(&u, arena);
        n->distribution.version = take(&u, arena);
        n->distribution.name = take(&u, arena);
        n->distribution.namespace = take(&u, arena);
        sets[i] = (int64_t)unpack_u64(&u);
    }
    if (!unpack_end(&u))
        return err_set(e, ERR_FORMAT, "damaged entries of a layer");
    ret->entry_count = count;
    *ret_sets = sets;
    return 0;
}

void notes_pack(const struct image_index *image, struct buf *ret)
{
    pack_u64(ret, image->note_count);
    for (size_t i = 0; i < image->note_count; i++)
        pack_str(ret, image->notes[i]);
}

int notes_unpack(str blob, struct arena *arena, struct image_index *ret, struct err *e)
{
    struct unpack u = { .rest = blob };
    uint64_t count = unpack_u64(&u);
    if (u.failed || count > blob.len)
        return err_set(e, ERR_FORMAT, "damaged notes of an image");
    ret->notes = arena_array(arena, str, count);
    for (uint64_t i = 0; ret->notes && i < count; i++)
        ret->notes[i] = take(&u, arena);
    if (ret->notes && !unpack_end(&u))
        return err_set(e, ERR_FORMAT, "damaged notes of an image");
    ret->note_count = count;
    return 0;
}
