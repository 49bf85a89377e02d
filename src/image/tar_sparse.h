/*
 * tar_sparse.h - where the stored bytes of a sparse file belong. Private to image/.
 *
 * Limits     a map keeps at most 65,536 segments (1 MiB). A longer one is only marked `over`: such a file cannot be
 *            read, but one that nobody wants to read does not stop the walk.
 * Source     GNU tar manual "Storing Sparse Files".
 */
#pragma once
#include "image/tar_header.h"

struct tar_map {
    struct tar_segment *segments; /* in order, none overlaps another */
    size_t count, cap;
    uint64_t stored; /* sum of their sizes */
    uint64_t end;    /* of the last one */
    bool over;
};

bool tar_map_add(struct tar_map *m, uint64_t offset, uint64_t size); /* false when it breaks the order */
bool tar_map_text(struct tar_map *m, str text);                      /* pax 0.1: "offset,size,offset,size" */
void tar_map_clear(struct tar_map *m);
void tar_map_done(struct tar_map *m);

/* The run of equal kind that begins at `at`: its length up to `size`, and whether it is stored. *i walks along. */
uint64_t tar_map_run(const struct tar_map *m, size_t *i, uint64_t at, uint64_t size, bool *stored);
