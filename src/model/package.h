/* package.h - one installed package, as its own tool would print it. */
#pragma once
#include "base/str.h"

#define PACKAGE_TEXT_MAX                                                                                     \
    512 /* bytes of a name or a version (design.md 9, Limits); longer ones are skipped with a note */

#define PACKAGE_TEXTS_MAX                                                                                    \
    2048 /* bytes of all its texts: PostgreSQL has no longer rows in an index than 2,704 */

struct package {
    str kind;           /* the detector's name and version scheme: "dpkg", "apk" */
    str name;           /* binary package */
    str version;        /* with its epoch where it has one */
    str arch;           /* may be empty */
    str source;         /* source (dpkg), origin (apk): the package's own name when it names none */
    str source_version; /* the package's own version when it names none */
    str module;         /* rpm modularity label "name:stream"; empty elsewhere */
};

int package_cmp(const struct package *a,
                const struct package *b); /* by name, version, arch, kind, source, ...: total order */
bool package_same(const struct package *a, const struct package *b); /* same kind, name, version and arch */
/* What Clair 2 called a package: the source of a dpkg one, the package itself elsewhere (spec/detection.md 3). */
void package_feature(const struct package *p, str *name, str *version);
