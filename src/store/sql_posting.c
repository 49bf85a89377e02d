#include "store/sql_posting.h"

#include "base/cleanup.h"

#include <stdlib.h>

#define FAN         8u         /* segments of one level that make one of the next */
#define STEP_BYTES  (1u << 20) /* of blocks in one transaction: some 10 ms */
#define READ_BLOCKS 64         /* of a segment in memory while it is merged */
#define DROP_STEP   2000       /* blocks, as Q_BLOCKS_DROP has it */
#define ALIVE_STEP  10000
#define ALIVE_SPAN  (1ll << 30) /* set numbers: 128 MiB of bits; beyond it dead sets stay */
#define DEAD_PART   4           /* rewrite a segment when one set of so many is gone */

static int oom(const struct sql *s, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: postings: out of memory", s->where);
}

int sql_segments(struct sql *s, struct arena *arena, struct segment **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_SEGMENTS, "");
    struct segment *list = NULL;
    size_t n = 0, cap = 0;
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        list = arena_grow(arena, list, n, &cap, sizeof *list);
        if (!list)
            return oom(s, e);
        list[n++] = (struct segment){ sql_int(st, 0), sql_int(st, 1), sql_int(st, 2), sql_int(st, 3),
                                      sql_int(st, 4), sql_int(st, 5), sql_int(st, 6) };
    }
    *ret = list;
    *ret_count = n;
    return r;
}

/* ---- writing a segment ---- */

struct segment_writer {
    struct posting_work *work;
    struct posting_writer writer;
    struct sql *t; /* the transaction that is open, or NULL */
    size_t bytes;  /* written in it */
    int64_t id;
};

static int begin_step(struct segment_writer *w, struct err *e)
{
    if (w->t)
        return 0;
    if (w->work->tick && w->work->tick(w->work->ctx, e) < 0)
        return -1;
    w->t = sql_begin(w->work->s, true, e);
    w->bytes = 0;
    return w->t ? 0 : -1;
}

static int end_step(struct segment_writer *w, struct err *e)
{
    if (!w->t)
        return 0;
    return sql_bulk_end(w->work->s, e) < 0 ? -1 : sql_commit(&w->t, e);
}

static int put_block(void *ctx, struct posting first, str body, struct err *e)
{
    struct segment_writer *w = ctx;
    if (begin_step(w, e) < 0 ||
        sql_bulk(w->work->s, e, BULK_BLOCK, "iiib", w->id, first.package, first.set, body) < 0)
        return -1;
    w->bytes += body.len;
    return w->bytes > STEP_BYTES ? end_step(w, e) : 0;
}

static void writer_done(struct segment_writer *w)
{
    sql_endp(&w->t);
    posting_writer_done(&w->writer);
}

/* Its row, which names what a successor must delete; it is filled later. */
static int begin_segment(struct segment_writer *w, struct posting_work *work, const struct segment *g,
                         struct err *e)
{
    *w = (struct segment_writer){ .work = work, .writer = { .emit = put_block, .ctx = w } };
    if (begin_step(w, e) < 0)
        return -1;
    return sql_number(work->s, e, &w->id, Q_SEGMENT_ADD, "iiiii", g->level, g->first, g->last, g->sets,
                      (int64_t)SEGMENT_BUILDING) < 0
               ? -1
               : 0;
}

/* ---- the queue becomes a segment ---- */

struct queue {
    struct posting *pairs;
    int64_t *sets;
    size_t pair_count, set_count;
};

static void queue_done(struct queue *q)
{
    free(q->pairs);
    free(q->sets);
}

static int add_set(struct queue *q, int64_t set, str members, struct err *e)
{
    size_t count = 0;
    CLEANUP(freep) int64_t *ids = set_unpack(members, &count, e);
    if (!ids)
        return -1;
    for (size_t i = 0; i < count; i++)
        q->pairs[q->pair_count++] = (struct posting){ ids[i], set };
    q->sets[q->set_count++] = set;
    return 0;
}

static int read_queue(struct sql *s, struct queue *q, struct err *e)
{
    size_t cap = 0;
    q->sets = malloc(QUEUE_SETS * sizeof *q->sets);
    if (!q->sets)
        return oom(s, e);
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_QUEUE_NEXT, "ii", (int64_t)0, (int64_t)QUEUE_SETS);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0 && q->pair_count < QUEUE_POSTINGS) {
        str members = sql_str(st, 1);
        if (q->pair_count + members.len > cap) { /* a number takes a byte at least */
            cap = (q->pair_count + members.len) * 2;
            struct posting *more = realloc(q->pairs, cap * sizeof *more);
            if (!more)
                return oom(s, e);
            q->pairs = more;
        }
        if (add_set(q, sql_int(st, 0), members, e) < 0)
            return -1;
    }
    return r < 0 ? -1 : 0;
}

