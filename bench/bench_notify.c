/*
 * bench_notify.c - what bench/notify.py measures of a store: notifications, and the names that an advisory hits. Prints JSON.
 *
 *   load WHERE COUNT ROUND     an update of COUNT advisories, each of another meaning than in other rounds
 *   make WHERE                 their notifications
 *   fill FILE COUNT            COUNT named layers in chains of ten, each with an image and a package set of its own, and as many ancestries,
 *                              by plain SQL into a new SQLite database; bench_store copies it to a server
 *   feed WHERE                 an advisory for each of `hits`
 *   pages WHERE KIND KEY       layers or ancestries that an advisory hits: pages of 100, the first, the middle and the last one
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/pack.h"
#include "store/posting.h"
#include "store/rows.h"
#include "store/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHAIN    10   /* layers on each other */
#define FILLERS  2000 /* packages that nothing is wrong with */
#define EACH     20   /* of them in a chain's first layer, and two more in each of the others */
#define PAGE     100
#define TIMES    15
#define POSTS    1000000
#define PER_BULK 20000

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

static uint64_t chance = 1;

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

/* ---- notifications ---- */

/* Four ranges each, as feeds of several releases have. */
static int put(struct store_update *u, struct arena *a, unsigned i, unsigned round, struct err *e)
{
    struct affected_range ranges[4];
    for (unsigned k = 0; k < 4; k++)
        ranges[k] = (struct affected_range){ .namespace = arena_printf(a, "debian:%u", 10 + k),
                                             .scheme = STR("dpkg"),
                                             .kind = AFFECTS_SOURCE,
                                             .package = arena_printf(a, "pkg%05u", i % 5000),
                                             .fixed_version = arena_printf(a, "1.%u-%u", i % 50, round) };
    struct advisory adv = {
        .key = arena_printf(a, "K%u", i),
        .id = arena_printf(a, "CVE-2024-%u", i),
        .description = arena_printf(
            a,
            "A flaw of number %u, of which this text tells at the length that is usual in feeds of "
            "today, which is some two or three hundred bytes: somebody could do something that "
            "he should not be able to do, under conditions that are told here as well.",
            i),
        .ranges = ranges,
        .range_count = 4,
    };
    return store_update_put(u, &adv, e);
}

static int load(struct store *s, char **args, struct err *e)
{
    unsigned count = (unsigned)atoi(args[0]), round = (unsigned)atoi(args[1]);
    struct update_counts n;
    CLEANUP(store_update_freep) struct store_update *u = store_update_begin(s, STR("bench"), STORE_RANK, e);
    if (!u || store_update_document(u, STR("d"), STR("v"), e) < 0)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        CLEANUP(arena_freep) struct arena *a = arena_new(0);
        if (put(u, a, i, round, e) < 0)
            return -1;
    }
    struct store_update *done = u;
    u = NULL;
    if (store_update_commit(done, (int64_t)time(NULL), &n, e) < 0)
        return -1;
    printf("{\"changed\": %lld}\n", (long long)n.changed);
    return 0;
}

static int make(struct store *s, struct err *e)
{
    double began = spent_ms();
    size_t all = 0, some;
    for (int more = 1; more; all += some)
        if ((more = store_notifications_make(s, (int64_t)time(NULL), 500, &some, e)) < 0)
            return -1;
    printf("{\"changes\": %zu, \"s\": %.4f}\n", all, (spent_ms() - began) / 1e3);
    return 0;
}

/* ---- a registry of names ---- */

static bool at_top(unsigned chain, unsigned chains, unsigned place)
{
    (void)chain, (void)chains;
    return place == CHAIN - 1;
}

static bool in_base(unsigned chain, unsigned chains, unsigned place)
{
    (void)chains;
    return chain % 10 == 3 && place == 0;
}

static bool in_old(unsigned chain, unsigned chains, unsigned place)
{
    return chain < chains / 10 && place == 0;
}

static bool in_few(unsigned chain, unsigned chains, unsigned place)
{
    (void)chains;
    return chain % 1000 == 3 && place == 0;
}

/* Packages after the fillers, and which layers bring one. */
#define HITS 4
static const struct {
    const char *name;
    bool (*has)(unsigned chain, unsigned chains, unsigned place);
} hits[HITS] = { { "top", at_top }, { "base", in_base }, { "old", in_old }, { "few", in_few } };

