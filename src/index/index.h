/*
 * index.h - the main job's first half: an image in, its packages out and into the store.
 *
 * An image that the store knows by its digest is not read again, nor is a layer. Layers that are not known are read in
 * parallel, each in a cage of its own; what a layer gives is stored at once, so that a broken scan is not begun anew.
 * Errors name the image, then the layer, then what was wrong.
 */
#pragma once
#include "cage/cage.h"
#include "index/container.h"
#include "index/fold.h"
#include "store/store.h"

struct index_progress { /* called from one thread at a time */
    void (*layer)(struct index_progress *p, size_t done, size_t total);
};

/* What index_image() runs in the cage: for the table given to cage_new(); ends with NULL. */
extern const struct cage_task *const index_tasks[];

unsigned indexer_version(void); /* re-keys what is stored when detectors change */

/* `platform`: which of several images is meant (manifest.h). `path` names the image in errors and in ret. ret lives in the arena; ret_id is the image in the store. May be called again
 * with the same container and another store: what can be read only once is kept in the container. */
int index_image(struct store *s, struct cage *c, struct container *container, const char *path,
                const struct image_platform *platform, struct index_progress *progress, struct arena *arena,
                struct image_index **ret, int64_t *ret_id, struct err *e);
