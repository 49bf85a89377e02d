/*
 * lines.h - the lines of a document, one after the other, while it streams by.
 *
 * Ownership  borrows its stream; a line lives until the next call.
 * Errors     ERR_LIMIT "line N: ..." for a line of more than LINE_MAX_BYTES; those of the stream.
 */
#pragma once
#include "base/buf.h"
#include "codec/stream.h"

#define LINE_MAX_BYTES 4096u

struct lines { /* begin with { .in = stream } */
    struct stream *in;
    str rest; /* of the chunk */
    struct buf part;
    uint64_t number; /* of the line given last, from 1 on */
};

/* 1 a line, without its "\n" or "\r\n"; 0 the end. What follows the last "\n" is a line if it is not empty. */
int lines_next(struct lines *l, str *ret, struct err *e);
void lines_done(struct lines *l); /* for CLEANUP() */
