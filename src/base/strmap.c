#include "base/strmap.h"

#include <stdlib.h>
#include <sys/random.h>

static struct strmap_slot *find(const struct strmap *m, str key, uint64_t hash)
{
    size_t mask = m->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct strmap_slot *s = &m->slots[i];
        if (!s->key.ptr || (s->hash == hash && str_eq(s->key, key)))
            return s;
    }
}

static bool widen(struct strmap *m)
{
    struct strmap bigger = { .cap = m->cap ? m->cap * 2 : 64, .count = m->count, .seed = m->seed };
    if (!m->cap && getrandom(&bigger.seed, sizeof bigger.seed, GRND_NONBLOCK) < 0)
        bigger.seed = (uintptr_t)m; /* early in the boot: better than none */
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key.ptr)
            *find(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    free(m->slots);
    *m = bigger;
    return true;
}

void **strmap_at(struct strmap *m, str key)
{
    if (m->count * 4 >= m->cap * 3 && !widen(m))
        return NULL;
    uint64_t hash = str_hash(key, m->seed);
    struct strmap_slot *s = find(m, key, hash);
    if (!s->key.ptr) {
        s->key = key.ptr ? key : STR("");
        s->hash = hash;
        m->count++;
    }
    return &s->value;
}

void *strmap_get(const struct strmap *m, str key)
{
    return m->cap ? find(m, key, str_hash(key, m->seed))->value : NULL;
}

void strmap_done(struct strmap *m)
{
    free(m->slots);
    *m = (struct strmap){ 0 };
}
