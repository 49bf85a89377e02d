#include "store/rows.h"

#include "base/cleanup.h"
#include "codec/pack.h"
#include "codec/sha256.h"
#include "store/metadata.h"

#include <arpa/inet.h>

int package_hash(const struct package *p, uint8_t ret[PACKAGE_HASH], struct err *e)
{
    const str texts[] = { p->kind, p->name, p->version, p->arch, p->source, p->source_version, p->module };
    char room[PACKAGE_TEXTS_MAX + sizeof texts / sizeof *texts * 4];
    CLEANUP(buf_done) struct buf large = { 0 };
    uint8_t sum[32];
    size_t n = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        n += 4 + texts[i].len;
    char *to = n <= sizeof room ? room : buf_reserve(&large, n), *at = to;
    if (!to)
        return err_set(e, ERR_OOM, "out of memory");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        memcpy(at, &(uint32_t){ htonl((uint32_t)texts[i].len) }, 4);
        if (texts[i].len)
            memcpy(at + 4, texts[i].ptr, texts[i].len);
        at += 4 + texts[i].len;
    }
    if (sha256_of(to, n, sum, e) < 0)
        return -1;
    memcpy(ret, sum, PACKAGE_HASH);
    return 0;
}

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

str digest_pack(str digest, char room[DIGEST_ROOM])
{
    if (!digest_valid(digest))
        return digest;
    str hex = str_skip(digest, STR("sha256:").len);
    room[0] = 1; /* no other digest of ours begins so */
    for (size_t i = 0; i < 32; i++)
        room[i + 1] = (char)(digit(hex.ptr[2 * i]) << 4 | digit(hex.ptr[2 * i + 1]));
    return str_of(room, DIGEST_ROOM);
}

str digest_unpack(str packed, struct arena *arena)
{
    if (packed.len != DIGEST_ROOM || packed.ptr[0] != 1)
        return arena_dup(arena, packed);
    char text[80] = "sha256:";
    hex_encode(packed.ptr + 1, 32, text + STR("sha256:").len);
    return arena_dup(arena, str_from(text));
}

