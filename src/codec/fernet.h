/*
 * fernet.h - Fernet tokens: short texts that a client carries and cannot change (spec/api-v1.md 9, github.com/fernet/spec).
 *
 * A token is version 0x80, 8 bytes of time (big-endian seconds), 16 random bytes, AES-128-CBC of the text with PKCS #7, and HMAC-SHA256 of
 * all that, together in URL-safe base64 with padding. Of the 32 bytes of a key the first half signs, the second encrypts.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define FERNET_KEY  32u
#define FERNET_MAX  4096u /* bytes of a token */
#define FERNET_SKEW 60    /* seconds by which the clocks of servers may differ */

/* 64 hex digits, or base64 with padding, standard or URL-safe. */
bool fernet_key_parse(str text, uint8_t ret[FERNET_KEY]);
/* Appends the token of `text`, made at `now`. ERR_LIMIT: the text is too long. */
int fernet_seal(const uint8_t key[FERNET_KEY], str text, int64_t now, struct buf *out, struct err *e);
/* What a token says. ERR_FORMAT "invalid or expired pagination token": damaged, of another key, or older than max_age_s. */
int fernet_open(const uint8_t key[FERNET_KEY], str token, int64_t now, int64_t max_age_s, struct arena *arena,
                str *ret, struct err *e);
