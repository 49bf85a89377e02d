/*
 * aci.h - the manifest of an App Container Image: a tar with "manifest" and "rootfs/" at its top. Pure.
 *
 * Errors     ERR_FORMAT: not JSON, not an ImageManifest, no name. The text begins with "manifest".
 * Source     appc spec 0.8.11, aci.md "Image Manifest Schema".
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct aci {
    str name, os, architecture, version; /* labels may be missing: empty */
    size_t dependencies;                 /* images below this one: not in the file */
};

/* Strings live in the arena. */
int aci_read(str content, struct arena *arena, struct aci *ret, struct err *e);
