/*
 * rootfs.h - a folder as if it were a layer: the files that detectors want, as one tar made on the fly.
 *
 * Paths are opened inside the folder only (openat2 with RESOLVE_IN_ROOT), so links that point out of it stay in it; files are
 * given in the order of the detectors' patterns, folders' entries sorted, so that one folder always gives the same bytes.
 * Owners and times are left out for the same reason.
 */
#pragma once
#include "base/arena.h"
#include "cage/cage.h"

struct rootfs;
struct rootfs *rootfs_open(int folder, struct arena *arena,
                           struct err *e);              /* lives in the arena; borrows the descriptor */
int rootfs_read(void *rootfs, str *ret, struct err *e); /* fits cage_input.read */
void rootfs_close(struct rootfs *r);
