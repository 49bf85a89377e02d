/*
 * table_terminal.c - findings by package: first those of the lowest layer, which is the base image's, then those of what was built on it.
 *
 * Packages stand in the order of their worst finding. Cells that are too long for their column go on below; a title takes what is left of
 * the width, and TITLE_LINES lines at most.
 */
#include "report/table_terminal.h"
#include "base/cleanup.h"
#include "report/text.h"

#include <stdlib.h>

enum { COLUMNS = 4, TITLE_LINES = 3, TITLE_MIN = 24, INDENT = 4, GAP = 2, SEVERITY_WIDTH = 10, WIDE = 100 };

struct table {
    const struct report *r;
    const struct report_options *o;
    struct buf *out;
    size_t width[COLUMNS]; /* of a title 0: there is no room */
};

struct group {
    size_t first, count, rank; /* rows, and how early its worst finding comes */
    uint32_t layer;
};

/* ---- colours: nothing is said by them alone ---- */

static void colour(const struct table *t, const char *code)
{
    if (t->o->colour)
        buf_printf(t->out, "\033[%sm", code);
}

static const char *colour_of(enum severity s)
{
    static const char *const codes[SEVERITIES] = {
        [SEVERITY_UNKNOWN] = "35",  [SEVERITY_NEGLIGIBLE] = "2", [SEVERITY_LOW] = "36",
        [SEVERITY_MEDIUM] = "33",   [SEVERITY_HIGH] = "31",      [SEVERITY_CRITICAL] = "1;31",
        [SEVERITY_DEFCON1] = "1;31"
    };
    return codes[s];
}

/* ---- lines ---- */

/* What fits, up to the last blank if there is one behind the first half; *rest is what follows it. */
static str take_line(str *rest, size_t width)
{
    str line = text_columns_head(*rest, width);
    if (line.len < rest->len && rest->ptr[line.len] != ' ') {
        ptrdiff_t blank = str_rfind(line, ' ');
        line = blank > (ptrdiff_t)line.len / 2 ? str_head(line, (size_t)blank) : line;
    }
    *rest = str_skip(*rest, line.len);
    while (rest->len && *rest->ptr == ' ')
        *rest = str_skip(*rest, 1);
    return line;
}

static void put_blanks(struct buf *out, size_t n)
{
    while (n--)
        buf_char(out, ' ');
}

/* One line of a row; returns whether something is left. */
static bool put_row_line(const struct table *t, str rest[COLUMNS], const char *code)
{
    size_t blanks = INDENT;
    bool more = false;
    for (size_t k = 0; k < COLUMNS; k++) {
        str line = take_line(&rest[k], t->width[k] ? t->width[k] : SIZE_MAX);
        if (line.len) {
            put_blanks(t->out, blanks);
            blanks = 0;
            if (k == 0)
                colour(t, code);
            text_put(t->out, line, TEXT_TERMINAL);
            if (k == 0)
                colour(t, "0");
        }
        size_t columns = text_columns(line);
        blanks += GAP + (columns < t->width[k] ? t->width[k] - columns : 0);
        more |= rest[k].len > 0;
    }
    buf_char(t->out, '\n');
    return more;
}

static void put_row(const struct table *t, const struct finding *f)
{
    CLEANUP(buf_done) struct buf fixed = { .max = 1 << 16 };
    buf_str(&fixed, f->fixed_version.len ? f->fixed_version : STR("-"));
    buf_str(&fixed, f->uncertain ? STR(" ?") : STR(""));
    buf_str(&fixed, finding_kev(f) ? STR(" KEV") : STR(""));
    str title = f->title.len ? report_title(f) : STR("");
    str rest[COLUMNS] = { str_from(severity_name(f->severity)), f->id, buf_view(&fixed),
                          t->width[COLUMNS - 1] ? title : STR("") };
    for (size_t line = 1; put_row_line(t, rest, colour_of(f->severity)) && !t->out->failed; line++) {
        bool cut = line == TITLE_LINES - 1 && text_columns(rest[COLUMNS - 1]) > t->width[COLUMNS - 1];
        if (line == TITLE_LINES)
            rest[COLUMNS - 1] = STR("");
        else if (cut)
            rest[COLUMNS - 1] = text_columns_head(rest[COLUMNS - 1], t->width[COLUMNS - 1]);
    }
}

/* ---- packages ---- */

static void put_layer(const struct table *t, uint32_t layer)
{
    str digest = report_layer(t->r->image, layer);
    buf_printf(t->out, "layer %u of %zu, ", layer + 1, t->r->image->layer_count);
    text_put(t->out, str_head(digest, strlen("sha256:") + 12), TEXT_TERMINAL);
}

