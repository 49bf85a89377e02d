#include "report/report.h"

const struct report_format *const report_formats[] = {
    &report_table, &report_json, &report_sarif,    &report_cyclonedx,     &report_spdx,     &report_gitlab,
    &report_junit, &report_html, &report_markdown, &report_clair_scanner, &report_template, NULL,
};

const struct report_format *report_format_by_name(str name)
{
    for (size_t i = 0; report_formats[i]; i++)
        if (str_eq(name, str_from(report_formats[i]->name)))
            return report_formats[i];
    return NULL;
}

void report_format_names(struct buf *out)
{
    for (size_t i = 0; report_formats[i]; i++)
        buf_printf(out, "%s%s", i ? ", " : "", report_formats[i]->name);
}
