/*
 * rpm_sqlite.c - rpm's database in SQLite, read by SQLite itself from memory.
 *
 * A small read-only file system for SQLite (a "VFS") serves the bytes: without a copy, without a system call, and with the pages of
 * the -wal file in their places. The database may be hostile: no view, trigger, function or virtual table of it runs, for the
 * schema's own text must name a plain table, and an authorizer allows reading and nothing else. Blobs are read through handles,
 * which tell the size before a byte is read.
 */
#include "detect/rpm_db.h"
#include "detect/rpm_wal.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <sqlite3.h>

#define MAGIC "SQLite format 3" /* with its NUL */
enum { MAGIC_SIZE = 16 };

/* rpm makes some 40 tables and indexes with short texts. SQLite takes quadratic time for the tables of a schema: so a schema is refused
 * that needs more steps than some thousand of them, and any text that is longer. */
enum { SCHEMA_RUN = 20, SCHEMA_TEXT = 16 << 10, SCHEMA_COLUMNS = 100 };

/* ---- the file system ---- */

struct memory_file {
    sqlite3_file base;
    const struct wal_pages *pages;
};

static int mem_close(sqlite3_file *f) { return SQLITE_OK; }

static int mem_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    const struct wal_pages *pages = ((struct memory_file *)f)->pages;
    size_t got = wal_read(pages, (uint64_t)at, to, (size_t)n);
    if (got == (size_t)n)
        return SQLITE_OK;
    memset((char *)to + got, 0, (size_t)n - got); /* SQLite demands it */
    return SQLITE_IOERR_SHORT_READ;
}

static int mem_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) { return SQLITE_READONLY; }
static int mem_truncate(sqlite3_file *f, sqlite3_int64 size) { return SQLITE_READONLY; }
static int mem_sync(sqlite3_file *f, int flags) { return SQLITE_OK; }
static int mem_lock(sqlite3_file *f, int level) { return SQLITE_OK; }
static int mem_control(sqlite3_file *f, int op, void *arg) { return SQLITE_NOTFOUND; }
static int mem_sector(sqlite3_file *f) { return 4096; }
/* No locks then, no journal, and no look for a WAL, though the file says that it has one. */
static int mem_traits(sqlite3_file *f) { return SQLITE_IOCAP_IMMUTABLE; }

static int mem_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)wal_size(((struct memory_file *)f)->pages);
    return SQLITE_OK;
}

static int mem_reserved(sqlite3_file *f, int *ret)
{
    *ret = 0;
    return SQLITE_OK;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1,
    .xClose = mem_close,
    .xRead = mem_read,
    .xWrite = mem_write,
    .xTruncate = mem_truncate,
    .xSync = mem_sync,
    .xFileSize = mem_size,
    .xLock = mem_lock,
    .xUnlock = mem_lock,
    .xCheckReservedLock = mem_reserved,
    .xFileControl = mem_control,
    .xSectorSize = mem_sector,
    .xDeviceCharacteristics = mem_traits,
};

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    f->pMethods = NULL;
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return SQLITE_CANTOPEN; /* no journal, no temporary file */
    *(struct memory_file *)f = (struct memory_file){ { &file_methods }, v->pAppData };
    if (ret_flags)
        *ret_flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync) { return SQLITE_READONLY; }
static int vfs_sleep(sqlite3_vfs *v, int microseconds) { return microseconds; }
static int vfs_error(sqlite3_vfs *v, int n, char *to) { return 0; }

static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
    *ret = 0;
    return SQLITE_OK;
}

static int vfs_path(sqlite3_vfs *v, const char *name, int n, char *to)
{
    sqlite3_snprintf(n, to, "%s", name);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *v, int n, char *to)
{
    memset(to, 0, (size_t)n); /* nothing here is to be unpredictable */
    return n;
}

static int vfs_time(sqlite3_vfs *v, double *ret)
{
    *ret = 0;
    return SQLITE_OK;
}

/* ---- the database ---- */

struct database {
    struct wal_pages pages;
    char name[32];
    sqlite3_vfs vfs;
    bool registered;
    sqlite3 *db;
    sqlite3_stmt *rows;
    sqlite3_blob *blob;
    struct buf value;
    uint64_t left;     /* bytes that may still be handed out: no database holds more than its size */
    uint64_t left_run; /* thousands of SQLite's steps */
    struct rpm_sink *sink;
};

