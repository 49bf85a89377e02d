/* sql_notify.c - notifications: read, taken by one of many, and what came of it. See store.h. */
#include "base/cleanup.h"
#include "store/sql.h"

#include <time.h>

#define UUID_LEN  36
#define ERROR_MAX 1024

/* SQLite's; PostgreSQL asks its own. */
static int64_t clock_here(void) { return (int64_t)time(NULL); }

/* ---- names ---- */

/* What is none need not be looked for, and may hold what a database takes for no text. */
static bool is_name(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("0123456789abcdef-", name.ptr[i]) || !name.ptr[i])
            return false;
    return name.len == UUID_LEN;
}

/* ---- reading ---- */

static struct notification read_row(struct sql_stmt *st, struct arena *arena)
{
    return (struct notification){
        .id = sql_int(st, 0),
        .name = arena_dup(arena, sql_str(st, 1)),
        .feed = arena_dup(arena, sql_str(st, 2)),
        .before = sql_int(st, 3),
        .after = sql_int(st, 4),
        .generation = sql_int(st, 5),
        .created = sql_int(st, 6),
        .notified = sql_int(st, 7),
        .deleted = sql_int(st, 8),
        .attempts = sql_int(st, 9),
        .due = sql_int(st, 10),
        .owner = arena_dup(arena, sql_str(st, 11)),
        .until = sql_int(st, 12),
        .error = arena_dup(arena, sql_str(st, 13)),
        .namespace = arena_dup(arena, sql_str(st, 14)),
    };
}

int store_notification_find(struct store *store, str name, struct arena *arena, struct notification *ret,
                            struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (!is_name(name))
        return 0;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_NOTIFY_FIND, "t", name);
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found;
    *ret = read_row(st, arena);
    return arena_failed(arena) ? sql_oom(s, e) : 1;
}

int store_notification_list(struct store *store, int64_t after, size_t limit, struct arena *arena,
                            struct notification **ret, size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    struct notification *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(s, e, Q_NOTIFY_LIST, "ii", after, limit < INT64_MAX ? (int64_t)limit : INT64_MAX);
    while (st && (r = sql_row(s, st, e)) > 0) {
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            return sql_oom(s, e);
        list[n++] = read_row(st, arena);
    }
    if (r < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = list;
    *ret_count = n;
    return 0;
}

int store_notification_count(struct store *store, struct notification_counts *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_NOTIFY_COUNTS, "");
    if (!st || sql_row(s, st, e) < 0)
        return -1;
    *ret = (struct notification_counts){ sql_int(st, 0), sql_int(st, 1), sql_int(st, 2) };
    return 0;
}

/* ---- putting ---- */

static int put(struct sql *s, const struct notification *n, struct err *e)
{
    int64_t known, feed, namespace, generation;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int found = t ? sql_number(s, e, &known, Q_NOTIFY_FIND, "t", n->name) : -1;
    if (found)
        return found < 0 ? -1 : 0;
    if ((found = sql_number(s, e, &feed, Q_FEED_GET, "t", n->feed)) > 0)
        found = sql_number(s, e, &namespace, Q_NAMESPACE_FIND, "b", n->namespace);
    if (found <= 0)
        return found < 0 ? -1
                         : err_set(e, ERR_NOT_FOUND, "%s: no feed " STR_FMT ", or no namespace " STR_FMT,
                                   s->where, STR_ARG(n->feed), STR_ARG(n->namespace));
    if (sql_generation(s, &generation, e) < 0 ||
        sql_bulk(s, e, BULK_NOTIFICATION, "biiiiiii", n->name, feed, n->before, n->after, generation,
                 n->created, n->due, namespace) < 0 ||
        sql_bulk_end(s, e) < 0)
        return -1;
    return sql_commit(&t, e) < 0 ? -1 : 1;
}

/* A commit that may have gone through is not tried again: it would be told that the name is there. */
int store_notification_put(struct store *store, const struct notification *n, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (!is_name(n->name))
        return err_set(e, ERR_USAGE, "%s: a notification whose name is no UUID", s->where);
    return sql_writable(s, e) < 0 ? -1 : put(s, n, e);
}

