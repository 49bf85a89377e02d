#include "store/metadata.h"

#include "codec/pack.h"

static bool fits(str s) { return s.len <= METADATA_TEXT; }

/* ---- what can travel ---- */

static bool score_fits(const struct cvss_score *s)
{
    return cvss_version(s->version) >= 0 && s->base <= CVSS_BASE_MAX && fits(s->vector) && fits(s->source);
}

static size_t bound_scores(const struct metadata *m, struct cvss_score *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < m->score_count && n < METADATA_LIST; i++)
        if (score_fits(&m->scores[i]))
            ret[n++] = m->scores[i];
    return n;
}

static size_t bound_texts(const str *texts, size_t count, size_t max, str *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < max; i++)
        if (texts[i].len && fits(texts[i]))
            ret[n++] = texts[i];
    return n;
}

static bool epss_fits(const struct metadata *m)
{
    return m->has_epss && m->epss <= EPSS_ONE && m->epss_percentile <= EPSS_ONE;
}

void metadata_bound(const struct metadata *m, struct metadata_room *room, struct metadata *ret,
                    uint64_t *skipped)
{
    bool listed = date_valid(m->kev.added), due = listed && date_valid(m->kev.due);
    struct metadata b = {
        .has_severity =
            m->has_severity && m->severity > SEVERITY_UNKNOWN && (unsigned)m->severity < SEVERITIES,
        .scores = room->scores,
        .score_count = bound_scores(m, room->scores),
        .links = room->links,
        .link_count = bound_texts(m->links, m->link_count, METADATA_LIST, room->links),
        .aliases = room->aliases,
        .alias_count = bound_texts(m->aliases, m->alias_count, METADATA_ALIASES, room->aliases),
        .cpes = room->cpes,
        .cpe_count = bound_texts(m->cpes, m->cpe_count, METADATA_LIST, room->cpes),
        .has_epss = epss_fits(m),
    };
    if (b.has_severity)
        b.severity = m->severity;
    if (b.has_epss)
        b.epss = m->epss, b.epss_percentile = m->epss_percentile;
    b.kev.added = listed ? m->kev.added : (str){ 0 };
    b.kev.due = due ? m->kev.due : (str){ 0 };
    *skipped += m->score_count - b.score_count + m->link_count - b.link_count + m->alias_count -
                b.alias_count + m->cpe_count - b.cpe_count + (m->has_epss != b.has_epss) +
                (m->kev.added.len && !listed) + (m->kev.due.len && !due);
    *ret = b;
}

/* ---- packed ---- */

static void pack_texts(struct buf *b, const str *texts, size_t count)
{
    pack_u64(b, count);
    for (size_t i = 0; i < count; i++)
        pack_str(b, texts[i]);
}

void metadata_pack(struct buf *b, const struct metadata *m)
{
    if (metadata_empty(m))
        return;
    pack_u64(b, m->has_severity ? m->severity : SEVERITY_UNKNOWN);
    pack_u64(b, m->score_count);
    for (size_t i = 0; i < m->score_count; i++) {
        pack_u64(b, (uint64_t)cvss_version(m->scores[i].version));
        pack_str(b, m->scores[i].vector);
        pack_u64(b, m->scores[i].base);
        pack_str(b, m->scores[i].source);
    }
    pack_texts(b, m->links, m->link_count);
    pack_texts(b, m->aliases, m->alias_count);
    pack_u64(b, m->has_epss);
    if (m->has_epss) {
        pack_u64(b, m->epss);
        pack_u64(b, m->epss_percentile);
    }
    pack_str(b, m->kev.added);
    pack_str(b, m->kev.due);
    if (m->client.metadata.len || m->client.gone.len || m->cpe_count) {
        pack_str(b, m->client.metadata);
        pack_str(b, m->client.gone);
    }
    if (m->cpe_count)
        pack_texts(b, m->cpes, m->cpe_count);
}

/* A number up to `max`. */
static uint32_t unpack_upto(struct unpack *u, uint32_t max)
{
    uint64_t v = unpack_u64(u);
    u->failed |= v > max;
    return u->failed ? 0 : (uint32_t)v;
}

