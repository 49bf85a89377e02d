/*
 * advisory.h - what a feed says about one vulnerability of one package, free of any feed's format.
 *
 * Shape      An advisory is the unit of comparison between two states of a feed: (feed, key) names it, its content is
 *            everything else. One source record may become several advisories with the same `id` (Debian: one for each
 *            source package and CVE). Without ranges it is a statement about its id alone (metadata).
 * Ownership  all strings are views; whoever receives one copies what it keeps.
 */
#pragma once
#include "model/metadata.h"
#include "model/severity.h"

/* Stored: never renumber. */
enum fix_state {
    FIX_AFFECTED = 1, /* no fix is known */
    FIX_FIXED = 2,    /* fixed in fixed_version */
    FIX_WILL_NOT_FIX = 3,
    FIX_END_OF_LIFE = 4,
    FIX_UNDER_INVESTIGATION = 5,
};
const char *fix_state_name(enum fix_state s); /* "affected", "fixed", "will_not_fix", ... */

/* Whose version a range speaks of. Stored: never renumber. */
enum affected_kind {
    AFFECTS_SOURCE = 1, /* source (dpkg), origin (apk) */
    AFFECTS_BINARY = 2,
};

struct affected_range {
    str namespace; /* "debian:12" */
    str scheme;    /* version scheme of the namespace: "dpkg", "apk", "rpm" */
    str package;
    enum affected_kind kind;
    bool negative;     /* "not affected": suppresses this id for this package, whatever other feeds say */
    str introduced;    /* affected from here on; empty = from the beginning */
    str fixed_version; /* affected below it; empty = no upper bound. With negative: both empty = all versions */
    str last_affected; /* instead of it: affected up to and including it, and no fix is known; never with negative */
    str arch;          /* empty = any */
    str module;        /* empty = none */
    str cpe; /* of the repositories it speaks of: "cpe:/o:redhat:enterprise_linux:9::baseos"; empty = any */
    enum severity severity;
    enum fix_state state;
};

/* How a range ends as one text, as it is stored and travels: its fixed version, or "<=" and the last affected one (into `room`; a longer one is
 * cut). */
#define RANGE_END_ROOM 520u
str range_end(const struct affected_range *r, char room[RANGE_END_ROOM]);
void range_end_read(str end, struct affected_range *ret); /* a view */

/* Is it the name of a flaw, as all databases have it? */
static inline bool id_is_cve(str id) { return str_starts(id, STR("CVE-")); }

struct advisory {
    str key; /* unique in its feed, stable over time: "v3.20/main/openssl/CVE-2024-1" */
    /* What its source calls it: "CVE-2024-1"; a vendor's name of a fix ("RHSA-2024:1", "ELSA-2024-1", "GHSA-...") has the flaws it
     * speaks of in meta.aliases. */
    str id;
    str title;            /* may be empty */
    str description;      /* may be empty */
    str link;             /* may be empty */
    struct metadata meta; /* of its id: it counts for what other feeds find under that id, too */
    struct affected_range *ranges;
    size_t range_count;
};
