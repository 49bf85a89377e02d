/*
 * tar_header.h - the fields of one 512-byte tar header. Private to image/: tar.c walks, this reads.
 *
 * Source     POSIX.1-2017 pax "ustar Interchange Format"; GNU tar manual "Basic Tar Format" (GNU and sparse fields).
 */
#pragma once
#include "base/str.h"

#define TAR_BLOCK 512

struct tar_segment { /* of a sparse file: bytes that are stored; all else is a hole */
    uint64_t offset, size;
};

/* Octal digits between blanks, or base-256 when the first bit is set. An empty field is 0. */
bool tar_number(str field, uint64_t *ret);

bool tar_is_zero(const char block[TAR_BLOCK]);
bool tar_checksum_ok(const char block[TAR_BLOCK]);
str tar_field(const char *block, size_t at, size_t len); /* up to its first NUL */
bool tar_is_ustar(const char block[TAR_BLOCK]);          /* POSIX: the field at 345 is the path's prefix */

#define TAR_NAME(b)     tar_field((b), 0, 100)
#define TAR_LINK(b)     tar_field((b), 157, 100)
#define TAR_PREFIX(b)   tar_field((b), 345, 155)
#define TAR_SIZE(b)     str_of((b) + 124, 12)
#define TAR_REALSIZE(b) str_of((b) + 483, 12) /* GNU, type 'S' */

/* One record "LENGTH key=value\n" of a pax header: 1, 0 at the end, -1 malformed. */
int tar_pax_record(str *rest, str *key, str *value);
