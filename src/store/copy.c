/* copy.c - one store into another, by way of store.h only: engines need not be the same. */
#include "base/cleanup.h"
#include "base/strmap.h"
#include "store/store.h"

#include <stdlib.h>

#define PAGE 200 /* of what is listed at a time */

struct images { /* numbers in `from`, ascending, and in `to` */
    struct pair {
        int64_t from, to;
    } * list;
    size_t count, cap;
};

struct copying {
    struct store *from, *to;
    store_progress *progress;
    void *ctx;
    struct copy_counts counts;
    struct images images;
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "copy: out of memory"); }

static void tell(const struct copying *c)
{
    if (c->progress)
        c->progress(c->ctx, &c->counts);
}

/* ---- feeds ---- */

struct feed_copy {
    struct copying *c;
    const struct feed_status *feed;
    struct store_update *update;
    struct stored_document *documents;
    size_t count;
    struct strmap by_id; /* of them */
    int64_t current;     /* the document that was named last */
};

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct stored_document *)a)->name, ((const struct stored_document *)b)->name);
}

static int name_documents(struct feed_copy *f, struct arena *arena, struct err *e)
{
    struct stored_document *old;
    size_t old_count;
    if (store_documents(f->c->from, f->feed->name, arena, &f->documents, &f->count, e) < 0 ||
        store_documents(f->c->to, f->feed->name, arena, &old, &old_count, e) < 0)
        return -1;
    for (size_t i = 0; i < f->count; i++) {
        struct stored_document *d = &f->documents[i];
        void **at = strmap_at(&f->by_id, str_of(&d->id, sizeof d->id));
        if (!at)
            return oom(e);
        *at = d;
        if (store_update_document(f->update, d->name, d->validator, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < old_count; i++) {
        bool stays = f->count && bsearch(&old[i], f->documents, f->count, sizeof *old, by_name);
        if (!stays && store_update_drop(f->update, old[i].name, e) < 0)
            return -1;
    }
    return 0;
}

/* Advisories come by number: mostly those of one document together. */
static int enter_document(struct feed_copy *f, int64_t id, struct err *e)
{
    if (id == f->current)
        return 0;
    const struct stored_document *d = strmap_get(&f->by_id, str_of(&id, sizeof id));
    if (!d)
        return err_set(e, ERR_FORMAT, "feed " STR_FMT ": document %lld is not stored", STR_ARG(f->feed->name),
                       (long long)id);
    f->current = id;
    return store_update_document(f->update, d->name, d->validator, e);
}

static int put_advisory(struct feed_copy *f, const struct stored_entry *a, struct err *e)
{
    f->c->counts.advisories++;
    return enter_document(f, a->document, e) < 0 ? -1 : store_update_put(f->update, &a->advisory, e);
}

static int put_advisories(struct feed_copy *f, struct err *e)
{
    for (int64_t after = 0;;) {
        struct stored_entry *list;
        size_t count;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return oom(e);
        if (store_advisories_after(f->c->from, f->feed->name, after, PAGE, arena, &list, &count, e) < 0)
            return -1;
        if (!count)
            return 0;
        for (size_t i = 0; i < count; i++)
            if (put_advisory(f, &list[i], e) < 0)
                return -1;
        after = list[count - 1].id;
        tell(f->c);
    }
}

/* When it was tried and how that went: the commit says it only of a feed that changed. */
static int put_tries(struct feed_copy *f, struct err *e)
{
    const struct feed_status *s = f->feed;
    if (s->last_success && store_feed_tried(f->c->to, s->name, s->last_success, STR(""), e) < 0)
        return -1;
    return s->error.len ? store_feed_tried(f->c->to, s->name, s->last_try, s->error, e) : 0;
}

static void feed_copy_done(struct feed_copy *f) { strmap_done(&f->by_id); }

static int copy_feed(struct copying *c, const struct feed_status *feed, struct err *e)
{
    struct update_counts ignored;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena)
        return oom(e);
    CLEANUP(store_update_freep)
    struct store_update *u = store_update_begin(c->to, feed->name, feed->rank, e);
    CLEANUP(feed_copy_done) struct feed_copy f = { .c = c, .feed = feed, .update = u };
    if (!u || name_documents(&f, arena, e) < 0 || put_advisories(&f, e) < 0)
        return -1;
    u = NULL;
    if (store_update_commit(f.update, feed->last_success, &ignored, e) < 0)
        return -1;
    return put_tries(&f, e);
}

static int copy_feeds(struct copying *c, struct err *e)
{
    struct feed_status *feeds;
    size_t count;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena)
        return oom(e);
    if (store_feeds(c->from, arena, &feeds, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (copy_feed(c, &feeds[i], e) < 0)
            return -1;
    return 0;
}

/* ---- layers and images ---- */

static int copy_layer(struct copying *c, const struct stored_content *n, struct err *e)
{
    struct layer_index *layer;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    int found = arena ? store_layer_find(c->from, n->digest, n->indexer, arena, &layer, e) : oom(e);
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_INTERNAL, "layer " STR_FMT " vanished", STR_ARG(n->digest));
    c->counts.layers++;
    return store_layer_put(c->to, layer, n->indexer, e);
}

static int remember(struct images *m, int64_t from, int64_t to, struct err *e)
{
    if (m->count == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 1024;
        struct pair *more = realloc(m->list, cap * sizeof *more);
        if (!more)
            return oom(e);
        m->list = more;
        m->cap = cap;
    }
    m->list[m->count++] = (struct pair){ from, to };
    return 0;
}

static int copy_image(struct copying *c, const struct stored_content *n, struct err *e)
{
    struct image_index *image;
    int64_t id;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    int found = arena ? store_image_get(c->from, n->id, arena, &image, e) : oom(e);
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_INTERNAL, "image " STR_FMT " vanished", STR_ARG(n->digest));
    c->counts.images++;
    return store_image_put(c->to, image, n->indexer, &id, e) < 0 ? -1 : remember(&c->images, n->id, id, e);
}