/* By package; the sort is stable, and sets came in order. Numbers of packages are dense: 16 bits at a time. */
static int sort_pairs(const struct sql *s, struct queue *q, struct err *e)
{
    size_t n = q->pair_count;
    uint64_t all = 0;
    CLEANUP(freep) uint32_t *starts = malloc(65536 * sizeof *starts);
    struct posting *from = q->pairs, *to = malloc((n + 1) * sizeof *to);
    if (!starts || !to) {
        free(to);
        return oom(s, e);
    }
    for (size_t i = 0; i < n; i++)
        all |= (uint64_t)from[i].package;
    for (unsigned shift = 0; shift < 64 && all >> shift; shift += 16) {
        memset(starts, 0, 65536 * sizeof *starts);
        for (size_t i = 0; i < n; i++)
            starts[(from[i].package >> shift) & 0xffff]++;
        for (uint32_t k = 0, at = 0, count; k < 65536; k++, at += count) {
            count = starts[k];
            starts[k] = at;
        }
        for (size_t i = 0; i < n; i++)
            to[starts[(from[i].package >> shift) & 0xffff]++] = from[i];
        struct posting *swap = from;
        from = to, to = swap;
    }
    q->pairs = from;
    free(to);
    return 0;
}

static int write_queue(struct posting_work *work, const struct queue *q, struct err *e)
{
    CLEANUP(writer_done) struct segment_writer w = { 0 };
    struct segment g = { .first = q->sets[0],
                         .last = q->sets[q->set_count - 1],
                         .sets = (int64_t)q->set_count };
    if (begin_segment(&w, work, &g, e) < 0)
        return -1;
    for (size_t i = 0; i < q->pair_count; i++)
        if (posting_put(&w.writer, q->pairs[i], e) < 0)
            return -1;
    if (posting_finish(&w.writer, e) < 0 || begin_step(&w, e) < 0 ||
        sql_run(work->s, e, Q_SEGMENT_STATE, "ii", w.id, (int64_t)SEGMENT_LIVE) < 0 ||
        sql_run(work->s, e, Q_QUEUE_DROP, "I", q->sets, q->set_count) < 0)
        return -1;
    return end_step(&w, e);
}

static int merge_queue(struct posting_work *w, struct err *e)
{
    int64_t waiting = 0;
    CLEANUP(queue_done) struct queue q = { 0 };
    if (sql_number(w->s, e, &waiting, Q_QUEUE_COUNT, "i", (int64_t)QUEUE_SETS) < 0)
        return -1;
    if (waiting < (w->whole ? 1 : (int64_t)QUEUE_SETS))
        return 0;
    if (read_queue(w->s, &q, e) < 0 || sort_pairs(w->s, &q, e) < 0 || write_queue(w, &q, e) < 0)
        return -1;
    return 1;
}

/* ---- segments become one ---- */

/* Of one segment, block by block. */
struct source {
    struct sql *s;
    int64_t segment;
    struct arena *arena; /* of the blocks at hand */
    struct block {
        struct posting first;
        str body;
    } blocks[READ_BLOCKS];
    size_t count, next;
    struct posting_reader reader;
    struct posting at;
    bool ended;
};

static int read_blocks(struct source *f, struct err *e)
{
    struct posting after =
        f->count ? f->blocks[f->count - 1].first : (struct posting){ INT64_MIN, INT64_MIN };
    arena_freep(&f->arena);
    f->arena = arena_new(0);
    if (!f->arena)
        return oom(f->s, e);
    CLEANUP(sql_resetp)
    struct sql_stmt *st =
        sql_bind(f->s, e, Q_BLOCKS_NEXT, "iiii", f->segment, after.package, after.set, (int64_t)READ_BLOCKS);
    int r = -1;
    for (f->count = f->next = 0; st && (r = sql_row(f->s, st, e)) > 0 && f->count < READ_BLOCKS; f->count++)
        f->blocks[f->count] =
            (struct block){ { sql_int(st, 0), sql_int(st, 1) }, arena_dup(f->arena, sql_str(st, 2)) };
    return r < 0 ? -1 : arena_failed(f->arena) ? oom(f->s, e) : 0;
}

