/*
 * ancestry.h - the images of API v3: a name for a row of layers, and what each of them brought (spec/detection.md 5, spec/api-v3.md 4).
 *
 * Rules      Packages and their layers are those of fold.h. When a layer upgrades the distribution ("debian:11" to "debian:12"), what was
 *            there before counts as brought by that layer. A layer that comes twice brings what it has in its first place. One after which
 *            there is no package at all changes nothing, as in REST v1 (named.h).
 *            Each dpkg and rpm package is two features, itself and its source; of other kinds one. A source counts as brought by the first
 *            layer that brought one of its packages. What is no package of the image's distribution is no feature.
 * Storing    What a row of layers has depends on their content alone: it is stored once for all ancestries of equal layers, as an image named
 *            "ancestry:sha256:...", the sum of the layers' digests.
 */
#pragma once
#include "store/store.h"

#define ANCESTRY_LAYERS_MAX 1024u

/* The fact of such an image that tells which detector found its distribution: "os-release". */
#define ANCESTRY_TOLD_BY STR("told-by")

/* Stores the ancestry. `digests`: what stands behind each of its hashes, stored by this indexer; image and indexer are set here.
 * ERR_NOT_FOUND: a layer is not there (any more). */
int index_ancestry(struct store *s, const struct ancestry *a, const str *digests, struct arena *arena,
                   struct err *e);

struct ancestry_feature {
    str name, version, kind; /* kind: the detector's name, and the version scheme */
    bool source;
    uint32_t layer;
    const uint32_t *packages; /* of image.packages, ascending: of whose findings it may have some */
    size_t package_count;
};
/* By layer, name, binary before source, and version; of one name, version and sort only one. */
int ancestry_features(const struct image_index *image, struct arena *arena, struct ancestry_feature **ret,
                      size_t *ret_count, struct err *e);
/* Is a finding one of that feature, rather than of the same package's other one? */
bool ancestry_has(const struct ancestry_feature *f, const struct finding *finding);
