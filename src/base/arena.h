/* arena.h - all memory of one request or one layer: many allocations, one arena_freep(). Single-threaded. */
#pragma once
#include "base/str.h"

struct arena;

struct arena *arena_new(size_t limit); /* in bytes, 0 = no limit; NULL when out of memory */
void *arena_alloc(struct arena *a, size_t n,
                  size_t size);           /* n * size zeroed bytes, aligned to 16; NULL past the limit */
str arena_dup(struct arena *a, str s);    /* a copy; {NULL, 0} past the limit */
char *arena_cstr(struct arena *a, str s); /* a NUL-terminated copy; NULL past the limit */
str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool arena_failed(const struct arena *a); /* was any call refused? ask once, after many */
size_t arena_used(const struct arena *a); /* bytes taken from the system */
void arena_freep(struct arena **a);       /* for CLEANUP(); NULL is fine */

#define arena_array(a, type, n) ((type *)arena_alloc((a), (n), sizeof(type)))

/* Room for one more element in an arena array that grows by doubling: returns the (perhaps moved) array, NULL past
 * the limit. `count` elements are used of `*cap`. */
void *arena_grow(struct arena *a, void *array, size_t count, size_t *cap, size_t size);
