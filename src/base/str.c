#include "base/str.h"

static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int str_cmp(str a, str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int r = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return r ? r : (a.len > b.len) - (a.len < b.len);
}

str str_trim(str s)
{
    while (s.len && blank(s.ptr[0]))
        s = str_skip(s, 1);
    while (s.len && blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

str str_cut(str *rest, char c)
{
    str head = *rest;
    const char *at = head.len ? memchr(head.ptr, c, head.len) : NULL;
    if (!at) {
        *rest = str_skip(head, head.len);
        return head;
    }
    head.len = (size_t)(at - head.ptr);
    *rest = str_skip(*rest, head.len + 1);
    return head;
}

str str_line(str *rest)
{
    str line = str_cut(rest, '\n');
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

str str_word(str *rest)
{
    while (rest->len && blank(rest->ptr[0]))
        *rest = str_skip(*rest, 1);
    size_t n = 0;
    while (n < rest->len && !blank(rest->ptr[n]))
        n++;
    str word = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return word;
}

bool str_to_u64(str s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.ptr[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    if (s.len)
        *ret = v;
    return s.len > 0;
}

ptrdiff_t str_find(str s, char c)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return at ? at - s.ptr : -1;
}

ptrdiff_t str_rfind(str s, char c)
{
    const char *at = s.len ? memrchr(s.ptr, c, s.len) : NULL;
    return at ? at - s.ptr : -1;
}

bool str_contains(str s, str part)
{
    return !part.len || (s.len && memmem(s.ptr, s.len, part.ptr, part.len));
}

/* Bytes that follow a lead byte, and the range of the first of them (RFC 3629 section 4). */
static int utf8_lead(uint8_t c, uint8_t *low, uint8_t *high)
{
    *low = 0x80, *high = 0xbf;
    if (c < 0x80)
        return 0;
    if (c >= 0xc2 && c <= 0xdf)
        return 1;
    if (c >= 0xe0 && c <= 0xef) {
        if (c == 0xe0)
            *low = 0xa0;
        else if (c == 0xed)
            *high = 0x9f;
        return 2;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (c == 0xf0)
            *low = 0x90;
        else if (c == 0xf4)
            *high = 0x8f;
        return 3;
    }
    return -1;
}

bool str_utf8(str s)
{
    for (size_t i = 0; i < s.len;) {
        uint8_t low, high;
        int more = utf8_lead((uint8_t)s.ptr[i++], &low, &high);
        if (more < 0 || (size_t)more > s.len - i)
            return false;
        for (; more > 0; more--, low = 0x80, high = 0xbf) {
            uint8_t c = (uint8_t)s.ptr[i++];
            if (c < low || c > high)
                return false;
        }
    }
    return true;
}

/* The halves of a 128-bit product, folded: every bit of both factors reaches every bit of the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t str_hash(str s, uint64_t seed)
{
    uint64_t key = seed ^ 0x9e3779b97f4a7c15u, h = seed ^ s.len, w;
    for (; s.len >= sizeof w; s = str_skip(s, sizeof w)) {
        memcpy(&w, s.ptr, sizeof w);
        h = fold(h ^ w ^ 0xff51afd7ed558ccdu, key);
    }
    w = 0;
    if (s.len)
        memcpy(&w, s.ptr, s.len);
    return fold(h ^ w ^ 0xc4ceb9fe1a85ec53u, key | 1);
}

size_t str_rune(str s)
{
    uint8_t c = (uint8_t)s.ptr[0];
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c < 0x80)
        return 1;
    return n <= s.len && str_utf8(str_head(s, n)) ? n : 0;
}
