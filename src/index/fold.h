/*
 * fold.h - many layers, one image: whiteouts, opaque folders, replacements and links applied from the bottom up.
 *
 * Rules      A layer's ENTRY_REMOVED, ENTRY_OPAQUE, ENTRY_OTHER and links hide what lower layers had, never what the same layer
 *            brings, whatever the order in the tar. A file replaces the lower one at its path. A hard link is the file it names
 *            (same layer first, then lower ones); symbolic links, also of parent folders, are followed inside the image only.
 *            A file reached under two names is read once (the package database is not doubled).
 *            Packages of all visible databases are joined; an identical package (package_same) appears once.
 *            `layer` of a package: the lowest layer since which it has been in that database without a gap.
 *            `removed`: packages that some layer had and the image has not, with the layer that took them away last.
 *            Distribution: see pick.h.
 *            What is visible where a file or its folder was wanted and was not read (a link to elsewhere, a device, a folder in
 *            place of the file) gives a note; where a package database could be behind it, also `unreadable`. `unread` lists such
 *            links, for another look at the layers; files that were found for a link count while a link leads there.
 * Limits     ERR_LIMIT when the paths and links of all layers take more than PATHS_WORK_MAX (walk.h). The same layer may be
 *            there many times, as one pointer: that costs time, but no memory.
 * Source     OCI image-spec v1.1 layer.md "Whiteouts"; spec/packages.md 8.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/layer.h"

/* Fills all of ret but name and digest. Views into
 * `layers` are kept: they must outlive ret. */
int image_fold(const struct layer_index *const *layers, size_t count, struct arena *arena,
               struct image_index *ret, struct err *e);
