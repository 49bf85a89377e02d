/*
 * verifier.h - is a request signed by somebody whom we are to believe? A header in, a verdict out.
 *
 * Order      that of spec/clair-jwt.md 6 with its texts, but for: the signature comes before the nonce, so that who cannot sign burns none; the
 *            algorithm is pinned, and a header that names another one has no valid signature; `aud` may be a list, and a port that is the
 *            scheme's own counts as if it were not written.
 * Token      of "Bearer", else the password of Basic, whoever the user is.
 * Pure       but for find_key() and take_nonce(), which may wait.
 */
#pragma once
#include "jwt/token.h"
#include "keys/source.h"

struct verifier_claim {
    str name, value; /* what it must say, as text; numbers and booleans as JSON writes them */
    bool text;       /* it must be a string */
};

enum nonce_result { NONCE_NEW, NONCE_SEEN, NONCE_FAILED };

struct verifier {
    str audience; /* URL: scheme, host and port count */
    int64_t max_skew_s, max_ttl_s;
    unsigned algorithms; /* of enum jwt_algorithm; never JWT_HS256 */
    const struct verifier_claim *claims;
    size_t claim_count;
    enum keys_result (*find_key)(void *ctx, str issuer, str kid, struct jwt_key **ret, struct err *e);
    enum nonce_result (*take_nonce)(void *ctx, str issuer, str nonce, int64_t until, struct err *e);
    void *ctx;
};

struct verdict {
    bool good;
    unsigned status;  /* 403; 503: the nonce could not be checked */
    const char *what; /* few words, for metrics: "aud" */
    char body[256];   /* what the client is told */
    struct err why;   /* more for the log, where there is more */
};

/* `authorization`: the header's value; ptr NULL: there is none. `now`: seconds since 1970. */
void verifier_judge(const struct verifier *v, str authorization, int64_t now, struct verdict *ret);