static int add_hash(struct buf *work, uint8_t ret[MEANING_HASH], struct err *e)
{
    uint8_t sum[32];
    if (work->failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (sha256_of(work->ptr, work->len, sum, e) < 0)
        return -1;
    memcpy(ret, sum, MEANING_HASH);
    buf_clear(work);
    return 0;
}

int advisory_hash(const struct advisory *a, struct buf *work, uint8_t ret[CONTENT_HASH], struct err *e)
{
    char room[RANGE_END_ROOM];
    buf_clear(work);
    pack_str(work, a->id);
    metadata_meaning(work, &a->meta);
    for (size_t i = 0; i < a->range_count; i++) {
        const struct affected_range *r = &a->ranges[i];
        pack_str(work, r->namespace);
        pack_str(work, r->package);
        pack_str(work, r->introduced);
        pack_str(work, range_end(r, room));
        pack_str(work, r->arch);
        pack_str(work, r->module);
        uint8_t small[] = { (uint8_t)r->kind, (uint8_t)(r->negative | (r->cpe.len ? 2 : 0)),
                            r->negative ? 0 : (uint8_t)r->severity, r->negative ? 0 : (uint8_t)r->state };
        buf_add(work, small, sizeof small);
        if (r->cpe.len) /* so that what was stored before there were any keeps its hash */
            pack_str(work, r->cpe);
    }
    if (add_hash(work, ret, e) < 0)
        return -1;
    pack_str(work, a->title);
    pack_str(work, a->description);
    pack_str(work, a->link);
    metadata_pack(work, &a->meta);
    return add_hash(work, ret + MEANING_HASH, e);
}

void advisory_hash_compare(str stored, const uint8_t hash[CONTENT_HASH], bool *same_meaning, bool *same)
{
    size_t half = stored.len / 2;
    bool known = stored.len == CONTENT_HASH || stored.len == 2 * CONTENT_HASH;
    *same_meaning = known && !memcmp(stored.ptr, hash, MEANING_HASH);
    *same = *same_meaning && !memcmp(stored.ptr + half, hash + MEANING_HASH, CONTENT_HASH - MEANING_HASH);
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

/* An upper bound that is in the range: what follows its key is not; of rpm's and pacman's without a release any release is (version.h). */
static void bound_included(const struct version_scheme *scheme, str text, struct range_keys *ret)
{
    struct version_key *k = &ret->fixed_buffer;
    bound(scheme, text, true, k, &ret->fixed, &ret->uncertain);
    bool any_release = (scheme == &version_rpm || scheme == &version_alpm) && str_find(text, '-') < 0;
    if (ret->fixed.ptr != (const char *)k->bytes || k->len == VERSION_KEY_MAX)
        return;
    k->bytes[k->len++] = any_release ? 0xff : 0;
    ret->fixed = version_key_view(k);
}

void range_keys(const struct affected_range *r, const struct version_scheme *scheme, struct range_keys *ret)
{
    ret->introduced = STR("");
    ret->fixed = version_key_max();
    ret->uncertain = false;
    bound(scheme, r->introduced, false, &ret->introduced_buffer, &ret->introduced, &ret->uncertain);
    bound(scheme, r->fixed_version, true, &ret->fixed_buffer, &ret->fixed, &ret->uncertain);
    if (r->last_affected.len)
        bound_included(scheme, r->last_affected, ret);
    if (r->negative && ret->uncertain)
        ret->fixed = STR("");
}

bool qualifiers_pack(struct arena *a, str module, str cpe, str *ret)
{
    *ret = module;
    if (!cpe.len)
        return true;
    char *room = arena_alloc(a, module.len + 1 + cpe.len, 1);
    if (!room)
        return false;
    if (module.len)
        memcpy(room, module.ptr, module.len);
    room[module.len] = 0;
    memcpy(room + module.len + 1, cpe.ptr, cpe.len);
    *ret = str_of(room, module.len + 1 + cpe.len);
    return true;
}

void qualifiers_unpack(str packed, str *module, str *cpe)
{
    const char *end = packed.len ? memchr(packed.ptr, 0, packed.len) : NULL;
    *module = end ? str_head(packed, (size_t)(end - packed.ptr)) : packed;
    *cpe = end ? str_skip(packed, module->len + 1) : STR("");
}

bool module_fits(str wanted, str module, str version, bool unlabelled)
{
    const str mark = STR(".module");
    if (str_eq(wanted, module))
        return true;
    return unlabelled && wanted.len && !module.len && version.len &&
           memmem(version.ptr, version.len, mark.ptr, mark.len);
}

str installed_key(str kind, str version, struct version_key *buffer)
{
    const struct version_scheme *scheme = version_scheme_by_name(kind);
    return scheme && scheme->exact(version) && scheme->key(version, buffer) ? version_key_view(buffer)
                                                                            : STR("");
}

static void pack_fact(struct buf *ret, const struct fact *f)
{
    pack_str(ret, f->name);
    pack_str(ret, f->value);
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
    for (size_t i = 0; i < layer->entry_count; i++)
        for (size_t k = 0; k < layer->entries[i].fact_count; k++) {
            pack_u64(ret, i);
            pack_fact(ret, &layer->entries[i].facts[k]);
        }
}

static str take(struct unpack *u, struct arena *arena) { return arena_dup(arena, unpack_str(u)); }

static struct fact take_fact(struct unpack *u, struct arena *arena)
{
    return (struct fact){ .name = take(u, arena), .value = take(u, arena) };
}

/* Behind the entries, in their order; blobs of before have none. */
static void take_facts(struct unpack *u, struct arena *arena, struct layer_index *ret)
{
    size_t cap = 0;
    for (uint64_t last = 0, i; u->rest.len && !u->failed; last = i) {
        i = unpack_u64(u);
        u->failed |= i < last || i >= ret->entry_count;
        if (u->failed)
            return;
        struct layer_entry *n = &ret->entries[i];
        cap = n->fact_count ? cap : 0;
        n->facts = arena_grow(arena, n->facts, n->fact_count, &cap, sizeof *n->facts);
        if (!n->facts)
            return;
        n->facts[n->fact_count++] = take_fact(u, arena);
    }
}

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
    ret->entry_count = u.failed ? 0 : count;
    take_facts(&u, arena, ret);
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "a layer of %llu entries: out of memory", (unsigned long long)count);
    if (!unpack_end(&u))
        return err_set(e, ERR_FORMAT, "damaged entries of a layer");
    *ret_sets = sets;
    return 0;
}

