#include "store/sqlite.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>

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
        return err_set(e, kind, "%s: %s: %s: %s", s->where, doing, sqlite3_errmsg(s->db), strerror(code));
    return err_set(e, kind, "%s: %s: %s", s->where, doing, sqlite3_errmsg(s->db));
}

static sqlite3_stmt *statement(struct sqlite *s, enum query q, struct err *e)
{
    sqlite3_stmt **st = &s->statements[q];
    if (!*st &&
        sqlite3_prepare_v3(s->db, sqlite_queries[q], -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
        sqlite_error(s, "prepare", e);
    return *st;
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

static sqlite3_stmt *bind_list(struct sqlite *s, enum query q, const char *types, va_list ap, struct err *e)
{
    sqlite3_stmt *st = statement(s, q, e);
    int r = SQLITE_OK;
    for (int i = 1; st && *types && r == SQLITE_OK; i++, types++) {
        if (*types == 'i')
            r = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
        else if (*types == 'n')
            r = sqlite3_bind_null(st, i);
        else
            r = bind_bytes(st, i, va_arg(ap, str), *types == 't');
    }
    if (r != SQLITE_OK) {
        sqlite_error(s, "bind", e);
        return NULL;
    }
    return st;
}

sqlite3_stmt *sqlite_bind(struct sqlite *s, struct err *e, enum query q, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *st = bind_list(s, q, types, ap, e);
    va_end(ap);
    return st;
}

int sqlite_row(struct sqlite *s, sqlite3_stmt *st, struct err *e)
{
    errno = 0;
    int r = sqlite3_step(st);
    if (r == SQLITE_ROW)
        return 1;
    if (r != SQLITE_DONE)
        sqlite_error(s, "read or write", e);
    sqlite3_reset(st);
    return r == SQLITE_DONE ? 0 : -1;
}

int sqlite_run(struct sqlite *s, struct err *e, enum query q, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *st = bind_list(s, q, types, ap, e);
    va_end(ap);
    return st && sqlite_row(s, st, e) >= 0 ? 0 : -1;
}

struct sqlite *sqlite_begin(struct sqlite *s, bool write, struct err *e)
{
    if (s->reading && sqlite_run(s, e, Q_COMMIT, "") < 0)
        return NULL;
    s->reading = false;
    return sqlite_run(s, e, write ? Q_BEGIN_WRITE : Q_BEGIN, "") < 0 ? NULL : s;
}

int sqlite_commit(struct sqlite **t, struct err *e)
{
    struct sqlite *s = *t;
    if (sqlite_run(s, e, Q_COMMIT, "") < 0)
        return -1; /* sqlite_endp() rolls back */
    *t = NULL;
    return 0;
}

void sqlite_endp(struct sqlite **t)
{
    struct err ignored;
    if (*t && !sqlite3_get_autocommit((*t)->db))
        sqlite_run(*t, &ignored, Q_ROLLBACK, "");
}

int sqlite_writable(struct sqlite *s, struct err *e)
{
    return s->scratch ? err_set(e, ERR_READONLY, "%s: opened for reading only", s->where) : 0;
}

static int value_get(struct store *store, str key, struct arena *arena, str *ret, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_VALUE_GET, "t", key);
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    *ret = arena_dup(arena, sqlite_str(st, 0));
    return arena_failed(arena) ? err_set(e, ERR_OOM, "%s: out of memory", s->where) : 1;
}

static int value_set(struct store *store, str key, str value, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    if (sqlite_writable(s, e) < 0)
        return -1;
    CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(s, true, e);
    if (!t || sqlite_run(s, e, Q_VALUE_SET, "tt", key, value) < 0)
        return -1;
    return sqlite_commit(&t, e);
}

static int feeds(struct store *store, struct arena *arena, struct feed_status **ret, size_t *ret_count,
                 struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_FEEDS, "");
    struct feed_status *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    while (st && (r = sqlite_row(s, st, e)) > 0) {
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            break;
        list[n++] = (struct feed_status){
            .name = arena_dup(arena, sqlite_str(st, 0)),
            .entries = sqlite3_column_int64(st, 1),
            .last_try = sqlite3_column_int64(st, 2),
            .last_success = sqlite3_column_int64(st, 3),
            .error = arena_dup(arena, sqlite_str(st, 4)),
            .generation = sqlite3_column_int64(st, 5),
        };
    }
    if (r < 0)
        return -1;
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "%s: feeds: out of memory", s->where);
    *ret = list;
    *ret_count = n;
    return 0;
}

static int count(struct store *store, struct store_counts *ret, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_COUNT, "");
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r <= 0)
        return r < 0 ? -1 : err_set(e, ERR_FORMAT, "%s: no generation", s->where);
    *ret = (struct store_counts){
        .layers = sqlite3_column_int64(st, 0),
        .images = sqlite3_column_int64(st, 1),
        .packages = sqlite3_column_int64(st, 2),
        .advisories = sqlite3_column_int64(st, 3),
        .ranges = sqlite3_column_int64(st, 4),
        .changes = sqlite3_column_int64(st, 5),
        .generation = sqlite3_column_int64(st, 6),
        .schema = SCHEMA_NUMBER,
    };
    return 0;
}

static int document(struct store *store, str feed, str name, struct arena *arena, str *ret_validator,
                    struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    CLEANUP(sqlite_resetp) sqlite3_stmt *st = sqlite_bind(s, e, Q_DOCUMENT_VALIDATOR, "tb", feed, name);
    int r = st ? sqlite_row(s, st, e) : -1;
    if (r <= 0)
        return r;
    *ret_validator = arena_dup(arena, sqlite_str(st, 0));
    return arena_failed(arena) ? err_set(e, ERR_OOM, "%s: out of memory", s->where) : 1;
}

static int feed_tried(struct store *store, str feed, int64_t now, str error, struct err *e)
{
    struct sqlite *s = (struct sqlite *)store;
    if (sqlite_writable(s, e) < 0)
        return -1;
    CLEANUP(sqlite_endp) struct sqlite *t = sqlite_begin(s, true, e);
    if (!t)
        return -1;
    int r = error.len ? sqlite_run(s, e, Q_FEED_FAILED, "tib", feed, now, error)
                      : sqlite_run(s, e, Q_FEED_SUCCEEDED, "ti", feed, now);
    return r < 0 ? -1 : sqlite_commit(&t, e);
}

const struct store_engine store_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .layer_find = sqlite_layer_find,
    .layer_put = sqlite_layer_put,
    .image_put = sqlite_image_put,
    .image_find = sqlite_image_find,
    .match = sqlite_match,
    .feeds = feeds,
    .count = count,
    .document = document,
    .feed_tried = feed_tried,
    .update_begin = sqlite_update_begin,
    .update_document = sqlite_update_document,
    .update_put = sqlite_update_put,
    .update_drop = sqlite_update_drop,
    .update_commit = sqlite_update_commit,
    .update_free = sqlite_update_free,
    .value_get = value_get,
    .value_set = value_set,
};
