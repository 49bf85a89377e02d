#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct series {
    struct series *next;
    str values[METRIC_LABELS]; /* their bytes follow the buckets */
    double value;              /* of a histogram: the sum */
    uint64_t count, buckets[]; /* each bucket counts its own */
};

struct family {
    struct series *first;
    size_t count;
};

struct metrics {
    pthread_mutex_t lock;
    const struct metric_about *table;
    size_t count;
    struct family families[];
};

struct metrics *metrics_new(const struct metric_about *table, size_t count, struct err *e)
{
    struct metrics *m = calloc(1, sizeof *m + count * sizeof *m->families);
    if (!m) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&m->lock, NULL);
    m->table = table;
    m->count = count;
    return m;
}

void metrics_freep(struct metrics **m)
{
    if (!*m)
        return;
    for (size_t i = 0; i < (*m)->count; i++)
        for (struct series *s = (*m)->families[i].first, *next; s; s = next) {
            next = s->next;
            free(s);
        }
    pthread_mutex_destroy(&(*m)->lock);
    free(*m);
    *m = NULL;
}

/* ---- counting ---- */

static str keep(char **to, str value)
{
    str kept = str_of(*to, value.len);
    if (value.len)
        memcpy(*to, value.ptr, value.len);
    *to += value.len;
    return kept;
}

static bool has_values(const struct series *s, const str values[METRIC_LABELS])
{
    for (size_t i = 0; i < METRIC_LABELS; i++)
        if (!str_eq(s->values[i], values[i]))
            return false;
    return true;
}

/* The lock is held. NULL: there are too many, or there is no memory. */
static struct series *series_of_all(struct metrics *m, size_t number, const str values[METRIC_LABELS])
{
    struct family *f = &m->families[number];
    size_t buckets = m->table[number].bound_count, bytes = 0;
    for (struct series *s = f->first; s; s = s->next)
        if (has_values(s, values))
            return s;
    for (size_t i = 0; i < METRIC_LABELS; i++)
        bytes += values[i].len;
    struct series *s =
        f->count < METRIC_SERIES ? calloc(1, sizeof *s + buckets * sizeof *s->buckets + bytes) : NULL;
    if (!s)
        return NULL;
    char *text = (char *)&s->buckets[buckets];
    for (size_t i = 0; i < METRIC_LABELS; i++)
        s->values[i] = keep(&text, values[i]);
    s->next = f->first;
    f->first = s;
    f->count++;
    return s;
}

static struct series *series_of(struct metrics *m, size_t number, str a, str b)
{
    const str values[METRIC_LABELS] = { a, b };
    return series_of_all(m, number, values);
}

void metrics_add_all(struct metrics *m, size_t family, double by, const str values[METRIC_LABELS])
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    struct series *s = series_of_all(m, family, values);
    if (s)
        s->value += by;
    pthread_mutex_unlock(&m->lock);
}

void metrics_add(struct metrics *m, size_t family, double by, str a, str b)
{
    const str values[METRIC_LABELS] = { a, b };
    metrics_add_all(m, family, by, values);
}

void metrics_set(struct metrics *m, size_t family, double to, str a, str b)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    struct series *s = series_of(m, family, a, b);
    if (s)
        s->value = to;
    pthread_mutex_unlock(&m->lock);
}

void metrics_observe(struct metrics *m, size_t family, double value, str a, str b)
{
    if (!m)
        return;
    const struct metric_about *about = &m->table[family];
    size_t i = 0;
    while (i < about->bound_count && value > about->bounds[i])
        i++;
    pthread_mutex_lock(&m->lock);
    struct series *s = series_of(m, family, a, b);
    if (s) {
        s->value += value;
        s->count++;
        if (i < about->bound_count)
            s->buckets[i]++;
    }
    pthread_mutex_unlock(&m->lock);
}

/* ---- writing ---- */

static void put_escaped(struct buf *out, str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"')
            buf_char(out, '\\');
        if (c == '\n')
            buf_str(out, STR("\\n"));
        else
            buf_char(out, c);
    }
}

static void put_label(struct buf *out, char *separator, const char *name, str value)
{
    buf_printf(out, "%c%s=\"", *separator, name);
    put_escaped(out, value);
    buf_char(out, '"');
    *separator = ',';
}

/* `le`, where there is one, stands last. */
static void put_sample(struct buf *out, const struct metric_about *about, const char *suffix,
                       const struct series *s, const char *le, double value)
{
    char separator = '{';
    buf_printf(out, "%s%s", about->name, suffix);
    for (size_t i = 0; i < METRIC_LABELS && about->labels[i]; i++)
        put_label(out, &separator, about->labels[i], s->values[i]);
    if (le)
        put_label(out, &separator, "le", str_from(le));
    if (separator == ',')
        buf_char(out, '}');
    buf_printf(out, " %.15g\n", value);
}

static void put_histogram(struct buf *out, const struct metric_about *about, const struct series *s)
{
    uint64_t below = 0;
    char le[32];
    for (size_t i = 0; i < about->bound_count; i++) {
        below += s->buckets[i];
        snprintf(le, sizeof le, "%.15g", about->bounds[i]);
        put_sample(out, about, "_bucket", s, le, (double)below);
    }
    put_sample(out, about, "_bucket", s, "+Inf", (double)s->count);
    put_sample(out, about, "_sum", s, NULL, s->value);
    put_sample(out, about, "_count", s, NULL, (double)s->count);
}

static void put_series(struct buf *out, const struct metric_about *about, const struct series *s)
{
    if (about->type == METRIC_HISTOGRAM)
        put_histogram(out, about, s);
    else
        put_sample(out, about, "", s, NULL, s->value);
}

void metrics_write(struct metrics *m, struct buf *out)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->count; i++) {
        const struct metric_about *about = &m->table[i];
        if (!about->labels[0])
            series_of(m, i, STR(""), STR(""));
        if (!m->families[i].first)
            continue; /* nothing is known of it yet */
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", about->name, about->help, about->name,
                   types[about->type]);
        for (const struct series *s = m->families[i].first; s; s = s->next)
            put_series(out, about, s);
    }
    pthread_mutex_unlock(&m->lock);
}
