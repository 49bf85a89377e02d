#include "index/fold.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strmap.h"
#include "detect/detector.h"
#include "detect/distro.h"

#include <limits.h>

#define HOPS_MAX  40 /* as Linux (path_resolution(7)) */
#define NOTES_MAX 64

/* One wanted file as one layer brings it; hard links share it. It is visible while a node names it. */
struct content {
    const struct layer_entry *entry;
    const struct detector *detector; /* NULL: a name that we do not know */
    uint32_t layer;
    size_t names; /* nodes that hold it */
    bool counted; /* are its packages in fold.seen? */
    bool pending; /* do they still have to be put into the result? */
};

/* What is visible at a path after the layers so far. */
struct node {
    str path; /* without links in its parents */
    const struct layer_entry *entry;
    struct content *content; /* NULL: a link, or a hard link to a file that nobody read */
    uint32_t layer;
    bool gone; /* hidden by the layer that is being applied */
};

/* A package (by package_same()) of some layer: how many visible files have it, and since which layer. */
struct seen {
    size_t files;
    uint32_t since;
};

struct lost { /* the last package database of a detector that a layer took away */
    const struct node *node;
    uint32_t by;
};

struct fold {
    struct arena *arena;
    struct image_index *image;
    struct node **nodes; /* visible ones, in no order */
    size_t node_count, node_cap;
    struct strmap at; /* path -> struct node, NULL when there is none (any more) */
    struct strmap seen;
    struct buf key;
    struct lost *lost; /* by the place of the detector in detectors[] */
    size_t note_cap;
    bool oom;
};

static void fold_done(struct fold *f)
{
    strmap_done(&f->at);
    strmap_done(&f->seen);
    buf_done(&f->key);
}

static void *put(struct fold *f, struct strmap *m, str key, void *value)
{
    void **slot = strmap_at(m, key);
    if (slot)
        *slot = value;
    else
        f->oom = true;
    return value;
}

static void *take(struct fold *f, size_t size)
{
    void *p = arena_alloc(f->arena, 1, size);
    f->oom = f->oom || !p;
    return p;
}

static void note(struct fold *f, str text)
{
    struct image_index *image = f->image;
    if (image->note_count == NOTES_MAX)
        text = STR("more notes were left out");
    if (image->note_count > NOTES_MAX)
        return;
    str *notes = arena_grow(f->arena, image->notes, image->note_count, &f->note_cap, sizeof *notes);
    if (!notes)
        return;
    image->notes = notes;
    notes[image->note_count++] = text;
}

/* ---- names ---- */

static str parent(str path)
{
    ptrdiff_t cut = str_rfind(path, '/');
    return str_head(path, cut < 0 ? 0 : (size_t)cut);
}

/* A walk along a path, in which each link is replaced by its target. */
struct walk {
    char done[PATH_MAX], text[2][PATH_MAX];
    size_t len;
    str rest;
    unsigned hops;
};

static bool walk_link(struct walk *w, str target)
{
    char *text = w->text[w->hops % 2]; /* the other one holds the rest */
    if (++w->hops > HOPS_MAX || target.len + 1 + w->rest.len > sizeof w->text[0])
        return false;
    if (target.len)
        memcpy(text, target.ptr, target.len);
    text[target.len] = '/';
    if (w->rest.len)
        memcpy(text + target.len + 1, w->rest.ptr, w->rest.len);
    w->rest = (str){ text, target.len + 1 + w->rest.len };
    w->len = target.len && target.ptr[0] == '/' ? 0 : parent((str){ w->done, w->len }).len;
    return true;
}

static bool walk_step(const struct fold *f, struct walk *w, bool last)
{
    str name = str_cut(&w->rest, '/');
    if (!name.len || str_eq(name, STR(".")))
        return true;
    if (str_eq(name, STR(".."))) { /* ends at the root of the image */
        w->len = parent((str){ w->done, w->len }).len;
        return true;
    }
    if (w->len + 1 + name.len > sizeof w->done)
        return false;
    if (w->len)
        w->done[w->len++] = '/';
    memcpy(w->done + w->len, name.ptr, name.len);
    w->len += name.len;

    const struct node *n = last || w->rest.len ? strmap_get(&f->at, (str){ w->done, w->len }) : NULL;
    return !n || n->entry->kind != ENTRY_LINK || walk_link(w, n->entry->target);
}

