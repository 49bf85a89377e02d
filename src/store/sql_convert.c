/* sql_convert.c - what migrations cannot say in SQL: packed columns that changed their form. Runs inside the migration's transaction. */
#include "store/sql_update.h"

#include "base/cleanup.h"
#include "store/rows.h"

#include <stdlib.h>

static int convert_layer(struct sql *s, struct sql_stmt *st, struct arena *arena, int64_t *id, struct err *e)
{
    char room[DIGEST_ROOM], diff_room[DIGEST_ROOM];
    struct layer_index layer = { .digest = arena_dup(arena, sql_str(st, 1)),
                                 .diff_id = arena_dup(arena, sql_str(st, 4)) };
    int64_t *sets;
    str entries = sql_str(st, 5);
    *id = sql_int(st, 0);
    if (layer_unpack(entries, arena, &layer, &sets, e) < 0 ||
        sql_run(s, e, Q_OLD_LAYER_PUT, "ibiibbi", *id, digest_pack(layer.digest, room), sql_int(st, 2),
                sql_int(st, 3), digest_pack(layer.diff_id, diff_room), entries, (int64_t)0) < 0)
        return -1;
    return sql_layer_sets(s, *id, sets, layer.entry_count, e);
}

static int convert_image(struct sql *s, struct sql_stmt *st, struct arena *arena, int64_t *id, struct err *e)
{
    size_t cap = 0, id_cap = 0, n = 0;
    int64_t *ids = NULL, set;
    struct image_index image = {
        .digest = arena_dup(arena, sql_str(st, 1)),
        .distribution = { .namespace = arena_dup(arena, sql_str(st, 3)),
                          .id = arena_dup(arena, sql_str(st, 4)),
                          .version = arena_dup(arena, sql_str(st, 5)),
                          .name = arena_dup(arena, sql_str(st, 6)) },
        .unreadable = sql_int(st, 7),
    };
    *id = sql_int(st, 0);
    CLEANUP(sql_resetp) struct sql_stmt *rows = sql_bind(s, e, Q_OLD_IMAGE_PACKAGES, "i", *id);
    int r = -1;
    while (rows && (r = sql_row(s, rows, e)) > 0) {
        image.packages = arena_grow(arena, image.packages, n, &cap, sizeof *image.packages);
        ids = arena_grow(arena, ids, n, &id_cap, sizeof *ids);
        if (!image.packages || !ids)
            return sql_oom(s, e);
        ids[n] = sql_int(rows, 0);
        image.packages[n++] = (struct image_package){ .layer = (uint32_t)sql_int(rows, 1) };
    }
    image.package_count = n;
    if (r < 0 || details_unpack(sql_str(st, 8), arena, &image, e) < 0 || sql_set_put(s, ids, n, &set, e) < 0)
        return -1;
    unsigned indexer = (unsigned)sql_int(st, 2);
    int64_t made;
    if (sql_image_row(s, &image, indexer, set, &made, e) < 0)
        return -1;
    return sql_run(s, e, Q_OLD_IMAGE_NUMBER, "ii", made, *id); /* views and layers name it by that */
}

/* Every row of an old table, by number. */
static int convert(struct sql *s, enum query next,
                   int (*one)(struct sql *s, struct sql_stmt *st, struct arena *arena, int64_t *id,
                              struct err *e),
                   struct err *e)
{
    for (int64_t id = 0;;) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(sql_resetp) struct sql_stmt *st = arena ? sql_bind(s, e, next, "i", id) : NULL;
        int r = st ? sql_row(s, st, e) : arena ? -1 : sql_oom(s, e);
        if (r <= 0)
            return r;
        if (one(s, st, arena, &id, e) < 0)
            return -1;
    }
}

/* Else every advisory that is read again would be told as a change. */
static int convert_hash(struct sql *s, struct sql_stmt *st, struct arena *arena, int64_t *id, struct err *e)
{
    CLEANUP(buf_done) struct buf work = { 0 };
    uint8_t hash[CONTENT_HASH];
    struct stored_advisory a;
    *id = sql_int(st, 0);
    int found = sql_advisory_read(s, *id, arena, &a, e);
    if (found < 0 || (found && (advisory_hash(&a.advisory, &work, hash, e) < 0 ||
                                sql_run(s, e, Q_OLD_HASH_SET, "ib", *id, str_of(hash, sizeof hash)) < 0)))
        return -1;
    return 0;
}

struct spaces { /* each namespace, and the last block that was written for it */
    struct sql *s;
    int64_t block;
    struct {
        int64_t namespace, block;
    } * list;
    size_t count, cap;
    struct arena *arena;
};

static int add_space(void *ctx, const struct range_ref *r, struct err *e)
{
    struct spaces *w = ctx;
    size_t i = 0;
    if (r->negative)
        return 0;
    while (i < w->count && w->list[i].namespace != r->namespace)
        i++;
    if (i < w->count && w->list[i].block == w->block)
        return 0;
    if (i == w->count) {
        w->list = arena_grow(w->arena, w->list, w->count, &w->cap, sizeof *w->list);
        if (!w->list)
            return sql_oom(w->s, e);
        w->list[w->count++].namespace = r->namespace;
    }
    w->list[i].block = w->block;
    return sql_run(w->s, e, Q_SPACE_ADD, "iI", r->namespace, &w->block, (size_t)1);
}

/* Some advisories behind *after: how many. */
static int convert_some(struct spaces *w, int64_t *after, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(w->s, e, Q_OLD_SPACES_NEXT, "i", *after);
    int r = -1, rows = 0;
    for (; st && (r = sql_row(w->s, st, e)) > 0; rows++) {
        *after = sql_int(st, 0);
        w->block = *after >> BLOCK_BITS;
        if (range_refs(sql_str(st, 1), add_space, w, e) < 0)
            return -1;
    }
    return r < 0 ? -1 : rows;
}

/* Which namespaces they speak of. */
static int convert_advisories(struct sql *s, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct spaces w = { .s = s, .arena = arena };
    int rows = arena ? 1 : sql_oom(s, e);
    for (int64_t after = 0; rows > 0;)
        rows = convert_some(&w, &after, e);
    return rows;
}

int sql_convert(struct sql *s, int schema, struct err *e)
{
    if (schema == 4)
        return convert_advisories(s, e);
    if (schema != 3)
        return 0;
    if (convert(s, Q_OLD_HASH_NEXT, convert_hash, e) < 0)
        return -1;
    if (convert(s, Q_OLD_LAYER_NEXT, convert_layer, e) < 0 ||
        convert(s, Q_OLD_IMAGE_NEXT, convert_image, e) < 0)
        return -1;
    return sql_run(s, e, Q_OLD_IMAGES_DROP, "") < 0 ? -1 : sql_run(s, e, Q_OLD_LAYERS_DROP, "");
}
