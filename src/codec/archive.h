/*
 * archive.h - the regular files of a zip or tar archive, one after the other, while it streams by.
 *
 * Shape      archive_next() steps to the next file; its bytes come from a stream that lives until the next step. What of a file
 *            is not read is skipped. Folders, links and the like are passed over
 *            (of a zip only its list at the end tells links from files: they come as files that hold where they lead).
 * Limits     those of struct archive_limits; names of more than 1,024 bytes are ERR_LIMIT.
 * Errors     ERR_FORMAT "zip: entry 17 (npm/GHSA-1.json): what", "tar: ...". ERR_LIMIT. Those of `in` as they are.
 *            A cut at any byte that takes something of a file away is an error, and so are bytes behind the end. Of a zip the checksum of each
 *            file that was begun is compared, and how many entries there are with its list; a tar has no such thing.
 *            archive_next() gives 0 only when all this is right: what was read before may be part of a damaged archive.
 * Source     APPNOTE.TXT (zip), POSIX.1-2017 pax; libarchive reads them.
 */
#pragma once
#include "codec/stream.h"

struct archive_limits {
    uint64_t max_files; /* 0: 2,000,000 */
    uint64_t max_file;  /* bytes of one, inflated; 0: 256 MiB */
};

struct archive;
/* Of zip or tar, told by the first bytes; anything else is ERR_FORMAT. Borrows `in`. `limits` may be NULL. */
struct archive *archive_new(struct stream *in, const struct archive_limits *limits, struct err *e);
void archive_freep(struct archive **a); /* for CLEANUP(); NULL is fine */

/* The name of a file of a zip that says that its name is UTF-8, when it is not ASCII: libarchive needs the data of a locale for those, and in
 * the cage there is none. Names of tars, and of zips without that flag, come as they are. */
#define ARCHIVE_NO_NAME "?"

/* 1 a file: its name (as in the archive, without "./" before it) lives until the next step; 0 the archive is complete; -1. */
int archive_next(struct archive *a, str *name, struct stream **file, struct err *e);

/* 1 it was read, 0 it is none of those that are wanted, -1. */
typedef int archive_file(void *ctx, str name, struct stream *file, struct err *e);
/* All files of an archive; *ret_count: how many were read. An error of one begins with its name. */
int archive_each(struct stream *in, archive_file *each, void *ctx, size_t *ret_count, struct err *e);
