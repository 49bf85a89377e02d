/* sql_match.c - which ranges contain an image's packages. */
#include "store/sql_match.h"

#include "base/cleanup.h"

#include <stdlib.h>

int match_oom(const struct sql *s, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: matching: out of memory", s->where);
}

/* ---- feeds ---- */

struct known_feed {
    struct match_feed feed;
    struct feed_rank rank;
};

static int by_name(const void *pa, const void *pb)
{
    return str_cmp(((const struct known_feed *)pa)->feed.name, ((const struct known_feed *)pb)->feed.name);
}

/* Those of one more namespace; a feed may speak of several. */
static int add_feeds(struct matching *m, const struct match_space *n, struct known_feed **list, size_t *count,
                     size_t *cap, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(m->s, e, Q_MATCH_FEEDS, "i", n->space.id);
    size_t before = *count;
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        size_t i = 0;
        n->judged->covered |= !str_eq(sql_str(st, 1), STORE_MANUAL);
        while (i < before && (*list)[i].rank.feed != sql_int(st, 0))
            i++;
        if (i < before)
            continue;
        *list = arena_grow(m->arena, *list, *count, cap, sizeof **list);
        if (!*list)
            return match_oom(m->s, e);
        (*list)[(*count)++] = (struct known_feed){
            .feed = { .name = arena_dup(m->arena, sql_str(st, 1)), .last_success = sql_int(st, 2) },
            .rank = { sql_int(st, 0), sql_int(st, 3) },
        };
    }
    return r;
}

static int read_feeds(struct matching *m, struct match *ret, struct err *e)
{
    struct known_feed *list = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < m->space_count; i++)
        if (add_feeds(m, &m->spaces[i], &list, &n, &cap, e) < 0)
            return -1;
    if (n && m->space_count > 1)
        qsort(list, n, sizeof *list, by_name);
    ret->feeds = arena_array(m->arena, struct match_feed, n + 1);
    m->ranks = arena_array(m->arena, struct feed_rank, n + 1);
    if (arena_failed(m->arena))
        return match_oom(m->s, e);
    for (size_t i = 0; i < n; i++) {
        ret->feeds[i] = list[i].feed;
        m->ranks[i] = list[i].rank;
    }
    ret->feed_count = n;
    return 0;
}

size_t match_feed_at(const struct matching *m, const struct match *match, int64_t feed)
{
    size_t i = 0;
    while (i < match->feed_count && m->ranks[i].feed != feed)
        i++;
    return i;
}

/* ---- pairs ---- */

struct named {
    struct sql_pair pair;
    uint32_t position;
};

static int by_pair(const void *pa, const void *pb)
{
    const struct named *a = pa, *b = pb;
    int r = str_cmp(a->pair.name, b->pair.name);
    r = r ? r : str_cmp(a->pair.key, b->pair.key);
    return r ? r : (a->position > b->position) - (a->position < b->position);
}

static size_t name_packages(struct matching *m, const struct judged *j, bool source, struct named *list)
{
    size_t n = 0;
    struct version_key key;
    for (size_t i = 0; i < m->image->package_count; i++) {
        const struct package *p = &m->image->packages[i].package;
        if (!str_eq(p->kind, j->kind))
            continue;
        str version = source ? p->source_version : p->version, name = source ? p->source : p->name;
        list[n++] = (struct named){ { j->ecosystem ? ecosystem_package(j->ecosystem, name, m->arena) : name,
                                      arena_dup(m->arena, installed_key(j->scheme, version, &key)) },
                                    (uint32_t)i };
    }
    return n;
}

