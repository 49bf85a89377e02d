/*
 * ecosystem.h - packages of programming languages: a row an ecosystem, whose name is that of its namespace, of its feed and of the kind of its
 *               packages.
 *
 * Names      are compared as the ecosystem does: what a feed names and what is installed alike go through ecosystem_package().
 * Source     spec/feeds.md 12 (what OSV calls them), spec/matching.md 7; PEP 503; purl-spec (names of which types know no letter case).
 */
#pragma once
#include "base/arena.h"

enum ecosystem_names {
    NAMES_EXACT,
    NAMES_FOLDED, /* any letter case */
    NAMES_PYTHON, /* and runs of "-_." are one "-" (PEP 503) */
};

struct ecosystem {
    const char *name;   /* "pypi" */
    const char *osv;    /* "PyPI" */
    const char *scheme; /* of its versions: "pep440" */
    enum ecosystem_names names;
};

#define ECOSYSTEM_RUST                                                                                       \
    "crates"                                                                                                 \
    ".io" /* what OSV calls it */
#define ECOSYSTEMS 10u
extern const struct ecosystem ecosystems[ECOSYSTEMS];
const struct ecosystem *ecosystem_of(str name); /* NULL: there is none */

/* The name under which a package is found: it is the argument, or lives in the arena. */
str ecosystem_package(const struct ecosystem *e, str name, struct arena *a);
