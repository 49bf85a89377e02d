/*
 * sarif.c - SARIF 2.1.0 as GitHub's code scanning wants it.
 *
 * Shape      a rule for each id, a result for each finding. More than RESULTS_MAX results are no longer taken in one run: then there are
 *            several, each with its own category.
 * Source     spec/integrations.md D1.
 */
#include "base/cleanup.h"
#include "model/purl.h"
#include "report/parts.h"

#define RESULTS_MAX 25000u
#define TEXT_MAX    1024u

struct sarif {
    struct json_writer w;
    const struct report *r;
};

static void text(struct json_writer *w, const char *key, str value)
{
    json_w_key(w, key);
    json_w_object(w);
    json_w_text(w, "text", value);
    json_w_object_end(w);
}

static const char *level(enum severity s)
{
    return s >= SEVERITY_HIGH ? "error" : s == SEVERITY_MEDIUM ? "warning" : "note";
}

static const struct report_row *most_severe(const struct report_row *rows, size_t count)
{
    const struct report_row *most = rows;
    for (size_t i = 1; i < count; i++)
        if (report_score(rows[i].finding) > report_score(most->finding))
            most = &rows[i];
    return most;
}

static void rule_properties(struct json_writer *w, const struct finding *f)
{
    char score[16];
    unsigned s = report_score(f);
    snprintf(score, sizeof score, "%u.%u", s / 10, s % 10);
    json_w_key(w, "properties");
    json_w_object(w);
    json_w_text(w, "precision", f->uncertain ? STR("medium") : STR("very-high"));
    json_w_text(w, "security-severity", str_from(score));
    json_w_key(w, "tags");
    json_w_array(w);
    json_w_str(w, STR("security"));
    json_w_str(w, STR("vulnerability"));
    json_w_str(w, str_from(severity_name(f->severity)));
    json_w_array_end(w);
    json_w_object_end(w);
}

static void rule(struct json_writer *w, const struct report_row *rows, size_t count)
{
    const struct finding *f = most_severe(rows, count)->finding;
    str about = f->description.len ? f->description : report_title(f), link = report_link(f);
    json_w_object(w);
    json_w_text(w, "id", f->id);
    json_w_text(w, "name", STR("VulnerablePackage"));
    text(w, "shortDescription", report_cut(report_title(f), TEXT_MAX));
    text(w, "fullDescription", report_cut(about, TEXT_MAX));
    json_w_key(w, "defaultConfiguration");
    json_w_object(w);
    json_w_text(w, "level", str_from(level(f->severity)));
    json_w_object_end(w);
    if (link.len)
        json_w_text(w, "helpUri", link);
    text(w, "help", about);
    rule_properties(w, f);
    json_w_object_end(w);
}

/* How many rows from here on are of one id. */
static size_t same_id(const struct report_row *rows, size_t count)
{
    size_t n = 1;
    while (n < count && str_eq(rows[n].finding->id, rows->finding->id))
        n++;
    return n;
}

static void driver(struct json_writer *w, const struct report_row *rows, size_t count)
{
    json_w_key(w, "tool");
    json_w_object(w);
    json_w_key(w, "driver");
    json_w_object(w);
    json_w_text(w, "name", STR("eclair"));
    json_w_text(w, "semanticVersion", STR(ECLAIR_VERSION));
    json_w_key(w, "rules");
    json_w_array(w);
    for (size_t i = 0, n; i < count; i += n) {
        n = same_id(rows + i, count - i);
        rule(w, rows + i, n);
    }
    json_w_array_end(w);
    json_w_object_end(w);
    json_w_object_end(w);
}

static void message(struct sarif *s, const struct report_row *row)
{
    CLEANUP(buf_done) struct buf b = { .max = 1 << 20 };
    const struct finding *f = row->finding;
    const struct package *p = &row->at->package;
    buf_printf(&b, STR_FMT " " STR_FMT " (" STR_FMT ", layer %u of %zu): " STR_FMT ", %s. ", STR_ARG(p->name),
               STR_ARG(p->version), STR_ARG(report_system(s->r)), row->at->layer + 1,
               s->r->image->layer_count, STR_ARG(f->id), severity_name(f->severity));
    report_advice(&b, f, p);
    buf_char(&b, '.');
    text(&s->w, "message", buf_view(&b));
}

static void location(struct json_writer *w, const struct package *p)
{
    json_w_key(w, "locations");
    json_w_array(w);
    json_w_object(w);
    json_w_key(w, "physicalLocation");
    json_w_object(w);
    json_w_key(w, "artifactLocation");
    json_w_object(w);
    json_w_text(w, "uri", report_place(p));
    json_w_object_end(w);
    json_w_key(w, "region");
    json_w_object(w);
    static const char *const ones[] = { "startLine", "startColumn", "endLine", "endColumn" };
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        json_w_number(w, ones[i], 1);
    json_w_object_end(w);
    json_w_object_end(w);
    json_w_object_end(w);
    json_w_array_end(w);
}

/* What makes an alert the same one in the next scan, beside its rule. */
static void fingerprint(struct sarif *s, const struct package *p)
{
    const str parts[] = { s->r->image->name, p->arch,    report_system(s->r), p->kind,
                          p->name,           p->version, report_place(p) };
    char hash[65], line[68];
    report_hash(parts, sizeof parts / sizeof *parts, hash);
    snprintf(line, sizeof line, "%s:1", hash);
    json_w_key(&s->w, "partialFingerprints");
    json_w_object(&s->w);
    json_w_text(&s->w, "primaryLocationLineHash", str_from(line));
    json_w_object_end(&s->w);
}

