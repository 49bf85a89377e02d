#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK ((size_t)64 << 10)
#define ALIGN ((size_t)16)

struct block {
    struct block *next;
    size_t size;
    _Alignas(ALIGN) char bytes[];
};

struct arena {
    struct block *blocks;
    char *at, *end;
    size_t limit, used;
    bool failed;
};

struct arena *arena_new(size_t limit)
{
    struct arena *a = calloc(1, sizeof *a);
    if (a)
        a->limit = limit;
    return a;
}

/* A large piece gets a block of its own, so that the current one stays in use; only that one is zeroed here. */
static void *take_block(struct arena *a, size_t need)
{
    bool shared = need <= BLOCK / 4;
    size_t size = shared ? BLOCK : need;
    size_t total = sizeof(struct block) + size;
    if (a->limit && (total > a->limit || a->used > a->limit - total))
        return NULL;
    struct block *b = shared ? malloc(total) : calloc(1, total);
    if (!b)
        return NULL;
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    a->used += total;
    if (shared) {
        a->at = b->bytes + need;
        a->end = b->bytes + size;
    }
    return b->bytes;
}

/* Zeroed if it is large, else `*ret_dirty`: most of an arena is copies, which need not be zeroed first. */
static void *alloc(struct arena *a, size_t n, size_t size, size_t *ret_dirty)
{
    *ret_dirty = 0;
    size_t need;
    if (a->failed || __builtin_mul_overflow(n, size, &need) || need > SIZE_MAX / 4) {
        a->failed = true;
        return NULL;
    }
    need = (need + ALIGN - 1) & ~(ALIGN - 1);
    if (need == 0)
        need = ALIGN;
    if (a->at && need <= (size_t)(a->end - a->at)) {
        void *p = a->at;
        a->at += need;
        *ret_dirty = need;
        return p;
    }
    void *p = take_block(a, need);
    if (!p)
        a->failed = true;
    else if (need <= BLOCK / 4)
        *ret_dirty = need;
    return p;
}

void *arena_alloc(struct arena *a, size_t n, size_t size)
{
    size_t dirty;
    void *p = alloc(a, n, size, &dirty);
    return dirty ? memset(p, 0, dirty) : p;
}

str arena_dup(struct arena *a, str s)
{
    if (!s.len)
        return (str){ s.ptr ? "" : NULL, 0 };
    size_t dirty;
    char *p = alloc(a, s.len, 1, &dirty);
    if (!p)
        return (str){ 0 };
    memcpy(p, s.ptr, s.len);
    return (str){ p, s.len };
}

char *arena_cstr(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.len + 1, 1);
    if (p && s.len)
        memcpy(p, s.ptr, s.len);
    return p;
}

str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1, 1);
    if (!p)
        return (str){ 0 };
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (str){ p, (size_t)n };
}

void *arena_grow(struct arena *a, void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    size_t more = *cap ? *cap * 2 : 8;
    void *p = arena_alloc(a, more, size);
    if (!p)
        return NULL;
    if (count)
        memcpy(p, array, count * size);
    *cap = more;
    return p;
}

bool arena_failed(const struct arena *a) { return a->failed; }

size_t arena_used(const struct arena *a) { return a->used; }

void arena_freep(struct arena **a)
{
    if (!*a)
        return;
    for (struct block *b = (*a)->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(*a);
    *a = NULL;
}
