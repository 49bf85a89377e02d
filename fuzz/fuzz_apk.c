/* fuzz_apk.c - any bytes as an apk database. */
#include "base/cleanup.h"
#include "detect/detector.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str content = str_of(data, size);
    str path = STR("lib/apk/db/installed");
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct detected out = { .arena = arena };
    struct err e = { 0 };
    int r = detector_for(path)->scan(path, content, &out, &e);

    if ((r < 0) != (e.kind != ERR_NONE) || out.package_count > size)
        abort();
    for (size_t i = 0; i < out.package_count; i++) {
        const struct package *p = &out.packages[i];
        if (!str_eq(p->kind, STR("apk")) || !p->name.len || !p->version.len || !p->source.len ||
            !p->source_version.len)
            abort();
        if (p->name.len > PACKAGE_TEXT_MAX ||
            (p->name.ptr >= content.ptr && p->name.ptr < content.ptr + size))
            abort(); /* a view into the content would outlive it */
    }
    return 0;
}
