#include "feed/feed.h"

/* A source is one file and one word here. */
extern const struct feed feed_alpine, feed_amazon, feed_azurelinux, feed_debian, feed_oracle, feed_photon,
    feed_suse;

const struct feed *const feeds[] = { &feed_alpine, &feed_amazon, &feed_azurelinux, &feed_debian,
                                     &feed_oracle, &feed_photon, &feed_suse,       NULL };

const struct feed *feed_by_name(str name)
{
    const struct feed *const *f = feeds;
    while (*f && !str_eq(str_from((*f)->name), name))
        f++;
    return *f;
}
