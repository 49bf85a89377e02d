#include "detect/rpm_wal.h"

#include <stdlib.h>

enum { WAL_HEADER = 32, FRAME_HEADER = 24, WAL_VERSION = 3007000 };
#define WAL_MAGIC                                                                                            \
    0x377f0682u /* check sums over little-endian words; with the last bit set over big-endian ones */

struct sum {
    uint32_t a, b;
};

static uint32_t be32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t le32(const char *p) { return __builtin_bswap32(be32(p)); }

static void add(struct sum *s, bool big, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        s->a += (big ? be32(p + i) : le32(p + i)) + s->b;
        s->b += (big ? be32(p + i + 4) : le32(p + i + 4)) + s->a;
    }
}

static bool is(struct sum s, const char *p) { return s.a == be32(p) && s.b == be32(p + 4); }

static bool is_page_size(size_t n) { return n >= 512 && n <= 65536 && !(n & (n - 1)); }

/* As the database tells; 0: it is too short to. */
static size_t own_page_size(str content)
{
    if (content.len < 100)
        return 0;
    size_t n = (size_t)(uint8_t)content.ptr[16] << 8 | (uint8_t)content.ptr[17];
    return n == 1 ? 65536 : n; /* 65536 does not fit two bytes */
}

static const char *frame_at(const struct wal_pages *p, size_t n)
{
    return p->wal.ptr + WAL_HEADER + n * (FRAME_HEADER + p->page_size);
}

static const char *check_header(const struct wal_pages *p, size_t page_size, struct sum *sum)
{
    const char *h = p->wal.ptr;
    if (p->wal.len < WAL_HEADER || (be32(h) & ~1u) != WAL_MAGIC || be32(h + 4) != WAL_VERSION)
        return "the -wal file is none of SQLite's and was left out";
    add(sum, be32(h) & 1, h, 24);
    if (!is(*sum, h + 24))
        return "the check sum of the -wal file's header is wrong: it was left out";
    if (!is_page_size(page_size) || (p->content.len && own_page_size(p->content) != page_size))
        return "the -wal file has pages of another size than the database: it was left out";
    return NULL;
}

/* Counts the frames up to the last commit: p->frame_count, p->count. */
static void find_commit(struct wal_pages *p, struct sum sum)
{
    bool big = be32(p->wal.ptr) & 1;
    size_t all = (p->wal.len - WAL_HEADER) / (FRAME_HEADER + p->page_size);
    for (size_t i = 0; i < all && i < UINT32_MAX - 1; i++) {
        const char *f = frame_at(p, i);
        if (!be32(f) || memcmp(f + 8, p->wal.ptr + 16, 8) != 0) /* salts: of an older round */
            return;
        add(&sum, big, f, 8);
        add(&sum, big, f + FRAME_HEADER, p->page_size);
        if (!is(sum, f + 16))
            return;
        if (be32(f + 4)) {
            p->frame_count = (uint32_t)i + 1;
            p->count = be32(f + 4);
        }
    }
}

/* What is not there reads as zeros, and SQLite would take them for what was written. */
static void find_missing(struct wal_pages *p)
{
    uint32_t n = (uint32_t)(p->content.len / p->page_size);
    while (n < p->count && p->frames[n])
        n++;
    p->missing = n < p->count ? n + 1 : 0;
}

static int map_frames(struct wal_pages *p, struct err *e)
{
    if (p->count > p->content.len / p->page_size + p->frame_count) {
        p->odd = "the -wal file tells of more pages than there are: it was left out";
        p->frame_count = 0;
        return 0;
    }
    p->frames = calloc(p->count, sizeof *p->frames);
    if (!p->frames)
        return err_set(e, ERR_OOM, "no memory for %u pages", p->count);
    for (uint32_t i = 0; i < p->frame_count; i++) {
        uint32_t page = be32(frame_at(p, i));
        if (page <= p->count) /* the file may have been shortened since */
            p->frames[page - 1] = i + 1;
    }
    find_missing(p);
    return 0;
}

static int open_wal(str wal, struct wal_pages *ret, struct err *e)
{
    struct sum sum = { 0 };
    size_t page_size = wal.len < WAL_HEADER ? 0 : be32(wal.ptr + 8);
    ret->odd = check_header(ret, page_size, &sum);
    if (ret->odd)
        return 0;
    ret->page_size = page_size;
    find_commit(ret, sum);
    int r = ret->frame_count ? map_frames(ret, e) : 0;
    if (!ret->frame_count)
        ret->page_size = 0;
    return r;
}

int wal_open(str content, str wal, struct wal_pages *ret, struct err *e)
{
    *ret = (struct wal_pages){ .content = content, .wal = wal };
    if (wal.len && open_wal(wal, ret, e) < 0)
        return -1;
    size_t size = own_page_size(content);
    if (!ret->page_size && size && content.len % size)
        ret->missing = (uint32_t)(content.len / size) + 1;
    return 0;
}

uint64_t wal_size(const struct wal_pages *p)
{
    return p->page_size ? (uint64_t)p->count * p->page_size : p->content.len;
}

/* The bytes from `at` on, up to the end of its page. */
static str view(const struct wal_pages *p, uint64_t at)
{
    if (!p->page_size)
        return at < p->content.len ? str_skip(p->content, (size_t)at) : (str){ 0 };
    uint64_t page = at / p->page_size;
    size_t inside = (size_t)(at % p->page_size), left = p->page_size - inside;
    if (page >= p->count)
        return (str){ 0 };
    if (p->frames[page])
        return str_of(frame_at(p, p->frames[page] - 1) + FRAME_HEADER + inside, left);
    return at < p->content.len ? str_head(str_skip(p->content, (size_t)at), left) : (str){ 0 };
}

size_t wal_read(const struct wal_pages *p, uint64_t at, char *to, size_t n)
{
    size_t done = 0;
    while (done < n) {
        str part = str_head(view(p, at + done), n - done);
        if (!part.len)
            break;
        memcpy(to + done, part.ptr, part.len);
        done += part.len;
    }
    return done;
}

void wal_done(struct wal_pages *p)
{
    free(p->frames);
    p->frames = NULL;
}
