#include "store/sql.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRIES_MAX   3
#define RECORD_LONG 0xffu

/* ---- statements ---- */

struct sql_stmt *sql_bind(struct sql *s, struct err *e, enum query q, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    struct sql_stmt *st = s->driver->bind(s, q, types, ap, e);
    va_end(ap);
    return st;
}

int sql_row(struct sql *s, struct sql_stmt *st, struct err *e) { return s->driver->row(st, e); }

int sql_run(struct sql *s, struct err *e, enum query q, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    struct sql_stmt *st = s->driver->bind(s, q, types, ap, e);
    va_end(ap);
    int r = st ? sql_row(s, st, e) : -1;
    sql_resetp(&st);
    return r < 0 ? -1 : 0;
}

int sql_number(struct sql *s, struct err *e, int64_t *ret, enum query q, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    CLEANUP(sql_resetp) struct sql_stmt *st = s->driver->bind(s, q, types, ap, e);
    va_end(ap);
    int r = st ? sql_row(s, st, e) : -1;
    if (r > 0)
        *ret = sql_int(st, 0);
    return r;
}

void sql_resetp(struct sql_stmt **st)
{
    if (*st)
        (*st)->sql->driver->reset(*st);
}

int sql_bulk(struct sql *s, struct err *e, enum bulk b, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    int r = s->driver->bulk(s, b, types, ap, e);
    va_end(ap);
    return r;
}

int sql_bulk_end(struct sql *s, struct err *e) { return s->driver->bulk_end(s, e); }

/* ---- for drivers ---- */

/* A record holds what Q_MATCH_*, Q_AFFECTED_THESE and Q_ADVISORIES give. */
const struct sql_shape sql_shapes[BULKS] = {
    [BULK_ADVISORY] = { "abcdefgh", "abgfjikl" }, [BULK_METADATA] = { "ab", NULL },
    [BULK_AFFECTED] = { "abcdef", "edkihjgmnl" }, [BULK_NEGATIVE] = { "abcdefghijkl", NULL },
    [BULK_CHANGE] = { "abcdef", NULL },           [BULK_BLOCK] = { "abcd", NULL },
    [BULK_NOTIFICATION] = { "abcdefgh", NULL },
};

void sql_fields_take(struct sql_fields *f, const char *types, va_list *ap)
{
    for (size_t i = 0; types[i] && i < SQL_FIELDS; i++) {
        if (types[i] == 'i') {
            f->numbers[i] = htobe64((uint64_t)va_arg(*ap, int64_t));
            f->values[i] = str_of(&f->numbers[i], 8);
        } else if (types[i] == 'n') {
            f->values[i] = (str){ 0 };
        } else {
            str v = va_arg(*ap, str);
            f->values[i] = v.len ? v : STR("");
        }
    }
}

/* Without the zeros in front; four bytes with the first bit set would be read as a negative number. */
static str short_number(str v)
{
    while (v.len && !*v.ptr && !(v.len == 5 && (uint8_t)v.ptr[1] & 0x80))
        v = str_skip(v, 1);
    return v;
}

bool sql_field_empty(const struct sql_fields *f, char letter)
{
    size_t i = (size_t)(letter - 'a');
    str v = f->values[i];
    return !(v.ptr == (const char *)&f->numbers[i] ? short_number(v) : v).len;
}

void sql_record_put(struct buf *to, const char *letters, const struct sql_fields *f)
{
    for (; *letters; letters++) {
        size_t i = (size_t)(*letters - 'a');
        str v = f->values[i];
        if (v.ptr == (const char *)&f->numbers[i])
            v = short_number(v);
        if (v.len < RECORD_LONG - 1) {
            buf_char(to, (char)(v.len + 1));
        } else {
            buf_char(to, (char)RECORD_LONG);
            buf_add(to, &(uint32_t){ htonl((uint32_t)v.len) }, 4);
        }
        buf_str(to, v);
    }
}

/* The length of a field; more than there can be when it is cut off. */
static size_t take_length(str *rest)
{
    uint32_t len = UINT32_MAX;
    uint8_t first = rest->len ? (uint8_t)*rest->ptr : 0;
    if (first && first < RECORD_LONG) {
        *rest = str_skip(*rest, 1);
        return first - 1u;
    }
    str more = first ? str_skip(*rest, 1) : *rest;
    if (more.len >= sizeof len)
        memcpy(&len, more.ptr, sizeof len);
    *rest = str_skip(more, sizeof len);
    return ntohl(len);
}

