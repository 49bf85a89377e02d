/*
 * signer.h - a signing proxy: requests that name a whole URL go there with a fresh token (spec/clair-jwt.md 5).
 *
 * CONNECT    with the key of a CA: what is in the tunnel is TLS with a certificate made on the fly, and its requests are signed as others are.
 *            Without: the connection is dropped, as the old proxy's.
 * Limits     512 certificates are kept; of the upstream's those of forward.h.
 * Ownership  the options' texts are borrowed.
 */
#pragma once
#include "proxy/listen.h"
#include "keys/own.h"

struct signer_rules {
    const char *issuer;
    int64_t expires_s, max_skew_s;
    unsigned nonce_length;
};
/* Appends a token for `audience`; as it is made for each request. ERR_BUSY: no key is active. */
int signer_token(const struct signer_rules *r, struct keys_own *keys, str audience, struct buf *out,
                 struct err *e);
/* Appends "scheme://host[:port]" of a URL, as it is written but for a "user:password@"; nothing: it is none. */
void signer_audience(str url, struct buf *out);

struct signing_options {
    const char *address;
    unsigned permissions;
    int64_t stop_ms;
    const char *ca_certfile, *ca_keyfile; /* both, or NULL */
    const char *const *trusted;           /* in place of the system's; ends with NULL; NULL: the system's */
    bool insecure;
    struct signer_rules rules;
    struct keys_own *keys; /* borrowed */
    struct proxy_log log;
    void (*signed_one)(void *ctx, const char *what, unsigned status); /* once for each request; may be NULL */
};

struct signing;
struct signing *signing_new(const struct signing_options *o, struct err *e);
int signing_start(struct signing *s, struct err *e);
unsigned signing_port(const struct signing *s);
void signing_freep(struct signing **s);
