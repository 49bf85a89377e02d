#include "proxy/verifier.h"

#include "base/cleanup.h"
#include "base/origin.h"
#include "codec/json.h"

#include <gnutls/gnutls.h>
#include <strings.h>

#define ARENA_MAX ((size_t)1 << 20)
#define PREFIX    "jwtproxy: unable to verify request: "

static bool refuse(struct verdict *v, const char *what, const char *text)
{
    v->good = false;
    v->status = 403;
    v->what = what;
    snprintf(v->body, sizeof v->body, PREFIX "%s", text);
    return false;
}

/* ---- the token ---- */

static bool takes_scheme(str *value, const char *scheme)
{
    size_t n = strlen(scheme);
    if (value->len <= n || strncasecmp(value->ptr, scheme, n) != 0 || value->ptr[n] != ' ')
        return false;
    *value = str_trim(str_skip(*value, n));
    return true;
}

/* The password of "user:password" in base64. */
static str password_of(str encoded, struct arena *arena)
{
    const gnutls_datum_t in = { (unsigned char *)encoded.ptr, (unsigned)encoded.len };
    gnutls_datum_t out = { 0 };
    if (encoded.len > JWT_TOKEN_MAX * 2 || gnutls_base64_decode2(&in, &out) < 0)
        return STR("");
    str plain = arena_dup(arena, str_of(out.data, out.size));
    gnutls_free(out.data);
    str_cut(&plain, ':');
    return plain;
}

static str find_token(str authorization, struct arena *arena)
{
    if (takes_scheme(&authorization, "Bearer"))
        return authorization;
    return takes_scheme(&authorization, "Basic") ? password_of(authorization, arena) : STR("");
}

/* ---- audience ---- */

static bool is_meant(const struct verifier *v, const struct jwt *t)
{
    struct origin is, want;
    bool meant = false;
    for (size_t i = 0; i < t->audience_count; i++)
        meant |= origin_of(t->audience[i], &is) && origin_of(v->audience, &want) && origin_same(&is, &want);
    return meant;
}

/* ---- claims that the configuration wants ---- */

static bool same_number(str a, str b)
{
    char x[64], y[64], *end;
    if (!a.len || !b.len || a.len >= sizeof x || b.len >= sizeof y)
        return false;
    snprintf(x, sizeof x, STR_FMT, STR_ARG(a));
    snprintf(y, sizeof y, STR_FMT, STR_ARG(b));
    double m = strtod(x, &end);
    return !*end && m == strtod(y, &end) && !*end;
}

static bool says(const struct verifier_claim *c, enum json_type type, str text)
{
    switch (type) {
    case JSON_STRING:
        return c->text && str_eq(text, c->value);
    case JSON_NUMBER:
        return !c->text && same_number(text, c->value);
    case JSON_TRUE:
        return !c->text && str_eq(c->value, STR("true"));
    case JSON_FALSE:
        return !c->text && str_eq(c->value, STR("false"));
    default:
        return false;
    }
}

enum found { ABSENT, OTHER, SAME };

