#include "store/sqlite.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define BUSY_MS 10000

void sqlite_close(struct store *store)
{
    struct sqlite *s = (struct sqlite *)store;
    for (size_t i = 0; i < QUERIES; i++)
        sqlite3_finalize(s->statements[i].st);
    sqlite3_close(s->db);
    buf_done(&s->record);
    free(s->sql.where);
    free(s);
}

static void closep(struct sqlite **s)
{
    if (*s)
        sqlite_close(&(*s)->sql.store);
    *s = NULL;
}

/* The one row of a statement without parameters. */
static int numbers(struct sqlite *s, const char *sql, int64_t *ret, int count, struct err *e)
{
    sqlite3_stmt *st = NULL;
    errno = 0;
    int r = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_step(st);
    for (int i = 0; r == SQLITE_ROW && i < count; i++)
        ret[i] = sqlite3_column_int64(st, i);
    if (r != SQLITE_ROW)
        sqlite_error(s, "open", e);
    sqlite3_finalize(st);
    return r == SQLITE_ROW ? 0 : -1;
}

/* The folders above a new database. They may hold what a person scanned: nobody else's business (XDG base
 * directories: 0700). */
static int make_parents(const char *where, struct err *e)
{
    CLEANUP(freep) char *path = strdup(where);
    if (!path)
        return err_set(e, ERR_OOM, "%s: out of memory", where);
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        struct stat st;
        if (mkdir(path, 0700) < 0 && errno != EEXIST && stat(path, &st) < 0) {
            bool denied = errno == EACCES || errno == EROFS || errno == EPERM || errno == ENOENT;
            err_errno(e, "%s: make the folder %s", where, path);
            if (denied)
                e->kind = ERR_READONLY;
            return -1;
        }
        *p = '/';
    }
    return 0;
}

static struct sqlite *connect_to(const char *where, const char *name, int flags, struct err *e)
{
    struct sqlite *s = calloc(1, sizeof *s);
    if (!s || !(s->sql.where = strdup(where))) {
        free(s);
        err_set(e, ERR_OOM, "%s: out of memory", where);
        return NULL;
    }
    s->sql.store.engine = &store_sqlite;
    s->sql.driver = &sqlite_driver;
    s->sql.care = &sqlite_care;
    errno = 0;
    if (sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        sqlite_error(s, "open", e);
        sqlite_close(&s->sql.store);
        return NULL;
    }
    if (sqlite_list_register(s->db) != SQLITE_OK || sqlite_functions_register(s->db) != SQLITE_OK) {
        sqlite_error(s, "open", e);
        sqlite_close(&s->sql.store);
        return NULL;
    }
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return s;
}

/* A WAL that cannot be replayed here holds commits that we would miss, perhaps in the middle of a checkpoint.
 */
static bool wal_waits(const char *where)
{
    struct stat st;
    struct buf name = { 0 };
    buf_printf(&name, "%s-wal", where);
    buf_char(&name, '\0');
    bool waits = name.failed || (stat(name.ptr, &st) == 0 && st.st_size > 0);
    buf_done(&name);
    return waits;
}

/* Is it ours, and may we read it? The schema number; 0: made but not filled, by somebody who is at it or was killed. */
static int identify(struct sqlite *s, int64_t *ret, struct err *e)
{
    enum { ID, SCHEMA, TABLES, NUMBERS };
    int64_t n[NUMBERS] = { 0 };
    /* one statement, so that they belong together while another process fills the file */
    if (numbers(s,
                "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
                " FROM pragma_application_id, pragma_user_version",
                n, NUMBERS, e) < 0) {
        if (e->kind == ERR_FORMAT)
            err_set(e, ERR_FORMAT, "%s is not an éclair database: %s", s->sql.where, sqlite3_errmsg(s->db));
        return -1;
    }
    *ret = n[SCHEMA];
    if (!n[ID] && !n[SCHEMA] && !n[TABLES])
        return 0;
    if (n[ID] != APPLICATION_ID || n[SCHEMA] < 1)
        return err_set(e, ERR_FORMAT,
                       "%s is not an éclair database: its application id is %lld, its schema %lld",
                       s->sql.where, (long long)n[ID], (long long)n[SCHEMA]);
    if (n[SCHEMA] > SCHEMA_NUMBER)
        return err_set(e, ERR_NEWER,
                       "%s: its schema is %lld, this program knows up to %d: use a newer éclair",
                       s->sql.where, (long long)n[SCHEMA], SCHEMA_NUMBER);
    return 0;
}

