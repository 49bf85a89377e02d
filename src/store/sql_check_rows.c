/*
 * sql_check_rows.c - what many rows say together, against what they should say: for each number (of a set, of an advisory) one sum over what
 * is wanted and one over what is there. Sums do not depend on the order, so that each table is read once, in its own.
 */
#include "store/sql_check.h"

#include "base/cleanup.h"
#include "base/strmap.h"
#include "codec/sha256.h"
#include "store/rows.h"
#include "store/sql_posting.h"
#include "store/sql_update.h"

#include <stdlib.h>
#include <time.h>

#define WINDOW          (1 << 20) /* numbers at a time: 17 MiB */
#define ROWS_AT_ONCE    1000
#define NUMBERS_AT_ONCE 10000
#define BLOCKS_AT_ONCE  256
#define CHUNK           256         /* packages that are looked at, or not, together */
#define CHUNKS_MAX      16          /* without --full, about */
#define PACKAGES_SPAN   (1ll << 31) /* 256 MiB of bits: beyond it packages are not looked for */

enum { STORED = 1, QUEUED = 2 };

struct sums { /* of the numbers first + 1 to first + count */
    int64_t first, count;
    uint64_t *want, *got;
    uint8_t *flags;
};

static void sums_done(struct sums *m)
{
    free(m->want);
    free(m->got);
    free(m->flags);
}

static int sums_start(struct sums *m, const struct sql *s, int64_t first, int64_t last, struct err *e)
{
    sums_done(m);
    m->first = first;
    m->count = last - first < WINDOW ? last - first : WINDOW;
    m->want = calloc((size_t)m->count, sizeof *m->want);
    m->got = calloc((size_t)m->count, sizeof *m->got);
    m->flags = calloc((size_t)m->count, 1);
    return m->want && m->got && m->flags ? 0 : sql_oom(s, e);
}

static int64_t at(const struct sums *m, int64_t number) /* -1: not in this window */
{
    return number > m->first && number <= m->first + m->count ? number - m->first - 1 : -1;
}

/* The last step of splitmix64: sums of these meet by chance only. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u + b;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* ---- sets ---- */

struct posting_check {
    struct checking *c;
    struct sums sums;
    uint8_t *packages; /* a bit for each that is stored; NULL: too many */
    int64_t last_package, last_set;
    uint64_t chance, every; /* one chunk of so many */
    struct segment *segments;
    size_t segment_count;
};

static void posting_check_done(struct posting_check *k)
{
    sums_done(&k->sums);
    free(k->packages);
}

static bool is_sampled(const struct posting_check *k, int64_t package)
{
    return k->every <= 1 || mix(k->chance, (uint64_t)(package / CHUNK)) % k->every == 0;
}

