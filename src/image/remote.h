/*
 * remote.h - an image that is somewhere else: its small files by path, as of an OCI layout, and its layers as streams.
 *
 * Shape      `files` answers as a layout would: "index.json" (one descriptor of what was asked for), "blobs/sha256/HEX" for manifests and
 *            configs. A layer is opened only when its bytes are wanted, so that what is known is never fetched.
 * Threads    files: one; open(), read(), close(): many at once, each transfer by one.
 * Errors     of open() and read(): what the other side said, with its name; trying again is behind them.
 */
#pragma once
#include "image/manifest.h"

#include <stdatomic.h>

struct image_remote {
    struct image_files files; /* the first member, so that the callbacks can get at the rest */
    /* The stored bytes of a layer, from their first. NULL on error. */
    void *(*open)(struct image_remote *r, const struct image_layer *l, struct err *e);
    int (*read)(void *transfer, str *ret,
                struct err *e); /* 1 a chunk that lives until the next call, 0 end, -1: fits cage_input */
    void (*close)(void *transfer);
    void (*free)(struct image_remote *r);
    const atomic_bool
        *stop; /* set by who reads: nobody needs the layers any more (ERR_BUSY); NULL: somebody does */
};
