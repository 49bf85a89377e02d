/* keys_token.c - whose word a write to the registry of keys is: the token, its claims and signature (spec/clair-jwt.md 7). */
#include "api/keys.h"

#include "base/clock.h"
#include "base/origin.h"

#define SKEW_S 60
#define LIFE_S 3600

static unsigned refuse(unsigned status, const char *why, struct err *e)
{
    err_set(e, status == 403 ? ERR_DENIED : ERR_FORMAT, "%s", why);
    return status;
}

/* ---- audience: scheme and host with its port, in any letter case. Never what the request says of itself: whoever was told a token of a service
 * could send it here ---- */

static bool is_meant(const struct call *c, str audience)
{
    struct origin is, want;
    bool plain = origin_of(audience, &is) && !is.user.len && (!is.rest.len || is.rest.ptr[0] == '/');
    return plain && origin_of(c->options->keys_audience, &want) && origin_same(&is, &want);
}

static unsigned check_claims(const struct call *c, const struct jwt *t, struct err *e)
{
    double now = (double)clock_now();
    bool meant = false;
    for (size_t i = 0; i < t->audience_count; i++)
        meant |= is_meant(c, t->audience[i]);
    if (!t->issuer.ptr || !str_eq(t->issuer, c->parameters[0]))
        return refuse(400, "\"iss\" of the token is not the service", e);
    if (!meant)
        return refuse(400, "\"aud\" of the token is not this server (keys.audience)", e);
    if (!t->has_expires || t->expires <= now)
        return refuse(400, "\"exp\" of the token is missing, or has passed: is a clock wrong?", e);
    if (!t->has_not_before || t->not_before > now + SKEW_S)
        return refuse(400, "\"nbf\" of the token is missing, or to come: is a clock wrong?", e);
    if (!t->has_issued || t->issued > now + SKEW_S)
        return refuse(400, "\"iat\" of the token is missing, or to come: is a clock wrong?", e);
    return t->expires - t->issued > LIFE_S ? refuse(400, "a token that is good for more than an hour", e) : 0;
}

unsigned keys_token_read(const struct call *c, struct jwt *ret, struct err *e)
{
    str text = request_header(c->request, "Authorization");
    enum jwt_part where;
    if (!str_starts(text, STR("Bearer ")))
        return refuse(400, "`Authorization: Bearer TOKEN` is wanted", e);
    if (jwt_parse(str_skip(text, STR("Bearer ").len), c->request->arena, ret, &where, e) < 0)
        return 400;
    return check_claims(c, ret, e);
}

unsigned keys_token_verify(const struct jwt *t, const struct jwt_key *k, struct err *e)
{
    return jwt_verify(t, k, JWT_RS256 | JWT_ES256)
               ? 0
               : refuse(400, "the token's signature is not that of its key", e);
}
