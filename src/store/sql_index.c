#include "store/sql.h"

#include "base/cleanup.h"
#include "codec/pack.h"
#include "codec/sha256.h"
#include "store/rows.h"

#include <stdlib.h>

/* ---- packages ---- */

/* The packages of a layer or an image, each once, and their numbers. */
struct numbered {
    const struct package **packages; /* sorted by package_cmp() */
    int64_t *ids;
    size_t count;
};

static void numbered_done(struct numbered *n)
{
    free(n->packages);
    free(n->ids);
}

static int by_package(const void *a, const void *b)
{
    return package_cmp(*(const struct package *const *)a, *(const struct package *const *)b);
}

/* n->packages holds `count` in any order. */
static int number_packages(struct sql *s, struct numbered *n, size_t count, struct err *e)
{
    if (count)
        qsort(n->packages, count, sizeof *n->packages, by_package);
    for (size_t i = 0; i < count; i++)
        if (!n->count || package_cmp(n->packages[n->count - 1], n->packages[i]))
            n->packages[n->count++] = n->packages[i];
    n->ids = calloc(n->count + 1, sizeof *n->ids);
    if (!n->ids)
        return sql_oom(s, e);
    return n->count ? s->driver->package_ids(s, n->packages, n->count, n->ids, e) : 0;
}

static int64_t number_of(const struct numbered *n, const struct package *p)
{
    const struct package **at = bsearch(&p, n->packages, n->count, sizeof *n->packages, by_package);
    return at ? n->ids[at - n->packages] : 0;
}

static struct package package_of(struct sql_stmt *st, struct arena *arena)
{
    return (struct package){
        .name = arena_dup(arena, sql_str(st, 0)),
        .version = arena_dup(arena, sql_str(st, 1)),
        .arch = arena_dup(arena, sql_str(st, 2)),
        .kind = arena_dup(arena, sql_str(st, 3)),
        .source = arena_dup(arena, sql_str(st, 4)),
        .source_version = arena_dup(arena, sql_str(st, 5)),
        .module = arena_dup(arena, sql_str(st, 6)),
    };
}

/* The set of a file's packages, in their order; equal ones are stored once. `work` is scratch memory of the
 * caller's. */
static int set_id(struct sql *s, const struct numbered *numbers, const struct layer_entry *n,
                  struct buf *work, int64_t *ret, struct err *e)
{
    uint8_t hash[32];
    *ret = 0;
    if (!n->package_count)
        return 0;
    buf_clear(work);
    for (size_t i = 0; i < n->package_count; i++)
        pack_u64(work, (uint64_t)number_of(numbers, &n->packages[i]));
    if (work->failed)
        return sql_oom(s, e);
    if (sha256_of(work->ptr, work->len, hash, e) < 0)
        return -1;
    str name = str_of(hash, sizeof hash);
    int r = sql_number(s, e, ret, Q_SET_FIND, "b", name);
    if (r == 0) /* nothing when another transaction has just put it */
        r = sql_number(s, e, ret, Q_SET_ADD, "bb", name, buf_view(work));
    if (r == 0)
        r = sql_number(s, e, ret, Q_SET_FIND, "b", name);
    return r < 0 ? -1 : r ? 0 : err_set(e, ERR_INTERNAL, "%s: a package set vanished", s->where);
}

static int set_members(struct sql *s, int64_t set, struct arena *arena, struct layer_entry *ret,
                       struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_SET_GET, "i", set);
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1
                     : err_set(e, ERR_FORMAT, "%s: package set %lld is missing", s->where, (long long)set);
    str members = sql_str(st, 0);
    size_t count = 0, cap = 0;
    CLEANUP(freep)
    int64_t *ids = malloc((members.len + 1) * sizeof *ids); /* a number takes a byte at least */
    if (!ids)
        return sql_oom(s, e);
    for (struct unpack u = { .rest = members }; u.rest.len && !u.failed;)
        ids[count++] = (int64_t)unpack_u64(&u);
    CLEANUP(sql_resetp) struct sql_stmt *packages = sql_bind(s, e, Q_PACKAGES_GET, "I", ids, count);
    r = -1;
    while (packages && (r = sql_row(s, packages, e)) > 0) {
        ret->packages = arena_grow(arena, ret->packages, ret->package_count, &cap, sizeof *ret->packages);
        if (!ret->packages)
            return sql_oom(s, e);
        ret->packages[ret->package_count++] = package_of(packages, arena);
    }
    if (r == 0 && ret->package_count != count)
        return err_set(e, ERR_FORMAT, "%s: package set %lld: a package is missing", s->where, (long long)set);
    return r;
}

/* ---- layers ---- */

/* 1 and its number, 0, -1. */
static int layer_id(struct sql *s, str digest, unsigned indexer, int64_t *ret, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_LAYER_FIND, "bi", digest, (int64_t)indexer);
    int r = st ? sql_row(s, st, e) : -1;
    if (r > 0)
        *ret = sql_int(st, 0);
    return r;
}

