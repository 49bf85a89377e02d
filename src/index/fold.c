#include "index/fold.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strmap.h"
#include "detect/detector.h"
#include "index/pick.h"
#include "index/walk.h"

#define NOTES_MAX  64
#define FACTS_MAX  10000
#define UNREAD_MAX 32

/* A package (by package_same()) of some layer: how many visible files have it, since which layer, and which one took it away. */
struct seen {
    const struct package *package;
    size_t files;
    uint32_t since, gone;
};

/* One wanted file. Hard links share it, and so do layers that come again: it is read once. Visible while a node names it. */
struct content {
    const struct layer_entry *entry;
    const struct detector *detector; /* NULL: a name that we do not know */
    uint32_t layer;                  /* that brought it last */
    size_t names;                    /* nodes that hold it */
    str path;                        /* the last one that went */
    struct seen **seen;              /* of each package; NULL until it is counted first */
    bool counted;                    /* are its packages in fold.seen? */
    bool pending;                    /* do they still have to be put into the result? */
    bool changed;                    /* is it in fold.changed? */
    struct content *next;
};

struct lost { /* the last package database of a detector that a layer took away */
    str path; /* empty: none */
    uint32_t layer, by;
    bool still; /* there is still one, or a new one */
};

struct fold {
    struct arena *arena;
    struct image_index *image;
    struct paths paths;
    struct strmap contents; /* address of a layer_entry -> struct content */
    struct strmap seen;
    struct buf key;
    struct content *changed, **changed_end; /* by the layer that is being applied, in its order */
    const struct node **nodes;              /* the visible ones, by path: at the end */
    size_t node_count, node_cap;
    struct strmap reached; /* where visible links lead */
    struct strmap looked;  /* where layers have looked because of links */
    struct lost *lost;     /* by the place of the detector in detectors[] */
    size_t note_cap;
    bool oom;
};

static void fold_done(struct fold *f)
{
    paths_done(&f->paths);
    strmap_done(&f->contents);
    strmap_done(&f->seen);
    strmap_done(&f->reached);
    strmap_done(&f->looked);
    buf_done(&f->key);
}

static bool failed(const struct fold *f) { return f->oom || f->paths.oom || paths_spent(&f->paths); }

