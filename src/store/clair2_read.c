/* clair2_read.c - a database of Clair 2: what is in it, in steps. */
#include "store/clair2_internal.h"

#include "base/cleanup.h"

#include <stdlib.h>

#define CUT(name) "left(" name ", 1025)" /* one more than CLAIR2_NAME_MAX */
_Static_assert(CLAIR2_NAME_MAX == 1024, "CUT");

struct rows { /* of an answer */
    PGresult *r;
    struct arena *arena;
    int count;
};

static void rows_done(struct rows *q) { PQclear(q->r); }

static struct rows rows_of(PGresult *r, struct arena *arena)
{
    return (struct rows){ r, arena, r ? PQntuples(r) : -1 };
}

static int oom(struct err *e) { return err_set(e, ERR_OOM, "Clair's database: out of memory"); }

/* NULL is empty. */
static str text(const struct rows *q, int row, int column)
{
    return arena_dup(q->arena, str_of(PQgetvalue(q->r, row, column), (size_t)PQgetlength(q->r, row, column)));
}

static int64_t number(const struct rows *q, int row, int column)
{
    return strtoll(PQgetvalue(q->r, row, column), NULL, 10);
}

static bool is_true(const struct rows *q, int row, int column)
{
    return PQgetvalue(q->r, row, column)[0] == 't';
}

/* The end of each list. */
static int finish(const struct rows *q, size_t *ret_count, struct err *e)
{
    *ret_count = (size_t)q->count;
    return arena_failed(q->arena) ? oom(e) : 0;
}

/* ---- layers ---- */

int clair2_layers_after(struct clair2 *c, int64_t after, size_t limit, struct arena *arena,
                        struct clair2_layer **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(rows_done)
    struct rows q = rows_of(clair2_ask(c, "read its layers", e,
                                       "SELECT l.id, " CUT("l.name") ", " CUT(
                                           "n.name") ", l.engineversion, EXISTS (SELECT 1 FROM"
                                                     " public.layer_diff_featureversion d WHERE d.layer_id = "
                                                     "l.id) FROM public.layer l LEFT JOIN"
                                                     " public.namespace n ON n.id = l.namespace_id WHERE "
                                                     "l.id > %lld ORDER BY l.id LIMIT %zu",
                                       (long long)after, limit),
                            arena);
    if (!q.r)
        return -1;
    struct clair2_layer *list = arena_array(arena, struct clair2_layer, (size_t)q.count + 1);
    if (!list)
        return oom(e);
    for (int i = 0; i < q.count; i++) {
        int64_t engine = number(&q, i, 3);
        list[i] = (struct clair2_layer){ .id = number(&q, i, 0),
                                         .name = text(&q, i, 1),
                                         .namespace = text(&q, i, 2),
                                         .engine = engine > 0 ? (unsigned)engine : 0,
                                         .changes = is_true(&q, i, 4) };
    }
    *ret = list;
    return finish(&q, ret_count, e);
}

static str *first_column(const struct rows *q, struct arena *arena)
{
    str *list = arena_array(arena, str, (size_t)q->count + 1);
    for (int i = 0; list && i < q->count; i++)
        list[i] = text(q, i, 0);
    return list;
}

/* A layer and its ancestors: id, name, parent, depth. */
#define CHAIN                                                                                                \
    "WITH RECURSIVE chain(id, name, parent, depth) AS (SELECT id, name, parent_id, 0 FROM public.layer "     \
    "WHERE"                                                                                                  \
    " id = %lld UNION ALL SELECT l.id, l.name, l.parent_id, c.depth + 1 FROM chain c JOIN public.layer l ON" \
    " l.id = c.parent WHERE c.depth < %zu) "

int clair2_chain(struct clair2 *c, int64_t layer, size_t limit, struct arena *arena, str **ret_names,
                 size_t *ret_count, bool *ret_whole, struct err *e)
{
    CLEANUP(rows_done)
    struct rows q =
        rows_of(clair2_ask(c, "read a layer's ancestors", e,
                           CHAIN "SELECT " CUT("name") ", parent IS NULL FROM chain ORDER BY depth DESC",
                           (long long)layer, limit - 1),
                arena);
    if (!q.r)
        return -1;
    if (!(*ret_names = first_column(&q, arena)))
        return oom(e);
    *ret_whole = q.count && is_true(&q, 0, 1);
    return finish(&q, ret_count, e);
}

