/* Tokens and objects taken apart. */
#include "base/cleanup.h"
#include "base/strmap.h"
#include "codec/json.h"
#include "jwt/base64.h"
#include "jwt/internal.h"
#include "jwt/members.h"
#include "jwt/token.h"

#include <math.h>

#define ARENA    ((size_t)1 << 20)
#define AUDIENCE 16u
#define NUMBER   64u /* bytes of one that we read */

static int read_members(struct json *j, struct arena *a, struct strmap *seen, jwt_member *read, void *ctx,
                        struct err *e)
{
    str key;
    int r;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((r = json_key(j, &key, e)) > 0) {
        str name = arena_dup(a, key);
        void **at = name.ptr ? strmap_at(seen, name) : NULL;
        if (!at)
            return err_set(e, ERR_OOM, "out of memory");
        if (*at)
            return err_set(e, ERR_FORMAT, "json: \"" STR_FMT "\" comes twice", STR_ARG(str_head(name, 64)));
        *at = at;
        if (read(ctx, name, j, e) < 0)
            return -1;
    }
    return r < 0 ? -1 : json_finish(j, e);
}

int jwt_members(str json, struct arena *a, jwt_member *read, void *ctx, struct err *e)
{
    const struct json_limits limits = { .max_depth = JWT_DEPTH, .max_text = JWT_KEY_TEXT };
    CLEANUP(strmap_done) struct strmap seen = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(json, e);
    if (!in)
        return -1;
    CLEANUP(json_freep) struct json *j = json_new(in, &limits, e);
    return j ? read_members(j, a, &seen, read, ctx, e) : -1;
}

struct reader {
    struct jwt *t;
    struct arena *arena;
};

static const struct {
    const char *name;
    unsigned bit;
} algorithms[] = {
    { "RS256", JWT_RS256 }, { "ES256", JWT_ES256 }, { "PS256", JWT_PS256 }, { "HS256", JWT_HS256 }
};

bool jwt_algorithm_find(str name, unsigned *ret)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (str_eq(name, str_from(algorithms[i].name))) {
            *ret = algorithms[i].bit;
            return true;
        }
    return false;
}

/* A string, or {NULL, 0} where it is anything else: which is wrong says who wants it. */
static int text_of(const struct reader *r, struct json *j, str *ret, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type != JSON_STRING)
        return json_skip_rest(j, type, e);
    *ret = arena_dup(r->arena, text);
    return ret->ptr ? 0 : err_set(e, ERR_OOM, "out of memory");
}

static int read_header(void *ctx, str name, struct json *j, struct err *e)
{
    const struct reader *r = ctx;
    str text = { 0 };
    if (str_eq(name, STR("kid")))
        return text_of(r, j, &r->t->kid, e);
    if (str_eq(name, STR("crit")))
        return err_set(e, ERR_FORMAT, "\"crit\": extensions that must be understood are not");
    if (!str_eq(name, STR("alg")))
        return json_skip(j, e);
    if (text_of(r, j, &text, e) < 0)
        return -1;
    if (!text.ptr)
        return err_set(e, ERR_FORMAT, "\"alg\" is no string");
    jwt_algorithm_find(text, &r->t->algorithm);
    r->t->signed_text = text; /* there was one; what it is to be comes later */
    return 0;
}

static int number_of(struct json *j, bool *has, double *ret, struct err *e)
{
    enum json_type type;
    str text;
    char copy[NUMBER];
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type != JSON_NUMBER)
        return json_skip_rest(j, type, e);
    if (text.len >= sizeof copy)
        return 0;
    snprintf(copy, sizeof copy, STR_FMT, STR_ARG(text));
    double value = strtod(copy, NULL);
    *has = isfinite(value);
    *ret = *has ? value : 0;
    return 0;
}

