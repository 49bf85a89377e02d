/*
 * walk.h - the paths of an image while its layers are put on each other: a tree of what stands where, and walks along it in which
 *          each symbolic link is replaced by its target.
 *
 * Shape      A path that was ever asked for with paths_make() has one node for good; layers only change what stands there. Nodes
 *            with something at or below them hang in the tree below paths.root.
 * Limits     Layers choose their paths and links: all bytes that are looked up or copied are counted, and after PATHS_WORK_MAX
 *            nothing is found or made any more (paths_spent()). That bounds the time and the memory of a fold.
 * Errors     none here: ask paths_spent() and oom after a while; both stay.
 */
#pragma once
#include "base/arena.h"
#include "base/strmap.h"
#include "model/layer.h"

#include <limits.h>

/* Two seconds at most; 700,000 ordinary files fit. */
#define PATHS_WORK_MAX ((size_t)256 << 20)

struct node {
    str path;
    struct node *up, *child, *next;
    bool listed;                     /* hangs below `up` */
    const struct layer_entry *entry; /* what is visible here; NULL: nothing */
    struct content *content;         /* of a file that was read, also under another name */
    uint32_t layer;                  /* that brought it */
};

struct paths {
    struct arena *arena;
    struct strmap at;
    struct node root;
    size_t work;
    bool oom;
};

void paths_done(struct paths *p);
bool paths_spent(const struct paths *p);
str path_parent(str path);
/* Where a link to `target` in `folder` leads, by its text alone, without ever leaving the root; empty when that is too long. */
str path_join(str folder, str target, char to[PATH_MAX]);

struct node *paths_get(struct paths *p, str path); /* NULL when it was never made */
struct node *paths_make(struct paths *p,
                        str path); /* hangs it, and its parents, in the tree; NULL on failure */
struct node *
paths_pop(struct node *top); /* takes one node from below top, the deepest first; NULL: none left */
struct node *paths_next(const struct node *n); /* all nodes of the tree, from its root; NULL at the end */

struct walk {
    char done[PATH_MAX], text[2][PATH_MAX];
    size_t len; /* of done: the path without links */
    str rest;
    unsigned hops;
};

/* Follows the links of a path, of its last part only when `last`. False: a loop (40 hops, as Linux), or too long. */
bool paths_walk(struct paths *p, str path, bool last, struct walk *w);
