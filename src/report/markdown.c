/*
 * markdown.c - for a comment under a pull request: what to look at first, and the rest folded away.
 *
 * GitHub takes 65,536 characters: the table ends after TABLE_MAX bytes, the details after ALL_MAX, and what is left out is said.
 */
#include "base/cleanup.h"
#include "base/strmap.h"
#include "report/parts.h"
#include "report/text.h"

#define TABLE_MAX       ((size_t)36 << 10)
#define ALL_MAX         ((size_t)56 << 10)
#define DESCRIPTION_MAX 2000u
#define CELL_MAX        200u

static void code(struct buf *out, str s)
{
    buf_str(out, STR("<code>"));
    text_put(out, report_cut(s, CELL_MAX), TEXT_MARKDOWN);
    buf_str(out, STR("</code>"));
}

static void put_id(struct buf *out, const struct finding *f)
{
    str link = report_link(f);
    if (link.len) {
        buf_str(out, STR("<a href=\""));
        text_put(out, link, TEXT_ATTRIBUTE);
        buf_str(out, STR("\">"));
    }
    code(out, f->id);
    buf_str(out, link.len ? STR("</a>") : STR(""));
}

static void heading(const struct report *r, struct buf *out)
{
    const struct distribution *d = &r->image->distribution;
    buf_str(out, STR("## Vulnerabilities of "));
    code(out, r->image->name);
    buf_str(out, STR("\n\nDistribution: "));
    text_put(out, d->name.len ? d->name : report_system(r), TEXT_MARKDOWN);
    buf_printf(out, ", %zu packages in %zu layers. ", r->image->package_count, r->image->layer_count);
    if (r->coverage == COVERAGE_NONE)
        buf_str(out, STR("**Not covered: the number of findings says nothing.**"));
    else
        buf_printf(out, "**%zu finding%s**", r->match.finding_count, r->match.finding_count == 1 ? "" : "s");
}

static void summary(const struct report *r, struct buf *out)
{
    size_t count[SEVERITIES] = { 0 }, fixed = 0;
    for (size_t i = 0; i < r->match.finding_count; i++) {
        count[r->match.findings[i].severity]++;
        fixed += r->match.findings[i].fixed_version.len > 0;
    }
    const char *between = ": ";
    for (int s = SEVERITIES - 1; s >= 0; s--) {
        if (!count[s])
            continue;
        buf_printf(out, "%s%zu %s", between, count[s], severity_name((enum severity)s));
        between = ", ";
    }
    if (r->match.finding_count)
        buf_printf(out, "; %zu with a fix", fixed);
    if (r->suppressed_count)
        buf_printf(out, "; %zu suppressed", r->suppressed_count);
    if (r->left_out)
        buf_printf(out, "; %zu left out as asked", r->left_out);
    buf_str(out, STR(".\n\n"));
    for (size_t i = 0; i < r->warning_count; i++) {
        buf_str(out, STR("> **Warning**: "));
        text_put(out, r->warnings[i], TEXT_MARKDOWN);
        buf_str(out, STR("\n\n"));
    }
}

static void row(struct buf *out, const struct report_row *row)
{
    const struct finding *f = row->finding;
    buf_printf(out, "| %s | ", severity_name(f->severity));
    put_id(out, f);
    buf_str(out, finding_kev(f) ? STR(" **KEV** | ") : STR(" | "));
    code(out, row->at->package.name);
    buf_str(out, STR(" | "));
    code(out, row->at->package.version);
    buf_str(out, STR(" | "));
    if (f->fixed_version.len)
        code(out, f->fixed_version);
    else
        buf_str(out, STR("\xe2\x80\x93"));
    buf_printf(out, " | %u |\n", row->at->layer + 1);
}

static void left(struct buf *out, size_t shown, size_t count)
{
    if (shown < count)
        buf_printf(out, "\n%zu more are left out: they stand in the other formats.\n", count - shown);
}

static void table(struct buf *out, const struct report_row *rows, size_t count)
{
    size_t i = 0;
    if (!count)
        return;
    buf_str(out, STR("| Severity | Vulnerability | Package | Installed | Fixed in | Layer |\n"
                     "| --- | --- | --- | --- | --- | --: |\n"));
    for (; i < count && out->len < TABLE_MAX && !out->failed; i++)
        row(out, &rows[i]);
    left(out, i, count);
}

static void detail(struct buf *out, const struct finding *f)
{
    buf_str(out, STR("<details><summary>"));
    code(out, f->id);
    buf_printf(out, " %s: ", severity_name(f->severity));
    text_put(out, report_cut(report_title(f), CELL_MAX), TEXT_MARKDOWN);
    buf_str(out, STR("</summary>\n<p>"));
    text_put(out, report_cut(f->description, DESCRIPTION_MAX), TEXT_MARKDOWN);
    buf_str(out, f->description.len > DESCRIPTION_MAX ? STR(" \xe2\x80\xa6</p></details>\n")
                                                      : STR("</p></details>\n"));
}

/* Each id once, the most severe first. */
static void details(struct buf *out, const struct report_row *rows, size_t count)
{
    CLEANUP(strmap_done) struct strmap seen = { 0 };
    for (size_t i = 0; i < count && out->len < ALL_MAX && !out->failed; i++) {
        const struct finding *f = rows[i].finding;
        void **place = f->description.len ? strmap_at(&seen, f->id) : NULL;
        if (!f->description.len || (place && *place))
            continue;
        if (!place) {
            out->failed = true;
            return;
        }
        *place = out;
        buf_char(out, '\n');
        detail(out, f);
    }
}

static void suppressed(const struct report *r, struct buf *out)
{
    buf_printf(out,
               "\n<details><summary>%zu suppressed</summary>\n\n| Vulnerability | Package | By | Reason |\n"
               "| --- | --- | --- | --- |\n",
               r->suppressed_count);
    size_t i = 0;
    for (; i < r->suppressed_count && out->len < ALL_MAX && !out->failed; i++) {
        const struct suppressed *s = &r->suppressed[i];
        buf_str(out, STR("| "));
        code(out, s->finding.id);
        buf_str(out, STR(" | "));
        code(out, r->image->packages[s->finding.package].package.name);
        buf_str(out, STR(" | "));
        text_put(out, report_cut(s->by, CELL_MAX), TEXT_MARKDOWN);
        buf_str(out, STR(" | "));
        text_put(out, report_cut(s->reason.len ? s->reason : s->status, CELL_MAX), TEXT_MARKDOWN);
        buf_str(out, STR(" |\n"));
    }
    left(out, i, r->suppressed_count);
    buf_str(out, STR("\n</details>\n"));
}

static void write_markdown(const struct report *r, const struct report_options *o, struct buf *out)
{
    size_t count;
    CLEANUP(freep) struct report_row *rows = report_rows(r, false, &count, out);
    if (!rows)
        return;
    report_rows_by_weight(rows, count);
    heading(r, out);
    summary(r, out);
    table(out, rows, count);
    if (o->show_suppressed && r->suppressed_count)
        suppressed(r, out);
    details(out, rows, count);
}

const struct report_format report_markdown = { "markdown", "for a comment under a pull request",
                                               write_markdown };
