/* clair2_layers.c - Clair 2's layers become named layers of ours. */
#include "import/clair2_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/sha256.h"

#include <stdlib.h>

#define PAGE             256
#define LAYER_MEMORY_MAX ((size_t)512 << 20)

enum outcome { TAKEN, THERE, KEPT, LEFT_OUT, LATER /* its parent is not here yet */ };

struct layer {
    struct taking *t;
    const struct clair2_layer *l;
    struct arena *arena;
    str *chain; /* names, the root first */
    size_t chain_count;
    struct named_layer *parent; /* ours; NULL: none */
    struct clair2_feature *features;
    size_t feature_count;
    const struct layer_index **layers; /* of the images: as many as the chain has */
};

static const struct layer_index content = { .digest = { "clair2", 6 } };

static enum outcome leave_out(struct layer *y, const char *why)
{
    taking_tell(y->t, "layer", y->l->name, "%s", why);
    return LEFT_OUT;
}

/* ---- what it is called ---- */

static int chain_of(struct layer *y, const struct buf *of, str *ret, struct err *e)
{
    uint8_t sum[32];
    char hex[65];
    if (of->failed)
        return taking_oom(e);
    if (sha256_of(of->ptr, of->len, sum, e) < 0)
        return -1;
    hex_encode(sum, sizeof sum, hex);
    *ret = arena_printf(y->arena, "clair2:%s", hex);
    return arena_failed(y->arena) ? taking_oom(e) : 0;
}

static void add_part(struct buf *to, str part)
{
    buf_printf(to, "%zu:", part.len);
    buf_str(to, part);
}

/* Of what is there and who brought it: another import finds the same. */
static int name_content(struct layer *y, str *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf all = { 0 };
    for (size_t i = 0; i < y->chain_count; i++)
        add_part(&all, y->chain[i]);
    for (size_t i = 0; i < y->feature_count; i++) {
        const struct clair2_feature *f = &y->features[i];
        add_part(&all, f->namespace);
        add_part(&all, f->name);
        add_part(&all, f->version);
        buf_printf(&all, "%u;", f->depth);
    }
    return chain_of(y, &all, ret, e);
}

static int name_heir(struct layer *y, str *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf all = { 0 };
    add_part(&all, y->parent->chain);
    add_part(&all, y->l->name);
    return chain_of(y, &all, ret, e);
}

/* ---- its packages ---- */

static int by_feature(const void *pa, const void *pb)
{
    const struct clair2_feature *a = pa, *b = pb;
    int r = str_cmp(a->namespace, b->namespace);
    r = r ? r : str_cmp(a->name, b->name);
    r = r ? r : str_cmp(a->version, b->version);
    return r ? r : (a->depth > b->depth) - (a->depth < b->depth);
}

/* The source stands there twice, as for a package that names none. */
static bool feature_fits(const struct layer *y, const struct clair2_feature *f)
{
    size_t texts = 2 * (f->name.len + f->version.len) + STR("dpkg").len;
    return name_fits(f->namespace) && f->name.len && f->name.len <= PACKAGE_TEXT_MAX && f->version.len &&
           f->version.len <= PACKAGE_TEXT_MAX && texts <= PACKAGE_TEXTS_MAX && f->depth < y->chain_count;
}

static int load_features(struct layer *y, struct err *e)
{
    size_t kept = 0;
    if (clair2_features(y->t->from, y->l->id, y->chain_count, y->arena, &y->features, &y->feature_count, e) <
        0)
        return -1;
    for (size_t i = 0; i < y->feature_count; i++)
        if (feature_fits(y, &y->features[i]))
            y->features[kept++] = y->features[i];
    y->t->n->layers.packages += (int64_t)(y->feature_count - kept);
    y->feature_count = kept;
    if (kept)
        qsort(y->features, kept, sizeof *y->features, by_feature);
    return 0;
}

static int by_package(const void *pa, const void *pb)
{
    const struct image_package *a = pa, *b = pb;
    return package_cmp(&a->package, &b->package);
}

static struct image_package package_of(const struct layer *y, const struct clair2_feature *f)
{
    struct package p = { .kind = namespace_scheme(f->namespace, f->format),
                         .name = f->name,
                         .version = f->version,
                         .source = f->name,
                         .source_version = f->version };
    return (struct image_package){ .package = p, .layer = (uint32_t)(y->chain_count - 1 - f->depth) };
}

