#include "store/sql.h"

#include "base/cleanup.h"
#include "codec/pack.h"
#include "codec/sha256.h"
#include "store/posting.h"
#include "store/rows.h"

#include <stdlib.h>
#include <time.h>

/* ---- packages ---- */

/* The packages of a layer or an image, each once, and their numbers. */
struct numbered {
    const struct package **packages; /* sorted by package_cmp() */
    int64_t *ids;
    size_t count, total; /* total: before equal ones became one */
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
    n->total = count;
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

int sql_set_put(struct sql *s, int64_t *ids, size_t count, int64_t *ret, struct err *e)
{
    uint8_t sum[32];
    CLEANUP(buf_done) struct buf members = { 0 };
    *ret = 0;
    if (!count)
        return 0;
    size_t n = numbers_sort(ids, count);
    set_pack(&members, ids, n);
    if (members.failed)
        return sql_oom(s, e);
    if (sha256_of(members.ptr, members.len, sum, e) < 0)
        return -1;
    str name = str_of(sum, SET_HASH);
    int r = sql_number(s, e, ret, Q_SET_FIND, "b", name);
    if (r)
        return r < 0 ? -1 : 0;
    r = sql_number(s, e, ret, Q_SET_ADD, "bb", name, buf_view(&members));
    if (r)
        return r < 0 ? -1 : sql_run(s, e, Q_SET_QUEUE, "i", *ret);
    r = sql_number(s, e, ret, Q_SET_FIND, "b", name); /* another transaction has just put it */
    return r < 0 ? -1 : r ? 0 : err_set(e, ERR_INTERNAL, "%s: a package set vanished", s->where);
}

static int by_package_row(const void *a, const void *b) { return package_cmp(a, b); }

/* The packages of a set, sorted by package_cmp(). */
static int set_get(struct sql *s, int64_t set, struct arena *arena, struct package **ret, size_t *ret_count,
                   struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_SET_GET, "i", set);
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1
                     : err_set(e, ERR_FORMAT, "%s: package set %lld is missing", s->where, (long long)set);
    size_t count = 0, n = 0;
    CLEANUP(freep) int64_t *ids = set_unpack(sql_str(st, 0), &count, e);
    if (!ids)
        return -1;
    struct package *packages = arena_array(arena, struct package, count + 1);
    if (!packages)
        return sql_oom(s, e);
    CLEANUP(sql_resetp) struct sql_stmt *rows = sql_bind(s, e, Q_PACKAGES_GET, "I", ids, count);
    r = -1;
    while (rows && (r = sql_row(s, rows, e)) > 0 && n < count)
        packages[n++] = package_of(rows, arena);
    if (r < 0)
        return -1;
    if (n != count)
        return err_set(e, ERR_FORMAT, "%s: package set %lld: a package is missing", s->where, (long long)set);
    qsort(packages, count, sizeof *packages, by_package_row);
    *ret = packages;
    *ret_count = count;
    return 0;
}

/* ---- layers ---- */

/* 1 and its number, 0, -1. */
static int layer_id(struct sql *s, str digest, unsigned indexer, int64_t *ret, struct err *e)
{
    char room[DIGEST_ROOM];
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_LAYER_FIND, "bi", digest_pack(digest, room), (int64_t)indexer);
    int r = st ? sql_row(s, st, e) : -1;
    if (r > 0)
        *ret = sql_int(st, 0);
    return r;
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

static int put_sets(struct sql *s, const struct layer_index *layer, int64_t *sets, struct err *e)
{
    CLEANUP(numbered_done) struct numbered numbers = { 0 };
    if (number_layer(s, layer, &numbers, e) < 0)
        return -1;
    CLEANUP(freep) int64_t *ids = malloc((numbers.total + 1) * sizeof *ids);
    if (!ids)
        return sql_oom(s, e);
    for (size_t i = 0; i < layer->entry_count; i++) {
        const struct layer_entry *n = &layer->entries[i];
        for (size_t k = 0; k < n->package_count; k++)
            ids[k] = number_of(&numbers, &n->packages[k]);
        if (sql_set_put(s, ids, n->package_count, &sets[i], e) < 0)
            return -1;
    }
    return 0;
}

