#include "index/ancestry.h"

#include "base/cleanup.h"
#include "base/strmap.h"
#include "codec/sha256.h"
#include "detect/distro.h"
#include "index/fold.h"
#include "index/index.h"
#include "index/pick.h"

#include <stdlib.h>

static int oom(struct err *e) { return err_set(e, ERR_OOM, "ancestry: out of memory"); }

/* ---- which file told the distribution, and which layer upgraded it ---- */

#define TOLD_MAX 64 /* there are some fifteen paths of such files */

struct telling {
    struct arena *arena;
    struct told files[TOLD_MAX]; /* of the layers so far; whether a file is to be seen does not matter here */
    size_t count;
    str namespace;
    uint32_t upgraded; /* by this layer last; 0: by none */
};

static void tell(struct telling *t, const struct layer_entry *entry)
{
    const struct detector *d = detector_by_name(entry->detector);
    size_t i = 0;
    while (i < t->count && !str_eq(t->files[i].path, entry->path))
        i++;
    if (!d || !d->priority || i == TOLD_MAX)
        return;
    t->files[i] = (struct told){ entry->path, d, &entry->distribution };
    t->count += i == t->count;
}

static str name_of(str namespace) { return str_cut(&namespace, ':'); }

static void tell_layer(struct telling *t, const struct layer_index *layer, uint32_t number)
{
    bool any = false;
    for (size_t i = 0; i < layer->entry_count; i++)
        if (layer->entries[i].kind == ENTRY_FILE && layer->entries[i].distribution.id.len) {
            tell(t, &layer->entries[i]);
            any = true;
        }
    if (!any)
        return;
    str now = pick_distribution(t->files, t->count, t->arena).namespace;
    if (!now.len)
        return;
    if (t->namespace.len && !str_eq(now, t->namespace) && str_eq(name_of(now), name_of(t->namespace)))
        t->upgraded = number;
    t->namespace = now;
}

/* Of the files that say so the one that speaks first. */
static str told_by(const struct telling *t, str namespace)
{
    const struct told *best = NULL;
    for (size_t i = 0; i < t->count; i++)
        if (str_eq(t->files[i].says->namespace, namespace) &&
            (!best || t->files[i].detector->priority < best->detector->priority))
            best = &t->files[i];
    return str_from(best ? best->detector->name : "");
}

static int attribute(struct image_index *image, struct arena *arena, struct err *e)
{
    struct telling *t = arena_alloc(arena, 1, sizeof *t);
    struct image_fact *facts = arena_array(arena, struct image_fact, image->fact_count + 1);
    if (!t || !facts)
        return oom(e);
    t->arena = arena;
    for (size_t i = 0; i < image->layer_count; i++)
        tell_layer(t, image->layers[i], (uint32_t)i);
    bool upgraded = str_eq(t->namespace, image->distribution.namespace);
    for (size_t i = 0; upgraded && i < image->package_count; i++)
        if (image->packages[i].layer < t->upgraded)
            image->packages[i].layer = t->upgraded;
    str by = told_by(t, image->distribution.namespace);
    if (by.len) {
        facts[0] = (struct image_fact){ { ANCESTRY_TOLD_BY, by }, 0 };
        if (image->fact_count)
            memcpy(facts + 1, image->facts, image->fact_count * sizeof *facts);
        image->facts = facts;
        image->fact_count++;
    }
    return arena_failed(arena) ? oom(e) : 0;
}

/* ---- storing ---- */

struct row {
    struct store *store;
    struct arena *arena;
    const str *digests;
    size_t count;
    struct strmap known; /* digest -> layer: one that comes again is one pointer */
};

static void row_done(struct row *r) { strmap_done(&r->known); }

static int name_row(const struct row *r, str *ret, struct err *e)
{
    char hex[65];
    CLEANUP(sha256_freep) struct sha256 *h = sha256_new(e);
    if (!h)
        return -1;
    for (size_t i = 0; i < r->count; i++) {
        sha256_add(h, r->digests[i].ptr, r->digests[i].len);
        sha256_add(h, " ", 1);
    }
    sha256_hex(h, hex);
    *ret = arena_printf(r->arena, "ancestry:sha256:%s", hex);
    return ret->len ? 0 : oom(e);
}

static int load_layer(struct row *r, str digest, const struct layer_index **ret, struct err *e)
{
    struct layer_index *layer;
    void **at = strmap_at(&r->known, digest);
    if (!at)
        return oom(e);
    if (!*at) {
        int found = store_layer_find(r->store, digest, indexer_version(), r->arena, &layer, e);
        if (found <= 0)
            return found < 0 ? -1
                             : err_set(e, ERR_NOT_FOUND, "layer " STR_FMT " is not stored", STR_ARG(digest));
        *at = layer;
    }
    *ret = *at;
    return 0;
}

/* A layer that takes all packages away changes nothing, for what they installed is there (spec/detection.md 5). */
static int put_back(const struct layer_index *const *layers, struct image_index *image, struct arena *arena,
                    struct err *e)
{
    struct image_index before = { 0 };
    uint32_t by = 0;
    for (size_t i = 0; i < image->removed_count; i++)
        by = image->removed[i].removed > by ? image->removed[i].removed : by;
    if (image->package_count || !by)
        return 0;
    if (image_fold(layers, by, arena, &before, e) < 0)
        return -1;
    image->packages = before.packages;
    image->package_count = before.package_count;
    image->removed_count = 0;
    if (!image->distribution.namespace.len)
        image->distribution = before.distribution;
    return 0;
}

