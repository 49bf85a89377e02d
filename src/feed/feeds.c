#include "feed/feed.h"

/* A source is one file and one word here. */
#define ALL(one)                                                                                             \
    one(alpine) one(amazon) one(arch) one(chainguard) one(debian) one(epss) one(kev) one(nvd) one(redhat)    \
        one(wolfi)

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
