/* fuzz_distribution.c - "PATH\ncontent": any bytes as any distribution file. */
#include "base/cleanup.h"
#include "detect/detector.h"
#include "detect/distro.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str content = str_of(data, size), path = str_cut(&content, '\n');
    const struct detector *d = detector_for(path);
    if (d && !detector_wants_below(path))
        abort();
    if (!d || !d->priority)
        return 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct detected out = { .arena = arena };
    struct err e = { 0 };
    int r = d->scan(&(struct detect_file){ .path = path, .content = content }, &out, &e);

    if ((r < 0) != (e.kind != ERR_NONE) || out.package_count)
        abort();
    const struct distribution *got = &out.distribution;
    if (got->namespace.len &&
        (!got->id.len || !distribution_known(got->id) || !distribution_scheme(got->namespace).len))
        abort();
    if (got->id.len > 64 || got->version.len > 65 || got->namespace.len > 128)
        abort();
    return 0;
}
