/*
 * clair_scanner_report.c - the report of clair-scanner for an image that was scanned without a server.
 *
 * Packages, names and namespaces are those of REST v1: a finding of several packages of one source is one row, the vendor's advisory
 * has its own name. What was suppressed is approved.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "report/clair_scanner.h"
#include "report/parts.h"

#include <stdlib.h>

#define NAMES_MAX ((size_t)64 << 10)

static int by_name(const void *a, const void *b)
{
    const struct clair_scanner_row *x = a, *y = b;
    int order = str_cmp(x->feature, y->feature);
    order = order ? order : str_cmp(x->version, y->version);
    order = order ? order : str_cmp(x->vulnerability, y->vulnerability);
    return order ? order : (int)x->approved - (int)y->approved; /* of doubles the unapproved one stays */
}

static struct clair_scanner_row row_of(const struct report_row *from, str namespace)
{
    const struct finding *f = from->finding;
    struct clair_scanner_row row = { .vulnerability = f->advisory.len ? f->advisory : f->id,
                                     .namespace = namespace,
                                     .description = f->description,
                                     .link = f->link,
                                     .severity = str_from(severity_name(f->severity)),
                                     .fixed_by = f->fixed_version,
                                     .approved = from->suppressed != NULL };
    package_feature(&from->at->package, &row.feature, &row.version);
    return row;
}

static size_t unique(struct clair_scanner_row *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct clair_scanner_row *last = kept ? &rows[kept - 1] : NULL;
        if (!last || !str_eq(last->feature, rows[i].feature) || !str_eq(last->version, rows[i].version) ||
            !str_eq(last->vulnerability, rows[i].vulnerability))
            rows[kept++] = rows[i];
    }
    return kept;
}

static void write_clair_scanner(const struct report *r, const struct report_options *o, struct buf *out)
{
    size_t count;
    CLEANUP(freep) struct report_row *from = report_rows(r, true, &count, out);
    CLEANUP(freep) struct clair_scanner_row *rows = calloc(2 * count + 1, sizeof *rows);
    CLEANUP(arena_freep) struct arena *arena = arena_new(NAMES_MAX);
    (void)o;
    if (!from || !rows || !arena) {
        out->failed = true;
        return;
    }
    str namespace = distribution_v1_name(arena, r->image->distribution.namespace);
    for (size_t i = 0; i < count; i++)
        rows[i] = row_of(&from[i], namespace);
    qsort(rows, count, sizeof *rows, by_name);
    count = unique(rows, count);
    struct clair_scanner_row *sorted = rows + count;
    memcpy(sorted, rows, count * sizeof *rows);
    if (clair_scanner_sort(CLAIR_SCANNER_13, sorted, count))
        clair_scanner_json(CLAIR_SCANNER_13, r->image->name, rows, sorted, count, out);
    else
        out->failed = true;
}

const struct report_format report_clair_scanner = { "clair-scanner", "the JSON report of clair-scanner",
                                                    write_clair_scanner };
