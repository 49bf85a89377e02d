#include "codec/json.h"

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

/* Bytes of the UTF-8 character that s begins with, 0 if it begins with none. */
static size_t rune_len(str s)
{
    uint8_t c = (uint8_t)s.ptr[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n <= s.len && str_utf8(str_head(s, n)) ? n : 0;
}

static size_t plain_len(str s)
{
    static const bool special[256] = {
        [0 ... 0x1f] = true, ['"'] = true, ['\\'] = true, [0x7f ... 0xff] = true
    };
    size_t n = 0;
    while (n < s.len && !special[(uint8_t)s.ptr[n]])
        n++;
    return n;
}

static void escape(struct buf *out, uint8_t c)
{
    static const char names[0x20] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
    char name = c < 0x20 ? names[c] : (char)c;
    if (name)
        buf_add(out, (char[]){ '\\', name }, 2);
    else
        buf_printf(out, "\\u%04x", c);
}

static void quoted(struct buf *out, str s)
{
    buf_char(out, '"');
    while (s.len) {
        size_t n = plain_len(s);
        buf_str(out, str_head(s, n));
        s = str_skip(s, n);
        if (!s.len)
            break;
        uint8_t c = (uint8_t)s.ptr[0];
        if (c < 0x20 || c == '"' || c == '\\') {
            escape(out, c);
            s = str_skip(s, 1);
            continue;
        }
        n = rune_len(s);
        buf_str(out, n ? str_head(s, n) : STR("\xef\xbf\xbd"));
        s = str_skip(s, n ? n : 1);
    }
    buf_char(out, '"');
}

void json_w_key(struct json_writer *w, const char *key)
{
    before(w);
    quoted(w->out, str_from(key));
    buf_str(w->out, w->indent > 0 ? STR(": ") : STR(":"));
    w->after_key = true;
}

void json_w_str(struct json_writer *w, str s)
{
    before(w);
    quoted(w->out, s);
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

void json_w_bool(struct json_writer *w, bool v) { word(w, v ? "true" : "false"); }
void json_w_null(struct json_writer *w) { word(w, "null"); }
