/* clair_scanner_table.c - the table that olekukonko/tablewriter of January 2018 drew, with its odd widths, and that of its 0.0.5. */
#include "report/clair_scanner.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/strmap.h"

#include <stdlib.h>

enum { COLUMNS = 5, WIDTH_FIRST = 30 };
#define PENALTY  100000
#define ROWS_MAX 1000000u
#define WORK_MAX 200000000ull /* steps of breaking lines: a server must not keep us busy */

unsigned clair_scanner_rank(str severity)
{
    static const char *const names[] = { "Defcon1", "Critical",   "High",   "Medium",
                                         "Low",     "Negligible", "Unknown" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(severity, str_from(names[i])))
            return i + 1;
    return 0;
}

/* One bucket for each rank: stable. */
bool clair_scanner_sort(enum clair_scanner_era era, struct clair_scanner_row *rows, size_t count)
{
    CLEANUP(freep) struct clair_scanner_row *sorted = calloc(count + 1, sizeof *sorted);
    size_t n = 0;
    if (!sorted)
        return false;
    for (unsigned k = 0; k <= 7; k++)
        for (size_t i = 0; i < count; i++)
            if (clair_scanner_rank(rows[i].severity) == (era == CLAIR_SCANNER_14 ? 7 - k : k))
                sorted[n++] = rows[i];
    memcpy(rows, sorted, count * sizeof *rows);
    return true;
}

/* ---- how wide a text is on a terminal ---- */

struct range {
    uint32_t first, last;
};

static bool is_in(uint32_t c, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

/* Unicode's EastAsianWidth W and F, and the marks that take no room, by blocks. */
static unsigned columns_of(uint32_t c)
{
    static const struct range none[] = { { 0x300, 0x36f },   { 0x483, 0x489 },   { 0x591, 0x5bd },
                                         { 0x610, 0x61a },   { 0x64b, 0x65f },   { 0x1ab0, 0x1aff },
                                         { 0x1dc0, 0x1dff }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
                                         { 0x2060, 0x2064 }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },
                                         { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff } };
    static const struct range wide[] = { { 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x2329, 0x232a },
                                         { 0x23e9, 0x23ec },   { 0x2e80, 0x303e },   { 0x3041, 0x33ff },
                                         { 0x3400, 0x4dbf },   { 0x4e00, 0x9fff },   { 0xa000, 0xa4cf },
                                         { 0xa960, 0xa97f },   { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },
                                         { 0xfe10, 0xfe19 },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
                                         { 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff },
                                         { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } };
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return 0;
    if (c < 0x300)
        return 1;
    if (is_in(c, none, sizeof none / sizeof *none))
        return 0;
    return is_in(c, wide, sizeof wide / sizeof *wide) ? 2 : 1;
}

static uint32_t next_rune(str *s) /* of valid UTF-8 */
{
    uint8_t c = (uint8_t)s->ptr[0];
    unsigned n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t rune = n == 1 ? c : c & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++)
        rune = rune << 6 | ((uint8_t)s->ptr[i] & 0x3f);
    *s = str_skip(*s, n);
    return rune;
}

static size_t width_of(str s)
{
    size_t width = 0;
    while (s.len)
        width += columns_of(next_rune(&s));
    return width;
}

/* ---- cells ---- */

struct cell {
    str *lines;
    size_t count;
};

struct table {
    enum clair_scanner_era era;
    struct arena *arena;
    size_t width[COLUMNS];
    uint64_t work;
    bool failed;
    const struct strmap *unapproved; /* name -> how often, as a pointer's number */
};

/* Bytes that are neither text nor layout do not reach the terminal. */
static str clean(struct table *t, str s)
{
    struct buf b = { 0 };
    while (s.len) {
        uint8_t c = (uint8_t)s.ptr[0];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        bool good = n <= s.len && str_utf8(str_head(s, n));
        bool c1 = good && c == 0xc2 && (uint8_t)s.ptr[1] < 0xa0;
        if (!good)
            buf_str(&b, STR("\xef\xbf\xbd"));
        else if ((c >= 0x20 || c == '\t' || c == '\n') && c != 0x7f && !c1)
            buf_str(&b, str_head(s, n));
        s = str_skip(s, good ? n : 1);
    }
    str copy = arena_dup(t->arena, buf_view(&b));
    t->failed |= b.failed;
    buf_done(&b);
    return copy;
}

struct word {
    str text;
    size_t width;
    size_t end;   /* the word behind the line that begins here */
    int64_t cost; /* of that line and all that follow it */
};

