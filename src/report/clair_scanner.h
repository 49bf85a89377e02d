/*
 * clair_scanner.h - the outputs of arminc/clair-scanner v13, and of 14.x, byte for byte: its table and its JSON report. Pure.
 *
 * Order      clair_scanner_sort() is by rank, the most severe first; equal ones stay in the server's order (the old program left
 *            theirs to Go's unstable sort once there were more than 12).
 * Text       of the table goes to a terminal: control bytes other than a tab are left out, bytes that are not UTF-8 become U+FFFD.
 * Errors     ask out->failed afterwards: out of memory, or out->max passed.
 * Source     spec/clair-scanner.md 6 to 8.
 */
#pragma once
#include "base/buf.h"

struct clair_scanner_row {
    str feature, version; /* the package */
    str vulnerability, namespace, description, link, severity, fixed_by;
    bool approved; /* by the whitelist or the threshold */
};

/* Defcon1 1 ... Unknown 7; 0 for any other word, which no threshold approves. */
unsigned clair_scanner_rank(str severity);
#define CLAIR_SCANNER_SEVERITIES "Defcon1, Critical, High, Medium, Low, Negligible, Unknown"

enum clair_scanner_era {
    CLAIR_SCANNER_13,
    CLAIR_SCANNER_14, /* the least severe first; each cell is wrapped by itself; no vulnerabilities are null in JSON */
};

/* False when out of memory. */
bool clair_scanner_sort(enum clair_scanner_era era, struct clair_scanner_row *rows, size_t count);

/* A vulnerability shows as approved only when no row of its name is unapproved. Without `all` approved rows are left out and, as it
 * always was, a row stands there once for each unapproved row of its name. */
void clair_scanner_table(enum clair_scanner_era era, const struct clair_scanner_row *rows, size_t count,
                         bool all, struct buf *out);

/* `sorted`: the same rows in the order for "vulnerabilities"; `rows` gives that of "unapproved". */
void clair_scanner_json(enum clair_scanner_era era, str image, const struct clair_scanner_row *rows,
                        const struct clair_scanner_row *sorted, size_t count, struct buf *out);