static int failure(const struct fold *f, struct err *e)
{
    if (paths_spent(&f->paths))
        return err_set(e, ERR_LIMIT, "links: more than %zu MiB of paths to follow for package databases",
                       PATHS_WORK_MAX >> 20);
    return err_set(e, ERR_OOM, "no memory for the files of the image");
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

static void *take(struct fold *f, size_t n, size_t size)
{
    void *p = arena_alloc(f->arena, n, size);
    f->oom = f->oom || !p;
    return p;
}

/* There may be more odd things than anybody wants to read, or than there is memory: ask before a text is made. */
static bool notes_full(const struct fold *f) { return f->image->note_count > NOTES_MAX; }

static void note(struct fold *f, str text)
{
    struct image_index *image = f->image;
    if (notes_full(f))
        return;
    if (image->note_count == NOTES_MAX)
        text = STR("more notes were left out");
    str *notes = arena_grow(f->arena, image->notes, image->note_count, &f->note_cap, sizeof *notes);
    if (!notes)
        return;
    image->notes = notes;
    notes[image->note_count++] = text;
}

/* ---- what a layer hides ---- */

static void mark_changed(struct fold *f, struct content *c)
{
    if (c->changed)
        return;
    c->changed = true;
    c->next = NULL;
    *f->changed_end = c;
    f->changed_end = &c->next;
}

static void clear(struct fold *f, struct node *n)
{
    struct content *c = n->content;
    n->entry = NULL;
    n->content = NULL;
    if (!c)
        return;
    c->names--;
    c->path = n->path;
    mark_changed(f, c);
}

static void clear_below(struct fold *f, struct node *top)
{
    for (struct node *n; (n = paths_pop(top));)
        clear(f, n);
}

/* The parents of what a layer brings are folders in it, also where a lower one has a link. */
static void clear_parents(struct fold *f, str path)
{
    while ((path = path_parent(path)).len && !paths_spent(&f->paths)) {
        struct node *n = paths_get(&f->paths, path);
        if (n)
            clear(f, n);
    }
}

static void hide_for(struct fold *f, const struct layer_entry *entry)
{
    enum entry_kind kind = entry->kind;
    struct node *n = paths_get(&f->paths, entry->path);
    if (n && kind != ENTRY_OPAQUE)
        clear(f, n);
    if (n && kind != ENTRY_FOLDER)
        clear_below(f, n);
    if (kind != ENTRY_OPAQUE && kind != ENTRY_REMOVED)
        clear_parents(f, entry->path);
}

/* ---- what a layer brings ---- */

static void place(struct fold *f, str path, const struct layer_entry *entry, struct content *content,
                  uint32_t layer)
{
    struct node *n = paths_make(&f->paths, path);
    if (!n)
        return;
    clear(f, n);
    n->entry = entry;
    n->content = content;
    n->layer = layer;
    if (content) {
        content->names++;
        mark_changed(f, content);
    }
}

/* A folder matters only where a file was wanted. */
static bool stands(const struct layer_entry *entry)
{
    return entry->kind == ENTRY_LINK || entry->kind == ENTRY_OTHER ||
           (entry->kind == ENTRY_FOLDER && detector_for(entry->path));
}

static struct content *content_of(struct fold *f, const struct layer_entry *entry)
{
    struct content *c = strmap_get(&f->contents, str_of(&entry, sizeof entry));
    if (c || !(c = take(f, 1, sizeof *c)))
        return c;
    c->entry = entry;
    c->detector = detector_by_name(entry->detector);
    return put(f, &f->contents, str_of(&c->entry, sizeof c->entry), c);
}

static void add_file(struct fold *f, const struct layer_entry *entry, uint32_t layer)
{
    struct content *c = content_of(f, entry);
    struct walk w;
    if (!c)
        return;
    c->layer = layer;
    bool found = paths_walk(&f->paths, entry->path, false, &w);
    place(f, found ? (str){ w.done, w.len } : entry->path, entry, c, layer);
}

/* ---- hard links ---- */

struct hard {
    const struct layer_entry *entry;
    struct hard *next;       /* the hard link of the same layer that it names */
    struct content *content; /* NULL: a ring of links, or a file that nobody read */
    bool passed;
};

static size_t list_hard(struct fold *f, const struct layer_index *layer, struct hard *ret,
                        struct strmap *by_path)
{
    size_t n = 0;
    for (size_t i = 0; i < layer->entry_count; i++) {
        const struct layer_entry *entry = &layer->entries[i];
        if (entry->kind != ENTRY_HARDLINK)
            continue;
        if (ret) {
            ret[n].entry = entry;
            put(f, by_path, entry->path, &ret[n]);
        }
        n++;
    }
    return n;
}

static void aim(struct fold *f, struct hard *h, const struct strmap *by_path)
{
    struct walk w;
    if (!paths_walk(&f->paths, h->entry->target, false, &w))
        return;
    str real = { w.done, w.len };
    const struct node *n = paths_get(&f->paths, real);
    h->next = strmap_get(by_path, real);
    h->content = n && !h->next ? n->content : NULL;
}

/* Each link is passed once: a later row of links ends where an earlier one went through. */
static void resolve(struct hard *first)
{
    struct hard *end = first;
    while (end->next && !end->passed) {
        end->passed = true;
        end = end->next;
    }
    for (struct hard *h = first; h != end; h = h->next)
        h->content = end->content;
}

static void add_hardlinks(struct fold *f, const struct layer_index *layer, uint32_t number)
{
    size_t n = list_hard(f, layer, NULL, NULL);
    if (!n)
        return;
    CLEANUP(strmap_done) struct strmap by_path = { 0 };
    CLEANUP(freep) struct hard *all = calloc(n, sizeof *all);
    f->oom = f->oom || !all;
    if (!all)
        return;
    list_hard(f, layer, all, &by_path);
    for (size_t i = 0; i < n; i++)
        aim(f, &all[i], &by_path);
    for (size_t i = 0; i < n; i++)
        resolve(&all[i]);
    for (size_t i = 0; i < n; i++)
        place(f, all[i].entry->path, all[i].entry, all[i].content, number);
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
    s = take(f, 1, sizeof *s);
    key = arena_dup(f->arena, key);
    if (s)
        s->package = p;
    return s && key.len ? put(f, &f->seen, key, s) : NULL;
}

/* Finding a package is dear, and a layer may come again and again: the places are kept. */
static bool find_packages(struct fold *f, struct content *c)
{
    size_t n = c->entry->package_count;
    if (c->seen || !n)
        return true;
    struct seen **all = take(f, n, sizeof *all);
    for (size_t i = 0; all && i < n && !f->oom; i++)
        all[i] = seen_for(f, &c->entry->packages[i]);
    c->seen = f->oom ? NULL : all;
    return c->seen != NULL;
}

static void count_packages(struct fold *f, struct content *c, uint32_t layer)
{
    if (!find_packages(f, c))
        return;
    c->counted = true;
    for (size_t i = 0; i < c->entry->package_count; i++)
        if (c->seen[i]->files++ == 0)
            c->seen[i]->since = layer;
}

static void uncount_packages(struct content *c, uint32_t layer)
{
    c->counted = false;
    for (size_t i = 0; i < c->entry->package_count; i++)
        if (--c->seen[i]->files == 0)
            c->seen[i]->gone = layer;
}

static bool is_database(const struct content *c) { return c && c->detector && c->entry->package_count; }

static size_t detector_place(const struct detector *d)
{
    size_t i = 0;
    while (detectors[i] && detectors[i] != d)
        i++;
    return i;
}

/* Of several that one layer takes away the first by path is told of, whatever the order in the tar. */
static void lose(struct fold *f, const struct content *c, uint32_t by)
{
    struct lost *lost = &f->lost[detector_place(c->detector)];
    if (!lost->path.len || lost->by != by || str_cmp(c->path, lost->path) < 0)
        *lost = (struct lost){ c->path, c->layer, by };
}

/* New files first: a package that a layer only moves or keeps has been there without a gap. */
static void count_changes(struct fold *f, uint32_t layer)
{
    for (struct content *c = f->changed; c; c = c->next)
        if (c->names && !c->counted)
            count_packages(f, c, layer);
    for (struct content *c = f->changed; c; c = c->next) {
        c->changed = false;
        if (c->names || !c->counted)
            continue;
        uncount_packages(c, layer);
        if (is_database(c))
            lose(f, c, layer);
    }
}

static int apply(struct fold *f, const struct layer_index *layer, uint32_t number, struct err *e)
{
    f->changed = NULL;
    f->changed_end = &f->changed;
    for (size_t i = 0; i < layer->entry_count && !failed(f); i++)
        hide_for(f, &layer->entries[i]);
    for (size_t i = 0; i < layer->entry_count && !failed(f); i++)
        if (stands(&layer->entries[i]))
            place(f, layer->entries[i].path, &layer->entries[i], NULL, number);
    for (size_t i = 0; i < layer->entry_count && !failed(f); i++)
        if (layer->entries[i].kind == ENTRY_FILE)
            add_file(f, &layer->entries[i], number);
    if (!failed(f))
        add_hardlinks(f, layer, number);
    if (!failed(f))
        count_changes(f, number);
    if (!failed(f))
        return 0;
    failure(f, e);
    return err_wrap(e, "layer %u", number + 1);
}

/* ---- the result ---- */

static int by_path(const void *a, const void *b)
{
    return str_cmp((*(const struct node *const *)a)->path, (*(const struct node *const *)b)->path);
}

static int list_visible(struct fold *f, struct err *e)
{
    for (const struct node *n = &f->paths.root; (n = paths_next(n));) {
        if (!n->entry)
            continue;
        const struct node **all =
            arena_grow(f->arena, f->nodes, f->node_count, &f->node_cap, sizeof *f->nodes);
        if (!all)
            return err_set(e, ERR_OOM, "no memory for the image's files");
        f->nodes = all;
        all[f->node_count++] = n;
    }
    if (f->node_count)
        qsort(f->nodes, f->node_count, sizeof *f->nodes, by_path);
    return 0;
}

/* Is this a place where files are wanted, or does a link that is still there lead to it? Of the latter there may have been more. */
static bool is_reached(struct fold *f, str path)
{
    if (detector_for(path) || detector_beside(path))
        return true;
    for (; path.len && f->reached.count; path = path_parent(path))
        if (strmap_get(&f->reached, path))
            return true;
    return false;
}

static int drop_unreached(struct fold *f, struct err *e)
{
    struct walk w;
    for (size_t i = 0; i < f->node_count && !failed(f); i++) {
        if (f->nodes[i]->entry->kind != ENTRY_LINK || !paths_walk(&f->paths, f->nodes[i]->path, true, &w))
            continue;
        str real = arena_dup(f->arena, (str){ w.done, w.len });
        if (real.len)
            put(f, &f->reached, real, f);
    }
    if (failed(f))
        return failure(f, e);
    size_t kept = 0;
    for (size_t i = 0; i < f->node_count; i++) {
        const struct content *c = f->nodes[i]->content;
        if (c && c->detector)
            f->lost[detector_place(c->detector)].still = true;
        if (!c || is_reached(f, f->nodes[i]->path))
            f->nodes[kept++] = f->nodes[i];
    }
    f->node_count = kept;
    return 0;
}

static int by_package(const void *a, const void *b)
{
    const struct image_package *x = a, *y = b;
    return package_cmp(&x->package, &y->package);
}

static void add_packages(struct fold *f, const struct content *c)
{
    struct image_index *image = f->image;
    for (size_t i = 0; i < c->entry->package_count; i++)
        image->packages[image->package_count++] =
            (struct image_package){ c->entry->packages[i], c->seen[i]->since };
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

static int list_removed(struct fold *f, struct err *e)
{
    struct image_index *image = f->image;
    size_t count = 0;
    for (size_t i = 0; i < f->seen.cap; i++)
        count += f->seen.slots[i].key.ptr && !((struct seen *)f->seen.slots[i].value)->files;
    image->removed = arena_array(f->arena, struct image_package, count + 1);
    if (!image->removed)
        return err_set(e, ERR_OOM, "no memory for %zu packages", count);
    for (size_t i = 0; i < f->seen.cap; i++) {
        const struct seen *s = f->seen.slots[i].value;
        if (f->seen.slots[i].key.ptr && !s->files)
            image->removed[image->removed_count++] =
                (struct image_package){ *s->package, .layer = s->since, .removed = s->gone };
    }
    if (image->removed_count)
        qsort(image->removed, image->removed_count, sizeof *image->removed, by_package);
    return 0;
}

static int by_fact_layer(const void *a, const void *b)
{
    const struct image_fact *x = a, *y = b;
    int names = str_cmp(x->fact.name, y->fact.name);
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return names ? names : str_cmp(x->fact.value, y->fact.value);
}

static int join_facts(struct fold *f, struct err *e)
{
    struct image_index *image = f->image;
    size_t cap = 0, kept = 0;
    for (size_t i = 0; i < f->node_count; i++) {
        const struct content *c = f->nodes[i]->content;
        for (size_t k = 0; c && k < c->entry->fact_count; k++) {
            if (image->fact_count >= FACTS_MAX)
                return err_set(e, ERR_LIMIT, "more than %d facts of one image", FACTS_MAX);
            struct image_fact *all =
                arena_grow(f->arena, image->facts, image->fact_count, &cap, sizeof *image->facts);
            if (!all)
                return err_set(e, ERR_OOM, "no memory for the image's facts");
            image->facts = all;
            all[image->fact_count++] = (struct image_fact){ c->entry->facts[k], c->layer };
        }
    }
    if (image->fact_count)
        qsort(image->facts, image->fact_count, sizeof *image->facts, by_fact_layer);
    for (size_t i = 0; i < image->fact_count; i++)
        if (!kept || by_fact_layer(&image->facts[kept - 1], &image->facts[i]))
            image->facts[kept++] = image->facts[i];
    image->fact_count = kept;
    return 0;
}

static int find_distribution(struct fold *f, struct err *e)
{
    size_t n = 0;
    struct told *files = arena_array(f->arena, struct told, f->node_count + 1);
    if (!files)
        return err_set(e, ERR_OOM, "no memory for the image's files");
    for (size_t i = 0; i < f->node_count; i++) {
        const struct content *c = f->nodes[i]->content;
        if (c && c->detector && c->detector->priority && c->entry->distribution.id.len)
            files[n++] = (struct told){ f->nodes[i]->path, c->detector, &c->entry->distribution };
    }
    f->image->distribution = pick_distribution(files, n, f->arena);
    return 0;
}

static bool any(const struct detector *d) { return !d->hints; }

/* Is a file of such a detector wanted at this path or below it? */
static bool holds(str path, bool (*such)(const struct detector *d))
{
    for (const struct detector *const *d = detectors; *d; d++)
        for (str rest = str_from((*d)->paths), p; such(*d) && (p = str_word(&rest)).len;)
            if ((str_starts(p, path) && (p.len == path.len || p.ptr[path.len] == '/')) ||
                (str_find(p, '*') >= 0 && str_starts(path, str_head(p, (size_t)str_find(p, '*')))))
                return true;
    const struct detector *d = detector_for(path);
    return d && such(d);
}

/* A link to where nobody looked may hide a package database: then the image is not covered (design.md 9). */
enum leads { LEADS_TO_READ, LEADS_TO_FOUND, LEADS_TO_UNREAD, LEADS_NOWHERE };

/* A hard link with a content is none of these: it is a file. */
static bool walk_from(struct fold *f, const struct node *n, struct walk *w)
{
    return n->entry->kind == ENTRY_LINK       ? paths_walk(&f->paths, n->path, true, w)
           : n->entry->kind == ENTRY_HARDLINK ? paths_walk(&f->paths, n->entry->target, false, w)
                                              : false;
}

static enum leads leads_to(struct fold *f, const struct node *n, struct walk *w)
{
    if (!walk_from(f, n, w) || !w->len)
        return LEADS_NOWHERE;
    str real = { w->done, w->len };
    const struct node *target = paths_get(&f->paths, real);
    bool file = detector_for(n->path), looked = strmap_get(&f->looked, real);
    if (!file && (looked || detector_wants_below(real)))
        return LEADS_TO_READ;
    if (!file)
        return target && target->child ? LEADS_TO_FOUND : LEADS_TO_UNREAD;
    if (target && target->content)
        return looked || detector_for(real) ? LEADS_TO_READ : LEADS_TO_FOUND;
    /* nothing there, or no file: whoever made a link to a package list had one */
    return looked || detector_for(real) ? LEADS_NOWHERE : LEADS_TO_UNREAD;
}

static void add_unread(struct fold *f, const struct node *n, const struct walk *w, size_t *cap)
{
    struct image_index *image = f->image;
    struct alias *all = arena_grow(f->arena, image->unread, image->unread_count, cap, sizeof *all);
    if (!all)
        return;
    image->unread = all;
    all[image->unread_count++] = (struct alias){ arena_dup(f->arena, (str){ w->done, w->len }), n->path };
}

/* Something stands where a file or one of its parent folders was wanted, and nothing could be read there. */
static void check_unread(struct fold *f, const struct node *n, size_t *cap)
{
    struct walk w;
    enum leads leads = leads_to(f, n, &w);
    if (leads == LEADS_TO_READ || (!holds(n->path, any) && detector_wants_below(n->path)))
        return; /* where only hints could be nothing is missing without them, and no layer is read again for them */
    if (leads != LEADS_NOWHERE && f->image->unread_count < UNREAD_MAX)
        add_unread(f, n, &w, cap);
    if (leads == LEADS_TO_FOUND)
        return;
    bool link = n->entry->kind == ENTRY_LINK || n->entry->kind == ENTRY_HARDLINK;
    bool database = holds(n->path, detector_lists);
    const char *missing = database ? ": packages may be missing" : "";
    f->image->unreadable = f->image->unreadable || database;
    if (notes_full(f))
        return;
    if (link)
        note(f, arena_printf(f->arena, "layer %u: " STR_FMT " is a link to " STR_FMT ", which was not read%s",
                             n->layer + 1, STR_ARG(n->path), STR_ARG(n->entry->target), missing));
    else
        note(f, arena_printf(f->arena, "layer %u: " STR_FMT " is not a %s%s", n->layer + 1, STR_ARG(n->path),
                             detector_for(n->path) ? "regular file" : "folder", missing));
}

static void check_content(struct fold *f, const struct node *n)
{
    const struct content *c = n->content;
    if (detector_beside(n->path)) /* without the database whose changes it holds: index/visit.c */
        f->image->unreadable = true;
    if (notes_full(f))
        return;
    if (c->entry->note.len && n->entry == c->entry)
        note(f, arena_printf(f->arena, "layer %u: " STR_FMT ": " STR_FMT, c->layer + 1, STR_ARG(n->path),
                             STR_ARG(c->entry->note)));
}

static void check_lost(struct fold *f, size_t place)
{
    const struct lost *lost = &f->lost[place];
    if (lost->path.len && !lost->still && !notes_full(f))
        note(f, arena_printf(f->arena, "package database " STR_FMT " of layer %u was removed by layer %u",
                             STR_ARG(lost->path), lost->layer + 1, lost->by + 1));
}

static int finish(struct fold *f, struct err *e)
{
    size_t cap = 0;
    if (list_visible(f, e) < 0 || drop_unreached(f, e) < 0 || find_distribution(f, e) < 0 ||
        join_packages(f, e) < 0 || list_removed(f, e) < 0 || join_facts(f, e) < 0)
        return -1;
    for (size_t i = 0; i < f->node_count; i++) {
        if (f->nodes[i]->content)
            check_content(f, f->nodes[i]);
        else
            check_unread(f, f->nodes[i], &cap);
    }
    for (size_t i = 0; detectors[i]; i++)
        check_lost(f, i);
    return failed(f) || arena_failed(f->arena) ? failure(f, e) : 0;
}

/* All layers were looked at in the same places, or none was. */
static void list_looked(struct fold *f, const struct layer_index *const *layers, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (layers[i]->looked != layers[0]->looked)
            return;
    for (size_t i = 0; count && i < layers[0]->looked_count; i++)
        put(f, &f->looked, layers[0]->looked[i].real, f);
}

int image_fold(const struct layer_index *const *layers, size_t count, struct arena *arena,
               struct image_index *ret, struct err *e)
{
    struct image_index image = { .name = ret->name, .digest = ret->digest, .layer_count = count };
    CLEANUP(fold_done) struct fold f = { .arena = arena, .image = &image, .paths = { .arena = arena } };
    size_t kinds = detector_place(NULL);
    f.lost = arena_array(arena, struct lost, kinds);
    image.layers = arena_array(arena, const struct layer_index *, count);
    if (!f.lost || !image.layers)
        return err_set(e, ERR_OOM, "no memory for %zu layers", count);

    list_looked(&f, layers, count);
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
