/*
 * distro.h - from what files say to our namespace names (design.md 9, Namespaces; spec/detection.md 2).
 *
 * distribution_from() is shared by the detectors of distribution files: id and version as the file has them (any letter
 * case, quotes already gone), codename where the file has one, pretty name for people.
 */
#pragma once
#include "base/arena.h"
#include "model/distribution.h"

struct distribution distribution_from(struct arena *a, str id, str version, str codename, str pretty);
/* Debian codename or suite ("bookworm", "sid", "unstable") -> "12", "unstable"; empty when unknown. */
str debian_version(str codename);
/* Is it the os-release ID of a distribution that has a namespace here? */
bool distribution_known(str id);
/* The version scheme of a namespace's packages: "debian:12" -> "dpkg", "alpine:v3.20" -> "apk", rpm families -> "rpm"; empty
 * when the distribution is not one we know. */
str distribution_scheme(str namespace);

/* One line NAME=value of os-release(5) or lsb-release: quotes and escapes resolved, the value lives in the arena. False for
 * comments and other lines. */
bool release_assignment(struct arena *a, str line, str *name, str *value);