static int put_view(struct layer *y, const struct clair2_feature *list, size_t count, str digest,
                    int64_t *ret, struct err *e)
{
    str version = list[0].namespace, id = str_cut(&version, ':');
    struct image_index view = {
        .digest = digest,
        .distribution = { .id = id, .version = version, .namespace = list[0].namespace },
        .layers = y->layers,
        .layer_count = y->chain_count,
        .packages = arena_array(y->arena, struct image_package, count)
    };
    if (!view.packages)
        return taking_oom(e);
    for (size_t i = 0; i < count; i++)
        if (!i || !str_eq(list[i].name, list[i - 1].name) || !str_eq(list[i].version, list[i - 1].version))
            view.packages[view.package_count++] = package_of(y, &list[i]);
    qsort(view.packages, view.package_count, sizeof *view.packages, by_package);
    return store_image_put(y->t->to, &view, CLAIR2_INDEXER, ret, e);
}

/* An image for each namespace. */
static int put_views(struct layer *y, struct named_layer *to, struct err *e)
{
    int64_t *views = NULL;
    size_t cap = 0;
    y->layers = arena_array(y->arena, const struct layer_index *, y->chain_count);
    if (!y->layers)
        return taking_oom(e);
    for (size_t i = 0; i < y->chain_count; i++)
        y->layers[i] = &content;
    for (size_t i = 0, end; i < y->feature_count; i = end) {
        for (end = i + 1;
             end < y->feature_count && str_eq(y->features[end].namespace, y->features[i].namespace);)
            end++;
        str digest = arena_printf(y->arena, STR_FMT "#%zu", STR_ARG(to->chain), to->view_count);
        views = arena_grow(y->arena, views, to->view_count, &cap, sizeof *views);
        if (!views || !digest.len)
            return taking_oom(e);
        if (put_view(y, y->features + i, end - i, digest, &views[to->view_count], e) < 0)
            return -1;
        to->view_count++;
    }
    to->views = views;
    return 0;
}

/* Most layers change no package. */
static bool is_heir(const struct layer *y)
{
    return y->parent && !y->l->changes && y->parent->indexer == CLAIR2_INDEXER;
}

static int build(struct layer *y, struct named_layer *to, struct err *e)
{
    if (!is_heir(y))
        return name_content(y, &to->chain, e) < 0 ? -1 : put_views(y, to, e);
    to->views = y->parent->views;
    to->view_count = y->parent->view_count;
    return name_heir(y, &to->chain, e);
}

/* ---- one layer ---- */

/* The parent here may be another layer: what the chain is called tells who brought a package. */
static int check_ancestors(struct layer *y, bool *ret_same, struct err *e)
{
    struct named_link *links;
    size_t count;
    if (store_named_chain(y->t->to, y->parent->name, y->arena, &links, &count, e) < 0)
        return -1;
    *ret_same = count + 1 == y->chain_count;
    for (size_t i = 0; *ret_same && i < count; i++)
        *ret_same = str_eq(links[i].name, y->chain[i]);
    return 0;
}

/* Of a failure: may the rest go on? */
static int judge(struct layer *y, const struct err *why, enum outcome *ret, struct err *e)
{
    if (why->kind != ERR_LIMIT) {
        *e = *why;
        return -1;
    }
    *ret = leave_out(y, why->text);
    return 0;
}

/* 1: there is a layer of that name, and *ret says whose. */
static int find_name(struct layer *y, enum outcome *ret, struct err *e)
{
    struct named_layer *known;
    int found = store_named_find(y->t->to, y->l->name, y->arena, &known, e);
    if (found > 0)
        *ret = known->indexer == CLAIR2_INDEXER ? THERE : KEPT;
    return found;
}

static int write_layer(struct layer *y, enum outcome *ret, struct err *e)
{
    const struct clair2_layer *l = y->l;
    struct named_layer named = { .name = l->name,
                                 .parent = y->parent ? y->parent->name : STR(""),
                                 .parent_chain = y->parent ? y->parent->chain : STR(""),
                                 .digest = content.digest,
                                 .namespace = name_fits(l->namespace) ? l->namespace : STR(""),
                                 .engine = l->engine,
                                 .indexer = CLAIR2_INDEXER,
                                 .only_new = true };
    struct err why = { 0 };
    int stored = build(y, &named, &why) < 0 ? -1 : store_named_put(y->t->to, &named, &why);
    *ret = stored > 0 ? TAKEN : LATER;
    if (stored == 0) /* somebody was faster */
        return find_name(y, ret, e) < 0 ? -1 : 0;
    if (stored > 0 || why.kind == ERR_BUSY ||
        why.kind == ERR_NOT_FOUND) /* the parent was changed meanwhile */
        return 0;
    return judge(y, &why, ret, e);
}

