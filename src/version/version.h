/*
 * version.h - versions are keys (design.md law 2 and section 4).
 *
 * Shape      One file per scheme. Each has a comparator and an encoder to bytes whose memcmp order (the
 *            shorter first when one is a prefix) is the comparator's order; tests/unit/test_version.c holds
 *            them together. Keys may be compared only within one scheme.
 * Limits     Versions above VERSION_TEXT_MAX bytes and keys above VERSION_KEY_MAX are invalid, and so are
 *            blanks and control characters.
 * Source     design.md 4, spec/matching.md 2-4, 7; deb-version(7); rpm's rpmvercmp; apk-tools 3; vercmp(8) of pacman; what each file
 *            of a language's scheme names.
 *
 * A missing rpm release (and a missing pkgrel of alpm): comparator and key hold "1" older than "1-R" for every R, as rpm's labelCompare()
 * does; a version that equals all of "1-R" would not be an order. But the key of "1" is a proper prefix of
 * the keys of all "1-R", so that a range can read "1" as "any release" from keys alone: a lower bound
 * (introduced in "1") and an upper bound that is excluded (fixed in "1") are the key itself; an upper bound
 * that is included (last affected "1") is the key and ff, where a bound with a release is the key and 00.
 *
 * Malformed apk versions (Alpine's feed has "1.7.5.-r1") are valid: what follows the grammar counts, and the
 * rest is one token, older than the end and equal to every other such rest.
 */
#pragma once
#include "base/str.h"

#define VERSION_TEXT_MAX 512 /* bytes */
#define VERSION_KEY_MAX  1024

struct version_key {
    uint8_t bytes[VERSION_KEY_MAX];
    size_t len;
};

struct version_scheme {
    const char *name; /* "dpkg": stored, never changes */
    bool (*valid)(str v);
    /* Follows the grammar to its end. Valid but not exact (apk: "1.7.5.-r1"): where it stands is a guess, and the last byte of
     * its key stands for all that was not understood. */
    bool (*exact)(str v);
    int (*compare)(str a, str b);                /* -1, 0, 1; both must be valid */
    bool (*key)(str v, struct version_key *ret); /* false, and ret empty: invalid, or its key is too long */
};

extern const struct version_scheme version_dpkg, version_rpm, version_apk, version_alpm;
extern const struct version_scheme version_semver, version_nuget, version_pep440, version_gem, version_maven,
    version_packagist;
extern const struct version_scheme version_rpmvercmp; /* one part of an rpm version alone, perhaps empty */
extern const struct version_scheme *const version_schemes[];   /* ends with NULL */
const struct version_scheme *version_scheme_by_name(str name); /* NULL if there is none */

/* The key of "no fix": above every version of every scheme. The lowest key is the empty one. */
static inline str version_key_max(void) { return STR("\xff"); }
static inline str version_key_view(const struct version_key *k) { return str_of(k->bytes, k->len); }
