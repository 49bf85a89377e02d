/*
 * fold.h - many layers, one image: whiteouts, opaque folders, replacements and links applied from the bottom up.
 *
 * Rules      A layer's ENTRY_REMOVED, ENTRY_OPAQUE, ENTRY_OTHER and links hide what lower layers had, never what the same layer
 *            brings, whatever the order in the tar. A file replaces the lower one at its path. A hard link is the file it names
 *            (same layer first, then lower ones); symbolic links, also of parent folders, are followed inside the image only, at most 40 hops.
 *            A file reached under two names is read once (the package database is not doubled).
 *            Packages of all visible databases are joined; an identical package (package_same) appears once.
 *            `layer` of a package: the lowest layer since which it has been in that database without a gap.
 *            Distribution: of the visible distribution files the detector with the lowest priority whose answer has a namespace, but a
 *            Debian without VERSION_ID (a version, but no namespace) lets apt sources speak first (spec/detection.md 2). A file
 *            that names a distribution we do not know ends the search: derivatives are not their parents.
 *            A visible link to where nothing was read gives a note; where a package database could be behind it, also `unreadable`.
 * Source     OCI image-spec v1.1 layer.md "Whiteouts"; spec/packages.md 8.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/layer.h"

/* Fills ret's distribution, packages, notes and unreadable, and its layers; name and digest are the caller's. Views into
 * `layers` are kept: they must outlive ret. */
int image_fold(const struct layer_index *const *layers, size_t count, struct arena *arena,
               struct image_index *ret, struct err *e);
