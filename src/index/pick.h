/*
 * pick.h - which distribution an image is, from what its visible distribution files say.
 *
 * Rules      The file whose detector has the lowest priority and whose answer has a namespace wins, but a Debian without VERSION_ID (a
 *            version, but no namespace) lets apt's sources speak first (spec/detection.md 2). A file that names a distribution
 *            we do not know ends the search: derivatives are not their parents.
 *            An image that is Alpine by this is Alpine edge when apk's repositories say so (spec/matching.md 4); they alone
 *            make no image Alpine.
 */
#pragma once
#include "base/arena.h"
#include "detect/detector.h"

struct told { /* a visible file that names a distribution (id not empty) */
    str path;
    const struct detector *detector;
    const struct distribution *says;
};

struct distribution pick_distribution(const struct told *files, size_t count, struct arena *arena);
