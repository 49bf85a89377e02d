#include "store/sqlite.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "store/rows.h"

#include <errno.h>

/* What an I/O error of SQLite's was for the operating system; `otherwise` where that gave no reason. */
static enum err_kind kind_of_errno(int code, enum err_kind otherwise)
{
    switch (code) {
    case 0:
    case ENOENT:
        return otherwise;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_FULL;
    case EROFS:
    case EACCES:
    case EPERM:
        return ERR_READONLY;
    default:
        return ERR_IO;
    }
}

/* SQLite keeps the reason of a failed read or write, but not that of a failed COMMIT: there errno itself is
 * asked, which sqlite_row() and its like have cleared. */
static int system_errno(sqlite3 *db)
{
    int code = sqlite3_system_errno(db);
    return code ? code : errno;
}

static enum err_kind kind_of(sqlite3 *db, int code)
{
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return ERR_READONLY;
    case SQLITE_CANTOPEN:
        return kind_of_errno(code, ERR_READONLY);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* our statements are right: a table or column of theirs is missing */
        return ERR_FORMAT;
    case SQLITE_NOMEM:
        return ERR_OOM;
    case SQLITE_IOERR:
        return kind_of_errno(code, ERR_IO);
    default:
        return ERR_INTERNAL;
    }
}

int sqlite_error(struct sqlite *s, const char *doing, struct err *e)
{
    int code = system_errno(s->db);
    enum err_kind kind = kind_of(s->db, code);
    if ((kind == ERR_IO || kind == ERR_READONLY || kind == ERR_FULL) && code)
        return err_set(e, kind, "%s: %s: %s: %s", s->sql.where, doing, sqlite3_errmsg(s->db), strerror(code));
    return err_set(e, kind, "%s: %s: %s", s->sql.where, doing, sqlite3_errmsg(s->db));
}

int sqlite_execute(struct sqlite *s, const char *sql, struct err *e)
{
    errno = 0;
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_error(s, "open", e);
}

/* ---- statements ---- */

static struct sqlite_stmt *statement(struct sqlite *s, enum query q, struct err *e)
{
    struct sqlite_stmt *st = &s->statements[q];
    st->base.sql = &s->sql;
    if (!st->st && sqlite3_prepare_v3(s->db, sqlite_queries[q], -1, SQLITE_PREPARE_PERSISTENT, &st->st,
                                      NULL) != SQLITE_OK)
        sqlite_error(s, "prepare", e);
    if (!st->st)
        return NULL;
    st->record_columns = sqlite_records[q].columns;
    st->record_again = sqlite_records[q].again;
    st->record_at = (unsigned)sqlite3_column_count(st->st) - 1;
    return st;
}

static int bind_bytes(sqlite3_stmt *st, int i, str v, bool text)
{
    if (v.len > INT32_MAX)
        return SQLITE_TOOBIG;
    if (text)
        return sqlite3_bind_text(st, i, v.len ? v.ptr : "", (int)v.len, SQLITE_STATIC);
    /* an empty view may have no address, which would bind NULL */
    return v.len ? sqlite3_bind_blob(st, i, v.ptr, (int)v.len, SQLITE_STATIC)
                 : sqlite3_bind_zeroblob(st, i, 0);
}

static int bind_next(struct sqlite_stmt *st, int i, char type, va_list *ap)
{
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(st->st, i, va_arg(*ap, int64_t));
    case 'n':
        return sqlite3_bind_null(st->st, i);
    case 'I':
        st->list = (struct sqlite_list){ .numbers = va_arg(*ap, const int64_t *) };
        st->list.count = va_arg(*ap, size_t);
        return sqlite3_bind_pointer(st->st, i, &st->list, SQLITE_LIST, NULL);
    case 'P':
        st->list = (struct sqlite_list){ .pairs = va_arg(*ap, const struct sql_pair *) };
        st->list.count = va_arg(*ap, size_t);
        return sqlite3_bind_pointer(st->st, i, &st->list, SQLITE_LIST, NULL);
    default:
        return bind_bytes(st->st, i, va_arg(*ap, str), type == 't');
    }
}

static struct sql_stmt *driver_bind(struct sql *sql, enum query q, const char *types, va_list ap,
                                    struct err *e)
{
    struct sqlite *s = (struct sqlite *)sql;
    struct sqlite_stmt *st = statement(s, q, e);
    va_list list;
    int r = SQLITE_OK;
    va_copy(list, ap);
    for (int i = 1; st && *types && r == SQLITE_OK; i++, types++)
        r = bind_next(st, i, *types, &list);
    va_end(list);
    if (r != SQLITE_OK)
        sqlite_error(s, "bind", e);
    return st && r == SQLITE_OK ? &st->base : NULL;
}