/* The path without links; of its last part only when `last`. False: a loop, or too long. */
static bool walk_path(const struct fold *f, str path, bool last, struct walk *w)
{
    w->len = 0;
    w->hops = 0;
    w->rest = path;
    while (w->rest.len)
        if (!walk_step(f, w, last))
            return false;
    return true;
}

/* ---- what a layer hides ---- */

enum { HIDE_SELF = 1, HIDE_BELOW = 2 };

static unsigned hides_at(const struct strmap *hides, str path)
{
    return (unsigned)(uintptr_t)strmap_get(hides, path);
}

static void hide(struct fold *f, struct strmap *hides, str path, unsigned flags)
{
    put(f, hides, path, (void *)(uintptr_t)(hides_at(hides, path) | flags));
}

static void hide_for(struct fold *f, struct strmap *hides, const struct layer_entry *entry)
{
    switch (entry->kind) {
    case ENTRY_REMOVED:
        hide(f, hides, entry->path, HIDE_SELF | HIDE_BELOW);
        return;
    case ENTRY_OPAQUE:
        hide(f, hides, entry->path, HIDE_BELOW);
        return;
    case ENTRY_FOLDER:
        hide(f, hides, entry->path, HIDE_SELF);
        break;
    case ENTRY_FILE:
    case ENTRY_LINK:
    case ENTRY_HARDLINK:
    case ENTRY_OTHER:
        hide(f, hides, entry->path, HIDE_SELF | HIDE_BELOW);
        break;
    }
    /* its parents are folders in this layer, also where a lower one has a link */
    for (str up = parent(entry->path); up.len; up = parent(up))
        hide(f, hides, up, HIDE_SELF);
}

static bool hidden(const struct strmap *hides, str path)
{
    if (hides_at(hides, path) & HIDE_SELF)
        return true;
    while (path.len) {
        path = parent(path);
        if (hides_at(hides, path) & HIDE_BELOW)
            return true;
    }
    return false;
}

static void remove_node(struct fold *f, struct node *n)
{
    n->gone = true;
    put(f, &f->at, n->path, NULL);
    if (n->content)
        n->content->names--;
}

static void hide_lower(struct fold *f, const struct layer_index *layer)
{
    CLEANUP(strmap_done) struct strmap hides = { 0 };
    for (size_t i = 0; i < layer->entry_count; i++)
        hide_for(f, &hides, &layer->entries[i]);
    for (size_t i = 0; !f->oom && i < f->node_count; i++)
        if (hidden(&hides, f->nodes[i]->path))
            remove_node(f, f->nodes[i]);
}

/* ---- what a layer brings ---- */

static void place(struct fold *f, str path, const struct layer_entry *entry, struct content *content,
                  uint32_t layer)
{
    struct node *n = take(f, sizeof *n), *old = strmap_get(&f->at, path);
    if (!n)
        return;
    *n = (struct node){ .path = path, .entry = entry, .content = content, .layer = layer };
    if (content)
        content->names++;
    if (old)
        remove_node(f, old);
    struct node **nodes = arena_grow(f->arena, f->nodes, f->node_count, &f->node_cap, sizeof *nodes);
    if (!nodes) {
        f->oom = true;
        return;
    }
    f->nodes = nodes;
    nodes[f->node_count++] = n;
    put(f, &f->at, path, n);
}

static void add_file(struct fold *f, const struct layer_entry *entry, uint32_t layer)
{
    struct content *c = take(f, sizeof *c);
    struct walk w;
    if (!c)
        return;
    *c = (struct content){ .entry = entry, .detector = detector_by_name(entry->detector), .layer = layer };
    str path = entry->path;
    if (walk_path(f, path, false, &w) && !str_eq(path, (str){ w.done, w.len }))
        path = arena_dup(f->arena, (str){ w.done, w.len });
    place(f, path, entry, c, layer);
}