static void suppression(struct json_writer *w, const struct suppressed *s)
{
    CLEANUP(buf_done) struct buf b = { .max = 1 << 20 };
    buf_str(&b, s->by);
    if (s->status.len)
        buf_printf(&b, ": " STR_FMT, STR_ARG(s->status));
    if (s->reason.len)
        buf_printf(&b, ": " STR_FMT, STR_ARG(s->reason));
    json_w_key(w, "suppressions");
    json_w_array(w);
    json_w_object(w);
    json_w_text(w, "kind", STR("external"));
    json_w_text(w, "status", STR("accepted"));
    json_w_text(w, "justification", buf_view(&b));
    json_w_object_end(w);
    json_w_array_end(w);
}

static void properties(struct sarif *s, const struct report_row *row)
{
    CLEANUP(buf_done) struct buf purl = { .max = 1 << 16 };
    const struct finding *f = row->finding;
    purl_put(&purl, &row->at->package, &s->r->image->distribution);
    json_w_key(&s->w, "properties");
    json_w_object(&s->w);
    json_w_text(&s->w, "severity", str_from(severity_name(f->severity)));
    json_w_text(&s->w, "fixState", str_from(fix_state_name(f->state)));
    json_w_text_or_null(&s->w, "fixedVersion", f->fixed_version);
    json_w_text(&s->w, "purl", buf_view(&purl));
    json_w_text(&s->w, "layer", report_layer(s->r->image, row->at->layer));
    json_w_object_end(&s->w);
}

static void result(struct sarif *s, const struct report_row *row, size_t rule_number)
{
    struct json_writer *w = &s->w;
    json_w_object(w);
    json_w_text(w, "ruleId", row->finding->id);
    json_w_number(w, "ruleIndex", (int64_t)rule_number);
    json_w_text(w, "level", str_from(level(row->finding->severity)));
    message(s, row);
    location(w, &row->at->package);
    fingerprint(s, &row->at->package);
    if (row->suppressed)
        suppression(w, row->suppressed);
    properties(s, row);
    json_w_object_end(w);
}

static void results(struct sarif *s, const struct report_row *rows, size_t count)
{
    size_t number = 0;
    json_w_key(&s->w, "results");
    json_w_array(&s->w);
    for (size_t i = 0; i < count; i++) {
        number += i && !str_eq(rows[i].finding->id, rows[i - 1].finding->id);
        result(s, &rows[i], number);
    }
    json_w_array_end(&s->w);
}

static void category(struct sarif *s, size_t number)
{
    CLEANUP(buf_done) struct buf b = { .max = 1 << 16 };
    buf_str(&b, STR("eclair/"));
    buf_str(&b, s->r->image->name);
    if (number)
        buf_printf(&b, "/%zu", number + 1);
    buf_char(&b, '/');
    json_w_key(&s->w, "automationDetails");
    json_w_object(&s->w);
    json_w_text(&s->w, "id", buf_view(&b));
    json_w_object_end(&s->w);
}

/* Not covered is not clean: whoever reads the run sees it. */
static void invocation(struct sarif *s)
{
    struct json_writer *w = &s->w;
    json_w_key(w, "invocations");
    json_w_array(w);
    json_w_object(w);
    json_w_flag(w, "executionSuccessful", s->r->coverage != COVERAGE_NONE);
    json_w_key(w, "toolExecutionNotifications");
    json_w_array(w);
    for (size_t i = 0; i < s->r->warning_count; i++) {
        json_w_object(w);
        json_w_text(w, "level", STR("warning"));
        text(w, "message", s->r->warnings[i]);
        json_w_object_end(w);
    }
    json_w_array_end(w);
    json_w_object_end(w);
    json_w_array_end(w);
}

static void run(struct sarif *s, const struct report_row *rows, size_t count, size_t number)
{
    struct json_writer *w = &s->w;
    json_w_object(w);
    driver(w, rows, count);
    category(s, number);
    json_w_text(w, "columnKind", STR("utf16CodeUnits"));
    invocation(s);
    results(s, rows, count);
    json_w_key(w, "properties");
    json_w_object(w);
    json_w_text(w, "imageName", s->r->image->name);
    json_w_text(w, "imageID", s->r->image->digest);
    json_w_text(w, "coverage", str_from(coverage_name(s->r->coverage)));
    json_w_object_end(w);
    json_w_object_end(w);
}

static void write_sarif(const struct report *r, const struct report_options *o, struct buf *out)
{
    struct sarif s = { .w = { .out = out, .indent = 1 }, .r = r };
    size_t count;
    CLEANUP(freep) struct report_row *rows = report_rows(r, true, &count, out);
    (void)o;
    if (!rows)
        return;
    report_rows_by_id(rows, count);
    json_w_object(&s.w);
    json_w_text(&s.w, "$schema", STR("https://json.schemastore.org/sarif-2.1.0.json"));
    json_w_text(&s.w, "version", STR("2.1.0"));
    json_w_key(&s.w, "runs");
    json_w_array(&s.w);
    size_t at = 0, number = 0;
    do {
        size_t n = count - at < RESULTS_MAX ? count - at : RESULTS_MAX;
        run(&s, rows + at, n, number++);
        at += n;
    } while (at < count && !out->failed);
    json_w_array_end(&s.w);
    json_w_object_end(&s.w);
    buf_char(out, '\n');
}

const struct report_format report_sarif = { "sarif", "SARIF 2.1.0, for code scanning at GitHub",
                                            write_sarif };