int match_pairs(struct matching *m, struct judged *j, enum affected_kind kind, struct err *e)
{
    size_t max = m->image->package_count;
    struct pairs *p = &j->pairs[kind];
    if (p->list)
        return 0;
    CLEANUP(freep) struct named *list = malloc((max + 1) * sizeof *list);
    p->list = arena_array(m->arena, struct sql_pair, max + 1);
    p->members = arena_array(m->arena, uint32_t, max + 1);
    p->starts = arena_array(m->arena, size_t, max + 2);
    if (!list || arena_failed(m->arena))
        return match_oom(m->s, e);
    size_t n = name_packages(m, j, kind == AFFECTS_SOURCE, list);
    if (n)
        qsort(list, n, sizeof *list, by_pair);
    for (size_t i = 0; i < n; i++) {
        const struct sql_pair *last = p->count ? &p->list[p->count - 1] : NULL;
        if (!last || !str_eq(last->name, list[i].pair.name) || !str_eq(last->key, list[i].pair.key)) {
            p->starts[p->count] = i;
            p->list[p->count++] = list[i].pair;
        }
        p->members[i] = list[i].position;
    }
    p->starts[p->count] = n;
    return arena_failed(m->arena) ? match_oom(m->s, e) : 0;
}

int match_fits(struct matching *m, const struct package *p, str key, str introduced, str arch, str qualifiers,
               struct err *e)
{
    str module, cpe;
    qualifiers_unpack(qualifiers, &module, &cpe);
    if ((arch.len && !str_eq(arch, p->arch)) || !module_fits(module, p->module, p->version, m->unlabelled) ||
        (key.len && str_cmp(introduced, key) > 0))
        return 0;
    int r = sql_cpe_applies(&m->cpes, cpe);
    return r < 0 ? match_oom(m->s, e) : r;
}

static str fix_of(struct matching *m, str end)
{
    struct affected_range r;
    range_end_read(end, &r);
    return arena_dup(m->arena, r.fixed_version);
}

static int add_hits(struct matching *m, const struct pairs *p, enum affected_kind kind, struct sql_stmt *st,
                    struct err *e)
{
    size_t pair = (size_t)sql_int(st, 0);
    if (pair >= p->count)
        return err_set(e, ERR_INTERNAL, "%s: a match of nothing", m->s->where);
    str key = p->list[pair].key, introduced = sql_str(st, 7), arch = sql_str(st, 8),
        qualifiers = sql_str(st, 9);
    struct hit hit = {
        .advisory = sql_int(st, 1),
        .kind = kind,
        .state = (uint8_t)sql_int(st, 4),
        .severity = (uint8_t)sql_int(st, 5),
        .uncertain = !key.len || sql_int(st, 6),
    };
    bool copied = false;
    for (size_t i = p->starts[pair]; i < p->starts[pair + 1]; i++) {
        uint32_t position = p->members[i];
        int fits = match_fits(m, &m->image->packages[position].package, key, introduced, arch, qualifiers, e);
        if (fits < 0)
            return -1;
        if (!fits)
            continue;
        if (!copied) {
            hit.fixed_key = arena_dup(m->arena, sql_str(st, 2));
            hit.fixed = fix_of(m, sql_str(st, 3));
            copied = true;
        }
        if (m->hit_count == STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u findings", STORE_MATCH_MAX);
        m->hits = arena_grow(m->arena, m->hits, m->hit_count, &m->hit_cap, sizeof *m->hits);
        if (!m->hits)
            return match_oom(m->s, e);
        hit.position = position;
        m->hits[m->hit_count++] = hit;
    }
    return 0;
}

static int read_hits(struct matching *m, const struct match_space *n, enum affected_kind kind, struct err *e)
{
    enum query q = kind == AFFECTS_SOURCE ? Q_MATCH_SOURCE : Q_MATCH_BINARY;
    const struct pairs *p = &n->judged->pairs[kind];
    if (match_pairs(m, n->judged, kind, e) < 0)
        return -1;
    if (!p->count)
        return 0;
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(m->s, e, q, "Pii", p->list, p->count, n->space.id, (int64_t)STORE_MATCH_MAX + 1);
    int r = -1;
    size_t rows = 0;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        if (rows++ == STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u findings", STORE_MATCH_MAX);
        if (add_hits(m, p, kind, st, e) < 0)
            return -1;
    }
    return r < 0 ? -1 : arena_failed(m->arena) ? match_oom(m->s, e) : 0;
}

static int read_all(struct matching *m, struct match *ret, struct err *e)
{
    for (size_t i = 0; i < m->space_count; i++) {
        const struct match_space *n = &m->spaces[i];
        if (((n->space.kinds & KIND_SOURCE) && read_hits(m, n, AFFECTS_SOURCE, e) < 0) ||
            ((n->space.kinds & KIND_BINARY) && read_hits(m, n, AFFECTS_BINARY, e) < 0))
            return -1;
    }
    return m->hit_count ? match_findings(m, ret, e) : 0;
}

/* What clients wrote of a namespace does not cover it. */
static void leave_out_manual(struct match *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->feed_count; i++)
        if (!str_eq(m->feeds[i].name, STORE_MANUAL))
            m->feeds[kept++] = m->feeds[i];
    m->feed_count = kept;
}

