/* distribution.h - what an image says it is. */
#pragma once
#include "base/arena.h"

struct distribution {
    str id;        /* os-release ID, lower-case: "debian", "alpine", "rhel"; empty = unknown */
    str version;   /* as far as the namespace needs it: "12", "v3.20", "edge", "unstable"; may be empty */
    str name;      /* for people: "Debian GNU/Linux 12 (bookworm)"; may be empty */
    str namespace; /* "debian:12" (design.md 9, Namespaces); empty when it cannot be told */
};

/* The day after which its own feed may say nothing new: "2026-08-31"; empty when it is not known. */
str distribution_end_of_life(str namespace);

/* What REST v1 calls a namespace: a client of Clair 2 knows RHEL as CentOS ("rhel:9" -> "centos:9"); the others as they are. The
 * store and everything else here has our own name. Lives in the arena, or is the argument; empty without memory. */
str distribution_v1_name(struct arena *a, str namespace);

/* The other way round: what else of ours it may be ("centos:9" -> "rhel:9"); empty: nothing. */
str distribution_of_v1_name(struct arena *a, str shown);

/* By whose data its images are judged, beside what feeds say of the namespace itself: "rhel:9" for "centos:9", but only where no feed speaks of
 * centos:9 (*instead), "wolfi" for "chainguard" always. Empty: by nobody else's. Source: spec/feeds.md 4. */
str distribution_data(struct arena *a, str namespace, bool *instead);
/* The other way round: whose images are judged by it, too. */
str distribution_served(struct arena *a, str namespace, bool *instead);

/* Its packages of modules do not say of which they are, though its advisories do: Oracle's. */
bool distribution_unlabelled(str namespace);

/* Debian's codenames, and "sid" and "unstable": who reads Debian's files and who reads its feed must agree on them. */
struct debian_release {
    const char *codename, *namespace; /* "bookworm", "debian:12" */
};
const struct debian_release *debian_release(str codename); /* NULL: not known */

/* Ubuntu codename ("jammy") -> "22.04"; empty when unknown. */
str ubuntu_version(str codename);
