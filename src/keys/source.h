/*
 * source.h - where public keys of issuers come from: a key registry (Quay's protocol), or a file. What verifiers ask.
 *
 * Registry   GET {registry}/services/{issuer}/keys/{kid}; answers are kept as their Cache-Control says (RFC 9111: max-age, no-store, validators), at most
 *            1,024 of them; 404, 409 and 403 are not kept. Several that want the same key at once ask once. Of keys that are not
 *            kept 50 a second are asked for, 100 at once; those that are found do not count. Further ones: KEYS_REFUSED.
 *            A registry that fails while a kept key is out of date by less than `grace` gives that key, and a line in the log.
 * Threads    http_init() first; keys_find() from many threads at once; it may wait for the network (10 s at most).
 * Source     spec/clair-jwt.md 7.
 */
#pragma once
#include "jwt/key.h"

enum keys_result {
    KEYS_FOUND,
    KEYS_NONE /* 404 */,
    KEYS_REFUSED /* 403, 409, 5xx, no answer: e says which */
};

struct keys_source;
struct keys_source_options {
    const char *registry;        /* base URL; else preshared: */
    const char *issuer, *key_id; /* both compared in any letter case (spec/clair-jwt.md 4) */
    const char *public_key_path; /* PEM, read again when it changes */
    const char *const
        *trusted; /* PEM files of authorities beside the system's; ends with NULL; may be NULL */
    bool insecure;
    unsigned grace_s; /* [0] */
};
struct keys_source *keys_source_new(const struct keys_source_options *o, struct err *e);
/* *ret is the caller's reference, on KEYS_FOUND only. */
enum keys_result keys_find(struct keys_source *s, str issuer, str kid, struct jwt_key **ret, struct err *e);
void keys_source_freep(struct keys_source **s);
