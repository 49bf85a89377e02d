/* Blocks of postings and packed sets (store/posting.h): what goes in comes out, and damage is noticed or harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "store/posting.h"

#include <stdlib.h>

#define PAIRS 200000

static uint64_t state = 6;

static unsigned below(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

struct kept {
    struct posting first;
    char *body;
    size_t len;
};

static struct kept blocks[4096];
static size_t block_count;
static struct posting pairs[PAIRS];

static int keep(void *ctx, struct posting first, str body, struct err *e)
{
    (void)ctx, (void)e;
    assert_in_range(body.len, 1, POSTING_BODY_MAX);
    blocks[block_count] = (struct kept){ first, malloc(body.len), body.len };
    memcpy(blocks[block_count++].body, body.ptr, body.len);
    return 0;
}

static void release(void)
{
    while (block_count)
        free(blocks[--block_count].body);
}

/* Lists of one set and of thousands, packages and sets next to each other and far away. */
static void make_pairs(void)
{
    struct posting p = { 1, 0 };
    for (size_t i = 0; i < PAIRS; i++) {
        if (!below(below(20) ? 3 : 3000)) {
            p.package += 1 + (below(50) ? 0 : below(1 << 30));
            p.set = below(2) ? 1 + below(5) : 1 + below(1u << 31);
        } else {
            p.set += 1 + (below(4) ? below(3) : below(1 << 20));
        }
        pairs[i] = p;
    }
}

static void write_pairs(void)
{
    struct err e = { 0 };
    CLEANUP(posting_writer_done) struct posting_writer w = { .emit = keep };
    for (size_t i = 0; i < PAIRS; i++)
        assert_int_equal(posting_put(&w, pairs[i], &e), 0);
    assert_int_equal(posting_finish(&w, &e), 0);
    assert_int_equal(w.count, PAIRS);
}

static void test_blocks(void **unused)
{
    (void)unused;
    struct err e = { 0 };
    size_t n = 0, bytes = 0;
    make_pairs();
    write_pairs();
    for (size_t i = 0; i < block_count; i++) {
        struct posting_reader r;
        struct posting p;
        int found;
        bytes += blocks[i].len;
        assert_memory_equal(&blocks[i].first, &pairs[n], sizeof pairs[n]);
        posting_open(&r, blocks[i].first, str_of(blocks[i].body, blocks[i].len));
        for (; (found = posting_next(&r, &p, &e)) > 0; n++)
            assert_memory_equal(&p, &pairs[n], sizeof p);
        assert_int_equal(found, 0);
    }
    assert_int_equal(n, PAIRS);
    assert_in_range(bytes / block_count, POSTING_BODY_MAX * 9 / 10, POSTING_BODY_MAX);
    release();
}

/* The first pair of a package or of a later one, from the start of its block. */
static void test_seek(void **unused)
{
    (void)unused;
    struct err e = { 0 };
    make_pairs();
    write_pairs();
    for (size_t i = 0, n = 0; i < block_count; i++) {
        struct posting_reader r;
        struct posting p;
        size_t end = n;
        posting_open(&r, blocks[i].first, str_of(blocks[i].body, blocks[i].len));
        while (posting_next(&r, &p, &e) > 0)
            end++;
        int64_t wanted = pairs[n + below((unsigned)(end - n))].package + (int64_t)below(2);
        size_t want = n;
        while (want < end && pairs[want].package < wanted)
            want++;
        posting_open(&r, blocks[i].first, str_of(blocks[i].body, blocks[i].len));
        assert_int_equal(posting_seek(&r, wanted, &e), want < end);
        if (want < end) {
            assert_int_equal(posting_next(&r, &p, &e), 1);
            assert_memory_equal(&p, &pairs[want], sizeof p);
        }
        n = end;
    }
    release();
}

