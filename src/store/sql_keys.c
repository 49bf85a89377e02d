/* sql_keys.c - keys of services, and nonces: which tokens were seen. See store.h. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/sha256.h"
#include "store/sql.h"

#include <sys/random.h>

/* ---- keys ---- */

static struct service_key read_row(struct sql_stmt *st, struct arena *arena)
{
    return (struct service_key){
        .service = arena_dup(arena, sql_str(st, 0)),
        .kid = arena_dup(arena, sql_str(st, 1)),
        .jwk = arena_dup(arena, sql_str(st, 2)),
        .created = sql_int(st, 3),
        .approved = sql_int(st, 4),
        .expires = sql_int(st, 5),
        .rotation_s = sql_int(st, 6),
        .replaced_by = arena_dup(arena, sql_str(st, 7)),
    };
}

static str never_null(str s) { return s.ptr ? s : STR(""); }

static int put(struct sql *s, enum query q, const struct service_key *k, int64_t approved, struct err *e)
{
    return sql_run(s, e, q, "bbbiiiib", k->service, k->kid, k->jwk, k->created, approved, k->expires,
                   k->rotation_s, never_null(k->replaced_by));
}

int store_key_put(struct store *store, const struct service_key *k, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    return !t || put(s, Q_KEY_PUT, k, k->approved, e) < 0 ? -1 : sql_commit(&t, e);
}

int store_key_add(struct store *store, const struct service_key *k, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t || put(s, Q_KEY_ADD, k, k->approved, e) < 0)
        return -1;
    bool new = sql_changes(s) > 0;
    return sql_commit(&t, e) < 0 ? -1 : new;
}

int store_key_find(struct store *store, str service, str kid, struct arena *arena, struct service_key *ret,
                   struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_KEY_FIND, "bb", never_null(service), never_null(kid));
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found;
    *ret = read_row(st, arena);
    return arena_failed(arena) ? sql_oom(s, e) : 1;
}

int store_key_list(struct store *store, str service, struct arena *arena, struct service_key **ret,
                   size_t *count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct service_key *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_KEY_LIST, "b", never_null(service));
    while (st && (r = sql_row(s, st, e)) > 0) {
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            return sql_oom(s, e);
        list[n++] = read_row(st, arena);
    }
    if (r < 0)
        return -1;
    *ret = list;
    *count = n;
    return arena_failed(arena) ? sql_oom(s, e) : 0;
}

int store_key_count(struct store *store, str service, struct service_key_counts *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_KEY_COUNTS, "b", never_null(service));
    if (!st || sql_row(s, st, e) < 0)
        return -1;
    *ret = (struct service_key_counts){ sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), sql_int(st, 3) };
    return 0;
}

int store_key_delete(struct store *store, str service, str kid, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t || sql_run(s, e, Q_KEY_DELETE, "bb", never_null(service), never_null(kid)) < 0)
        return -1;
    bool gone = sql_changes(s) > 0;
    return sql_commit(&t, e) < 0 ? -1 : gone;
}

int store_key_replace(struct store *store, const struct service_key *k, str old, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t || sql_run(s, e, Q_KEY_END, "bbib", k->service, never_null(old), k->created, k->kid) < 0)
        return -1;
    if (!sql_changes(s))
        return 0;
    if (put(s, Q_KEY_ADD, k, k->created, e) < 0)
        return -1;
    if (!sql_changes(s)) /* another key has that name */
        return 0;
    return sql_commit(&t, e) < 0 ? -1 : 1;
}

/* ---- nonces ---- */

static int hash_of(str issuer, str nonce, uint8_t ret[SHA256_BYTES], struct err *e)
{
    CLEANUP(sha256_freep) struct sha256 *h = sha256_new(e);
    uint64_t len = issuer.len; /* where the one ends and the other begins */
    if (!h)
        return -1;
    sha256_add(h, &len, sizeof len);
    sha256_add(h, issuer.ptr, issuer.len);
    sha256_add(h, nonce.ptr, nonce.len);
    sha256_raw(h, ret);
    return 0;
}

/* Who takes it: a statement that a driver sends twice, for its connection broke, finds its own row. */
static int64_t taker(void)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = (uint64_t)clock_ns();
    return (int64_t)(random >> 1);
}

int store_nonce_take(struct store *store, str issuer, str nonce, int64_t until, struct err *e)
{
    struct sql *s = (struct sql *)store;
    uint8_t hash[SHA256_BYTES];
    if (sql_writable(s, e) < 0 || hash_of(issuer, nonce, hash, e) < 0 ||
        sql_run(s, e, Q_NONCE_TAKE, "bii", str_of(hash, sizeof hash), until, taker()) < 0)
        return -1;
    return sql_changes(s) > 0;
}
