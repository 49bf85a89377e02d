#include "index/visit.h"
#include "base/cleanup.h"
#include "codec/pack.h"
#include "detect/detector.h"
#include "index/walk.h"

struct kept {       /* a file that waits for another one */
    str path, name; /* as in struct place */
    const struct detector *detector;
    bool beside; /* it is that other one */
    char *content;
    size_t len;
};

struct visit {
    struct frame_writer *out;
    struct arena *arena; /* of paths */
    struct buf body;     /* of the frame being made */
    struct buf content;  /* of the wanted file being read */
    size_t entries;
    bool below_rootfs;
    struct alias aliases[ALIASES_MAX];
    size_t alias_count;
    struct kept *kept;
    size_t kept_count, kept_cap, kept_bytes;
    char mapped[2][PATH_MAX]; /* of a path and of its parent */
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "no memory to walk a layer"); }

/* ---- frames ---- */

static int put_entry(struct visit *v, const struct layer_entry *x, struct err *e)
{
    if (++v->entries > LAYER_ENTRIES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d files, links and whiteouts that concern package databases",
                       LAYER_ENTRIES_MAX);
    return layer_put_entry(x, &v->body, v->out, e);
}

/* ---- paths ---- */

struct place { /* what is wanted of a path */
    str path;  /* in the layer */
    str name;  /* what it is for detectors: another path where a link leads here */
    const struct detector *detector;
    const struct detector *beside; /* it is the second file of this one's */
    bool below;                    /* something below it, or it itself, may be wanted */
};

static struct place place_by(str path, str name)
{
    struct place p = { .path = path, .name = name, .detector = detector_for(name) };
    p.beside = p.detector ? NULL : detector_beside(name);
    p.below = p.detector || p.beside || detector_wants_below(name);
    return p;
}

static bool lies_below(str path, str top)
{
    return str_starts(path, top) && (path.len == top.len || !top.len || path.ptr[top.len] == '/');
}

/* A path that is none of the wanted ones is judged by the links that lead to it, or to a folder above it. */
static struct place place_of(struct visit *v, str path, char to[PATH_MAX])
{
    struct place p = place_by(path, path);
    for (size_t i = 0; i < v->alias_count && !p.detector && !p.beside; i++) {
        str real = v->aliases[i].real, wanted = v->aliases[i].wanted;
        p.below = p.below || lies_below(real, path);
        str rest = str_skip(path, real.len);
        if (!lies_below(path, real) || wanted.len + rest.len >= PATH_MAX)
            continue;
        memcpy(to, wanted.ptr, wanted.len);
        memcpy(to + wanted.len, rest.ptr, rest.len);
        struct place q = place_by(path, str_of(to, wanted.len + rest.len));
        if (q.below)
            return q;
    }
    return p;
}

static int add_alias(struct visit *v, str real, str wanted, struct err *e)
{
    for (size_t i = 0; i < v->alias_count; i++)
        if (str_eq(v->aliases[i].real, real) && str_eq(v->aliases[i].wanted, wanted))
            return 0;
    if (v->alias_count >= ALIASES_MAX)
        return 0; /* the fold tells of links that lead to where nobody looked */
    struct alias a = { arena_dup(v->arena, real), arena_dup(v->arena, wanted) };
    if (arena_failed(v->arena))
        return oom(e);
    v->aliases[v->alias_count++] = a;
    return 0;
}

/* A link at a wanted place: what it leads to is wanted from now on. */
static int follow(struct visit *v, const struct place *p, const struct tar_member *m, struct err *e)
{
    char real[PATH_MAX];
    str folder = m->type == TAR_HARDLINK ? STR("") : path_parent(m->path);
    str to = path_join(folder, m->link, real);
    return !to.len || detector_for(to) || str_eq(to, p->path) ? 0 : add_alias(v, to, p->name, e);
}

/* ---- files ---- */

static int read_wanted(struct visit *v, struct tar *tar, const struct tar_member *m, struct err *e)
{
    str chunk;
    int r;
    if (m->size > DETECT_FILE_MAX)
        return err_set(e, ERR_FILE_LIMIT, "%llu bytes, more than the %u that are read of one file",
                       (unsigned long long)m->size, DETECT_FILE_MAX);
    buf_clear(&v->content);
    if (m->size)
        buf_reserve(&v->content, (size_t)m->size);
    while ((r = tar_chunk(tar, &chunk, e)) > 0)
        buf_str(&v->content, chunk);
    if (r == 0 && v->content.failed)
        return err_set(e, ERR_OOM, "no memory for its %llu bytes", (unsigned long long)m->size);
    return r;
}

