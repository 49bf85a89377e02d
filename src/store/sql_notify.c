/* sql_notify.c - notifications: made from the change log, taken by one of many. See store.h. */
#include "base/cleanup.h"
#include "store/sql.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#define UUID_LEN  36
#define LIMIT_MAX 10000 /* of one transaction */
#define ERROR_MAX 1024

/* SQLite's; PostgreSQL asks its own. */
static int64_t clock_here(void) { return (int64_t)time(NULL); }

/* ---- names ---- */

/* RFC 9562 section 5.4: version 4. */
static int make_name(char ret[UUID_LEN + 1], struct err *e)
{
    uint8_t b[16];
    ssize_t n = getrandom(b, sizeof b, 0);
    if (n != (ssize_t)sizeof b) /* so few bytes come whole */
        return err_set(e, ERR_IO, "no random bytes: %s", strerror(errno));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    char *to = ret;
    for (size_t i = 0; i < sizeof b; i++)
        to += sprintf(to, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    return 0;
}

/* What is none need not be looked for, and may hold what a database takes for no text. */
static bool is_name(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("0123456789abcdef-", name.ptr[i]) || !name.ptr[i])
            return false;
    return name.len == UUID_LEN;
}

/* ---- making ---- */

struct place { /* where the next change is looked for */
    int64_t generation, number;
};

struct change {
    struct sql *s;
    int64_t generation, feed, before, after, now, due;
    struct stored_advisory was, is; /* without ranges: there is none */
};

static int make_one(const struct change *c, int64_t namespace, struct err *e)
{
    char name[UUID_LEN + 1];
    if (make_name(name, e) < 0)
        return -1;
    return sql_bulk(c->s, e, BULK_NOTIFICATION, "biiiiiii", str_of(name, UUID_LEN), c->feed, c->before,
                    c->after, c->generation, c->now, c->due, namespace);
}

static bool same_range(const struct affected_range *a, const struct affected_range *b)
{
    return a->kind == b->kind && a->negative == b->negative && a->severity == b->severity &&
           a->state == b->state && str_eq(a->package, b->package) && str_eq(a->introduced, b->introduced) &&
           str_eq(a->fixed_version, b->fixed_version) && str_eq(a->arch, b->arch) &&
           str_eq(a->module, b->module);
}

/* The next range of that namespace from *i on; NULL: there is none. */
static const struct affected_range *next_of(const struct advisory *a, str namespace, size_t *i)
{
    while (*i < a->range_count && !str_eq(a->ranges[*i].namespace, namespace))
        ++*i;
    return *i < a->range_count ? &a->ranges[(*i)++] : NULL;
}

static bool differs(const struct change *c, str namespace)
{
    const struct affected_range *a, *b;
    size_t i = 0, k = 0;
    do {
        a = next_of(&c->was.advisory, namespace, &i);
        b = next_of(&c->is.advisory, namespace, &k);
        if (!a != !b || (a && !same_range(a, b)))
            return true;
    } while (a);
    return false;
}

static int make_in(const struct change *c, str namespace, struct err *e)
{
    int64_t id;
    int found = sql_number(c->s, e, &id, Q_NAMESPACE_FIND, "b", namespace);
    return found <= 0 ? found : make_one(c, id, e);
}

/* Those of `a` of which `seen`, that was looked at before, does not speak; `all`: whether they differ or not. */
static int make_of(const struct change *c, const struct advisory *a, const struct advisory *seen, bool all,
                   size_t *made, struct err *e)
{
    for (size_t i = 0; i < a->range_count; i++) {
        size_t first = 0, other = 0;
        str namespace = a->ranges[i].namespace;
        if (next_of(a, namespace, &first) != &a->ranges[i] || next_of(seen, namespace, &other) ||
            (!all && !differs(c, namespace)))
            continue;
        if (make_in(c, namespace, e) < 0)
            return -1;
        ++*made;
    }
    return 0;
}

