/*
 * platform.h - which of an index's images is meant: OS/ARCHITECTURE[/VARIANT], in Go's words ("linux/arm/v7").
 *
 * Rules      the names are compared as they are, but "arm64/v8" is "arm64", and "x86_64", "aarch64" and "armhf" are what people
 *            write for amd64, arm64 and arm/v7. A wish without a variant takes any; a wish with one takes no image that says
 *            another or, unless it is the architecture's usual one (arm/v7, arm64/v8, amd64/v1), says none.
 * Errors     ERR_USAGE tells the form.
 * Source     OCI image-spec v1.1 image-index.md, "platform".
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct image_platform {
    str os, architecture, variant; /* variant may be empty */
    bool demanded;                 /* by a person: nothing else will do */
};

/* Views into text. */
int image_platform_parse(str text, struct image_platform *ret, struct err *e);
struct image_platform image_platform_here(void); /* of the machine we run on; not demanded */
/* What is not said (empty os) fits. */
bool image_platform_fits(const struct image_platform *wish, const struct image_platform *is);