static int scan(struct visit *v, const struct detector *d, const struct detect_file *file, str path,
                struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct detected found = { .arena = arena };
    struct layer_entry x = { .kind = ENTRY_FILE, .path = path, .detector = str_from(d->name) };
    if (!arena)
        return err_set(e, ERR_OOM, "arena");
    if (d->scan(file, &found, e) < 0)
        return err_wrap(e, STR_FMT, STR_ARG(path));
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, STR_FMT, STR_ARG(path));
    x.distribution = found.distribution;
    x.note = found.note;
    return put_entry(v, &x, e) < 0 ? -1 : layer_put_found(&found, &v->body, v->out, e);
}

/* Most wanted files are small and rare, but a package database can be large: its memory is given back. */
static void trim_content(struct visit *v)
{
    if (v->content.cap > ((size_t)1 << 20))
        buf_done(&v->content);
}

static struct kept *kept_at(struct visit *v, str path)
{
    for (size_t i = 0; i < v->kept_count; i++)
        if (str_eq(v->kept[i].path, path))
            return &v->kept[i];
    return NULL;
}

/* Takes over what was read. A later member of the same path replaces the earlier one. */
static int keep(struct visit *v, str path, str name, const struct detector *d, bool beside, struct err *e)
{
    struct kept *k = kept_at(v, path);
    if (!k) {
        struct kept *more = arena_grow(v->arena, v->kept, v->kept_count, &v->kept_cap, sizeof *more);
        struct kept made = { .path = arena_dup(v->arena, path),
                             .name = arena_dup(v->arena, name),
                             .detector = d,
                             .beside = beside };
        if (!more || arena_failed(v->arena))
            return oom(e);
        v->kept = more;
        k = &more[v->kept_count++];
        *k = made;
    }
    v->kept_bytes += v->content.len - k->len;
    free(k->content);
    k->content = v->content.ptr;
    k->len = v->content.len;
    v->content = (struct buf){ .max = v->content.max };
    if (v->kept_bytes > DETECT_FILE_MAX || v->kept_count > LAYER_KEPT_MAX)
        return err_set(e, ERR_FILE_LIMIT,
                       "more than %u bytes, or %d files, of package databases in one layer", DETECT_FILE_MAX,
                       LAYER_KEPT_MAX);
    return 0;
}

static int wanted_file(struct visit *v, struct tar *tar, const struct tar_member *m, const struct place *p,
                       struct err *e)
{
    const struct detector *d = p->detector ? p->detector : p->beside;
    char paths[2][PATH_MAX]; /* the member's views end with its first chunk */
    struct err why = { 0 };
    if (p->path.len >= PATH_MAX || p->name.len >= PATH_MAX)
        return err_set(e, ERR_LIMIT, "path of more than %d bytes", PATH_MAX);
    memcpy(paths[0], p->path.ptr, p->path.len);
    memcpy(paths[1], p->name.ptr, p->name.len);
    str path = str_of(paths[0], p->path.len), name = str_of(paths[1], p->name.len);
    if (read_wanted(v, tar, m, &why) < 0) {
        *e = why;
        return err_wrap(e, STR_FMT, STR_ARG(path));
    }
    if (d->beside)
        return keep(v, path, name, d, !p->detector, e) < 0 ? err_wrap(e, STR_FMT, STR_ARG(path)) : 0;
    int r = scan(v, d, &(struct detect_file){ .path = name, .content = buf_view(&v->content) }, path, e);
    trim_content(v);
    return r;
}

/* ---- members ---- */

static str base_of(str path) { return str_skip(path, (size_t)(str_rfind(path, '/') + 1)); }

/* ".wh." names: OCI image-spec layer.md "Whiteouts"; other ".wh..wh." names are AUFS's own bookkeeping. */
static int whiteout(struct visit *v, str path, struct err *e)
{
    str base = base_of(path), parent = path_parent(path);
    if (str_eq(base, STR(".wh..wh..opq"))) {
        struct layer_entry x = { .kind = ENTRY_OPAQUE, .path = parent };
        return !parent.len || place_of(v, parent, v->mapped[1]).below ? put_entry(v, &x, e) : 0;
    }
    if (str_starts(base, STR(".wh..wh.")) || base.len <= 4)
        return 0;
    CLEANUP(buf_done) struct buf name = { 0 };
    if (parent.len) {
        buf_str(&name, parent);
        buf_char(&name, '/');
    }
    buf_str(&name, str_skip(base, 4));
    if (name.failed)
        return err_set(e, ERR_OOM, "whiteout");
    struct layer_entry x = { .kind = ENTRY_REMOVED, .path = buf_view(&name) };
    return place_of(v, x.path, v->mapped[1]).below ? put_entry(v, &x, e) : 0;
}

