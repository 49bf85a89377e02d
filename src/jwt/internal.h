/* internal.h - what the files of jwt/ share: a key as GnuTLS has it. */
#pragma once
#include "base/arena.h"
#include "jwt/key.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>

#define JWT_KEY_TEXT  ((size_t)64 << 10) /* of PEM or JWK */
#define JWT_KID_MAX   1024u
#define JWT_DEPTH     8u
#define JWT_RSA_BYTES 2048u /* of a number, before it is looked at: 8192 bits have 1,024 */

struct jwt_key {
    atomic_uint refs;
    enum jwt_key_type type;
    gnutls_privkey_t secret; /* NULL: a public one */
    gnutls_pubkey_t public;
    str kid; /* ours */
};

static inline gnutls_datum_t jwt_datum(str s)
{
    return (gnutls_datum_t){ (uint8_t *)s.ptr, (unsigned)s.len };
}
static inline void jwt_datum_done(gnutls_datum_t *d) { gnutls_free(d->data); }
/* ERR_OOM where GnuTLS says so, else `kind`: "what (GnuTLS' words)". -1. */
int jwt_fail(enum err_kind kind, const char *what, int code, struct err *e);

/* Both take what they are given, whatever they return. The key is held against the limits, and gets its name. */
struct jwt_key *jwt_key_of_private(gnutls_privkey_t k, str kid, struct err *e);
struct jwt_key *jwt_key_of_public(gnutls_pubkey_t k, str kid, struct err *e);
