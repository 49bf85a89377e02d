/*
 * secdb.h - the shape that Alpine's secdb has, and those of Wolfi and Chainguard: { packages: [ { pkg: { name, secfixes: {
 * version: [ ids ] } } } ] }. An id under a version is fixed in it; version "0" says that the package was never affected.
 */
#pragma once
#include "feed/feed.h"

struct secdb_source {
    str namespace;
    str key;    /* in front of "PACKAGE/ID" */
    str branch; /* what distroversion must say; empty: anything */
    /* Names of packages are those of sub-packages, too (spec/feeds.md 8): each id has a range for the source of that name and one for the
     * binary. */
    bool binaries;
    str (*link)(str id, char ret[FEED_TEXT_MAX]); /* of an id; empty: none */
};

/* As feed.parse. */
int secdb_parse(struct stream *bytes, const struct secdb_source *source, struct advisory_sink *sink,
                struct err *e);