int sql_layer_row(struct sql *s, const struct layer_index *layer, unsigned indexer, const int64_t *sets,
                  int64_t *id, struct err *e)
{
    CLEANUP(buf_done) struct buf blob = { 0 };
    char room[DIGEST_ROOM], diff_room[DIGEST_ROOM];
    layer_pack(layer, sets, &blob);
    if (blob.failed)
        return sql_oom(s, e);
    return sql_number(s, e, id, Q_LAYER_ADD, "biibbi", digest_pack(layer->digest, room), (int64_t)indexer,
                      (int64_t)layer->size, digest_pack(layer->diff_id, diff_room), buf_view(&blob),
                      (int64_t)time(NULL));
}

int sql_layer_sets(struct sql *s, int64_t id, const int64_t *sets, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++)
        if (sets[i] && sql_run(s, e, Q_LAYER_SET_ADD, "ii", sets[i], id) < 0)
            return -1;
    return 0;
}

static int layer_add(struct sql *s, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    CLEANUP(freep) int64_t *sets = calloc(layer->entry_count + 1, sizeof *sets);
    int64_t id;
    if (!sets)
        return sql_oom(s, e);
    if (put_sets(s, layer, sets, e) < 0)
        return -1;
    int added = sql_layer_row(s, layer, indexer, sets, &id, e);
    /* 0: another transaction has just added it */
    return added > 0 ? sql_layer_sets(s, id, sets, layer->entry_count, e) : added;
}

static int layer_put(struct sql *s, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    int64_t id;
    char room[DIGEST_ROOM];
    CLEANUP(sql_endp) struct sql *t = sql_begin_as(s, SQL_INDEX, e);
    int known = t ? layer_id(s, layer->digest, indexer, &id, e) : -1;
    if (known < 0 || (!known && layer_add(s, layer, indexer, e) < 0))
        return -1;
    if (known && layer->diff_id.len &&
        sql_run(s, e, Q_LAYER_DIFF_ID, "ib", id, digest_pack(layer->diff_id, room)) < 0)
        return -1;
    if (known && sql_run(s, e, Q_LAYER_KEEP, "ii", id, (int64_t)time(NULL)) < 0)
        return -1;
    return sql_commit(&t, e);
}

int store_layer_put(struct store *store, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    do
        r = layer_put(s, layer, indexer, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

int store_layer_find(struct store *store, str digest, unsigned indexer, struct arena *arena,
                     struct layer_index **ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t)
        return -1;
    char room[DIGEST_ROOM];
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_LAYER_FIND, "bi", digest_pack(digest, room), (int64_t)indexer);
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    int64_t *sets;
    struct layer_index *layer = arena_alloc(arena, 1, sizeof *layer);
    if (!layer)
        return sql_oom(s, e);
    layer->digest = arena_dup(arena, digest);
    layer->size = (uint64_t)sql_int(st, 1);
    layer->diff_id = digest_unpack(sql_str(st, 2), arena);
    if (layer_unpack(sql_str(st, 3), arena, layer, &sets, e) < 0)
        return err_wrap(e, "%s: layer " STR_FMT, s->where, STR_ARG(digest));
    for (size_t i = 0; i < layer->entry_count; i++) {
        struct layer_entry *n = &layer->entries[i];
        if (sets[i] && set_get(s, sets[i], arena, &n->packages, &n->package_count, e) < 0)
            return -1;
    }
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = layer;
    return 1;
}

int store_layer_known(struct store *store, str digest, unsigned indexer, struct err *e)
{
    struct sql *s = (struct sql *)store;
    int64_t ignored;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    return t ? layer_id(s, digest, indexer, &ignored, e) : -1;
}

/* ---- images ---- */

int sql_namespace_seen(struct sql *s, str namespace, struct err *e)
{
    int64_t ignored;
    if (s->scratch || !namespace.len)
        return 0;
    return sql_number(s, e, &ignored, Q_NAMESPACE_ADD, "bb", namespace, STR("")) < 0 ? -1 : 0;
}

static int distribution_id(struct sql *s, const struct distribution *d, int64_t *ret, struct err *e)
{
    int r = sql_number(s, e, ret, Q_DISTRIBUTION_FIND, "bbbb", d->namespace, d->id, d->version, d->name);
    if (r == 0 && sql_namespace_seen(s, d->namespace, e) < 0)
        return -1;
    if (r == 0) /* nothing when another transaction has just put it */
        r = sql_number(s, e, ret, Q_DISTRIBUTION_ADD, "bbbb", d->namespace, d->id, d->version, d->name);
    if (r == 0)
        r = sql_number(s, e, ret, Q_DISTRIBUTION_FIND, "bbbb", d->namespace, d->id, d->version, d->name);
    return r < 0 ? -1 : r ? 0 : err_set(e, ERR_INTERNAL, "%s: a distribution vanished", s->where);
}