int sql_record_take(struct sql *s, str *rest, str *fields, unsigned count, struct err *e)
{
    for (unsigned i = 0; i < count; i++) {
        size_t len = take_length(rest);
        if (len > rest->len)
            return err_set(e, ERR_FORMAT, "%s: a record is cut off", s->where);
        fields[i] = str_head(*rest, len);
        *rest = str_skip(*rest, len);
    }
    return 1;
}

int64_t sql_field_int(str field)
{
    uint64_t number = 0;
    uint32_t small;
    switch (field.len) {
    case 8:
        memcpy(&number, field.ptr, 8);
        return (int64_t)be64toh(number);
    case 4:
        memcpy(&small, field.ptr, 4);
        return (int32_t)ntohl(small);
    default: /* none: NULL or 0 */
        for (size_t i = 0; i < field.len && i < 8; i++)
            number = number << 8 | (uint8_t)field.ptr[i];
        return (int64_t)number;
    }
}

/* ---- transactions ---- */

struct sql *sql_begin_as(struct sql *s, enum sql_mode mode, struct err *e)
{
    if (s->viewing)
        return mode == SQL_READ ? s : (err_set(e, ERR_INTERNAL, "%s: a write in a view", s->where), NULL);
    s->again = false;
    if (mode != SQL_READ && s->readonly)
        return sql_writable(s, e), NULL;
    if (s->driver->begin(s, mode, e) < 0)
        return NULL;
    s->inside = true;
    return s;
}

struct sql *sql_begin(struct sql *s, bool write, struct err *e)
{
    return sql_begin_as(s, write ? SQL_WRITE : SQL_READ, e);
}

int sql_commit(struct sql **t, struct err *e)
{
    struct sql *s = *t;
    if (s->viewing) {
        *t = NULL;
        return 0;
    }
    if (s->driver->commit(s, e) < 0)
        return -1; /* sql_endp() rolls back */
    s->inside = false;
    *t = NULL;
    return 0;
}

void sql_endp(struct sql **t)
{
    if (!*t || (*t)->viewing)
        return;
    if ((*t)->inside)
        (*t)->driver->rollback(*t);
    (*t)->inside = false;
}

int store_view_begin(struct store *store, struct err *e)
{
    struct sql *s = (struct sql *)store;
    s->viewing = sql_begin(s, false, e) != NULL;
    return s->viewing ? 0 : -1;
}

void store_view_end(struct store *store)
{
    struct sql *t = (struct sql *)store;
    t->viewing = false;
    sql_endp(&t); /* nothing was written */
}

bool sql_again(struct sql *s, unsigned *tries) { return s->again && ++*tries < TRIES_MAX; }

int sql_oom(const struct sql *s, struct err *e) { return err_set(e, ERR_OOM, "%s: out of memory", s->where); }

int sql_writable(struct sql *s, struct err *e)
{
    return s->scratch || s->readonly ? err_set(e, ERR_READONLY, "%s: opened for reading only", s->where) : 0;
}

/* ---- names ---- */

static int by_name(const void *pa, const void *pb)
{
    return str_cmp(((const struct sql_pair *)pa)->name, ((const struct sql_pair *)pb)->name);
}

size_t sql_pairs_unique(struct sql_pair *list, size_t count)
{
    size_t n = 0;
    if (count)
        qsort(list, count, sizeof *list, by_name);
    for (size_t i = 0; i < count; i++)
        if (!n || by_name(&list[n - 1], &list[i]))
            list[n++] = list[i];
    return n;
}

const struct sql_pair *sql_pair_find(const struct sql_pair *list, size_t count, str name)
{
    const struct sql_pair wanted = { .name = name };
    return count ? bsearch(&wanted, list, count, sizeof *list, by_name) : NULL;
}

/* ---- small questions ---- */

int sql_state(struct sql *s, int64_t *ret_generation, bool *metadata, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_GENERATION, "");
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1 : err_set(e, ERR_FORMAT, "%s: no generation", s->where);
    *ret_generation = sql_int(st, 0);
    *metadata = sql_int(st, 1);
    return 0;
}

int sql_generation(struct sql *s, int64_t *ret, struct err *e)
{
    bool ignored;
    return sql_state(s, ret, &ignored, e);
}

int store_generation(struct store *store, int64_t *ret, struct err *e)
{
    return sql_generation((struct sql *)store, ret, e);
}

int sql_ping(struct store *store, struct err *e)
{
    int64_t ignored;
    return sql_number((struct sql *)store, e, &ignored, Q_PING, "") < 0 ? -1 : 0;
}

int store_value_get(struct store *store, str key, struct arena *arena, str *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_VALUE_GET, "t", key);
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    *ret = arena_dup(arena, sql_str(st, 0));
    return arena_failed(arena) ? sql_oom(s, e) : 1;
}

