#include "codec/json.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static void new_line(struct json_writer *w)
{
    size_t n = (size_t)w->indent * w->depth;
    char *p = buf_reserve(w->out, n + 1);
    if (!p)
        return;
    p[0] = '\n';
    memset(p + 1, ' ', n);
    w->out->len += n + 1;
}

/* What stands between this value or key and what was written before it. */
static void before(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->comma)
        buf_char(w->out, ',');
    w->comma = true;
    if (w->indent > 0 && w->depth)
        new_line(w);
}

static void begin(struct json_writer *w, char c)
{
    before(w);
    buf_char(w->out, c);
    w->depth++;
    w->comma = false;
}

static void end(struct json_writer *w, char c)
{
    w->depth--;
    if (w->indent > 0 && w->comma)
        new_line(w);
    buf_char(w->out, c);
    w->comma = true;
}

void json_w_object(struct json_writer *w) { begin(w, '{'); }
void json_w_object_end(struct json_writer *w) { end(w, '}'); }
void json_w_array(struct json_writer *w) { begin(w, '['); }
void json_w_array_end(struct json_writer *w) { end(w, ']'); }

#define ALWAYS [0 ... 0x1f] = true, ['"'] = true, ['\\'] = true, [0x7f ... 0xff] = true

#ifdef __SSE2__
/* A bit for each of 16 bytes that cannot be written as it is. Compared as signed numbers, those from 0x80 on are below 0x20 too. */
static unsigned special_bits(const char *p, bool go)
{
    __m128i v = _mm_loadu_si128((const __m128i_u *)p);
    __m128i stop =
        _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
    stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    if (go) {
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8('<')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8('>')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8('&')));
    }
    return (unsigned)_mm_movemask_epi8(stop);
}
#endif

static size_t plain_len(str s, bool go)
{
    static const bool special[2][256] = { { ALWAYS }, { ALWAYS, ['<'] = true, ['>'] = true, ['&'] = true } };
    const bool *stops = special[go];
    size_t n = 0;
#ifdef __SSE2__
    for (; n + 16 <= s.len; n += 16) {
        unsigned bits = special_bits(s.ptr + n, go);
        if (bits)
            return n + (size_t)__builtin_ctz(bits);
    }
    if (s.len >= 16) { /* the last 16 again, for what is left */
        unsigned bits = special_bits(s.ptr + s.len - 16, go) >> (16 - (s.len - n));
        return bits ? n + (size_t)__builtin_ctz(bits) : s.len;
    }
#endif
    while (n < s.len && !stops[(uint8_t)s.ptr[n]])
        n++;
    return n;
}

static void escape(struct buf *out, uint8_t c, bool go)
{
    static const char names[128] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'
    };
    char name = go && (c == '\b' || c == '\f') ? '\0' : names[c];
    if (name)
        buf_add(out, (char[]){ '\\', name }, 2);
    else
        buf_printf(out, "\\u%04x", c);
}

/* U+2028 and U+2029, which end a line in JavaScript. */
static bool is_separator(str rune)
{
    return rune.len == 3 && (str_eq(rune, STR("\xe2\x80\xa8")) || str_eq(rune, STR("\xe2\x80\xa9")));
}

static void put_rune(struct buf *out, str rune, bool go)
{
    if (go && is_separator(rune))
        buf_str(out, rune.ptr[2] == '\xa8' ? STR("\\u2028") : STR("\\u2029"));
    else
        buf_str(out, rune.len ? rune : STR("\xef\xbf\xbd"));
}

/* As a rule nothing is to be escaped: one reservation, one copy. */
static bool quoted_plain(struct buf *out, str s, bool go, str tail)
{
    if (plain_len(s, go) < s.len)
        return false;
    char *p = buf_reserve(out, s.len + 2 + tail.len);
    if (!p)
        return true;
    *p++ = '"';
    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '"';
    memcpy(p + s.len + 1, tail.ptr, tail.len);
    out->len += s.len + 2 + tail.len;
    return true;
}

static void quoted(struct buf *out, str s, bool go)
{
    if (quoted_plain(out, s, go, STR("")))
        return;
    buf_char(out, '"');
    while (s.len) {
        size_t n = plain_len(s, go);
        buf_str(out, str_head(s, n));
        s = str_skip(s, n);
        if (!s.len)
            break;
        uint8_t c = (uint8_t)s.ptr[0];
        if (c < 0x7f) {
            escape(out, c, go);
            s = str_skip(s, 1);
            continue;
        }
        n = str_rune(s);
        put_rune(out, str_head(s, n), go);
        s = str_skip(s, n ? n : 1);
    }
    buf_char(out, '"');
}

/* Half of a report is keys: one reservation for all that belongs to one. */
void json_w_name(struct json_writer *w, const char *key, size_t len)
{
    size_t spaces = w->indent > 0 ? (size_t)w->indent * w->depth : 0;
    char *begin = buf_reserve(w->out, len + spaces + 6), *p = begin;
    if (!p)
        return;
    if (w->comma)
        *p++ = ',';
    if (w->indent > 0 && w->depth) {
        *p++ = '\n';
        memset(p, ' ', spaces);
        p += spaces;
    }
    *p++ = '"';
    memcpy(p, key, len);
    p += len;
    *p++ = '"';
    *p++ = ':';
    if (w->indent > 0)
        *p++ = ' ';
    w->out->len += (size_t)(p - begin);
    w->comma = w->after_key = true;
}

void json_w_key_str(struct json_writer *w, str key)
{
    str colon = w->indent > 0 ? STR(": ") : STR(":");
    before(w);
    if (!quoted_plain(w->out, key, w->go, colon)) {
        quoted(w->out, key, w->go);
        buf_str(w->out, colon);
    }
    w->after_key = true;
}

void json_w_str(struct json_writer *w, str s)
{
    before(w);
    quoted(w->out, s, w->go);
}

static void word(struct json_writer *w, const char *text)
{
    before(w);
    buf_str(w->out, str_from(text));
}

void json_w_str_or_null(struct json_writer *w, str s)
{
    if (s.len)
        json_w_str(w, s);
    else
        json_w_null(w);
}

void json_w_int(struct json_writer *w, int64_t v)
{
    before(w);
    buf_printf(w->out, "%lld", (long long)v);
}

void json_w_decimal(struct json_writer *w, uint64_t v, unsigned digits)
{
    uint64_t one = 1;
    for (unsigned i = 0; i < digits; i++)
        one *= 10;
    before(w);
    buf_printf(w->out, "%llu.%0*llu", (unsigned long long)(v / one), (int)digits,
               (unsigned long long)(v % one));
}

void json_w_bool(struct json_writer *w, bool v) { word(w, v ? "true" : "false"); }
void json_w_null(struct json_writer *w) { word(w, "null"); }

void json_w_raw(struct json_writer *w, str value)
{
    before(w);
    buf_str(w->out, value);
}
