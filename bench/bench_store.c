/*
 * bench_store.c - what bench/store.py measures of a store at the size of a registry. Prints JSON.
 *
 *   fill WHERE FROM COUNT      layers FROM .. FROM + COUNT of 200 packages each out of a pool of 200,000, each an image of its own; tidied
 *                              as a server would. Milliseconds for each layer, tidying included, and for its image
 *   feed WHERE NAME COUNT SEED an update of COUNT affected rows, four of each advisory; rows a second
 *   updates WHERE NAME ROWS N  N updates in which a quarter changes, tidied
 *   hits WHERE NAME KEY        who is hit by an advisory: the first page of 100, and all in pages of 10,000
 *   copy FILE SERVER           the layers and images of an SQLite database, with all that belongs to them, into an empty PostgreSQL one
 *   report WHERE DIGEST N      a stored image's report N times, and the bare key range query
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/buf.h"
#include "codec/sha256.h"
#include "index/index.h"
#include "match/match.h"
#include "report/report.h"

#include <libpq-fe.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>

#define SOURCES    20000
#define VERSIONS   10
#define PACKAGES   200
#define EVERYWHERE 100 /* versions of a source that every layer has one of */
#define TIDY       1024

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What is measured in one process is measured by its own time, so that neighbours do not count; a server's part by the clock. */
static bool by_clock;

