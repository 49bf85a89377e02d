/* table.c - for people: what to look at first stands first. */
#include "base/clock.h"
#include "report/report.h"
#include "report/text.h"

#include <stdlib.h>

enum { COLUMNS = 5, WIDTH_MAX = 44 };

struct row {
    const struct finding *finding;
    const struct package *package;
};

/* Nobody has judged an Unknown one: before those that somebody judged to be nothing. */
static int weight(const struct finding *f)
{
    static const int weights[SEVERITIES] = {
        [SEVERITY_NEGLIGIBLE] = 0, [SEVERITY_UNKNOWN] = 1,  [SEVERITY_LOW] = 2,     [SEVERITY_MEDIUM] = 3,
        [SEVERITY_HIGH] = 4,       [SEVERITY_CRITICAL] = 5, [SEVERITY_DEFCON1] = 6,
    };
    return 2 * weights[f->severity] + (f->fixed_version.len > 0); /* what can be fixed first */
}

static int by_weight(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = weight(y->finding) - weight(x->finding);
    if (order)
        return order;
    if (x->finding->package != y->finding->package)
        return x->finding->package < y->finding->package ? -1 : 1;
    return str_cmp(x->finding->id, y->finding->id);
}

static void cells(const struct row *r, str ret[COLUMNS])
{
    ret[0] = str_from(severity_name(r->finding->severity));
    ret[1] = r->finding->id;
    ret[2] = r->package->name;
    ret[3] = r->package->version;
    ret[4] = r->finding->fixed_version.len ? r->finding->fixed_version : STR("-");
}

static void put_line(struct buf *out, const str cell[COLUMNS], const size_t width[COLUMNS], str mark)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        text_clean(out, cell[i]);
        for (size_t n = cell[i].len; i + 1 < COLUMNS && n < width[i] + 2; n++)
            buf_char(out, ' ');
        if (i + 1 < COLUMNS && cell[i].len >= width[i] + 2)
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

static void findings(const struct report *r, const struct row *rows, struct buf *out)
{
    const str head[COLUMNS] = { STR("SEVERITY"), STR("ID"), STR("PACKAGE"), STR("INSTALLED"),
                                STR("FIXED IN") };
    size_t width[COLUMNS];
    str cell[COLUMNS];
    for (size_t k = 0; k < COLUMNS; k++)
        width[k] = head[k].len;
    for (size_t i = 0; i < r->match.finding_count; i++) {
        cells(&rows[i], cell);
        for (size_t k = 0; k < COLUMNS; k++)
            if (cell[k].len > width[k])
                width[k] = cell[k].len < WIDTH_MAX ? cell[k].len : WIDTH_MAX;
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
        text_clean(out, r->warnings[i]);
        buf_char(out, '\n');
    }
}

static void heading(const struct report *r, struct buf *out)
{
    const struct distribution *d = &r->image->distribution;
    text_clean(out, r->image->name);
    buf_str(out, STR(": "));
    text_clean(out, d->name.len ? d->name : d->id.len ? d->id : STR("no known distribution"));
    buf_printf(out, ", %zu package%s in %zu layer%s\n", r->image->package_count,
               plural(r->image->package_count), r->image->layer_count, plural(r->image->layer_count));
    for (size_t i = 0; i < r->match.feed_count; i++) {
        const struct match_feed *f = &r->match.feeds[i];
        buf_str(out, i ? STR(", ") : STR("feeds: "));
        text_clean(out, f->name);
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

static void suppressed(const struct report *r, struct buf *out)
{
    size_t n = r->suppressed_count;
    if (n)
        buf_printf(out, "%zu suppressed%s\n", n,
                   r->show_suppressed ? ":" : " (--show-suppressed lists them)");
    for (size_t i = 0; i < n && r->show_suppressed; i++) {
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
            text_clean(out, words[k]);
        buf_char(out, '\n');
    }
}

static void write_table(const struct report *r, struct buf *out)
{
    struct row *rows = calloc(r->match.finding_count + 1, sizeof *rows);
    if (!rows) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < r->match.finding_count; i++) {
        const struct finding *f = &r->match.findings[i];
        rows[i] = (struct row){ f, &r->image->packages[f->package].package };
    }
    qsort(rows, r->match.finding_count, sizeof *rows, by_weight);
    heading(r, out);
    if (r->match.finding_count)
        findings(r, rows, out);
    summary(r, out);
    suppressed(r, out);
    free(rows);
}

const struct report_format report_table = { "table", "a table for people", write_table };
