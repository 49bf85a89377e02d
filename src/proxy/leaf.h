/*
 * leaf.h - certificates made on the fly for names that clients want to talk to, signed by a CA of ours.
 *
 * Key        one P-256 key for all of them, made at the start. Each is good from a day ago for 30 days, and never longer than the CA.
 * Limits     512 are kept, the oldest goes first.
 * Threads    any.
 */
#pragma once
#include "base/err.h"

#include <gnutls/gnutls.h>

struct leaves;
struct leaves *leaves_new(const char *ca_certfile, const char *ca_keyfile, struct err *e);
/* For the handshake with who asked for `host` (a name or an address); given back by leaf_drop(). */
struct leaf;
struct leaf *leaf_for(struct leaves *l, const char *host, struct err *e);
gnutls_certificate_credentials_t leaf_credentials(const struct leaf *leaf);
void leaf_drop(struct leaf *leaf); /* NULL is fine */
void leaves_freep(struct leaves **l);