static int copy_contents(struct copying *c,
                         int (*list)(struct store *s, int64_t after, size_t limit, struct arena *arena,
                                     struct stored_content **ret, size_t *ret_count, struct err *e),
                         int (*one)(struct copying *c, const struct stored_content *n, struct err *e),
                         struct err *e)
{
    for (int64_t after = 0;;) {
        struct stored_content *names;
        size_t count;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return oom(e);
        if (list(c->from, after, PAGE, arena, &names, &count, e) < 0)
            return -1;
        if (!count)
            return 0;
        for (size_t i = 0; i < count; i++)
            if (one(c, &names[i], e) < 0)
                return -1;
        after = names[count - 1].id;
        tell(c);
    }
}

/* ---- named layers ---- */

static int by_from(const void *pa, const void *pb)
{
    const struct pair *a = pa, *b = pb;
    return (a->from > b->from) - (a->from < b->from);
}

/* Its number in `to`; 0: there is none. */
static int64_t copied_image(const struct copying *c, int64_t from)
{
    struct pair key = { .from = from }, *at = NULL;
    if (c->images.count)
        at = bsearch(&key, c->images.list, c->images.count, sizeof key, by_from);
    return at ? at->to : 0;
}

/* What stands under that name, or that of its parent, is another layer: its owner must choose. */
static bool is_conflict(const struct err *e)
{
    return e->kind == ERR_BUSY || e->kind == ERR_NOT_FOUND || e->kind == ERR_LIMIT;
}

/* 1: it is there as it should be; 0: another one; -1. */
static int is_there(struct copying *c, const struct named_layer *n, struct arena *arena, struct err *e)
{
    struct named_layer *old;
    int found = store_named_find(c->to, n->name, arena, &old, e);
    return found > 0 ? str_eq(old->chain, n->chain) && str_eq(old->parent, n->parent) : found;
}

static int copy_named(struct copying *c, struct named_layer *n, struct arena *arena, struct err *e)
{
    int64_t *views = arena_array(arena, int64_t, n->view_count + 1);
    struct err why = { 0 };
    if (!views)
        return oom(e);
    for (size_t i = 0; i < n->view_count; i++) {
        views[i] = copied_image(c, n->views[i]);
        if (!views[i])
            return err_set(e, ERR_FORMAT, "a view of layer " STR_FMT " is not stored", STR_ARG(n->name));
    }
    n->views = views;
    int r = store_named_put(c->to, n, &why);
    if (r == 0)
        r = is_there(c, n, arena, &why);
    else if (r < 0 && is_conflict(&why))
        r = 0;
    if (r < 0) {
        *e = why;
        return -1;
    }
    c->counts.named += r;
    c->counts.left_out += !r;
    return 0;
}

