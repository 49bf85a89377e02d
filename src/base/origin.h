/*
 * origin.h - of a URL its scheme, host and port, and whether two of them are the same place. Pure; views into the URL.
 *
 * Form       "SCHEME://[USER@]HOST[:PORT][/...|?...|#...]"; the host of an IPv6 address keeps its brackets (origin_host() takes them off).
 * Source     RFC 3986 3.2, RFC 9110 4.2: a port that is not written, or empty, is the scheme's own: 80 of http, 443 of https.
 */
#pragma once
#include "base/str.h"

#define ORIGIN_HOST_MAX 255

struct origin {
    str scheme, user; /* user: empty, or what stands before the host, with the '@' */
    str authority;    /* HOST[:PORT] as written */
    str host;
    str port; /* as written; else the scheme's own, of another scheme empty */
    str rest; /* from the path on; may be empty */
};

bool origin_of(str url, struct origin *ret); /* false: no such form, or no host */
/* "HOST[:PORT]", as in a Host header or behind "://", where the scheme is known. */
bool origin_of_authority(str authority, str scheme, struct origin *ret);

str origin_host(const struct origin *o); /* without brackets, to be looked up */
/* 1 to 65535; 0: it is none of these. */
uint16_t origin_port(const struct origin *o);
bool origin_same(const struct origin *a,
                 const struct origin *b); /* scheme, host (any letter case) and port */