static int look_for(const struct verifier_claim *c, str claims, enum found *ret, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(claims, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, &(struct json_limits){ .max_depth = 8 }, e) : NULL;
    enum json_type type;
    str key, text;
    int r;
    *ret = ABSENT;
    if (!j || json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((r = json_key(j, &key, e)) > 0) {
        bool wanted = str_eq(key, c->name);
        if (json_next(j, &type, &text, e) < 0)
            return -1;
        if (wanted)
            *ret = says(c, type, text) ? SAME : OTHER;
        if (json_skip_rest(j, type, e) < 0)
            return -1;
    }
    return r;
}

static bool has_claims(const struct verifier *v, const struct jwt *t, struct verdict *ret)
{
    for (size_t i = 0; i < v->claim_count; i++) {
        const struct verifier_claim *c = &v->claims[i];
        enum found found;
        struct err e = { 0 };
        if (look_for(c, t->claims, &found, &e) < 0)
            found = ABSENT;
        if (found == SAME)
            continue;
        refuse(ret, "claims", "");
        snprintf(ret->body, sizeof ret->body, "Error verifying claims: %s: " STR_FMT,
                 found == ABSENT ? "Required claim not found" : "Claim did not have the required value",
                 STR_ARG(str_head(c->name, 100)));
        return false;
    }
    return true;
}

/* ---- all checks, in their order ---- */

static bool is_form(const struct verifier *v, str authorization, struct arena *arena, struct jwt *t,
                    struct verdict *ret)
{
    enum jwt_part where = JWT_PART_FORM;
    str token = find_token(authorization, arena);
    if (!token.len)
        return refuse(ret, "token", "Could not parse JWT");
    if (jwt_parse(token, arena, t, &where, &ret->why) < 0)
        return refuse(ret, "token",
                      where == JWT_PART_CLAIMS ? "Could not parse JWT claims" : "Could not parse JWT");
    if (!t->kid.ptr)
        return refuse(ret, "kid", "Missing 'kid' claim");
    if (!t->issuer.ptr)
        return refuse(ret, "iss", "Missing or invalid 'iss' claim");
    return is_meant(v, t) || refuse(ret, "aud", "Missing or invalid 'aud' claim");
}

static bool is_in_time(const struct verifier *v, const struct jwt *t, double now, struct verdict *ret)
{
    if (!t->has_expires || !(t->expires >= now))
        return refuse(ret, "exp", "Missing or invalid 'exp' claim");
    if (!t->has_not_before || !(t->not_before <= now))
        return refuse(ret, "nbf", "Missing or invalid 'nbf' claim");
    if (!t->has_issued || !(t->issued - (double)v->max_skew_s <= now))
        return refuse(ret, "iat", "Missing or invalid 'iat' claim");
    if (!(t->expires - t->issued <= (double)v->max_ttl_s))
        return refuse(ret, "ttl", "Invalid 'exp' claim (too long)");
    return t->jti.len || refuse(ret, "jti", "Missing or invalid 'jti' claim");
}

static bool is_signed(const struct verifier *v, const struct jwt *t, struct verdict *ret)
{
    CLEANUP(jwt_key_freep) struct jwt_key *key = NULL;
    if (!(t->algorithm & v->algorithms &
          ~(unsigned)JWT_HS256)) /* no key could make it good: none is asked for */
        return refuse(ret, "signature", "Invalid JWT signature");
    switch (v->find_key(v->ctx, t->issuer, t->kid, &key, &ret->why)) {
    case KEYS_FOUND:
        break;
    case KEYS_NONE:
        return refuse(ret, "key", "Could not find any matching public key");
    case KEYS_REFUSED:
        return refuse(ret, "key-server", "Unexpected key server error");
    }
    return jwt_verify(t, key, v->algorithms & ~(unsigned)JWT_HS256) ||
           refuse(ret, "signature", "Invalid JWT signature");
}

static bool is_fresh(const struct verifier *v, const struct jwt *t, struct verdict *ret)
{
    switch (v->take_nonce(v->ctx, t->issuer, t->jti, t->expires < 9e15 ? (int64_t)t->expires + 1 : INT64_MAX,
                          &ret->why)) {
    case NONCE_NEW:
        return true;
    case NONCE_SEEN:
        return refuse(ret, "jti", "Missing or invalid 'jti' claim");
    case NONCE_FAILED:
        break;
    }
    refuse(ret, "nonce-store", "nonces cannot be checked now");
    ret->status = 503;
    return false;
}

void verifier_judge(const struct verifier *v, str authorization, int64_t now, struct verdict *ret)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(ARENA_MAX);
    struct jwt t;
    *ret = (struct verdict){ .what = "good" };
    if (!arena) {
        refuse(ret, "memory", "out of memory");
        ret->status = 503;
        return;
    }
    ret->good = is_form(v, authorization, arena, &t, ret) && is_in_time(v, &t, (double)now, ret) &&
                is_signed(v, &t, ret) && is_fresh(v, &t, ret) && has_claims(v, &t, ret);
}