/* SQLite notices only whole pages that are missing. While there is a WAL the file may rightly be behind. The file must not be
 * opened here: closing it would drop the locks that all connections of this process have on it (fcntl(2)). */
static int check_whole(struct sqlite *s, struct err *e)
{
    struct stat st;
    int64_t n[2] = { 0 };
    if (wal_waits(s->sql.where) || stat(s->sql.where, &st) < 0)
        return 0;
    if (numbers(s, "SELECT page_size, page_count FROM pragma_page_size, pragma_page_count", n, 2, e) < 0)
        return -1;
    /* once more: another process may have grown it between the two */
    if (st.st_size >= n[0] * n[1] || wal_waits(s->sql.where) || stat(s->sql.where, &st) < 0 ||
        st.st_size >= n[0] * n[1])
        return 0;
    return err_set(e, ERR_FORMAT, "%s: truncated: %lld of %lld bytes", s->sql.where, (long long)st.st_size,
                   (long long)(n[0] * n[1]));
}

/* From whatever schema it has to ours, in one transaction: the file is as it was or complete. */
static int migrate(struct sqlite *s, struct err *e)
{
    int64_t schema;
    char mark[80];
    CLEANUP(sql_endp) struct sql *t = sql_begin(&s->sql, true, e);
    if (!t || identify(s, &schema, e) < 0)
        return -1;
    s->sql.store.schema_before = schema;
    for (; schema < SCHEMA_NUMBER; schema++) {
        for (const char *const *step = sqlite_migrations[schema]; *step; step++)
            if (sqlite_execute(s, *step, e) < 0)
                return -1;
        if (sql_convert(&s->sql, (int)schema + 1, e) < 0)
            return -1;
    }
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
             SCHEMA_NUMBER);
    return sqlite_execute(s, mark, e) < 0 ? -1 : sql_commit(&t, e);
}

/* Memory of a connection is the cache, 8 MiB; reading goes through the mapping. synchronous=NORMAL with a
 * WAL: a power cut may undo the last commits, never tear one. The WAL is cut to 16 MiB after use. */
static int tune(struct sqlite *s, struct err *e)
{
    return sqlite_execute(
        s,
        "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
        "PRAGMA mmap_size = 1073741824; PRAGMA journal_size_limit = 16777216;"
        "PRAGMA wal_autocheckpoint = 2000",
        e);
}

/* Switching to WAL needs the file alone for a moment, and SQLite does not wait for that by itself. */
static int enter_wal(struct sqlite *s, struct err *e)
{
    int64_t until = clock_ms() + BUSY_MS;
    while (sqlite_execute(s, "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL", e) < 0) {
        if (e->kind != ERR_BUSY || clock_ms() > until)
            return -1;
        usleep(5000);
    }
    return 0;
}

