/*
 * fernet.h - tokens that only who has the key can make, read and keep for long (github.com/fernet/spec, version 0x80).
 *
 * Shape      0x80, time (8 bytes, big endian), IV (16), AES-128-CBC with PKCS#7, HMAC-SHA256 (32) over all before it; as URL-safe base64
 *            with its padding. Of the 32 bytes of a key the first 16 sign, the last 16 encrypt.
 * Bounds     a token has at most FERNET_MAX bytes.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define FERNET_KEY    32
#define FERNET_MAX    4096u
#define FERNET_SKEW_S 60 /* that a token may come from the future: clocks differ */

/* 64 hex digits, or base64 of either alphabet with its padding. */
bool fernet_key_parse(str text, uint8_t ret[FERNET_KEY]);
int fernet_seal(const uint8_t key[FERNET_KEY], str text, int64_t now, struct buf *out, struct err *e);
/* The text, in the arena. ERR_FORMAT: not made with that key, or older than max_age_s; it does not say which. */
int fernet_open(const uint8_t key[FERNET_KEY], str token, int64_t now, int64_t max_age_s, struct arena *a,
                str *ret, struct err *e);