/* A hard link to a hard link is found when that one has been placed: each round goes one hop further. */
static void add_hardlinks(struct fold *f, const struct layer_index *layer, uint32_t number)
{
    bool more = true;
    for (unsigned hops = 0; more && hops <= HOPS_MAX; hops++) {
        bool last = hops == HOPS_MAX;
        more = false;
        for (size_t i = 0; i < layer->entry_count; i++) {
            const struct layer_entry *entry = &layer->entries[i];
            const struct node *self = strmap_get(&f->at, entry->path), *target;
            struct walk w;
            if (entry->kind != ENTRY_HARDLINK || (self && self->entry == entry))
                continue;
            target =
                walk_path(f, entry->target, false, &w) ? strmap_get(&f->at, (str){ w.done, w.len }) : NULL;
            if (target && target->content) {
                place(f, entry->path, entry, target->content, number);
                more = true;
            } else if (last)
                place(f, entry->path, entry, NULL, number);
        }
        if (!more && !last) {
            hops = HOPS_MAX - 1; /* nothing moved: the last round places what is left */
            more = true;
        }
    }
}

static void compact(struct fold *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->node_count; i++)
        if (!f->nodes[i]->gone)
            f->nodes[n++] = f->nodes[i];
    f->node_count = n;
}

/* ---- since when packages are there ---- */

static str package_key(struct fold *f, const struct package *p)
{
    const str parts[] = { p->kind, p->name, p->version, p->arch };
    buf_clear(&f->key);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        buf_add(&f->key, &parts[i].len, sizeof parts[i].len); /* no two packages have the same bytes */
        buf_str(&f->key, parts[i]);
    }
    f->oom = f->oom || f->key.failed;
    return buf_view(&f->key);
}

static struct seen *seen_for(struct fold *f, const struct package *p)
{
    str key = package_key(f, p);
    struct seen *s = f->oom ? NULL : strmap_get(&f->seen, key);
    if (s || f->oom)
        return s;
    s = take(f, sizeof *s);
    key = arena_dup(f->arena, key);
    return s && key.len ? put(f, &f->seen, key, s) : NULL;
}

static void count_packages(struct fold *f, struct content *c, uint32_t layer)
{
    c->counted = true;
    for (size_t i = 0; i < c->entry->package_count; i++) {
        struct seen *s = seen_for(f, &c->entry->packages[i]);
        if (s && s->files++ == 0)
            s->since = layer;
    }
}

static void uncount_packages(struct fold *f, struct content *c)
{
    c->counted = false;
    for (size_t i = 0; i < c->entry->package_count; i++) {
        struct seen *s = seen_for(f, &c->entry->packages[i]);
        if (s)
            s->files--;
    }
}

static bool is_database(const struct content *c)
{
    return c && c->detector && !c->detector->priority && (c->entry->package_count || c->detector->unreadable);
}

static size_t detector_place(const struct detector *d)
{
    size_t i = 0;
    while (detectors[i] && detectors[i] != d)
        i++;
    return i;
}

/* New files first: a package that a layer only moves or keeps has been there without a gap. */
static void count_changes(struct fold *f, uint32_t layer)
{
    for (size_t i = 0; i < f->node_count; i++) {
        struct content *c = f->nodes[i]->content;
        if (c && c->names && !c->counted)
            count_packages(f, c, layer);
    }
    for (size_t i = 0; i < f->node_count; i++) {
        struct content *c = f->nodes[i]->content;
        if (!c || c->names || !c->counted)
            continue;
        uncount_packages(f, c);
        if (is_database(c))
            f->lost[detector_place(c->detector)] = (struct lost){ f->nodes[i], layer };
    }
}

static int apply(struct fold *f, const struct layer_index *layer, uint32_t number, struct err *e)
{
    hide_lower(f, layer);
    for (size_t i = 0; i < layer->entry_count && !f->oom; i++)
        if (layer->entries[i].kind == ENTRY_LINK)
            place(f, layer->entries[i].path, &layer->entries[i], NULL, number);
    for (size_t i = 0; i < layer->entry_count && !f->oom; i++)
        if (layer->entries[i].kind == ENTRY_FILE)
            add_file(f, &layer->entries[i], number);
    if (!f->oom)
        add_hardlinks(f, layer, number);
    if (!f->oom)
        count_changes(f, number);
    compact(f);
    return f->oom ? err_set(e, ERR_OOM, "layer %u: no memory for its files", number + 1) : 0;
}

/* ---- the result ---- */

