/* rpm_make.h - headers and databases of rpm, made in memory; every part can be made wrong. For test_rpm.c. */
#pragma once
#include "base/buf.h"

#include <sqlite3.h>

struct tag {
    uint32_t tag, type;
    const char *text; /* type 6; a number in decimal for type 4 */
};

static inline void put32(struct buf *b, bool big, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        buf_char(b, (char)(v >> 8 * (big ? 3 - i : i)));
}

static inline void set32(char *to, bool big, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (char)(v >> 8 * (big ? 3 - i : i));
}

/* `region`: so many of the tags are inside of a region, and the others follow it; 0: as rpm 3 wrote it. Ends with tag 0. */
static inline void make_header(struct buf *b, const struct tag *tags, uint32_t region)
{
    struct buf index = { 0 }, data = { 0 };
    uint32_t count = 0;
    if (region) {
        put32(&data, true, 63);
        put32(&data, true, 7);
        put32(&data, true, 0u - 16 * (region + 1));
        put32(&data, true, 16);
        put32(&index, true, 63);
        put32(&index, true, 7);
        put32(&index, true, 0); /* an offset of 0 would say "all": so its data begins with something else */
        put32(&index, true, 16);
        struct buf moved = { 0 };
        put32(&moved, true, 0);
        buf_str(&moved, buf_view(&data));
        buf_done(&data);
        data = moved;
        set32(index.ptr + 8, true, 4);
        count++;
    }
    for (; tags->tag; tags++, count++) {
        put32(&index, true, tags->tag);
        put32(&index, true, tags->type);
        put32(&index, true, (uint32_t)data.len);
        put32(&index, true, 1);
        if (tags->type == 4)
            put32(&data, true, (uint32_t)strtoul(tags->text, NULL, 10));
        else
            buf_add(&data, tags->text, strlen(tags->text) + 1);
    }
    put32(b, true, count);
    put32(b, true, (uint32_t)data.len);
    buf_str(b, buf_view(&index));
    buf_str(b, buf_view(&data));
    buf_done(&index);
    buf_done(&data);
}

static inline void plain_header(struct buf *b, const char *name, const char *version, const char *release)
{
    make_header(
        b,
        (struct tag[]){
            { 1000, 6, name }, { 1001, 6, version }, { 1002, 6, release }, { 1022, 6, "noarch" }, { 0 } },
        0);
}

/* ---- NDB: one page of slots, blobs one after the other ---- */

static inline uint32_t adler(const char *p, size_t n)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + (uint8_t)p[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static inline void ndb_begin(struct buf *b)
{
    buf_add(b, "RpmP", 4);
    put32(b, false, 0);
    put32(b, false, 1);
    put32(b, false, 1);
    while (b->len < 4096) {
        buf_add(b, "Slot", b->len < 32 ? 0 : 4);
        put32(b, false, 0);
        if (b->len > 32) {
            put32(b, false, 0);
            put32(b, false, 0);
        }
    }
}

static inline void ndb_add(struct buf *b, uint32_t slot, str header)
{
    uint32_t blocks = (uint32_t)((16 + header.len + 12 + 15) / 16), from = (uint32_t)(b->len / 16);
    char *s = b->ptr + 16 * slot;
    set32(s + 4, false, slot);
    set32(s + 8, false, from);
    set32(s + 12, false, blocks);
    size_t start = b->len;
    buf_add(b, "BlbS", 4);
    put32(b, false, slot);
    put32(b, false, 1);
    put32(b, false, (uint32_t)header.len);
    buf_str(b, header);
    while (b->len < start + 16 * blocks - 12)
        buf_char(b, 0);
    put32(b, false, adler(b->ptr + start, b->len - start));
    put32(b, false, (uint32_t)header.len);
    buf_add(b, "BlbE", 4);
}

/* ---- Berkeley DB: a meta page, one page of pairs, overflow pages ---- */

enum { BDB_PAGE = 512 };

static inline void put16(char *to, bool big, unsigned v)
{
    to[0] = (char)(big ? v >> 8 : v);
    to[1] = (char)(big ? v : v >> 8);
}

static inline char *bdb_page(struct buf *b, bool big, char type)
{
    uint32_t number = (uint32_t)(b->len / BDB_PAGE);
    char *p = buf_reserve(b, BDB_PAGE);
    memset(p, 0, BDB_PAGE);
    b->len += BDB_PAGE;
    set32(p + 8, big, number);
    p[25] = type;
    set32(b->ptr + 32, big, number); /* the last page */
    return p;
}

static inline void bdb_begin(struct buf *b, bool big)
{
    char *meta = bdb_page(b, big, 8);
    set32(meta + 12, big, 0x061561);
    set32(meta + 16, big, 9);
    set32(meta + 20, big, BDB_PAGE);
    put16(bdb_page(b, big, 13) + 22, big, BDB_PAGE);
}

static inline void bdb_item(struct buf *b, bool big, str item)
{
    char *p = b->ptr + BDB_PAGE;
    unsigned n = (uint8_t)p[big ? 21 : 20], low = (uint8_t)p[big ? 23 : 22], high = (uint8_t)p[big ? 22 : 23];
    unsigned at = (high << 8 | low) - (unsigned)item.len;
    memcpy(p + at, item.ptr, item.len);
    put16(p + 26 + 2 * n, big, at);
    put16(p + 20, big, n + 1);
    put16(p + 22, big, at);
}

/* Inline, or on pages of its own. */
static inline void bdb_add(struct buf *b, bool big, uint32_t key, str header, bool inlined)
{
    struct buf item = { 0 };
    buf_char(&item, 1);
    put32(&item, big, key);
    bdb_item(b, big, buf_view(&item));
    buf_clear(&item);
    if (inlined) {
        buf_char(&item, 1);
        buf_str(&item, header);
    } else {
        buf_add(&item, "\003\0\0\0", 4);
        put32(&item, big, (uint32_t)(b->len / BDB_PAGE));
        put32(&item, big, (uint32_t)header.len);
    }
    bdb_item(b, big, buf_view(&item));
    buf_done(&item);
    while (!inlined && header.len) {
        str part = str_head(header, BDB_PAGE - 26);
        header = str_skip(header, part.len);
        char *p = bdb_page(b, big, 7);
        put16(p + 22, big, (unsigned)part.len);
        memcpy(p + 26, part.ptr, part.len);
        if (header.len)
            set32(p + 16, big, (uint32_t)(b->len / BDB_PAGE));
    }
}

/* ---- SQLite ---- */

#define RPM_TABLE "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL);"

static inline void sql(sqlite3 *db, const char *text)
{
    char *why = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
}

static inline void sqlite_add(sqlite3 *db, str header)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO Packages(blob) VALUES(?)", -1, &st, NULL),
                     SQLITE_OK);
    sqlite3_bind_blob(st, 1, header.ptr, (int)header.len, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
    sqlite3_finalize(st);
}

static inline void sqlite_bytes(sqlite3 *db, struct buf *b)
{
    sqlite3_int64 size;
    unsigned char *bytes = sqlite3_serialize(db, "main", &size, 0);
    buf_add(b, bytes, (size_t)size);
    sqlite3_free(bytes);
}