static int audience_list(const struct reader *r, struct json *j, str *list, struct err *e)
{
    size_t count = 0;
    enum json_type type;
    str text;
    int more;
    bool all = true;
    while ((more = json_element(j, &type, &text, e)) > 0) {
        if (count == AUDIENCE)
            return err_set(e, ERR_FORMAT, "\"aud\" names more than %u", AUDIENCE);
        if (type == JSON_STRING)
            list[count] = arena_dup(r->arena, text);
        else if (json_skip_rest(j, type, e) < 0)
            return -1;
        all = all && type == JSON_STRING;
        count++;
    }
    r->t->audience_count = all ? count : 0;
    return more;
}

static int read_audience(const struct reader *r, struct json *j, struct err *e)
{
    enum json_type type;
    str text, *list = arena_array(r->arena, str, AUDIENCE);
    if (!list)
        return err_set(e, ERR_OOM, "out of memory");
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    r->t->audience = list;
    r->t->audience_is_list = type == JSON_ARRAY;
    if (type == JSON_ARRAY)
        return audience_list(r, j, list, e);
    if (type != JSON_STRING)
        return json_skip_rest(j, type, e);
    list[0] = arena_dup(r->arena, text);
    r->t->audience_count = 1;
    return 0;
}

static int read_claim(void *ctx, str name, struct json *j, struct err *e)
{
    const struct reader *r = ctx;
    struct jwt *t = r->t;
    if (str_eq(name, STR("iss")))
        return text_of(r, j, &t->issuer, e);
    if (str_eq(name, STR("jti")))
        return text_of(r, j, &t->jti, e);
    if (str_eq(name, STR("aud")))
        return read_audience(r, j, e);
    if (str_eq(name, STR("exp")))
        return number_of(j, &t->has_expires, &t->expires, e);
    if (str_eq(name, STR("nbf")))
        return number_of(j, &t->has_not_before, &t->not_before, e);
    if (str_eq(name, STR("iat")))
        return number_of(j, &t->has_issued, &t->issued, e);
    return json_skip(j, e);
}

static int parse_part(const struct reader *r, str part, const char *what, jwt_member *read, str *ret,
                      struct err *e)
{
    if (!base64url_read(part, false, r->arena, ret))
        return err_set(e, ERR_FORMAT, "the %s is no base64url", what);
    if (jwt_members(*ret, r->arena, read, (void *)r, e) == 0)
        return 0;
    if (e->kind != ERR_OOM)
        e->kind = ERR_FORMAT;
    return err_wrap(e, "%s", what);
}

/* Three parts, none of them empty. The signature is not looked at: an empty one is wrong, as any other. */
static int split(str token, str part[3], struct err *e)
{
    size_t dots = 0;
    if (token.len > JWT_TOKEN_MAX)
        return err_set(e, ERR_FORMAT, "a token of more than %zu KiB", JWT_TOKEN_MAX >> 10);
    for (size_t i = 0; i < token.len; i++)
        dots += token.ptr[i] == '.';
    if (dots != 2)
        return err_set(e, ERR_FORMAT, "a token has three parts");
    part[2] = token;
    part[0] = str_cut(&part[2], '.');
    part[1] = str_cut(&part[2], '.');
    return 0;
}

int jwt_parse(str token, struct arena *arena, struct jwt *ret, enum jwt_part *where, struct err *e)
{
    struct jwt t = { 0 };
    const struct reader r = { &t, arena };
    str part[3], header;
    *where = JWT_PART_FORM;
    if (split(token, part, e) < 0)
        return -1;
    if (!base64url_read(part[2], false, arena, &t.signature))
        return err_set(e, ERR_FORMAT, "the signature is no base64url");
    *where = JWT_PART_HEADER;
    if (parse_part(&r, part[0], "header", read_header, &header, e) < 0)
        return -1;
    if (!t.signed_text.ptr)
        return err_set(e, ERR_FORMAT, "header: no \"alg\"");
    *where = JWT_PART_CLAIMS;
    if (parse_part(&r, part[1], "claims", read_claim, &t.claims, e) < 0)
        return -1;
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "out of memory");
    t.signed_text = str_head(token, part[0].len + 1 + part[1].len);
    *ret = t;
    return 0;
}