static void database_done(struct database *d)
{
    sqlite3_blob_close(d->blob);
    sqlite3_finalize(d->rows);
    sqlite3_close(d->db);
    if (d->registered)
        sqlite3_vfs_unregister(&d->vfs);
    wal_done(&d->pages);
    buf_done(&d->value);
}

static int failed(struct database *d, const char *what, struct err *e)
{
    int code = sqlite3_errcode(d->db) & 0xff;
    if (code == SQLITE_NOMEM)
        return err_set(e, ERR_OOM, "%s: out of memory", what);
    if (code == SQLITE_INTERRUPT)
        return err_set(e, ERR_LIMIT, "%s: more steps than a database of this size can need", what);
    return err_set(e, ERR_FORMAT, "%s: %s", what, sqlite3_errmsg(d->db));
}

static int no_memory(const struct database *d)
{
    int code = sqlite3_errcode(d->db) & 0xff;
    return code == SQLITE_NOMEM || code == SQLITE_INTERRUPT;
}

static int on_progress(void *ctx)
{
    struct database *d = ctx;
    return d->left_run ? d->left_run--, 0 : 1;
}

static int authorize(void *ctx, int action, const char *a, const char *b, const char *db, const char *by)
{
    return action == SQLITE_SELECT || action == SQLITE_READ ? SQLITE_OK : SQLITE_DENY;
}

static int make_vfs(struct database *d, struct err *e)
{
    sqlite3_snprintf(sizeof d->name, d->name, "eclair-%p", (void *)d); /* one of its own for each */
    d->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(struct memory_file),
        .mxPathname = 64,
        .zName = d->name,
        .pAppData = &d->pages,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_error,
    };
    if (sqlite3_vfs_register(&d->vfs, 0) != SQLITE_OK)
        return err_set(e, ERR_OOM, "SQLite did not start");
    d->registered = true;
    return 0;
}

static int open_database(struct database *d, struct err *e)
{
    static const int off[] = { SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_TRIGGER,
                               SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
                               SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION };
    if (sqlite3_open_v2("rpmdb", &d->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, d->name) != SQLITE_OK)
        return d->db ? failed(d, "open", e) : err_set(e, ERR_OOM, "open");
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        sqlite3_db_config(d->db, off[i], 0, NULL);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_limit(d->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(d->db, SQLITE_LIMIT_SQL_LENGTH, SCHEMA_TEXT);
    sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH,
                  SCHEMA_TEXT); /* blobs come through handles, which have no limit */
    sqlite3_limit(d->db, SQLITE_LIMIT_COLUMN, SCHEMA_COLUMNS);
    d->left_run = SCHEMA_RUN;
    sqlite3_progress_handler(d->db, 1000, on_progress, d);
    sqlite3_exec(d->db, "PRAGMA cell_size_check = on; PRAGMA temp_store = memory", NULL, NULL, NULL);
    sqlite3_set_authorizer(d->db, authorize, NULL);
    return 0;
}

/* The text says what SQLite will make of the name. A table of columns only: an expression needs a second parenthesis. */
static bool is_plain_table(str sql)
{
    static const char *const names[] = { "Packages", "'Packages'", "\"Packages\"" };
    ptrdiff_t open = str_find(sql, '(');
    if (open < 0 || str_find(str_skip(sql, (size_t)open + 1), '(') >= 0)
        return false;
    str head = str_head(sql, (size_t)open), create = str_word(&head), table = str_word(&head),
        name = str_trim(head);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(name, str_from(names[i])))
            return str_eq(create, STR("CREATE")) && str_eq(table, STR("TABLE"));
    return false;
}

/* 1 it is a plain table; 0 there is none; -1 what bears its name is something else. */
static int find_table(struct database *d, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int r = 0;
    if (sqlite3_prepare_v2(
            d->db,
            "SELECT sql FROM sqlite_master WHERE name = 'Packages' COLLATE NOCASE AND type <> 'trigger'", -1,
            &st, NULL) != SQLITE_OK)
        return failed(d, "its schema", e);
    int code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        str sql = str_from((const char *)sqlite3_column_text(st, 0));
        r = is_plain_table(sql) ? 1 : err_set(e, ERR_FORMAT, "its Packages is not the table that rpm makes");
    } else if (code != SQLITE_DONE) {
        r = failed(d, "its schema", e);
    }
    sqlite3_finalize(st);
    return r;
}

