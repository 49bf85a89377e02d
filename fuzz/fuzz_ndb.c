/* fuzz_ndb.c - any bytes as an NDB file of rpm; then once more with the check sums put right, which no mutation would guess. */
#include "packages.h"

#include <stdlib.h>

#define PATH STR("usr/lib/sysimage/rpm/Packages.db")

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t get(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void put_sum(uint8_t *blob, size_t size)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < size - 12; i++) {
        a = (a + blob[i]) % 65521;
        b = (b + a) % 65521;
    }
    for (unsigned i = 0; i < 4; i++)
        blob[size - 12 + i] = (uint8_t)((b << 16 | a) >> 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_packages(PATH, STR("rpm"), str_of(data, size));
    CLEANUP(freep) uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    for (size_t at = 32, sums = 0; at + 16 <= size && at < 4096 && sums < 16; at += 16) {
        uint64_t from = (uint64_t)get(copy + at + 8) * 16, blob = (uint64_t)get(copy + at + 12) * 16;
        if (from >= 4096 && blob >= 28 && from + blob <= size)
            put_sum(copy + from, blob), sums++;
    }
    fuzz_packages(PATH, STR("rpm"), str_of(copy, size));
    return 0;
}