/* At every single blank, so that two of them have an empty word between them. NULL when out of memory. */
static struct word *split(str text, size_t *count)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == ' ';
    struct word *words = calloc(n, sizeof *words);
    for (size_t i = 0; words && i < n; i++) {
        words[i].text = str_cut(&text, ' ');
        words[i].width = width_of(words[i].text);
    }
    *count = n;
    return words;
}

/* Where each line would end: the cheapest sum of squared gaps to `limit`, the last line for nothing. */
static void break_lines(struct table *t, struct word *words, size_t count, size_t limit)
{
    size_t rest = 0; /* width of all words from i on, with blanks */
    for (size_t i = count; i-- > 0;) {
        struct word *w = &words[i];
        rest += w->width + (i + 1 < count);
        w->end = count;
        w->cost = rest <= limit ? 0 : INT64_MAX;
        size_t length = w->width;
        for (size_t j = i + 1; j < count && w->cost; length += 1 + words[j++].width) {
            int64_t gap = (int64_t)limit - (int64_t)length;
            int64_t own = gap * gap + (gap < 0 ? PENALTY : 0);
            if (own + words[j].cost < w->cost) {
                w->cost = own + words[j].cost;
                w->end = j;
            }
            if ((gap < 0 && own >= w->cost) || ++t->work > WORK_MAX)
                break; /* longer lines only cost more */
        }
    }
}

/* The same in one pass: each line as full as it can be. */
static void break_lines_at_once(struct word *words, size_t count, size_t limit)
{
    for (size_t i = 0; i < count; i = words[i].end) {
        size_t length = words[i].width, j = i + 1;
        while (j < count && length + 1 + words[j].width <= limit)
            length += 1 + words[j++].width;
        words[i].end = j;
    }
}

/* A line of words is a piece of the text, for single blanks stand between them. */
static bool wrap(struct table *t, str text, size_t limit, struct cell *ret)
{
    size_t count;
    CLEANUP(freep) struct word *words = split(text, &count);
    if (!words)
        return false;
    for (size_t i = 0; i < count; i++)
        limit = words[i].width > limit ? words[i].width : limit;
    if (t->work <= WORK_MAX)
        break_lines(t, words, count, limit);
    if (t->work > WORK_MAX)
        break_lines_at_once(words, count, limit);
    for (size_t i = 0; i < count; i = words[i].end)
        ret->count++;
    ret->lines = arena_array(t->arena, str, ret->count);
    for (size_t i = 0, n = 0; ret->lines && i < count; i = words[i].end) {
        str last = words[words[i].end - 1].text;
        ret->lines[n++] = str_of(words[i].text.ptr, (size_t)(last.ptr + last.len - words[i].text.ptr));
    }
    return ret->lines;
}

/* New lines become blanks only after they were measured, as nothing. */
static str on_one_line(str text, struct arena *a)
{
    char *to = text.len ? arena_alloc(a, text.len, 1) : NULL;
    for (size_t i = 0; to && i < text.len; i++)
        to[i] = text.ptr[i] == '\n' ? ' ' : text.ptr[i];
    return str_of(to, to ? text.len : 0);
}

/* In 0.0.5 the longest line counts, and what other rows have does not. */
static size_t first_width(const struct table *t, str text)
{
    size_t width = 0;
    if (t->era == CLAIR_SCANNER_13)
        return width_of(text);
    while (text.len) {
        size_t own = width_of(str_cut(&text, '\n'));
        width = own > width ? own : width;
    }
    return width;
}

static bool make_cell(struct table *t, size_t column, str text, struct cell *ret)
{
    size_t width = first_width(t, text);
    width = width < WIDTH_FIRST ? width : WIDTH_FIRST;
    if (t->width[column] < width)
        t->width[column] = width;
    size_t limit = t->era == CLAIR_SCANNER_14 ? width : t->width[column];
    if (!wrap(t, on_one_line(text, t->arena), limit, ret))
        return false;
    for (size_t i = 0; i < ret->count; i++) {
        width = width_of(ret->lines[i]);
        if (t->width[column] < width)
            t->width[column] = width;
    }
    return true;
}

/* ---- drawing ---- */

static const str header[COLUMNS] = { { "STATUS", 6 },
                                     { "CVE SEVERITY", 12 },
                                     { "PACKAGE NAME", 12 },
                                     { "PACKAGE VERSION", 15 },
                                     { "CVE DESCRIPTION", 15 } };

static void put_blanks(struct buf *out, char c, size_t n)
{
    char *room = buf_reserve(out, n);
    if (!room)
        return;
    memset(room, c, n);
    out->len += n;
}

static void put_rule(const struct table *t, struct buf *out)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        buf_char(out, '+');
        put_blanks(out, '-', t->width[k] + 2);
    }
    buf_str(out, STR("+\n"));
}

