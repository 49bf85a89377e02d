/*
 * EPSS (FIRST), one row for each CVE: "CVE-2020-5902,0.96817,0.99999" below "cve,epss,percentile" (spec/feeds.md 15). Files
 * of before September 2021 have no percentile; since 2022 there is a line "#model_version:..." above the head.
 */
#include "base/cleanup.h"
#include "feed/decimal.h"
#include "feed/feed.h"
#include "feed/lines.h"

#define DIGITS 6 /* millionths */
#define SHOWN  100

struct table {
    struct lines lines;
    struct advisory_sink *sink;
    bool percentiles;
    uint64_t rows;
};

static void table_done(struct table *t) { lines_done(&t->lines); }

static int bad(const struct table *t, const char *what, str value, struct err *e)
{
    return err_set(e, ERR_FORMAT, "line %llu: %s: '" STR_FMT "'", (unsigned long long)t->lines.number, what,
                   STR_ARG(str_head(value, SHOWN)));
}

static int read_head(struct table *t, struct err *e)
{
    str line = { 0 };
    int r;
    do
        r = lines_next(&t->lines, &line, e);
    while (r > 0 && str_starts(line, STR("#")));
    if (r < 0)
        return -1;
    line = r ? line : (str){ 0 };
    t->percentiles = str_eq(line, STR("cve,epss,percentile"));
    if (!t->percentiles && !str_eq(line, STR("cve,epss")))
        return bad(t, "the head of the table wanted", line, e);
    return 0;
}

static int read_row(struct table *t, str line, struct err *e)
{
    str rest = line;
    str id = str_cut(&rest, ','), score = str_cut(&rest, ','), percentile = rest;
    struct metadata meta = { .has_epss = true };
    if (!t->lines.ended) /* what is left of a number is one, too */
        return bad(t, "cut off", line, e);
    if (!id_is_cve(id))
        return bad(t, "a CVE wanted", id, e);
    if (!decimal_parse(score, DIGITS, EPSS_ONE, &meta.epss))
        return bad(t, "a score from 0 to 1 wanted", score, e);
    if (t->percentiles && !decimal_parse(percentile, DIGITS, EPSS_ONE, &meta.epss_percentile))
        return bad(t, "a percentile from 0 to 1 wanted", percentile, e);
    if (!t->percentiles && percentile.len)
        return bad(t, "nothing wanted behind the score", percentile, e);
    t->rows++;
    struct advisory a = { .key = id, .id = id, .meta = meta };
    return t->sink->put(t->sink, &a, e);
}

static int epss_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(table_done) struct table t = { .lines.in = in->bytes, .sink = sink };
    if (read_head(&t, e) < 0)
        return -1;
    str line;
    int r;
    while ((r = lines_next(&t.lines, &line, e)) > 0)
        if (read_row(&t, line, e) < 0)
            return -1;
    if (r < 0)
        return -1;
    return t.rows ? 0 : bad(&t, "a row wanted", STR(""), e);
}

static const struct feed_document documents[] = { { "epss_scores-current.csv.gz" }, { NULL } };

const struct feed feed_epss = {
    .name = "epss",
    .about = "EPSS, how likely a vulnerability is to be exploited",
    .covers = "",
    .megabytes = 2,
    .place = { "epss", "https://epss.empiricalsecurity.com" },
    .documents = documents,
    .version = 1,
    .parse = epss_parse,
};
