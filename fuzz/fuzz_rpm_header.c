/* fuzz_rpm_header.c - any bytes as one header of an rpm database. */
#include "base/cleanup.h"
#include "detect/rpm_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(str part, str whole)
{
    return !part.len || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct detected out = { .arena = arena };
    struct rpm_vendors vendors = { 0 };
    struct rpm_header h;
    struct err e = { 0 };
    str blob = str_of(data, size);
    if (rpm_header_read(blob, &h, &e) < 0) {
        if (e.kind != ERR_FORMAT)
            abort();
        return 0;
    }
    if (!inside(h.name, blob) || !inside(h.version, blob) || !inside(h.release, blob) ||
        !inside(h.arch, blob) || !inside(h.source_rpm, blob) || !inside(h.label, blob) ||
        !inside(h.vendor, blob))
        abort();
    if (!rpm_header_add(&h, &out) || !rpm_vendors_add(&vendors, h.vendor, &out) || out.package_count > 1)
        abort();
    for (size_t i = 0; i < out.package_count; i++) {
        const struct package *p = &out.packages[i];
        if (!p->name.len || p->version.len < 3 || !p->source.len || p->source_version.len < 3 ||
            (p->module.len && str_find(p->module, ':') <= 0))
            abort();
    }
    return 0;
}
