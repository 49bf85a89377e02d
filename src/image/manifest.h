/*
 * manifest.h - from the small files of an image container to its row of layers. Pure: files come through a callback.
 *
 * Shape      `docker save` archives (manifest.json, also Podman's and the one Docker 25 and later write beside index.json)
 *            and OCI layouts (index.json, nested indexes at most 4 deep). Where both are there manifest.json wins.
 * Digests    every small file that is named by a digest is checked here; the layers' are for the caller to check while it
 *            reads them: `digest` over the stored bytes, or over the uncompressed ones with `by_diff_id`.
 * Limits     a small file 8 MiB, 1,024 layers, 1,024 manifests.
 * Errors     ERR_FORMAT, ERR_DIGEST, ERR_NOT_FOUND, ERR_UNSUPPORTED: the text names the file.
 * Source     Docker image spec v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image-spec v1.1 image-layout.md,
 *            image-index.md, manifest.md.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define IMAGE_FILE_MAX ((size_t)8 << 20)

struct image_files {
    /* The whole content of a file by its path in the container: 1, 0 no such file, -1. */
    int (*read)(struct image_files *f, str path, struct arena *arena, str *ret, struct err *e);
};

struct image_layer {
    str path;        /* in the container */
    str digest;      /* "sha256:<hex>": its identity */
    bool by_diff_id; /* digest is that of the uncompressed tar */
    str diff_id; /* what the config says of the uncompressed tar, to be checked too; empty in OCI layouts, where the
                      * manifest's digest already covers the layer's */
};

struct image_manifest {
    str digest;                 /* of the manifest (OCI) or of the config (docker save) */
    struct image_layer *layers; /* bottom first */
    size_t layer_count;
    str note; /* something a person should know; may be empty */
};

/* `architecture` as in Go ("amd64"): which manifest of an index is meant. */
int image_manifest_read(struct image_files *files, str architecture, struct arena *arena,
                        struct image_manifest *ret, struct err *e);
str image_architecture(void); /* of the machine we run on */
