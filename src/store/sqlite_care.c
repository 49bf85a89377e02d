/* sqlite_care.c - what only a file has: its size, its free pages. */
#include "store/sqlite.h"

#include "base/cleanup.h"

#include <errno.h>

static int execute(struct sqlite *s, const char *doing, const char *sql, struct err *e)
{
    errno = 0;
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_error(s, doing, e);
}

/* The one number of a statement. */
static int number(struct sqlite *s, const char *sql, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = NULL;
    errno = 0;
    int r = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
    r = r == SQLITE_OK ? sqlite3_step(st) : r;
    if (r == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    else
        sqlite_error(s, "read", e);
    sqlite3_finalize(st);
    return r == SQLITE_ROW ? 0 : -1;
}

static int care_size(struct sql *sql, int64_t *ret, struct err *e)
{
    return number((struct sqlite *)sql,
                  "SELECT page_size * page_count FROM pragma_page_size, pragma_page_count", ret, e);
}

/* VACUUM copies what is alive to a temporary file and back by way of the WAL: others read on, and writers wait. The copy must not be in memory,
 * where other temporary things of ours are. */
static int care_compact(struct sql *sql, struct err *e)
{
    struct sqlite *s = (struct sqlite *)sql;
    struct err ignored = { 0 };
    int64_t free_pages;
    if (number(s, "PRAGMA freelist_count", &free_pages, e) < 0)
        return -1;
    if (free_pages) {
        int r = execute(s, "vacuum", "PRAGMA temp_store = FILE; VACUUM", e);
        execute(s, "vacuum", "PRAGMA temp_store = MEMORY", &ignored);
        if (r < 0)
            return -1;
    }
    return execute(s, "vacuum", "PRAGMA wal_checkpoint(TRUNCATE)", e);
}

static int care_check(struct sql *sql, store_problem *report, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)sql;
    sqlite3_stmt *st = NULL;
    errno = 0;
    int r = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(100)", -1, &st, NULL);
    while (r == SQLITE_OK || r == SQLITE_ROW) {
        r = sqlite3_step(st);
        const char *text = r == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
        if (text && strcmp(text, "ok"))
            report(ctx, text);
    }
    if (r != SQLITE_DONE)
        sqlite_error(s, "check", e);
    sqlite3_finalize(st);
    return r == SQLITE_DONE ? 0 : -1;
}

#define BACKUP_PAGES 256 /* of 8 KiB: a step */

static void close_dbp(sqlite3 **db) { sqlite3_close(*db); }

static int backup_error(const char *path, sqlite3 *to, struct err *e)
{
    int code = sqlite3_system_errno(to);
    enum err_kind kind = (sqlite3_errcode(to) & 0xff) == SQLITE_FULL || code == ENOSPC ? ERR_FULL : ERR_IO;
    return err_set(e, kind, "%s: backup: %s%s%s", path, sqlite3_errmsg(to), code ? ": " : "",
                   code ? strerror(code) : "");
}

static int care_backup(struct sql *sql, const char *path, struct err *e)
{
    struct sqlite *s = (struct sqlite *)sql;
    CLEANUP(close_dbp) sqlite3 *to = NULL;
    if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        return to ? backup_error(path, to, e) : sql_oom(sql, e);
    sqlite3_backup *b = sqlite3_backup_init(to, "main", s->db, "main");
    if (!b)
        return backup_error(path, to, e);
    int r;
    do
        r = sqlite3_backup_step(b, BACKUP_PAGES);
    while (r == SQLITE_OK);
    /* the error of a step is told by the end of all */
    return sqlite3_backup_finish(b) == SQLITE_OK && r == SQLITE_DONE ? 0 : backup_error(path, to, e);
}

const struct sql_care sqlite_care = {
    .size = care_size,
    .compact = care_compact,
    .check = care_check,
    .backup = care_backup,
};
