/* sqlite_list.c - an array of ours as a table of SQLite, so that one statement asks for all of it (sqlite.org/vtab.html); and the
 * functions that migrations and walks want. */
#include "store/sqlite.h"

#include "base/cleanup.h"
#include "store/rows.h"

#include <endian.h>
#include <stdlib.h>

enum { VALUE, NAME, KEY, LIST };

struct cursor {
    sqlite3_vtab_cursor base; /* first */
    const struct sqlite_list *list;
    size_t at;
};

static int on_connect(sqlite3 *db, void *ctx, int argc, const char *const *argv, sqlite3_vtab **ret,
                      char **error)
{
    (void)ctx, (void)argc, (void)argv, (void)error;
    int r = sqlite3_declare_vtab(db, "CREATE TABLE x(value, name, key, list HIDDEN)");
    if (r != SQLITE_OK)
        return r;
    *ret = sqlite3_malloc(sizeof **ret);
    if (!*ret)
        return SQLITE_NOMEM;
    memset(*ret, 0, sizeof **ret);
    return SQLITE_OK;
}

static int on_disconnect(sqlite3_vtab *t)
{
    sqlite3_free(t);
    return SQLITE_OK;
}

/* Only as list(POINTER). */
static int on_best_index(sqlite3_vtab *t, sqlite3_index_info *info)
{
    (void)t;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].iColumn != LIST || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!info->aConstraint[i].usable)
            return SQLITE_CONSTRAINT;
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
        info->estimatedCost = 100;
        info->estimatedRows = 100;
        return SQLITE_OK;
    }
    return SQLITE_CONSTRAINT;
}

static int on_open(sqlite3_vtab *t, sqlite3_vtab_cursor **ret)
{
    (void)t;
    struct cursor *c = sqlite3_malloc(sizeof *c);
    if (!c)
        return SQLITE_NOMEM;
    *c = (struct cursor){ 0 };
    *ret = &c->base;
    return SQLITE_OK;
}

static int on_close(sqlite3_vtab_cursor *c)
{
    sqlite3_free(c);
    return SQLITE_OK;
}

static int on_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int argc,
                     sqlite3_value **argv)
{
    (void)number, (void)text;
    struct cursor *c = (struct cursor *)cursor;
    c->list = argc == 1 ? sqlite3_value_pointer(argv[0], SQLITE_LIST) : NULL;
    c->at = 0;
    return c->list ? SQLITE_OK : SQLITE_ERROR;
}

static int on_next(sqlite3_vtab_cursor *c)
{
    ((struct cursor *)c)->at++;
    return SQLITE_OK;
}

static int on_eof(sqlite3_vtab_cursor *cursor)
{
    const struct cursor *c = (struct cursor *)cursor;
    return c->at >= c->list->count;
}

static void give(sqlite3_context *x, str v)
{
    sqlite3_result_blob(x, v.len ? v.ptr : "", (int)v.len, SQLITE_STATIC);
}

static int on_column(sqlite3_vtab_cursor *cursor, sqlite3_context *x, int column)
{
    const struct cursor *c = (struct cursor *)cursor;
    if (column == VALUE && c->list->numbers)
        sqlite3_result_int64(x, c->list->numbers[c->at]);
    else if (column == NAME && c->list->pairs)
        give(x, c->list->pairs[c->at].name);
    else if (column == KEY && c->list->pairs)
        give(x, c->list->pairs[c->at].key);
    return SQLITE_OK;
}

static int on_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)((struct cursor *)c)->at;
    return SQLITE_OK;
}

static const sqlite3_module list_module = {
    .xConnect = on_connect, /* no xCreate: it is there by its name alone */
    .xBestIndex = on_best_index,
    .xDisconnect = on_disconnect,
    .xOpen = on_open,
    .xClose = on_close,
    .xFilter = on_filter,
    .xNext = on_next,
    .xEof = on_eof,
    .xColumn = on_column,
    .xRowid = on_rowid,
};

int sqlite_list_register(sqlite3 *db) { return sqlite3_create_module(db, "list", &list_module, NULL); }

/* ---- functions ---- */

static str argument(sqlite3_value *v)
{
    const void *p = sqlite3_value_blob(v);
    return str_of(p ? p : "", (size_t)sqlite3_value_bytes(v));
}

static void give_buf(sqlite3_context *x, struct buf *b)
{
    if (b->failed)
        sqlite3_result_error_nomem(x);
    else
        sqlite3_result_blob(x, b->ptr, (int)b->len, SQLITE_TRANSIENT);
}

static void record(sqlite3_context *x, int argc, sqlite3_value **argv)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    for (int i = 0; i < argc; i++) {
        struct sql_fields f;
        if (sqlite3_value_type(argv[i]) == SQLITE_INTEGER) {
            f.numbers[0] = htobe64((uint64_t)sqlite3_value_int64(argv[i]));
            f.values[0] = str_of(&f.numbers[0], 8);
        } else {
            f.values[0] = argument(argv[i]);
        }
        sql_record_put(&b, "a", &f);
    }
    give_buf(x, &b);
}

static void hash_of_package(sqlite3_context *x, int argc, sqlite3_value **argv)
{
    (void)argc;
    const struct package p = { .kind = argument(argv[0]),
                               .name = argument(argv[1]),
                               .version = argument(argv[2]),
                               .arch = argument(argv[3]),
                               .source = argument(argv[4]),
                               .source_version = argument(argv[5]),
                               .module = argument(argv[6]) };
    uint8_t hash[PACKAGE_HASH];
    struct err e;
    if (package_hash(&p, hash, &e) < 0)
        sqlite3_result_error(x, e.text, -1);
    else
        sqlite3_result_blob(x, hash, sizeof hash, SQLITE_TRANSIENT);
}

/* number_at(bytes, from): eight of them, the highest first. */
static void number_at(sqlite3_context *x, int argc, sqlite3_value **argv)
{
    (void)argc;
    uint64_t number;
    str bytes = argument(argv[0]);
    int from = sqlite3_value_int(argv[1]);
    if (from < 0 || bytes.len < sizeof number || (size_t)from > bytes.len - sizeof number)
        return; /* NULL */
    memcpy(&number, bytes.ptr + from, sizeof number);
    sqlite3_result_int64(x, (int64_t)be64toh(number));
}

int sqlite_functions_register(sqlite3 *db)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    int r = sqlite3_create_function(db, "record", -1, flags, NULL, record, NULL, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_create_function(db, "number_at", 2, flags, NULL, number_at, NULL, NULL);
    return r == SQLITE_OK
               ? sqlite3_create_function(db, "package_hash", 7, flags, NULL, hash_of_package, NULL, NULL)
               : r;
}
