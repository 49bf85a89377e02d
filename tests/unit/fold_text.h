/*
 * fold_text.h - layers written as text, for test_fold.c and fuzz_fold.c. One entry a line:
 *
 *     layer                         begins the next layer
 *     again NUMBER                  the layer of that number (from 0) comes once more, as the same pointer
 *     file PATH NAME=VERSION ...    a wanted file with packages (their kind: the path's detector); NAME=VERSION/SOURCE=VERSION
 *     says PATH ID [VERSION]        a distribution file
 *     note PATH WORD                a wanted file with a note
 *     link PATH TARGET              also: hard PATH TARGET
 *     gone PATH                     also: opaque PATH, folder PATH, other PATH
 */
#pragma once
#include "detect/detector.h"
#include "detect/distro.h"
#include "index/fold.h"

struct fold_text {
    struct arena *arena;
    struct layer_index *layers;
    const struct layer_index **pointers; /* the row of layers: made by fold_text_read() */
    size_t *row;                         /* the same as indexes into layers */
    size_t count, cap;                   /* of layers */
    size_t row_count, row_cap;
    size_t entry_cap;
};

static void fold_text_entry(struct fold_text *t, struct layer_entry entry)
{
    struct layer_index *layer = &t->layers[t->count - 1];
    struct layer_entry *all =
        arena_grow(t->arena, layer->entries, layer->entry_count, &t->entry_cap, sizeof *layer->entries);
    if (!all)
        return;
    layer->entries = all;
    all[layer->entry_count++] = entry;
}

static void fold_text_row(struct fold_text *t, size_t layer)
{
    size_t *all = arena_grow(t->arena, t->row, t->row_count, &t->row_cap, sizeof *t->row);
    if (!all)
        return;
    t->row = all;
    all[t->row_count++] = layer;
}

static void fold_text_layer(struct fold_text *t)
{
    struct layer_index *all = arena_grow(t->arena, t->layers, t->count, &t->cap, sizeof *t->layers);
    if (!all)
        return;
    t->layers = all;
    t->layers[t->count++] = (struct layer_index){ 0 };
    t->entry_cap = 0;
    fold_text_row(t, t->count - 1);
}

static void fold_text_packages(struct fold_text *t, struct layer_entry *entry, str words)
{
    size_t cap = 0;
    for (str word; (word = str_word(&words)).len;) {
        struct package *all = arena_grow(t->arena, entry->packages, entry->package_count, &cap, sizeof *all);
        if (!all)
            return;
        entry->packages = all;
        str name = str_cut(&word, '='), version = str_cut(&word, '/'), source = str_cut(&word, '=');
        all[entry->package_count++] = (struct package){ .kind = entry->detector,
                                                        .name = name,
                                                        .version = version,
                                                        .source = source,
                                                        .source_version = word };
    }
}

static void fold_text_line(struct fold_text *t, str line)
{
    static const struct {
        const char *word;
        enum entry_kind kind;
    } words[] = {
        { "file", ENTRY_FILE },     { "says", ENTRY_FILE },     { "note", ENTRY_FILE },
        { "link", ENTRY_LINK },     { "hard", ENTRY_HARDLINK }, { "gone", ENTRY_REMOVED },
        { "opaque", ENTRY_OPAQUE }, { "folder", ENTRY_FOLDER }, { "other", ENTRY_OTHER },
    };
    str word = str_word(&line);
    if (str_eq(word, STR("layer")) || !t->count)
        fold_text_layer(t);
    uint64_t number;
    if (str_eq(word, STR("again")) && str_to_u64(str_word(&line), &number) && number < t->count)
        fold_text_row(t, (size_t)number);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct layer_entry entry = { .kind = words[i].kind };
        if (!str_eq(word, str_from(words[i].word)))
            continue;
        entry.path = str_word(&line);
        if (entry.kind == ENTRY_LINK || entry.kind == ENTRY_HARDLINK)
            entry.target = str_word(&line);
        if (entry.kind == ENTRY_FILE) {
            const struct detector *d = detector_for(entry.path);
            entry.detector = str_from(d ? d->name : "dpkg");
        }
        if (str_eq(word, STR("file")))
            fold_text_packages(t, &entry, line);
        if (str_eq(word, STR("note")))
            entry.note = str_word(&line);
        if (str_eq(word, STR("says"))) {
            str id = str_word(&line), none = { 0 };
            entry.distribution = distribution_from(t->arena, id, str_word(&line), none, none);
        }
        fold_text_entry(t, entry);
    }
}

static void fold_text_read(struct fold_text *t, str text)
{
    while (text.len)
        fold_text_line(t, str_line(&text));
    t->pointers = arena_array(t->arena, const struct layer_index *, t->row_count + 1);
    for (size_t i = 0; t->pointers && i < t->row_count; i++)
        t->pointers[i] = &t->layers[t->row[i]];
    if (!t->pointers)
        t->row_count = 0;
}

/* The same row, in which no layer shares anything with another one. */
static inline const struct layer_index **fold_text_copies(struct fold_text *t)
{
    const struct layer_index **row = arena_array(t->arena, const struct layer_index *, t->row_count + 1);
    for (size_t i = 0; row && i < t->row_count; i++) {
        struct layer_index *copy = arena_array(t->arena, struct layer_index, 1);
        size_t n = t->pointers[i]->entry_count;
        struct layer_entry *entries = arena_array(t->arena, struct layer_entry, n + 1);
        if (!copy || !entries)
            return NULL;
        if (n)
            memcpy(entries, t->pointers[i]->entries, n * sizeof *entries);
        *copy = *t->pointers[i];
        copy->entries = entries;
        row[i] = copy;
    }
    return row;
}
