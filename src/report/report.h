/* report.h - one file per output, one line in the table. Outputs are pure: the same report gives the same bytes. */
#pragma once
#include "base/buf.h"
#include "match/match.h"

#define REPORT_WIDTH_MIN 40

/* All that is not in the report; zeroes: for a file, with the findings that count. */
struct report_options {
    unsigned
        width; /* columns of the terminal, at least REPORT_WIDTH_MIN; 0: there is none, and lines are as long as they are */
    bool colour;          /* of a terminal (ECMA-48) */
    bool show_suppressed; /* for people, too: outputs for programs have them always */
    str template_text;    /* of "template" */
};

struct report_format {
    const char *name; /* of --format */
    const char *help;
    /* Never more than out->max; ask out->failed afterwards. */
    void (*write)(const struct report *r, const struct report_options *o, struct buf *out);
};

extern const struct report_format report_table, report_json, report_sarif, report_cyclonedx, report_spdx,
    report_junit, report_gitlab, report_html, report_markdown, report_clair_scanner, report_template;
extern const struct report_format *const report_formats[]; /* ends with NULL; the first is the default */