struct row {
    int64_t id;
    unsigned layer;
};

static int by_id(const void *a, const void *b) { return number_order(a, b); }

struct filler {
    sqlite3 *db;
    sqlite3_stmt *set, *queue, *image, *layer, *view, *ancestry;
    struct row rows[EACH + 2 * CHAIN + HITS];
    size_t count;
};

static void add_row(struct filler *f, int64_t id, unsigned layer)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->rows[i].id == id)
            return;
    f->rows[f->count++] = (struct row){ id, layer };
}

static void bind(sqlite3_stmt *st, int at, const struct buf *b)
{
    sqlite3_bind_blob(st, at, b->ptr ? b->ptr : "", (int)b->len, SQLITE_TRANSIENT);
}

static void text(sqlite3_stmt *st, int at, const char *what, unsigned number)
{
    char name[64];
    int n = snprintf(name, sizeof name, "%s%u", what, number);
    sqlite3_bind_blob(st, at, name, n, SQLITE_TRANSIENT);
}

static int step(struct filler *f, sqlite3_stmt *st, struct err *e)
{
    int r = sqlite3_step(st);
    sqlite3_reset(st);
    return r == SQLITE_DONE ? 0 : err_set(e, ERR_IO, "%s", sqlite3_errmsg(f->db));
}

static int put_image(struct filler *f, unsigned number, struct err *e)
{
    CLEANUP(buf_done) struct buf members = { 0 }, origins = { 0 }, details = { 0 };
    struct image_package packages[EACH + 2 * CHAIN + HITS] = { 0 };
    struct image_index image = { .packages = packages, .package_count = f->count };
    int64_t ids[EACH + 2 * CHAIN + HITS];
    qsort(f->rows, f->count, sizeof *f->rows, by_id);
    for (size_t i = 0; i < f->count; i++)
        ids[i] = f->rows[i].id, packages[i].layer = f->rows[i].layer;
    set_pack(&members, ids, f->count);
    origins_pack(&image, &origins);
    details_pack(&image, &details);
    sqlite3_bind_int64(f->set, 1, number), text(f->set, 2, "hash", number), bind(f->set, 3, &members);
    sqlite3_bind_int64(f->queue, 1, number);
    sqlite3_bind_int64(f->image, 1, number), text(f->image, 2, "image", number);
    bind(f->image, 3, &origins), bind(f->image, 4, &details);
    return step(f, f->set, e) < 0 || step(f, f->queue, e) < 0 ? -1 : step(f, f->image, e);
}

static int put_names(struct filler *f, unsigned number, unsigned place, struct err *e)
{
    CLEANUP(buf_done) struct buf hashes = { 0 };
    pack_u64(&hashes, place + 1);
    for (unsigned i = 0; i <= place; i++) {
        char room[DIGEST_ROOM] = { 1 };
        memcpy(room + 1, &number, sizeof number);
        room[8] = (char)i;
        pack_str(&hashes, str_of(room, sizeof room));
    }
    sqlite3_bind_int64(f->layer, 1, number), text(f->layer, 2, "layer", number),
        text(f->layer, 4, "chain", number);
    sqlite3_bind_int64(f->layer, 3, place ? number - 1 : 0);
    sqlite3_bind_int64(f->view, 1, number);
    sqlite3_bind_int64(f->ancestry, 1, number), text(f->ancestry, 2, "ancestry", number);
    bind(f->ancestry, 3, &hashes);
    return step(f, f->layer, e) < 0 || step(f, f->view, e) < 0 ? -1 : step(f, f->ancestry, e);
}

static int put_chain(struct filler *f, unsigned chain, unsigned chains, struct err *e)
{
    f->count = 0;
    for (unsigned place = 0; place < CHAIN; place++) {
        unsigned number = chain * CHAIN + place + 1;
        for (unsigned i = 0; i < (place ? 2 : EACH); i++)
            add_row(f, 1 + below(FILLERS), place);
        for (unsigned i = 0; i < HITS; i++)
            if (hits[i].has(chain, chains, place))
                add_row(f, FILLERS + 1 + i, place);
        if (put_image(f, number, e) < 0 || put_names(f, number, place, e) < 0)
            return -1;
    }
    return 0;
}

static sqlite3_stmt *prepare(struct filler *f, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(f->db, sql, -1, &st, NULL) != SQLITE_OK)
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(f->db));
    return st;
}

