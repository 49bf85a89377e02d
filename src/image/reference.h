/*
 * reference.h - the name of an image in a registry, as people write it: "debian:12", "quay.io/org/app@sha256:...", "[::1]:5000/app".
 *
 * Rules      [HOST[:PORT]/]PATH[:TAG][@DIGEST]. What stands before the first "/" is a host when it has a dot, a colon or a capital, or is
 *            "localhost"; else the host is docker.io, where a path of one part lies below "library/". "index.docker.io" is docker.io. Without a
 *            tag and a digest the tag is "latest"; with a digest the tag says nothing.
 * Ownership  the parts live in the arena.
 * Errors     ERR_USAGE (it is no such name; the text says which part), ERR_UNSUPPORTED (a digest other than sha256), ERR_OOM.
 * Source     github.com/distribution/reference: the grammar of its package comment, and ParseNormalizedNamed.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define REFERENCE_NAME_MAX 255 /* bytes of host and path together */

struct reference {
    str host;   /* with its port: "docker.io", "localhost:5000" */
    str path;   /* "library/debian" */
    str tag;    /* empty where there is a digest alone */
    str digest; /* "sha256:<hex>", or empty */
};

int reference_parse(str text, struct arena *arena, struct reference *ret, struct err *e);

/* Is it this machine, whatever the port: localhost, 127.0.0.0/8, ::1? */
bool reference_is_local(str host);
