/*
 * rpm_header.h - one header of an rpm database: the few tags that name a package.
 *
 * Shape      il and dl, il entries of 16 bytes (tag, type, offset, count), dl bytes of data; all big-endian. The first entry
 *            may be a region: entries behind it were added at installation ("dribbles") and replace those inside of the
 *            same tag. Headers of rpm 3 have none.
 * Ownership  the texts are views into the blob.
 * Limits     RPM_ENTRIES_MAX entries; the sizes told must be exactly those of the blob.
 * Errors     ERR_FORMAT tells the tag or field; only tags that are read here are checked.
 * Source     spec/packages.md 2.1.
 */
#pragma once
#include "detect/detector.h"

#define RPM_ENTRIES_MAX 65535

struct rpm_header {
    str name, version, release; /* never empty */
    str arch, source_rpm;       /* as written; empty: none */
    str label;                  /* MODULARITYLABEL, "name:stream:version:context[:arch]" */
    str vendor;
    bool has_epoch; /* an epoch of 0 is one */
    uint32_t epoch;
};

int rpm_header_read(str blob, struct rpm_header *ret, struct err *e);

/* Adds it as a package of kind "rpm"; false when memory ran out. What is longer than PACKAGE_TEXT_MAX is skipped with a note, keys of
 * signatures ("gpg-pubkey") without one. */
bool rpm_header_add(const struct rpm_header *h, struct detected *out);

/* The fact "rpm-vendor", once for each vendor; false when memory ran out. */
#define RPM_VENDORS_MAX 16
struct rpm_vendors {
    str seen[RPM_VENDORS_MAX]; /* in the arena of `out` */
    size_t count;
};
bool rpm_vendors_add(struct rpm_vendors *v, str vendor, struct detected *out);