static void matching_done(struct matching *m)
{
    strmap_done(&m->negatives);
    sql_cpes_done(&m->cpes);
}

static void add_space(struct matching *m, struct judged *j, const struct sql_space *space)
{
    m->spaces[m->space_count++] = (struct match_space){ *space, j };
}

/* Packages of another kind than the namespace's are not judged. */
static int read_own_spaces(struct matching *m, struct err *e)
{
    const struct image_index *i = m->image;
    struct sql_space own[SQL_SPACES];
    struct judged *j = &m->judged[m->judged_count++];
    size_t count;
    if (sql_spaces_of(m->s, i->distribution.namespace, m->arena, own, &count, &m->data, e) < 0)
        return -1;
    for (size_t k = 0; k < count; k++) {
        j->kind = j->scheme = j->scheme.len ? j->scheme : own[k].scheme;
        add_space(m, j, &own[k]);
    }
    m->unlabelled = distribution_unlabelled(m->data);
    if (!count)
        return 0;
    return sql_cpes_of(m->s, i->facts, m->metadata ? i->fact_count : 0, m->data, m->generation, m->arena,
                       &m->cpes, e);
}

/* That of an ecosystem, at the first package of its kind. */
static int read_ecosystem(struct matching *m, str kind, struct err *e)
{
    const struct ecosystem *ecosystem = ecosystem_of(kind);
    struct sql_space space;
    size_t i = 1;
    while (i < m->judged_count && m->judged[i].ecosystem != ecosystem)
        i++;
    if (!ecosystem || i < m->judged_count)
        return 0;
    m->judged[m->judged_count++] =
        (struct judged){ .kind = kind, .scheme = str_from(ecosystem->scheme), .ecosystem = ecosystem };
    int found = sql_space_find(m->s, kind, m->arena, &space, e);
    if (found > 0)
        add_space(m, &m->judged[i], &space);
    return found < 0 ? -1 : 0;
}

static int read_spaces(struct matching *m, struct err *e)
{
    if (read_own_spaces(m, e) < 0)
        return -1;
    for (size_t i = 0; i < m->image->package_count; i++) {
        str kind = m->image->packages[i].package.kind;
        if (!str_eq(kind, m->judged[0].kind) && read_ecosystem(m, kind, e) < 0)
            return -1;
    }
    return 0;
}

static void tell_judged(const struct matching *m, struct match *ret)
{
    ret->scheme = m->judged[0].covered ? m->judged[0].scheme : STR("");
    for (size_t i = 1; i < m->judged_count; i++)
        if (m->judged[i].covered)
            ret->ecosystems[ret->ecosystem_count++] = m->judged[i].kind;
}

int store_match(struct store *store, const struct image_index *image, enum match_names names,
                struct arena *arena, struct match *ret, struct err *e)
{
    CLEANUP(matching_done)
    struct matching m = { .s = (struct sql *)store, .arena = arena, .image = image, .names = names };
    struct match match = { 0 };
    CLEANUP(sql_endp) struct sql *t = sql_begin(m.s, false, e);
    if (!t || sql_state(m.s, &m.generation, &m.metadata, e) < 0)
        return -1;
    match.generation = m.generation;
    if (read_spaces(&m, e) < 0 ||
        (m.space_count && (read_feeds(&m, &match, e) < 0 || read_all(&m, &match, e) < 0)))
        return -1;
    leave_out_manual(&match);
    match.data = m.data;
    tell_judged(&m, &match);
    *ret = match;
    return sql_commit(&t, e);
}
