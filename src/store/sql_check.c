/* store_check.c - see store_check(): what refers to what. */
#include "store/sql_check.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/posting.h"
#include "store/rows.h"

#include <stdio.h>
#include <stdlib.h>

#define LAYERS_AT_ONCE 50
#define IMAGES_AT_ONCE 100
#define NAMED_AT_ONCE  1000
#define LEASE_MAX_S    86400

void check_problem(struct checking *c, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (++c->found > CHECK_SHOWN)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->report(c->ctx, text);
}

/* A row that is damaged is a problem of the database; everything else one of ours. */
static int tell_damage(struct checking *c, const char *what, int64_t id, struct err *e)
{
    if (e->kind != ERR_FORMAT)
        return -1;
    check_problem(c, "%s %lld: %s", what, (long long)id, e->text);
    *e = (struct err){ 0 };
    return 0;
}

/* ---- layers ---- */

/* 0 stands for no set. */
static size_t sort_sets(int64_t *sets, size_t count)
{
    size_t n = numbers_sort(sets, count), none = n && !sets[0];
    memmove(sets, sets + none, (n - none) * sizeof *sets);
    return n - none;
}

/* Those of its entries, each once, are those of layer_set. */
static int compare_sets(struct checking *c, int64_t layer, const int64_t *sets, size_t count, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(c->s, e, Q_CHECK_LAYER_SETS, "i", layer);
    int r = -1;
    size_t n = 0;
    bool same = true;
    for (; st && (r = sql_row(c->s, st, e)) > 0; n++)
        same &= n < count && sets[n] == sql_int(st, 0);
    if (r < 0)
        return -1;
    if (!same || n != count)
        check_problem(c, "layer %lld: layer_set has not the package sets of its entries", (long long)layer);
    return 0;
}

static int check_layer(struct checking *c, struct sql_stmt *st, int64_t id, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct layer_index layer = { 0 };
    int64_t *sets;
    if (!arena)
        return sql_oom(c->s, e);
    if (layer_unpack(sql_str(st, 2), arena, &layer, &sets, e) < 0)
        return tell_damage(c, "layer", id, e);
    return compare_sets(c, id, sets, sort_sets(sets, layer.entry_count), e);
}

