/* rpm_bdb.c - Berkeley DB's hash file, in the byte order of the machine that wrote it. Every hash page is read for itself,
 * without the buckets that lead to it: so damaged chains of pages cost nothing. */
#include "detect/rpm_db.h"

#include "base/buf.h"
#include "base/cleanup.h"

enum { META_SIZE = 512, PAGE_HEADER = 26, OFFPAGE_SIZE = 12, KEY_SIZE = 5, PAGE_MIN = 512, PAGE_MAX = 65536 };
enum {
    META_MAGIC = 12,
    META_PAGESIZE = 20,
    META_ENCRYPTED = 24,
    META_TYPE = 25,
    META_FLAGS = 26,
    META_LAST = 32
};
enum { PAGE_NEXT = 16, PAGE_ENTRIES = 20, PAGE_LENGTH = 22, PAGE_TYPE = 25 };
enum { P_HASH_UNSORTED = 2, P_OVERFLOW = 7, P_HASHMETA = 8, P_HASH = 13 };
enum { H_KEYDATA = 1, H_OFFPAGE = 3 };
#define HASH_MAGIC  0x00061561u
#define CHECKSUMMED 0x01 /* a metaflag: pages then have longer headers; rpm never asked for it */

struct bdb {
    str content;
    bool big; /* the byte order */
    size_t page_size, pages;
    uint8_t *claimed; /* a bit for each page: an overflow page belongs to one value */
    struct buf value;
    struct rpm_sink *sink;
};

static uint32_t u32(const struct bdb *b, const char *p)
{
    const uint8_t *x = (const uint8_t *)p;
    return b->big ? (uint32_t)x[0] << 24 | (uint32_t)x[1] << 16 | (uint32_t)x[2] << 8 | x[3]
                  : (uint32_t)x[3] << 24 | (uint32_t)x[2] << 16 | (uint32_t)x[1] << 8 | x[0];
}

static uint16_t u16(const struct bdb *b, const char *p)
{
    const uint8_t *x = (const uint8_t *)p;
    return (uint16_t)(b->big ? x[0] << 8 | x[1] : x[1] << 8 | x[0]);
}

static const char *page_at(const struct bdb *b, size_t n) { return b->content.ptr + n * b->page_size; }

/* Gathers a value that lies on pages of its own. 1 done; 0 damaged, and told; -1 no memory. */
static int gather(struct bdb *b, size_t owner, uint32_t first, uint32_t length, struct err *e)
{
    buf_clear(&b->value);
    for (uint32_t n = first; b->value.len < length; n = u32(b, page_at(b, n) + PAGE_NEXT)) {
        const char *page = page_at(b, n < b->pages ? n : 0);
        size_t part = u16(b, page + PAGE_LENGTH);
        if (!n || n >= b->pages)
            return rpm_damaged(b->sink, (struct rpm_place){ "page", owner },
                               "a value of %u bytes ends after %zu, at page %u of %zu", length, b->value.len,
                               n, b->pages);
        if (page[PAGE_TYPE] != P_OVERFLOW || !part || part > b->page_size - PAGE_HEADER ||
            part > length - b->value.len)
            return rpm_damaged(b->sink, (struct rpm_place){ "page", owner },
                               "page %u does not go on with its value (type %d, %zu bytes)", n,
                               page[PAGE_TYPE], part);
        if (!rpm_claim(b->claimed, n))
            return rpm_damaged(b->sink, (struct rpm_place){ "page", owner },
                               "page %u belongs to its value a second time, or to another one", n);
        buf_add(&b->value, page + PAGE_HEADER, part);
        if (b->value.failed)
            return err_set(e, ERR_OOM, "page %zu: no memory for a value of %u bytes", owner, length);
    }
    return 1;
}

