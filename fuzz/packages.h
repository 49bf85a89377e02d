/* packages.h - any bytes as a package database: what a detector promises of its packages, whatever it was given. */
#pragma once
#include "base/cleanup.h"
#include "detect/detector.h"

static inline void fuzz_packages_beside(str path, str kind, str content, str beside)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct detected out = { .arena = arena };
    struct err e = { 0 };
    int r = detector_for(path)->scan(
        &(struct detect_file){ .path = path, .content = content, .beside = beside }, &out, &e);

    if ((r < 0) != (e.kind != ERR_NONE) || out.package_count > content.len + beside.len)
        abort();
    for (size_t i = 0; i < out.package_count; i++) {
        const struct package *p = &out.packages[i];
        if (!str_eq(p->kind, kind) || !p->name.len || !p->version.len || !p->source.len ||
            !p->source_version.len)
            abort();
        if (p->name.len > PACKAGE_TEXT_MAX ||
            (p->name.ptr >= content.ptr && p->name.ptr < content.ptr + content.len))
            abort(); /* a view into the content would outlive it */
    }
}

static inline void fuzz_packages(str path, str kind, str content)
{
    fuzz_packages_beside(path, kind, content, (str){ 0 });
}
