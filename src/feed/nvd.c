/*
 * NVD's year feeds, API 2.0 shape (spec/feeds.md 14): { vulnerabilities: [ { cve: { id, vulnStatus, metrics: { cvssMetricV31:
 * [ { source, type, cvssData: { version, vectorString, baseScore } } ] }, ... } } ] }. Of each CVE the scores are kept; what
 * NVD makes of it as a severity is the name of the first of them. nvdcve-2.0-YEAR.meta tells the sha256 of a year.
 */
#include "base/cleanup.h"
#include "codec/json.h"
#include "feed/decimal.h"
#include "feed/feed.h"
#include "feed/lines.h"

#include <ctype.h>

#define SHOWN 100
#define HEX   64 /* digits of a sha256 */
#define TEXTS_MAX                                                                                            \
    ((size_t)256 << 10) /* bytes of all texts of one CVE's scores: METADATA_LIST of the longest */

struct score {
    struct cvss_score cvss;
    bool primary, has_base;
};

struct nvd {
    struct json *json;
    struct advisory_sink *sink;
    bool complete; /* the list was there */
    /* of one CVE: */
    char id[FEED_TEXT_MAX];
    size_t id_len;
    bool rejected;
    struct score scores[METADATA_LIST];
    size_t count;
    char texts[TEXTS_MAX];
    size_t text_len;
};

/* Texts that are too long to travel are cut to one byte more than that. */
static int keep(struct nvd *n, str s, str *ret, struct err *e)
{
    s = str_head(s, METADATA_TEXT + 1);
    if (s.len > sizeof n->texts - n->text_len)
        return err_set(e, ERR_LIMIT, "scores with more than %zu bytes", TEXTS_MAX);
    if (s.len)
        memcpy(n->texts + n->text_len, s.ptr, s.len);
    *ret = str_of(n->texts + n->text_len, s.len);
    n->text_len += s.len;
    return 0;
}

static int keep_string(struct nvd *n, str *ret, struct err *e)
{
    str value;
    return json_string(n->json, &value, e) < 0 ? -1 : keep(n, value, ret, e);
}

/* A base score that is no number from 0 to 10 makes the score none. */
static int read_base(struct nvd *n, struct score *s, struct err *e)
{
    enum json_type type;
    str text;
    uint32_t base = 0;
    if (json_next(n->json, &type, &text, e) < 0)
        return -1;
    s->has_base = type == JSON_NUMBER && decimal_parse(text, 1, CVSS_BASE_MAX, &base);
    s->cvss.base = (uint16_t)base;
    return json_skip_rest(n->json, type, e);
}

static int read_data(struct nvd *n, struct score *s, struct err *e)
{
    int r = json_enter_or_null(n->json, JSON_OBJECT, e);
    if (r <= 0)
        return r;
    str key;
    while ((r = json_key(n->json, &key, e)) > 0) {
        if (str_eq(key, STR("version")))
            r = keep_string(n, &s->cvss.version, e);
        else if (str_eq(key, STR("vectorString")))
            r = keep_string(n, &s->cvss.vector, e);
        else
            r = str_eq(key, STR("baseScore")) ? read_base(n, s, e) : json_skip(n->json, e);
        if (r < 0)
            return err_wrap(e, "cvssData");
    }
    return r;
}

static int read_score(struct nvd *n, struct score *s, struct err *e)
{
    str key, type;
    int r;
    while ((r = json_key(n->json, &key, e)) > 0) {
        if (str_eq(key, STR("source"))) {
            r = keep_string(n, &s->cvss.source, e);
        } else if (str_eq(key, STR("type"))) {
            r = json_string(n->json, &type, e);
            s->primary = r == 0 && str_eq(type, STR("Primary"));
        } else {
            r = str_eq(key, STR("cvssData")) ? read_data(n, s, e) : json_skip(n->json, e);
        }
        if (r < 0)
            return -1;
    }
    return r;
}

