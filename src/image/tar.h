/*
 * tar.h - walk the members of one tar, in stream order, in constant memory.
 *
 * Shape      ustar, GNU (long names and links, base-256 numbers, sparse) and pax (path, linkpath, size, GNU.sparse.*).
 *            Where readers differ, what Go's archive/tar makes of it counts, for docker and containerd unpack with that:
 *            global pax headers have no effect, links and folders have no content, whatever size they name. Members of
 *            type NUL are regular files (those whose name ends in "/" folders). A path may come twice: the later member
 *            wins, and that is the caller's business. The end is two zero blocks, or the end of the stream at a member
 *            boundary; what follows the zero blocks is drained, so that taps below see it.
 * Units      sizes and offsets in bytes of the (uncompressed) tar.
 * Ownership  a tar borrows its stream; a tar_member and its views live until the next tar_next().
 * Limits     see tar_limits; a pax or GNU header record is at most 1 MiB. A sparse file can be passed but not read
 *            (tar_chunk() gives ERR_LIMIT, tar_next() goes on) when it has more than 65,536 segments, or when with it the
 *            holes that were read would be more than 64 GiB, or more than 1 GiB and 200 times the tar so far.
 * Errors     ERR_FORMAT (the text names the byte offset of the header: bad checksum, bad number, truncated member; or
 *            "not a tar (byte 0)"), ERR_LIMIT, and the stream's own.
 * Source     POSIX.1-2017 pax; GNU tar manual "Basic Tar Format"; OCI image-spec v1.1 layer.md. Whiteouts are not read here.
 */
#pragma once
#include "codec/stream.h"

enum tar_type { TAR_FILE, TAR_FOLDER, TAR_SYMLINK, TAR_HARDLINK, TAR_OTHER };

struct tar_member {
    str path; /* relative: leading "/" and "./" are cut, "//" and "/./" folded, no trailing "/"; "" for the root itself */
    str link; /* target as written; empty unless a link */
    uint64_t
        size; /* of the content as it would be read (sparse files: the expanded size); 0 unless TAR_FILE */
    uint64_t offset; /* of the content's first byte in the tar */
    uint64_t stored; /* bytes from there to the padding before the next header */
    bool sparse;     /* what is stored is not the content itself */
    enum tar_type type;
    bool escapes; /* the path holds a ".." component: never a wanted path; callers skip it */
};

struct tar_limits {
    uint64_t max_members; /* 0 = 10,000,000 */
    size_t max_path;      /* bytes of a path or link; 0 = 4096; longer members are ERR_LIMIT */
    uint64_t
        start; /* where in the tar the stream begins: offsets and errors count from the tar's own byte 0 */
    bool leave_rest; /* do not drain what follows the end */
};

/* Do these bytes begin with a tar header? */
bool tar_begins(str head);

struct tar;
struct tar *tar_new(struct stream *in, const struct tar_limits *limits, struct err *e);
int tar_next(struct tar *t, struct tar_member *ret, struct err *e); /* 1 member, 0 end, -1 error */

/* The content of the current TAR_FILE, in chunks: 1 a view of at least one byte, 0 its end, -1. Holes read as zeroes. */
int tar_chunk(struct tar *t, str *ret, struct err *e);

/* The content of the current member as a stream of its own; it lives until the next tar_next(). NULL on error. */
struct stream *tar_stream(struct tar *t, struct err *e);
void tar_freep(struct tar **t); /* for CLEANUP(); NULL is fine */