/* Names relative to "rootfs/"; false: it lies elsewhere. */
static bool strip_rootfs(struct tar_member *m)
{
    static const str root = { "rootfs/", 7 };
    if (!str_starts(m->path, root))
        return false;
    m->path = str_skip(m->path, root.len);
    if (m->type == TAR_HARDLINK && str_starts(m->link, root))
        m->link = str_skip(m->link, root.len);
    return true;
}

static enum entry_kind kind_of(enum tar_type type)
{
    switch (type) {
    case TAR_FOLDER:
        return ENTRY_FOLDER;
    case TAR_SYMLINK:
        return ENTRY_LINK;
    case TAR_HARDLINK:
        return ENTRY_HARDLINK;
    case TAR_FILE:
    case TAR_OTHER:
        break;
    }
    return ENTRY_OTHER;
}

int visit_member(struct visit *v, struct tar *tar, const struct tar_member *member, struct err *e)
{
    struct tar_member m = *member;
    if ((v->below_rootfs && !strip_rootfs(&m)) || m.escapes || !m.path.len)
        return 0;
    if (str_starts(base_of(m.path), STR(".wh.")))
        return whiteout(v, m.path, e);
    struct place p = place_of(v, m.path, v->mapped[0]);
    if ((p.detector || p.beside) && m.type == TAR_FILE)
        return wanted_file(v, tar, &m, &p, e);
    if (!p.below || p.beside)
        return 0;
    struct layer_entry x = { .kind = kind_of(m.type), .path = m.path, .target = m.link };
    if ((m.type == TAR_SYMLINK || m.type == TAR_HARDLINK) && follow(v, &p, &m, e) < 0)
        return -1;
    return put_entry(v, &x, e);
}

/* Its database may be in a lower layer: what it would change there is not known. */
static int alone(struct visit *v, const struct kept *k, struct err *e)
{
    struct layer_entry x = {
        .kind = ENTRY_FILE,
        .path = k->path,
        .detector = str_from(k->detector->name),
        .note = STR("holds changes of a database that is not in this layer: they were not read")
    };
    return k->len ? put_entry(v, &x, e) : 0;
}

static int scan_kept(struct visit *v, const struct kept *k, struct err *e)
{
    char name[PATH_MAX + 16];
    size_t more = strlen(k->detector->beside);
    if (more > 15)
        return err_set(e, ERR_INTERNAL, "%s: beside", k->detector->name);
    memcpy(name, k->path.ptr, k->path.len);
    memcpy(name + k->path.len, k->detector->beside, more);
    const struct kept *beside = kept_at(v, str_of(name, k->path.len + more));
    struct detect_file file = { .path = k->name, .content = str_of(k->content, k->len) };
    if (beside)
        file.beside = str_of(beside->content, beside->len);
    return scan(v, k->detector, &file, k->path, e);
}

static bool has_database(struct visit *v, const struct kept *k)
{
    return kept_at(v, str_head(k->path, k->path.len - strlen(k->detector->beside))) != NULL;
}

int visit_end(struct visit *v, struct err *e)
{
    for (size_t i = 0; i < v->kept_count; i++) {
        const struct kept *k = &v->kept[i];
        int r = !k->beside ? scan_kept(v, k, e) : has_database(v, k) ? 0 : alone(v, k, e);
        if (r < 0)
            return -1;
    }
    return 0;
}

static int take_aliases(struct visit *v, str packed, struct err *e)
{
    struct unpack u = { .rest = packed, .max_str = PATH_MAX };
    while (u.rest.len && !u.failed) {
        str real = unpack_str(&u), wanted = unpack_str(&u);
        if (!u.failed && add_alias(v, real, wanted, e) < 0)
            return -1;
    }
    return u.failed ? err_set(e, ERR_INTERNAL, "layer: params") : 0;
}

struct visit *visit_new(struct frame_writer *out, unsigned flags, str aliases, struct err *e)
{
    struct visit *v = calloc(1, sizeof *v);
    if (v)
        v->arena = arena_new(0);
    if (!v || !v->arena) {
        free(v);
        oom(e);
        return NULL;
    }
    v->out = out;
    v->content.max = DETECT_FILE_MAX;
    v->below_rootfs = flags & LAYER_BELOW_ROOTFS;
    if (take_aliases(v, aliases, e) < 0)
        visit_freep(&v);
    return v;
}

void visit_freep(struct visit **vp)
{
    struct visit *v = *vp;
    if (!v)
        return;
    for (size_t i = 0; i < v->kept_count; i++)
        free(v->kept[i].content);
    buf_done(&v->body);
    buf_done(&v->content);
    arena_freep(&v->arena);
    free(v);
    *vp = NULL;
}
