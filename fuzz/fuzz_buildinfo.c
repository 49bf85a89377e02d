/* fuzz_buildinfo.c - "PATH\ncontent": any bytes as notes of Red Hat's build system, or as Azure Linux's list of packages. */
#include "packages.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str content = str_of(data, size), path = str_cut(&content, '\n');
    if (str_starts(path, STR("var/lib/rpmmanifest/"))) {
        fuzz_packages(STR("var/lib/rpmmanifest/container-manifest-2"), STR("rpm"), content);
        return 0;
    }
    const struct detector *d = detector_for(path);
    if (!d || !d->hints)
        return 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct detected out = { .arena = arena };
    struct err e = { 0 };
    if (d->scan(&(struct detect_file){ .path = path, .content = content }, &out, &e) < 0 ||
        out.package_count || out.distribution.id.len)
        abort(); /* a hint is not worth a layer */
    for (size_t i = 0; i < out.fact_count; i++) {
        const struct fact *f = &out.facts[i];
        if (!f->name.len || f->value.len > PACKAGE_TEXT_MAX ||
            (f->value.len && f->value.ptr >= content.ptr && f->value.ptr < content.ptr + content.len))
            abort();
    }
    return 0;
}
