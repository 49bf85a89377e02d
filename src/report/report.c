#include "report/report.h"

const struct report_format *const report_formats[] = {
    &report_table, &report_json, &report_sarif,    &report_cyclonedx,     &report_spdx,     &report_gitlab,
    &report_junit, &report_html, &report_markdown, &report_clair_scanner, &report_template, NULL,
};
