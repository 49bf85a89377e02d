/* fuzz_config.c - any bytes as config.yaml. */
#include "base/cleanup.h"
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    if (!arena || config_read(str_of(data, size), "config.yaml", arena, &c, &e) < 0)
        return 0;
    for (size_t i = 0; config_key(i); i++)
        config_shown(&c, i, arena);
    if (c.updater && c.updater_interval_s <= 0)
        abort();
    return 0;
}
