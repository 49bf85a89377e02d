/*
 * metrics.h - numbers that a process counts, and the text that Prometheus reads (exposition format 0.0.4).
 *
 * Shape      A registry is made from a table of families; whoever counts names a row of it by number. A family with labels has one series
 *            for each set of their values, made when it is first counted.
 * Limits     METRIC_SERIES of one family, further ones are dropped: values are to be few, never what clients send.
 * Threads    any. A registry of NULL counts nothing.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define METRIC_LABELS 4
#define METRIC_SERIES 1024

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_about {
    const char *name, *help;
    enum metric_type type;
    const char *labels[METRIC_LABELS]; /* in the order of their names; NULL: no more */
    const double *bounds; /* of a histogram, upper ones, ascending; that without a bound is added */
    size_t bound_count;
};

struct metrics;
struct metrics *metrics_new(const struct metric_about *table, size_t count, struct err *e); /* borrows it */
void metrics_freep(struct metrics **m);

/* `a` and `b` are the values of the labels; empty where there is none. */
void metrics_add(struct metrics *m, size_t family, double by, str a, str b);        /* counters and gauges */
void metrics_set(struct metrics *m, size_t family, double to, str a, str b);        /* gauges */
void metrics_observe(struct metrics *m, size_t family, double value, str a, str b); /* histograms */

/* The same with more labels; empty ones last. */
void metrics_add_all(struct metrics *m, size_t family, double by, const str values[METRIC_LABELS]);

/* All families of the table, those without labels also before they were counted: then 0. */
void metrics_write(struct metrics *m, struct buf *out);
