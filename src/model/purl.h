/*
 * purl.h - the name that other tools know a package by: "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12".
 *
 * Kinds      those of detectors, and the names of ecosystems (model/ecosystem.h); all others are "generic".
 * Escapes    letters, digits and . - _ ~ : stand for themselves, every other byte is %XX: nothing of an image gets through.
 * Versions   of rpm go without their epoch, which is a qualifier (spec/feeds.md 16); those of the others as they are.
 * Ownership  what purl_parse() gives are views of the arena.
 * Errors     ERR_FORMAT: not a purl, and what is missing of it.
 * Source     package-url/purl-spec, types deb, apk, rpm, alpm, pypi, npm, gem, maven, golang, cargo, nuget, composer, hex, pub, oci.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/distribution.h"
#include "model/package.h"

/* Of packages of that kind: "deb" of "dpkg"; "generic" of a kind that has none. */
str purl_type(str kind);
/* The other way round, and what stands between namespace and name in names of ours; the type itself where no kind has it. */
str purl_kind(str type, bool *distribution, const char **between);
bool purl_of_distribution(str kind); /* such packages are those of a distribution, which is their namespace */
void purl_put(struct buf *out, const struct package *p, const struct distribution *d);
/* Of an image: its name without registry, tag and digest; nothing where there is no digest. */
void purl_put_image(struct buf *out, str name, str digest);
/* A word of a URI: with `keep` more bytes that stand for themselves. */
void purl_put_word(struct buf *out, str s, const char *keep);

/* ---- read: "pkg:deb/debian/openssl@3.0.11-1?arch=amd64", percent-encoding resolved ---- */

#define PURL_MAX 4096u /* bytes */

struct purl {
    str type;      /* in small letters: "deb" */
    str namespace; /* "debian"; may be empty */
    str name;
    str version;             /* empty: any; of rpm with the qualifier `epoch` in front, if it is there */
    str arch, distro;        /* qualifiers; empty: not given */
    str upstream, module;    /* "openssl@1.2", "openssl-1.2-3.src.rpm"; "name:stream" of rpm's `rpmmod` */
    str repository_url, tag; /* of oci */
};
bool purl_is(str text); /* does it begin as one? */
int purl_parse(str text, struct arena *arena, struct purl *ret, struct err *e);

/* The package that it names, as detectors would; false: it has no version. Its kind is that of its type's detector, or else the type.
 * A distribution's source package comes from `upstream`. Views of the arena, or of p. */
bool purl_package(const struct purl *p, struct arena *arena, struct package *ret);
/* The os-release ID of what purls call a distribution: "rhel" of "redhat"; else what was given. */
str purl_distribution(str name);