int sql_image_row(struct sql *s, const struct image_index *image, unsigned indexer, int64_t set, int64_t *ret,
                  struct err *e)
{
    CLEANUP(buf_done) struct buf details = { 0 }, origins = { 0 };
    char room[DIGEST_ROOM];
    int64_t distribution;
    details_pack(image, &details);
    origins_pack(image, &origins);
    if (details.failed || origins.failed)
        return sql_oom(s, e);
    if (distribution_id(s, &image->distribution, &distribution, e) < 0)
        return -1;
    int r = sql_number(s, e, ret, Q_IMAGE_PUT, "biiibibi", digest_pack(image->digest, room), (int64_t)indexer,
                       distribution, set, buf_view(&origins), (int64_t)image->unreadable, buf_view(&details),
                       (int64_t)time(NULL));
    return r < 0 ? -1 : 0;
}

static int put_image_set(struct sql *s, const struct image_index *image, int64_t *ret, struct err *e)
{
    CLEANUP(numbered_done) struct numbered numbers = { 0 };
    numbers.packages = calloc(image->package_count + 1, sizeof *numbers.packages);
    if (!numbers.packages)
        return sql_oom(s, e);
    for (size_t i = 0; i < image->package_count; i++)
        numbers.packages[i] = &image->packages[i].package;
    if (number_packages(s, &numbers, image->package_count, e) < 0)
        return -1;
    if (numbers.count != image->package_count)
        return err_set(e, ERR_INTERNAL, "%s: an image has a package twice", s->where);
    return sql_set_put(s, numbers.ids, numbers.count, ret, e);
}

static int image_layer_rows(struct sql *s, const struct image_index *image, unsigned indexer, int64_t id,
                            struct err *e)
{
    if (sql_run(s, e, Q_IMAGE_LAYERS_CLEAR, "i", id) < 0)
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
    return 0;
}

/* Names have what their image has beside it: it may have been another one until now. */
static int refresh_names(struct sql *s, int64_t id, int64_t set, struct err *e)
{
    if (s->scratch)
        return 0;
    return sql_run(s, e, Q_IMAGE_VIEWS, "ii", id, set) < 0 ? -1
                                                           : sql_run(s, e, Q_IMAGE_ANCESTRIES, "ii", id, set);
}

static int image_put(struct sql *s, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                     struct err *e)
{
    int64_t id = 0, set;
    CLEANUP(sql_endp) struct sql *t = sql_begin_as(s, SQL_INDEX, e);
    if (!t || put_image_set(s, image, &set, e) < 0 || sql_image_row(s, image, indexer, set, &id, e) < 0 ||
        image_layer_rows(s, image, indexer, id, e) < 0 || refresh_names(s, id, set, e) < 0 ||
        sql_commit(&t, e) < 0)
        return -1;
    *ret_id = id;
    return 0;
}

int store_image_put(struct store *store, const struct image_index *image, unsigned indexer, int64_t *ret_id,
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
        layer->digest = digest_unpack(sql_str(st, 0), arena);
        layer->size = (uint64_t)sql_int(st, 1);
        ret->layers[ret->layer_count++] = layer;
    }
    return r;
}

static int image_packages(struct sql *s, int64_t set, struct arena *arena, struct image_index *ret,
                          struct err *e)
{
    struct package *packages;
    size_t count = 0;
    if (set && set_get(s, set, arena, &packages, &count, e) < 0)
        return -1;
    ret->packages = arena_array(arena, struct image_package, count + 1);
    if (!ret->packages)
        return sql_oom(s, e);
    for (size_t i = 0; i < count; i++)
        ret->packages[i].package = packages[i];
    ret->package_count = count;
    return 0;
}