int clair2_features(struct clair2 *c, int64_t layer, size_t chain_max, struct arena *arena,
                    struct clair2_feature **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(rows_done)
    struct rows q = rows_of(
        clair2_ask(c, "read a layer's features", e,
                   CHAIN "SELECT " CUT("n.name") ", " CUT("n.version_format") ", " CUT("f.name") ", " CUT(
                       "v.version") ", d.depth FROM (SELECT DISTINCT ON (d.featureversion_id) "
                                    "d.featureversion_id AS id,"
                                    " d.modification::text AS how, c.depth FROM chain c JOIN "
                                    "public.layer_diff_featureversion d"
                                    " ON d.layer_id = c.id ORDER BY d.featureversion_id, c.depth) d LEFT JOIN"
                                    " public.featureversion v ON v.id = d.id LEFT JOIN public.feature f ON "
                                    "f.id = v.feature_id"
                                    " LEFT JOIN public.namespace n ON n.id = f.namespace_id WHERE d.how = "
                                    "'add' LIMIT %u",
                   (long long)layer, chain_max - 1, CLAIR2_FEATURES_MAX + 1),
        arena);
    if (!q.r)
        return -1;
    if (q.count > (int)CLAIR2_FEATURES_MAX)
        return err_set(e, ERR_LIMIT, "more than %u packages", CLAIR2_FEATURES_MAX);
    struct clair2_feature *list = arena_array(arena, struct clair2_feature, (size_t)q.count + 1);
    if (!list)
        return oom(e);
    for (int i = 0; i < q.count; i++)
        list[i] = (struct clair2_feature){ text(&q, i, 0), text(&q, i, 1), text(&q, i, 2), text(&q, i, 3),
                                           (uint32_t)number(&q, i, 4) };
    *ret = list;
    return finish(&q, ret_count, e);
}

/* ---- vulnerabilities ---- */

int clair2_vulnerabilities_after(struct clair2 *c, int64_t after, size_t limit, struct arena *arena,
                                 struct clair2_name **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(rows_done)
    struct rows q = rows_of(
        clair2_ask(
            c, "read its vulnerabilities", e,
            "SELECT v.id, " CUT("n.name") ", " CUT(
                "v.name") " FROM public.vulnerability v LEFT"
                          " JOIN public.namespace n ON n.id = v.namespace_id WHERE v.deleted_at IS NULL AND"
                          " v.id > %lld ORDER BY v.id LIMIT %zu",
            (long long)after, limit),
        arena);
    if (!q.r)
        return -1;
    struct clair2_name *list = arena_array(arena, struct clair2_name, (size_t)q.count + 1);
    if (!list)
        return oom(e);
    for (int i = 0; i < q.count; i++)
        list[i] = (struct clair2_name){ number(&q, i, 0), text(&q, i, 1), text(&q, i, 2) };
    *ret = list;
    return finish(&q, ret_count, e);
}

static int read_fixes(struct clair2 *c, int64_t id, struct arena *arena, struct clair2_vulnerability *ret,
                      struct err *e)
{
    CLEANUP(rows_done)
    struct rows q = rows_of(
        clair2_ask(c, "read the fixes of a vulnerability", e,
                   "SELECT " CUT("f.name") ", " CUT(
                       "x.version") " FROM public.vulnerability_fixedin_feature x LEFT JOIN public.feature f "
                                    "ON f.id ="
                                    " x.feature_id WHERE x.vulnerability_id = %lld ORDER BY x.id LIMIT %u",
                   (long long)id, CLAIR2_FIXES_MAX + 1),
        arena);
    if (!q.r)
        return -1;
    if (q.count > (int)CLAIR2_FIXES_MAX)
        return err_set(e, ERR_LIMIT, "it is fixed in more than %u features", CLAIR2_FIXES_MAX);
    ret->fixes = arena_array(arena, struct clair2_fix, (size_t)q.count + 1);
    if (!ret->fixes)
        return oom(e);
    for (int i = 0; i < q.count; i++)
        ret->fixes[i] = (struct clair2_fix){ text(&q, i, 0), text(&q, i, 1) };
    return finish(&q, &ret->fix_count, e);
}

