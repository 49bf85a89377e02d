/*
 * updateinfo.h - the repository metadata of dnf: which updates it has, and where.
 *
 * Limits     8 MiB for all texts of one update, 20,000 packages of one, 1,024 CVEs.
 * Errors     ERR_FORMAT with line and byte, the update's id in front.
 * Source     spec/feeds.md 6 and 10: repomd.xml and updateinfo.xml.
 */
#pragma once
#include "base/arena.h"
#include "feed/feed.h"

struct updateinfo_package {
    str name, evr, arch; /* evr with its epoch where that is not 0; arch empty: noarch, which fits all */
};

struct updateinfo {
    str id, type, title, severity, description;
    const str *cves;
    size_t cve_count;
    const struct updateinfo_package *packages; /* sorted, each once */
    size_t package_count;
    struct arena *arena; /* for what the receiver makes of it: gone with the update */
};

typedef int updateinfo_each(void *ctx, const struct updateinfo *u, struct err *e);
int updateinfo_read(struct stream *in, updateinfo_each *each, void *ctx, struct err *e);

/* Of repomd.xml: where its updateinfo lies, below the repository, and its checksum. 1, 0 it has none, -1. */
int repomd_read(struct stream *in, struct arena *arena, str *ret_href, str *ret_checksum, struct err *e);