static str column_bytes(const struct sqlite_stmt *st, unsigned column)
{
    const void *p = sqlite3_column_blob(st->st, (int)column);
    return str_of(p ? p : "", (size_t)sqlite3_column_bytes(st->st, (int)column));
}

static int take_record(struct sqlite_stmt *st, str record, struct err *e)
{
    str ignored[SQL_RECORD];
    if (record.len && (uint8_t)*record.ptr == RECORD_SHORT) {
        record = str_skip(record, 1);
        for (unsigned i = 0; i < st->record_columns; i++) {
            st->record[i] = STR("");
            if (record.len && sql_record_take(st->base.sql, &record, &st->record[i], 1, e) < 0)
                return -1;
        }
        return 1;
    }
    if (sql_record_take(st->base.sql, &record, ignored, st->record_again, e) < 0)
        return -1;
    return sql_record_take(st->base.sql, &record, st->record, st->record_columns, e);
}

static int driver_row(struct sql_stmt *stmt, struct err *e)
{
    struct sqlite_stmt *st = (struct sqlite_stmt *)stmt;
    errno = 0;
    int r = sqlite3_step(st->st);
    if (r == SQLITE_ROW && !st->record_columns)
        return 1;
    if (r == SQLITE_ROW) {
        return take_record(st, column_bytes(st, st->record_at), e);
    }
    if (r != SQLITE_DONE)
        sqlite_error((struct sqlite *)stmt->sql, "read or write", e);
    sqlite3_reset(st->st);
    return r == SQLITE_DONE ? 0 : -1;
}

static void driver_reset(struct sql_stmt *st) { sqlite3_reset(((struct sqlite_stmt *)st)->st); }

static bool in_record(const struct sqlite_stmt *st, int column)
{
    return st->record_columns && (unsigned)column >= st->record_at;
}

static int64_t driver_integer(struct sql_stmt *stmt, int column)
{
    struct sqlite_stmt *st = (struct sqlite_stmt *)stmt;
    return in_record(st, column) ? sql_field_int(st->record[(unsigned)column - st->record_at])
                                 : sqlite3_column_int64(st->st, column);
}

static str driver_bytes(struct sql_stmt *stmt, int column)
{
    struct sqlite_stmt *st = (struct sqlite_stmt *)stmt;
    return in_record(st, column) ? st->record[(unsigned)column - st->record_at]
                                 : column_bytes(st, (unsigned)column);
}

static bool driver_null(struct sql_stmt *st, int column)
{
    return sqlite3_column_type(((struct sqlite_stmt *)st)->st, column) == SQLITE_NULL;
}

static int64_t driver_changes(struct sql *s) { return sqlite3_changes64(((struct sqlite *)s)->db); }

/* ---- transactions ---- */

static int driver_begin(struct sql *s, enum sql_mode mode, struct err *e)
{
    return sqlite_execute((struct sqlite *)s, mode == SQL_READ ? "BEGIN" : "BEGIN IMMEDIATE", e);
}

static int driver_commit(struct sql *s, struct err *e)
{
    return sqlite_execute((struct sqlite *)s, "COMMIT", e);
}

static void driver_rollback(struct sql *sql)
{
    struct sqlite *s = (struct sqlite *)sql;
    struct err ignored;
    if (!sqlite3_get_autocommit(s->db))
        sqlite_execute(s, "ROLLBACK", &ignored);
}

/* ---- many at once: here a loop ---- */

/* What the row has in columns of its own is left out, and what is empty at the end. */
static const char *record_letters(const struct sql_shape *shape, char *room, const struct sql_fields *f)
{
    size_t n = 0, kept = 0;
    for (const char *c = shape->record; *c; c++) {
        if (strchr(shape->columns, *c))
            continue;
        room[n++] = *c;
        if (!sql_field_empty(f, *c))
            kept = n;
    }
    room[kept] = '\0';
    return room;
}

static int bind_record(struct sqlite *s, struct sqlite_stmt *st, int i, const struct sql_shape *shape,
                       const struct sql_fields *f)
{
    char letters[SQL_FIELDS + 1];
    buf_clear(&s->record);
    buf_char(&s->record, (char)RECORD_SHORT);
    sql_record_put(&s->record, record_letters(shape, letters, f), f);
    return s->record.failed ? SQLITE_NOMEM : bind_bytes(st->st, i, buf_view(&s->record), false);
}

static int bind_fields(struct sqlite *s, struct sqlite_stmt *st, const struct sql_shape *shape,
                       const char *types, const struct sql_fields *f)
{
    int r = SQLITE_OK, i = 1;
    for (const char *c = shape->columns; *c && r == SQLITE_OK; c++, i++) {
        str v = f->values[*c - 'a'];
        if (types[*c - 'a'] == 'i')
            r = sqlite3_bind_int64(st->st, i, sql_field_int(v));
        else
            r = v.ptr ? bind_bytes(st->st, i, v, false) : sqlite3_bind_null(st->st, i);
    }
    return shape->record && r == SQLITE_OK ? bind_record(s, st, i, shape, f) : r;
}

