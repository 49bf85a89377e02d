/* fuzz_sbom.c - any bytes as a list of packages: what is taken of it is whole, and within limits. */
#include "base/cleanup.h"
#include "index/layer.h"
#include "index/sbom.h"

#include <stdint.h>

static void check(const struct sbom *s)
{
    const struct detected *d = &s->found;
    if (d->package_count > LAYER_PACKAGES_MAX || d->fact_count > LAYER_FACTS_MAX || s->note_count > 4)
        abort();
    for (size_t i = 0; i < d->package_count; i++) {
        const struct package *p = &d->packages[i];
        if (!p->name.len || !p->version.len || !p->kind.len || !p->source.len ||
            p->name.len > PACKAGE_TEXT_MAX || p->version.len > PACKAGE_TEXT_MAX)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct sbom s = { .found.arena = arena };
    struct err e = { 0 };
    str content = str_of(data, size);
    if (!arena)
        return 0;
    sbom_begins(str_head(content, 4096));
    if (sbom_parse(content, &s, &e) == 0)
        check(&s);
    else if (!e.kind)
        abort();
    return 0;
}