static int advance(struct source *f, struct err *e)
{
    for (int r; !f->ended;) {
        r = posting_next(&f->reader, &f->at, e);
        if (r)
            return r < 0 ? -1 : 0;
        if (f->next == f->count && read_blocks(f, e) < 0)
            return -1;
        f->ended = f->next == f->count;
        if (!f->ended) {
            posting_open(&f->reader, f->blocks[f->next].first, f->blocks[f->next].body);
            f->next++;
        }
    }
    return 0;
}

struct merge {
    struct posting_work *work;
    const struct segment *from[FAN];
    struct source *sources;
    size_t count;
    int64_t first, last; /* of the sets */
    uint8_t *alive;      /* a bit for each from `first` on; NULL: all count */
    int64_t sets;
};

static void merge_done(struct merge *m)
{
    for (size_t i = 0; m->sources && i < m->count; i++)
        arena_freep(&m->sources[i].arena);
    free(m->sources);
    free(m->alive);
}

static int read_alive(struct merge *m, struct err *e)
{
    struct sql *s = m->work->s;
    if (m->last - m->first >= ALIVE_SPAN)
        return 0;
    m->alive = calloc((size_t)(m->last - m->first) / 8 + 1, 1);
    if (!m->alive)
        return oom(s, e);
    for (int64_t after = m->first - 1;;) {
        CLEANUP(sql_resetp)
        struct sql_stmt *st = sql_bind(s, e, Q_SETS_ALIVE, "iii", after, m->last, (int64_t)ALIVE_STEP);
        int r = -1, n = 0;
        for (; st && (r = sql_row(s, st, e)) > 0; n++) {
            after = sql_int(st, 0);
            m->alive[(after - m->first) / 8] |= (uint8_t)(1u << ((after - m->first) % 8));
        }
        if (r < 0)
            return -1;
        if (n < ALIVE_STEP)
            return 0;
    }
}

static bool is_alive(const struct merge *m, int64_t set)
{
    if (!m->alive || set < m->first || set > m->last)
        return true;
    return m->alive[(set - m->first) / 8] >> ((set - m->first) % 8) & 1;
}

static bool is_before(struct posting a, struct posting b)
{
    return a.package != b.package ? a.package < b.package : a.set < b.set;
}

/* The smallest pair of all; NULL at the end. */
static struct source *least(const struct merge *m)
{
    struct source *best = NULL;
    for (size_t i = 0; i < m->count; i++)
        if (!m->sources[i].ended && (!best || is_before(m->sources[i].at, best->at)))
            best = &m->sources[i];
    return best;
}

static int write_merged(struct merge *m, int64_t level, struct err *e)
{
    CLEANUP(writer_done) struct segment_writer w = { 0 };
    struct sql *s = m->work->s;
    struct segment g = { .level = level, .first = m->first, .last = m->last, .sets = m->sets };
    if (begin_segment(&w, m->work, &g, e) < 0 || end_step(&w, e) < 0)
        return -1;
    for (struct source *f; (f = least(m));) {
        if (is_alive(m, f->at.set) && posting_put(&w.writer, f->at, e) < 0)
            return -1;
        /* reading happens between transactions of writing, or inside one, as it comes */
        if (advance(f, e) < 0)
            return -1;
    }
    if (posting_finish(&w.writer, e) < 0 || begin_step(&w, e) < 0)
        return -1;
    for (size_t i = 0; i < m->count; i++)
        if (sql_run(s, e, Q_SEGMENT_STATE, "ii", m->from[i]->id, (int64_t)SEGMENT_DEAD) < 0)
            return -1;
    return sql_run(s, e, Q_SEGMENT_STATE, "ii", w.id, (int64_t)SEGMENT_LIVE) < 0 ? -1 : end_step(&w, e);
}