/* `st`: a row of Q_IMAGE_FIND. */
static int image_of(struct sql *s, struct sql_stmt *st, struct arena *arena, struct image_index **ret,
                    int64_t *ret_id, struct err *e)
{
    int64_t id = sql_int(st, 0);
    struct image_index *image = arena_alloc(arena, 1, sizeof *image);
    if (!image)
        return sql_oom(s, e);
    image->digest = digest_unpack(sql_str(st, 1), arena);
    image->distribution.namespace = arena_dup(arena, sql_str(st, 2));
    image->distribution.id = arena_dup(arena, sql_str(st, 3));
    image->distribution.version = arena_dup(arena, sql_str(st, 4));
    image->distribution.name = arena_dup(arena, sql_str(st, 5));
    image->unreadable = sql_int(st, 6);
    if (image_layers(s, id, arena, image, e) < 0 || image_packages(s, sql_int(st, 7), arena, image, e) < 0 ||
        origins_unpack(sql_str(st, 8), image, e) < 0 || details_unpack(sql_str(st, 9), arena, image, e) < 0)
        return err_wrap(e, "%s: image %lld", s->where, (long long)id);
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = image;
    *ret_id = id;
    return 1;
}

int store_image_find(struct store *store, str digest, unsigned indexer, struct arena *arena,
                     struct image_index **ret, int64_t *ret_id, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t)
        return -1;
    char room[DIGEST_ROOM];
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_IMAGE_FIND, "bi", digest_pack(digest, room), (int64_t)indexer);
    int r = st ? sql_row(s, st, e) : -1;
    return r > 0 ? image_of(s, st, arena, ret, ret_id, e) : r;
}

static int image_get(struct sql *s, int64_t id, struct arena *arena, struct image_index **ret, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_IMAGE_BY_ID, "i", id);
    int r = st ? sql_row(s, st, e) : -1;
    return r > 0 ? image_of(s, st, arena, ret, &id, e) : r;
}

int store_image_get(struct store *store, int64_t id, struct arena *arena, struct image_index **ret,
                    struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin((struct sql *)store, false, e);
    return t ? image_get(t, id, arena, ret, e) : -1;
}

/* Those of `packages` that are in the set: how many, at the start of `ids`, which is malloc()ed; -1. */
static ptrdiff_t set_common(struct sql *s, int64_t set, const int64_t *packages, size_t count, int64_t **ids,
                            struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_SET_GET, "i", set);
    int r = st ? sql_row(s, st, e) : -1;
    size_t all = 0, n = 0;
    if (r <= 0)
        return r;
    *ids = set_unpack(sql_str(st, 0), &all, e);
    if (!*ids)
        return -1;
    for (size_t i = 0; i < all; i++)
        if (bsearch(&(*ids)[i], packages, count, sizeof *packages, number_order))
            (*ids)[n++] = (*ids)[i];
    return (ptrdiff_t)n;
}

int sql_set_has(struct sql *s, int64_t set, const int64_t *packages, size_t count, struct err *e)
{
    CLEANUP(freep) int64_t *ids = NULL;
    ptrdiff_t n = set_common(s, set, packages, count, &ids, e);
    return n < 0 ? -1 : n > 0;
}

int sql_image_facts(struct sql *s, int64_t id, struct arena *arena, const struct image_fact **ret,
                    size_t *ret_count, struct err *e)
{
    struct image_index image = { 0 };
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_IMAGE_BY_ID, "i", id);
    int r = st ? sql_row(s, st, e) : -1;
    if (r > 0)
        r = details_unpack(sql_str(st, 9), arena, &image, e);
    *ret = image.facts;
    *ret_count = image.fact_count;
    return r;
}

#define KEEP_S 600 /* what was noted a moment ago need not be noted again: it is kept for an hour at least */

int store_image_keep(struct store *store, int64_t id, struct err *e)
{
    struct sql *s = (struct sql *)store;
    int64_t now = (int64_t)time(NULL), used = 0;
    if (s->scratch || s->readonly)
        return 1;
    int found = sql_number(s, e, &used, Q_IMAGE_USED, "i", id);
    if (found <= 0 || (used > now - KEEP_S && used <= now))
        return found;
    CLEANUP(sql_endp) struct sql *t = sql_begin_as(s, SQL_INDEX, e);
    if (!t || sql_run(s, e, Q_IMAGE_KEEP, "ii", id, now) < 0)
        return -1;
    int kept = sql_changes(s) > 0;
    return sql_commit(&t, e) < 0 ? -1 : kept;
}
