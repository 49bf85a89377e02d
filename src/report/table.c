/* table.c - for people: what to look at first stands first. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "report/parts.h"
#include "report/table_terminal.h"
#include "report/text.h"

#include <stdlib.h>

enum { COLUMNS = 5, WIDTH_MAX = 44 };

static void cells(const struct report_row *r, str ret[COLUMNS])
{
    ret[0] = str_from(severity_name(r->finding->severity));
    ret[1] = r->finding->id;
    ret[2] = r->at->package.name;
    ret[3] = r->at->package.version;
    ret[4] = r->finding->fixed_version.len ? r->finding->fixed_version : STR("-");
}

/* Text from images and feeds goes to a terminal: nothing that it would obey. */
static void put_clean(struct buf *out, str s) { text_put(out, s, TEXT_TERMINAL); }

static void put_line(struct buf *out, const str cell[COLUMNS], const size_t width[COLUMNS], str mark)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        put_clean(out, cell[i]);
        size_t columns = text_columns(cell[i]);
        for (size_t n = columns; i + 1 < COLUMNS && n < width[i] + 2; n++)
            buf_char(out, ' ');
        if (i + 1 < COLUMNS && columns >= width[i] + 2)
            buf_char(out, ' ');
    }
    buf_str(out, mark);
    buf_char(out, '\n');
}

static str mark(const struct finding *f)
{
    static const str marks[2][2] = { { { "", 0 }, { " KEV", 4 } }, { { " ?", 2 }, { " ? KEV", 6 } } };
    return marks[f->uncertain][finding_kev(f) != NULL];
}

/* Not for a terminal: one line each, for scripts too. */
static void findings(const struct report *r, const struct report_row *rows, struct buf *out)
{
    const str head[COLUMNS] = { STR("SEVERITY"), STR("ID"), STR("PACKAGE"), STR("INSTALLED"),
                                STR("FIXED IN") };
    size_t width[COLUMNS];
    str cell[COLUMNS];
    for (size_t k = 0; k < COLUMNS; k++)
        width[k] = head[k].len;
    for (size_t i = 0; i < r->match.finding_count; i++) {
        cells(&rows[i], cell);
        for (size_t k = 0; k < COLUMNS; k++) {
            size_t columns = text_columns(cell[k]);
            if (columns > width[k])
                width[k] = columns < WIDTH_MAX ? columns : WIDTH_MAX;
        }
    }
    put_line(out, head, width, STR(""));
    for (size_t i = 0; i < r->match.finding_count; i++) {
        cells(&rows[i], cell);
        put_line(out, cell, width, mark(rows[i].finding));
    }
    buf_char(out, '\n');
}

static void put_age(struct buf *out, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof *units && seconds < units[i].seconds)
        i++;
    buf_printf(out, "%lld %s", (long long)(seconds / units[i].seconds), units[i].unit);
}

static const char *plural(size_t n) { return n == 1 ? "" : "s"; }

static void warnings(const struct report *r, struct buf *out)
{
    for (size_t i = 0; i < r->warning_count; i++) {
        buf_str(out, STR("warning: "));
        put_clean(out, r->warnings[i]);
        buf_char(out, '\n');
    }
}

static void heading(const struct report *r, struct buf *out)
{
    const struct distribution *d = &r->image->distribution;
    put_clean(out, r->image->name);
    buf_str(out, STR(": "));
    put_clean(out, d->name.len ? d->name : d->id.len ? d->id : STR("no known distribution"));
    buf_printf(out, ", %zu package%s in %zu layer%s\n", r->image->package_count,
               plural(r->image->package_count), r->image->layer_count, plural(r->image->layer_count));
    for (size_t i = 0; i < r->match.feed_count; i++) {
        const struct match_feed *f = &r->match.feeds[i];
        buf_str(out, i ? STR(", ") : STR("feeds: "));
        put_clean(out, f->name);
        buf_str(out, STR(" (checked "));
        put_age(out, r->now > f->last_success ? r->now - f->last_success : 0);
        buf_str(out, STR(" ago)"));
    }
    buf_str(out, r->match.feed_count ? STR("\n") : STR(""));
    if (r->coverage == COVERAGE_NONE)
        warnings(r, out);
    buf_char(out, '\n');
}

static void summary(const struct report *r, struct buf *out)
{
    size_t count[SEVERITIES] = { 0 }, fixed = 0, uncertain = 0, exploited = 0, n = r->match.finding_count;
    for (size_t i = 0; i < n; i++) {
        count[r->match.findings[i].severity]++;
        fixed += r->match.findings[i].fixed_version.len > 0;
        uncertain += r->match.findings[i].uncertain;
        exploited += finding_kev(&r->match.findings[i]) != NULL;
    }
    if (r->coverage == COVERAGE_FULL || n) {
        buf_printf(out, "%zu finding%s", n, plural(n));
        if (n)
            buf_printf(out, ", %zu with a fix", fixed);
        if (uncertain)
            buf_printf(out, ", %zu uncertain (?: a version that does not follow its scheme)", uncertain);
        if (exploited)
            buf_printf(out, ", %zu known to be exploited (KEV)", exploited);
        if (r->left_out)
            buf_printf(out, " (%zu more left out as asked)", r->left_out);
        const char *between = ": ";
        for (int s = SEVERITIES - 1; s >= 0; s--) {
            if (count[s])
                buf_printf(out, "%s%zu %s", between, count[s], severity_name((enum severity)s));
            between = count[s] ? ", " : between;
        }
        buf_char(out, '\n');
    }
    if (r->coverage != COVERAGE_NONE)
        warnings(r, out);
}

static void suppressed(const struct report *r, bool list, struct buf *out)
{
    size_t n = r->suppressed_count;
    if (n)
        buf_printf(out, "%zu suppressed%s\n", n, list ? ":" : " (--show-suppressed lists them)");
    for (size_t i = 0; i < n && list && !out->failed; i++) {
        const struct suppressed *s = &r->suppressed[i];
        const struct package *p = &r->image->packages[s->finding.package].package;
        const str words[] = { STR("  "),
                              s->finding.id,
                              STR(" "),
                              p->name,
                              STR(" "),
                              p->version,
                              STR(": "),
                              s->status.len ? s->status : STR("ignored"),
                              s->reason.len ? STR(": ") : STR(""),
                              s->reason,
                              STR(" ("),
                              s->by,
                              STR(")") };
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            put_clean(out, words[k]);
        buf_char(out, '\n');
    }
}

static void lines(const struct report *r, struct buf *out)
{
    size_t count;
    CLEANUP(freep) struct report_row *rows = report_rows(r, false, &count, out);
    if (!rows)
        return;
    report_rows_by_weight(rows, count);
    findings(r, rows, out);
}

static void write_table(const struct report *r, const struct report_options *o, struct buf *out)
{
    heading(r, out);
    if (r->match.finding_count && o->width)
        table_terminal(r, o, out);
    else if (r->match.finding_count)
        lines(r, out);
    summary(r, out);
    suppressed(r, o->show_suppressed, out);
}

const struct report_format report_table = { "table", "a table for people", write_table };
