/*
 * framing.h - the body of a message, from how it came to how it goes on: pieces are taken apart and framed anew, never held as a whole. Pure.
 *
 * Limits     a line of a chunk 256 bytes, trailers 8 KiB.
 * Errors     ERR_FORMAT: what comes is not as chunks are; the connection is of no use then.
 */
#pragma once
#include "proxy/head.h"

struct framing {
    enum body_kind kind;
    bool chunked; /* goes on in chunks, else bare */
    uint64_t left;
    int state;
    size_t line; /* bytes of the line that is being read */
    struct buf trailer;
    bool done; /* the body has come whole */
};

void framing_begin(struct framing *f, enum body_kind kind, uint64_t length, bool chunked);
/* Takes of `in`, and appends to `out` what goes on: how much was taken, all unless the body ends in it. -1. */
ptrdiff_t framing_take(struct framing *f, str in, struct buf *out, struct err *e);
/* Its connection has ended. */
int framing_end(struct framing *f, struct buf *out, struct err *e);
void framing_done(struct framing *f);
