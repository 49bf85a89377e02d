/*
 * blob.h - one layer by itself, as a server gets it: bytes through the cage, nothing stored yet.
 *
 * Formats    Docker: the tar is the root file system. ACI (appc): it lies below "rootfs/"; such a layer is named
 *            "aci:sha256:...", for the same bytes read as the other format would be something else.
 * Ownership  the layer lives in the arena, which should have LAYER_MEMORY_MAX as its limit.
 * Errors     ERR_DIGEST: `want` is a digest ("sha256:<hex>") and the bytes do not have it; ERR_FORMAT, ERR_LIMIT, ERR_FILE_LIMIT: the
 *            archive; what the input's read() gave. All bytes of the input are read when the result is 0.
 */
#pragma once
#include "base/arena.h"
#include "cage/cage.h"
#include "model/layer.h"

enum blob_format { BLOB_DOCKER, BLOB_ACI };
bool blob_format_find(str name, enum blob_format *ret); /* "docker", "aci", in any letter case */

int index_blob(struct cage *c, const struct cage_input *in, enum blob_format format, str want,
               struct arena *arena, struct layer_index **ret, struct err *e);