static void test_order(void **unused)
{
    (void)unused;
    struct err e = { 0 };
    CLEANUP(posting_writer_done) struct posting_writer w = { .emit = keep };
    assert_int_equal(posting_put(&w, (struct posting){ 2, 2 }, &e), 0);
    assert_int_equal(posting_put(&w, (struct posting){ 2, 2 }, &e), -1);
    assert_int_equal(posting_put(&w, (struct posting){ 2, 1 }, &e), -1);
    assert_int_equal(posting_put(&w, (struct posting){ 1, 3 }, &e), -1);
    assert_int_equal(e.kind, ERR_INTERNAL);
}

/* Bytes that changed, or are missing: an error, or other numbers, and an end in any case. */
static void test_damage(void **unused)
{
    (void)unused;
    make_pairs();
    write_pairs();
    size_t refused = 0;
    for (int round = 0; round < 20000; round++) {
        const struct kept *k = &blocks[below((unsigned)block_count)];
        char body[POSTING_BODY_MAX];
        size_t len = below(4) ? k->len : below((unsigned)k->len);
        memcpy(body, k->body, k->len);
        for (unsigned i = 0, n = below(4); i < n; i++)
            body[below((unsigned)k->len)] = (char)below(256);
        struct posting_reader r;
        struct posting p;
        struct err e = { 0 };
        int found;
        size_t pairs_read = 0;
        posting_open(&r, k->first, str_of(body, len));
        while ((found = posting_next(&r, &p, &e)) > 0)
            assert_true(++pairs_read <= POSTING_BODY_MAX);
        refused += found < 0;
        posting_open(&r, k->first, str_of(body, len));
        posting_seek(&r, k->first.package + below(1000), &e);
    }
    assert_true(refused > 1000);
    release();
}

static void test_sets(void **unused)
{
    (void)unused;
    struct err e = { 0 };
    for (int round = 0; round < 2000; round++) {
        int64_t ids[300], last = 0;
        size_t count = below(300), n = 0;
        CLEANUP(buf_done) struct buf b = { 0 };
        for (size_t i = 0; i < count; i++)
            ids[i] = last += 1 + below(below(2) ? 3 : 1 << 30);
        set_pack(&b, ids, count);
        CLEANUP(freep) int64_t *got = set_unpack(buf_view(&b), &n, &e);
        assert_non_null(got);
        assert_int_equal(n, count);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(got[i], ids[i]);
        int64_t wanted[3] = { 1 + below(100), 0, 0 };
        wanted[1] = wanted[0] + 1 + below(1 << 30);
        wanted[2] = count && below(2) ? ids[below((unsigned)count)] : wanted[1] + 1;
        bool has = false;
        for (size_t i = 0; i < count; i++)
            has |= ids[i] == wanted[0] || ids[i] == wanted[1] || ids[i] == wanted[2];
        if (wanted[2] > wanted[1])
            assert_int_equal(set_has_any(buf_view(&b), wanted, 3, &e), has);
        if (b.len > 1) { /* cut inside of a number */
            b.ptr[b.len - 1] = (char)(b.ptr[b.len - 1] | 0x80);
            assert_null(set_unpack(buf_view(&b), &n, &e));
            assert_int_equal(e.kind, ERR_FORMAT);
        }
    }
}

/* Those of schema 2: numbers as they stood in the file, in no order. */
static void test_old_sets(void **unused)
{
    (void)unused;
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf b = { 0 };
    static const int64_t ids[] = { 300, 7, 300, 1, 70000 }, sorted[] = { 1, 7, 300, 70000 },
                         one[] = { 2, 300 }, none[] = { 2, 8 };
    size_t n = 0;
    for (size_t i = 0; i < 5; i++)
        pack_u64(&b, (uint64_t)ids[i]);
    CLEANUP(freep) int64_t *got = set_unpack(buf_view(&b), &n, &e);
    assert_int_equal(n, 4);
    assert_memory_equal(got, sorted, sizeof sorted);
    assert_int_equal(set_has_any(buf_view(&b), one, 2, &e), 1);
    assert_int_equal(set_has_any(buf_view(&b), none, 2, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_seek), cmocka_unit_test(test_order),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_sets), cmocka_unit_test(test_old_sets),
    };
    return cmocka_run_group_tests_name("posting", tests, NULL, NULL);
}
