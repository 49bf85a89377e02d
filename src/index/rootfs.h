/*
 * rootfs.h - a folder as if it were a layer: the files that detectors want, as one tar made on the fly.
 *
 * Shape      Paths are opened inside the folder only (openat2 with RESOLVE_IN_ROOT), so links that point out of it stay in it;
 *            files are given in the order of the detectors' patterns, folders' entries sorted, so that one folder always gives
 *            the same bytes. Owners and times are left out for the same reason. A link that leads nowhere is given as a link, and
 *            what is no regular file as what it is: the fold judges them as it does in a layer.
 * Limits     DETECT_FILE_MAX bytes of a file, 100,000 files.
 * Errors     only what is not there is passed over; what cannot be read is an error that names the path.
 */
#pragma once
#include "base/arena.h"
#include "cage/cage.h"

struct rootfs;
struct rootfs *rootfs_open(int folder, struct arena *arena,
                           struct err *e);              /* lives in the arena; borrows the descriptor */
int rootfs_read(void *rootfs, str *ret, struct err *e); /* fits cage_input.read */
void rootfs_close(struct rootfs *r);