static int fill_rows(struct filler *f, unsigned count, struct err *e)
{
    f->set = prepare(f, "INSERT INTO package_set VALUES (?1, ?2, ?3)");
    f->queue = prepare(f, "INSERT INTO posting_queue VALUES (?1)");
    f->image =
        prepare(f, "INSERT INTO image(id, digest, indexer, distribution, packages, used, unreadable, origins,"
                   " details) VALUES (?1, ?2, 1, 1, ?1, 9999999999, 0, ?3, ?4)");
    f->layer = prepare(f, "INSERT INTO named_layer(id, name, parent, layer, chain, namespace, engine)"
                          " VALUES (?1, ?2, nullif(?3, 0), 1, ?4, x'64656269616e3a3132', 3)");
    f->view = prepare(f, "INSERT INTO named_view VALUES (?1, 0, ?1, ?1, 1)");
    f->ancestry = prepare(f, "INSERT INTO ancestry VALUES (?1, ?2, ?1, ?1, 1, 1, ?3)");
    if (!f->set || !f->queue || !f->image || !f->layer || !f->view || !f->ancestry)
        return err_set(e, ERR_FORMAT, "the schema is another one");
    for (unsigned chain = 0; chain < count / CHAIN; chain++)
        if (put_chain(f, chain, count / CHAIN, e) < 0)
            return -1;
    return 0;
}

/* One image by the usual way, so that packages, the layer and the distribution are there. */
static int fill_first(struct store *s, struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    static struct package packages[FILLERS + HITS];
    int64_t id;
    for (unsigned i = 0; i < FILLERS + HITS; i++) {
        str name = i < FILLERS ? arena_printf(a, "a%05u", i)
                               : arena_printf(a, "b%u-%s", i - FILLERS, hits[i - FILLERS].name);
        packages[i] = (struct package){ .kind = STR("dpkg"),
                                        .name = name,
                                        .version = STR("1.0-1"),
                                        .arch = STR("amd64"),
                                        .source = name,
                                        .source_version = STR("1.0-1") };
    }
    struct layer_entry entry = { .kind = ENTRY_FILE,
                                 .path = STR("var/lib/dpkg/status"),
                                 .detector = STR("dpkg"),
                                 .packages = packages,
                                 .package_count = FILLERS + HITS };
    struct layer_index layer = { .digest = STR("sha256:bench"), .entries = &entry, .entry_count = 1 };
    const struct layer_index *layers[] = { &layer };
    static struct image_package rows[1];
    rows[0].package = packages[0];
    struct image_index image = { .digest = STR("sha256:first"),
                                 .layers = layers,
                                 .layer_count = 1,
                                 .packages = rows,
                                 .package_count = 1,
                                 .distribution = { STR("debian"), STR("12"), STR("Debian GNU/Linux 12"),
                                                   STR("debian:12") } };
    return store_layer_put(s, &layer, 1, e) < 0 ? -1 : store_image_put(s, &image, 1, &id, e);
}

static int fill_feed(struct store *s, struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct update_counts n;
    CLEANUP(store_update_freep) struct store_update *u = store_update_begin(s, STR("hits"), STORE_RANK, e);
    if (!u || store_update_document(u, STR("d"), STR("v"), e) < 0)
        return -1;
    for (unsigned i = 0; i < HITS; i++) {
        struct affected_range r = { .namespace = STR("debian:12"),
                                    .scheme = STR("dpkg"),
                                    .kind = AFFECTS_SOURCE,
                                    .package = arena_printf(a, "b%u-%s", i, hits[i].name),
                                    .fixed_version = STR("2.0-1") };
        struct advisory adv = {
            .key = str_from(hits[i].name), .id = str_from(hits[i].name), .ranges = &r, .range_count = 1
        };
        if (store_update_put(u, &adv, e) < 0)
            return -1;
    }
    struct store_update *done = u;
    u = NULL;
    return store_update_commit(done, (int64_t)time(NULL), &n, e);
}