/* Which layers have a package: the backward question. */
static int add_postings(struct sql *s, const struct numbered *numbers, int64_t id, struct err *e)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (sql_bulk(s, e, BULK_POSTING, "ii", numbers->ids[i], id) < 0)
            return -1;
    return sql_bulk_end(s, e);
}

static int number_layer(struct sql *s, const struct layer_index *layer, struct numbered *ret, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < layer->entry_count; i++)
        n += layer->entries[i].package_count;
    ret->packages = calloc(n + 1, sizeof *ret->packages);
    if (!ret->packages)
        return sql_oom(s, e);
    n = 0;
    for (size_t i = 0; i < layer->entry_count; i++)
        for (size_t k = 0; k < layer->entries[i].package_count; k++)
            ret->packages[n++] = &layer->entries[i].packages[k];
    return number_packages(s, ret, n, e);
}

static int layer_add(struct sql *s, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    CLEANUP(buf_done) struct buf work = { 0 }, blob = { 0 };
    CLEANUP(numbered_done) struct numbered numbers = { 0 };
    CLEANUP(freep) int64_t *sets = calloc(layer->entry_count + 1, sizeof *sets);
    int64_t id;
    if (!sets)
        return sql_oom(s, e);
    if (number_layer(s, layer, &numbers, e) < 0)
        return -1;
    for (size_t i = 0; i < layer->entry_count; i++)
        if (set_id(s, &numbers, &layer->entries[i], &work, &sets[i], e) < 0)
            return -1;
    layer_pack(layer, sets, &blob);
    if (blob.failed)
        return sql_oom(s, e);
    int added = sql_number(s, e, &id, Q_LAYER_ADD, "biibb", layer->digest, (int64_t)indexer,
                           (int64_t)layer->size, layer->diff_id, buf_view(&blob));
    return added > 0 ? add_postings(s, &numbers, id, e)
                     : added; /* 0: another transaction has just added it */
}

static int layer_put(struct sql *s, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    int64_t id;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int known = t ? layer_id(s, layer->digest, indexer, &id, e) : -1;
    if (known < 0 || (!known && layer_add(s, layer, indexer, e) < 0))
        return -1;
    if (known && layer->diff_id.len && sql_run(s, e, Q_LAYER_DIFF_ID, "ib", id, layer->diff_id) < 0)
        return -1;
    return sql_commit(&t, e);
}

int sql_layer_put(struct store *store, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    do
        r = layer_put(s, layer, indexer, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

int sql_layer_find(struct store *store, str digest, unsigned indexer, struct arena *arena,
                   struct layer_index **ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t)
        return -1;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_LAYER_FIND, "bi", digest, (int64_t)indexer);
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    int64_t *sets;
    struct layer_index *layer = arena_alloc(arena, 1, sizeof *layer);
    if (!layer)
        return sql_oom(s, e);
    layer->digest = arena_dup(arena, digest);
    layer->size = (uint64_t)sql_int(st, 1);
    layer->diff_id = arena_dup(arena, sql_str(st, 2));
    if (layer_unpack(sql_str(st, 3), arena, layer, &sets, e) < 0)
        return err_wrap(e, "%s: layer " STR_FMT, s->where, STR_ARG(digest));
    for (size_t i = 0; i < layer->entry_count; i++)
        if (sets[i] && set_members(s, sets[i], arena, &layer->entries[i], e) < 0)
            return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = layer;
    return 1;
}

/* ---- images ---- */

static int image_row(struct sql *s, const struct image_index *image, unsigned indexer, int64_t *ret,
                     struct err *e)
{
    CLEANUP(buf_done) struct buf details = { 0 };
    details_pack(image, &details);
    if (details.failed)
        return sql_oom(s, e);
    const struct distribution *d = &image->distribution;
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(s, e, Q_IMAGE_PUT, "bibbbbib", image->digest, (int64_t)indexer, d->namespace, d->id,
                 d->version, d->name, (int64_t)image->unreadable, buf_view(&details));
    if (!st || sql_row(s, st, e) < 0)
        return -1;
    *ret = sql_int(st, 0);
    return 0;
}

static int number_image(struct sql *s, const struct image_index *image, struct numbered *ret, struct err *e)
{
    ret->packages = calloc(image->package_count + 1, sizeof *ret->packages);
    if (!ret->packages)
        return sql_oom(s, e);
    for (size_t i = 0; i < image->package_count; i++)
        ret->packages[i] = &image->packages[i].package;
    return number_packages(s, ret, image->package_count, e);
}