static int read_pair(struct bdb *b, size_t n, str key, str value, struct err *e)
{
    struct rpm_place at = { "page", n };
    if (key.len != KEY_SIZE || key.ptr[0] != H_KEYDATA)
        return rpm_damaged(b->sink, (struct rpm_place){ "page", n }, "a key of %zu bytes, type %d", key.len,
                           key.len ? key.ptr[0] : 0);
    if (!u32(b, key.ptr + 1))
        return 0; /* it holds the next number */
    if (value.len > 1 && value.ptr[0] == H_KEYDATA)
        return b->sink->header(b->sink, at, str_skip(value, 1), e);
    if (value.len != OFFPAGE_SIZE || value.ptr[0] != H_OFFPAGE)
        return rpm_damaged(b->sink, (struct rpm_place){ "page", n }, "a value of %zu bytes, type %d",
                           value.len, value.len ? value.ptr[0] : 0);
    int r = gather(b, n, u32(b, value.ptr + 4), u32(b, value.ptr + 8), e);
    return r > 0 ? b->sink->header(b->sink, at, buf_view(&b->value), e) : r;
}

/* The offsets of a page's items are at its beginning; the items lie from its end downwards, key and value in turn. */
static int read_page(struct bdb *b, size_t n, struct err *e)
{
    const char *page = page_at(b, n);
    size_t entries = u16(b, page + PAGE_ENTRIES), floor = PAGE_HEADER + 2 * entries, end = b->page_size;
    if (floor > end)
        return rpm_damaged(b->sink, (struct rpm_place){ "page", n }, "%zu items", entries);
    str key = { 0 };
    for (size_t i = 0; i < entries; i++) {
        size_t start = u16(b, page + PAGE_HEADER + 2 * i);
        if (start < floor || start > end)
            return rpm_damaged(b->sink, (struct rpm_place){ "page", n }, "item %zu at %zu", i, start);
        str item = { page + start, end - start };
        if (i & 1 && read_pair(b, n, key, item, e) < 0)
            return -1;
        key = item;
        end = start;
    }
    return entries & 1 ? rpm_damaged(b->sink, (struct rpm_place){ "page", n }, "a key without a value") : 0;
}

bool rpm_bdb_is(str content)
{
    struct bdb little = { 0 }, big = { .big = true };
    return content.len >= META_SIZE && (u32(&little, content.ptr + META_MAGIC) == HASH_MAGIC ||
                                        u32(&big, content.ptr + META_MAGIC) == HASH_MAGIC);
}

static int read_meta(struct bdb *b, struct err *e)
{
    const char *meta = b->content.ptr;
    if (!rpm_bdb_is(b->content))
        return err_set(e, ERR_FORMAT, "not a hash file of Berkeley DB");
    b->big = u32(b, meta + META_MAGIC) != HASH_MAGIC;
    b->page_size = u32(b, meta + META_PAGESIZE);
    if (meta[META_TYPE] != P_HASHMETA)
        return err_set(e, ERR_FORMAT, "its first page is of type %d", meta[META_TYPE]);
    if (b->page_size < PAGE_MIN || b->page_size > PAGE_MAX || b->page_size & (b->page_size - 1))
        return err_set(e, ERR_FORMAT, "pages of %zu bytes", b->page_size);
    if (meta[META_ENCRYPTED] || meta[META_FLAGS] & CHECKSUMMED)
        return err_set(e, ERR_UNSUPPORTED, "its pages are encrypted or have check sums");
    b->pages = b->content.len / b->page_size;
    uint64_t told = (uint64_t)u32(b, meta + META_LAST) + 1;
    if (told > b->pages)
        rpm_damaged(b->sink, (struct rpm_place){ "page", b->pages }, "the file ends here, of %llu pages",
                    (unsigned long long)told);
    return 0;
}

int rpm_bdb_walk(str content, struct rpm_sink *s, struct err *e)
{
    struct bdb b = { .content = content, .sink = s };
    if (read_meta(&b, e) < 0)
        return -1;
    CLEANUP(freep) uint8_t *claimed = b.claimed = calloc(1, b.pages / 8 + 1);
    int r = claimed ? 0 : err_set(e, ERR_OOM, "no memory for %zu pages", b.pages);
    for (size_t n = 1; r == 0 && n < b.pages; n++) {
        char type = page_at(&b, n)[PAGE_TYPE];
        if (type == P_HASH || type == P_HASH_UNSORTED)
            r = read_page(&b, n, e);
    }
    buf_done(&b.value);
    return r;
}
