/*
 * fuzz_rpmdb_sqlite.c - pages in units of 512 bytes (one byte), what to do (one byte), then a SQLite file of that size, and its -wal
 * file. If asked, the check sums of the -wal file are put right, which no mutation would guess.
 */
#include "packages.h"

#include <stdlib.h>

enum { PUT_SUMS = 1, PUT_SALTS = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t get(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * (3 - i));
}

static void add(uint32_t sum[2], bool big, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        sum[0] += (big ? get(p + i) : __builtin_bswap32(get(p + i))) + sum[1];
        sum[1] += (big ? get(p + i + 4) : __builtin_bswap32(get(p + i + 4))) + sum[0];
    }
}

static void put_sums(uint8_t *wal, size_t size, unsigned what)
{
    uint32_t sum[2] = { 0 };
    if (size < 32)
        return;
    bool big = wal[3] & 1;
    size_t page = get(wal + 8);
    add(sum, big, wal, 24);
    put(wal + 24, sum[0]);
    put(wal + 28, sum[1]);
    for (size_t at = 32; page && page <= 65536 && at + 24 + page <= size; at += 24 + page) {
        if (what & PUT_SALTS)
            memcpy(wal + at + 8, wal + 16, 8);
        add(sum, big, wal + at, 8);
        add(sum, big, wal + at + 24, page);
        put(wal + at + 16, sum[0]);
        put(wal + at + 20, sum[1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t rest = size - 2, n = (size_t)data[0] * 512 < rest ? (size_t)data[0] * 512 : rest;
    CLEANUP(freep) uint8_t *content = malloc(n + 1);
    CLEANUP(freep) uint8_t *wal = malloc(rest - n + 1);
    if (!content || !wal)
        return 0;
    memcpy(content, data + 2, n);
    memcpy(wal, data + 2 + n, rest - n);
    if (data[1] & PUT_SUMS)
        put_sums(wal, rest - n, data[1]);
    fuzz_packages_beside(STR("var/lib/rpm/rpmdb.sqlite"), STR("rpm"), str_of(content, n),
                         str_of(wal, rest - n));
    return 0;
}
