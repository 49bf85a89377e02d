/* sql_ancestry.c - API v3's names: what clients call a layer, and rows of such names. */
#include "store/sql.h"

#include "base/cleanup.h"
#include "codec/pack.h"
#include "store/rows.h"

/* Would be taken for a packed digest. */
static int check_hash(const struct sql *s, str hash, struct err *e)
{
    return hash.len && hash.ptr[0] == 1 ? err_set(e, ERR_USAGE, "%s: a layer's hash begins with 01", s->where)
                                        : 0;
}

/* ---- hashes ---- */

int store_hash_find(struct store *store, str hash, unsigned indexer, struct arena *arena, str *ret_digest,
                    struct err *e)
{
    struct sql *s = (struct sql *)store;
    char room[DIGEST_ROOM];
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_HASH_FIND, "bi", digest_pack(hash, room), (int64_t)indexer);
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found;
    *ret_digest = digest_unpack(sql_str(st, 0), arena);
    return arena_failed(arena) ? sql_oom(s, e) : 1;
}

static int hash_put(struct sql *s, str hash, str digest, unsigned indexer, struct err *e)
{
    int64_t layer;
    char room[DIGEST_ROOM], room_hash[DIGEST_ROOM];
    CLEANUP(sql_endp) struct sql *t = sql_begin_as(s, SQL_INDEX, e);
    int found =
        t ? sql_number(s, e, &layer, Q_LAYER_KNOWN, "bi", digest_pack(digest, room), (int64_t)indexer) : -1;
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "layer " STR_FMT " is not stored", STR_ARG(digest));
    if (sql_run(s, e, Q_HASH_ADD, "bii", digest_pack(hash, room_hash), (int64_t)indexer, layer) < 0)
        return -1;
    return sql_commit(&t, e);
}

int store_hash_put(struct store *store, str hash, str digest, unsigned indexer, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    if (check_hash(s, hash, e) < 0)
        return -1;
    do
        r = hash_put(s, hash, digest, indexer, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

int store_hashes_after(struct store *store, int64_t after, size_t limit, struct arena *arena,
                       struct stored_hash **ret, size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct stored_hash *list = arena_array(arena, struct stored_hash, limit);
    if (!list)
        return sql_oom(s, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_HASHES_AFTER, "ii", after, (int64_t)limit);
    int r = st ? 0 : -1;
    size_t n = 0;
    for (; st && n < limit && (r = sql_row(s, st, e)) > 0; n++)
        list[n] = (struct stored_hash){ sql_int(st, 0), digest_unpack(sql_str(st, 1), arena),
                                        digest_unpack(sql_str(st, 2), arena), (unsigned)sql_int(st, 3) };
    *ret = list;
    *ret_count = n;
    return r < 0 ? -1 : arena_failed(arena) ? sql_oom(s, e) : 0;
}

/* ---- ancestries ---- */

/* The hashes are one list: how many, and each as digest_pack() has it. */
int ancestry_unpack(str blob, struct arena *arena, const str **ret, size_t *ret_count, struct err *e)
{
    struct unpack u = { .rest = blob };
    uint64_t count = unpack_u64(&u);
    if (u.failed || count > STORE_CHAIN_MAX)
        return err_set(e, ERR_FORMAT, "its list of layers is damaged");
    str *list = arena_array(arena, str, (size_t)count + 1);
    for (size_t i = 0; list && i < count; i++)
        list[i] = digest_unpack(unpack_str(&u), arena);
    if (!unpack_end(&u))
        return err_set(e, ERR_FORMAT, "its list of layers is damaged");
    *ret = list;
    *ret_count = (size_t)count;
    return arena_failed(arena) ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int pack_hashes(struct sql *s, const struct ancestry *a, struct buf *to, struct err *e)
{
    if (a->hash_count > STORE_CHAIN_MAX)
        return err_set(e, ERR_LIMIT, "ancestry " STR_FMT ": more than %u layers", STR_ARG(a->name),
                       STORE_CHAIN_MAX);
    pack_u64(to, a->hash_count);
    for (size_t i = 0; i < a->hash_count; i++) {
        char room[DIGEST_ROOM];
        if (check_hash(s, a->hashes[i], e) < 0)
            return -1;
        pack_str(to, digest_pack(a->hashes[i], room));
    }
    return to->failed ? sql_oom(s, e) : 0;
}

/* A row of Q_ANCESTRY_FIND or Q_ANCESTRIES_AFTER. */
static int read_ancestry(struct sql *s, struct sql_stmt *st, struct arena *arena, struct ancestry *ret,
                         struct err *e)
{
    *ret = (struct ancestry){
        .id = sql_int(st, 0),
        .name = arena_dup(arena, sql_str(st, 1)),
        .image = sql_int(st, 2),
        .indexer = (unsigned)sql_int(st, 3),
    };
    if (ancestry_unpack(sql_str(st, 4), arena, &ret->hashes, &ret->hash_count, e) < 0)
        return err_wrap(e, "%s: ancestry " STR_FMT, s->where, STR_ARG(ret->name));
    return arena_failed(arena) ? sql_oom(s, e) : 0;
}

int store_ancestry_find(struct store *store, str name, struct arena *arena, struct ancestry *ret,
                        struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_ANCESTRY_FIND, "b", name);
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found;
    return read_ancestry(s, st, arena, ret, e) < 0 ? -1 : 1;
}

int store_ancestries_after(struct store *store, int64_t after, size_t limit, struct arena *arena,
                           struct ancestry **ret, size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct ancestry *list = arena_array(arena, struct ancestry, limit);
    if (!list)
        return sql_oom(s, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_ANCESTRIES_AFTER, "ii", after, (int64_t)limit);
    int r = st ? 0 : -1;
    size_t n = 0;
    for (; st && n < limit && (r = sql_row(s, st, e)) > 0; n++)
        if (read_ancestry(s, st, arena, &list[n], e) < 0)
            return -1;
    *ret = list;
    *ret_count = n;
    return r < 0 ? -1 : 0;
}

/* Of two at once neither may have seen the other one's row to drop it: PostgreSQL's put then replaces it. */
static int ancestry_put(struct sql *s, const struct ancestry *a, str hashes, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin_as(s, SQL_INDEX, e);
    if (!t || sql_run(s, e, Q_ANCESTRY_DROP, "b", a->name) < 0 ||
        sql_run(s, e, Q_ANCESTRY_PUT, "biib", a->name, a->image, (int64_t)a->indexer, hashes) < 0)
        return -1;
    if (!sql_changes(s))
        return err_set(e, ERR_NOT_FOUND, "the image of ancestry " STR_FMT " is not stored", STR_ARG(a->name));
    return sql_commit(&t, e);
}

int store_ancestry_put(struct store *store, const struct ancestry *a, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(buf_done) struct buf hashes = { 0 };
    unsigned tries = 0;
    int r;
    if (pack_hashes(s, a, &hashes, e) < 0)
        return -1;
    do
        r = ancestry_put(s, a, buf_view(&hashes), e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}
