/*
 * feed.h - the sources of advisories, each split in two: where its documents are (fetch, in the parent), and what
 * they mean (parse, in the cage).
 *
 * Shape      One `struct feed` per source in the const table `feeds`. A parser is a pure function from a stream to
 *            advisories; it sees the bytes decompressed and in pieces, and must not hold more than one record's data
 *            (formats that tell of a thing in several places: as little as they allow).
 * Documents  What a feed says is the union of its documents. Those in the table are asked for in every update; what
 *            a parser reads in one may lead to others (an index, a list of changes), or name the parts of an
 *            archive.
 * Errors     of parse: ERR_FORMAT with "byte N", or with the path of keys, as exactly as it can.
 */
#pragma once
#include "codec/stream.h"
#include "model/advisory.h"
#include "model/package.h"

/* A document that another one leads to. */
struct feed_lead {
    str name; /* under which it is stored and parsed; PACKAGE_TEXT_MAX bytes at most */
    str path; /* below the place of the document that leads there, or an absolute URL, or "@BASE@/..." (design.md 8) */
    /* Not empty: it is read only if this is not what it was when it was last loaded, and nothing is asked. Empty: it is asked for
     * with its validators in each update, also when the document that leads there is unchanged. */
    str fingerprint;
    bool may_lack; /* that it is not there is no error */
};

/* Receives what a document says; views need to live only for the call. All return 0 or -1. */
struct advisory_sink {
    int (*put)(struct advisory_sink *sink, const struct advisory *a, struct err *e);
    /* What is put from here on belongs to the document `name`: a part of an archive that can also come alone. What was read of that name
     * before in the same update stays, and what is put here is left out. */
    int (*document)(struct advisory_sink *sink, str name, struct err *e);
    int (*lead)(struct advisory_sink *sink, const struct feed_lead *lead,
                struct err *e); /* they are read in this order, after this document */
    int (*gone)(struct advisory_sink *sink, str name,
                struct err *e); /* the document is withdrawn, with all it said */
    int (*remember)(struct advisory_sink *sink, str cursor,
                    struct err *e); /* see feed_input.cursor; the last one counts */
};

struct feed_input {
    str document; /* its name: a path of the table, or that of a lead */
    str path;     /* where it lies, below its place; the same for those of the table */
    /* What a parser of this feed remembered last in an update that was committed: how far it has read a list of changes. Empty: the feed is to be
     * loaded as a whole. */
    str cursor;
    struct stream
        *bytes; /* decompressed (gzip, zstd, xz, bzip2); archives inside are the parser's business */
};

struct feed_place {
    const char *folder; /* the first folder in a mirror: "osv" */
    const char *url;    /* its own, without trailing "/"; NULL: only mirrors have it */
};

enum feed_document_flags {
    DOCUMENT_MAY_LACK = 1, /* that it is not there (404) is no error */
    DOCUMENT_ELSE = 2,     /* it is asked for only if the one before it in the table is not there */
};

struct feed_document {
    /* Below the place, also the name under which it is stored: "tracker/data/json". "{year}" stands for each year from first_year to this
     * one. NULL: the end of the table. */
    const char *path;
    unsigned flags;
    const struct feed_place *place; /* NULL: that of the feed */
    unsigned first_year;
};

struct feed {
    const char *name;  /* "debian": stored, and what people call it */
    const char *about; /* for people: "Debian security tracker" */
    const char *
        covers; /* blank-separated: distributions ("rhel centos") or ecosystems of its namespaces; "": metadata of all */
    unsigned megabytes; /* about, over the network, of a first load */
    unsigned rank;      /* see store_update_begin(); 0: STORE_RANK */
    struct feed_place place;
    const struct feed_document *documents;
    /* Of the parser: raise it when the same bytes would now mean something else; then all documents are read again. */
    unsigned version;
    /* 0 when the whole document was well formed and complete. */
    int (*parse)(const struct feed_input *in, struct advisory_sink *sink, struct err *e);
};

extern const struct feed *const feeds[];   /* ends with NULL */
const struct feed *feed_by_name(str name); /* NULL if there is none */

/* One byte more than a name or version may have: what a parser cuts here stays too long, and its reader skips it. */
#define FEED_TEXT_MAX (PACKAGE_TEXT_MAX + 1)
