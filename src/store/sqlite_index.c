#include "store/sqlite.h"

#include "base/cleanup.h"
#include "codec/pack.h"
#include "codec/sha256.h"
#include "store/rows.h"

static int oom(const struct sqlite *s, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: out of memory", s->where);
}

static int64_t last_id(struct sqlite *s) { return sqlite3_last_insert_rowid(s->db); }

/* ---- packages ---- */

static int package_id(struct sqlite *s, const struct package *p, int64_t *ret, struct err *e)
{
    CLEANUP(sqlite_resetp)
    sqlite3_stmt *st = sqlite_bind(s, e, Q_PACKAGE_FIND, "bbbbbbb", p->name, p->version, p->arch, p->kind,
                                   p->source, p->source_version, p->module);
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r > 0)
        *ret = sqlite3_column_int64(st, 0);
    if (r != 0)
        return r < 0 ? -1 : 0;
    struct version_key version, source;
    str version_key = installed_key(p->kind, p->version, &version);
    str source_key = installed_key(p->kind, p->source_version, &source);
    if (sqlite_run(s, e, Q_PACKAGE_ADD, "bbbbbbbbb", p->name, p->version, p->arch, p->kind, p->source,
                   p->source_version, p->module, version_key, source_key) < 0)
        return -1;
    *ret = last_id(s);
    return 0;
}

static struct package package_of(sqlite3_stmt *st, struct arena *arena)
{
    return (struct package){
        .name = arena_dup(arena, sqlite_str(st, 0)),
        .version = arena_dup(arena, sqlite_str(st, 1)),
        .arch = arena_dup(arena, sqlite_str(st, 2)),
        .kind = arena_dup(arena, sqlite_str(st, 3)),
        .source = arena_dup(arena, sqlite_str(st, 4)),
        .source_version = arena_dup(arena, sqlite_str(st, 5)),
        .module = arena_dup(arena, sqlite_str(st, 6)),
    };
}

/* The set of a file's packages, in their order; equal ones are stored once. `work` is scratch memory of the
 * caller's. */
static int set_id(struct sqlite *s, const struct layer_entry *n, struct buf *work, int64_t *ret,
                  struct err *e)
{
    uint8_t hash[32];
    *ret = 0;
    if (!n->package_count)
        return 0;
    buf_clear(work);
    for (size_t i = 0; i < n->package_count; i++) {
        int64_t id = 0;
        if (package_id(s, &n->packages[i], &id, e) < 0)
            return -1;
        pack_u64(work, (uint64_t)id);
    }
    if (work->failed)
        return oom(s, e);
    if (sha256_of(work->ptr, work->len, hash, e) < 0)
        return -1;
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_SET_FIND, "b", str_of(hash, sizeof hash));
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r > 0)
        *ret = sqlite3_column_int64(st, 0);
    if (r != 0)
        return r < 0 ? -1 : 0;
    if (sqlite_run(s, e, Q_SET_ADD, "bb", str_of(hash, sizeof hash), buf_view(work)) < 0)
        return -1;
    *ret = last_id(s);
    return 0;
}

static int set_members(struct sqlite *s, int64_t set, struct arena *arena, struct layer_entry *ret,
                       struct err *e)
{
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_SET_GET, "i", set);
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1
                     : err_set(e, ERR_FORMAT, "%s: package set %lld is missing", s->where, (long long)set);
    size_t cap = 0;
    for (struct unpack u = { .rest = sqlite_str(st, 0) }; u.rest.len && !u.failed;) {
        int64_t id = (int64_t)unpack_u64(&u);
        CLEANUP(sqlite_resetp) sqlite3_stmt *package = sqlite_bind(s, e, Q_PACKAGE_GET, "i", id);
        r = package ? sqlite_row(s, package, e) : -1;
        if (r <= 0)
            return r < 0 ? -1
                         : err_set(e, ERR_FORMAT, "%s: package %lld is missing", s->where, (long long)id);
        ret->packages = arena_grow(arena, ret->packages, ret->package_count, &cap, sizeof *ret->packages);
        if (!ret->packages)
            return oom(s, e);
        ret->packages[ret->package_count++] = package_of(package, arena);
    }
    return 0;
}

/* ---- layers ---- */

