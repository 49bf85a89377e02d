#include "api/path.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool path_decode(str part, struct arena *arena, str *ret)
{
    char *to = arena_alloc(arena, part.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; to && i < part.len; i++) {
        int byte = (unsigned char)part.ptr[i];
        if (byte == '%') {
            int high = i + 2 < part.len ? hex(part.ptr[i + 1]) : -1,
                low = high < 0 ? -1 : hex(part.ptr[i + 2]);
            byte = low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (!byte)
            return false;
        to[n++] = (char)byte;
    }
    *ret = str_of(to, n);
    return to != NULL;
}

str path_clean(str path, struct arena *arena)
{
    char *to = arena_alloc(arena, path.len + 2, 1);
    size_t n = 0;
    if (!to)
        return (str){ 0 };
    for (str part; path.len;) {
        part = str_cut(&path, '/');
        if (str_eq(part, STR(".."))) {
            while (n && to[--n] != '/')
                ;
        } else if (part.len && !str_eq(part, STR("."))) {
            to[n++] = '/';
            memcpy(to + n, part.ptr, part.len);
            n += part.len;
        }
    }
    if (!n)
        to[n++] = '/';
    return str_of(to, n);
}

bool query_has(str query, str name)
{
    while (query.len) {
        str part = str_cut(&query, '&');
        if (str_eq(str_cut(&part, '='), name))
            return true;
    }
    return false;
}

bool query_value(str query, str name, struct arena *arena, str *ret)
{
    while (query.len) {
        str part = str_cut(&query, '&');
        if (!str_eq(str_cut(&part, '='), name))
            continue;
        *ret = STR("");
        return !part.len || path_decode(part, arena, ret);
    }
    return false;
}
