/*
 * purl.h - the name that other tools know a package by: "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12".
 *
 * Kinds      those of detectors, and of version schemes or feeds that name one ecosystem alone; all others are "generic".
 * Escapes    letters, digits and . - _ ~ : stand for themselves, every other byte is %XX: nothing of an image gets through.
 * Versions   of rpm go without their epoch, which is a qualifier (spec/feeds.md 16); those of the others as they are.
 * Source     package-url/purl-spec, types deb, apk, rpm, alpm, pypi, npm, gem, maven, golang, cargo, nuget, composer, hex, pub, oci.
 */
#pragma once
#include "base/buf.h"
#include "model/distribution.h"
#include "model/package.h"

/* Of packages of that kind: "deb" of "dpkg"; "generic" of a kind that has none. */
str purl_type(str kind);
bool purl_of_distribution(str kind); /* such packages are those of a distribution, which is their namespace */
void purl_put(struct buf *out, const struct package *p, const struct distribution *d);
/* Of an image: its name without registry, tag and digest; nothing where there is no digest. */
void purl_put_image(struct buf *out, str name, str digest);
/* A word of a URI: with `keep` more bytes that stand for themselves. */
void purl_put_word(struct buf *out, str s, const char *keep);
