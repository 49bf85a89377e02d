/* v1_layer.h - the Layer object of REST v1: read as Go's decoder read it, written field by field (spec/api-v1.md 3). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/server.h"

struct v1_header {
    str key, value;
};

struct v1_layer {
    str name, path, parent, format;
    const struct v1_header *headers; /* sorted by key */
    size_t header_count;
};

/* The body of a POST. Keys in any letter case, unknown ones and what follows the first value are ignored. 0, or -1: e->text is the message
 * for the client. */
int v1_layer_read(const struct request *r, struct v1_layer *ret, struct err *e);
/* {"Layer":{...}} with IndexedByVersion, and a newline. */
void v1_layer_write(const struct v1_layer *l, unsigned engine, struct buf *out);