static int by_path(const void *a, const void *b)
{
    return str_cmp((*(struct node *const *)a)->path, (*(struct node *const *)b)->path);
}

static int by_package(const void *a, const void *b)
{
    const struct image_package *x = a, *y = b;
    return package_cmp(&x->package, &y->package);
}

static void add_packages(struct fold *f, const struct content *c)
{
    for (size_t i = 0; i < c->entry->package_count; i++) {
        const struct package *p = &c->entry->packages[i];
        const struct seen *s = seen_for(f, p);
        if (s)
            f->image->packages[f->image->package_count++] = (struct image_package){ *p, s->since };
    }
}

static int join_packages(struct fold *f, struct err *e)
{
    struct image_index *image = f->image;
    size_t total = 0, kept = 0;
    for (size_t i = 0; i < f->node_count; i++) {
        struct content *c = f->nodes[i]->content;
        if (c && !c->pending) {
            c->pending = true;
            total += c->entry->package_count;
        }
    }
    image->packages = arena_array(f->arena, struct image_package, total);
    if (!image->packages)
        return err_set(e, ERR_OOM, "no memory for %zu packages", total);

    for (size_t i = 0; i < f->node_count; i++) {
        struct content *c = f->nodes[i]->content;
        if (c && c->pending)
            add_packages(f, c);
        if (c)
            c->pending = false;
    }
    if (image->package_count)
        qsort(image->packages, image->package_count, sizeof *image->packages, by_package);
    for (size_t i = 0; i < image->package_count; i++)
        if (!kept || !package_same(&image->packages[kept - 1].package, &image->packages[i].package))
            image->packages[kept++] = image->packages[i];
    image->package_count = kept;
    return 0;
}

/* The place of a file among its detector's patterns: the one named first speaks first. */
static size_t rank(const struct node *n)
{
    const char *paths = n->content->detector->paths,
               *at = memmem(paths, strlen(paths), n->path.ptr, n->path.len);
    return at ? (size_t)(at - paths) : SIZE_MAX;
}

static bool speaks(const struct node *n)
{
    return n->content && n->content->detector && n->content->detector->priority &&
           n->content->entry->distribution.id.len;
}

static bool before(const struct node *a, const struct node *b)
{
    unsigned x = a->content->detector->priority, y = b->content->detector->priority;
    return x != y ? x < y : rank(a) < rank(b);
}

/* The visible distribution file that speaks next after `last` (NULL: first). */
static const struct node *next_speaker(const struct fold *f, const struct node *last)
{
    const struct node *best = NULL;
    for (size_t i = 0; i < f->node_count; i++) {
        const struct node *n = f->nodes[i];
        if (speaks(n) && (!last || before(last, n)) && (!best || before(n, best)))
            best = n;
    }
    return best;
}

/* Debian testing and unstable: the file itself cannot tell which, apt's sources can. */
static struct distribution settle_debian(struct fold *f, const struct distribution *guess)
{
    for (const struct node *n = NULL; (n = next_speaker(f, n));) {
        const struct distribution *d = &n->content->entry->distribution;
        if (str_eq(n->entry->detector, STR("apt-sources")) && d->namespace.len && str_eq(d->id, guess->id)) {
            struct distribution ret = *d;
            ret.name = ret.name.len ? ret.name : guess->name;
            return ret;
        }
    }
    struct distribution ret = *guess;
    ret.namespace = arena_printf(f->arena, "debian:" STR_FMT, STR_ARG(guess->version));
    return ret;
}

static struct distribution pick_distribution(struct fold *f)
{
    const struct distribution *first = NULL; /* for its id, when none has a namespace */
    const struct distribution *suite = NULL; /* "stable" and the like in apt's sources */
    for (const struct node *n = NULL; (n = next_speaker(f, n));) {
        const struct distribution *d = &n->content->entry->distribution;
        bool debian = str_eq(d->id, STR("debian"));
        if (!first)
            first = d;
        if (d->namespace.len) {
            struct distribution ret = *d;
            if (!ret.name.len && str_eq(first->id, ret.id))
                ret.name = first->name;
            return ret;
        }
        if (!distribution_known(d->id))
            return *d; /* a derivative: what its other files say of its parent is not for us to believe */
        if (debian && d->version.len && !str_eq(n->entry->detector, STR("apt-sources")))
            return settle_debian(f, d);
        if (debian && d->version.len)
            suite = d;
    }
    if (suite)
        return settle_debian(f, suite);
    return first ? *first : (struct distribution){ 0 };
}

