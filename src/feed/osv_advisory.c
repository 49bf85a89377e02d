#include "feed/osv.h"
#include "model/cvss.h"

#include <strings.h>

#define DESCRIPTION_MAX 1000
#define LINK            "https://osv.dev/vulnerability/"

void osv_add_range(struct arena *a, struct osv_ranges *to, const struct affected_range *range)
{
    struct affected_range *list = arena_grow(a, to->list, to->count, &to->cap, sizeof *list);
    if (!list)
        return;
    to->list = list;
    list[to->count++] = *range;
}

void osv_add_id(struct arena *a, struct osv_list *to, str id)
{
    for (size_t i = 0; i < to->count; i++)
        if (str_eq(to->list[i], id))
            return;
    str *list =
        to->count < METADATA_ALIASES ? arena_grow(a, to->list, to->count, &to->cap, sizeof *list) : NULL;
    if (!list)
        return;
    to->list = list;
    list[to->count++] = id;
}

/* ---- severity ---- */

static bool score_of(const struct osv_severity *s, struct cvss_score *ret)
{
    str version = cvss_vector_version(s->score);
    uint16_t base;
    if (cvss_version(version) < 0 || cvss_score(version, s->score, &base) < 0)
        return false;
    *ret = (struct cvss_score){ .version = version, .vector = s->score, .base = base };
    return true;
}

static bool is_3(str version) { return str_starts(version, STR("3.")); }

/* 3.1 before 3.0, the higher one of two; of others the first. */
static bool better(const struct cvss_score *a, const struct cvss_score *b)
{
    int order = cvss_version(a->version) - cvss_version(b->version);
    return is_3(a->version) && (order > 0 || (order == 0 && a->base > b->base));
}

static bool best_score(const struct osv_severities *s, bool of_3, struct cvss_score *ret)
{
    struct cvss_score score;
    bool found = false;
    for (size_t i = 0; i < s->count; i++)
        if (score_of(&s->list[i], &score) && is_3(score.version) == of_3 && (!found || better(&score, ret))) {
            *ret = score;
            found = true;
        }
    return found;
}

enum severity osv_severity(const struct osv_record *r, const struct osv_affected *one)
{
    const struct osv_severities *s = one->severities.count ? &one->severities : &r->severities;
    struct cvss_score score;
    if (best_score(s, true, &score))
        return cvss_severity(score.version, score.base);
    enum severity rating = severity_of_word(r->rating);
    if (rating == SEVERITY_UNKNOWN && best_score(s, false, &score))
        return cvss_severity(score.version, score.base);
    return rating;
}

/* ---- advisories ---- */

/* Where a character begins. */
static str cut_text(str s, size_t max)
{
    size_t n = s.len < max ? s.len : max;
    while (n && n < s.len && ((uint8_t)s.ptr[n] & 0xc0) == 0x80)
        n--;
    return str_head(s, n);
}

static void set_scores(struct arena *a, const struct osv_record *r, struct metadata *meta)
{
    size_t max = r->severities.count < METADATA_LIST ? r->severities.count : METADATA_LIST;
    meta->scores = max ? arena_array(a, struct cvss_score, max) : NULL;
    for (size_t i = 0; meta->scores && i < max; i++)
        meta->score_count += score_of(&r->severities.list[i], &meta->scores[meta->score_count]);
}

struct advisory osv_advisory(struct arena *a, const struct osv_record *r, str key, str id)
{
    struct advisory advisory = {
        .key = key,
        .id = id,
        .title = cut_text(r->summary, METADATA_TEXT),
        .description = cut_text(r->details, DESCRIPTION_MAX),
        .link = r->link.len ? r->link : arena_printf(a, LINK STR_FMT, STR_ARG(r->id)),
    };
    set_scores(a, r, &advisory.meta);
    return advisory;
}

int osv_put(struct advisory_sink *sink, struct arena *a, struct advisory *advisory,
            const struct osv_ranges *ranges, const struct osv_list *aliases, struct err *e)
{
    if (arena_failed(a))
        return err_set(e, ERR_LIMIT, "a record with more than %zu bytes", OSV_RECORD_MAX);
    if (!ranges->count)
        return 0;
    advisory->ranges = ranges->list;
    advisory->range_count = ranges->count;
    advisory->meta.aliases = aliases->list;
    advisory->meta.alias_count = aliases->count;
    return sink->put(sink, advisory, e);
}

/* ---- module streams ---- */

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' ||
           c == '.' || c == '+';
}

size_t osv_name_length(str s)
{
    size_t n = 0;
    while (n < s.len && is_name_char(s.ptr[n]))
        n++;
    return n;
}

/* "httpd:2.4/mod_http2" is of httpd:2.4; empty: the word is no stream. */
static str stream_of(str word)
{
    size_t name = osv_name_length(word);
    if (!name || name == word.len || word.ptr[name] != ':')
        return (str){ 0 };
    size_t stream = osv_name_length(str_skip(word, name + 1));
    return stream ? str_head(word, name + 1 + stream) : (str){ 0 };
}

/* One summary begins with the advisory's own name, which looks like a stream. */
void osv_find_streams(str summary, str id, struct osv_streams *ret)
{
    ret->count = 0;
    for (str word; (word = str_word(&summary)).len && ret->count < OSV_STREAMS_MAX;) {
        str stream = stream_of(word);
        if (stream.len && !str_eq(stream, id))
            ret->list[ret->count++] = stream;
    }
}

/* "kernel:4.18.0" looks like a stream, too: only what was built in a module has ".module_el8..." or ".module+el8..." in its release. */
bool osv_of_module(str version) { return str_contains(version, STR(".module")); }

void osv_add_streams(struct arena *a, struct osv_ranges *to, struct affected_range range,
                     const struct osv_streams *streams)
{
    if (!streams->count || !osv_of_module(range.fixed_version)) {
        osv_add_range(a, to, &range);
        return;
    }
    for (size_t i = 0; i < streams->count; i++) { /* which of them a package is from is not told */
        range.module = streams->list[i];
        osv_add_range(a, to, &range);
    }
}

/* ---- CVEs ---- */

static void add_cves(struct arena *a, struct osv_list *to, const struct osv_list *from)
{
    for (size_t i = 0; i < from->count; i++)
        if (id_is_cve(from->list[i]))
            osv_add_id(a, to, from->list[i]);
}

void osv_add_cves(struct arena *a, struct osv_list *to, const struct osv_record *record)
{
    add_cves(a, to, &record->aliases);
    add_cves(a, to, &record->upstream);
    add_cves(a, to, &record->related);
}
