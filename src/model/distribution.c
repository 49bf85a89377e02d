#include "model/distribution.h"

/* Sources: Debian wiki "DebianReleases" (end of LTS), alpinelinux.org/releases, Ubuntu's release cycle page (end of standard
 * support). Later dates may move: a row is right at the time of writing. */
static const struct {
    const char *namespace, *date;
} ends[] = {
    { "alpine:v3.3", "2017-11-01" },  { "alpine:v3.4", "2018-05-01" },  { "alpine:v3.5", "2018-11-01" },
    { "alpine:v3.6", "2019-05-01" },  { "alpine:v3.7", "2019-11-01" },  { "alpine:v3.8", "2020-05-01" },
    { "alpine:v3.9", "2020-11-01" },  { "alpine:v3.10", "2021-05-01" }, { "alpine:v3.11", "2021-11-01" },
    { "alpine:v3.12", "2022-05-01" }, { "alpine:v3.13", "2022-11-01" }, { "alpine:v3.14", "2023-05-01" },
    { "alpine:v3.15", "2023-11-01" }, { "alpine:v3.16", "2024-05-23" }, { "alpine:v3.17", "2024-11-22" },
    { "alpine:v3.18", "2025-05-09" }, { "alpine:v3.19", "2025-11-01" }, { "alpine:v3.20", "2026-04-01" },
    { "alpine:v3.21", "2026-11-01" }, { "alpine:v3.22", "2027-05-01" }, { "alpine:v3.23", "2027-11-01" },
    { "debian:7", "2018-05-31" },     { "debian:8", "2020-06-30" },     { "debian:9", "2022-06-30" },
    { "debian:10", "2024-06-30" },    { "debian:11", "2026-08-31" },    { "debian:12", "2028-06-30" },
    { "debian:13", "2030-06-30" },    { "ubuntu:14.04", "2019-04-25" }, { "ubuntu:16.04", "2021-04-30" },
    { "ubuntu:18.04", "2023-05-31" }, { "ubuntu:20.04", "2025-05-31" }, { "ubuntu:22.04", "2027-04-30" },
    { "ubuntu:24.04", "2029-05-31" },
};

str distribution_end_of_life(str namespace)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_eq(namespace, str_from(ends[i].namespace)))
            return str_from(ends[i].date);
    return STR("");
}

static const struct debian_release releases[] = {
    { "trixie", "debian:13" },         { "bookworm", "debian:12" }, { "bullseye", "debian:11" },
    { "buster", "debian:10" },         { "stretch", "debian:9" },   { "jessie", "debian:8" },
    { "wheezy", "debian:7" },          { "squeeze", "debian:6" },   { "lenny", "debian:5" },
    { "forky", "debian:14" },          { "duke", "debian:15" },     { "sid", "debian:unstable" },
    { "unstable", "debian:unstable" },
};

const struct debian_release *debian_release(str codename)
{
    for (size_t i = 0; i < sizeof releases / sizeof *releases; i++)
        if (str_eq(codename, str_from(releases[i].codename)))
            return &releases[i];
    return NULL;
}
