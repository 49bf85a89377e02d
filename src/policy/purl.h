/*
 * purl.h - package URLs, as VEX documents and ignore lists name packages: "pkg:deb/debian/openssl@3.0.11-1?arch=amd64".
 *
 * Ownership  views of the arena.
 * Errors     ERR_FORMAT: not a purl, and what is missing of it.
 * Source     the purl specification (package-url/purl-spec): type, namespace and name, percent-encoding, qualifiers.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/layer.h"

#define PURL_MAX 4096u /* bytes */

struct purl {
    str type;      /* in small letters: "deb" */
    str namespace; /* "debian"; may be empty */
    str name;
    str version;             /* empty: any; of rpm with the qualifier `epoch` in front, if it is there */
    str arch, distro;        /* qualifiers; empty: not given */
    str repository_url, tag; /* of oci */
};
bool purl_is(str text); /* does it begin as one? */
int purl_parse(str text, struct arena *arena, struct purl *ret, struct err *e);

/* Is it that package of an image of that distribution? What the purl does not say holds for all. With arch "src" or "source" it names a
 * source package. */
bool purl_holds(const struct purl *p, const struct package *package, const struct distribution *d);
/* Are two names of a distribution the same: "redhat" and "rhel"? */
bool distribution_same(str a, str b);