/* ---- taking, and what came of it ---- */

static int check_lease(struct sql *s, str owner, unsigned seconds, struct err *e)
{
    if (!owner.len || !seconds || seconds > STORE_NOTIFICATION_LEASE)
        return err_set(e, ERR_USAGE, "%s: a lease without an owner, or not of 1 to %u seconds", s->where,
                       STORE_NOTIFICATION_LEASE);
    return sql_writable(s, e);
}

static int take(struct sql *s, str owner, unsigned seconds, struct arena *arena, struct notification *ret,
                struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        t ? sql_bind(s, e, Q_NOTIFY_TAKE, "tii", owner, (int64_t)seconds, clock_here()) : NULL;
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found;
    struct notification taken = read_row(st, arena);
    sql_resetp(&st);
    if (arena_failed(arena))
        return sql_oom(s, e);
    if (sql_commit(&t, e) < 0)
        return -1;
    *ret = taken;
    return 1;
}

int store_notification_take(struct store *store, str owner, unsigned seconds, struct arena *arena,
                            struct notification *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    if (check_lease(s, owner, seconds, e) < 0)
        return -1;
    do
        r = take(s, owner, seconds, arena, ret, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

/* A statement that has been run in a transaction of its own: did it find its row? */
static int finish(struct sql **t, int ran, struct err *e)
{
    if (!*t || ran < 0)
        return -1;
    int found = sql_changes(*t) > 0;
    return sql_commit(t, e) < 0 ? -1 : found;
}

int store_notification_renew(struct store *store, str name, str owner, unsigned seconds, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (check_lease(s, owner, seconds, e) < 0)
        return -1;
    if (!is_name(name))
        return 0;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int ran = t ? sql_run(s, e, Q_NOTIFY_RENEW, "ttii", name, owner, (int64_t)seconds, clock_here()) : -1;
    return finish(&t, ran, e);
}

static int sent(struct sql *s, str name, str owner, int64_t again_s, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int ran = t ? sql_run(s, e, Q_NOTIFY_SENT, "ttii", name, owner, again_s, clock_here()) : -1;
    return finish(&t, ran, e);
}

/* The owner stays, so that it may be said twice: what was told should not be told again because of an answer that was lost. */
int store_notification_sent(struct store *store, str name, str owner, int64_t again_s, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    if (sql_writable(s, e) < 0)
        return -1;
    if (!is_name(name) || !owner.len)
        return 0;
    do
        r = sent(s, name, owner, again_s, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

int store_notification_failed(struct store *store, str name, str owner, int64_t due_s, str error,
                              struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return -1;
    if (!is_name(name) || !owner.len)
        return 0;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int ran = t ? sql_run(s, e, Q_NOTIFY_FAILED, "ttibi", name, owner, due_s, str_head(error, ERROR_MAX),
                          clock_here())
                : -1;
    return finish(&t, ran, e);
}

static int retry(struct sql *s, str name, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int ran = t ? sql_run(s, e, Q_NOTIFY_RETRY, "ti", name, clock_here()) : -1;
    return finish(&t, ran, e);
}

int store_notification_retry(struct store *store, str name, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    int r;
    if (sql_writable(s, e) < 0)
        return -1;
    if (!is_name(name))
        return 0;
    do
        r = retry(s, name, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}

/* *gone: a commit that may have gone through deleted it. */
static int delete_named(struct sql *s, str name, bool *gone, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t || sql_run(s, e, Q_NOTIFY_DELETE, "ti", name, clock_here()) < 0)
        return -1;
    int deleted = sql_changes(s) > 0 || *gone;
    *gone = deleted;
    return sql_commit(&t, e) < 0 ? -1 : deleted;
}

int store_notification_delete(struct store *store, str name, struct err *e)
{
    struct sql *s = (struct sql *)store;
    unsigned tries = 0;
    bool gone = false;
    int r;
    if (sql_writable(s, e) < 0)
        return -1;
    if (!is_name(name))
        return 0;
    do
        r = delete_named(s, name, &gone, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
}
