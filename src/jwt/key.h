/*
 * key.h - RSA and P-256 keys: PEM and JWK in and out, thumbprints, new ones.
 *
 * Shape      Private keys from PEM: PKCS#1 "RSA PRIVATE KEY", "EC PRIVATE KEY", PKCS#8 "PRIVATE KEY"; public ones: "PUBLIC KEY", "RSA PUBLIC
 *            KEY", "CERTIFICATE". JWK: RFC 7517 and 7518 6, public and private; base64url with and without padding is read.
 * Ownership  counted: jwt_key_ref() and jwt_key_freep(). Never changes after it was made; any thread may use it.
 * Limits     64 KiB of text; RSA of 2048 to 8192 bits. A symmetric key ("oct") is refused here, whatever the text.
 * Errors     ERR_FORMAT says what is wrong; no text has a byte of a private key in it.
 * Source     spec/clair-jwt.md 4, 5 and 7.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

enum jwt_key_type { JWT_RSA, JWT_P256 };

struct jwt_key;
/* `kid`: empty for its thumbprint (with padding), and a JWK's own where it has one. */
struct jwt_key *jwt_key_read_private(str pem, str kid, struct err *e);
struct jwt_key *jwt_key_read_public(str pem, str kid, struct err *e);
struct jwt_key *jwt_key_read_jwk(str json, struct err *e);
struct jwt_key *jwt_key_generate(struct err *e); /* RSA, 2048 bits */
struct jwt_key *jwt_key_ref(struct jwt_key *k);
void jwt_key_freep(struct jwt_key **k); /* NULL is fine; private parts are wiped */

enum jwt_key_type jwt_key_type(const struct jwt_key *k);
bool jwt_key_is_private(const struct jwt_key *k);
str jwt_key_kid(const struct jwt_key *k);
/* Appends {"kid","kty","alg","use","e","n"} in that order, as the old client sends it; `private`: all of it. */
int jwt_key_put_jwk(const struct jwt_key *k, bool private, struct buf *out, struct err *e);
/* Appends PKCS#1 PEM ("RSA PRIVATE KEY", which jwtproxy wants) or, `public`, "PUBLIC KEY". */
int jwt_key_put_pem(const struct jwt_key *k, bool public, struct buf *out, struct err *e);
/* base64url of SHA-256 over the JWK's required members (RFC 7638), with padding, as the old client names its keys. */
int jwt_key_thumbprint(const struct jwt_key *k, char ret[45], struct err *e);