static int read_packages(struct posting_check *k, struct err *e)
{
    struct sql *s = k->c->s;
    if (sql_number(s, e, &k->last_package, Q_LAST_PACKAGE, "") < 0 ||
        sql_number(s, e, &k->last_set, Q_LAST_SET, "") < 0)
        return -1;
    k->chance = (uint64_t)time(NULL);
    k->every = k->c->full ? 1 : (uint64_t)(k->last_package / CHUNK / CHUNKS_MAX);
    if (k->last_package >= PACKAGES_SPAN)
        return 0;
    k->packages = calloc((size_t)k->last_package / 8 + 1, 1);
    if (!k->packages)
        return sql_oom(s, e);
    for (int64_t after = 0, n = NUMBERS_AT_ONCE; n == NUMBERS_AT_ONCE;) {
        CLEANUP(sql_resetp)
        struct sql_stmt *st = sql_bind(s, e, Q_CHECK_PACKAGES, "ii", after, (int64_t)NUMBERS_AT_ONCE);
        int r = -1;
        for (n = 0; st && (r = sql_row(s, st, e)) > 0; n++) {
            after = sql_int(st, 0);
            if (after > 0 && after <= k->last_package)
                k->packages[after / 8] |= (uint8_t)(1u << (after % 8));
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

static bool is_stored(const struct posting_check *k, int64_t package)
{
    if (package < 1 || package > k->last_package)
        return false;
    return !k->packages || k->packages[package / 8] >> (package % 8) & 1;
}

static int check_set(struct posting_check *k, int64_t id, str hash, str members, struct err *e)
{
    uint8_t sum[32];
    size_t count = 0, lost = 0;
    int64_t i = at(&k->sums, id);
    k->sums.flags[i] |= STORED;
    if (sha256_of(members.ptr, members.len, sum, e) < 0)
        return -1;
    if ((hash.len != SET_HASH && hash.len != sizeof sum) || memcmp(hash.ptr, sum, hash.len))
        check_problem(k->c, "package set %lld: its hash is not that of its packages", (long long)id);
    CLEANUP(freep) int64_t *ids = set_unpack(members, &count, e);
    if (!ids && e->kind != ERR_FORMAT)
        return -1;
    if (!ids) {
        check_problem(k->c, "package set %lld: %s", (long long)id, e->text);
        *e = (struct err){ 0 };
    }
    for (size_t n = 0; ids && n < count; n++) {
        lost += !is_stored(k, ids[n]);
        if (is_sampled(k, ids[n]))
            k->sums.want[i] += mix((uint64_t)ids[n], (uint64_t)id);
    }
    if (lost)
        check_problem(k->c, "package set %lld: %zu of its packages are not stored", (long long)id, lost);
    return 0;
}

static int read_sets(struct posting_check *k, struct err *e)
{
    struct sql *s = k->c->s;
    int64_t end = k->sums.first + k->sums.count;
    for (int64_t after = k->sums.first, n = ROWS_AT_ONCE; n == ROWS_AT_ONCE;) {
        CLEANUP(sql_resetp)
        struct sql_stmt *st = sql_bind(s, e, Q_CHECK_SETS, "iii", after, end, (int64_t)ROWS_AT_ONCE);
        int r = -1;
        for (n = 0; st && (r = sql_row(s, st, e)) > 0; n++) {
            after = sql_int(st, 0);
            if (check_set(k, after, sql_str(st, 1), sql_str(st, 2), e) < 0)
                return -1;
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

static int read_queue(struct posting_check *k, struct err *e)
{
    struct sql *s = k->c->s;
    int64_t end = k->sums.first + k->sums.count;
    for (int64_t after = k->sums.first, n = NUMBERS_AT_ONCE; n == NUMBERS_AT_ONCE;) {
        CLEANUP(sql_resetp)
        struct sql_stmt *st = sql_bind(s, e, Q_CHECK_QUEUE, "iii", after, end, (int64_t)NUMBERS_AT_ONCE);
        int r = -1;
        for (n = 0; st && (r = sql_row(s, st, e)) > 0; n++) {
            after = sql_int(st, 0);
            k->sums.flags[at(&k->sums, after)] |= QUEUED;
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

/* ---- segments ---- */

static int take_block(struct posting_check *k, const struct segment *g, struct posting first, str body,
                      struct err *e)
{
    struct posting_reader r;
    struct posting p;
    int found;
    bool outside = false;
    posting_open(&r, first, body);
    while ((found = posting_next(&r, &p, e)) > 0) {
        int64_t i = at(&k->sums, p.set);
        outside |= p.set < g->first || p.set > g->last;
        if (i >= 0 && is_sampled(k, p.package))
            k->sums.got[i] += mix((uint64_t)p.package, (uint64_t)p.set);
    }
    if (found < 0 && e->kind != ERR_FORMAT)
        return -1;
    if (found < 0 || outside)
        check_problem(k->c, "segment %lld: the block of package %lld and set %lld %s", (long long)g->id,
                      (long long)first.package, (long long)first.set,
                      found < 0 ? "is damaged" : "speaks of sets outside of it");
    if (found < 0)
        *e = (struct err){ 0 };
    return 0;
}

static int read_all_blocks(struct posting_check *k, const struct segment *g, struct err *e)
{
    struct posting last = { INT64_MIN, INT64_MIN };
    for (int n = BLOCKS_AT_ONCE; n == BLOCKS_AT_ONCE;) {
        CLEANUP(sql_resetp)
        struct sql_stmt *st = sql_bind(k->c->s, e, Q_BLOCKS_NEXT, "iiii", g->id, last.package, last.set,
                                       (int64_t)BLOCKS_AT_ONCE);
        int r = -1;
        for (n = 0; st && (r = sql_row(k->c->s, st, e)) > 0; n++) {
            last = (struct posting){ sql_int(st, 0), sql_int(st, 1) };
            if (take_block(k, g, last, sql_str(st, 2), e) < 0)
                return -1;
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

/* A block that two chunks share is taken once: take_block() looks for both. */
static int read_some_blocks(struct posting_check *k, const struct segment *g, struct err *e)
{
    int64_t package = INT64_MIN, set = INT64_MIN;
    for (int64_t chunk = 0; chunk <= k->last_package / CHUNK; chunk++) {
        if (!is_sampled(k, chunk * CHUNK))
            continue;
        CLEANUP(sql_resetp)
        struct sql_stmt *st =
            sql_bind(k->c->s, e, Q_BLOCKS_RANGE, "iii", g->id, chunk * CHUNK, (chunk + 1) * CHUNK);
        int r = -1;
        while (st && (r = sql_row(k->c->s, st, e)) > 0) {
            struct posting first = { sql_int(st, 0), sql_int(st, 1) };
            if (first.package < package || (first.package == package && first.set <= set))
                continue; /* for the sampled chunk before */
            package = first.package, set = first.set;
            if (take_block(k, g, first, sql_str(st, 2), e) < 0)
                return -1;
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

static int read_segments(struct posting_check *k, struct err *e)
{
    for (size_t i = 0; i < k->segment_count; i++) {
        const struct segment *g = &k->segments[i];
        if (g->state != SEGMENT_LIVE || g->last <= k->sums.first || g->first > k->sums.first + k->sums.count)
            continue;
        if ((k->every > 1 ? read_some_blocks : read_all_blocks)(k, g, e) < 0)
            return -1;
    }
    return 0;
}

static void compare_postings(struct posting_check *k)
{
    const struct sums *m = &k->sums;
    for (int64_t i = 0; i < m->count; i++) {
        long long set = (long long)(m->first + i + 1);
        if (m->flags[i] == QUEUED)
            check_problem(k->c, "the queue has package set %lld, which is not stored", set);
        else if (m->flags[i] == (QUEUED | STORED) && m->got[i])
            check_problem(k->c, "package set %lld waits in the queue and is in a segment", set);
        else if (m->flags[i] == STORED && m->got[i] != m->want[i])
            check_problem(k->c, "package set %lld: %s", set,
                          m->got[i] ? "its postings are not its packages"
                                    : "neither the queue nor a segment has it");
    }
}

int check_postings(struct checking *c, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(posting_check_done) struct posting_check k = { .c = c };
    if (!arena)
        return sql_oom(c->s, e);
    if (read_packages(&k, e) < 0 || sql_segments(c->s, arena, &k.segments, &k.segment_count, e) < 0)
        return -1;
    for (int64_t first = 0; first < k.last_set; first += WINDOW) {
        if (sums_start(&k.sums, c->s, first, k.last_set, e) < 0 || read_sets(&k, e) < 0 ||
            read_queue(&k, e) < 0 || read_segments(&k, e) < 0)
            return -1;
        compare_postings(&k);
    }
    return 0;
}

/* ---- advisories ---- */

enum counted { OF_FEED, OF_DOCUMENT, OF_SPACE };

struct count {
    struct count *next;
    enum counted what;
    int64_t a, b; /* feed; document; feed and namespace */
    int64_t advisories, ranges;
    bool row;
};

struct advisory_check {
    struct checking *c;
    struct arena *arena;
    struct sums sums;
    struct strmap by_name;
    struct count *counts;
    int64_t generation, pending, first_pending, last;
    /* of the advisory that is being read */
    int64_t id, feed;
    str name;
    bool visible;
};

static void advisory_check_done(struct advisory_check *k)
{
    sums_done(&k->sums);
    strmap_done(&k->by_name);
    arena_freep(&k->arena);
}

static struct count *count_of(struct advisory_check *k, enum counted what, int64_t a, int64_t b,
                              struct err *e)
{
    int64_t key[] = { (int64_t)what, a, b };
    struct count *n = strmap_get(&k->by_name, str_of(key, sizeof key));
    if (n)
        return n;
    n = arena_alloc(k->arena, 1, sizeof *n);
    void **to = strmap_at(&k->by_name, arena_dup(k->arena, str_of(key, sizeof key)));
    if (!n || !to || arena_failed(k->arena)) {
        sql_oom(k->c->s, e);
        return NULL;
    }
    *n = (struct count){ .next = k->counts, .what = what, .a = a, .b = b };
    *to = k->counts = n;
    return n;
}

static uint64_t range_sum(int64_t namespace, int64_t kind, bool negative, str name, str key, int64_t part)
{
    uint64_t h = mix((uint64_t) namespace, (uint64_t)kind * 2 + negative);
    h = mix(h, str_hash(name, 1));
    return mix(mix(h, str_hash(key, 2)), (uint64_t)part);
}

static int want_range(void *ctx, const struct range_ref *r, struct err *e)
{
    struct advisory_check *k = ctx;
    k->sums.want[at(&k->sums, k->id)] +=
        range_sum(r->namespace, r->kind, r->negative, r->name, r->negative ? k->name : r->fixed_key, r->part);
    if (!k->visible)
        return 0;
    struct count *feed = count_of(k, OF_FEED, k->feed, 0, e);
    struct count *space = feed ? count_of(k, OF_SPACE, k->feed, r->namespace, e) : NULL;
    if (!space)
        return -1;
    feed->ranges++;
    space->ranges++;
    return 0;
}

/* What an update has staged belongs to the one that is pending. */
static void check_generations(struct advisory_check *k, int64_t from, int64_t to)
{
    bool staged = from > k->generation, ending = to > k->generation;
    if ((staged && (from != k->pending || k->id < k->first_pending)) || (ending && to != k->pending))
        check_problem(k->c, "advisory %lld is of a generation that is not pending", (long long)k->id);
    if (!staged && k->pending && k->id >= k->first_pending)
        check_problem(k->c, "advisory %lld is visible, and would be swept", (long long)k->id);
}

static int want_advisory(struct advisory_check *k, struct sql_stmt *st, struct err *e)
{
    int64_t from = sql_int(st, 3), to = sql_int(st, 4);
    k->id = sql_int(st, 0);
    k->feed = sql_int(st, 1);
    k->name = sql_str(st, 5);
    k->visible = from <= k->generation && (!to || to > k->generation);
    k->sums.flags[at(&k->sums, k->id)] = STORED;
    check_generations(k, from, to);
    if (k->visible) {
        struct count *feed = count_of(k, OF_FEED, k->feed, 0, e);
        struct count *document = feed ? count_of(k, OF_DOCUMENT, sql_int(st, 2), 0, e) : NULL;
        if (!document)
            return -1;
        feed->advisories++;
        document->advisories++;
    }
    if (range_refs(sql_str(st, 6), want_range, k, e) == 0)
        return 0;
    if (e->kind != ERR_FORMAT)
        return -1;
    check_problem(k->c, "advisory %lld: %s", (long long)k->id, e->text);
    *e = (struct err){ 0 };
    return 0;
}

static int read_advisories(struct advisory_check *k, struct err *e)
{
    struct sql *s = k->c->s;
    int64_t end = k->sums.first + k->sums.count;
    for (int64_t after = k->sums.first, n = ROWS_AT_ONCE; n == ROWS_AT_ONCE;) {
        CLEANUP(sql_resetp)
        struct sql_stmt *st = sql_bind(s, e, Q_CHECK_ADVISORIES, "iii", after, end, (int64_t)ROWS_AT_ONCE);
        int r = -1;
        for (n = 0; st && (r = sql_row(s, st, e)) > 0; n++) {
            after = sql_int(st, 0);
            if (want_advisory(k, st, e) < 0)
                return -1;
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

static void got_range(struct advisory_check *k, struct sql_stmt *st, bool negative)
{
    int64_t advisory = sql_int(st, 4), i = at(&k->sums, advisory);
    bool outside = advisory < 1 || advisory > k->last;
    if (i >= 0 && k->sums.flags[i])
        k->sums.got[i] += range_sum(sql_int(st, 0), sql_int(st, 2), negative, sql_str(st, 1), sql_str(st, 3),
                                    sql_int(st, 5));
    else if (i >= 0 || (outside && !k->sums.first))
        check_problem(k->c, "a range of " STR_FMT " is of advisory %lld, which is not stored",
                      STR_ARG(sql_str(st, 1)), (long long)advisory);
}

struct place {
    int64_t namespace, kind, advisory, part;
    struct buf name, key;
};

static void place_done(struct place *p)
{
    buf_done(&p->name);
    buf_done(&p->key);
}

static void remember(struct place *p, struct sql_stmt *st)
{
    p->namespace = sql_int(st, 0);
    p->kind = sql_int(st, 2);
    p->advisory = sql_int(st, 4);
    p->part = sql_int(st, 5);
    buf_clear(&p->name);
    buf_str(&p->name, sql_str(st, 1));
    buf_clear(&p->key);
    buf_str(&p->key, sql_str(st, 3));
}

static int read_ranges(struct advisory_check *k, bool negative, struct err *e)
{
    struct sql *s = k->c->s;
    CLEANUP(place_done) struct place p = { .namespace = -1 };
    for (int64_t n = NUMBERS_AT_ONCE; n == NUMBERS_AT_ONCE;) {
        CLEANUP(sql_resetp)
        struct sql_stmt *st = sql_bind(s, e, negative ? Q_CHECK_NEGATIVE : Q_CHECK_AFFECTED, "ibibiii",
                                       p.namespace, buf_view(&p.name), p.kind, buf_view(&p.key), p.advisory,
                                       p.part, (int64_t)NUMBERS_AT_ONCE);
        int r = -1;
        for (n = 0; st && (r = sql_row(s, st, e)) > 0;) {
            got_range(k, st, negative);
            if (++n == NUMBERS_AT_ONCE)
                break;
        }
        if (r < 0)
            return -1;
        if (r > 0)
            remember(&p, st);
        if (p.name.failed || p.key.failed)
            return sql_oom(s, e);
    }
    return 0;
}

static void compare_ranges(struct advisory_check *k)
{
    const struct sums *m = &k->sums;
    for (int64_t i = 0; i < m->count; i++)
        if (m->flags[i] && m->want[i] != m->got[i])
            check_problem(k->c, "advisory %lld: its ranges are not those that it names",
                          (long long)(m->first + i + 1));
}

/* ---- what is counted ---- */

static int check_feeds(struct advisory_check *k, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(k->c->s, e, Q_CHECK_FEEDS, "");
    int r = -1;
    while (st && (r = sql_row(k->c->s, st, e)) > 0) {
        struct count *n = count_of(k, OF_FEED, sql_int(st, 0), 0, e);
        if (!n)
            return -1;
        n->row = true;
        if (n->advisories != sql_int(st, 2) || n->ranges != sql_int(st, 3))
            check_problem(k->c,
                          "feed " STR_FMT " counts %lld advisories and %lld ranges, but has %lld and %lld",
                          STR_ARG(sql_str(st, 1)), (long long)sql_int(st, 2), (long long)sql_int(st, 3),
                          (long long)n->advisories, (long long)n->ranges);
    }
    return r;
}

static int check_documents(struct advisory_check *k, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(k->c->s, e, Q_CHECK_DOCUMENTS, "");
    int r = -1;
    while (st && (r = sql_row(k->c->s, st, e)) > 0) {
        struct count *n = count_of(k, OF_DOCUMENT, sql_int(st, 0), 0, e);
        if (!n)
            return -1;
        n->row = true;
        if (n->advisories != sql_int(st, 2))
            check_problem(k->c, "document " STR_FMT " counts %lld advisories, but has %lld",
                          STR_ARG(sql_str(st, 1)), (long long)sql_int(st, 2), (long long)n->advisories);
    }
    return r;
}

static int check_namespaces(struct advisory_check *k, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(k->c->s, e, Q_CHECK_NAMESPACES, "");
    int r = -1;
    while (st && (r = sql_row(k->c->s, st, e)) > 0) {
        long long feed = sql_int(st, 0), namespace = sql_int(st, 1);
        struct count *n = count_of(k, OF_SPACE, feed, namespace, e);
        if (!n)
            return -1;
        n->row = true;
        if (!sql_int(st, 3))
            check_problem(k->c, "namespace %lld of feed %lld is not stored", namespace, feed);
        if (n->ranges != sql_int(st, 2))
            check_problem(k->c, "feed %lld counts %lld ranges in namespace %lld, but has %lld", feed,
                          (long long)sql_int(st, 2), namespace, (long long)n->ranges);
    }
    return r;
}

static int check_counts(struct advisory_check *k, struct err *e)
{
    static const char *const names[] = { "feed", "document", "feed and namespace" };
    if (check_feeds(k, e) < 0 || check_documents(k, e) < 0 || check_namespaces(k, e) < 0)
        return -1;
    for (const struct count *n = k->counts; n; n = n->next)
        if (!n->row)
            check_problem(k->c, "advisories are of a %s that is not stored: %lld %lld", names[n->what],
                          (long long)n->a, (long long)n->b);
    return 0;
}

static int read_state(struct advisory_check *k, struct err *e)
{
    struct sql *s = k->c->s;
    if (sql_generation(s, &k->generation, e) < 0 || sql_number(s, e, &k->last, Q_ADVISORY_LAST, "") < 0)
        return -1;
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_PENDING_GET, "");
    int found = st ? sql_row(s, st, e) : -1;
    if (found <= 0)
        return found;
    k->pending = sql_int(st, 0);
    k->first_pending = sql_int(st, 1);
    if (k->pending != k->generation + 1)
        check_problem(k->c, "generation %lld is pending, though %lld is visible", (long long)k->pending,
                      (long long)k->generation);
    return 0;
}

int check_advisories(struct checking *c, struct err *e)
{
    CLEANUP(advisory_check_done) struct advisory_check k = { .c = c, .arena = arena_new(0) };
    if (!k.arena)
        return sql_oom(c->s, e);
    if (read_state(&k, e) < 0)
        return -1;
    for (int64_t first = 0; first <= k.last; first += WINDOW) {
        if (sums_start(&k.sums, c->s, first, k.last + 1, e) < 0 || read_advisories(&k, e) < 0 ||
            read_ranges(&k, false, e) < 0 || read_ranges(&k, true, e) < 0)
            return -1;
        compare_ranges(&k);
    }
    return check_counts(&k, e);
}
