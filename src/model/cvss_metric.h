/* cvss_metric.h - what the calculators of all versions of CVSS share; for cvss*.c alone. */
#pragma once
#include "base/str.h"

#define CVSS_METRICS_MAX 32
#define CVSS_ABSENT      (-1)

/* A metric and its values, each one word. The base metrics of a table come first; none of them may be absent. */
struct cvss_metric {
    const char *name, *values;
};

/* What a vector says: for each metric of the table the place of its value, or CVSS_ABSENT. */
struct cvss_values {
    int8_t at[CVSS_METRICS_MAX];
};

/* The base scores in tenths; v has all base metrics, in the order of the tables. */
uint16_t cvss2_base(const struct cvss_values *v);
uint16_t cvss3_base(const struct cvss_values *v);
uint16_t cvss4_base(const struct cvss_values *v);

extern const struct cvss_metric cvss2_metrics[], cvss3_metrics[],
    cvss4_metrics[]; /* end with a name of NULL */
#define CVSS2_BASE_METRICS 6
#define CVSS3_BASE_METRICS 8
#define CVSS4_BASE_METRICS 11