int clair2_vulnerability_get(struct clair2 *c, int64_t id, struct arena *arena,
                             struct clair2_vulnerability *ret, struct err *e)
{
    *ret = (struct clair2_vulnerability){ 0 };
    CLEANUP(rows_done)
    struct rows q = rows_of(
        clair2_ask(c, "read a vulnerability", e,
                   "SELECT size, " CUT(
                       "version_format") ", CASE WHEN size <= %u THEN description END, CASE WHEN size <= %u "
                                         "THEN link END,"
                                         " severity::text, CASE WHEN size <= %u THEN metadata END FROM "
                                         "(SELECT v.*, n.version_format,"
                                         " octet_length(coalesce(v.description, '')) + "
                                         "octet_length(coalesce(v.link, '')) +"
                                         " octet_length(coalesce(v.metadata, '')) AS size FROM "
                                         "public.vulnerability v LEFT JOIN"
                                         " public.namespace n ON n.id = v.namespace_id WHERE v.id = %lld) w",
                   CLAIR2_TEXT_MAX, CLAIR2_TEXT_MAX, CLAIR2_TEXT_MAX, (long long)id),
        arena);
    if (q.count <= 0)
        return q.count;
    if (number(&q, 0, 0) > CLAIR2_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "its texts have more than %u bytes", CLAIR2_TEXT_MAX);
    *ret = (struct clair2_vulnerability){ .format = text(&q, 0, 1),
                                          .description = text(&q, 0, 2),
                                          .link = text(&q, 0, 3),
                                          .severity = text(&q, 0, 4),
                                          .metadata = text(&q, 0, 5) };
    return read_fixes(c, id, arena, ret, e) < 0 ? -1 : 1;
}

/* ---- the rest ---- */

int clair2_notifications_after(struct clair2 *c, int64_t after, size_t limit, struct arena *arena,
                               struct clair2_notification **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(rows_done)
    struct rows q = rows_of(
        clair2_ask(
            c, "read its notifications", e,
            "SELECT x.id, " CUT("x.name") ", coalesce(extract(epoch FROM x.created_at), 0)::bigint, " CUT(
                "n.name") ", " CUT("o.name") ", " CUT("w.name") " FROM public.vulnerability_notification x "
                                                                "LEFT JOIN public.vulnerability o ON o.id ="
                                                                " x.old_vulnerability_id LEFT JOIN "
                                                                "public.vulnerability w ON w.id = "
                                                                "x.new_vulnerability_id"
                                                                " LEFT JOIN public.namespace n ON n.id = "
                                                                "coalesce(w.namespace_id, o.namespace_id) "
                                                                "WHERE"
                                                                " x.deleted_at IS NULL AND x.id > %lld ORDER "
                                                                "BY x.id LIMIT %zu",
            (long long)after, limit),
        arena);
    if (!q.r)
        return -1;
    struct clair2_notification *list = arena_array(arena, struct clair2_notification, (size_t)q.count + 1);
    if (!list)
        return oom(e);
    for (int i = 0; i < q.count; i++)
        list[i] = (struct clair2_notification){ .id = number(&q, i, 0),
                                                .name = text(&q, i, 1),
                                                .created = number(&q, i, 2),
                                                .namespace = text(&q, i, 3),
                                                .old = text(&q, i, 4),
                                                .new = text(&q, i, 5) };
    *ret = list;
    return finish(&q, ret_count, e);
}

int clair2_keys(struct clair2 *c, size_t limit, struct arena *arena, str **ret, size_t *ret_count,
                struct err *e)
{
    CLEANUP(rows_done)
    struct rows q =
        rows_of(clair2_ask(c, "read its key-values", e,
                           "SELECT left(key, 128) FROM public.keyvalue ORDER BY key LIMIT %zu", limit),
                arena);
    if (!q.r)
        return -1;
    if (!(*ret = first_column(&q, arena)))
        return oom(e);
    return finish(&q, ret_count, e);
}
