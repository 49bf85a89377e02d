/* sha256.h - SHA-256 (FIPS 180-4) by GnuTLS, and digests as registries write them: "sha256:" and 64 hex digits. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define SHA256_BYTES 32u

struct sha256;
struct sha256 *sha256_new(struct err *e);
void sha256_add(struct sha256 *h, const void *bytes, size_t n);
void sha256_raw(struct sha256 *h, uint8_t ret[32]); /* ends the sum; then only sha256_freep() */
void sha256_hex(struct sha256 *h, char ret[65]);    /* the same, as lower-case digits and a NUL */
void sha256_freep(struct sha256 **h);
int sha256_of(const void *bytes, size_t n, uint8_t ret[32], struct err *e);
/* HMAC-SHA-256 (RFC 2104); the secret may be of any length. */
int hmac_sha256(str secret, str bytes, uint8_t ret[SHA256_BYTES], struct err *e);
void hex_encode(const void *bytes, size_t n, char *ret); /* 2n digits and a NUL */
bool digest_valid(str digest);                           /* "sha256:" + 64 lower-case hex digits */