static void put_group(const struct table *t, const struct report_row *rows, const struct group *g, bool layer)
{
    const struct package *p = &rows[g->first].at->package;
    buf_str(t->out, STR("  "));
    colour(t, "1");
    text_put(t->out, p->name, TEXT_TERMINAL);
    colour(t, "0");
    buf_char(t->out, ' ');
    text_put(t->out, p->version, TEXT_TERMINAL);
    if (layer) {
        buf_str(t->out, STR("  ("));
        put_layer(t, g->layer);
        buf_char(t->out, ')');
    }
    buf_char(t->out, '\n');
    for (size_t i = 0; i < g->count && !t->out->failed; i++)
        put_row(t, rows[g->first + i].finding);
}

static int by_place(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    int order = (x->layer > 0) - (y->layer > 0);
    return order ? order : x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Rows are sorted by weight: in the report's order they are those of a package together, and each group is sorted again. */
static struct group *make_groups(struct report_row *rows, size_t count, const struct report *r,
                                 size_t *ret_count)
{
    CLEANUP(freep) size_t *rank = calloc(r->image->package_count + 1, sizeof *rank);
    struct group *groups = calloc(count + 1, sizeof *groups);
    CLEANUP(freep) struct report_row *by_weight = calloc(count + 1, sizeof *by_weight);
    size_t n = 0;
    if (!rank || !groups || !by_weight) {
        free(groups);
        return NULL;
    }
    memcpy(by_weight, rows, count * sizeof *rows);
    report_rows_by_weight(by_weight, count);
    for (size_t i = count; i > 0; i--)
        rank[by_weight[i - 1].finding->package] = i;
    for (size_t i = 0, k; i < count; i = k) {
        for (k = i; k < count && rows[k].finding->package == rows[i].finding->package;)
            k++;
        report_rows_by_weight(rows + i, k - i);
        groups[n++] = (struct group){ i, k - i, rank[rows[i].finding->package], rows[i].at->layer };
    }
    qsort(groups, n, sizeof *groups, by_place);
    *ret_count = n;
    return groups;
}

/* The widest of each column, but no more than their share of the terminal (REPORT_WIDTH_MIN); the title has the rest. */
static void measure(struct table *t, const struct report_row *rows, size_t count)
{
    size_t room = t->o->width - INDENT - SEVERITY_WIDTH - 3 * GAP,
           share = room / (t->o->width < WIDE ? 2 : 3);
    t->width[0] = SEVERITY_WIDTH;
    for (size_t i = 0; i < count; i++) {
        const struct finding *f = rows[i].finding;
        size_t id = text_columns(f->id);
        size_t fixed = text_columns(f->fixed_version) + 2 * f->uncertain + 4 * (finding_kev(f) != NULL);
        t->width[1] = id > t->width[1] ? id : t->width[1];
        t->width[2] = fixed > t->width[2] ? fixed : t->width[2];
    }
    for (size_t k = 1; k <= 2; k++) {
        t->width[k] = t->width[k] < share ? t->width[k] : share;
        t->width[k] = t->width[k] ? t->width[k] : 1;
    }
    size_t used = INDENT + t->width[0] + t->width[1] + t->width[2] + 3 * GAP;
    t->width[3] = t->o->width >= used + TITLE_MIN ? t->o->width - used : 0;
}

static void put_groups(const struct table *t, const struct report_row *rows, const struct group *groups,
                       size_t count)
{
    bool layered = t->r->image->layer_count > 1;
    for (size_t i = 0; i < count && !t->out->failed; i++) {
        bool first = !i || (groups[i - 1].layer == 0) != (groups[i].layer == 0);
        if (i)
            buf_char(t->out, '\n');
        if (layered && first && groups[i].layer == 0) {
            buf_str(t->out, STR("In the base image's lowest layer ("));
            put_layer(t, 0);
            buf_str(t->out, STR("):\n"));
        } else if (layered && first) {
            buf_str(t->out, STR("In the layers above it:\n"));
        }
        put_group(t, rows, &groups[i], layered && groups[i].layer > 0);
    }
    buf_char(t->out, '\n');
}

void table_terminal(const struct report *r, const struct report_options *o, struct buf *out)
{
    struct table t = { .r = r, .o = o, .out = out };
    size_t count, groups_count = 0;
    CLEANUP(freep) struct report_row *rows = report_rows(r, false, &count, out);
    if (!rows)
        return;
    measure(&t, rows, count);
    CLEANUP(freep) struct group *groups = make_groups(rows, count, r, &groups_count);
    if (groups)
        put_groups(&t, rows, groups, groups_count);
    else
        out->failed = true;
}
