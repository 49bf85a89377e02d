/* sql_notify_make.c - notifications: made from the change log, a window of changes at a time, for to a server each question is a journey. */
#include "base/cleanup.h"
#include "base/strmap.h"
#include "store/posting.h"
#include "store/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define UUID_LEN     36
#define LIMIT_MAX    10000     /* of one transaction */
#define WINDOW       256       /* changes whose advisories are read together */
#define WINDOW_BYTES (1 << 20) /* of these, if there are several */

/* SQLite's; PostgreSQL asks its own. */
static int64_t clock_here(void) { return (int64_t)time(NULL); }

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

struct place { /* where the next change is looked for */
    int64_t generation, number;
};

struct change {
    int64_t generation, number, feed, before, after, namespace;
    const struct advisory *was, *is; /* without ranges: there is none */
};

struct making {
    struct sql *s;
    int64_t now, due;
    struct arena *arena;  /* of what follows */
    struct strmap spaces; /* numbers of namespaces, int64_t *; 0: unknown */
    struct change window[WINDOW];
    size_t count;
};

static void making_done(struct making *m)
{
    strmap_done(&m->spaces);
    arena_freep(&m->arena);
}

/* ---- one change ---- */

static int make_one(const struct making *m, const struct change *c, int64_t namespace, struct err *e)
{
    char name[UUID_LEN + 1];
    if (make_name(name, e) < 0)
        return -1;
    return sql_bulk(m->s, e, BULK_NOTIFICATION, "biiiiiii", str_of(name, UUID_LEN), c->feed, c->before,
                    c->after, c->generation, m->now, m->due, namespace);
}

static bool same_range(const struct affected_range *a, const struct affected_range *b)
{
    return a->kind == b->kind && a->negative == b->negative && a->severity == b->severity &&
           a->state == b->state && str_eq(a->package, b->package) && str_eq(a->introduced, b->introduced) &&
           str_eq(a->fixed_version, b->fixed_version) && str_eq(a->last_affected, b->last_affected) &&
           str_eq(a->arch, b->arch) && str_eq(a->module, b->module) && str_eq(a->cpe, b->cpe);
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
        a = next_of(c->was, namespace, &i);
        b = next_of(c->is, namespace, &k);
        if (!a != !b || (a && !same_range(a, b)))
            return true;
    } while (a);
    return false;
}

static int number_of(struct making *m, str namespace, int64_t *ret, struct err *e)
{
    int64_t *known = strmap_get(&m->spaces, namespace);
    if (!known) {
        known = arena_alloc(m->arena, 1, sizeof *known);
        str key = arena_dup(m->arena, namespace);
        void **at = known && !arena_failed(m->arena) ? strmap_at(&m->spaces, key) : NULL;
        if (!at)
            return sql_oom(m->s, e);
        *known = 0;
        if (sql_number(m->s, e, known, Q_NAMESPACE_FIND, "b", namespace) < 0)
            return -1;
        *at = known;
    }
    *ret = *known;
    return 0;
}

/* Those of `a` of which `seen`, that was looked at before, does not speak; `all`: whether they differ or not. */
static int make_of(struct making *m, const struct change *c, const struct advisory *a,
                   const struct advisory *seen, bool all, size_t *made, struct err *e)
{
    for (size_t i = 0; i < a->range_count; i++) {
        size_t first = 0, other = 0;
        int64_t id = 0;
        str namespace = a->ranges[i].namespace;
        if (next_of(a, namespace, &first) != &a->ranges[i] || next_of(seen, namespace, &other) ||
            (!all && !differs(c, namespace)))
            continue;
        if (number_of(m, namespace, &id, e) < 0 || (id && make_one(m, c, id, e) < 0))
            return -1;
        ++*made;
    }
    return 0;
}

static int make_spaces(struct making *m, const struct change *c, bool all, size_t *made, struct err *e)
{
    const struct advisory none = { 0 };
    int r = make_of(m, c, c->is, &none, all, made, e);
    return r < 0 ? -1 : make_of(m, c, c->was, c->is, all, made, e);
}

/* Where no range is another one, what is said of the id as such is: that is news everywhere. */
static int make_change(struct making *m, const struct change *c, struct err *e)
{
    size_t made = 0;
    if (c->namespace)
        return make_one(m, c, c->namespace, e);
    if (make_spaces(m, c, false, &made, e) < 0)
        return -1;
    return made ? 0 : make_spaces(m, c, true, &made, e);
}

/* ---- a window of them ---- */

