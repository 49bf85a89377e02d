#include "index/named.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strmap.h"
#include "codec/sha256.h"
#include "index/fold.h"
#include "index/index.h"

#define TRIES_MAX 3 /* while others delete and post the parent */

struct origin { /* of a feature that the parent has */
    str namespace;
    uint32_t layer;
};

struct naming {
    struct store *store;
    struct arena *arena;
    struct named_layer *parent; /* NULL: none */
    const struct layer_index *content;
    const struct layer_index **layers; /* the chain, root first, content last */
    size_t layer_count;
    struct image_index image; /* the folded chain */
    str namespace;            /* of the layer */
    struct strmap known;      /* feature -> struct origin */
    struct buf key;
    str *namespaces; /* of image.packages */
};

static void naming_done(struct naming *n)
{
    strmap_done(&n->known);
    buf_done(&n->key);
}

static int oom(struct err *e) { return err_set(e, ERR_OOM, "named layer: out of memory"); }

/* Like OCI's ChainID: the parent's chain and this digest, hashed. */
static int chain_of(struct naming *n, str *ret, struct err *e)
{
    uint8_t sum[32];
    char hex[65];
    str digest = n->content->digest;
    if (n->parent)
        digest = arena_printf(n->arena, STR_FMT " " STR_FMT, STR_ARG(n->parent->chain), STR_ARG(digest));
    if (sha256_of(digest.ptr, digest.len, sum, e) < 0)
        return -1;
    hex_encode(sum, sizeof sum, hex);
    *ret = arena_printf(n->arena, "chain:sha256:%s", hex);
    return arena_failed(n->arena) ? oom(e) : 0;
}

static int load_chain(struct naming *n, struct err *e)
{
    struct named_link *links = NULL;
    size_t count = 0;
    if (n->parent && store_named_chain(n->store, n->parent->name, n->arena, &links, &count, e) < 0)
        return -1;
    n->layers = arena_array(n->arena, const struct layer_index *, count + 1);
    if (!n->layers)
        return oom(e);
    for (size_t i = 0; i < count; i++) {
        struct layer_index *layer;
        int found = store_layer_find(n->store, links[i].digest, links[i].indexer, n->arena, &layer, e);
        if (found <= 0)
            return found < 0 ? -1
                             : err_set(e, ERR_INTERNAL, "layer " STR_FMT " vanished from the store",
                                       STR_ARG(links[i].digest));
        n->layers[n->layer_count++] = layer;
    }
    n->layers[n->layer_count++] = n->content;
    return 0;
}

/* ---- what the parent has ---- */

static str feature_key(struct naming *n, const struct package *p)
{
    str name, version;
    package_feature(p, &name, &version);
    buf_clear(&n->key);
    buf_str(&n->key, p->kind);
    buf_char(&n->key, '\0');
    buf_str(&n->key, name);
    buf_char(&n->key, '\0');
    buf_str(&n->key, version);
    return buf_view(&n->key);
}

static int know(struct naming *n, const struct image_index *view, struct err *e)
{
    for (size_t i = 0; i < view->package_count; i++) {
        str key = arena_dup(n->arena, feature_key(n, &view->packages[i].package));
        struct origin *o = arena_alloc(n->arena, 1, sizeof *o);
        void **at = o && key.len && !n->key.failed ? strmap_at(&n->known, key) : NULL;
        if (!at)
            return oom(e);
        *o = (struct origin){ view->distribution.namespace, view->packages[i].layer };
        *at = *at ? *at : o;
    }
    return 0;
}