static int make_spaces(const struct change *c, bool all, size_t *made, struct err *e)
{
    const struct advisory none = { 0 };
    return make_of(c, &c->is.advisory, &none, all, made, e) < 0 ||
                   make_of(c, &c->was.advisory, &c->is.advisory, all, made, e) < 0
               ? -1
               : 0;
}

/* Where no range is another one, what is said of the id as such is: that is news everywhere. */
static int make_each(struct change *c, struct err *e)
{
    size_t made = 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena)
        return sql_oom(c->s, e);
    if ((c->before && sql_advisory_read(c->s, c->before, arena, &c->was, e) < 0) ||
        (c->after && sql_advisory_read(c->s, c->after, arena, &c->is, e) < 0) ||
        make_spaces(c, false, &made, e) < 0)
        return -1;
    return made ? 0 : make_spaces(c, true, &made, e);
}

static int make_change(struct sql *s, struct sql_stmt *row, int64_t now, int64_t due, struct err *e)
{
    struct change c = { .s = s,
                        .generation = sql_int(row, 0),
                        .feed = sql_int(row, 2),
                        .before = sql_int(row, 3),
                        .after = sql_int(row, 4),
                        .now = now,
                        .due = due };
    int64_t namespace = sql_int(row, 5);
    return namespace ? make_one(&c, namespace, e) : make_each(&c, e);
}

static int make_rows(struct sql *s, struct place *at, int64_t generation, int64_t now, int64_t due,
                     size_t limit, size_t *count, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(s, e, Q_NOTIFY_CHANGES, "iiii", at->generation, at->number, generation, (int64_t)limit);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        if (make_change(s, st, now, due, e) < 0)
            return -1;
        *at = (struct place){ sql_int(st, 0), sql_int(st, 1) + 1 };
        ++*count;
    }
    if (*count < limit)
        *at = (struct place){ generation + 1, 0 };
    return r < 0 ? -1 : sql_bulk_end(s, e);
}

/* Under the lock of the place. The generation is read after it was got, for another one may have gone on meanwhile. */
static int make(struct sql *s, int64_t now, size_t limit, size_t *count, struct err *e)
{
    int64_t generation;
    *count = 0;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = t ? sql_bind(s, e, Q_NOTIFY_PLACE, "i", clock_here()) : NULL;
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_FORMAT, "%s: no place of notifications", s->where);
    struct place at = { sql_int(st, 0), sql_int(st, 1) };
    int64_t due = sql_int(st, 2) < now ? sql_int(st, 2) : now;
    sql_resetp(&st);
    if (sql_generation(s, &generation, e) < 0)
        return -1;
    if (generation < at.generation)
        return 0;
    if (make_rows(s, &at, generation, now, due > 0 ? due : 1, limit, count, e) < 0 ||
        sql_run(s, e, Q_NOTIFY_PLACE_SET, "ii", at.generation, at.number) < 0 || sql_commit(&t, e) < 0)
        return -1;
    return at.generation <= generation;
}

int store_notifications_want(struct store *store, int64_t now, struct err *e)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)now);
    return store_value_set(store, NOTIFY_WANTED, str_of(text, (size_t)n), e);
}

int store_notifications_make(struct store *store, int64_t now, size_t limit, size_t *ret_count, struct err *e)
{
    struct sql *s = (struct sql *)store;
    int64_t waiting = 0;
    unsigned tries = 0;
    int r;
    *ret_count = 0;
    limit = limit < LIMIT_MAX ? limit : LIMIT_MAX;
    if (sql_writable(s, e) < 0 || sql_number(s, e, &waiting, Q_NOTIFY_WAITING, "") < 0)
        return -1;
    if (!waiting || !limit)
        return waiting > 0;
    do
        r = make(s, now, limit, ret_count, e);
    while (r < 0 && sql_again(s, &tries));
    return r;
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
