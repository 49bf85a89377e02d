/* layer_builder.c - the parent's side of a layer: frames in, every one checked. */
#include "index/layer.h"
#include "codec/pack.h"

void alias_pack(struct buf *to, const struct alias *a)
{
    pack_str(to, a->real);
    pack_str(to, a->wanted);
}

/* Entries that stand for their path: a later member of the same path replaces the earlier one. */
static struct layer_entry *place_of(struct layer_builder *b, const struct layer_entry *x)
{
    bool stands = x->kind != ENTRY_REMOVED && x->kind != ENTRY_OPAQUE && x->kind != ENTRY_FOLDER;
    void **known = stands ? strmap_at(&b->paths, x->path) : NULL;
    if (stands && !known)
        return NULL;
    if (known && *known) /* holds index + 1 */
        return &b->layer.entries[(uintptr_t)*known - 1];
    struct layer_entry *more =
        arena_grow(b->arena, b->layer.entries, b->layer.entry_count, &b->entry_cap, sizeof *more);
    if (!more)
        return NULL;
    b->layer.entries = more;
    if (known)
        *known = (void *)(uintptr_t)(b->layer.entry_count + 1);
    return &more[b->layer.entry_count++];
}

int layer_memory_error(struct err *e)
{
    return err_set(e, ERR_LIMIT, "its package databases need more than %zu MiB", LAYER_MEMORY_MAX >> 20);
}

static int on_entry(struct layer_builder *b, str body, struct err *e)
{
    struct unpack u = { .rest = body, .max_str = 65536 };
    struct layer_entry x = { .kind = (enum entry_kind)unpack_u64(&u) };
    str *const fields[] = { &x.path,
                            &x.target,
                            &x.detector,
                            &x.distribution.id,
                            &x.distribution.version,
                            &x.distribution.name,
                            &x.distribution.namespace,
                            &x.note };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = arena_dup(b->arena, unpack_str(&u));
    if (!unpack_end(&u) || x.kind < ENTRY_FILE || x.kind > ENTRY_FOLDER ||
        b->layer.entry_count >= LAYER_ENTRIES_MAX)
        return err_set(e, ERR_CAGE, "worker sent a bad entry");
    struct layer_entry *to = arena_failed(b->arena) ? NULL : place_of(b, &x);
    if (!to)
        return layer_memory_error(e);
    *to = x;
    b->current = (size_t)(to - b->layer.entries) + 1;
    b->package_cap = b->fact_cap = 0;
    return 0;
}

static int on_package(struct layer_builder *b, str body, struct err *e)
{
    if (!b->current)
        return err_set(e, ERR_CAGE, "worker sent a package of no file");
    struct layer_entry *x = &b->layer.entries[b->current - 1];
    struct unpack u = { .rest = body, .max_str = PACKAGE_TEXT_MAX };
    struct package p;
    str *const fields[] = { &p.kind, &p.name, &p.version, &p.arch, &p.source, &p.source_version, &p.module };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = arena_dup(b->arena, unpack_str(&u));
    if (!unpack_end(&u) || !p.name.len)
        return err_set(e, ERR_CAGE, "worker sent a bad package");
    if (++b->package_total > LAYER_PACKAGES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d packages in one layer", LAYER_PACKAGES_MAX);
    struct package *more = arena_grow(b->arena, x->packages, x->package_count, &b->package_cap, sizeof *more);
    if (!more)
        return layer_memory_error(e);
    x->packages = more;
    more[x->package_count++] = p;
    return 0;
}

static int on_fact(struct layer_builder *b, str body, struct err *e)
{
    if (!b->current)
        return err_set(e, ERR_CAGE, "worker sent a fact of no file");
    struct layer_entry *x = &b->layer.entries[b->current - 1];
    struct unpack u = { .rest = body, .max_str = PACKAGE_TEXT_MAX };
    struct fact f = { .name = arena_dup(b->arena, unpack_str(&u)),
                      .value = arena_dup(b->arena, unpack_str(&u)) };
    if (!unpack_end(&u) || !f.name.len)
        return err_set(e, ERR_CAGE, "worker sent a bad fact");
    if (++b->fact_total > LAYER_FACTS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d facts in one layer", LAYER_FACTS_MAX);
    struct fact *more = arena_grow(b->arena, x->facts, x->fact_count, &b->fact_cap, sizeof *more);
    if (!more || arena_failed(b->arena))
        return layer_memory_error(e);
    x->facts = more;
    more[x->fact_count++] = f;
    return 0;
}

static int on_sums(struct layer_builder *b, str body, struct err *e)
{
    struct unpack u = { .rest = body, .max_str = sizeof b->failure.text };
    str stored = unpack_str(&u), diff = unpack_str(&u);
    b->layer.size = b->sums.size = unpack_u64(&u);
    uint64_t kind = unpack_u64(&u);
    str text = unpack_str(&u);
    if (!unpack_end(&u) || stored.len > 64 || diff.len > 64 || kind >= ERR_KINDS)
        return err_set(e, ERR_CAGE, "worker sent bad sums");
    memcpy(b->sums.stored, stored.ptr, stored.len);
    memcpy(b->sums.diff, diff.ptr, diff.len);
    b->layer.diff_id = diff.len ? arena_printf(b->arena, "sha256:%s", b->sums.diff) : STR("");
    if (kind)
        err_set(&b->failure, (enum err_kind)kind, STR_FMT, STR_ARG(text));
    b->ended = true;
    return arena_failed(b->arena) ? layer_memory_error(e) : 0;
}

int layer_builder_frame(struct layer_builder *b, unsigned type, str body, struct err *e)
{
    if (b->ended)
        return err_set(e, ERR_CAGE, "worker went on after the end of a layer");
    switch (type) {
    case INDEX_ENTRY:
        return on_entry(b, body, e);
    case INDEX_PACKAGE:
        return on_package(b, body, e);
    case INDEX_FACT:
        return on_fact(b, body, e);
    case INDEX_LAYER:
        return on_sums(b, body, e);
    default:
        return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
    }
}

void layer_builder_done(struct layer_builder *b) { strmap_done(&b->paths); }
