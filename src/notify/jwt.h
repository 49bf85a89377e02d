/* jwt.h - signatures of what a webhook is told: JSON Web Tokens (RFC 7515, 7519) and HMAC-SHA-256, by GnuTLS. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct jwt_key {
    str secret;         /* HS256 */
    str pem;            /* else a private key: RSA gives RS256, P-256 ES256 */
    const char *key_id; /* NULL: not told */
};

/* Appends header.claims.signature. ERR_FORMAT: no such key. */
int jwt_make(const struct jwt_key *key, str claims, struct buf *out, struct err *e);
int jwt_check_key(str pem, struct err *e); /* could it be used? */
int hmac_hex(str secret, str bytes, char ret[65], struct err *e);
