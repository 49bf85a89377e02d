#include "model/distribution.h"

/* The end of what everybody gets: no paid extension counts. Sources: Debian wiki "DebianReleases" (end of LTS),
 * alpinelinux.org/releases, Ubuntu's release cycle page (end of standard support), Red Hat's life cycle page (end of maintenance),
 * CentOS (of 8 and later the Stream, which has the same name here), Oracle's premier support, SUSE's general support, the
 * wikis and notices of the others. Later dates may move: a row is right at the time of writing. What is not sure is not here. */
static const struct {
    const char *namespace, *date;
} ends[] = {
    { "alpine:v3.3", "2017-11-01" },
    { "alpine:v3.4", "2018-05-01" },
    { "alpine:v3.5", "2018-11-01" },
    { "alpine:v3.6", "2019-05-01" },
    { "alpine:v3.7", "2019-11-01" },
    { "alpine:v3.8", "2020-05-01" },
    { "alpine:v3.9", "2020-11-01" },
    { "alpine:v3.10", "2021-05-01" },
    { "alpine:v3.11", "2021-11-01" },
    { "alpine:v3.12", "2022-05-01" },
    { "alpine:v3.13", "2022-11-01" },
    { "alpine:v3.14", "2023-05-01" },
    { "alpine:v3.15", "2023-11-01" },
    { "alpine:v3.16", "2024-05-23" },
    { "alpine:v3.17", "2024-11-22" },
    { "alpine:v3.18", "2025-05-09" },
    { "alpine:v3.19", "2025-11-01" },
    { "alpine:v3.20", "2026-04-01" },
    { "alpine:v3.21", "2026-11-01" },
    { "alpine:v3.22", "2027-05-01" },
    { "alpine:v3.23", "2027-11-01" },
    { "debian:7", "2018-05-31" },
    { "debian:8", "2020-06-30" },
    { "debian:9", "2022-06-30" },
    { "debian:10", "2024-06-30" },
    { "debian:11", "2026-08-31" },
    { "debian:12", "2028-06-30" },
    { "debian:13", "2030-06-30" },
    { "ubuntu:14.04", "2019-04-25" },
    { "ubuntu:16.04", "2021-04-30" },
    { "ubuntu:18.04", "2023-05-31" },
    { "ubuntu:20.04", "2025-05-31" },
    { "ubuntu:22.04", "2027-04-30" },
    { "ubuntu:24.04", "2029-05-31" },
    { "debian:6", "2016-02-29" },
    { "ubuntu:12.04", "2017-04-28" },
    { "ubuntu:17.10", "2018-07-19" },
    { "ubuntu:18.10", "2019-07-18" },
    { "ubuntu:19.04", "2020-01-23" },
    { "ubuntu:19.10", "2020-07-17" },
    { "ubuntu:20.10", "2021-07-22" },
    { "ubuntu:21.04", "2022-01-20" },
    { "ubuntu:21.10", "2022-07-14" },
    { "ubuntu:22.10", "2023-07-20" },
    { "ubuntu:23.04", "2024-01-25" },
    { "ubuntu:23.10", "2024-07-11" },
    { "ubuntu:24.10", "2025-07-10" },
    { "rhel:5", "2017-03-31" },
    { "rhel:6", "2020-11-30" },
    { "rhel:7", "2024-06-30" },
    { "rhel:8", "2029-05-31" },
    { "rhel:9", "2032-05-31" },
    { "rhel:10", "2035-05-31" },
    { "centos:5", "2017-03-31" },
    { "centos:6", "2020-11-30" },
    { "centos:7", "2024-06-30" },
    { "centos:8", "2024-05-31" },
    { "centos:9", "2027-05-31" },
    { "oracle:5", "2017-06-30" },
    { "oracle:6", "2021-03-31" },
    { "oracle:7", "2024-12-31" },
    { "oracle:8", "2029-07-31" },
    { "oracle:9", "2032-06-30" },
    { "oracle:10", "2035-06-30" },
    { "rocky:8", "2029-05-31" },
    { "rocky:9", "2032-05-31" },
    { "rocky:10", "2035-05-31" },
    { "almalinux:9", "2032-05-31" },
    { "almalinux:10", "2035-05-31" },
    { "amzn:2018.03", "2023-12-31" },
    { "amzn:2", "2026-06-30" },
    { "fedora:36", "2023-05-16" },
    { "fedora:37", "2023-12-05" },
    { "fedora:38", "2024-05-21" },
    { "fedora:39", "2024-11-26" },
    { "fedora:40", "2025-05-13" },
    { "sles:11.4", "2019-03-31" },
    { "sles:12.3", "2019-06-30" },
    { "sles:12.4", "2020-06-30" },
    { "sles:12.5", "2024-10-31" },
    { "sles:15", "2019-12-31" },
    { "sles:15.1", "2021-01-31" },
    { "sles:15.2", "2021-12-31" },
    { "sles:15.3", "2022-12-31" },
    { "sles:15.4", "2023-12-31" },
    { "sles:15.5", "2024-12-31" },
    { "sles:15.6", "2025-12-31" },
    { "opensuse.leap:15.3", "2022-12-31" },
    { "opensuse.leap:15.4", "2023-12-07" },
    { "opensuse.leap:15.5", "2024-12-31" },
    { "photon:1", "2022-02-28" },
    { "photon:2", "2022-12-31" },
    { "photon:3", "2024-03-01" },
    { "mariner:2", "2025-07-31" },
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

static const struct {
    const char *codename, *version;
} ubuntu_releases[] = {
    { "noble", "24.04" },    { "jammy", "22.04" },    { "focal", "20.04" },   { "bionic", "18.04" },
    { "xenial", "16.04" },   { "trusty", "14.04" },   { "precise", "12.04" }, { "lucid", "10.04" },
    { "resolute", "26.04" }, { "questing", "25.10" }, { "plucky", "25.04" },  { "oracular", "24.10" },
    { "mantic", "23.10" },   { "lunar", "23.04" },    { "kinetic", "22.10" }, { "impish", "21.10" },
    { "hirsute", "21.04" },  { "groovy", "20.10" },   { "eoan", "19.10" },    { "disco", "19.04" },
    { "cosmic", "18.10" },   { "artful", "17.10" },   { "zesty", "17.04" },   { "yakkety", "16.10" },
    { "wily", "15.10" },     { "vivid", "15.04" },    { "utopic", "14.10" },  { "saucy", "13.10" },
    { "raring", "13.04" },   { "quantal", "12.10" },  { "oneiric", "11.10" }, { "natty", "11.04" },
    { "maverick", "10.10" }, { "karmic", "9.10" },    { "jaunty", "9.04" },   { "intrepid", "8.10" },
    { "hardy", "8.04" },
};

str ubuntu_version(str codename)
{
    for (size_t i = 0; i < sizeof ubuntu_releases / sizeof *ubuntu_releases; i++)
        if (str_eq(codename, str_from(ubuntu_releases[i].codename)))
            return str_from(ubuntu_releases[i].version);
    return (str){ 0 };
}

static const struct {
    str ours;
    const char *theirs;
} v1_names[] = {
    { STR("rhel:"), "centos:" },
};

str distribution_v1_name(struct arena *a, str namespace)
{
    for (size_t i = 0; i < sizeof v1_names / sizeof *v1_names; i++)
        if (str_starts(namespace, v1_names[i].ours))
            return arena_printf(a, "%s" STR_FMT, v1_names[i].theirs,
                                STR_ARG(str_skip(namespace, v1_names[i].ours.len)));
    return namespace;
}

str distribution_of_v1_name(struct arena *a, str shown)
{
    for (size_t i = 0; i < sizeof v1_names / sizeof *v1_names; i++)
        if (str_starts(shown, str_from(v1_names[i].theirs)))
            return arena_printf(a, STR_FMT STR_FMT, STR_ARG(v1_names[i].ours),
                                STR_ARG(str_skip(shown, strlen(v1_names[i].theirs))));
    return STR("");
}

bool distribution_unlabelled(str namespace) { return str_starts(namespace, STR("oracle:")); }

/* One that ends in a colon stands for all that begin so, by version. */
static const struct {
    str of, data;
    bool instead;
} served[] = {
    { STR("centos:"), STR("rhel:"), true }, /* also Stream, whose updates come before RHEL's */
    { STR("chainguard"), STR("wolfi"), false },
};

static bool matches(str namespace, str pattern)
{
    return str_ends(pattern, STR(":")) ? str_starts(namespace, pattern) && namespace.len > pattern.len
                                       : str_eq(namespace, pattern);
}

static str other(struct arena *a, str namespace, str from, str to)
{
    return arena_printf(a, STR_FMT STR_FMT, STR_ARG(to), STR_ARG(str_skip(namespace, from.len)));
}

str distribution_data(struct arena *a, str namespace, bool *instead)
{
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        if (matches(namespace, served[i].of)) {
            *instead = served[i].instead;
            return other(a, namespace, served[i].of, served[i].data);
        }
    return STR("");
}

str distribution_served(struct arena *a, str namespace, bool *instead)
{
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        if (matches(namespace, served[i].data)) {
            *instead = served[i].instead;
            return other(a, namespace, served[i].data, served[i].of);
        }
    return STR("");
}