static double spent_ms(void)
{
    struct timespec t;
    clock_gettime(by_clock ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t chance;

static unsigned below(unsigned n)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((chance >> 33) * (uint64_t)n >> 31);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- layers ---- */

static struct package package(struct arena *a, str name, unsigned version)
{
    str v = arena_printf(a, "1.%u-1", version);
    return (struct package){ .kind = STR("dpkg"),
                             .name = name,
                             .version = v,
                             .arch = STR("amd64"),
                             .source = name,
                             .source_version = v };
}

static int by_package(const void *a, const void *b) { return package_cmp(a, b); }

/* The pool's texts live as long as the program. */
static struct package *pool, *everywhere;

static void make_pool(struct arena *a)
{
    pool = arena_array(a, struct package, SOURCES * VERSIONS);
    everywhere = arena_array(a, struct package, EVERYWHERE);
    for (unsigned i = 0; i < SOURCES; i++)
        for (unsigned v = 0; v < VERSIONS; v++)
            pool[i * VERSIONS + v] = package(a, arena_printf(a, "pkg%05u", i), v);
    for (unsigned v = 0; v < EVERYWHERE; v++)
        everywhere[v] = package(a, STR("everywhere"), v);
}

/* Distinct sources, one version of each, as package_cmp() sorts them. */
static void choose(unsigned number, struct package ret[PACKAGES])
{
    chance = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    below(2);
    unsigned taken[PACKAGES], n = 0;
    while (n < PACKAGES - 1) {
        unsigned source = below(SOURCES), i = 0;
        while (i < n && taken[i] != source)
            i++;
        if (i < n)
            continue;
        taken[n] = source;
        ret[n++] = pool[source * VERSIONS + below(VERSIONS)];
    }
    ret[n] = everywhere[below(EVERYWHERE)];
    qsort(ret, PACKAGES, sizeof *ret, by_package);
}

static str digest(struct arena *a, const char *what, unsigned number, struct err *e)
{
    uint8_t sum[32];
    char hex[65], name[64];
    int n = snprintf(name, sizeof name, "%s %u", what, number);
    if (sha256_of(name, (size_t)n, sum, e) < 0)
        return STR("");
    hex_encode(sum, 32, hex);
    return arena_printf(a, "sha256:%s", hex);
}

static int put_layer(struct store *s, unsigned number, double spent[2], struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct package packages[PACKAGES];
    struct image_package rows[PACKAGES] = { 0 };
    choose(number, packages);
    struct layer_entry entry = { .kind = ENTRY_FILE,
                                 .path = STR("var/lib/dpkg/status"),
                                 .detector = STR("dpkg"),
                                 .packages = packages,
                                 .package_count = PACKAGES };
    struct layer_index layer = {
        .digest = digest(a, "layer", number, e), .size = number, .entries = &entry, .entry_count = 1
    };
    const struct layer_index *layers[] = { &layer };
    for (size_t i = 0; i < PACKAGES; i++)
        rows[i].package = packages[i];
    struct image_index image = { .digest = digest(a, "image", number, e),
                                 .layers = layers,
                                 .layer_count = 1,
                                 .distribution = { STR("debian"), STR("12"),
                                                   STR("Debian GNU/Linux 12 (bookworm)"), STR("debian:12") },
                                 .packages = rows,
                                 .package_count = PACKAGES };
    int64_t id;
    double start = now_ms();
    if (store_layer_put(s, &layer, indexer_version(), e) < 0)
        return -1;
    double middle = now_ms();
    spent[0] += middle - start;
    int r = store_image_put(s, &image, indexer_version(), &id, e);
    spent[1] += now_ms() - middle;
    return r;
}

static int fill(struct store *s, char **args, struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    unsigned from = (unsigned)atoi(args[0]), count = (unsigned)atoi(args[1]);
    double spent[2] = { 0 }, tidied = 0, longest = 0;
    make_pool(a);
    for (unsigned i = 0; i < count; i++) {
        if (put_layer(s, from + i, spent, e) < 0)
            return -1;
        if ((from + i) % TIDY != TIDY - 1)
            continue;
        struct tidy_counts n;
        const struct tidy_options o = { .ms = 200, .now = (int64_t)time(NULL) };
        double start = now_ms();
        if (store_tidy(s, &o, &n, e) < 0)
            return -1;
        double took = now_ms() - start;
        tidied += took;
        longest = took > longest ? took : longest;
    }
    printf("{\"count\": %u, \"layer_ms\": %.4f, \"image_ms\": %.4f, \"tidy_ms\": %.4f, \"tidy_longest_ms\": "
           "%.1f}\n",
           count, (spent[0] + tidied) / count, spent[1] / count, tidied / count, longest);
    return 0;
}

/* ---- feeds ---- */

/* Of each four advisories one is new with each seed. */
static int load(struct store *s, const char *name, unsigned rows, unsigned seed, struct update_counts *ret,
                struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    CLEANUP(store_update_freep) struct store_update *u = store_update_begin(s, str_from(name), STORE_RANK, e);
    if (!u || store_update_document(u, STR("bench"), arena_printf(a, "%u", seed), e) < 0)
        return -1;
    static const char *const spaces[] = { "debian:11", "debian:12", "debian:13", "debian:unstable" };
    for (unsigned i = 0; i < rows / 4; i++) {
        CLEANUP(arena_freep) struct arena *b = arena_new(0);
        struct affected_range ranges[4];
        bool all = i == 0; /* the worst: hits every layer */
        str source = all ? STR("everywhere")
                         : arena_printf(b, "pkg%05u", (unsigned)((uint64_t)i * SOURCES / (rows / 4 + 1)));
        for (unsigned k = 0; k < 4; k++)
            ranges[k] = (struct affected_range){
                .namespace = str_from(spaces[k]),
                .scheme = STR("dpkg"),
                .package = source,
                .kind = AFFECTS_SOURCE,
                .fixed_version =
                    i % 3 == 2
                        ? STR("")
                        : arena_printf(b, "1.%u-1", all ? EVERYWHERE - 1 : (i + k + (seed + i % 4) / 4) % 12),
                .severity = SEVERITY_LOW,
                .state = i % 3 == 2 ? FIX_AFFECTED : FIX_FIXED
            };
        struct advisory adv = {
            .key = arena_printf(b, "K%u", i),
            .id = arena_printf(b, "CVE-2024-%u", i),
            .description = arena_printf(b,
                                        "A flaw of number %u was found: under conditions that this text "
                                        "describes at the usual length, which is some "
                                        "three hundred bytes in the feeds that are read today, somebody "
                                        "could do something that he should not be "
                                        "able to do, and so on and on.",
                                        i),
            .link = arena_printf(b, "https://security-tracker.example/tracker/CVE-2024-%u", i),
            .ranges = ranges,
            .range_count = 4
        };
        if (store_update_put(u, &adv, e) < 0)
            return -1;
    }
    struct store_update *done = u;
    u = NULL;
    return store_update_commit(done, (int64_t)time(NULL), ret, e);
}

static int feed(struct store *s, char **args, struct err *e)
{
    struct update_counts n;
    double began = now_ms();
    if (load(s, args[0], (unsigned)atoi(args[1]), (unsigned)atoi(args[2]), &n, e) < 0)
        return -1;
    printf("{\"rows\": %lld, \"changed\": %lld, \"s\": %.3f}\n", (long long)n.rows, (long long)n.changed,
           (now_ms() - began) / 1e3);
    return 0;
}

static int updates(struct store *s, char **args, struct err *e)
{
    double began = now_ms();
    unsigned count = (unsigned)atoi(args[2]);
    for (unsigned i = 0; i < count; i++) {
        struct update_counts n;
        struct tidy_counts t;
        const struct tidy_options o = { .now = (int64_t)time(NULL) };
        if (load(s, args[0], (unsigned)atoi(args[1]), i + 2, &n, e) < 0 || store_tidy(s, &o, &t, e) < 0)
            return -1;
    }
    printf("{\"s\": %.1f}\n", (now_ms() - began) / 1e3);
    return 0;
}

/* ---- who is hit ---- */

static int page(struct store *s, int64_t advisory, struct affected_cursor *at, size_t limit, size_t *count,
                struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct affected_image *list;
    return store_affected(s, advisory, at, limit, a, &list, count, e);
}

static int hits(struct store *s, char **args, struct err *e)
{
    int64_t advisory;
    double times[21];
    size_t count = 0, all = 0;
    if (store_advisory_find(s, str_from(args[0]), str_from(args[1]), &advisory, e) <= 0)
        return e->kind ? -1 : err_set(e, ERR_NOT_FOUND, "%s: no such advisory", args[1]);
    for (size_t i = 0; i < 21; i++) {
        struct affected_cursor at = { 0 };
        double start = now_ms();
        if (page(s, advisory, &at, 100, &count, e) < 0)
            return -1;
        times[i] = now_ms() - start;
    }
    double first = times[0], start = now_ms();
    qsort(times, 21, sizeof *times, by_number);
    struct affected_cursor at = { 0 };
    for (int more = 1; more; all += count)
        if ((more = page(s, advisory, &at, 10000, &count, e)) < 0)
            return -1;
    printf("{\"first_ms\": %.3f, \"page_ms\": %.3f, \"images\": %zu, \"all_ms\": %.1f}\n", first, times[10],
           all, now_ms() - start);
    return 0;
}

/* ---- reports ---- */

struct bare {
    sqlite3 *db;
    sqlite3_stmt *st;
    PGconn *conn;
};

#define BARE                                                                                                 \
    "SELECT r.advisory FROM chosen c CROSS JOIN package p ON p.id = c.id CROSS JOIN affected r ON "          \
    "r.namespace = "                                                                                         \
    "(SELECT id FROM namespace WHERE name = x'64656269616e3a3132') AND r.name = p.source AND r.kind = 1 AND" \
    " r.fixed_key > p.source_key"
#define BARE_SERVER                                                                                          \
    "SELECT r.advisory FROM (SELECT id FROM chosen ORDER BY place) c CROSS JOIN LATERAL (SELECT source, "    \
    "source_key"                                                                                             \
    " FROM package WHERE id = c.id OFFSET 0) p CROSS JOIN LATERAL (SELECT advisory FROM affected WHERE "     \
    "namespace = "                                                                                           \
    "(SELECT id FROM namespace WHERE name = 'debian:12') AND name = p.source AND kind = 1 AND fixed_key > "  \
    "p.source_key"                                                                                           \
    " OFFSET 0) r"

/* The least that a report can cost: the image's package rows, and of each the range of keys above its version, through the same library;
 * no text, no test. */
static int bare_open(struct bare *b, const char *where, const struct image_index *image, struct err *e)
{
    bool server = store_is_server(where);
    const char *begin =
        server ? "SET search_path TO eclair; SET enable_seqscan TO off; SET enable_hashjoin TO off;"
                 "SET enable_mergejoin TO off; SET enable_bitmapscan TO off; SET jit TO off;"
                 "SET plan_cache_mode TO force_generic_plan;"
                 "CREATE TEMP TABLE chosen(place bigint PRIMARY KEY, id bigint)"
               : "PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
                 "CREATE TEMP TABLE chosen(place INTEGER PRIMARY KEY, id INTEGER)";
    if (server) {
        b->conn = PQconnectdb(where);
        PQclear(PQexec(b->conn, begin));
    } else {
        sqlite3_open_v2(where, &b->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        sqlite3_exec(b->db, begin, NULL, NULL, NULL);
    }
    for (size_t i = 0; i < image->package_count; i++) { /* the texts are our own: no quotes in them */
        const struct package *p = &image->packages[i].package;
        char sql[512];
        const char *text = server
                               ? "INSERT INTO chosen SELECT %zu, id FROM package WHERE name = '" STR_FMT
                                 "' AND version = '" STR_FMT "'"
                               : "INSERT INTO chosen SELECT %zu, id FROM package WHERE name = CAST('" STR_FMT
                                 "' AS BLOB) AND version = CAST('" STR_FMT "' AS BLOB)";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(sql, sizeof sql, text, i, STR_ARG(p->name), STR_ARG(p->version));
#pragma GCC diagnostic pop
        if (server)
            PQclear(PQexec(b->conn, sql));
        else
            sqlite3_exec(b->db, sql, NULL, NULL, NULL);
    }
    if (!server)
        return sqlite3_prepare_v2(b->db, BARE, -1, &b->st, NULL) == SQLITE_OK
                   ? 0
                   : err_set(e, ERR_FORMAT, "%s", sqlite3_errmsg(b->db));
    PGresult *r = PQprepare(b->conn, "bare", BARE_SERVER, 0, NULL);
    bool good = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return good ? 0 : err_set(e, ERR_FORMAT, "%s", PQerrorMessage(b->conn));
}

static size_t bare_run(struct bare *b)
{
    size_t n = 0;
    volatile int64_t sum = 0;
    if (b->conn) {
        PGresult *r = PQexecPrepared(b->conn, "bare", 0, NULL, NULL, NULL, 1);
        for (; (int)n < PQntuples(r); n++)
            sum += *PQgetvalue(r, (int)n, 0);
        PQclear(r);
        return n;
    }
    for (; sqlite3_step(b->st) == SQLITE_ROW; n++)
        sum += sqlite3_column_int64(b->st, 0);
    sqlite3_reset(b->st);
    return n;
}

static int once(struct store *s, str image_digest, size_t *findings, size_t *bytes, double *read_ms,
                double *match_ms, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    struct image_index *image;
    struct report report;
    int64_t id;
    double start = spent_ms();
    if (store_image_find(s, image_digest, indexer_version(), arena, &image, &id, e) <= 0)
        return -1;
    *read_ms = spent_ms() - start;
    if (match_image(s, image, clock_now(), arena, &report, e) < 0)
        return -1;
    *match_ms = spent_ms() - start - *read_ms;
    report_json.write(&report, &(struct report_options){ 0 }, &out);
    *findings = report.match.finding_count;
    *bytes = out.len;
    return 0;
}

static int reports(struct store *s, const char *where, char **args, struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    int n = atoi(args[1]);
    struct image_index *image;
    struct bare bare = { 0 };
    size_t findings = 0, bytes = 0, rows = 0;
    int64_t id;
    double *full = calloc((size_t)n, sizeof *full), *keys = calloc((size_t)n, sizeof *keys),
           *read = calloc((size_t)n, sizeof *read), *match = calloc((size_t)n, sizeof *match);
    mallopt(M_MMAP_THRESHOLD, 8 << 20); /* as the server does */
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    int found = store_image_find(s, str_from(args[0]), indexer_version(), a, &image, &id, e);
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "%s: not stored", args[0]);
    by_clock = store_is_server(where);
    if (bare_open(&bare, where, image, e) < 0)
        return -1;
    for (int i = 0; i < n; i++) {
        double start = spent_ms();
        rows = bare_run(&bare);
        keys[i] = spent_ms() - start;
        start = spent_ms();
        if (once(s, str_from(args[0]), &findings, &bytes, &read[i], &match[i], e) < 0)
            return -1;
        full[i] = spent_ms() - start;
    }
    qsort(full, (size_t)n, sizeof *full, by_number);
    qsort(keys, (size_t)n, sizeof *keys, by_number);
    qsort(read, (size_t)n, sizeof *read, by_number);
    qsort(match, (size_t)n, sizeof *match, by_number);
    printf("{\"packages\": %zu, \"findings\": %zu, \"bytes\": %zu, \"rows\": %zu, \"report_ms\": %.4f, "
           "\"read_ms\": %.4f, \"match_ms\": %.4f, \"keys_ms\": %.4f}\n",
           image->package_count, findings, bytes, rows, full[n / 2], read[n / 2], match[n / 2], keys[n / 2]);
    return 0;
}

/* ---- from one engine to the other ---- */

static void put_u16(struct buf *b, unsigned v)
{
    buf_add(b, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void put_u32(struct buf *b, uint32_t v)
{
    put_u16(b, v >> 16);
    put_u16(b, v & 0xffff);
}

static void put_value(struct buf *b, sqlite3_stmt *st, int column)
{
    if (sqlite3_column_type(st, column) == SQLITE_NULL) {
        put_u32(b, UINT32_MAX);
        return;
    }
    if (sqlite3_column_type(st, column) == SQLITE_INTEGER) {
        uint64_t v = (uint64_t)sqlite3_column_int64(st, column);
        put_u32(b, 8);
        put_u32(b, (uint32_t)(v >> 32));
        put_u32(b, (uint32_t)v);
        return;
    }
    const void *p = sqlite3_column_blob(st, column);
    int n = sqlite3_column_bytes(st, column);
    put_u32(b, (uint32_t)n);
    buf_add(b, p ? p : "", (size_t)n);
}

static int copy_table(sqlite3 *db, PGconn *to, const char *table, struct err *e)
{
    CLEANUP(buf_done) struct buf sql = { 0 }, rows = { 0 };
    sqlite3_stmt *st = NULL;
    buf_printf(&sql, "SELECT * FROM %s", table);
    buf_char(&sql, '\0');
    if (sqlite3_prepare_v2(db, sql.ptr, -1, &st, NULL) != SQLITE_OK)
        return err_set(e, ERR_FORMAT, "%s", sqlite3_errmsg(db));
    int columns = sqlite3_column_count(st);
    buf_clear(&sql);
    buf_printf(&sql, "COPY %s(", table);
    for (int i = 0; i < columns; i++)
        buf_printf(&sql, "%s%s", i ? ", " : "", sqlite3_column_name(st, i));
    buf_printf(&sql, ") FROM STDIN (FORMAT binary)%c", '\0');
    PQclear(PQexec(to, sql.ptr));
    PQputCopyData(to, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0", 19);
    while (sqlite3_step(st) == SQLITE_ROW) {
        put_u16(&rows, (unsigned)columns);
        for (int i = 0; i < columns; i++)
            put_value(&rows, st, i);
        if (rows.len > 1 << 20) {
            PQputCopyData(to, rows.ptr, (int)rows.len);
            buf_clear(&rows);
        }
    }
    sqlite3_finalize(st);
    put_u16(&rows, 0xffff);
    PQputCopyData(to, rows.ptr, (int)rows.len);
    PQputCopyEnd(to, NULL);
    int result = 0;
    for (PGresult *r; (r = PQgetResult(to));) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            result = err_set(e, ERR_FORMAT, "%s: %s", table, PQerrorMessage(to));
        PQclear(r);
    }
    return result;
}

static int copy(const char *from, const char *server, struct err *e)
{
    static const char *const tables[] = { "package",         "package_set",   "layer",       "layer_set",
                                          "distribution",    "image",         "image_layer", "posting_queue",
                                          "posting_segment", "posting_block", "named_layer", "named_view",
                                          "layer_hash",      "ancestry" };
    static const char *const counted[] = { "package",      "package_set", "layer",
                                           "distribution", "image",       "posting_segment",
                                           "named_layer",  "layer_hash",  "ancestry" };
    CLEANUP(store_freep) struct store *s = store_open(server, STORE_WRITE, e); /* makes the schema */
    sqlite3 *db;
    if (!s || sqlite3_open_v2(from, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        return -1;
    PGconn *to = PQconnectdb(server);
    PQclear(PQexec(to, "SET search_path TO eclair"));
    double began = now_ms();
    int r = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && r == 0; i++)
        r = copy_table(db, to, tables[i], e);
    for (size_t i = 0; i < sizeof counted / sizeof *counted && r == 0; i++) {
        char sql[160];
        snprintf(sql, sizeof sql,
                 "SELECT setval('%s_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM %s), false)", counted[i],
                 counted[i]);
        PQclear(PQexec(to, sql));
    }
    PQclear(PQexec(to, "VACUUM ANALYZE"));
    PQfinish(to);
    sqlite3_close(db);
    printf("{\"s\": %.1f}\n", (now_ms() - began) / 1e3);
    return r;
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    bool copies = argc == 4 && !strcmp(argv[1], "copy");
    if (copies && copy(argv[2], argv[3], &e) == 0)
        return 0;
    CLEANUP(store_freep) struct store *s = argc >= 5 ? store_open(argv[2], STORE_WRITE, &e) : NULL;
    int r = -1;
    if (s && !strcmp(argv[1], "fill"))
        r = fill(s, argv + 3, &e);
    else if (s && !strcmp(argv[1], "feed") && argc == 6)
        r = feed(s, argv + 3, &e);
    else if (s && !strcmp(argv[1], "updates") && argc == 6)
        r = updates(s, argv + 3, &e);
    else if (s && !strcmp(argv[1], "hits"))
        r = hits(s, argv + 3, &e);
    else if (s && !strcmp(argv[1], "report"))
        r = reports(s, argv[2], argv + 3, &e);
    if (r < 0)
        fprintf(stderr, "bench_store: %s\n",
                e.kind ? e.text : "usage: bench_store fill|feed|updates|hits|copy|report WHERE ...");
    return r < 0;
}
