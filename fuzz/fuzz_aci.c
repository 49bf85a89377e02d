/* fuzz_aci.c - the manifest of an App Container Image; then the same bytes as a platform that a person wrote. */
#include "base/cleanup.h"
#include "image/aci.h"
#include "image/platform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 }, wrong = { 0 };
    struct aci aci;
    struct image_platform p;
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    int r = aci_read(str_of(data, size), arena, &aci, &e);
    if ((r < 0) != (e.kind != ERR_NONE) || (r == 0 && !aci.name.len))
        abort();
    r = image_platform_parse(str_of(data, size), &p, &wrong);
    if ((r < 0) != (wrong.kind == ERR_USAGE) || (r == 0 && !image_platform_fits(&p, &p)))
        abort();
    return 0;
}