static int fill(struct store *s, const char *file, char **args, struct err *e)
{
    struct filler f = { 0 };
    struct tidy_counts n;
    const struct tidy_options o = { .now = (int64_t)time(NULL) };
    double began = now_ms();
    if (fill_first(s, e) < 0)
        return -1;
    if (sqlite3_open_v2(file, &f.db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return err_set(e, ERR_IO, "%s: cannot be opened", file);
    sqlite3_exec(f.db,
                 "PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; BEGIN; DELETE FROM posting_queue; "
                 "DELETE FROM image; DELETE FROM image_layer;"
                 " DELETE FROM layer_set; DELETE FROM package_set",
                 NULL, NULL, NULL);
    if (fill_rows(&f, (unsigned)atoi(args[0]), e) < 0)
        return -1;
    sqlite3_exec(f.db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close_v2(f.db);
    double filled = now_ms();
    if (store_tidy(s, &o, &n, e) < 0)
        return -1;
    printf("{\"fill_s\": %.1f, \"tidy_s\": %.1f}\n", (filled - began) / 1e3, (now_ms() - filled) / 1e3);
    return 0;
}

/* ---- pages ---- */

typedef int asked(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                  struct arena *arena, struct affected_name **ret, size_t *ret_count, struct err *e);

struct question {
    struct store *s;
    asked *ask;
    int64_t advisory;
};

static int page(const struct question *q, int64_t from, size_t limit, int64_t *ids, size_t *count,
                struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct affected_name *list;
    int more = q->ask(q->s, q->advisory, STR("debian:12"), from, limit, a, &list, count, e);
    for (size_t i = 0; ids && more >= 0 && i < *count; i++)
        ids[i] = list[i].id;
    return more;
}

static int timed(const struct question *q, int64_t from, double *ret, struct err *e)
{
    double times[TIMES];
    size_t count;
    for (size_t i = 0; i < TIMES; i++) {
        double start = spent_ms();
        if (page(q, from, PAGE, NULL, &count, e) < 0)
            return -1;
        times[i] = spent_ms() - start;
    }
    qsort(times, TIMES, sizeof *times, by_number);
    *ret = times[by_clock ? 0 : TIMES / 2]; /* the clock counts neighbours */
    return 0;
}

static int pages(struct store *s, char **args, struct err *e)
{
    struct question q = { s, strcmp(args[0], "layers") ? store_affected_ancestries : store_introducing, 0 };
    CLEANUP(freep) int64_t *ids = calloc(POSTS + PER_BULK, sizeof *ids);
    size_t all = 0, count;
    double first, middle, last, end;
    if (!ids || store_advisory_find(s, STR("hits"), str_from(args[1]), &q.advisory, e) <= 0)
        return e->kind ? -1 : err_set(e, ERR_NOT_FOUND, "%s: no such advisory", args[1]);
    double start = spent_ms();
    for (int more = 1; more && all < POSTS; all += count)
        if ((more = page(&q, all ? ids[all - 1] + 1 : 0, PER_BULK, ids + all, &count, e)) < 0)
            return -1;
    double whole = spent_ms() - start;
    if (timed(&q, 0, &first, e) < 0 || timed(&q, all ? ids[all / 2] : 0, &middle, e) < 0 ||
        timed(&q, all > PAGE ? ids[all - PAGE] : 0, &last, e) < 0 ||
        timed(&q, all ? ids[all - 1] + 1 : 0, &end, e) < 0)
        return -1;
    printf("{\"names\": %zu, \"all_ms\": %.1f, \"first_ms\": %.3f, \"middle_ms\": %.3f, \"last_ms\": %.3f, "
           "\"end_ms\": %.3f}\n",
           all, whole, first, middle, last, end);
    return 0;
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    CLEANUP(store_freep) struct store *s = argc >= 3 ? store_open(argv[2], STORE_WRITE, &e) : NULL;
    int r = -1;
    by_clock = argc >= 3 && store_is_server(argv[2]);
    if (s && !strcmp(argv[1], "load") && argc == 5)
        r = load(s, argv + 3, &e);
    else if (s && !strcmp(argv[1], "make") && argc == 3)
        r = make(s, &e);
    else if (s && !strcmp(argv[1], "fill") && argc == 4)
        r = fill(s, argv[2], argv + 3, &e);
    else if (s && !strcmp(argv[1], "feed") && argc == 3)
        r = fill_feed(s, &e);
    else if (s && !strcmp(argv[1], "pages") && argc == 5)
        r = pages(s, argv + 3, &e);
    if (r < 0)
        fprintf(stderr, "bench_notify: %s\n",
                e.kind ? e.text : "usage: bench_notify load|make|fill|feed|pages WHERE ...");
    return r < 0;
}
