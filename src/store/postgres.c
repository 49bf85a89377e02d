#include "store/postgres.h"

#include "base/cleanup.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

/* pg_type.dat */
enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_BYTEA_ARRAY = 1001, OID_INT8_ARRAY = 1016 };

#define COPY_MAX ((size_t)8 << 20) /* bytes that wait before they are sent */

/* ---- errors ---- */

static const struct {
    const char *state; /* SQLSTATE, or its class */
    enum err_kind kind;
    bool again;
} states[] = {
    { "08", ERR_NETWORK, true },      { "57P", ERR_NETWORK, true },
    { "40001", ERR_BUSY, true },      { "40P01", ERR_BUSY, true },
    { "57014", ERR_BUSY, false },     { "55P03", ERR_BUSY, false },
    { "25006", ERR_READONLY, false }, { "53100", ERR_FULL, false },
    { "53200", ERR_OOM, false },      { "53", ERR_BUSY, false },
    { "42501", ERR_DENIED, false },   { "42", ERR_FORMAT, false },
    { "3F", ERR_FORMAT, false },      { "23505", ERR_FORMAT, false },
    { "23503", ERR_NOT_FOUND, true }, /* a parent went, or a child came, meanwhile */
};

/* The first line; libpq's texts end with a newline. */
static str first_line(const char *text)
{
    str rest = str_from(text ? text : "");
    return str_trim(str_line(&rest));
}

int postgres_error(struct postgres *p, const PGresult *r, const char *doing, struct err *e)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *text = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    enum err_kind kind = ERR_INTERNAL;
    bool lost = PQstatus(p->conn) != CONNECTION_OK;
    p->sql.again = lost;
    if (lost && p->silent) { /* who has waited that long is told; what was sent may still be done */
        p->sql.again = false;
        return err_set(e, ERR_NETWORK, "%s: %s: no answer for %lld s", p->sql.where, doing,
                       (long long)postgres_limit_ms(p) / 1000);
    }
    if (lost)
        kind = ERR_NETWORK;
    for (size_t i = 0; !lost && state && i < sizeof states / sizeof *states; i++)
        if (str_starts(str_from(state), str_from(states[i].state))) {
            kind = states[i].kind;
            p->sql.again = states[i].again;
            break;
        }
    str why = first_line(text ? text : p->conn ? PQerrorMessage(p->conn) : "it was given up");
    err_set(e, kind, "%s: %s: %s" STR_FMT, p->sql.where, doing, lost ? "the connection was lost: " : "",
            STR_ARG(why));
    if (kind == ERR_READONLY &&
        !p->sql.scratch) { /* another server, or the next, has become the one to write to */
        postgres_give_up(p);
        p->sql.again = true;
    }
    return -1;
}