static int load_parent(struct naming *n, struct err *e)
{
    for (size_t i = 0; n->parent && i < n->parent->view_count; i++) {
        struct image_index *view;
        int found = store_image_get(n->store, n->parent->views[i], n->arena, &view, e);
        if (found <= 0)
            return found < 0 ? -1 : err_set(e, ERR_INTERNAL, "a view vanished from the store");
        if (know(n, view, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- what this layer has ---- */

static int place_packages(struct naming *n, struct err *e)
{
    n->namespaces = arena_array(n->arena, str, n->image.package_count + 1);
    if (!n->namespaces)
        return oom(e);
    for (size_t i = 0; i < n->image.package_count; i++) {
        struct image_package *p = &n->image.packages[i];
        const struct origin *o = strmap_get(&n->known, feature_key(n, &p->package));
        if (n->key.failed)
            return oom(e);
        n->namespaces[i] = o ? o->namespace : n->namespace;
        p->layer = o ? o->layer : (uint32_t)n->layer_count - 1;
        if (!n->namespaces[i].len)
            return err_set(e, ERR_UNSUPPORTED, "package " STR_FMT " of no known distribution",
                           STR_ARG(p->package.name));
    }
    return 0;
}

/* The packages of one namespace as an image of their own; `done` marks those that have been in one. */
static int put_view(struct naming *n, str namespace, str digest, bool *done, int64_t *ret, struct err *e)
{
    struct image_index view = n->image;
    view.digest = digest;
    view.distribution.namespace = namespace;
    view.layers = n->layers;
    view.layer_count = n->layer_count;
    view.package_count = view.removed_count = 0;
    view.packages = arena_array(n->arena, struct image_package, n->image.package_count);
    if (!view.packages)
        return oom(e);
    for (size_t i = 0; i < n->image.package_count; i++)
        if (str_eq(n->namespaces[i], namespace)) {
            view.packages[view.package_count++] = n->image.packages[i];
            done[i] = true;
        }
    /* what a chain has follows from it, and others show it: it is never replaced */
    struct image_index *known;
    int found = store_image_find(n->store, digest, indexer_version(), n->arena, &known, ret, e);
    if (found > 0) /* nobody may need it now: it is not to go before it has its name */
        found = store_image_keep(n->store, *ret, e);
    return found ? (found < 0 ? -1 : 0) : store_image_put(n->store, &view, indexer_version(), ret, e);
}

static int put_views(struct naming *n, struct named_layer *to, struct err *e)
{
    CLEANUP(freep) bool *done = calloc(n->image.package_count + 1, sizeof *done);
    int64_t *views = NULL;
    size_t cap = 0;
    if (!done)
        return oom(e);
    for (size_t i = 0; i < n->image.package_count; i++) {
        if (done[i])
            continue;
        str digest = to->view_count
                         ? arena_printf(n->arena, STR_FMT "#%zu", STR_ARG(to->chain), to->view_count)
                         : to->chain;
        views = arena_grow(n->arena, views, to->view_count, &cap, sizeof *views);
        if (!views || !digest.len)
            return oom(e);
        if (put_view(n, n->namespaces[i], digest, done, &views[to->view_count], e) < 0)
            return -1;
        to->view_count++;
    }
    to->views = views;
    return 0;
}

/* The parent, what lies below it and what it has, all of one moment. */
static int load_below(struct naming *n, str parent, bool whole, struct err *e)
{
    if (store_view_begin(n->store, e) < 0)
        return -1;
    int found = parent.len ? store_named_find(n->store, parent, n->arena, &n->parent, e) : 1;
    if (found > 0 && parent.len && n->parent->indexer != indexer_version())
        found = 0; /* what is made from it could never be made better */
    if (found == 0)
        err_set(e, ERR_NOT_FOUND, "parent " STR_FMT " is not stored, or by another version", STR_ARG(parent));
    int result = found <= 0 || (whole && (load_chain(n, e) < 0 || load_parent(n, e) < 0)) ? -1 : 0;
    store_view_end(n->store);
    return result;
}

static void inherit(const struct named_layer *parent, struct named_layer *to)
{
    if (parent) {
        to->views = parent->views;
        to->view_count = parent->view_count;
    }
}

static int build(struct naming *n, struct named_layer *to, struct err *e)
{
    if (!n->layer_count) {
        to->namespace = n->parent->namespace;
        inherit(n->parent, to);
        return 0;
    }
    if (image_fold(n->layers, n->layer_count, n->arena, &n->image, e) < 0)
        return -1;
    n->namespace = n->image.distribution.namespace;
    if (!n->namespace.len && n->parent)
        n->namespace = n->parent->namespace;
    to->namespace = n->namespace;
    if (n->image.unreadable && !n->image.package_count)
        return err_set(e, ERR_UNSUPPORTED, "a package database that is not read");
    if (!n->image.package_count) {
        inherit(n->parent, to);
        return 0;
    }
    return place_packages(n, e) < 0 ? -1 : put_views(n, to, e);
}

static int name_once(struct naming *n, str name, str parent, unsigned engine, struct err *e)
{
    bool whole = !parent.len || n->content->entry_count; /* a layer that brings nothing is its parent */
    if (load_below(n, parent, whole, e) < 0)
        return -1;
    struct named_layer layer = { .name = name,
                                 .parent = parent,
                                 .parent_chain = n->parent ? n->parent->chain : STR(""),
                                 .digest = n->content->digest,
                                 .engine = engine,
                                 .indexer = indexer_version() };
    if (chain_of(n, &layer.chain, e) < 0 || build(n, &layer, e) < 0)
        return -1;
    return store_named_put(n->store, &layer, e);
}

int index_named(struct store *s, str name, str parent, const struct layer_index *content, unsigned engine,
                struct arena *arena, struct err *e)
{
    if (store_layer_put(s, content, indexer_version(), e) < 0)
        return -1;
    int result = -1;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        CLEANUP(naming_done) struct naming n = { .store = s, .arena = arena, .content = content };
        *e = (struct err){ 0 };
        result = name_once(&n, name, parent, engine, e);
        if (result >= 0 || e->kind != ERR_BUSY)
            break;
    }
    return result;
}