static void put_line(const struct table *t, const str text[COLUMNS], str color, struct buf *out)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        bool painted = k == 0 && color.len && text[k].len;
        buf_str(out, STR("| "));
        if (painted)
            buf_str(out, color);
        buf_str(out, text[k]);
        if (painted)
            buf_str(out, STR("\033[0m"));
        put_blanks(out, ' ', t->width[k] - width_of(text[k]) + 1);
    }
    buf_str(out, STR("|\n"));
}

struct drawn {
    struct cell cells[COLUMNS];
    bool approved;
};

static void put_drawn(const struct table *t, const struct drawn *d, struct buf *out)
{
    size_t height = 0;
    for (size_t k = 0; k < COLUMNS; k++)
        height = d->cells[k].count > height ? d->cells[k].count : height;
    for (size_t y = 0; y < height; y++) {
        str text[COLUMNS] = { 0 };
        for (size_t k = 0; k < COLUMNS; k++)
            if (y < d->cells[k].count)
                text[k] = d->cells[k].lines[y];
        put_line(t, text, d->approved ? STR("\033[1;36m") : STR("\033[1;31m"), out);
    }
    put_rule(t, out);
}

/* How often a row stands in the table. */
static size_t times_of(const struct table *t, const struct clair_scanner_row *r, bool all)
{
    return all ? 1 : (uintptr_t)strmap_get(t->unapproved, r->vulnerability);
}

static bool draw(struct table *t, const struct clair_scanner_row *r, struct drawn *ret)
{
    ret->approved = !strmap_get(t->unapproved, r->vulnerability);
    str severity = clean(t, r->severity), name = clean(t, r->vulnerability);
    str what = clean(t, r->description), link = clean(t, r->link);
    const str text[COLUMNS] = {
        ret->approved ? STR("Approved") : STR("Unapproved"),
        arena_printf(t->arena, STR_FMT " " STR_FMT, STR_ARG(severity), STR_ARG(name)),
        clean(t, r->feature),
        clean(t, r->version),
        arena_printf(t->arena, STR_FMT "\n\n" STR_FMT, STR_ARG(what), STR_ARG(link)),
    };
    for (size_t k = 0; k < COLUMNS; k++)
        if (!make_cell(t, k, text[k], &ret->cells[k]))
            return false;
    return !t->failed && !arena_failed(t->arena);
}

/* How often each name stands in the list of unapproved ones. */
static bool count_unapproved(const struct clair_scanner_row *rows, size_t count, struct strmap *ret)
{
    for (size_t i = 0; i < count; i++) {
        void **times = rows[i].approved ? NULL : strmap_at(ret, rows[i].vulnerability);
        if (!rows[i].approved && !times)
            return false;
        if (times)
            *times = (void *)((uintptr_t)*times + 1);
    }
    return true;
}

/* Widths grow from row to row, so that all are drawn before the first is put; one that stands there twice may look different. */
static bool draw_all(struct table *t, const struct clair_scanner_row *rows, size_t count, bool all,
                     struct drawn *drawn)
{
    size_t n = 0;
    for (size_t k = 0; k < COLUMNS; k++)
        t->width[k] = header[k].len;
    for (size_t i = 0; i < count; i++)
        for (size_t times = times_of(t, &rows[i], all); times; times--)
            if (!draw(t, &rows[i], &drawn[n++]))
                return false;
    return true;
}

static void put_all(const struct table *t, const struct drawn *drawn, size_t count, struct buf *out)
{
    put_rule(t, out);
    put_line(t, header, STR(""), out);
    put_rule(t, out);
    for (size_t i = 0; i < count; i++)
        put_drawn(t, &drawn[i], out);
}

void clair_scanner_table(enum clair_scanner_era era, const struct clair_scanner_row *rows, size_t count,
                         bool all, struct buf *out)
{
    CLEANUP(strmap_done) struct strmap unapproved = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new((size_t)1 << 30);
    struct table t = { .era = era, .arena = arena, .unapproved = &unapproved };
    size_t shown = 0;
    bool good = arena && count_unapproved(rows, count, &unapproved);
    for (size_t i = 0; i < count && good && shown <= ROWS_MAX; i++)
        shown += times_of(&t, &rows[i], all);
    CLEANUP(freep) struct drawn *drawn = shown <= ROWS_MAX ? calloc(shown + 1, sizeof *drawn) : NULL;
    if (good && drawn && draw_all(&t, rows, count, all, drawn))
        put_all(&t, drawn, shown, out);
    else
        out->failed = true;
}
