#include "image/tar_sparse.h"

#include <stdlib.h>

#define MAX_SEGMENTS 65536

static bool grow(struct tar_map *m)
{
    if (m->count < m->cap)
        return true;
    size_t cap = m->cap ? 2 * m->cap : 64;
    struct tar_segment *p = cap > MAX_SEGMENTS ? NULL : realloc(m->segments, cap * sizeof *p);
    if (!p)
        return false;
    m->segments = p;
    m->cap = cap;
    return true;
}

bool tar_map_add(struct tar_map *m, uint64_t offset, uint64_t size)
{
    uint64_t end;
    if (offset < m->end || __builtin_add_overflow(offset, size, &end))
        return false;
    m->end = end;
    m->stored += size; /* cannot wrap: the segments do not overlap */
    if (!size)
        return true; /* GNU tar ends a map so, to give the size of the file */
    m->over |= !grow(m);
    if (!m->over)
        m->segments[m->count++] = (struct tar_segment){ offset, size };
    return true;
}

bool tar_map_text(struct tar_map *m, str text)
{
    while (text.len) {
        uint64_t offset, size;
        if (!str_to_u64(str_cut(&text, ','), &offset) || !str_to_u64(str_cut(&text, ','), &size) ||
            !tar_map_add(m, offset, size))
            return false;
    }
    return true;
}

void tar_map_clear(struct tar_map *m) { *m = (struct tar_map){ .segments = m->segments, .cap = m->cap }; }

void tar_map_done(struct tar_map *m)
{
    free(m->segments);
    *m = (struct tar_map){ 0 };
}

uint64_t tar_map_run(const struct tar_map *m, size_t *i, uint64_t at, uint64_t size, bool *stored)
{
    while (*i < m->count && at >= m->segments[*i].offset + m->segments[*i].size)
        ++*i;
    *stored = *i < m->count && at >= m->segments[*i].offset;
    if (*i == m->count)
        return size - at;
    const struct tar_segment *s = &m->segments[*i];
    return *stored ? s->offset + s->size - at : s->offset - at;
}