/* All scores of one version. Beyond METADATA_LIST of a CVE they are read, and dropped. */
static int read_scores(struct nvd *n, struct err *e)
{
    int r = json_enter_or_null(n->json, JSON_ARRAY, e);
    if (r <= 0)
        return r;
    enum json_type type;
    str text;
    while ((r = json_element(n->json, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: a score is not an object",
                           (unsigned long long)json_offset(n->json));
        size_t mark = n->text_len;
        struct score s = { 0 };
        if (read_score(n, &s, e) < 0)
            return -1;
        bool counts = s.has_base && cvss_version(s.cvss.version) >= 0 && n->count < METADATA_LIST;
        if (counts)
            n->scores[n->count++] = s;
        else
            n->text_len = mark;
    }
    return r;
}

static int read_metrics(struct nvd *n, struct err *e)
{
    int r = json_enter_or_null(n->json, JSON_OBJECT, e);
    if (r <= 0)
        return r;
    str key;
    while ((r = json_key(n->json, &key, e)) > 0) {
        bool cvss = str_starts(key, STR("cvssMetric"));
        if (cvss && read_scores(n, e) < 0)
            return err_wrap(e, "metrics");
        if (!cvss && json_skip(n->json, e) < 0)
            return -1;
    }
    return r;
}

/* NVD's own scores before those of others, and of each the newest version first; otherwise as they come. */
static bool before(const struct score *a, const struct score *b)
{
    if (a->primary != b->primary)
        return a->primary;
    return cvss_version(a->cvss.version) > cvss_version(b->cvss.version);
}

static void sort(struct score *scores, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct score s = scores[i];
        size_t at = i;
        for (; at && before(&s, &scores[at - 1]); at--)
            scores[at] = scores[at - 1];
        scores[at] = s;
    }
}

static int put(struct nvd *n, struct err *e)
{
    if (!n->id_len)
        return err_set(e, ERR_FORMAT, "byte %llu: a CVE without id",
                       (unsigned long long)json_offset(n->json));
    if (n->rejected || !n->count)
        return 0;
    struct cvss_score scores[METADATA_LIST];
    sort(n->scores, n->count);
    for (size_t i = 0; i < n->count; i++)
        scores[i] = n->scores[i].cvss;
    str id = str_of(n->id, n->id_len);
    struct advisory a = {
        .key = id,
        .id = id,
        .meta = { .has_severity = true,
                  .severity = cvss_severity(scores[0].version, scores[0].base),
                  .scores = scores,
                  .score_count = n->count },
    };
    return n->sink->put(n->sink, &a, e);
}

static int read_id(struct nvd *n, struct err *e)
{
    str id;
    if (json_string(n->json, &id, e) < 0)
        return -1;
    id = str_head(id, sizeof n->id);
    if (id.len)
        memcpy(n->id, id.ptr, id.len);
    n->id_len = id.len;
    return 0;
}

static int read_status(struct nvd *n, struct err *e)
{
    str status;
    if (json_string(n->json, &status, e) < 0)
        return -1;
    n->rejected = str_eq(status, STR("Rejected"));
    return 0;
}

static int read_cve(struct nvd *n, struct err *e)
{
    n->id_len = n->count = n->text_len = 0;
    n->rejected = false;
    if (json_enter(n->json, JSON_OBJECT, e) < 0)
        return -1;
    str key;
    int r;
    while ((r = json_key(n->json, &key, e)) > 0) {
        if (str_eq(key, STR("id")))
            r = read_id(n, e);
        else if (str_eq(key, STR("vulnStatus")))
            r = read_status(n, e);
        else
            r = str_eq(key, STR("metrics")) ? read_metrics(n, e) : json_skip(n->json, e);
        if (r < 0)
            return -1;
    }
    return r < 0 ? -1 : put(n, e);
}

/* { "cve": { ... } } */
static int read_element(struct nvd *n, struct err *e)
{
    str key;
    int r;
    bool found = false;
    while ((r = json_key(n->json, &key, e)) > 0) {
        bool cve = str_eq(key, STR("cve"));
        found |= cve;
        if (cve && read_cve(n, e) < 0)
            return err_wrap(e, "'" STR_FMT "'", STR_ARG(str_head(str_of(n->id, n->id_len), SHOWN)));
        if (!cve && json_skip(n->json, e) < 0)
            return -1;
    }
    if (r == 0 && !found)
        return err_set(e, ERR_FORMAT, "byte %llu: an element without cve",
                       (unsigned long long)json_offset(n->json));
    return r;
}

