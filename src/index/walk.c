#include "index/walk.h"

#define HOPS_MAX    40 /* as Linux (path_resolution(7)) */
#define LOOKUP_COST 16 /* bytes that a look-up counts for, beside those of its path */

static bool spend(struct paths *p, size_t n)
{
    p->work += n;
    return !paths_spent(p);
}

bool paths_spent(const struct paths *p) { return p->work > PATHS_WORK_MAX; }

void paths_done(struct paths *p) { strmap_done(&p->at); }

str path_parent(str path)
{
    ptrdiff_t cut = str_rfind(path, '/');
    return str_head(path, cut < 0 ? 0 : (size_t)cut);
}

str path_join(str folder, str target, char to[PATH_MAX])
{
    size_t n = 0;
    const str parts[] = { str_starts(target, STR("/")) ? STR("") : folder, target };
    for (size_t i = 0; i < 2; i++)
        for (str rest = parts[i], name; rest.len;) {
            name = str_cut(&rest, '/');
            if (!name.len || str_eq(name, STR(".")))
                continue;
            if (str_eq(name, STR(".."))) {
                n = path_parent(str_of(to, n)).len;
                continue;
            }
            if (n + 1 + name.len > PATH_MAX)
                return STR("");
            if (n)
                to[n++] = '/';
            memcpy(to + n, name.ptr, name.len);
            n += name.len;
        }
    return str_of(to, n);
}

/* ---- the tree ---- */

struct node *paths_get(struct paths *p, str path)
{
    if (!path.len)
        return &p->root;
    return spend(p, path.len + LOOKUP_COST) ? strmap_get(&p->at, path) : NULL;
}

static struct node *new_node(struct paths *p, str path)
{
    if (paths_spent(p))
        return NULL;
    struct node *n = path.len ? arena_alloc(p->arena, 1, sizeof *n) : NULL;
    void **slot = n ? strmap_at(&p->at, path) : NULL;
    if (!slot) {
        p->oom = true;
        return NULL;
    }
    n->path = path;
    return *slot = n;
}

struct node *paths_make(struct paths *p, str path)
{
    struct node *n = paths_get(p, path);
    if (!n && !paths_spent(p))
        n = new_node(p, arena_dup(p->arena, path));
    for (struct node *c = n, *up; c && c != &p->root && !c->listed; c = up) {
        str parent = path_parent(c->path);
        up = c->up ? c->up : paths_get(p, parent);
        if (!up)
            up = new_node(p, parent);
        if (!up)
            return NULL;
        c->up = up;
        c->next = up->child;
        up->child = c;
        c->listed = true;
    }
    return n;
}

struct node *paths_pop(struct node *top)
{
    struct node *n = top;
    while (n->child)
        n = n->child;
    if (n == top)
        return NULL;
    n->up->child = n->next;
    n->listed = false;
    return n;
}

struct node *paths_next(const struct node *n)
{
    if (n->child)
        return n->child;
    while (n->up && !n->next)
        n = n->up;
    return n->up ? n->next : NULL;
}

/* ---- walks ---- */

static bool walk_link(struct paths *p, struct walk *w, str target)
{
    char *text = w->text[w->hops % 2]; /* the other one holds the rest */
    size_t len = target.len + 1 + w->rest.len;
    if (++w->hops > HOPS_MAX || len > sizeof w->text[0] || !spend(p, len))
        return false;
    if (target.len)
        memcpy(text, target.ptr, target.len);
    text[target.len] = '/';
    if (w->rest.len)
        memcpy(text + target.len + 1, w->rest.ptr, w->rest.len);
    w->rest = (str){ text, len };
    w->len = target.len && target.ptr[0] == '/' ? 0 : path_parent((str){ w->done, w->len }).len;
    return true;
}

static bool walk_step(struct paths *p, struct walk *w, bool last)
{
    str name = str_cut(&w->rest, '/');
    if (!name.len || str_eq(name, STR(".")))
        return true;
    if (str_eq(name, STR(".."))) { /* ends at the root of the image */
        w->len = path_parent((str){ w->done, w->len }).len;
        return true;
    }
    if (w->len + 1 + name.len > sizeof w->done)
        return false;
    if (w->len)
        w->done[w->len++] = '/';
    memcpy(w->done + w->len, name.ptr, name.len);
    w->len += name.len;

    const struct node *n = last || w->rest.len ? paths_get(p, (str){ w->done, w->len }) : NULL;
    return !n || !n->entry || n->entry->kind != ENTRY_LINK || walk_link(p, w, n->entry->target);
}

bool paths_walk(struct paths *p, str path, bool last, struct walk *w)
{
    w->len = 0;
    w->hops = 0;
    w->rest = path;
    spend(p, path.len);
    while (w->rest.len && !paths_spent(p))
        if (!walk_step(p, w, last))
            return false;
    return !paths_spent(p);
}