static int copy_all_named(struct copying *c, struct err *e)
{
    for (int64_t after = 0;;) {
        struct named_layer *list;
        size_t count;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return oom(e);
        if (store_named_after(c->from, after, PAGE, arena, &list, &count, e) < 0)
            return -1;
        if (!count)
            return 0;
        for (size_t i = 0; i < count; i++)
            if (copy_named(c, &list[i], arena, e) < 0)
                return -1;
        after = list[count - 1].id;
        tell(c);
    }
}

/* ---- API v3's names ---- */

static int copy_hashes(struct copying *c, struct err *e)
{
    for (int64_t after = 0;;) {
        struct stored_hash *list;
        size_t count;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return oom(e);
        if (store_hashes_after(c->from, after, PAGE, arena, &list, &count, e) < 0)
            return -1;
        if (!count)
            return 0;
        for (size_t i = 0; i < count; i++)
            if (store_hash_put(c->to, list[i].hash, list[i].digest, list[i].indexer, e) < 0)
                return -1;
        after = list[count - 1].id;
    }
}

static bool same_hashes(const struct ancestry *a, const struct ancestry *b)
{
    bool same = a->hash_count == b->hash_count;
    for (size_t i = 0; same && i < a->hash_count; i++)
        same = str_eq(a->hashes[i], b->hashes[i]);
    return same;
}

static int copy_ancestry(struct copying *c, struct ancestry *a, struct arena *arena, struct err *e)
{
    struct ancestry old;
    int found = store_ancestry_find(c->to, a->name, arena, &old, e);
    if (found < 0)
        return -1;
    if (found) {
        bool same = same_hashes(a, &old);
        c->counts.ancestries += same;
        c->counts.left_out += !same;
        return 0;
    }
    if (a->image && !(a->image = copied_image(c, a->image)))
        return err_set(e, ERR_FORMAT, "the image of ancestry " STR_FMT " is not stored", STR_ARG(a->name));
    c->counts.ancestries++;
    return store_ancestry_put(c->to, a, e);
}

static int copy_ancestries(struct copying *c, struct err *e)
{
    for (int64_t after = 0;;) {
        struct ancestry *list;
        size_t count;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return oom(e);
        if (store_ancestries_after(c->from, after, PAGE, arena, &list, &count, e) < 0)
            return -1;
        if (!count)
            return 0;
        for (size_t i = 0; i < count; i++)
            if (copy_ancestry(c, &list[i], arena, e) < 0)
                return -1;
        after = list[count - 1].id;
        tell(c);
    }
}

/* ---- key-values ---- */

static int copy_values(struct copying *c, struct err *e)
{
    CLEANUP(arena_freep) struct arena *last = NULL;
    for (str after = STR("");;) {
        struct stored_value *list;
        size_t count;
        struct arena *arena = arena_new(0);
        if (!arena)
            return oom(e);
        int r = store_values_after(c->from, after, PAGE, arena, &list, &count, e);
        arena_freep(&last);
        last = arena;
        if (r < 0 || !count)
            return r;
        for (size_t i = 0; i < count; i++) /* tidying speaks of numbers in its own database */
            if (!str_starts(list[i].key, STR("tidy/")) &&
                store_value_set(c->to, list[i].key, list[i].value, e) < 0)
                return -1;
        after = list[count - 1].key;
    }
}

/* ---- keys of services: what is there stays as it is ---- */

static int copy_keys(struct copying *c, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct service_key *list, old;
    size_t count;
    int found = 0;
    if (!arena)
        return oom(e);
    if (store_key_list(c->from, STR(""), arena, &list, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        found = store_key_find(c->to, list[i].service, list[i].kid, arena, &old, e);
        if (found < 0 || (!found && store_key_put(c->to, &list[i], e) < 0))
            return -1;
    }
    return 0;
}

int store_copy(struct store *from, struct store *to, store_progress *progress, void *ctx,
               struct copy_counts *ret, struct err *e)
{
    struct copying c = { .from = from, .to = to, .progress = progress, .ctx = ctx };
    if (store_view_begin(from, e) < 0)
        return -1;
    int r = copy_feeds(&c, e) < 0 || copy_contents(&c, store_layers_after, copy_layer, e) < 0 ||
                    copy_contents(&c, store_images_after, copy_image, e) < 0 || copy_all_named(&c, e) < 0 ||
                    copy_hashes(&c, e) < 0 || copy_ancestries(&c, e) < 0 || copy_values(&c, e) < 0 ||
                    copy_keys(&c, e) < 0
                ? -1
                : 0;
    store_view_end(from);
    free(c.images.list);
    if (r == 0)
        *ret = c.counts;
    return r;
}