/* Those whose sides are compared: ascending, each once. `ids` has room for all. */
static size_t list_sides(const struct change *list, size_t count, int64_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].namespace)
            continue;
        if (list[i].before)
            ids[n++] = list[i].before;
        if (list[i].after)
            ids[n++] = list[i].after;
    }
    return numbers_sort(ids, n);
}

/* How many from `list` on may be read together: one at least, for how large it is its feed says. */
static int fitting(struct making *m, const struct change *list, size_t count, size_t *ret, struct err *e)
{
    int64_t ids[2 * WINDOW], sizes[2 * WINDOW] = { 0 }, sum = 0;
    size_t n = list_sides(list, count, ids);
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(m->s, e, Q_ADVISORY_SIZES, "I", ids, n);
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0)
        sizes[(size_t)sql_int(st, 0) % (2 * WINDOW)] = sql_int(st, 1);
    for (*ret = 0; *ret < count; ++*ret) {
        const struct change *c = &list[*ret];
        const int64_t sides[] = { c->before, c->after };
        for (size_t i = 0; i < 2 && !c->namespace; i++) {
            const int64_t *at = bsearch(&sides[i], ids, n, sizeof *ids, number_order);
            sum += at ? sizes[at - ids] : 0;
        }
        if (*ret && sum > WINDOW_BYTES)
            break;
    }
    return r < 0 ? -1 : 0;
}

static const struct advisory *side(const struct stored_entry *list, const int64_t *ids, size_t count,
                                   int64_t id)
{
    static const struct advisory none;
    const int64_t *at = bsearch(&id, ids, count, sizeof *ids, number_order);
    return at ? &list[at - ids].advisory : &none;
}

static int make_some(struct making *m, struct change *list, size_t count, struct err *e)
{
    int64_t ids[2 * WINDOW];
    struct stored_entry *sides = NULL;
    size_t n = list_sides(list, count, ids);
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena)
        return sql_oom(m->s, e);
    if (n && sql_advisories_these(m->s, ids, n, arena, &sides, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        list[i].was = side(sides, ids, n, list[i].before);
        list[i].is = side(sides, ids, n, list[i].after);
        if (make_change(m, &list[i], e) < 0)
            return -1;
    }
    return 0;
}

static int make_window(struct making *m, struct err *e)
{
    for (size_t i = 0, n; i < m->count; i += n)
        if (fitting(m, m->window + i, m->count - i, &n, e) < 0 || make_some(m, m->window + i, n, e) < 0)
            return -1;
    m->count = 0;
    return 0;
}

/* ---- all that are due ---- */

static int make_rows(struct making *m, struct place *at, int64_t generation, size_t limit, size_t *count,
                     struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(m->s, e, Q_NOTIFY_CHANGES, "iiii", at->generation, at->number, generation, (int64_t)limit);
    int r = -1;
    while (st && (r = sql_row(m->s, st, e)) > 0) {
        m->window[m->count++] = (struct change){ .generation = sql_int(st, 0),
                                                 .number = sql_int(st, 1),
                                                 .feed = sql_int(st, 2),
                                                 .before = sql_int(st, 3),
                                                 .after = sql_int(st, 4),
                                                 .namespace = sql_int(st, 5) };
        *at = (struct place){ sql_int(st, 0), sql_int(st, 1) + 1 };
        ++*count;
        if (m->count == WINDOW && make_window(m, e) < 0)
            return -1;
    }
    if (r < 0 || make_window(m, e) < 0)
        return -1;
    if (*count < limit)
        *at = (struct place){ generation + 1, 0 };
    return sql_bulk_end(m->s, e);
}

/* Under the lock of the place. The generation is read after it was got, for another one may have gone on meanwhile. */
static int make(struct sql *s, int64_t now, size_t limit, size_t *count, struct err *e)
{
    int64_t generation;
    *count = 0;
    CLEANUP(making_done) struct making m = { .s = s, .now = now, .arena = arena_new(0) };
    if (!m.arena)
        return sql_oom(s, e);
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    CLEANUP(sql_resetp) struct sql_stmt *st = t ? sql_bind(s, e, Q_NOTIFY_PLACE, "i", clock_here()) : NULL;
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_FORMAT, "%s: no place of notifications", s->where);
    struct place at = { sql_int(st, 0), sql_int(st, 1) };
    int64_t due = sql_int(st, 2) < now ? sql_int(st, 2) : now;
    m.due = due > 0 ? due : 1;
    sql_resetp(&st);
    if (sql_generation(s, &generation, e) < 0)
        return -1;
    if (generation < at.generation)
        return 0;
    if (make_rows(&m, &at, generation, limit, count, e) < 0 ||
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