static int driver_bulk(struct sql *sql, enum bulk b, const char *types, va_list ap, struct err *e)
{
    static const enum query queries[BULKS] = {
        [BULK_ADVISORY] = Q_ADVISORY_ADD,   [BULK_METADATA] = Q_METADATA_ADD,
        [BULK_AFFECTED] = Q_AFFECTED_ADD,   [BULK_NEGATIVE] = Q_NEGATIVE_ADD,
        [BULK_CHANGE] = Q_CHANGE_ADD,       [BULK_BLOCK] = Q_BLOCK_ADD,
        [BULK_NOTIFICATION] = Q_NOTIFY_ADD,
    };
    struct sqlite *s = (struct sqlite *)sql;
    struct sqlite_stmt *st = statement(s, queries[b], e);
    struct sql_fields f;
    va_list list;
    sql->conflict = false;
    if (!st)
        return -1;
    va_copy(list, ap);
    sql_fields_take(&f, types, &list);
    va_end(list);
    if (bind_fields(s, st, &sql_shapes[b], types, &f) != SQLITE_OK)
        return sqlite_error(s, "bind", e);
    if (driver_row(&st->base, e) == 0)
        return 0;
    sql->conflict = (sqlite3_errcode(s->db) & 0xff) == SQLITE_CONSTRAINT;
    return sql->conflict ? err_set(e, ERR_FORMAT, "the key comes twice") : -1;
}

static int driver_bulk_end(struct sql *s, struct err *e)
{
    (void)s, (void)e;
    return 0;
}

static int package_id(struct sql *s, const struct package *p, int64_t *ret, struct err *e)
{
    uint8_t hash[PACKAGE_HASH];
    if (package_hash(p, hash, e) < 0)
        return -1;
    str name = str_of(hash, sizeof hash);
    int r = sql_number(s, e, ret, Q_PACKAGE_FIND, "b", name);
    if (r)
        return r;
    struct version_key version, source;
    str version_key = installed_key(p->kind, p->version, &version);
    str source_key = installed_key(p->kind, p->source_version, &source);
    return sql_number(s, e, ret, Q_PACKAGE_ADD, "bbbbbbbbbb", name, p->name, p->version, p->arch, p->kind,
                      p->source, p->source_version, p->module, version_key, source_key);
}

static int driver_package_ids(struct sql *s, const struct package *const *packages, size_t count,
                              int64_t *ids, struct err *e)
{
    for (size_t i = 0; i < count; i++)
        if (package_id(s, packages[i], &ids[i], e) < 0)
            return -1;
    return 0;
}

/* In one transaction: beginning one costs more than the look-up. */
static int driver_advisories(struct sql *s, int64_t feed, const str *keys, size_t count,
                             sql_advisory_found *found, void *ctx, struct err *e)
{
    CLEANUP(sql_endp) struct sql *t = sql_begin(s, false, e);
    if (!t)
        return -1;
    for (size_t i = 0; i < count; i++) {
        CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_ADVISORY_FIND, "ib", feed, keys[i]);
        int r = st ? sql_row(s, st, e) : -1;
        if (r < 0 || (r > 0 && found(ctx, i, sql_int(st, 0), sql_int(st, 1), sql_str(st, 2), e) < 0))
            return -1;
    }
    return 0;
}

#define DOZE_MS 250

static int data_version(struct sqlite *s, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = NULL;
    bool good = sqlite3_prepare_v2(s->db, "PRAGMA data_version", -1, &st, NULL) == SQLITE_OK &&
                sqlite3_step(st) == SQLITE_ROW;
    if (good)
        *ret = sqlite3_column_int64(st, 0);
    else
        sqlite_error(s, "read", e);
    sqlite3_finalize(st);
    return good ? 0 : -1;
}

/* Nobody tells: the file is asked whether another connection has written. */
int sqlite_doze(struct store *store, int timeout_ms, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    int64_t until = clock_ms() + timeout_ms, version, left;
    for (;;) {
        if (data_version(s, &version, e) < 0)
            return -1;
        if (version != s->data_version) {
            s->data_version = version;
            return 1;
        }
        if ((left = until - clock_ms()) <= 0)
            return 0;
        usleep((useconds_t)(left < DOZE_MS ? left : DOZE_MS) * 1000);
    }
}

const struct sql_driver sqlite_driver = {
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

const struct store_engine store_sqlite = {
    .open = sqlite_open, .close = sqlite_close, .doze = sqlite_doze, .ping = sql_ping
};