/* 1 and its number, 0, -1. */
static int layer_id(struct sqlite *s, str digest, unsigned indexer, int64_t *ret, struct err *e)
{
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_LAYER_FIND, "bi", digest, (int64_t)indexer);
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r > 0)
        *ret = sqlite3_column_int64(st, 0);
    return r;
}

/* Which layers have a package: the backward question. */
static int add_postings(struct sqlite *s, const struct layer_index *layer, int64_t id, struct err *e)
{
    for (size_t i = 0; i < layer->entry_count; i++)
        for (size_t j = 0; j < layer->entries[i].package_count; j++) {
            int64_t package = 0;
            if (package_id(s, &layer->entries[i].packages[j], &package, e) < 0 ||
                sqlite_run(s, e, Q_POSTING_ADD, "ii", package, id) < 0)
                return -1;
        }
    return 0;
}

static int layer_add(struct sqlite *s, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    CLEANUP(buf_done) struct buf work = { 0 };
    CLEANUP(buf_done) struct buf blob = { 0 };
    CLEANUP(freep) int64_t *sets = calloc(layer->entry_count + 1, sizeof *sets);
    if (!sets)
        return oom(s, e);
    for (size_t i = 0; i < layer->entry_count; i++)
        if (set_id(s, &layer->entries[i], &work, &sets[i], e) < 0)
            return -1;
    layer_pack(layer, sets, &blob);
    if (blob.failed)
        return oom(s, e);
    if (sqlite_run(s, e, Q_LAYER_ADD, "biibb", layer->digest, (int64_t)indexer, (int64_t)layer->size,
                   layer->diff_id, buf_view(&blob)) < 0)
        return -1;
    return add_postings(s, layer, last_id(s), e);
}

int sqlite_layer_put(struct store *store, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    int64_t id;
    CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(s, true, e);
    int known = t ? layer_id(s, layer->digest, indexer, &id, e) : -1;
    if (known < 0 || (!known && layer_add(s, layer, indexer, e) < 0))
        return -1;
    if (known && layer->diff_id.len && sqlite_run(s, e, Q_LAYER_DIFF_ID, "ib", id, layer->diff_id) < 0)
        return -1;
    return sqlite_commit(&t, e);
}

int sqlite_layer_find(struct store *store, str digest, unsigned indexer, struct arena *arena,
                      struct layer_index **ret, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(s, false, e);
    if (!t)
        return -1;
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_LAYER_FIND, "bi", digest, (int64_t)indexer);
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    int64_t *sets;
    struct layer_index *layer = arena_alloc(arena, 1, sizeof *layer);
    if (!layer)
        return oom(s, e);
    layer->digest = arena_dup(arena, digest);
    layer->size = (uint64_t)sqlite3_column_int64(st, 1);
    layer->diff_id = arena_dup(arena, sqlite_str(st, 2));
    if (layer_unpack(sqlite_str(st, 3), arena, layer, &sets, e) < 0)
        return err_wrap(e, "%s: layer " STR_FMT, s->where, STR_ARG(digest));
    for (size_t i = 0; i < layer->entry_count; i++)
        if (sets[i] && set_members(s, sets[i], arena, &layer->entries[i], e) < 0)
            return -1;
    if (arena_failed(arena))
        return oom(s, e);
    *ret = layer;
    return 1;
}

/* ---- images ---- */

static int image_row(struct sqlite *s, const struct image_index *image, unsigned indexer, int64_t *ret,
                     struct err *e)
{
    CLEANUP(buf_done) struct buf notes = { 0 };
    notes_pack(image, &notes);
    if (notes.failed)
        return oom(s, e);
    const struct distribution *d = &image->distribution;
    CLEANUP(sqlite_resetp)
    sqlite3_stmt *st =
        sqlite_bind(s, e, Q_IMAGE_PUT, "bibbbbib", image->digest, (int64_t)indexer, d->namespace, d->id,
                    d->version, d->name, (int64_t)image->unreadable, buf_view(&notes));
    if (!st || sqlite_row(s, st, e) < 0)
        return -1;
    *ret = sqlite3_column_int64(st, 0);
    return 0;
}

