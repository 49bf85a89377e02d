/* clair_scanner_json.c - as Go's json.MarshalIndent wrote it, with its HTML escapes: json_writer has others. */
#include "report/clair_scanner.h"

static void put_ascii(struct buf *out, char c)
{
    switch (c) {
    case '"':
    case '\\':
        buf_char(out, '\\');
        buf_char(out, c);
        return;
    case '\n':
        buf_str(out, STR("\\n"));
        return;
    case '\r':
        buf_str(out, STR("\\r"));
        return;
    case '\t':
        buf_str(out, STR("\\t"));
        return;
    default:
        if (c < 0x20 || c == '<' || c == '>' || c == '&')
            buf_printf(out, "\\u%04x", (unsigned)c);
        else
            buf_char(out, c);
    }
}

static void put_string(struct buf *out, str s)
{
    buf_char(out, '"');
    while (s.len) {
        size_t n = str_rune(s);
        str rune = str_head(s, n ? n : 1);
        if (n == 1)
            put_ascii(out, *s.ptr);
        else if (!n)
            buf_str(out, STR("\\ufffd"));
        else if (str_eq(rune, STR("\xe2\x80\xa8")) || str_eq(rune, STR("\xe2\x80\xa9")))
            buf_printf(out, "\\u202%c", rune.ptr[2] == '\xa8' ? '8' : '9');
        else
            buf_str(out, rune);
        s = str_skip(s, rune.len);
    }
    buf_char(out, '"');
}

static void put_unapproved(const struct clair_scanner_row *rows, size_t count, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].approved)
            continue;
        buf_str(out, any ? STR(",\n        ") : STR("\n        "));
        put_string(out, rows[i].vulnerability);
        any = true;
    }
    buf_str(out, any ? STR("\n    ") : STR(""));
}

static void put_row(const struct clair_scanner_row *r, struct buf *out)
{
    const struct {
        const char *key;
        str value;
    } members[] = {
        { "featurename", r->feature },         { "featureversion", r->version },
        { "vulnerability", r->vulnerability }, { "namespace", r->namespace },
        { "description", r->description },     { "link", r->link },
        { "severity", r->severity },           { "fixedby", r->fixed_by },
    };
    buf_char(out, '{');
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        buf_printf(out, "%s\n            \"%s\": ", i ? "," : "", members[i].key);
        put_string(out, members[i].value);
    }
    buf_str(out, STR("\n        }"));
}

void clair_scanner_json(enum clair_scanner_era era, str image, const struct clair_scanner_row *rows,
                        const struct clair_scanner_row *sorted, size_t count, struct buf *out)
{
    buf_str(out, STR("{\n    \"image\": "));
    put_string(out, image);
    buf_str(out, STR(",\n    \"unapproved\": ["));
    put_unapproved(rows, count, out);
    buf_str(out, STR("],\n    \"vulnerabilities\": "));
    if (!count && era == CLAIR_SCANNER_14) {
        buf_str(out, STR("null\n}"));
        return;
    }
    buf_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_str(out, i ? STR(",\n        ") : STR("\n        "));
        put_row(&sorted[i], out);
    }
    buf_str(out, count ? STR("\n    ]\n}") : STR("]\n}"));
}
