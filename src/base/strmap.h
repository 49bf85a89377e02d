/* strmap.h - a hash table from byte strings to pointers. Keys are borrowed and must outlive the map. */
#pragma once
#include "base/str.h"

struct strmap {
    struct strmap_slot {
        str key; /* ptr NULL = free */
        uint64_t hash;
        void *value;
    } * slots;
    size_t count, cap;
    uint64_t seed; /* random: keys may come from an image */
};

void **strmap_at(struct strmap *m,
                 str key); /* the value's place, made (NULL) if new; NULL when out of memory */
void *strmap_get(const struct strmap *m, str key); /* NULL if absent */
void strmap_done(struct strmap *m);                /* for CLEANUP(); frees the table, not the values */
