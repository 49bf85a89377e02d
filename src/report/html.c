/*
 * html.c - one page that needs nothing but itself: to read, to send, to keep.
 *
 * It can be read without JavaScript; with it, it sorts and filters. A content security policy lets nothing run or load but the style and
 * the script of html_page.h, whose hashes it names.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/sha256.h"
#include "report/html_page.h"
#include "report/parts.h"
#include "report/text.h"

static void text(struct buf *out, str s) { text_put(out, s, TEXT_XML); }

static void put_hash(struct buf *out, const char *what)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct err e = { 0 };
    uint8_t raw[33] = { 0 }; /* one more, for the last group */
    if (sha256_of(what, strlen(what), raw, &e) < 0)
        out->failed = true;
    buf_str(out, STR("'sha256-"));
    for (size_t i = 0; i < 43; i++) { /* 6 bits each */
        size_t bit = 6 * i;
        unsigned two = (unsigned)raw[bit / 8] << 8 | raw[bit / 8 + 1];
        buf_char(out, digits[two >> (10 - bit % 8) & 63]);
    }
    buf_str(out, STR("='"));
}

static void head(const struct report *r, struct buf *out)
{
    buf_str(out,
            STR("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "));
    put_hash(out, page_style);
    buf_str(out, STR("; script-src "));
    put_hash(out, page_script);
    buf_str(out, STR("; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" "
                     "content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" "
                     "content=\"no-referrer\">\n<title>"));
    text(out, r->image->name);
    buf_printf(out, ": vulnerabilities</title>\n<style>%s</style>\n</head>\n<body>\n", page_style);
}

static void feeds(const struct report *r, struct buf *out)
{
    if (!r->match.feed_count)
        return;
    buf_str(out, STR("<p class=\"dim\">Feeds: "));
    for (size_t i = 0; i < r->match.feed_count; i++) {
        char when[CLOCK_TEXT];
        clock_format(r->match.feeds[i].last_success, when);
        buf_str(out, i ? STR(", ") : STR(""));
        text(out, r->match.feeds[i].name);
        buf_printf(out, " (%.10s)", when);
    }
    buf_str(out, STR("</p>\n"));
}

static void about(const struct report *r, struct buf *out)
{
    const struct distribution *d = &r->image->distribution;
    char when[CLOCK_TEXT];
    clock_format(r->now, when);
    buf_str(out, STR("<h1>"));
    text(out, r->image->name);
    buf_str(out, STR("</h1>\n<p>"));
    text(out, d->name.len ? d->name : report_system(r));
    buf_printf(out, ", %zu packages in %zu layers", r->image->package_count, r->image->layer_count);
    if (r->end_of_life.len) {
        buf_str(out, STR("; maintained until "));
        text(out, r->end_of_life);
    }
    buf_str(out, STR("</p>\n<p class=\"dim\"><code>"));
    text(out, r->image->digest);
    buf_printf(out, "</code>, scanned %.10s %.5s UTC by eclair " ECLAIR_VERSION "</p>\n", when, when + 11);
    feeds(r, out);
    for (size_t i = 0; i < r->warning_count; i++) {
        buf_str(out, STR("<p class=\"warn\">"));
        text(out, r->warnings[i]);
        buf_str(out, STR("</p>\n"));
    }
}

static void counts(const struct report *r, const size_t count[SEVERITIES], struct buf *out)
{
    buf_str(out, STR("<ul class=\"counts\">"));
    for (int s = SEVERITIES - 1; s >= 0; s--)
        if (count[s])
            buf_printf(out, "<li><span class=\"s s%d\">%zu %s</span></li>", s, count[s],
                       severity_name((enum severity)s));
    if (!r->match.finding_count && r->coverage != COVERAGE_NONE)
        buf_str(out, STR("<li>No findings.</li>"));
    if (r->suppressed_count)
        buf_printf(out, "<li class=\"dim\">%zu suppressed</li>", r->suppressed_count);
    buf_str(out, STR("</ul>\n"));
    if (r->left_out)
        buf_printf(out, "<p class=\"dim\">%zu more left out as asked.</p>\n", r->left_out);
}

/* Hidden until the script makes use of it. */
static void controls(const size_t count[SEVERITIES], struct buf *out)
{
    buf_str(
        out,
        STR("<form hidden><input type=\"search\" aria-label=\"Filter\" placeholder=\"Filter: package, CVE, "
            "words\">"));
    for (int s = SEVERITIES - 1; s >= 0; s--)
        if (count[s])
            buf_printf(out, "<label><input type=\"checkbox\" value=\"%d\" checked> %s</label>", s,
                       severity_name((enum severity)s));
    buf_str(out, STR("<output id=\"shown\" class=\"dim\"></output></form>\n"));
}

