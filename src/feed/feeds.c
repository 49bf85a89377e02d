#include "feed/feed.h"

/* A source is one file and one word here. */
extern const struct feed feed_almalinux;
extern const struct feed feed_alpine;
extern const struct feed feed_crates;
extern const struct feed feed_debian;
extern const struct feed feed_go;
extern const struct feed feed_hex;
extern const struct feed feed_maven;
extern const struct feed feed_npm;
extern const struct feed feed_nuget;
extern const struct feed feed_packagist;
extern const struct feed feed_pub;
extern const struct feed feed_pypi;
extern const struct feed feed_rocky;
extern const struct feed feed_rubygems;
extern const struct feed feed_ubuntu;
extern const struct feed feed_ubuntu_tracker;

/* clang-format off */
const struct feed *const feeds[] = {
    &feed_almalinux,
    &feed_alpine,
    &feed_crates,
    &feed_debian,
    &feed_go,
    &feed_hex,
    &feed_maven,
    &feed_npm,
    &feed_nuget,
    &feed_packagist,
    &feed_pub,
    &feed_pypi,
    &feed_rocky,
    &feed_rubygems,
    &feed_ubuntu,
    &feed_ubuntu_tracker,
    NULL,
};
/* clang-format on */

const struct feed *feed_by_name(str name)
{
    const struct feed *const *f = feeds;
    while (*f && !str_eq(str_from((*f)->name), name))
        f++;
    return *f;
}
