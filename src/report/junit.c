/*
 * junit.c - JUnit XML, for whatever shows tests: a case that fails for each finding, one that is skipped for each suppressed one.
 *
 * An image that is not covered is a case in error: it must not look like one without findings.
 * Source     spec/integrations.md D2.
 */
#include "base/cleanup.h"
#include "report/parts.h"
#include "report/text.h"

static void attribute(struct buf *out, const char *key, str value)
{
    buf_printf(out, " %s=\"", key);
    text_put(out, value, TEXT_ATTRIBUTE);
    buf_char(out, '"');
}

static void classname(struct buf *out, const struct package *p)
{
    buf_str(out, STR("    <testcase classname=\""));
    text_put(out, p->name, TEXT_ATTRIBUTE);
    buf_char(out, '-');
    text_put(out, p->version, TEXT_ATTRIBUTE);
    buf_char(out, '"');
}

static void failure(struct buf *out, const struct finding *f, const struct package *p)
{
    CLEANUP(buf_done) struct buf advice = { .max = 1 << 20 };
    report_advice(&advice, f, p);
    buf_str(out, STR("      <failure"));
    attribute(out, "message", report_title(f));
    attribute(out, "type", STR("description"));
    buf_char(out, '>');
    text_put(out, buf_view(&advice), TEXT_XML);
    buf_char(out, '\n');
    text_put(out, report_link(f), TEXT_XML);
    buf_char(out, '\n');
    text_put(out, f->description, TEXT_XML);
    buf_str(out, STR("</failure>\n"));
}

static void skipped(struct buf *out, const struct suppressed *s)
{
    buf_str(out, STR("      <skipped message=\""));
    text_put(out, s->by, TEXT_ATTRIBUTE);
    buf_str(out, s->reason.len ? STR(": ") : STR(""));
    text_put(out, s->reason, TEXT_ATTRIBUTE);
    buf_str(out, STR("\"/>\n"));
}

static void testcase(struct buf *out, const struct report_row *row)
{
    classname(out, &row->at->package);
    buf_printf(out, " name=\"[%s] ", severity_name(row->finding->severity));
    text_put(out, row->finding->id, TEXT_ATTRIBUTE);
    buf_str(out, STR("\" time=\"\">\n"));
    if (row->suppressed)
        skipped(out, row->suppressed);
    else
        failure(out, row->finding, &row->at->package);
    buf_str(out, STR("    </testcase>\n"));
}

static void not_covered(const struct report *r, struct buf *out)
{
    buf_str(out, STR("    <testcase classname=\"eclair\" name=\"coverage\" time=\"\">\n      <error"));
    attribute(out, "message", r->warning_count ? r->warnings[0] : STR("not covered"));
    buf_str(out, STR(" type=\"coverage\"/>\n    </testcase>\n"));
}

static void write_junit(const struct report *r, const struct report_options *o, struct buf *out)
{
    size_t count;
    CLEANUP(freep) struct report_row *rows = report_rows(r, true, &count, out);
    unsigned errors = r->coverage == COVERAGE_NONE;
    (void)o;
    if (!rows)
        return;
    buf_str(out,
            STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"eclair\">\n  <testsuite"));
    attribute(out, "name", r->image->name);
    buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%u\" skipped=\"%zu\" time=\"\">\n",
               count + errors, r->match.finding_count, errors, r->suppressed_count);
    buf_str(out, STR("    <properties>\n      <property name=\"type\""));
    attribute(out, "value", report_system(r));
    buf_str(out, STR("/>\n    </properties>\n"));
    if (errors)
        not_covered(r, out);
    for (size_t i = 0; i < count && !out->failed; i++)
        testcase(out, &rows[i]);
    buf_str(out, STR("  </testsuite>\n</testsuites>\n"));
}

const struct report_format report_junit = { "junit", "JUnit XML: a failed test for each finding",
                                            write_junit };