PGresult *postgres_execute(struct postgres *p, const char *sql, struct err *e)
{
    PGresult *r = postgres_query(p, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return r;
    postgres_error(p, r, "open", e);
    PQclear(r);
    return NULL;
}

static int execute(struct postgres *p, const char *sql, struct err *e)
{
    PGresult *r = postgres_execute(p, sql, e);
    PQclear(r);
    return r ? 0 : -1;
}

/* ---- binary forms ---- */

static void put_u16(struct buf *b, uint16_t v) { buf_add(b, &(uint16_t){ htons(v) }, 2); }
static void put_u32(struct buf *b, uint32_t v) { buf_add(b, &(uint32_t){ htonl(v) }, 4); }
static void put_u64(struct buf *b, uint64_t v) { buf_add(b, &(uint64_t){ htobe64(v) }, 8); }

/* array_send() of PostgreSQL: dimensions, has nulls, element type, then length and lower bound of each dimension. */
static void put_array(struct buf *b, uint32_t type, size_t count)
{
    put_u32(b, 1);
    put_u32(b, 0);
    put_u32(b, type);
    put_u32(b, (uint32_t)count);
    put_u32(b, 1);
}

static void put_numbers(struct buf *b, const int64_t *list, size_t count)
{
    put_array(b, OID_INT8, count);
    for (size_t i = 0; i < count; i++) {
        put_u32(b, 8);
        put_u64(b, (uint64_t)list[i]);
    }
}

static void put_bytes(struct buf *b, str v)
{
    put_u32(b, (uint32_t)v.len);
    buf_str(b, v);
}

/* ---- statements ---- */

static void add(struct postgres_parameters *p, Oid type, const void *value, size_t len)
{
    p->types[p->count] = type;
    p->values[p->count] = value;
    p->lengths[p->count] = (int)len;
    p->formats[p->count++] = 1;
}

/* Two arrays. */
static int add_pairs(struct postgres *p, struct postgres_stmt *st, const struct sql_pair *list, size_t count,
                     struct postgres_parameters *ret, struct err *e)
{
    struct buf *b = &st->list;
    buf_clear(b);
    put_array(b, OID_BYTEA, count);
    for (size_t i = 0; i < count; i++)
        put_bytes(b, list[i].name);
    size_t names = b->len;
    put_array(b, OID_BYTEA, count);
    for (size_t i = 0; i < count; i++)
        put_bytes(b, list[i].key);
    if (b->failed || ret->count + 2 > POSTGRES_PARAMS)
        return sql_oom(&p->sql, e);
    add(ret, OID_BYTEA_ARRAY, b->ptr, names);
    add(ret, OID_BYTEA_ARRAY, b->ptr + names, b->len - names);
    return 0;
}

static int take_parameters(struct postgres *p, struct postgres_stmt *st, const char *types, va_list *ap,
                           struct postgres_parameters *ret, struct err *e)
{
    ret->count = 0;
    for (; *types; types++) {
        if (ret->count == POSTGRES_PARAMS)
            return err_set(e, ERR_INTERNAL, "too many parameters");
        if (*types == 'i') {
            ret->numbers[ret->count] = htobe64((uint64_t)va_arg(*ap, int64_t));
            add(ret, OID_INT8, &ret->numbers[ret->count], 8);
        } else if (*types == 'I') {
            const int64_t *list = va_arg(*ap, const int64_t *);
            buf_clear(&st->list);
            put_numbers(&st->list, list, va_arg(*ap, size_t));
            if (st->list.failed)
                return sql_oom(&p->sql, e);
            add(ret, OID_INT8_ARRAY, st->list.ptr, st->list.len);
        } else if (*types == 'P') {
            const struct sql_pair *list = va_arg(*ap, const struct sql_pair *);
            if (add_pairs(p, st, list, va_arg(*ap, size_t), ret, e) < 0)
                return -1;
        } else if (*types == 'n') {
            add(ret, OID_INT8, NULL, 0);
        } else {
            str v = va_arg(*ap, str);
            if (v.len > INT32_MAX)
                return err_set(e, ERR_LIMIT, "a value of more than 2 GiB");
            add(ret, *types == 't' ? OID_TEXT : OID_BYTEA, v.len ? v.ptr : "", v.len);
        }
    }
    return 0;
}

static void clear(struct postgres_stmt *st)
{
    PQclear(st->result);
    st->result = NULL;
    st->records = (str){ 0 };
}

/* Who was silent is not waited for twice in one call. */
static bool is_lost(const struct postgres *p) { return PQstatus(p->conn) != CONNECTION_OK && !p->silent; }

static int prepare(struct postgres *p, enum query q, const struct postgres_parameters *a, struct err *e)
{
    char name[16];
    snprintf(name, sizeof name, "q%u", (unsigned)q);
    PGresult *r = postgres_prepare(p, name, postgres_queries[q], a);
    bool good = PQresultStatus(r) == PGRES_COMMAND_OK;
    if (!good)
        postgres_error(p, r, "prepare", e);
    p->statements[q].prepared = good;
    PQclear(r);
    return good ? 0 : -1;
}

static int send_query(struct postgres *p, enum query q, const struct postgres_parameters *a, struct err *e)
{
    struct postgres_stmt *st = &p->statements[q];
    char name[16];
    if (!st->prepared && prepare(p, q, a, e) < 0)
        return -1;
    snprintf(name, sizeof name, "q%u", (unsigned)q);
    st->result = postgres_run(p, name, a);
    st->row = -1;
    st->record_columns = postgres_record_columns[q];
    ExecStatusType status = PQresultStatus(st->result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        p->changes = strtoll(PQcmdTuples(st->result), NULL, 10);
        return 0;
    }
    postgres_error(p, st->result, "read or write", e);
    clear(st);
    return -1;
}

/* Outside a transaction nothing is lost when the statement is sent again over a new connection. */
static struct sql_stmt *driver_bind(struct sql *s, enum query q, const char *types, va_list ap, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    struct postgres_stmt *st = &p->statements[q];
    struct postgres_parameters a;
    va_list list;
    st->base.sql = s;
    clear(st);
    va_copy(list, ap);
    int r = take_parameters(p, st, types, &list, &a, e);
    va_end(list);
    if (r < 0)
        return NULL;
    bool fresh = false;
    if (!s->inside && PQstatus(p->conn) != CONNECTION_OK) {
        if (postgres_connect(p, e) < 0)
            return NULL;
        fresh = true;
    }
    r = send_query(p, q, &a, e);
    if (r < 0 && !s->inside && !fresh && is_lost(p))
        r = postgres_connect(p, e) < 0 ? -1 : send_query(p, q, &a, e);
    return r < 0 ? NULL : &st->base;
}

static str value(const struct postgres_stmt *st, int column)
{
    if (st->record_columns)
        return st->record[column];
    return str_of(PQgetvalue(st->result, st->row, column), (size_t)PQgetlength(st->result, st->row, column));
}

static int driver_row(struct sql_stmt *stmt, struct err *e)
{
    struct postgres_stmt *st = (struct postgres_stmt *)stmt;
    while (!st->records.len && ++st->row < PQntuples(st->result)) {
        if (!st->record_columns)
            return 1;
        st->records = str_of(PQgetvalue(st->result, st->row, 0),
                             (size_t)PQgetlength(st->result, st->row, 0)); /* NULL is empty */
    }
    if (st->records.len)
        return sql_record_take(st->base.sql, &st->records, st->record, st->record_columns, e);
    clear(st);
    return 0;
}

static void driver_reset(struct sql_stmt *st) { clear((struct postgres_stmt *)st); }

static int64_t driver_integer(struct sql_stmt *stmt, int column)
{
    return sql_field_int(value((const struct postgres_stmt *)stmt, column));
}

static str driver_bytes(struct sql_stmt *stmt, int column)
{
    return value((const struct postgres_stmt *)stmt, column);
}

static bool driver_null(struct sql_stmt *stmt, int column)
{
    const struct postgres_stmt *st = (const struct postgres_stmt *)stmt;
    return !st->record_columns && PQgetisnull(st->result, st->row, column);
}

static int64_t driver_changes(struct sql *s) { return ((struct postgres *)s)->changes; }

/* ---- transactions ---- */

static void driver_rollback(struct sql *s);

/* The locks are those of nobody else: any number of our own. */
static int begin(struct postgres *p, enum sql_mode mode, struct err *e)
{
    static const char *const texts[] = {
        [SQL_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        [SQL_WRITE] = "BEGIN",
        [SQL_INDEX] = "BEGIN; SELECT pg_advisory_xact_lock_shared(1162037363)",
        [SQL_COLLECT] = "BEGIN; SELECT pg_advisory_xact_lock(1162037363)",
    };
    return execute(p, texts[mode], e);
}

static int driver_begin(struct sql *s, enum sql_mode mode, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    bool fresh = PQstatus(p->conn) != CONNECTION_OK;
    if (fresh && postgres_connect(p, e) < 0)
        return -1;
    int r = begin(p, mode, e);
    if (r < 0 && !fresh && is_lost(p))
        r = postgres_connect(p, e) < 0 ? -1 : begin(p, mode, e);
    if (r < 0)
        driver_rollback(s); /* begun, but the lock was not to be had */
    return r;
}

static int driver_commit(struct sql *s, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    if (PQtransactionStatus(p->conn) ==
        PQTRANS_INERROR) /* a COMMIT would be taken for a ROLLBACK, and succeed */
        return err_set(e, ERR_INTERNAL, "%s: commit after an error", s->where);
    return execute(p, "COMMIT", e);
}

static void driver_rollback(struct sql *s)
{
    struct postgres *p = (struct postgres *)s;
    for (size_t i = 0; i < BULKS; i++)
        buf_clear(&p->bulks[i]);
    if (PQstatus(p->conn) == CONNECTION_OK && PQtransactionStatus(p->conn) != PQTRANS_IDLE)
        PQclear(postgres_query(p, "ROLLBACK"));
}

/* ---- many at once ---- */

/* PostgreSQL's manual, COPY, "Binary Format". */
static const char copy_head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
#define COPY_HEAD 19

static int copy_rows(struct postgres *p, str rows)
{
    if (postgres_copy_put(p, str_of(copy_head, COPY_HEAD)) < 0)
        return -1;
    for (; rows.len; rows = str_skip(rows, 1 << 20))
        if (postgres_copy_put(p, str_head(rows, 1 << 20)) < 0)
            return -1;
    return postgres_copy_put(p, STR("\xff\xff"));
}

static int end_copy(struct postgres *p, const char *problem, struct err *e)
{
    PGresult *r = postgres_copy_end(p, problem);
    int result = 0;
    if (PQresultStatus(r) != PGRES_COMMAND_OK) {
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        p->sql.conflict = state && !strcmp(state, "23505");
        result = p->sql.conflict ? err_set(e, ERR_FORMAT, "the key comes twice")
                                 : postgres_error(p, r, "write rows", e);
    }
    PQclear(r);
    return result;
}

static int copy(struct postgres *p, enum bulk b, struct err *e)
{
    char sql[512];
    snprintf(sql, sizeof sql, "COPY %s FROM STDIN (FORMAT binary)", postgres_tables[b]);
    PGresult *r = postgres_query(p, sql);
    bool ready = PQresultStatus(r) == PGRES_COPY_IN;
    if (!ready)
        postgres_error(p, r, "write rows", e);
    PQclear(r);
    if (!ready)
        return -1;
    bool sent = copy_rows(p, buf_view(&p->bulks[b])) == 0;
    buf_clear(&p->bulks[b]);
    return end_copy(p, sent ? NULL : "not sent", e);
}

static int driver_bulk_end(struct sql *s, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    s->conflict = false;
    for (size_t i = 0; i < BULKS; i++) {
        if (p->bulks[i].failed)
            return sql_oom(s, e);
        if (p->bulks[i].len && copy(p, (enum bulk)i, e) < 0)
            return -1;
    }
    return 0;
}

static void put_row(struct buf *to, const struct sql_shape *shape, const struct sql_fields *f)
{
    put_u16(to, (uint16_t)(strlen(shape->columns) + (shape->record != NULL)));
    for (const char *c = shape->columns; *c; c++) {
        str v = f->values[*c - 'a'];
        if (v.ptr)
            put_bytes(to, v);
        else
            put_u32(to, UINT32_MAX);
    }
    if (!shape->record)
        return;
    size_t before = to->len;
    put_u32(to, 0); /* how long it is: */
    sql_record_put(to, shape->record, f);
    uint32_t len = htonl((uint32_t)(to->len - before - 4));
    if (!to->failed)
        memcpy(to->ptr + before, &len, sizeof len);
}

static int driver_bulk(struct sql *s, enum bulk b, const char *types, va_list ap, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    struct sql_fields f;
    va_list list;
    va_copy(list, ap);
    sql_fields_take(&f, types, &list);
    va_end(list);
    put_row(&p->bulks[b], &sql_shapes[b], &f);
    return p->bulks[b].len > COPY_MAX ? driver_bulk_end(s, e) : 0;
}

#define PACKAGE_FIELDS 10 /* the hash first */

/* One array of bytes per column. */
struct columns {
    struct buf arrays[PACKAGE_FIELDS];
};

static void columns_done(struct columns *c)
{
    for (size_t i = 0; i < PACKAGE_FIELDS; i++)
        buf_done(&c->arrays[i]);
}

/* Of those that have no number yet. Returns how many, or -1. */
static int fill_columns(struct columns *c, const struct package *const *packages, const int64_t *ids,
                        size_t count, bool all, struct err *e)
{
    size_t missing = 0;
    for (size_t i = 0; i < count; i++)
        missing += !ids[i];
    for (size_t k = 0; k < PACKAGE_FIELDS; k++) {
        buf_clear(&c->arrays[k]);
        put_array(&c->arrays[k], OID_BYTEA, missing);
    }
    for (size_t i = 0; i < count; i++) {
        const struct package *p = packages[i];
        struct version_key version, source;
        uint8_t hash[PACKAGE_HASH];
        if (ids[i])
            continue;
        if (package_hash(p, hash, e) < 0)
            return -1;
        put_bytes(&c->arrays[0], str_of(hash, sizeof hash));
        if (!all)
            continue;
        const str fields[] = { p->name,
                               p->version,
                               p->arch,
                               p->kind,
                               p->source,
                               p->source_version,
                               p->module,
                               installed_key(p->kind, p->version, &version),
                               installed_key(p->kind, p->source_version, &source) };
        for (size_t k = 1; k < PACKAGE_FIELDS; k++)
            put_bytes(&c->arrays[k], fields[k - 1]);
    }
    return (int)missing;
}

/* NULL on error. */
static PGresult *with_arrays(struct postgres *p, const char *sql, const struct buf *arrays, int count,
                             const int64_t *number, struct err *e)
{
    struct postgres_parameters a = { 0 };
    uint64_t first = number ? htobe64((uint64_t)*number) : 0;
    if (number)
        add(&a, OID_INT8, &first, 8);
    for (int i = 0; i < count; i++) {
        if (arrays[i].failed) {
            sql_oom(&p->sql, e);
            return NULL;
        }
        add(&a, OID_BYTEA_ARRAY, arrays[i].ptr, arrays[i].len);
    }
    PGresult *r = postgres_query_with(p, sql, &a);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return r;
    postgres_error(p, r, "read or write", e);
    PQclear(r);
    return NULL;
}

/* The numbers of those that have none yet, where they are there. How many are missing still, or -1. */
static int find_packages(struct postgres *p, struct columns *c, const struct package *const *packages,
                         size_t count, int64_t *ids, struct err *e)
{
    struct sql_stmt base = { &p->sql };
    struct postgres_stmt st = { .base = base, .row = -1 };
    CLEANUP(freep) size_t *places = malloc((count + 1) * sizeof *places);
    int missing = fill_columns(c, packages, ids, count, false, e);
    if (!places)
        return sql_oom(&p->sql, e);
    if (missing <= 0)
        return missing;
    for (size_t i = 0, n = 0; i < count; i++)
        if (!ids[i])
            places[n++] = i;
    int left = missing;
    st.result = with_arrays(p, postgres_packages_find, c->arrays, 1, NULL, e);
    if (!st.result)
        return -1;
    while (driver_row(&st.base, e) > 0) {
        int64_t place = driver_integer(&st.base, 1);
        if (place < 1 || place > missing)
            continue;
        ids[places[place - 1]] = driver_integer(&st.base, 0);
        left--;
    }
    return left;
}

/* Sorted, so that two transactions add in the same order and wait for each other at most once. */
static int driver_package_ids(struct sql *s, const struct package *const *packages, size_t count,
                              int64_t *ids, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    CLEANUP(columns_done) struct columns c = { 0 };
    memset(ids, 0, count * sizeof *ids);
    int left = find_packages(p, &c, packages, count, ids, e);
    if (left <= 0)
        return left;
    if (fill_columns(&c, packages, ids, count, true, e) < 0)
        return -1;
    PGresult *r = with_arrays(p, postgres_packages_add, c.arrays, PACKAGE_FIELDS, NULL, e);
    PQclear(r);
    if (!r || (left = find_packages(p, &c, packages, count, ids, e)) < 0)
        return -1;
    return left ? err_set(e, ERR_INTERNAL, "%s: packages vanished", s->where) : 0;
}

static int driver_advisories(struct sql *s, int64_t feed, const str *keys, size_t count,
                             sql_advisory_found *found, void *ctx, struct err *e)
{
    struct postgres *p = (struct postgres *)s;
    struct postgres_stmt st = { .base = { s }, .row = -1 };
    CLEANUP(buf_done) struct buf list = { 0 };
    put_array(&list, OID_BYTEA, count);
    for (size_t i = 0; i < count; i++)
        put_bytes(&list, keys[i]);
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t || !(st.result = with_arrays(p, postgres_advisories_find, &list, 1, &feed, e)))
        return -1;
    int r = 0;
    while (r == 0 && driver_row(&st.base, e) > 0) {
        int64_t place = driver_integer(&st.base, 0);
        r = found(ctx, (size_t)place - 1, driver_integer(&st.base, 1), driver_integer(&st.base, 2),
                  driver_bytes(&st.base, 3), e);
    }
    clear(&st);
    return r;
}

const struct sql_driver postgres_driver = {
    .bind = driver_bind,
    .row = driver_row,
    .reset = driver_reset,
    .integer = driver_integer,
    .bytes = driver_bytes,
    .null = driver_null,
    .changes = driver_changes,
    .begin = driver_begin,
    .commit = driver_commit,
    .rollback = driver_rollback,
    .bulk = driver_bulk,
    .bulk_end = driver_bulk_end,
    .package_ids = driver_package_ids,
    .advisories = driver_advisories,
};

const struct store_engine store_postgres = {
    .open = postgres_open, .close = postgres_close, .doze = postgres_doze, .ping = postgres_ping
};