static int merge(struct posting_work *work, const struct segment *const *from, size_t count, int64_t level,
                 struct err *e)
{
    CLEANUP(merge_done)
    struct merge m = { .work = work, .count = count, .first = INT64_MAX, .last = INT64_MIN };
    m.sources = calloc(count, sizeof *m.sources);
    if (!m.sources)
        return oom(work->s, e);
    for (size_t i = 0; i < count; i++) {
        m.from[i] = from[i];
        m.sources[i] = (struct source){ .s = work->s, .segment = from[i]->id };
        m.first = from[i]->first < m.first ? from[i]->first : m.first;
        m.last = from[i]->last > m.last ? from[i]->last : m.last;
        if (advance(&m.sources[i], e) < 0)
            return -1;
    }
    if (read_alive(&m, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        m.sets += from[i]->sets - from[i]->dead;
    return write_merged(&m, level, e) < 0 ? -1 : 1;
}

/* ---- what is to be done ---- */

static int drop_segment(struct posting_work *w, const struct segment *g, struct err *e)
{
    if (w->tick && w->tick(w->ctx, e) < 0)
        return -1;
    CLEANUP(sql_endp) struct sql *t = sql_begin(w->s, true, e);
    if (!t || sql_run(w->s, e, Q_BLOCKS_DROP, "i", g->id) < 0)
        return -1;
    if (sql_changes(w->s) < DROP_STEP && sql_run(w->s, e, Q_SEGMENT_DROP, "i", g->id) < 0)
        return -1;
    return sql_commit(&t, e) < 0 ? -1 : 1;
}

int sql_posting_step(struct posting_work *w, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct segment *all;
    size_t count;
    const struct segment *level[FAN];
    if (!arena)
        return oom(w->s, e);
    if (sql_segments(w->s, arena, &all, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (all[i].state != SEGMENT_LIVE)
            return drop_segment(w, &all[i], e);
    for (int64_t k = 0; k < 32; k++) {
        size_t n = 0;
        for (size_t i = 0; i < count && n < FAN; i++)
            if (all[i].level == k)
                level[n++] = &all[i];
        if (n == FAN)
            return merge(w, level, n, k + 1, e);
    }
    for (size_t i = 0; i < count; i++) {
        const struct segment *one = &all[i];
        if (one->dead > one->sets / DEAD_PART)
            return merge(w, &one, 1, one->level, e);
    }
    return merge_queue(w, e);
}

/* ---- questions ---- */

struct numbers {
    int64_t *list;
    size_t count, cap;
};

static int add_number(const struct sql *s, struct numbers *n, int64_t value, struct err *e)
{
    if (n->count == n->cap) {
        size_t cap = n->cap ? n->cap * 2 : 1024;
        int64_t *more = realloc(n->list, cap * sizeof *more);
        if (!more)
            return oom(s, e);
        n->list = more;
        n->cap = cap;
    }
    n->list[n->count++] = value;
    return 0;
}

struct look {
    struct sql *s;
    const int64_t *packages;
    size_t count;
    int64_t after;
    struct numbers found;
    int64_t bound;                /* all sets up to here have been found */
    int64_t *blocks;              /* that came for each package behind the first */
    int64_t *last;                /* set that was seen of each */
    struct posting_reader reader; /* of the block at hand, which is `body_len` long */
    size_t body_len;
    struct posting ahead; /* if more > 0: what was read and belongs to a package that is to come */
    int more;
};

static void look_done(struct look *k)
{
    free(k->found.list);
    free(k->blocks);
    free(k->last);
}

/* Packages that stand together have one block, which then comes for each of them: reading goes on where the last one ended. */
static int open_block(struct look *k, struct posting first, str body, struct err *e)
{
    const struct posting_reader *r = &k->reader;
    if (k->body_len == body.len && r->first.package == first.package && r->first.set == first.set) {
        k->reader.u.rest = str_skip(body, body.len - r->u.rest.len);
        return 0;
    }
    posting_open(&k->reader, first, body);
    k->body_len = body.len;
    k->more = posting_next(&k->reader, &k->ahead, e);
    return k->more < 0 ? -1 : 0;
}

/* The sets of packages[i] in a block; packages come in order. */
static int take_block(struct look *k, size_t i, struct posting first, str body, struct err *e)
{
    int64_t package = k->packages[i];
    if (open_block(k, first, body, e) < 0)
        return -1;
    if (k->more && k->ahead.package < package) {
        k->more = posting_seek(&k->reader, package, e);
        k->more = k->more > 0 ? posting_next(&k->reader, &k->ahead, e) : k->more;
    }
    while (k->more > 0 && k->ahead.package == package) {
        k->last[i] = k->ahead.set;
        if (k->ahead.set > k->after && add_number(k->s, &k->found, k->ahead.set, e) < 0)
            return -1;
        k->more = posting_next(&k->reader, &k->ahead, e);
    }
    return k->more < 0 ? -1 : 0;
}

static int take_blocks(struct look *k, enum query q, int64_t segment, int64_t limit, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(k->s, e, q, "iIii", segment, k->packages, k->count, k->after, limit);
    int r = -1;
    k->body_len = 0;
    while (st && (r = sql_row(k->s, st, e)) > 0) {
        size_t i = (size_t)sql_int(st, 0);
        if (i >= k->count)
            return err_set(e, ERR_INTERNAL, "%s: a posting of nothing", k->s->where);
        k->blocks[i] += q == Q_BLOCKS_AFTER;
        if (take_block(k, i, (struct posting){ sql_int(st, 1), sql_int(st, 2) }, sql_str(st, 3), e) < 0)
            return -1;
    }
    return r;
}

/* Lists that are longer than what was read bound what is known. */
static int look_into(struct look *k, const struct segment *g, int64_t limit, struct err *e)
{
    for (size_t i = 0; i < k->count; i++)
        k->blocks[i] = 0, k->last[i] = k->after;
    bool inside = k->after >= g->first; /* else no block begins at or before it */
    if (take_blocks(k, Q_BLOCKS_BEFORE, g->id, 0, e) < 0 ||
        (inside && take_blocks(k, Q_BLOCKS_AT, g->id, 0, e) < 0) ||
        take_blocks(k, Q_BLOCKS_AFTER, g->id, limit, e) < 0)
        return -1;
    for (size_t i = 0; i < k->count; i++)
        if (k->blocks[i] == limit && k->last[i] < k->bound)
            k->bound = k->last[i];
    return 0;
}

/* Sets that no segment speaks of yet. */
static int look_into_queue(struct look *k, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(k->s, e, Q_QUEUE_NEXT, "ii", k->after, INT64_MAX);
    int r = -1;
    while (st && (r = sql_row(k->s, st, e)) > 0) {
        int has = set_has_any(sql_str(st, 1), k->packages, k->count, e);
        if (has < 0 || (has && add_number(k->s, &k->found, sql_int(st, 0), e) < 0))
            return -1;
    }
    return r;
}

/* The number that would be list[nth] if the list was sorted (Hoare's selection); what is smaller comes before it. */
static int64_t select_number(int64_t *list, size_t count, size_t nth)
{
    for (size_t low = 0, high = count - 1; low < high;) {
        int64_t pivot = list[low + (high - low) / 2];
        size_t i = low, k = high;
        for (;; i++, k--) {
            while (list[i] < pivot)
                i++;
            while (list[k] > pivot)
                k--;
            if (i >= k)
                break;
            int64_t swap = list[i];
            list[i] = list[k], list[k] = swap;
        }
        if (nth <= k)
            high = k;
        else
            low = k + 1;
    }
    return list[nth];
}

/* A page needs a few of the thousands that one look finds: the others are looked for again, cheaper than sorted. */
static void bound_to(struct look *k, size_t want)
{
    if (k->found.count <= 2 * want + 64)
        return;
    int64_t bound = select_number(k->found.list, k->found.count, want);
    if (bound < k->bound)
        k->bound = bound;
}

static size_t sort_up_to(struct numbers *n, int64_t bound)
{
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++)
        if (n->list[i] <= bound)
            n->list[kept++] = n->list[i];
    n->count = kept;
    return numbers_sort(n->list, n->count);
}

static size_t count_up_to(const struct numbers *n, int64_t bound)
{
    size_t count = 0;
    for (size_t i = 0; i < n->count; i++)
        count += n->list[i] <= bound;
    return count;
}

/* Segments one after the other, until what is known up to the first set of the next one is enough. */
static int look_around(struct look *k, const struct segment *all, size_t count, int64_t queued, size_t want,
                       int64_t limit, struct err *e)
{
    size_t i = 0;
    bool queue = queued != INT64_MAX;
    k->bound = INT64_MAX;
    for (;;) {
        while (i < count && (all[i].state != SEGMENT_LIVE || all[i].last <= k->after))
            i++;
        int64_t next = i < count ? all[i].first : INT64_MAX;
        bool from_queue = queue && queued <= next;
        next = from_queue ? queued : next;
        if (next > k->bound || (next == INT64_MAX && !from_queue))
            return 0;
        if (k->found.count >= want && count_up_to(&k->found, next - 1) >= want) {
            k->bound = next - 1;
            return 0;
        }
        if (from_queue ? look_into_queue(k, e) : look_into(k, &all[i++], limit, e) < 0)
            return -1;
        queue &= !from_queue;
    }
}

#define BLOCKS_AT_ONCE 8192 /* 16 MB */

int sql_sets_with(struct sql *s, const int64_t *packages, size_t count, int64_t after, size_t want,
                  int64_t **ret, size_t *ret_count, int64_t *ret_end, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(look_done) struct look k = { .s = s, .packages = packages, .count = count, .after = after };
    struct numbers all = { 0 };
    struct segment *segments;
    size_t segment_count;
    int64_t queued = INT64_MAX, most = count ? BLOCKS_AT_ONCE / (int64_t)count : 1;
    *ret = NULL, *ret_count = 0, *ret_end = INT64_MAX;
    if (!count)
        return 0;
    k.blocks = calloc(count, sizeof *k.blocks);
    k.last = calloc(count, sizeof *k.last);
    if (!arena || !k.blocks || !k.last)
        return oom(s, e);
    if (sql_segments(s, arena, &segments, &segment_count, e) < 0 ||
        sql_number(s, e, &queued, Q_QUEUE_FIRST, "i", after) < 0)
        return -1;
    /* who wants all is best served at once */
    for (int64_t limit = want == SETS_ALL && most > 0 ? most : 1; all.count < want && k.after < INT64_MAX;
         limit = limit * 2 < most ? limit * 2 : most + 1) {
        k.found.count = 0;
        if (look_around(&k, segments, segment_count, queued, want - all.count, limit, e) < 0) {
            free(all.list);
            return -1;
        }
        bound_to(&k, want - all.count);
        size_t n = sort_up_to(&k.found, k.bound);
        for (size_t i = 0; i < n; i++)
            if (add_number(s, &all, k.found.list[i], e) < 0) {
                free(all.list);
                return -1;
            }
        k.after = k.bound;
    }
    *ret = all.list;
    *ret_count = all.count;
    *ret_end = k.after;
    return 0;
}

/* ---- which packages are still needed ---- */

static int is_stored(struct sql *s, int64_t set, struct err *e)
{
    int64_t ignored;
    return sql_number(s, e, &ignored, Q_SET_STORED, "i", set);
}

static int mark_block(struct sql *s, struct posting first, str body, int64_t from, size_t count, bool *used,
                      struct err *e)
{
    struct posting_reader r;
    struct posting p;
    posting_open(&r, first, body);
    int found = posting_seek(&r, from, e);
    while (found > 0 && (found = posting_next(&r, &p, e)) > 0 && p.package < from + (int64_t)count) {
        if (used[p.package - from])
            continue;
        int stored = is_stored(s, p.set, e);
        if (stored < 0)
            return -1;
        used[p.package - from] = stored;
    }
    return found < 0 ? -1 : 0;
}

static int mark_segment(struct sql *s, int64_t segment, int64_t from, size_t count, bool *used, struct err *e)
{
    CLEANUP(sql_resetp)
    struct sql_stmt *st = sql_bind(s, e, Q_BLOCKS_RANGE, "iii", segment, from, from + (int64_t)count);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0)
        if (mark_block(s, (struct posting){ sql_int(st, 0), sql_int(st, 1) }, sql_str(st, 2), from, count,
                       used, e) < 0)
            return -1;
    return r;
}

static int mark_queue(struct sql *s, int64_t from, size_t count, bool *used, struct err *e)
{
    CLEANUP(sql_resetp) struct sql_stmt *st = sql_bind(s, e, Q_QUEUE_NEXT, "ii", (int64_t)0, INT64_MAX);
    int r = -1;
    while (st && (r = sql_row(s, st, e)) > 0) {
        size_t n = 0;
        CLEANUP(freep) int64_t *ids = set_unpack(sql_str(st, 1), &n, e);
        if (!ids)
            return -1;
        for (size_t i = 0; i < n; i++)
            if (ids[i] >= from && ids[i] < from + (int64_t)count)
                used[ids[i] - from] = true;
    }
    return r;
}

int sql_packages_used(struct sql *s, int64_t from, size_t count, bool *used, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct segment *all;
    size_t segments;
    memset(used, 0, count * sizeof *used);
    if (!arena)
        return oom(s, e);
    if (sql_segments(s, arena, &all, &segments, e) < 0 || mark_queue(s, from, count, used, e) < 0)
        return -1;
    for (size_t i = 0; i < segments; i++)
        if (all[i].state == SEGMENT_LIVE && mark_segment(s, all[i].id, from, count, used, e) < 0)
            return -1;
    return 0;
}
