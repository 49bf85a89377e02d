/* report.h - one file per output, one line in the table. Outputs are pure: the same report gives the same bytes. */
#pragma once
#include "base/buf.h"
#include "match/match.h"

struct report_format {
    const char *name; /* of --format */
    const char *help;
    void (*write)(const struct report *r, struct buf *out); /* ask out->failed afterwards */
};

extern const struct report_format report_table, report_json;
extern const struct report_format *const report_formats[]; /* ends with NULL; the first is the default */
const struct report_format *report_format_by_name(str name);