/* Pages of a table by number, all in one view. */
static int each_row(struct checking *c, enum query q, int64_t limit,
                    int (*one)(struct checking *c, struct sql_stmt *st, int64_t id, struct err *e),
                    struct err *e)
{
    for (int64_t after = 0, n = limit; n == limit;) {
        CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(c->s, e, q, "ii", after, limit);
        int r = -1;
        for (n = 0; st && (r = sql_row(c->s, st, e)) > 0; n++) {
            after = sql_int(st, 0);
            if (one(c, st, after, e) < 0)
                return -1;
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

/* Rows that should not be there, of two numbers. */
static int no_rows(struct checking *c, enum query q, const char *first, const char *second, const char *fault,
                   struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(c->s, e, q, "i", (int64_t)CHECK_SHOWN + 1);
    int r = -1;
    while (st && (r = sql_row(c->s, st, e)) > 0)
        check_problem(c, "%s %lld has %s %lld, %s", first, (long long)sql_int(st, 0), second,
                      (long long)sql_int(st, 1), fault);
    return r;
}

static int check_layers(struct checking *c, struct err *e)
{
    if (no_rows(c, Q_CHECK_LOST_SETS, "layer", "package set", "and one of them is not stored", e) < 0)
        return -1;
    return each_row(c, Q_CHECK_LAYERS, LAYERS_AT_ONCE, check_layer, e);
}

/* ---- images ---- */

static int unpack_image(struct checking *c, struct sql_stmt *st, struct arena *arena, struct err *e)
{
    struct image_index image = { .layer_count = (size_t)sql_int(st, 7) };
    str members = sql_str(st, 5);
    if (members.len) {
        CLEANUP(freep) int64_t *ids = set_unpack(members, &image.package_count, e);
        if (!ids)
            return -1;
    }
    image.packages = arena_array(arena, struct image_package, image.package_count + 1);
    if (!image.packages)
        return sql_oom(c->s, e);
    return origins_unpack(sql_str(st, 2), &image, e) < 0 ? -1
                                                         : details_unpack(sql_str(st, 3), arena, &image, e);
}

static int check_image(struct checking *c, struct sql_stmt *st, int64_t id, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    int64_t set = sql_int(st, 1), layers = sql_int(st, 7);
    if (!arena)
        return sql_oom(c->s, e);
    if (!sql_int(st, 4))
        check_problem(c, "image %lld: its distribution is not stored", (long long)id);
    if (layers != sql_int(st, 8) || layers != sql_int(st, 9))
        check_problem(c, "image %lld: a layer of it is not stored", (long long)id);
    if (set && !sql_int(st, 6)) {
        check_problem(c, "image %lld: package set %lld is not stored", (long long)id, (long long)set);
        return 0;
    }
    return unpack_image(c, st, arena, e) < 0 ? tell_damage(c, "image", id, e) : 0;
}

static int check_images(struct checking *c, struct err *e)
{
    if (no_rows(c, Q_CHECK_LOST_LAYERS, "image", "layer", "but is not stored itself", e) < 0)
        return -1;
    return each_row(c, Q_CHECK_IMAGES, IMAGES_AT_ONCE, check_image, e);
}

/* ---- named layers ---- */

static int check_named_one(struct checking *c, struct sql_stmt *st, int64_t id, struct err *e)
{
    int64_t parent = sql_int(st, 2), chain = 0;
    str name = sql_str(st, 1);
    if (parent && !sql_int(st, 3))
        check_problem(c, "named layer " STR_FMT ": its parent is not stored", STR_ARG(name));
    if (!sql_int(st, 4))
        check_problem(c, "named layer " STR_FMT ": its content is not stored", STR_ARG(name));
    if (sql_int(st, 5))
        check_problem(c, "named layer " STR_FMT ": a view of it is not stored, or has other packages",
                      STR_ARG(name));
    if (!parent)
        return 0;
    if (sql_number(c->s, e, &chain, Q_NAMED_DEPTH, "ii", id, (int64_t)STORE_CHAIN_MAX + 2) < 0)
        return -1;
    if (chain > STORE_CHAIN_MAX + 1)
        check_problem(c, "named layer " STR_FMT ": more than %u ancestors, or it is one of its own",
                      STR_ARG(name), STORE_CHAIN_MAX);
    return 0;
}

static int check_named(struct checking *c, struct err *e)
{
    if (no_rows(c, Q_CHECK_LOST_VIEWS, "named layer", "image", "but is not stored itself", e) < 0)
        return -1;
    return each_row(c, Q_CHECK_NAMED, NAMED_AT_ONCE, check_named_one, e);
}

/* ---- ancestries ---- */

static int check_ancestry(struct checking *c, struct sql_stmt *st, int64_t id, struct err *e)
{
    str name = sql_str(st, 1);
    const str *hashes;
    size_t count = 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena)
        return sql_oom(c->s, e);
    if (!sql_int(st, 4))
        check_problem(c, "ancestry " STR_FMT ": its image is not stored, or has other packages",
                      STR_ARG(name));
    if (ancestry_unpack(sql_str(st, 2), arena, &hashes, &count, e) < 0)
        return tell_damage(c, "ancestry", id, e);
    if (count && !sql_int(st, 3))
        check_problem(c, "ancestry " STR_FMT ": it has layers and no image", STR_ARG(name));
    return 0;
}

static int check_ancestries(struct checking *c, struct err *e)
{
    if (no_rows(c, Q_CHECK_LOST_HASHES, "hash", "layer", "which is not stored", e) < 0)
        return -1;
    return each_row(c, Q_CHECK_ANCESTRIES, NAMED_AT_ONCE, check_ancestry, e);
}

/* ---- small tables ---- */

static int check_metadata(struct checking *c, struct err *e)
{
    return no_rows(c, Q_CHECK_METADATA, "advisory", "metadata of", "but not of that name, or is not stored",
                   e);
}

static int check_spaces(struct checking *c, struct err *e)
{
    if (no_rows(c, Q_CHECK_LOST_SPACES, "block", "in the list of namespaces", "and one of them is not stored",
                e) < 0)
        return -1;
    return no_rows(c, Q_CHECK_MISSING_SPACES, "advisory", "ranges in namespace", "which does not list it", e);
}

static int check_changes(struct checking *c, struct err *e)
{
    int64_t generation;
    if (sql_generation(c->s, &generation, e) < 0)
        return -1;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(c->s, e, Q_CHECK_CHANGES, "ii", generation + 1, (int64_t)CHECK_SHOWN + 1);
    int r = -1;
    while (st && (r = sql_row(c->s, st, e)) > 0)
        check_problem(c, "change %lld of generation %lld: of no feed, or of the future",
                      (long long)sql_int(st, 1), (long long)sql_int(st, 0));
    return r;
}

/* When they end tells nothing: it may be by the clock of before a new start. */
static int check_leases(struct checking *c, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(c->s, e, Q_LEASES, "i", clock_up());
    int r = -1;
    while (st && (r = sql_row(c->s, st, e)) > 0)
        if (sql_int(st, 3) <= 0 || sql_int(st, 3) > LEASE_MAX_S)
            check_problem(c, "lease " STR_FMT " is for %lld seconds", STR_ARG(sql_str(st, 0)),
                          (long long)sql_int(st, 3));
    return r;
}

/* ---- the whole ---- */

static int check_engine(struct checking *c, struct err *e)
{
    return c->s->care->check ? c->s->care->check(c->s, c->report, c->ctx, e) : 0;
}

int store_check(struct store *store, bool full, store_problem *report, void *ctx, struct err *e)
{
    static int (*const parts[])(struct checking * c, struct err * e) = {
        check_engine,     check_postings, check_layers, check_images,  check_named,  check_ancestries,
        check_advisories, check_metadata, check_spaces, check_changes, check_leases,
    };
    struct checking c = { .s = (struct sql *)store, .full = full, .report = report, .ctx = ctx };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        CLEANUP(sql_endp) struct sql *view = sql_begin(c.s, false, e);
        c.found = 0;
        if (!view || parts[i](&c, e) < 0 || sql_commit(&view, e) < 0)
            return -1;
        if (c.found > CHECK_SHOWN) {
            char text[64];
            snprintf(text, sizeof text, "and %lld more of these", (long long)c.found - CHECK_SHOWN);
            report(ctx, text);
        }
    }
    return 0;
}