static void pack_packages(struct buf *ret, const struct image_package *packages, size_t count)
{
    pack_u64(ret, count);
    for (size_t i = 0; i < count; i++) {
        const struct package *p = &packages[i].package;
        const str texts[] = {
            p->kind, p->name, p->version, p->arch, p->source, p->source_version, p->module
        };
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            pack_str(ret, texts[k]);
        pack_u64(ret, packages[i].layer);
        pack_u64(ret, packages[i].removed);
    }
}

void details_pack(const struct image_index *image, struct buf *ret)
{
    pack_u64(ret, image->note_count);
    for (size_t i = 0; i < image->note_count; i++)
        pack_str(ret, image->notes[i]);
    pack_u64(ret, image->fact_count);
    for (size_t i = 0; i < image->fact_count; i++) {
        pack_u64(ret, image->facts[i].layer);
        pack_fact(ret, &image->facts[i].fact);
    }
    pack_packages(ret, image->removed, image->removed_count);
}

/* A number of things of which each takes a byte at least. */
static size_t take_count(struct unpack *u)
{
    uint64_t n = unpack_u64(u);
    u->failed |= n > u->rest.len;
    return u->failed ? 0 : (size_t)n;
}

static void take_removed(struct unpack *u, struct arena *arena, struct image_index *ret)
{
    ret->removed_count = take_count(u);
    ret->removed = arena_array(arena, struct image_package, ret->removed_count + 1);
    for (size_t i = 0; ret->removed && i < ret->removed_count; i++) {
        struct package *p = &ret->removed[i].package;
        str *const texts[] = { &p->kind,   &p->name,           &p->version, &p->arch,
                               &p->source, &p->source_version, &p->module };
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            *texts[k] = take(u, arena);
        ret->removed[i].layer = (uint32_t)unpack_u64(u);
        ret->removed[i].removed = (uint32_t)unpack_u64(u);
    }
}

int details_unpack(str blob, struct arena *arena, struct image_index *ret, struct err *e)
{
    struct unpack u = { .rest = blob };
    ret->note_count = take_count(&u);
    ret->notes = arena_array(arena, str, ret->note_count + 1);
    for (size_t i = 0; ret->notes && i < ret->note_count; i++)
        ret->notes[i] = take(&u, arena);
    if (u.rest.len) { /* blobs of before have notes only */
        ret->fact_count = take_count(&u);
        ret->facts = arena_array(arena, struct image_fact, ret->fact_count + 1);
        for (size_t i = 0; ret->facts && i < ret->fact_count; i++) {
            ret->facts[i].layer = (uint32_t)unpack_u64(&u);
            ret->facts[i].fact = take_fact(&u, arena);
        }
        take_removed(&u, arena, ret);
    }
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "details of an image: out of memory");
    return unpack_end(&u) ? 0 : err_set(e, ERR_FORMAT, "damaged details of an image");
}

void origins_pack(const struct image_index *image, struct buf *ret)
{
    for (size_t i = 0, next; i < image->package_count; i = next) {
        for (next = i + 1;
             next < image->package_count && image->packages[next].layer == image->packages[i].layer;)
            next++;
        pack_u64(ret, next - i);
        pack_u64(ret, image->packages[i].layer);
    }
}

int origins_unpack(str blob, struct image_index *ret, struct err *e)
{
    struct unpack u = { .rest = blob };
    size_t i = 0;
    while (u.rest.len) {
        uint64_t count = unpack_u64(&u), layer = unpack_u64(&u);
        if (u.failed || count > ret->package_count - i || layer >= ret->layer_count)
            break;
        for (; count; count--)
            ret->packages[i++].layer = (uint32_t)layer;
    }
    return unpack_end(&u) && i == ret->package_count ? 0
                                                     : err_set(e, ERR_FORMAT, "damaged origins of an image");
}
