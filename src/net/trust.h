/*
 * trust.h - authorities of the site's own, beside the system's, for all TLS that goes out of this process; the system's store is left as it is.
 *
 * Where      every file with a certificate in /certs, /clair/certs, /usr/local/share/ca-certificates and /etc/pki/ca-trust/source/anchors (where
 *            clair-jwt's images had them: spec/clair-jwt.md 1), and what SSL_CERT_FILE names.
 * How        their certificates stand one behind the other in a file without a name, which SSL_CERT_FILE names from then on: whoever opens a
 *            TLS connection reads it (http.c, the proxies). trust_look() puts a new one in its place when anything has changed.
 * Limits     1,000 files, 4 MiB each, 8 MiB in all; two levels of folders. What cannot be read is left out.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct trust;
/* Before the first thread, for it sets the environment. NULL-terminated folders; NULL: those above. */
struct trust *trust_new(const char *const *folders, struct err *e);
size_t trust_count(const struct trust *t); /* certificates that were found */
bool trust_look(struct trust *t);          /* true: there was something new */
void trust_freep(struct trust **t);
