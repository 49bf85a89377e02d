#include "codec/pack.h"

void pack_u64(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_char(b, (char)(v | 0x80));
    buf_char(b, (char)v);
}

void pack_str(struct buf *b, str s)
{
    pack_u64(b, s.len);
    buf_str(b, s);
}

static uint64_t fail(struct unpack *u)
{
    u->failed = true;
    u->rest.len = 0;
    return 0;
}

/* Only the shortest form is a number, so that equal values are equal bytes. */
uint64_t unpack_u64(struct unpack *u)
{
    uint64_t v = 0;
    for (size_t i = 0; i < u->rest.len && i < 10; i++) {
        uint8_t byte = (uint8_t)u->rest.ptr[i];
        if ((i == 9 && byte > 1) || (i && !byte))
            break;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            u->rest = str_skip(u->rest, i + 1);
            return v;
        }
    }
    return fail(u);
}

str unpack_str(struct unpack *u)
{
    uint64_t len = unpack_u64(u);
    if (u->failed || len > u->rest.len || (u->max_str && len > u->max_str)) {
        fail(u);
        return (str){ 0 };
    }
    str s = str_head(u->rest, (size_t)len);
    u->rest = str_skip(u->rest, (size_t)len);
    return s;
}

bool unpack_end(const struct unpack *u) { return !u->failed && !u->rest.len; }