static int read_list(struct nvd *n, struct err *e)
{
    n->complete = true;
    if (json_enter(n->json, JSON_ARRAY, e) < 0)
        return -1;
    enum json_type type;
    str text;
    int r;
    while ((r = json_element(n->json, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: an element is not an object",
                           (unsigned long long)json_offset(n->json));
        if (read_element(n, e) < 0)
            return -1;
    }
    return r;
}

static int read_year(struct nvd *n, struct err *e)
{
    if (json_enter(n->json, JSON_OBJECT, e) < 0)
        return -1;
    str key;
    int r;
    while ((r = json_key(n->json, &key, e)) > 0) {
        bool list = str_eq(key, STR("vulnerabilities"));
        if (list && read_list(n, e) < 0)
            return err_wrap(e, "vulnerabilities");
        if (!list && json_skip(n->json, e) < 0)
            return -1;
    }
    if (r < 0 || json_finish(n->json, e) < 0)
        return -1;
    return n->complete ? 0 : err_set(e, ERR_FORMAT, "no list of vulnerabilities");
}

/* ---- what leads to a year ---- */

static bool is_sha256(str s)
{
    size_t i = 0;
    while (i < s.len && isxdigit((unsigned char)s.ptr[i]))
        i++;
    return i == s.len && i == HEX;
}

static int lead(const struct feed_input *in, str sha256, struct advisory_sink *sink, struct err *e)
{
    char path[FEED_TEXT_MAX + sizeof ".json.gz"];
    str stem = str_head(in->document, in->document.len - STR(".meta").len);
    int len = snprintf(path, sizeof path, STR_FMT ".json.gz", STR_ARG(str_head(stem, FEED_TEXT_MAX)));
    str name = str_of(path, (size_t)len);
    return sink->lead(sink, &(struct feed_lead){ .name = name, .path = name, .fingerprint = sha256 }, e);
}

static int read_meta(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(lines_done) struct lines lines = { .in = in->bytes };
    char digits[HEX];
    bool found = false;
    str line;
    int r;
    while ((r = lines_next(&lines, &line, e)) > 0) {
        if (!str_starts(line, STR("sha256:")))
            continue;
        line = str_trim(str_skip(line, STR("sha256:").len));
        if (!is_sha256(line))
            return err_set(e, ERR_FORMAT, "line %llu: 64 hexadecimal digits wanted",
                           (unsigned long long)lines.number);
        for (size_t i = 0; i < HEX; i++)
            digits[i] = (char)tolower((unsigned char)line.ptr[i]);
        found = true;
    }
    if (r < 0)
        return -1;
    return found ? lead(in, str_of(digits, HEX), sink, e) : err_set(e, ERR_FORMAT, "no sha256");
}

static int nvd_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    if (str_ends(in->document, STR(".meta")))
        return read_meta(in, sink, e);
    CLEANUP(json_freep) struct json *json = json_new(in->bytes, NULL, e);
    if (!json)
        return -1;
    CLEANUP(freep) struct nvd *n = malloc(sizeof *n);
    if (!n)
        return err_set(e, ERR_OOM, "nvd: out of memory");
    n->json = json;
    n->sink = sink;
    n->complete = false;
    return read_year(n, e);
}

/* The year in which a CVE got its number; 2002 holds those before it, too. */
static const struct feed_document documents[] = {
    { "feeds/json/cve/2.0/nvdcve-2.0-{year}.meta", DOCUMENT_MAY_LACK, .first_year = 2002 },
    { NULL },
};

const struct feed feed_nvd = {
    .name = "nvd",
    .about = "National Vulnerability Database: CVSS scores",
    .covers = "",
    .megabytes = 150,
    .rank = 90, /* design.md 9: behind the distribution, before all others */
    .place = { "nvd", "https://nvd.nist.gov" },
    .documents = documents,
    .version = 1,
    .parse = nvd_parse,
};
