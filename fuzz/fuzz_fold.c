/*
 * fuzz_fold.c - layers as text (tests/unit/fold_text.h). The result is sorted and without doubles, each
 * package comes from a layer that has it; neither the order of the entries of a layer matters, nor whether layers
 * that come again are shared.
 */
#include "base/cleanup.h"

#include <stdlib.h>

#include "../tests/unit/fold_text.h"

static bool brings(const struct layer_index *layer, const struct package *p)
{
    for (size_t i = 0; i < layer->entry_count; i++)
        for (size_t k = 0; k < layer->entries[i].package_count; k++)
            if (package_same(&layer->entries[i].packages[k], p))
                return true;
    return false;
}

static void check(const struct image_index *image)
{
    for (size_t i = 0; i < image->package_count; i++) {
        const struct image_package *p = &image->packages[i];
        if (i && (package_cmp(&p[-1].package, &p->package) >= 0 || package_same(&p[-1].package, &p->package)))
            abort();
        if (p->layer >= image->layer_count || !brings(image->layers[p->layer], &p->package))
            abort();
    }
    for (size_t i = 0; i < image->removed_count; i++) {
        const struct image_package *p = &image->removed[i];
        if (p->layer >= p->removed || p->removed >= image->layer_count ||
            !brings(image->layers[p->layer], &p->package))
            abort();
    }
}

/* No "", "." or ".." in it: image/tar.h promises that, so other paths are only asked not to crash. */
static bool plain(str path)
{
    if (!path.len || str_ends(path, STR("/")))
        return false;
    while (path.len) {
        str name = str_cut(&path, '/');
        if (!name.len || str_eq(name, STR(".")) || str_eq(name, STR("..")))
            return false;
    }
    return true;
}

/* A path twice in a layer, or a file below a link of its layer: there the order of the tar decides. */
static bool order_matters(const struct layer_index *layer)
{
    for (size_t i = 0; i < layer->entry_count; i++) {
        if (layer->entries[i].kind == ENTRY_LINK || layer->entries[i].kind == ENTRY_HARDLINK ||
            !plain(layer->entries[i].path))
            return true;
        for (size_t k = 0; k < i; k++)
            if (str_eq(layer->entries[i].path, layer->entries[k].path))
                return true;
    }
    return false;
}

static void reverse(struct layer_index *layer)
{
    for (size_t i = 0, k = layer->entry_count; i + 1 < k; i++) {
        struct layer_entry entry = layer->entries[--k];
        layer->entries[k] = layer->entries[i];
        layer->entries[i] = entry;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void check_same(const struct image_index *a, const struct image_index *b)
{
    if (a->package_count != b->package_count || a->unreadable != b->unreadable ||
        a->note_count != b->note_count || a->removed_count != b->removed_count ||
        a->unread_count != b->unread_count || !str_eq(a->distribution.namespace, b->distribution.namespace))
        abort();
    for (size_t i = 0; i < a->package_count; i++)
        if (package_cmp(&a->packages[i].package, &b->packages[i].package) ||
            a->packages[i].layer != b->packages[i].layer)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct fold_text text = { .arena = arena };
    struct image_index image = { 0 }, again = { 0 };
    struct err e = { 0 };
    if (size > 4096)
        return 0;
    fold_text_read(&text, str_of(data, size));
    if (image_fold(text.pointers, text.row_count, arena, &image, &e) < 0)
        return e.kind == ERR_OOM || e.kind == ERR_LIMIT ? 0 : (abort(), 0);
    check(&image);

    const struct layer_index **copies = fold_text_copies(&text);
    if (!copies || image_fold(copies, text.row_count, arena, &again, &e) < 0)
        return 0;
    check_same(&image, &again);

    for (size_t i = 0; i < text.count; i++) {
        if (order_matters(&text.layers[i]))
            return 0;
        reverse(&text.layers[i]);
    }
    if (image_fold(text.pointers, text.row_count, arena, &again, &e) == 0)
        check_same(&image, &again);
    return 0;
}
