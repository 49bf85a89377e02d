/*
 * parts.h - what several outputs need of a report. Nothing here looks at a clock or at chance: what has to be unique is a hash.
 *
 * Errors     without memory out->failed is set, as everywhere in report/.
 */
#pragma once
#include "codec/json.h"
#include "report/report.h"

/* One line of an output: a finding that counts, or one that was suppressed. */
struct report_row {
    const struct finding *finding;
    const struct image_package *at;
    const struct suppressed *suppressed; /* NULL: it counts */
};
/* In the report's order, the suppressed ones behind the others if wanted. The caller frees it; NULL: out->failed. */
struct report_row *report_rows(const struct report *r, bool suppressed, size_t *ret_count, struct buf *out);
void report_rows_by_weight(struct report_row *rows, size_t count); /* what to look at first stands first */
/* By id, then how it is judged, then package: rows that report_row_same() are neighbours. */
void report_rows_by_id(struct report_row *rows, size_t count);
bool report_row_same(const struct report_row *a, const struct report_row *b); /* one id, judged alike */

#define REPORT_LINKS_MAX 64
/* Each once: the advisory's own, and those of all sources. */
size_t report_links(const struct finding *f, str ret[REPORT_LINKS_MAX]);
bool report_link_ok(
    str link); /* http(s), printable ASCII without quotes, blanks and brackets: may stand in a page */
str report_link(const struct finding *f); /* the first such one; empty: there is none */

str report_title(const struct finding *f);                 /* one line: the title, else the id */
str report_cut(str s, size_t max);                         /* at most max bytes, no character broken */
str report_layer(const struct image_index *i, uint32_t n); /* its digest; empty: there is none */
str report_place(const struct package *p); /* the file in the image that names it: "var/lib/dpkg/status" */
void report_advice(struct buf *out, const struct finding *f,
                   const struct package *p); /* "Upgrade p to 1.2" */
str report_system(const struct report *r);   /* "debian:12"; "unknown" where nothing is known */

/* The CVSS base score that goes with the finding's severity, in tenths: that of the best ranked source if it rates alike, else the
 * lowest of that severity (spec/integrations.md D1): who sorts by it gets the order of the severities. */
unsigned report_score(const struct finding *f);

#define REPORT_UUID 37 /* bytes for one, NUL and all */
/* Of the parts, each with its length. It has the form of a version 5, which is all that some readers take. */
void report_uuid(const str *parts, size_t count, char ret[REPORT_UUID]);
void report_hash(const str *parts, size_t count, char ret[65]);              /* hex digits */
void report_serial(const struct report *r, str what, char ret[REPORT_UUID]); /* of the whole report */

/* Names for packages that are the same for the same package in any report, and unique in each: "dpkg-0123456789abcdef". */
#define REPORT_REF 64
void report_ref(const struct image_index *i, size_t package, char ret[REPORT_REF]);