int store_value_set(struct store *store, str key, str value, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t || sql_run(s, e, Q_VALUE_SET, "tt", key, value) < 0)
        return -1;
    return sql_commit(&t, e);
}

int store_feeds(struct store *store, struct arena *arena, struct feed_status **ret, size_t *ret_count,
                struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_FEEDS, "");
    struct feed_status *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            break;
        list[n++] = (struct feed_status){
            .name = arena_dup(arena, sql_str(st, 0)),
            .entries = sql_int(st, 1),
            .last_try = sql_int(st, 2),
            .last_success = sql_int(st, 3),
            .error = arena_dup(arena, sql_str(st, 4)),
            .generation = sql_int(st, 5),
            .rank = (unsigned)sql_int(st, 6),
        };
    }
    if (r < 0)
        return -1;
    if (arena_failed(arena))
        return sql_oom(s, e);
    *ret = list;
    *ret_count = n;
    return 0;
}

int store_count(struct store *store, struct store_counts *ret, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_COUNT, "");
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1 : err_set(e, ERR_FORMAT, "%s: no generation", s->where);
    *ret = (struct store_counts){
        .layers = sql_int(st, 0),
        .images = sql_int(st, 1),
        .packages = sql_int(st, 2),
        .advisories = sql_int(st, 3),
        .ranges = sql_int(st, 4),
        .changes = sql_int(st, 5),
        .generation = sql_int(st, 6),
        .schema = SCHEMA_NUMBER,
    };
    return 0;
}

int store_document(struct store *store, str feed, str name, struct arena *arena, str *ret_validator,
                   struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_DOCUMENT_VALIDATOR, "tb", feed, name);
    int r = st ? sql_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    *ret_validator = arena_dup(arena, sql_str(st, 0));
    return arena_failed(arena) ? sql_oom(s, e) : 1;
}

int store_feed_tried(struct store *store, str feed, int64_t now, str error, struct err *e)
{
    struct sql *s = (struct sql *)store;
    if (sql_writable(s, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t)
        return -1;
    int r = error.len ? sql_run(s, e, Q_FEED_FAILED, "tib", feed, now, error)
                      : sql_run(s, e, Q_FEED_SUCCEEDED, "ti", feed, now);
    return r < 0 ? -1 : sql_commit(&t, e);
}

/* ---- leases ---- */

/* By the database's own clock where servers on several machines share it; those who share a file are on one machine, and go by the time
 * since it started: what anybody takes for the time of day ends no lease. The owner that was seen is named when it is replaced, so that
 * of two who saw it only one takes its place. */
int sql_lease_take(struct sql *s, str name, str owner, unsigned seconds, int64_t *until, struct err *e)
{
    int64_t now = clock_up(), today = (int64_t)time(NULL);
    char seen[STORE_OWNER] = "";
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_LEASE_GET, "ti", name, now);
    int r = st ? sql_row(s, st, e) : -1;
    if (r < 0)
        return -1;
    if (r > 0 && !str_eq(sql_str(st, 0), owner)) {
        int64_t left = sql_int(st, 1);
        /* one that was taken before the machine started anew must not last */
        bool gone = lease_owner_dead(sql_str(st, 0)) || str_eq(sql_str(st, 0), str_from(s->lost_lease));
        if (left > 0 && left <= sql_int(st, 2) && !gone) {
            *until = today + left;
            return 0;
        }
        snprintf(seen, sizeof seen, STR_FMT, STR_ARG(sql_str(st, 0)));
    }
    sql_resetp(&st);
    if (sql_run(s, e, Q_LEASE_PUT, "ttiit", name, owner, now, (int64_t)seconds, str_from(seen)) < 0)
        return -1;
    bool taken = sql_changes(s) > 0;
    *until = today + (taken ? seconds : 1);
    return taken;
}

int store_lease_take(struct store *store, str name, str owner, unsigned seconds, int64_t *ret_until,
                     struct err *e)
{
    struct sql *s = (struct sql *)store;
    int64_t until;
    if (sql_writable(s, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    int held = t ? sql_lease_take(s, name, owner, seconds, &until, e) : -1;
    if (held < 0 || sql_commit(&t, e) < 0)
        return -1;
    *ret_until = until;
    return held;
}

int store_lease_drop(struct store *store, str name, str owner, struct err *e)
{
    struct sql *s = (struct sql *)store;
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, true, e);
    if (!t || sql_run(s, e, Q_LEASE_DROP, "tt", name, owner) < 0)
        return -1;
    return sql_commit(&t, e);
}
