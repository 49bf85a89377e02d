#include "report/text.h"

#define REPLACEMENT "\xef\xbf\xbd"

static bool is_control(str rune)
{
    uint8_t c = (uint8_t)rune.ptr[0];
    return c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)rune.ptr[1] < 0xa0);
}

/* U+202A to U+202E, U+2066 to U+2069: they show text in another order than it has. U+FFFE and U+FFFF are no characters, in XML an error. */
static bool is_bad(str rune)
{
    if (rune.len != 3)
        return false;
    const uint8_t *c = (const uint8_t *)rune.ptr;
    if (c[0] == 0xe2)
        return (c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
               (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
    return c[0] == 0xef && c[1] == 0xbf && c[2] >= 0xbe;
}

static void put_markup(struct buf *out, char c, bool attribute)
{
    switch (c) {
    case '&':
        buf_str(out, STR("&amp;"));
        return;
    case '<':
        buf_str(out, STR("&lt;"));
        return;
    case '>':
        buf_str(out, STR("&gt;"));
        return;
    case '"':
        buf_str(out, STR("&quot;"));
        return;
    case '\'':
        buf_str(out, STR("&#39;"));
        return;
    case '\n':
    case '\t':
        if (attribute)
            buf_printf(out, "&#%d;", c);
        else
            buf_char(out, c);
        return;
    default:
        buf_char(out, c);
    }
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_word(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

/* By number what could be markup. GitHub looks for names and issues when that is resolved: an empty comment keeps them apart. Inside of
 * ids and versions a few stay readable; a dot behind a letter could make a link ("www."). */
static void put_markdown(struct buf *out, char c)
{
    char last = out->len ? out->ptr[out->len - 1] : '\0';
    bool inside = (strchr("-/+=", c) && is_word(last)) || (c == '.' && is_digit(last));
    if (c == '\n' || c == '\t')
        buf_char(out, ' ');
    else if (is_word(c) || c == ' ' || c == ',' || inside)
        buf_char(out, c);
    else
        buf_printf(out, "&#%d;%s", c, c == '@' || c == '#' ? "<!-- -->" : "");
}

static void put_ascii(struct buf *out, char c, enum text_kind kind)
{
    if (kind == TEXT_MARKDOWN)
        put_markdown(out, c);
    else if (kind == TEXT_TERMINAL)
        buf_char(out, c);
    else
        put_markup(out, c, kind == TEXT_ATTRIBUTE);
}

static void put_rune(struct buf *out, str rune, enum text_kind kind)
{
    bool terminal = kind == TEXT_TERMINAL, white = rune.len == 1 && (*rune.ptr == '\n' || *rune.ptr == '\t');
    if (!rune.len || is_bad(rune))
        buf_str(out, terminal ? STR("?") : STR(REPLACEMENT));
    else if (is_control(rune) && (!white || terminal))
        buf_str(out, terminal ? STR("?") : STR(""));
    else if (rune.len == 1)
        put_ascii(out, *rune.ptr, kind);
    else
        buf_str(out, rune);
}

/* Bytes that stand for themselves everywhere but in Markdown: as a rule all of them. */
static size_t plain_len(str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= ' ' && s.ptr[n] < 0x7f && !strchr("&<>\"'", s.ptr[n]))
        n++;
    return n;
}

void text_put(struct buf *out, str s, enum text_kind kind)
{
    while (s.len && !out->failed) {
        size_t plain = kind == TEXT_MARKDOWN ? 0 : plain_len(s);
        if (plain) {
            buf_str(out, str_head(s, plain));
            s = str_skip(s, plain);
            continue;
        }
        size_t n = str_rune(s);
        put_rune(out, str_head(s, n), kind);
        s = str_skip(s, n ? n : 1);
    }
}

str text_columns_head(str s, size_t columns)
{
    str rest = s;
    for (; rest.len && columns; columns--) {
        size_t n = str_rune(rest);
        rest = str_skip(rest, n ? n : 1);
    }
    return str_head(s, s.len - rest.len);
}

size_t text_columns(str s)
{
    size_t columns = 0;
    while (s.len) {
        size_t n = str_rune(s);
        s = str_skip(s, n ? n : 1);
        columns++;
    }
    return columns;
}