static struct store *open_write(const char *where, struct err *e)
{
    int64_t schema;
    struct stat st;
    if (stat(where, &st) == 0 && !S_ISREG(st.st_mode)) {
        err_set(e, ERR_FORMAT, "%s is not an éclair database: not a regular file", where);
        return NULL;
    }
    if (make_parents(where, e) < 0)
        return NULL;
    CLEANUP(closep)
    struct sqlite *s = connect_to(where, where, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
    if (!s || identify(s, &schema, e) < 0 || check_whole(s, e) < 0)
        return NULL;
    if (sqlite3_db_readonly(s->db, "main")) {
        err_set(e, ERR_READONLY, "%s: not writable", where);
        return NULL;
    }
    s->sql.store.schema_before = schema;
    if (enter_wal(s, e) < 0 || tune(s, e) < 0 || (schema < SCHEMA_NUMBER && migrate(s, e) < 0))
        return NULL;
    struct store *ret = &s->sql.store;
    s = NULL;
    return ret;
}

/* A path as a URI: what has a meaning there is written as %XX (RFC 3986 section 2.1). */
static char *uri(const char *path, const char *options)
{
    struct buf b = { 0 };
    buf_str(&b, STR("file:"));
    for (; *path; path++) {
        if (strchr("?#%", *path))
            buf_printf(&b, "%%%02x", (unsigned char)*path);
        else
            buf_char(&b, *path);
    }
    buf_str(&b, str_from(options));
    buf_char(&b, '\0');
    if (b.failed)
        buf_done(&b);
    return b.ptr;
}

static struct sqlite *connect_readonly(const char *where, const char *options, int64_t *schema, struct err *e)
{
    CLEANUP(freep) char *name = uri(where, options);
    if (!name) {
        err_set(e, ERR_OOM, "%s: out of memory", where);
        return NULL;
    }
    struct sqlite *s = connect_to(where, name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, e);
    if (s && (identify(s, schema, e) < 0 || check_whole(s, e) < 0))
        closep(&s);
    return s;
}

/* For writing if `tidy`, where that may be: who only reads leaves a -shm file behind when he is the last to go. */
static struct sqlite *open_existing(const char *where, bool tidy, int64_t *schema, struct err *e)
{
    struct stat st;
    if (stat(where, &st) == 0 && !S_ISREG(st.st_mode)) {
        err_set(e, ERR_FORMAT, "%s is not an éclair database: not a regular file", where);
        return NULL;
    }
    struct sqlite *s = tidy ? connect_to(where, where, SQLITE_OPEN_READWRITE, e) : NULL;
    if (s && (identify(s, schema, e) < 0 || check_whole(s, e) < 0))
        closep(&s);
    if (s || (tidy && e->kind != ERR_READONLY))
        return s;
    s = connect_readonly(where, "?mode=ro", schema, e);
    /* WAL mode wants a -shm file beside the database; where none can be made, nobody writes, and the file
     * alone is enough */
    if (!s && e->kind == ERR_READONLY && !wal_waits(where))
        s = connect_readonly(where, "?immutable=1", schema, e);
    return s;
}

static struct store *open_read(const char *where, struct err *e)
{
    int64_t schema = 0;
    CLEANUP(closep) struct sqlite *s = open_existing(where, true, &schema, e);
    if (s && schema < SCHEMA_NUMBER)
        err_set(e, ERR_READONLY, "%s: its schema must be made or migrated first (eclair db migrate)", where);
    if (!s || schema < SCHEMA_NUMBER || tune(s, e) < 0 || sqlite_execute(s, "PRAGMA query_only = ON", e) < 0)
        return NULL;
    s->sql.readonly = true;
    s->sql.store.schema_before = schema;
    struct store *ret = &s->sql.store;
    s = NULL;
    return ret;
}

static struct store *open_scratch(const char *where, struct err *e)
{
    int64_t schema = 0;
    struct sqlite *made = NULL;
    if (access(where, F_OK) == 0 && !(made = open_existing(where, false, &schema, e)))
        return NULL;
    CLEANUP(closep) struct sqlite *s = made;
    if (s && schema && schema < SCHEMA_NUMBER) {
        err_set(e, ERR_READONLY,
                "%s: its schema is %lld and must be migrated to %d, but it cannot be written", where,
                (long long)schema, SCHEMA_NUMBER);
        return NULL;
    }
    if (!schema) {
        closep(&s);
        s = connect_to(where, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
    }
    if (!s || tune(s, e) < 0 || (schema ? sqlite_execute(s, sqlite_index_tables, e) : migrate(s, e)) < 0)
        return NULL;
    s->sql.scratch = true;
    made = s, s = NULL;
    return &made->sql.store;
}

struct store *sqlite_open(const char *where, enum store_mode mode, struct err *e)
{
    if (!where[0] || !strcmp(where, ":memory:")) {
        err_set(e, ERR_USAGE, "a database needs the path of a file");
        return NULL;
    }
    switch (mode) {
    case STORE_WRITE:
        return open_write(where, e);
    case STORE_SCRATCH:
        return open_scratch(where, e);
    case STORE_READ:
        return open_read(where, e);
    }
    return NULL;
}