static int damaged(struct database *d, int64_t row, const char *what)
{
    d->sink->damage(d->sink, (struct rpm_place){ "row", (uint64_t)row }, what);
    return 0;
}

/* 1 read into d->value; 0 damaged, and told; -1. */
static int read_blob(struct database *d, int64_t row, struct err *e)
{
    int code = d->blob ? sqlite3_blob_reopen(d->blob, row)
                       : sqlite3_blob_open(d->db, "main", "Packages", "blob", row, 0, &d->blob);
    if (code != SQLITE_OK)
        return no_memory(d) ? failed(d, "Packages", e) : damaged(d, row, sqlite3_errmsg(d->db));
    size_t size = (size_t)sqlite3_blob_bytes(d->blob);
    if (size > d->left)
        return damaged(d, row, "it uses bytes that belong to other rows");
    d->left -= size;
    buf_clear(&d->value);
    char *to = buf_reserve(&d->value, size + !size);
    if (!to)
        return err_set(e, ERR_OOM, "row %lld: no memory for %zu bytes", (long long)row, size);
    if (sqlite3_blob_read(d->blob, to, (int)size, 0) != SQLITE_OK)
        return no_memory(d) ? failed(d, "Packages", e) : damaged(d, row, sqlite3_errmsg(d->db));
    d->value.len = size;
    return 1;
}

static int read_row(struct database *d, int64_t row, struct err *e)
{
    int r = read_blob(d, row, e);
    if (r > 0)
        return d->sink->header(d->sink, (struct rpm_place){ "row", (uint64_t)row }, buf_view(&d->value), e);
    sqlite3_blob_close(d->blob); /* a handle that failed once fails always */
    d->blob = NULL;
    return r;
}

static int read_rows(struct database *d, struct err *e)
{
    d->left_run = 100 + d->left / 4000; /* a row takes some ten steps and has hundreds of bytes */
    if (sqlite3_prepare_v2(d->db, "SELECT rowid FROM Packages NOT INDEXED ORDER BY rowid", -1, &d->rows,
                           NULL) != SQLITE_OK)
        return failed(d, "Packages", e);
    int64_t last = 0;
    int code;
    size_t count = 0;
    while ((code = sqlite3_step(d->rows)) == SQLITE_ROW) {
        int64_t row = sqlite3_column_int64(d->rows, 0);
        if (count++ && row <= last) /* pages that are used twice: this would have no end */
            return damaged(d, row, "the rows are not in order; those that follow were not read");
        last = row;
        if (read_row(d, row, e) < 0)
            return -1;
    }
    if (code == SQLITE_DONE)
        return 0;
    return no_memory(d) ? failed(d, "Packages", e) : damaged(d, last, sqlite3_errmsg(d->db));
}

bool rpm_sqlite_is(str content) { return str_starts(content, str_of(MAGIC, MAGIC_SIZE)); }

int rpm_sqlite_walk(str content, str wal, struct rpm_sink *s, struct err *e)
{
    CLEANUP(database_done) struct database d = { .sink = s };
    if (wal_open(content, wal, &d.pages, e) < 0)
        return -1;
    char magic[MAGIC_SIZE] = { 0 };
    wal_read(&d.pages, 0, magic, sizeof magic);
    if (!rpm_sqlite_is(str_of(magic, sizeof magic)))
        return err_set(e, ERR_FORMAT, "not a database of SQLite");
    if (d.pages.odd)
        s->odd(s, d.pages.odd);
    if (d.pages.missing)
        s->damage(s, (struct rpm_place){ "page", d.pages.missing }, "the file ends before its end");
    d.left = content.len + wal.len;
    if (make_vfs(&d, e) < 0 || open_database(&d, e) < 0)
        return -1;
    int r = find_table(&d, e);
    if (r == 0)
        s->odd(s, "it has no table Packages, and so no package");
    return r > 0 ? read_rows(&d, e) : r;
}
