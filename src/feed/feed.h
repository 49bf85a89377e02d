/*
 * feed.h - the sources of advisories, each split in two: where its documents are (fetch, in the parent), and what
 * they mean (parse, in the cage).
 *
 * Shape      One `struct feed` per source in the const table `feeds`. A parser is a pure function from a stream to
 *            advisories; it sees the bytes decompressed and in pieces, and must not hold more than one package's data.
 * Errors     of parse: ERR_FORMAT with "byte N", or with the path of keys, as exactly as it can.
 */
#pragma once
#include "codec/stream.h"
#include "model/advisory.h"

/* Receives each advisory; its views need to live only for the call. 0 or -1. */
struct advisory_sink {
    int (*put)(struct advisory_sink *sink, const struct advisory *a, struct err *e);
};

struct feed {
    const char *name; /* "debian": stored, and the first folder in a mirror */
    const char *base; /* default base URL, without trailing "/" */
    /* Blank-separated paths below the base, also the names under which they are stored: "tracker/data/json". */
    const char *documents;
    bool may_lack; /* single documents may be missing (404) without that being an error */
    /* Of the parser: raise it when the same bytes would now mean something else; then all documents are read again. */
    unsigned version;
    /* `document` is one of the names above. 0 when the whole document was well formed and complete. */
    int (*parse)(str document, struct stream *in, struct advisory_sink *sink, struct err *e);
};

extern const struct feed feed_alpine, feed_debian;
extern const struct feed *const feeds[];   /* ends with NULL */
const struct feed *feed_by_name(str name); /* NULL if there is none */