static int image_rows(struct sqlite *s, const struct image_index *image, unsigned indexer, int64_t id,
                      struct err *e)
{
    if (sqlite_run(s, e, Q_IMAGE_LAYERS_CLEAR, "i", id) < 0 ||
        sqlite_run(s, e, Q_IMAGE_PACKAGES_CLEAR, "i", id) < 0)
        return -1;
    for (size_t i = 0; i < image->layer_count; i++) {
        int64_t layer = 0;
        str digest = image->layers[i]->digest;
        int r = layer_id(s, digest, indexer, &layer, e);
        if (r <= 0)
            return r < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "layer " STR_FMT " is not stored", STR_ARG(digest));
        if (sqlite_run(s, e, Q_IMAGE_LAYER_ADD, "iii", id, (int64_t)i, layer) < 0)
            return -1;
    }
    for (size_t i = 0; i < image->package_count; i++) {
        const struct image_package *p = &image->packages[i];
        int64_t package = 0;
        if (package_id(s, &p->package, &package, e) < 0 ||
            sqlite_run(s, e, Q_IMAGE_PACKAGE_ADD, "iiii", id, (int64_t)i, package, (int64_t)p->layer) < 0)
            return -1;
    }
    return 0;
}

int sqlite_image_put(struct store *store, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                     struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    int64_t id = 0;
    CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(s, true, e);
    if (!t || image_row(s, image, indexer, &id, e) < 0 || image_rows(s, image, indexer, id, e) < 0 ||
        sqlite_commit(&t, e) < 0)
        return -1;
    *ret_id = id;
    return 0;
}

static int image_layers(struct sqlite *s, int64_t id, struct arena *arena, struct image_index *ret,
                        struct err *e)
{
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_IMAGE_LAYERS, "i", id);
    int r = -1;
    size_t cap = 0;
    while (st && (r = sqlite_row(s, st, e)) > 0) {
        struct layer_index *layer = arena_alloc(arena, 1, sizeof *layer);
        ret->layers = arena_grow(arena, ret->layers, ret->layer_count, &cap, sizeof *ret->layers);
        if (!layer || !ret->layers)
            return oom(s, e);
        layer->digest = arena_dup(arena, sqlite_str(st, 0));
        layer->size = (uint64_t)sqlite3_column_int64(st, 1);
        ret->layers[ret->layer_count++] = layer;
    }
    return r;
}

static int image_packages(struct sqlite *s, int64_t id, struct arena *arena, struct image_index *ret,
                          struct err *e)
{
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_IMAGE_PACKAGES, "i", id);
    int r = -1;
    size_t cap = 0;
    while (st && (r = sqlite_row(s, st, e)) > 0) {
        ret->packages = arena_grow(arena, ret->packages, ret->package_count, &cap, sizeof *ret->packages);
        if (!ret->packages)
            return oom(s, e);
        struct image_package *p = &ret->packages[ret->package_count++];
        p->package = package_of(st, arena);
        p->layer = (uint32_t)sqlite3_column_int64(st, 7);
        if (p->layer >= ret->layer_count)
            return err_set(e, ERR_FORMAT, "%s: image %lld: package of no layer", s->where, (long long)id);
    }
    return r;
}

int sqlite_image_find(struct store *store, str digest, unsigned indexer, struct arena *arena,
                      struct image_index **ret, int64_t *ret_id, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(s, false, e);
    if (!t)
        return -1;
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_IMAGE_FIND, "bi", digest, (int64_t)indexer);
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    int64_t id = sqlite3_column_int64(st, 0);
    struct image_index *image = arena_alloc(arena, 1, sizeof *image);
    if (!image)
        return oom(s, e);
    image->digest = arena_dup(arena, digest);
    image->distribution.namespace = arena_dup(arena, sqlite_str(st, 1));
    image->distribution.id = arena_dup(arena, sqlite_str(st, 2));
    image->distribution.version = arena_dup(arena, sqlite_str(st, 3));
    image->distribution.name = arena_dup(arena, sqlite_str(st, 4));
    image->unreadable = sqlite3_column_int64(st, 5);
    if (notes_unpack(sqlite_str(st, 6), arena, image, e) < 0 || image_layers(s, id, arena, image, e) < 0 ||
        image_packages(s, id, arena, image, e) < 0)
        return -1;
    if (arena_failed(arena))
        return oom(s, e);
    *ret = image;
    *ret_id = id;
    return 1;
}
