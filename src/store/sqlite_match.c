#include "store/sqlite.h"

#include "base/cleanup.h"
#include "base/strmap.h"
#include "store/rows.h"

struct matching {
    struct sqlite *s;
    struct arena *arena;
    int64_t image, namespace, generation;
    str namespace_name, scheme;
    int64_t *feed_ids; /* of match.feeds */
    struct strmap texts;
};

/* What an advisory says in each of its findings: one copy, for hundreds of packages may have one source. */
struct texts {
    int64_t advisory;
    str key, id, title, link, description;
};

static int oom(const struct sqlite *s, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: matching: out of memory", s->where);
}

static int read_generation(struct sqlite *s, int64_t *ret, struct err *e)
{
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_GENERATION, "");
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1 : err_set(e, ERR_FORMAT, "%s: no generation", s->where);
    *ret = sqlite3_column_int64(st, 0);
    return 0;
}

/* 1 the image's namespace is known to feeds, 0 it is not, -1. */
static int read_namespace(struct matching *m, struct err *e)
{
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(m->s, e, Q_IMAGE_NAMESPACE, "i", m->image);
    int r = st ? sqlite_row(m->s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "%s: no image %lld", m->s->where, (long long)m->image);
    m->namespace_name = arena_dup(m->arena, sqlite_str(st, 0));
    m->namespace = sqlite3_column_int64(st, 1);
    m->scheme = arena_dup(m->arena, sqlite_str(st, 2));
    return arena_failed(m->arena) ? oom(m->s, e) : m->namespace != 0;
}

static int read_feeds(struct matching *m, struct match *ret, struct err *e)
{
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(m->s, e, Q_MATCH_FEEDS, "i", m->namespace);
    size_t cap = 0, id_cap = 0;
    int r = -1;
    while (st && (r = sqlite_row(m->s, st, e)) > 0) {
        ret->feeds = arena_grow(m->arena, ret->feeds, ret->feed_count, &cap, sizeof *ret->feeds);
        m->feed_ids = arena_grow(m->arena, m->feed_ids, ret->feed_count, &id_cap, sizeof *m->feed_ids);
        if (!ret->feeds || !m->feed_ids)
            return oom(m->s, e);
        m->feed_ids[ret->feed_count] = sqlite3_column_int64(st, 0);
        ret->feeds[ret->feed_count++] = (struct match_feed){
            .name = arena_dup(m->arena, sqlite_str(st, 1)),
            .last_success = sqlite3_column_int64(st, 2),
        };
    }
    return r;
}

static str feed_name(const struct matching *m, const struct match *match, int64_t id)
{
    for (size_t i = 0; i < match->feed_count; i++)
        if (m->feed_ids[i] == id)
            return match->feeds[i].name;
    return STR("");
}

/* NULL when out of memory. */
static const struct texts *texts_of(struct matching *m, sqlite3_stmt *st)
{
    struct arena *a = m->arena;
    int64_t id = sqlite3_column_int64(st, 12);
    struct texts *t = strmap_get(&m->texts, str_of(&id, sizeof id));
    if (t)
        return t;
    t = arena_array(a, struct texts, 1);
    if (!t)
        return NULL;
    t->advisory = id;
    void **place = strmap_at(&m->texts, str_of(&t->advisory, sizeof t->advisory));
    if (!place)
        return NULL;
    t->id = arena_dup(a, sqlite_str(st, 2));
    t->key = arena_dup(a, sqlite_str(st, 3));
    t->title = arena_dup(a, sqlite_str(st, 9));
    t->link = arena_dup(a, sqlite_str(st, 10));
    t->description = arena_dup(a, sqlite_str(st, 11));
    return *place = t;
}

static struct candidate candidate_of(const struct matching *m, const struct match *match,
                                     const struct texts *t, sqlite3_stmt *st)
{
    struct arena *a = m->arena;
    str feed = feed_name(m, match, sqlite3_column_int64(st, 1));
    return (struct candidate){
        .finding = {
            .package = (uint32_t)sqlite3_column_int64(st, 0),
            .id = t->id,
            .fixed_version = arena_dup(a, sqlite_str(st, 5)),
            .state = (enum fix_state)sqlite3_column_int(st, 6),
            .severity = (enum severity)sqlite3_column_int(st, 7),
            .severity_source = feed,
            .namespace = m->namespace_name,
            .feed = feed,
            .uncertain = sqlite3_column_int(st, 8),
            .title = t->title,
            .link = t->link,
            .description = t->description,
        },
        .key = t->key,
        .fixed_key = arena_dup(a, sqlite_str(st, 4)),
    };
}

static int read_candidates(struct matching *m, struct match *ret, struct err *e)
{
    CLEANUP(sqlite_resetp)
    sqlite3_stmt *st =
        sqlite_bind(m->s, e, Q_MATCH, "iibi", m->image, m->namespace, m->scheme, m->generation);
    CLEANUP(freep) struct candidate *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    while (st && (r = sqlite_row(m->s, st, e)) > 0) {
        if (n == STORE_MATCH_MAX)
            return err_set(e, ERR_LIMIT, "more than %u findings", STORE_MATCH_MAX);
        if (n == cap) {
            cap = cap ? cap * 2 : 256;
            struct candidate *more = reallocarray(list, cap, sizeof *list);
            if (!more)
                return oom(m->s, e);
            list = more;
        }
        const struct texts *t = texts_of(m, st);
        if (t)
            list[n++] = candidate_of(m, ret, t, st);
        if (!t || arena_failed(m->arena))
            return oom(m->s, e);
    }
    if (r < 0)
        return -1;
    n = candidates_pick(list, n);
    ret->findings = arena_array(m->arena, struct finding, n);
    if (!ret->findings)
        return oom(m->s, e);
    for (size_t i = 0; i < n; i++)
        ret->findings[i] = list[i].finding;
    ret->finding_count = n;
    return 0;
}

static void matching_done(struct matching *m) { strmap_done(&m->texts); }

int sqlite_match(struct store *store, int64_t image_id, struct arena *arena, struct match *ret, struct err *e)
{
    CLEANUP(matching_done)
    struct matching m = { .s = (struct sqlite *)store, .arena = arena, .image = image_id };
    struct match match = { 0 };
    CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(m.s, false, e);
    if (!t || read_generation(m.s, &m.generation, e) < 0)
        return -1;
    match.generation = m.generation;
    int known = read_namespace(&m, e);
    if (known < 0 || (known && (read_feeds(&m, &match, e) < 0 || read_candidates(&m, &match, e) < 0)))
        return -1;
    if (match.feed_count)
        match.scheme = m.scheme;
    *ret = match;
    return sqlite_commit(&t, e);
}