static int make_image(struct row *r, str digest, int64_t *ret, struct err *e)
{
    struct image_index image = { .digest = digest };
    const struct layer_index **layers = arena_array(r->arena, const struct layer_index *, r->count);
    if (!layers)
        return oom(e);
    for (size_t i = 0; i < r->count; i++)
        if (load_layer(r, r->digests[i], &layers[i], e) < 0)
            return -1;
    if (image_fold(layers, r->count, r->arena, &image, e) < 0 || put_back(layers, &image, r->arena, e) < 0 ||
        attribute(&image, r->arena, e) < 0)
        return -1;
    return store_image_put(r->store, &image, indexer_version(), ret, e);
}

/* What is there is never replaced: it could not be another one, and others show it. */
static int find_or_make(struct row *r, int64_t *ret, struct err *e)
{
    struct image_index *known;
    str digest;
    if (name_row(r, &digest, e) < 0)
        return -1;
    int found = store_image_find(r->store, digest, indexer_version(), r->arena, &known, ret, e);
    if (found > 0) /* nobody may need it now: it is not to go before the ancestry is there */
        found = store_image_keep(r->store, *ret, e);
    return found ? (found < 0 ? -1 : 0) : make_image(r, digest, ret, e);
}

int index_ancestry(struct store *s, const struct ancestry *a, const str *digests, struct arena *arena,
                   struct err *e)
{
    CLEANUP(row_done)
    struct row r = { .store = s, .arena = arena, .digests = digests, .count = a->hash_count };
    struct ancestry put = *a;
    put.image = 0;
    put.indexer = indexer_version();
    if (r.count > ANCESTRY_LAYERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %u layers", ANCESTRY_LAYERS_MAX);
    if (r.count && find_or_make(&r, &put.image, e) < 0)
        return -1;
    return store_ancestry_put(s, &put, e);
}

/* ---- features ---- */

struct part { /* a package, or its source */
    struct ancestry_feature feature;
    uint32_t package;
};

static int by_place(const struct ancestry_feature *a, const struct ancestry_feature *b)
{
    int r = str_cmp(a->name, b->name);
    r = r ? r : (int)a->source - (int)b->source;
    return r ? r : str_cmp(a->version, b->version);
}

static int by_part(const void *pa, const void *pb)
{
    const struct part *a = pa, *b = pb;
    int r = by_place(&a->feature, &b->feature);
    return r ? r : (a->package > b->package) - (a->package < b->package);
}

static int by_layer(const void *pa, const void *pb)
{
    const struct ancestry_feature *a = pa, *b = pb;
    return a->layer != b->layer ? (a->layer > b->layer) - (a->layer < b->layer) : by_place(a, b);
}

static bool has_source(str kind) { return str_eq(kind, STR("dpkg")) || str_eq(kind, STR("rpm")); }

static size_t list_parts(const struct image_index *image, struct part *list)
{
    str scheme = distribution_scheme(image->distribution.namespace);
    size_t n = 0;
    for (size_t i = 0; scheme.len && i < image->package_count; i++) {
        const struct package *p = &image->packages[i].package;
        struct ancestry_feature f = {
            .name = p->name, .version = p->version, .kind = p->kind, .layer = image->packages[i].layer
        };
        if (!str_eq(p->kind, scheme))
            continue;
        list[n++] = (struct part){ f, (uint32_t)i };
        if (!has_source(p->kind) || !p->source.len)
            continue;
        f.name = p->source;
        f.version = p->source_version;
        f.source = true;
        list[n++] = (struct part){ f, (uint32_t)i };
    }
    return n;
}

int ancestry_features(const struct image_index *image, struct arena *arena, struct ancestry_feature **ret,
                      size_t *ret_count, struct err *e)
{
    size_t max = 2 * image->package_count + 1, n, count = 0;
    CLEANUP(freep) struct part *parts = calloc(max, sizeof *parts);
    struct ancestry_feature *all = arena_array(arena, struct ancestry_feature, max);
    uint32_t *packages = arena_array(arena, uint32_t, max);
    if (!parts || !all || !packages)
        return oom(e);
    n = list_parts(image, parts);
    if (n)
        qsort(parts, n, sizeof *parts, by_part);
    for (size_t i = 0; i < n; i++) {
        packages[i] = parts[i].package;
        if (!count || by_place(&all[count - 1], &parts[i].feature)) {
            all[count++] = parts[i].feature;
            all[count - 1].packages = &packages[i];
        }
        struct ancestry_feature *f = &all[count - 1];
        f->package_count++;
        if (parts[i].feature.layer < f->layer)
            f->layer = parts[i].feature.layer;
    }
    if (count)
        qsort(all, count, sizeof *all, by_layer);
    *ret = all;
    *ret_count = count;
    return 0;
}

bool ancestry_has(const struct ancestry_feature *f, const struct finding *finding)
{
    return !has_source(f->kind) || f->source == (finding->kind == AFFECTS_SOURCE);
}
