/* keys_token.c - whose word a write to the registry of keys is: the token, its claims and signature (spec/clair-jwt.md 7). */
#include "api/keys.h"

#include "base/clock.h"

#include <strings.h>

#define SKEW_S 60
#define LIFE_S 3600

static unsigned refuse(unsigned status, const char *why, struct err *e)
{
    err_set(e, status == 403 ? ERR_DENIED : ERR_FORMAT, "%s", why);
    return status;
}

/* ---- audience: scheme and host with its port, in any letter case. Never what the request says of itself: whoever was told a token of a service
 * could send it here ---- */

struct origin {
    str scheme, host, port;
};

static bool same(str a, str b) { return a.len == b.len && !strncasecmp(a.ptr, b.ptr, a.len); }

static void split_host(str text, str scheme, struct origin *ret)
{
    ptrdiff_t colon = str_rfind(text, ':'), bracket = str_rfind(text, ']');
    bool has_port = colon > bracket;
    ret->scheme = scheme;
    ret->host = has_port ? str_head(text, (size_t)colon) : text;
    ret->port = has_port ? str_skip(text, (size_t)colon + 1) : STR("");
    if (!ret->port.len)
        ret->port = same(scheme, STR("https")) ? STR("443") : STR("80");
}

static bool split_url(str url, struct origin *ret)
{
    str rest = url, scheme = str_cut(&rest, ':');
    if (!(same(scheme, STR("https")) || same(scheme, STR("http"))) || !str_starts(rest, STR("//")))
        return false;
    rest = str_skip(rest, 2);
    rest = str_cut(&rest, '/');
    if (str_find(rest, '@') >= 0 || str_find(rest, '?') >= 0 || str_find(rest, '#') >= 0)
        return false;
    split_host(rest, scheme, ret);
    return ret->host.len > 0;
}

static bool is_meant(const struct call *c, str audience)
{
    struct origin is, want;
    return split_url(audience, &is) && split_url(c->options->keys_audience, &want) &&
           same(is.scheme, want.scheme) && same(is.host, want.host) && str_eq(is.port, want.port);
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
