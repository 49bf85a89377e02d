/*
 * decoder.h - what inflate.c asks of one compression format. Private to codec/.
 *
 * Shape      inflate.c owns the streams, the limits and the positions; a codec turns bytes into bytes. `step` decodes
 *            from *in, which it advances, into `out`; it is called again until the input is used up and it makes
 *            nothing more.
 * Errors     the text says only what is wrong; inflate.c adds the name and the byte.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct codec {
    const char *name;
    struct magic {
        uint8_t len;
        uint8_t bytes[10], mask[10];
    } magics[2]; /* the second may be empty */

    void *(*open)(uint64_t max_window, struct err *e);
    /* 1 goes on, 0 this member is complete, -1; `last` when nothing follows *in. *made bytes were written. */
    int (*step)(void *state, str *in, bool last, str room, size_t *made, struct err *e);
    int (*again)(void *state, struct err *e); /* another member follows */
    void (*close)(void *state);
};

extern const struct codec codec_gzip, codec_zstd, codec_bzip2, codec_xz;
