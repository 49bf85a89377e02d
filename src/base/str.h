/*
 * str.h - a view of bytes that somebody else owns. Never NUL-terminated, may hold any byte.
 *
 * Ownership  a str borrows; whoever made the bytes says how long they live.
 * Errors     none: every function is total.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *ptr;
    size_t len;
} str;

#define STR(literal) ((str){ "" literal, sizeof(literal) - 1 })
#define STR_FMT      "%.*s"
#define STR_ARG(s)   (int)(s).len, (s).ptr

static inline str str_from(const char *z) { return (str){ z, z ? strlen(z) : 0 }; } /* NULL is empty */
static inline str str_of(const void *ptr, size_t len) { return (str){ ptr, len }; }
static inline bool str_eq(str a, str b) { return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len)); }
static inline bool str_starts(str s, str head)
{
    return s.len >= head.len && !memcmp(s.ptr, head.ptr, head.len);
}
static inline bool str_ends(str s, str tail)
{
    return s.len >= tail.len && !memcmp(s.ptr + s.len - tail.len, tail.ptr, tail.len);
}
static inline str str_skip(str s, size_t n) /* without its first n bytes (n is cut to its length) */
{
    n = n < s.len ? n : s.len;
    return n ? (str){ s.ptr + n, s.len - n } : s; /* NULL + 0 is undefined */
}
static inline str str_head(str s, size_t n) { return (str){ s.ptr, n < s.len ? n : s.len }; }

int str_cmp(str a, str b);      /* memcmp order, the shorter first: <0, 0, >0 */
str str_trim(str s);            /* without blanks (space \t \r \n \v \f) at both ends */
str str_cut(str *rest, char c); /* what stands before the first c (or all); *rest keeps what follows it */
str str_line(str *rest);        /* next line without its "\n" or "\r\n"; *rest keeps the following ones */
str str_word(str *rest);        /* next run of non-blanks, empty at the end; *rest keeps what follows */
bool str_to_u64(str s, uint64_t *ret); /* decimal digits only; false when empty, other bytes or too large */
ptrdiff_t str_find(str s, char c);     /* index of the first c, -1 without */
ptrdiff_t str_rfind(str s, char c);    /* index of the last c, -1 without */
bool str_contains(str s, str part);    /* does part stand somewhere in s? An empty one does */
bool str_utf8(str s);                  /* is it valid UTF-8 (RFC 3629: no surrogates, no overlong forms) */
size_t
str_rune(str s); /* bytes of the UTF-8 character that s, not empty, begins with; 0 if it begins with none */
/* With a random seed nobody can choose colliding strings; with one seed it is the same in every process. */
uint64_t str_hash(str s, uint64_t seed);
