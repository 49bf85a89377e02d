/* rules.c - options that change while requests run, and who may change anything. */
#include "api/internal.h"

#include "base/secret.h"

#include <stdlib.h>
#include <strings.h>

struct rules {
    struct api_options options;
    unsigned holders; /* requests, and the api while they are the current ones; under its lock */
};

struct rules *rules_hold(struct api *a)
{
    pthread_mutex_lock(&a->rules_lock);
    struct rules *r = a->rules;
    r->holders++;
    pthread_mutex_unlock(&a->rules_lock);
    return r;
}

void rules_drop(struct api *a, struct rules *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&a->rules_lock);
    bool last = --r->holders == 0;
    pthread_mutex_unlock(&a->rules_lock);
    if (!last)
        return;
    if (r->options.release)
        r->options.release(r->options.owner);
    free(r);
}

const struct api_options *rules_options(const struct rules *r) { return &r->options; }

int api_set_options(struct api *a, const struct api_options *o, struct err *e)
{
    struct rules *new = malloc(sizeof *new);
    if (!new)
        return err_set(e, ERR_OOM, "api");
    *new = (struct rules){ .options = *o, .holders = 1 };
    pthread_mutex_lock(&a->rules_lock);
    struct rules *old = a->rules;
    a->rules = new;
    pthread_mutex_unlock(&a->rules_lock);
    rules_drop(a, old);
    return 0;
}

static bool reads_only(const struct request *r)
{
    return str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
}

/* The scheme's letter case does not matter (RFC 9110, 11.1). */
static bool shows_token(const struct request *r, str token)
{
    str rest = str_trim(request_header(r, "Authorization")), scheme = str_cut(&rest, ' ');
    bool bearer = scheme.len == STR("Bearer").len && !strncasecmp(scheme.ptr, "Bearer", scheme.len);
    return bearer && secret_equal(str_trim(rest), token);
}

enum rule rules_judge(const struct call *c)
{
    const struct api_options *o = c->options;
    if (o->readonly)
        return RULE_READONLY;
    return !o->token.len || shows_token(c->request, o->token) ? RULE_ALLOWED : RULE_TOKEN;
}

bool rules_allow(struct call *c)
{
    enum rule rule = reads_only(c->request) ? RULE_ALLOWED : rules_judge(c);
    if (rule == RULE_READONLY)
        v1_error(c, 403, STR(RULE_READONLY_TEXT));
    if (rule == RULE_TOKEN) {
        v1_error(c, 401, STR(RULE_TOKEN_TEXT));
        response_header(c->response, "WWW-Authenticate", STR("Bearer"));
    }
    return rule == RULE_ALLOWED;
}