/* Is a package database wanted at this path or below it? */
static bool holds_database(str path)
{
    for (const struct detector *const *d = detectors; *d; d++)
        for (str rest = str_from((*d)->paths), p; !(*d)->priority && (p = str_word(&rest)).len;)
            if (str_starts(p, path) && (p.len == path.len || p.ptr[path.len] == '/'))
                return true;
    const struct detector *d = detector_for(path);
    return d && !d->priority;
}

/* A link to where nobody looked may hide a package database: then the image is not covered (design.md 9). */
static void check_link(struct fold *f, const struct node *n)
{
    struct walk w;
    bool found = walk_path(f, n->path, true, &w);
    str real = { w.done, w.len };
    if (found && n->entry->kind == ENTRY_LINK) {
        const struct node *target = strmap_get(&f->at, real);
        if (detector_for(n->path) ? target && target->content : detector_wants_below(real))
            return;
    }
    bool database = holds_database(n->path);
    f->image->unreadable = f->image->unreadable || database;
    note(f, arena_printf(f->arena, "layer %u: " STR_FMT " is a link to " STR_FMT ", which was not read%s",
                         n->layer + 1, STR_ARG(n->path), STR_ARG(n->entry->target),
                         database ? ": packages may be missing" : ""));
}

static void check_node(struct fold *f, const struct node *n)
{
    if (!n->content) {
        check_link(f, n);
        return;
    }
    const struct layer_entry *entry = n->content->entry;
    if (n->content->detector && n->content->detector->unreadable) {
        f->image->unreadable = true;
        note(f, arena_printf(f->arena, "layer %u: " STR_FMT ": %s databases cannot be read yet",
                             n->content->layer + 1, STR_ARG(n->path), n->content->detector->name));
    }
    if (entry->note.len && n->entry == entry)
        note(f, arena_printf(f->arena, "layer %u: " STR_FMT ": " STR_FMT, n->content->layer + 1,
                             STR_ARG(n->path), STR_ARG(entry->note)));
}

static void check_lost(struct fold *f, size_t place)
{
    const struct lost *lost = &f->lost[place];
    for (size_t i = 0; i < f->node_count; i++)
        if (f->nodes[i]->content && f->nodes[i]->content->detector == detectors[place])
            return; /* there is still one, or a new one */
    if (lost->node)
        note(f, arena_printf(f->arena, "package database " STR_FMT " of layer %u was removed by layer %u",
                             STR_ARG(lost->node->path), lost->node->content->layer + 1, lost->by + 1));
}

static int finish(struct fold *f, struct err *e)
{
    if (f->node_count)
        qsort(f->nodes, f->node_count, sizeof *f->nodes, by_path);
    f->image->distribution = pick_distribution(f);
    if (join_packages(f, e) < 0)
        return -1;
    for (size_t i = 0; i < f->node_count; i++)
        check_node(f, f->nodes[i]);
    for (size_t i = 0; detectors[i]; i++)
        check_lost(f, i);
    return f->oom || arena_failed(f->arena) ? err_set(e, ERR_OOM, "no memory for the image's packages") : 0;
}

int image_fold(const struct layer_index *const *layers, size_t count, struct arena *arena,
               struct image_index *ret, struct err *e)
{
    struct image_index image = { .name = ret->name, .digest = ret->digest, .layer_count = count };
    CLEANUP(fold_done) struct fold f = { .arena = arena, .image = &image };
    size_t kinds = detector_place(NULL);
    f.lost = arena_array(arena, struct lost, kinds);
    image.layers = arena_array(arena, const struct layer_index *, count);
    if (!f.lost || !image.layers)
        return err_set(e, ERR_OOM, "no memory for %zu layers", count);

    for (size_t i = 0; i < count; i++) {
        image.layers[i] = layers[i];
        if (layers[i]->entry_count && apply(&f, layers[i], (uint32_t)i, e) < 0)
            return -1;
    }
    if (finish(&f, e) < 0)
        return -1;
    *ret = image;
    return 0;
}
