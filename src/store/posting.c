#include "store/posting.h"

#include <stdlib.h>

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

/* ---- writing ---- */

static void end_list(struct posting_writer *w)
{
    if (!w->list_count)
        return;
    pack_u64(&w->body, (uint64_t)(w->list_package - w->previous_package));
    pack_u64(&w->body, w->list_count);
    buf_str(&w->body, buf_view(&w->list));
    buf_clear(&w->list);
    w->previous_package = w->list_package;
    w->list_count = 0;
}

static int end_block(struct posting_writer *w, struct err *e)
{
    end_list(w);
    if (!w->body.len)
        return 0;
    if (w->body.failed)
        return err_set(e, ERR_OOM, "postings: out of memory");
    int r = w->emit(w->ctx, w->first, buf_view(&w->body), e);
    buf_clear(&w->body);
    return r;
}

int posting_put(struct posting_writer *w, struct posting p, struct err *e)
{
    if (w->count && (p.package < w->last.package || (p.package == w->last.package && p.set <= w->last.set)))
        return err_set(e, ERR_INTERNAL, "postings are not in order");
    if (w->list_count && p.package != w->list_package)
        end_list(w);
    if (w->body.len + w->list.len + 32 > POSTING_BODY_MAX &&
        end_block(w, e) < 0) /* 32: of one list with one set */
        return -1;
    if (!w->body.len && !w->list_count) {
        w->first = p;
        w->previous_package = p.package;
    }
    if (w->list_count)
        pack_u64(&w->list, (uint64_t)(p.set - w->last.set));
    else
        pack_u64(&w->list, zigzag(p.set - w->first.set));
    w->list_package = p.package;
    w->list_count++;
    w->count++;
    w->last = p;
    return w->list.failed ? err_set(e, ERR_OOM, "postings: out of memory") : 0;
}

int posting_finish(struct posting_writer *w, struct err *e) { return end_block(w, e); }

void posting_writer_done(struct posting_writer *w)
{
    buf_done(&w->body);
    buf_done(&w->list);
}

/* ---- reading ---- */

static int damaged(struct err *e) { return err_set(e, ERR_FORMAT, "damaged postings"); }

void posting_open(struct posting_reader *r, struct posting first, str body)
{
    *r = (struct posting_reader){ .u = { .rest = body }, .first = first, .at = first };
}

/* 1: at a list with pairs left, its package in at.package; 0: the end. */
static int begin_list(struct posting_reader *r, struct err *e)
{
    if (r->left)
        return 1;
    if (!r->u.rest.len)
        return r->u.failed ? damaged(e) : 0;
    uint64_t distance = unpack_u64(&r->u);
    r->left = unpack_u64(&r->u);
    if (r->u.failed || !r->left || r->left > r->u.rest.len || distance > INT64_MAX / 2)
        return damaged(e);
    r->at.package += (int64_t)distance;
    r->at.set = INT64_MIN; /* the next is the list's first */
    return 1;
}

static int next_set(struct posting_reader *r, struct err *e)
{
    uint64_t v = unpack_u64(&r->u);
    int64_t from = r->at.set == INT64_MIN ? r->first.set : r->at.set;
    if (r->u.failed || (r->at.set == INT64_MIN ? v >> 1 : v) > INT64_MAX / 2)
        return damaged(e);
    r->at.set = from + (r->at.set == INT64_MIN ? unzigzag(v) : (int64_t)v);
    r->left--;
    return 1;
}

int posting_next(struct posting_reader *r, struct posting *ret, struct err *e)
{
    int found = begin_list(r, e);
    if (found <= 0 || next_set(r, e) < 0)
        return found < 0 ? -1 : found ? -1 : 0;
    *ret = r->at;
    return 1;
}

int posting_seek(struct posting_reader *r, int64_t package, struct err *e)
{
    for (int found;;) {
        found = begin_list(r, e);
        if (found <= 0 || r->at.package >= package)
            return found;
        while (r->left)
            if (next_set(r, e) < 0)
                return -1;
    }
}

/* ---- sets ---- */

/* A leading 0, which no set of schema 2 has: there each number stood for itself. */
void set_pack(struct buf *ret, const int64_t *ids, size_t count)
{
    int64_t last = 0;
    pack_u64(ret, 0);
    for (size_t i = 0; i < count; last = ids[i++])
        pack_u64(ret, (uint64_t)(ids[i] - last));
}

int number_order(const void *pa, const void *pb)
{
    const int64_t *a = pa, *b = pb;
    return (*a > *b) - (*a < *b);
}

size_t numbers_sort(int64_t *list, size_t count)
{
    size_t kept = 0, i = 1;
    while (i < count && list[i - 1] <= list[i])
        i++;
    if (i < count) /* what comes from an index is sorted already, as a rule */
        qsort(list, count, sizeof *list, number_order);
    for (i = 0; i < count; i++)
        if (!kept || list[kept - 1] != list[i])
            list[kept++] = list[i];
    return kept;
}

int64_t *set_unpack(str members, size_t *ret_count, struct err *e)
{
    int64_t *ids = malloc((members.len + 1) * sizeof *ids), last = 0; /* a number takes a byte at least */
    struct unpack u = { .rest = members };
    size_t n = 0;
    bool old = members.len && members.ptr[0];
    if (!ids) {
        err_set(e, ERR_OOM, "a package set: out of memory");
        return NULL;
    }
    if (!old)
        unpack_u64(&u);
    while (u.rest.len) {
        uint64_t v = unpack_u64(&u);
        u.failed |= v > INT64_MAX / 2 || last > INT64_MAX / 2;
        ids[n++] = last = (old ? 0 : last) + (int64_t)v;
    }
    if (u.failed) {
        free(ids);
        err_set(e, ERR_FORMAT, "damaged package set");
        return NULL;
    }
    *ret_count = old ? numbers_sort(ids, n) : n;
    return ids;
}

static int old_set_has_any(str members, const int64_t *ids, size_t count, struct err *e)
{
    size_t n = 0;
    int64_t *all = set_unpack(members, &n, e);
    int found = all ? 0 : -1;
    for (size_t i = 0, k = 0; found == 0 && i < n && k < count;) {
        found = all[i] == ids[k];
        if (all[i] < ids[k])
            i++;
        else
            k++;
    }
    free(all);
    return found;
}

int set_has_any(str members, const int64_t *ids, size_t count, struct err *e)
{
    if (members.len && members.ptr[0])
        return old_set_has_any(members, ids, count, e);
    /* a question reads all sets that wait: without the calls of unpack_u64() */
    const uint8_t *p = (const uint8_t *)members.ptr + 1, *end = (const uint8_t *)members.ptr + members.len;
    size_t k = 0;
    for (uint64_t last = 0; p < end;) {
        uint64_t v = *p & 0x7f;
        for (unsigned shift = 7; *p++ & 0x80; shift += 7) {
            if (p == end || shift > 56)
                return err_set(e, ERR_FORMAT, "damaged package set");
            v |= (uint64_t)(*p & 0x7f) << shift;
        }
        last += v;
        while (k < count && (uint64_t)ids[k] < last)
            k++;
        if (k == count)
            return 0;
        if ((uint64_t)ids[k] == last)
            return 1;
    }
    return 0;
}
