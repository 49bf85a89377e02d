#include "feed/feed.h"

/* A source is one file and one word here. */
extern const struct feed feed_alpine, feed_amazon, feed_arch, feed_chainguard, feed_debian, feed_epss,
    feed_kev, feed_nvd, feed_wolfi;

const struct feed *const feeds[] = {
    &feed_alpine, &feed_amazon, &feed_arch, &feed_chainguard, &feed_debian,
    &feed_epss,   &feed_kev,    &feed_nvd,  &feed_wolfi,      NULL,
};

const struct feed *feed_by_name(str name)
{
    const struct feed *const *f = feeds;
    while (*f && !str_eq(str_from((*f)->name), name))
        f++;
    return *f;
}
