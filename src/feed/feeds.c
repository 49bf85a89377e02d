#include "feed/feed.h"

/* A source is one file and one word here. */
/* clang-format off */
#define ALL(one) \
    one(almalinux) one(alpine) one(amazon) one(arch) one(azurelinux) one(chainguard) \
    one(crates) one(debian) one(epss) one(go) one(hex) one(kev) \
    one(maven) one(npm) one(nuget) one(nvd) one(oracle) one(packagist) \
    one(photon) one(pub) one(pypi) one(redhat) one(redhat_osv) one(rocky) \
    one(rubygems) one(suse) one(ubuntu) one(ubuntu_tracker) one(wolfi)
/* clang-format on */

#define DECLARE(name) extern const struct feed feed_##name;
#define ROW(name)     &feed_##name,

ALL(DECLARE)

const struct feed *const feeds[] = { ALL(ROW) NULL };

const struct feed *feed_by_name(str name)
{
    const struct feed *const *f = feeds;
    while (*f && !str_eq(str_from((*f)->name), name))
        f++;
    return *f;
}
