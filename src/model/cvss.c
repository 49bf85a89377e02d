/* cvss.c - reads vectors by the table of metrics of their version. */
#include "model/cvss.h"
#include "model/cvss_metric.h"

static const struct calculator {
    const char *version, *prefix;
    const struct cvss_metric *metrics;
    size_t base_count;
    uint16_t (*base)(const struct cvss_values *v);
} calculators[] = {
    { "2.0", "", cvss2_metrics, CVSS2_BASE_METRICS, cvss2_base },
    { "3.0", "CVSS:3.0/", cvss3_metrics, CVSS3_BASE_METRICS, cvss3_base },
    { "3.1", "CVSS:3.1/", cvss3_metrics, CVSS3_BASE_METRICS, cvss3_base },
    { "4.0", "CVSS:4.0/", cvss4_metrics, CVSS4_BASE_METRICS, cvss4_base },
};
#define CALCULATORS (sizeof calculators / sizeof *calculators)

static const struct calculator *calculator_of(str vector)
{
    if (!str_starts(vector, STR("CVSS:")))
        return vector.len ? &calculators[0] : NULL;
    for (size_t i = 1; i < CALCULATORS; i++)
        if (str_starts(vector, str_from(calculators[i].prefix)))
            return &calculators[i];
    return NULL;
}

static const struct calculator *calculator_by_version(str version)
{
    for (size_t i = 0; i < CALCULATORS; i++)
        if (str_eq(version, str_from(calculators[i].version)))
            return &calculators[i];
    return NULL;
}

str cvss_vector_version(str vector)
{
    const struct calculator *c = calculator_of(vector);
    return str_from(c ? c->version : NULL);
}

static int value_place(const char *values, str value)
{
    str rest = str_from(values);
    int place = 0;
    for (str word; (word = str_word(&rest)).len; place++)
        if (str_eq(word, value))
            return place;
    return CVSS_ABSENT;
}

/* One "AV:N" */
static bool read_metric(const struct cvss_metric *metrics, str text, struct cvss_values *ret)
{
    str name = str_cut(&text, ':');
    for (size_t i = 0; metrics[i].name; i++) {
        if (!str_eq(name, str_from(metrics[i].name)))
            continue;
        int place = value_place(metrics[i].values, text);
        if (place == CVSS_ABSENT || ret->at[i] != CVSS_ABSENT)
            return false;
        ret->at[i] = (int8_t)place;
        return true;
    }
    return false;
}

static bool read_vector(const struct calculator *c, str vector, struct cvss_values *ret)
{
    memset(ret->at, CVSS_ABSENT, sizeof ret->at);
    if (str_starts(vector, str_from(c->prefix)))
        vector = str_skip(vector, strlen(c->prefix));
    while (vector.len)
        if (!read_metric(c->metrics, str_cut(&vector, '/'), ret))
            return false;
    for (size_t i = 0; i < c->base_count; i++)
        if (ret->at[i] == CVSS_ABSENT)
            return false;
    return true;
}

int cvss_score(str version, str vector, uint16_t *ret)
{
    const struct calculator *c = version.len ? calculator_by_version(version) : calculator_of(vector);
    struct cvss_values v;
    if (!c || !read_vector(c, vector, &v))
        return -1;
    *ret = c->base(&v);
    return 0;
}
