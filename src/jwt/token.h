/*
 * token.h - JSON Web Tokens in compact form (RFC 7515, 7519): taken apart, signed, verified. Pure.
 *
 * Order      jwt_parse() looks at nothing but the form; which claims will do is the caller's; jwt_verify() is told which algorithms may be,
 *            and the key's type must be the algorithm's: a header cannot choose (spec/clair-jwt.md 6). "jku", "jwk", "x5u" and "x5c" are never
 *            followed; "crit" is refused.
 * Limits     16 KiB of token, 16 audiences, JSON nested 8 deep. A member that comes twice is refused.
 * Errors     ERR_FORMAT: not a token; `where` of jwt_parse() tells which part, for the old texts.
 */
#pragma once
#include "base/arena.h"
#include "jwt/key.h"

#define JWT_TOKEN_MAX ((size_t)16 << 10)

enum jwt_algorithm {
    JWT_NONE = 0,
    JWT_RS256 = 1,
    JWT_ES256 = 2,
    JWT_PS256 = 4,
    JWT_HS256 = 8
}; /* a set of bits */
bool jwt_algorithm_find(str name, unsigned *ret);

enum jwt_part { JWT_PART_FORM, JWT_PART_HEADER, JWT_PART_CLAIMS };

struct jwt {
    unsigned algorithm; /* JWT_NONE: any other word */
    str kid;            /* ptr NULL: none; else perhaps empty */
    str issuer, jti;    /* ptr NULL: none, or not a string */
    const str *audience;
    size_t audience_count; /* 0: none, or neither a string nor a list of strings */
    bool audience_is_list;
    bool has_expires, has_not_before, has_issued; /* a number */
    double expires, not_before, issued;           /* seconds since 1970 */
    str claims;                                   /* JSON, decoded */
    str signed_text;                              /* "header.claims", as it came */
    str signature;                                /* decoded */
};
/* Views live in the arena, but signed_text is one into `token`. */
int jwt_parse(str token, struct arena *arena, struct jwt *ret, enum jwt_part *where, struct err *e);

/* Is the signature that of this key, by one of these algorithms (never JWT_HS256)? */
bool jwt_verify(const struct jwt *t, const struct jwt_key *k, unsigned algorithms);
/* The same of JWT_HS256, in constant time. */
bool jwt_verify_secret(const struct jwt *t, str secret);

/* Appends header.claims.signature; header {"alg":..,"kid":..,"typ":"JWT"} (no kid when it is empty). `algorithm`: JWT_RS256, JWT_PS256 of an RSA
 * key, JWT_ES256 of a P-256 one; 0: the key's usual one. */
int jwt_sign(const struct jwt_key *k, unsigned algorithm, str kid, str claims, struct buf *out,
             struct err *e);
int jwt_sign_secret(str secret, str kid, str claims, struct buf *out, struct err *e);