static size_t unpack_scores(struct unpack *u, struct cvss_score *ret)
{
    size_t count = unpack_upto(u, METADATA_LIST);
    for (size_t i = 0; i < count && !u->failed; i++) {
        ret[i].version = cvss_version_name((int)unpack_upto(u, CVSS_VERSIONS - 1));
        ret[i].vector = unpack_str(u);
        ret[i].base = (uint16_t)unpack_upto(u, CVSS_BASE_MAX);
        ret[i].source = unpack_str(u);
    }
    return count;
}

static size_t unpack_texts(struct unpack *u, uint32_t max, str *ret)
{
    size_t count = unpack_upto(u, max);
    for (size_t i = 0; i < count && !u->failed; i++) {
        ret[i] = unpack_str(u);
        u->failed |= !ret[i].len;
    }
    return count;
}

static str unpack_date(struct unpack *u)
{
    str s = unpack_str(u);
    u->failed |= s.len && !date_valid(s);
    return s;
}

bool metadata_unpack(str body, struct metadata_room *room, struct metadata *ret)
{
    struct unpack u = { .rest = body, .max_str = METADATA_TEXT };
    struct metadata m = {
        .scores = room->scores, .links = room->links, .aliases = room->aliases, .cpes = room->cpes
    };
    if (!body.len) {
        *ret = m;
        return true;
    }
    m.severity = (enum severity)unpack_upto(&u, SEVERITIES - 1);
    m.has_severity = m.severity != SEVERITY_UNKNOWN;
    m.score_count = unpack_scores(&u, room->scores);
    m.link_count = unpack_texts(&u, METADATA_LIST, room->links);
    m.alias_count = unpack_texts(&u, METADATA_ALIASES, room->aliases);
    m.has_epss = unpack_upto(&u, 1);
    if (m.has_epss) {
        m.epss = unpack_upto(&u, EPSS_ONE);
        m.epss_percentile = unpack_upto(&u, EPSS_ONE);
    }
    m.kev.added = unpack_date(&u);
    m.kev.due = unpack_date(&u);
    if (u.rest.len) {
        u.max_str = 0;
        m.client.metadata = unpack_str(&u);
        m.client.gone = unpack_str(&u);
    }
    u.max_str = METADATA_TEXT;
    if (u.rest.len && !u.failed)
        m.cpe_count = unpack_texts(&u, METADATA_LIST, room->cpes);
    if (!unpack_end(&u) || metadata_empty(&m) || (m.kev.due.len && !m.kev.added.len))
        return false;
    *ret = m;
    return true;
}

/* ---- the rest ---- */

static str *copy_texts(const str *texts, size_t count, struct arena *arena)
{
    str *ret = count ? arena_array(arena, str, count) : NULL;
    for (size_t i = 0; ret && i < count; i++)
        ret[i] = arena_dup(arena, texts[i]);
    return ret;
}

void metadata_copy(const struct metadata *m, struct arena *arena, struct metadata *ret)
{
    *ret = *m;
    ret->scores = m->score_count ? arena_array(arena, struct cvss_score, m->score_count) : NULL;
    for (size_t i = 0; ret->scores && i < m->score_count; i++) {
        const struct cvss_score *s = &m->scores[i];
        ret->scores[i] = *s;
        ret->scores[i].version = cvss_version_name(cvss_version(s->version));
        ret->scores[i].vector = arena_dup(arena, s->vector);
        ret->scores[i].source = arena_dup(arena, s->source);
    }
    ret->links = copy_texts(m->links, m->link_count, arena);
    ret->aliases = copy_texts(m->aliases, m->alias_count, arena);
    ret->cpes = copy_texts(m->cpes, m->cpe_count, arena);
    ret->kev.added = arena_dup(arena, m->kev.added);
    ret->kev.due = arena_dup(arena, m->kev.due);
    ret->client.metadata = arena_dup(arena, m->client.metadata);
    ret->client.gone = arena_dup(arena, m->client.gone);
}

void metadata_meaning(struct buf *b, const struct metadata *m)
{
    uint8_t rated[CVSS_VERSIONS] = { 0 }; /* for each version the severities that there are, as bits */
    for (size_t i = 0; i < m->score_count; i++) {
        const struct cvss_score *s = &m->scores[i];
        uint8_t *of = &rated[cvss_version(s->version)];
        *of = (uint8_t)(*of | 1u << cvss_severity(s->version, s->base));
    }
    buf_char(b, (char)m->severity);
    buf_add(b, rated, sizeof rated);
    pack_str(b, m->kev.added);
    pack_str(b, m->kev.due);
}
