#include "jwt/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_put(str bytes, struct buf *out)
{
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t v = (uint32_t)p[i] << 16;
        v |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        v |= n > 2 ? p[i + 2] : 0;
        for (size_t k = 0; k <= n; k++)
            buf_char(out, letters[v >> (18 - 6 * k) & 63]);
    }
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static bool unpad(str *text)
{
    size_t pads = str_ends(*text, STR("==")) ? 2 : str_ends(*text, STR("=")) ? 1 : 0;
    if (pads && text->len % 4)
        return false;
    text->len -= pads;
    return true;
}

bool base64url_read(str text, bool padded, struct arena *a, str *ret)
{
    if ((padded && !unpad(&text)) || text.len % 4 == 1)
        return false;
    uint8_t *out = arena_alloc(a, text.len / 4 * 3 + 3, 1);
    size_t n = 0;
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        int d = digit(text.ptr[i]);
        if (d < 0)
            return false;
        v = (v << 6 | (uint32_t)d) & 0xffff;
        bits += 6;
        if (bits >= 8)
            out[n++] = (uint8_t)(v >> (bits -= 8));
    }
    *ret = str_of(out, n);
    return out && !(v & ((1u << bits) - 1));
}