static void cell(struct buf *out, str s)
{
    buf_str(out, STR("<td><code>"));
    text(out, s);
    buf_str(out, STR("</code></td>"));
}

static void links(struct buf *out, const struct finding *f)
{
    str list[REPORT_LINKS_MAX];
    size_t n = report_links(f, list);
    buf_str(out, STR("<ul>"));
    for (size_t i = 0; i < n; i++) {
        if (!report_link_ok(list[i]))
            continue;
        buf_str(out, STR("<li><a rel=\"noreferrer noopener\" href=\""));
        text_put(out, list[i], TEXT_ATTRIBUTE);
        buf_str(out, STR("\">"));
        text(out, list[i]);
        buf_str(out, STR("</a></li>"));
    }
    buf_str(out, STR("</ul>"));
}

static void about_finding(struct buf *out, const struct report_row *row)
{
    const struct finding *f = row->finding;
    CLEANUP(buf_done) struct buf advice = { .max = 1 << 20 };
    report_advice(&advice, f, &row->at->package);
    buf_str(out, STR("<td><details><summary>"));
    text(out, report_title(f));
    buf_str(out, STR("</summary><p>"));
    text(out, f->description);
    buf_str(out, STR("</p><p>"));
    text(out, buf_view(&advice));
    buf_str(out, STR(".</p>"));
    if (row->suppressed) {
        buf_str(out, STR("<p>"));
        text(out, row->suppressed->by);
        buf_str(out, STR(": "));
        text(out, row->suppressed->reason.len ? row->suppressed->reason : row->suppressed->status);
        buf_str(out, STR("</p>"));
    }
    links(out, f);
    buf_str(out, STR("</details></td>"));
}

/* Sorted like the table for people: Unknown before what somebody judged to be nothing. */
static int sort_key(enum severity s)
{
    return SEVERITIES - (s == SEVERITY_UNKNOWN ? 1 : s == SEVERITY_NEGLIGIBLE ? 0 : (int)s);
}

static void row(const struct report *r, struct buf *out, const struct report_row *row)
{
    const struct finding *f = row->finding;
    buf_printf(out, "<tr data-s=\"%d\"><td data-k=\"%d\"><span class=\"s s%d\">%s</span>%s%s</td>",
               (int)f->severity, sort_key(f->severity), (int)f->severity, severity_name(f->severity),
               finding_kev(f) ? " KEV" : "", row->suppressed ? " suppressed" : "");
    cell(out, f->id);
    cell(out, row->at->package.name);
    cell(out, row->at->package.version);
    cell(out, f->fixed_version);
    buf_printf(out, "<td title=\"");
    text_put(out, report_layer(r->image, row->at->layer), TEXT_ATTRIBUTE);
    buf_printf(out, "\">%u</td>", row->at->layer + 1);
    about_finding(out, row);
    buf_str(out, STR("</tr>\n"));
}

static void table(const struct report *r, const struct report_row *rows, size_t count, struct buf *out)
{
    static const char *const names[] = { "Severity", "Vulnerability", "Package",   "Installed",
                                         "Fixed in", "Layer",         "What it is" };
    buf_str(out, STR("<div class=\"wide\"><table id=\"findings\">\n<thead><tr>"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        buf_printf(out, "<th scope=\"col\">%s</th>", names[i]);
    buf_str(out, STR("</tr></thead>\n<tbody>\n"));
    for (size_t i = 0; i < count && !out->failed; i++)
        row(r, out, &rows[i]);
    buf_str(out, STR("</tbody>\n</table></div>\n"));
}

static void write_html(const struct report *r, const struct report_options *o, struct buf *out)
{
    size_t count, of[SEVERITIES] = { 0 }, with[SEVERITIES] = { 0 };
    CLEANUP(freep) struct report_row *rows = report_rows(r, o->show_suppressed, &count, out);
    if (!rows)
        return;
    report_rows_by_weight(rows, count);
    for (size_t i = 0; i < count; i++) {
        with[rows[i].finding->severity]++;
        of[rows[i].finding->severity] += !rows[i].suppressed;
    }
    head(r, out);
    about(r, out);
    counts(r, of, out);
    if (count) {
        controls(with, out);
        table(r, rows, count, out);
    }
    buf_printf(out, "<script>%s</script>\n</body>\n</html>\n", page_script);
}

const struct report_format report_html = { "html", "one page: reads well, sorts, filters, needs nothing else",
                                           write_html };
