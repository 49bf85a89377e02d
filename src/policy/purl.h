/* purl.h - package URLs as VEX documents and ignore lists use them: a pattern that packages are held against. */
#pragma once
#include "model/purl.h"

/* Is it that package of an image of that distribution? What the purl does not say holds for all. With arch "src" or "source" it names a
 * source package. */
bool purl_holds(const struct purl *p, const struct package *package, const struct distribution *d);
/* Are two names of a distribution the same: "redhat" and "rhel"? */
bool distribution_same(str a, str b);
