/*
 * manifest.h - from the small files of an image container to its row of layers. Pure: files come through a callback.
 *
 * Shape      `docker save` archives (manifest.json, also Podman's and the one Docker 25 and later write beside index.json),
 *            OCI layouts (index.json, nested indexes at most 4 deep), skopeo's `dir:` folders (manifest.json is the image's own
 *            manifest, blobs lie beside it) and ACIs (manifest, rootfs/). manifest.json goes before index.json before manifest.
 * Platform   a demanded one must be there; else this machine's, else the first, with a note. Images whose index does not say what
 *            they are for are asked themselves (the config). Where files are dear (image_files) a config is read for nothing else: of an OCI
 *            image it says nothing that its manifest does not say.
 * Sizes      what a descriptor says of a small file is checked here; a layer's is for the caller, as its digest.
 * Digests    every small file that is named by a digest is checked here; the layers' are for the caller to check while it
 *            reads them: `digest` over the stored bytes, or over the uncompressed ones with `by_diff_id`.
 * Limits     a small file 8 MiB, 1,024 layers, 1,024 manifests.
 * Errors     ERR_FORMAT, ERR_DIGEST, ERR_NOT_FOUND, ERR_UNSUPPORTED: the text names the file.
 * Foreign    layers that may not be distributed can be absent: they are left out, with a note.
 * Source     Docker image spec v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image-spec v1.1 image-layout.md,
 *            image-index.md, manifest.md.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "image/platform.h"

#define IMAGE_FILE_MAX ((size_t)8 << 20)

struct image_files {
    /* The whole content of a file by its path in the container: 1, 0 no such file, -1. */
    int (*read)(struct image_files *f, str path, struct arena *arena, str *ret, struct err *e);
    bool (*has)(struct image_files *f, str path); /* is there such a file? NULL: not known, so yes */
    bool
        dear; /* each is a request to somebody: a config is read only where it decides which image is meant */
    str choice; /* of an index.json the image with this org.opencontainers.image.ref.name, or this digest; of a manifest.json that with this
                 * RepoTag; empty: any */
    bool oci;   /* index.json is meant, whatever else there is */
};

struct image_layer {
    str path;        /* in the container */
    str digest;      /* "sha256:<hex>": its identity */
    uint64_t size;   /* bytes as stored, to be checked too; 0: not said */
    bool by_diff_id; /* digest is that of the uncompressed tar */
    str diff_id; /* what the config says of the uncompressed tar, to be checked too; empty in OCI layouts, where the
                      * manifest's digest already covers the layer's */
};

struct image_manifest {
    str digest;                 /* of the manifest (OCI) or of the config (docker save) */
    struct image_layer *layers; /* bottom first */
    size_t layer_count;
    str key;      /* what is cached of the image goes by this: the digest, and which layers were left out */
    bool partial; /* layers were left out */
    bool
        aci; /* the container as a whole is the only layer, of which "rootfs/" counts; neither digest nor layers here */
    str note; /* something a person should know; may be empty */
};

int image_manifest_read(struct image_files *files, const struct image_platform *platform, struct arena *arena,
                        struct image_manifest *ret, struct err *e);