static int image_rows(struct sql *s, const struct image_index *image, unsigned indexer, int64_t id,
                      struct err *e)
{
    if (sql_run(s, e, Q_IMAGE_LAYERS_CLEAR, "i", id) < 0 ||
        sql_run(s, e, Q_IMAGE_PACKAGES_CLEAR, "i", id) < 0)
        return -1;
    for (size_t i = 0; i < image->layer_count; i++) {
        int64_t layer = 0;
        str digest = image->layers[i]->digest;
        int r = layer_id(s, digest, indexer, &layer, e);
        if (r <= 0)
            return r < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "layer " STR_FMT " is not stored", STR_ARG(digest));
        if (sql_run(s, e, Q_IMAGE_LAYER_ADD, "iii", id, (int64_t)i, layer) < 0)
            return -1;
    }
    CLEANUP(numbered_done) struct numbered numbers = { 0 };
    if (number_image(s, image, &numbers, e) < 0)
        return -1;
    for (size_t i = 0; i < image->package_count; i++) {
        const struct image_package *p = &image->packages[i];
        if (sql_bulk(s, e, BULK_IMAGE_PACKAGE, "iiii", id, (int64_t)i, number_of(&numbers, &p->package),
                     (int64_t)p->layer) < 0)
            return -1;
    }
    return sql_bulk_end(s, e);
}

static int image_put(struct sql *s, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                     struct err *e)
{
    int64_t id = 0;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t || image_row(s, image, indexer, &id, e) < 0 || image_rows(s, image, indexer, id, e) < 0 ||
        sql_commit(&t, e) < 0)
        return -1;
    *ret_id = id;
    return 0;
}

int sql_image_put(struct store *store, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                  struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    do
        r = image_put(s, image, indexer, ret_id, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

static int image_layers(struct sql *s, int64_t id, struct arena *arena, struct image_index *ret,
                        struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_IMAGE_LAYERS, "i", id);
    int r = -1;
    size_t cap = 0;
    while (st && (r = sql_row(s, st, e)) > 0) {
        struct layer_index *layer = arena_alloc(arena, 1, sizeof *layer);
        ret->layers = arena_grow(arena, ret->layers, ret->layer_count, &cap, sizeof *ret->layers);
        if (!layer || !ret->layers)
            return sql_oom(s, e);
        layer->digest = arena_dup(arena, sql_str(st, 0));
        layer->size = (uint64_t)sql_int(st, 1);
        ret->layers[ret->layer_count++] = layer;
    }
    return r;
}

static int image_packages(struct sql *s, int64_t id, struct arena *arena, struct image_index *ret,
                          struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_IMAGE_PACKAGES, "i", id);
    int r = -1;
    size_t cap = 0;
    while (st && (r = sql_row(s, st, e)) > 0) {
        ret->packages = arena_grow(arena, ret->packages, ret->package_count, &cap, sizeof *ret->packages);
        if (!ret->packages)
            return sql_oom(s, e);
        struct image_package *p = &ret->packages[ret->package_count++];
        p->package = package_of(st, arena);
        p->layer = (uint32_t)sql_int(st, 7);
        if (p->layer >= ret->layer_count)
            return err_set(e, ERR_FORMAT, "%s: image %lld: package of no layer", s->where, (long long)id);
    }
    return r;
}

/* `st`: digest, number, namespace, ... of an image. */
static int image_of(struct sql *s, struct sql_stmt *st, struct arena *arena, struct image_index **ret,
                    int64_t *ret_id, struct err *e)
{
    int64_t id = sql_int(st, 1);
    struct image_index *image = arena_alloc(arena, 1, sizeof *image);
    if (!image)
        return sql_oom(s, e);
    image->digest = arena_dup(arena, sql_str(st, 0));
    image->distribution.namespace = arena_dup(arena, sql_str(st, 2));
    image->distribution.id = arena_dup(arena, sql_str(st, 3));
    image->distribution.version = arena_dup(arena, sql_str(st, 4));
    image->distribution.name = arena_dup(arena, sql_str(st, 5));
    image->unreadable = sql_int(st, 6);
    if (details_unpack(sql_str(st, 7), arena, image, e) < 0 || image_layers(s, id, arena, image, e) < 0 ||
        image_packages(s, id, arena, image, e) < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = image;
    *ret_id = id;
    return 1;
}

int sql_image_find(struct store *store, str digest, unsigned indexer, struct arena *arena,
                   struct image_index **ret, int64_t *ret_id, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t)
        return -1;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_IMAGE_FIND, "bi", digest, (int64_t)indexer);
    int r = st ? sql_row(s, st, e) : -1;
    return r > 0 ? image_of(s, st, arena, ret, ret_id, e) : r;
}

int sql_image_get(struct store *store, int64_t id, struct arena *arena, struct image_index **ret,
                  struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t)
        return -1;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_IMAGE_BY_ID, "i", id);
    int r = st ? sql_row(s, st, e) : -1;
    return r > 0 ? image_of(s, st, arena, ret, &id, e) : r;
}