static int put(struct layer *y, enum outcome *ret, struct err *e)
{
    struct err why = { 0 };
    if (!is_heir(y) && load_features(y, &why) < 0)
        return judge(y, &why, ret, e);
    return write_layer(y, ret, e);
}

static int place(struct layer *y, enum outcome *ret, struct err *e)
{
    bool same = true;
    *ret = LATER;
    if (y->chain_count > 1) {
        int found = store_named_find(y->t->to, y->chain[y->chain_count - 2], y->arena, &y->parent, e);
        if (found <= 0)
            return found;
        if (check_ancestors(y, &same, e) < 0)
            return -1;
    }
    if (same)
        return put(y, ret, e);
    *ret = leave_out(y, "another layer has the name of its parent, or of one below that");
    return 0;
}

/* What can be said without looking at ours. */
static int check_chain(struct layer *y, const char **ret_why, struct err *e)
{
    bool whole;
    *ret_why = NULL;
    if (clair2_chain(y->t->from, y->l->id, STORE_CHAIN_MAX + 1, y->arena, &y->chain, &y->chain_count, &whole,
                     e) < 0)
        return -1;
    if (!whole)
        *ret_why = y->chain_count > STORE_CHAIN_MAX ? "there are too many layers below it"
                                                    : "a parent below it is not there";
    for (size_t i = 0; i < y->chain_count; i++)
        if (!name_fits(y->chain[i]))
            *ret_why = i + 1 < y->chain_count ? "a layer below it cannot be stored"
                                              : "its name is empty, or has more than 1024 bytes";
    return 0;
}

static int look(struct layer *y, enum outcome *ret, struct err *e)
{
    const char *why;
    int found = name_fits(y->l->name) && y->t->to ? find_name(y, ret, e) : 0;
    if (found)
        return found < 0 ? -1 : 0;
    if (check_chain(y, &why, e) < 0)
        return -1;
    if (why) {
        *ret = leave_out(y, why);
        return 0;
    }
    *ret = TAKEN;
    return y->t->o->dry ? 0 : place(y, ret, e);
}

static int take_one(struct taking *t, const struct clair2_layer *l, enum outcome *ret, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(LAYER_MEMORY_MAX);
    struct layer y = { .t = t, .l = l, .arena = arena };
    return arena ? look(&y, ret, e) : taking_oom(e);
}

/* ---- all of them ---- */

struct pass {
    struct taking *t;
    int64_t before;       /* taken by earlier passes */
    int64_t taken, later; /* by this one */
};

static void count(struct pass *p, enum outcome o)
{
    struct import_clair2_layers *n = &p->t->n->layers;
    p->taken += o == TAKEN;
    p->later += o == LATER;
    n->taken = p->before + p->taken;
    n->there += o == THERE;
    n->kept += o == KEPT;
    n->left_out += o == LEFT_OUT;
}

/* What earlier passes took is there now. */
static void begin_pass(struct pass *p)
{
    struct import_clair2_layers *n = &p->t->n->layers;
    p->before += p->taken;
    p->taken = p->later = 0;
    n->there = -p->before;
    n->kept = n->left_out = 0;
}

static int run_pass(struct pass *p, struct err *e)
{
    for (int64_t after = 0;;) {
        struct clair2_layer *list;
        size_t n;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return taking_oom(e);
        if (clair2_layers_after(p->t->from, after, PAGE, arena, &list, &n, e) < 0)
            return -1;
        if (!n)
            return 0;
        for (size_t i = 0; i < n; i++) {
            enum outcome o;
            if (take_one(p->t, &list[i], &o, e) < 0)
                return err_wrap(e, "layer " STR_FMT, STR_ARG(str_head(list[i].name, 150)));
            count(p, o);
        }
        after = list[n - 1].id;
        taking_progress(p->t);
    }
}

/* Parents are older than their children, unless somebody mended something by hand: then another pass finds them. */
int take_layers(struct taking *t, struct err *e)
{
    struct pass p = { .t = t };
    if (!t->o->dry && store_layer_put(t->to, &content, CLAIR2_INDEXER, e) < 0)
        return -1;
    do {
        begin_pass(&p);
        if (run_pass(&p, e) < 0)
            return -1;
        t->quiet = true;
    } while (p.later && p.taken);
    t->quiet = false;
    t->n->layers.left_out += p.later;
    if (p.later)
        taking_tell(t, "all that stands on", STR("layers which were left out"), "it has no parent here");
    return 0;
}
