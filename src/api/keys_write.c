/* keys_write.c - PUT and DELETE of the registry of keys. */
#include "api/keys.h"
#include "api/path.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

struct writing {
    struct call *call;
    struct store *store;
    str service, kid;
    struct jwt token;
    bool by_itself;      /* the key that is written has signed for it */
    struct jwt_key *key; /* of the body */
    struct service_key row;
    struct err error;
};

static void writing_done(struct writing *w)
{
    jwt_key_freep(&w->key);
    stores_give(w->call->api->stores, w->store);
}

static unsigned refuse(struct writing *w, unsigned status, const char *why)
{
    err_set(&w->error, ERR_FORMAT, "%s", why);
    return status;
}

/* ---- what is sent ---- */

/* A number of the query; absent: 0. */
static bool query_number(const struct writing *w, str name, int64_t *ret)
{
    uint64_t value = 0;
    str text = STR("0"), query = w->call->request->query;
    bool good = !query_has(query, name) ||
                (query_value(query, name, w->call->request->arena, &text) && str_to_u64(text, &value));
    *ret = (int64_t)value;
    return good && value < INT64_MAX / 2;
}

static unsigned read_key(struct writing *w)
{
    const struct request *r = w->call->request;
    if (r->body_cut || r->body.len > KEYS_BODY_MAX)
        return refuse(w, 400, "the body is too large for a key");
    w->key = jwt_key_read_jwk(r->body, &w->error);
    if (!w->key)
        return 400;
    if (jwt_key_is_private(w->key))
        return refuse(w, 400, "that is a private key, which now is known: make another one");
    char thumbprint[45];
    if (jwt_key_thumbprint(w->key, thumbprint, &w->error) < 0)
        return 500;
    bool named = str_eq(jwt_key_kid(w->key), w->kid) || str_eq(jwt_key_kid(w->key), str_from(thumbprint));
    return named ? 0 : refuse(w, 400, "\"kid\" of the key is another one than that of the path");
}

/* As we write it, under the name of the path: readers get no byte that somebody chose but for the numbers of the key. */
static unsigned make_row(struct writing *w, int64_t now)
{
    CLEANUP(buf_done) struct buf pem = { 0 };
    CLEANUP(buf_done) struct buf jwk = { 0 };
    struct service_key *k = &w->row;
    *k = (struct service_key){ .service = w->service, .kid = w->kid, .created = now };
    if (!query_number(w, STR("expiration"), &k->expires) || (k->expires && k->expires <= now))
        return refuse(w, 400, "expiration: a time to come is wanted, in seconds since 1970");
    if (!query_number(w, STR("rotation"), &k->rotation_s))
        return refuse(w, 400, "rotation: a number of seconds is wanted");
    if (jwt_key_put_pem(w->key, true, &pem, &w->error) < 0)
        return 500;
    CLEANUP(jwt_key_freep) struct jwt_key *named = jwt_key_read_public(buf_view(&pem), w->kid, &w->error);
    if (!named || jwt_key_put_jwk(named, false, &jwk, &w->error) < 0)
        return 500;
    k->jwk = arena_dup(w->call->request->arena, buf_view(&jwk));
    return k->jwk.ptr ? 0 : refuse(w, 500, "out of memory");
}

static unsigned read_token(struct writing *w)
{
    unsigned status = keys_token_read(w->call, &w->token, &w->error);
    w->by_itself = !w->token.kid.len || str_eq(w->token.kid, w->kid);
    return status;
}

/* ---- new keys ---- */

static unsigned check_room(struct writing *w)
{
    struct service_key_counts n;
    if (store_key_count(w->store, w->service, &n, &w->error) < 0)
        return 500;
    if (n.pending_of_service >= KEYS_PENDING_OF_ONE || n.pending >= KEYS_PENDING)
        return refuse(w, 429, "too many keys wait for approval: approve or revoke some");
    return n.keys_of_service >= KEYS_OF_ONE || n.keys >= KEYS_ALL ? refuse(w, 429, "too many keys") : 0;
}

/* The same key again changes nothing; another one of that name is refused. */
static unsigned is_there(struct writing *w)
{
    struct service_key old;
    int found = store_key_find(w->store, w->service, w->kid, w->call->request->arena, &old, &w->error);
    if (found < 0)
        return 500;
    if (!found)
        return 0;
    return str_eq(old.jwk, w->row.jwk) && w->by_itself ? 202 : refuse(w, 403, "another key has that id");
}

static unsigned put_new(struct writing *w)
{
    unsigned status = keys_token_verify(&w->token, w->key, &w->error);
    if (status || (status = is_there(w)) || (status = check_room(w)))
        return status;
    int added = store_key_add(w->store, &w->row, &w->error);
    if (added <= 0)
        return added < 0 ? 500 : refuse(w, 403, "another key has that id");
    log_info("a key waits for approval: eclair keys approve KID", LOG_TEXT("service", w->service),
             LOG_TEXT("kid", w->kid), LOG_TEXT("peer", str_from(w->call->request->peer)));
    return 202;
}

/* ---- in place of another one ---- */

/* The key that the token names; approved, or it is nobody. */
static unsigned find_signer(struct writing *w, struct jwt_key **ret)
{
    struct service_key k;
    int found = store_key_find(w->store, w->service, w->token.kid, w->call->request->arena, &k, &w->error);
    if (found < 0)
        return 500;
    if (!found || !k.approved || (k.expires && k.expires <= clock_now()))
        return refuse(w, 403, "the key that signed the token is unknown, not approved, or has expired");
    *ret = jwt_key_read_jwk(k.jwk, &w->error);
    return *ret ? 0 : 500;
}

static unsigned replace(struct writing *w)
{
    CLEANUP(jwt_key_freep) struct jwt_key *signer = NULL;
    unsigned status = find_signer(w, &signer);
    if (status || (status = keys_token_verify(&w->token, signer, &w->error)) || (status = is_there(w)))
        return status;
    struct service_key_counts n;
    if (store_key_count(w->store, w->service, &n, &w->error) < 0)
        return 500;
    if (n.keys_of_service >= KEYS_OF_ONE || n.keys >= KEYS_ALL)
        return refuse(w, 429, "too many keys: old ones go a week after they expired");
    int done = store_key_replace(w->store, &w->row, w->token.kid, &w->error);
    if (done <= 0)
        return done < 0 ? 500 : refuse(w, 404, "the key that signed the token is not there any more");
    log_info("a key was replaced", LOG_TEXT("service", w->service), LOG_TEXT("kid", w->kid),
             LOG_TEXT("old", w->token.kid));
    return 200;
}

/* ---- the routes ---- */

static unsigned put_key(struct writing *w)
{
    unsigned status = read_key(w);
    if (status || (status = make_row(w, clock_now())) || (status = read_token(w)))
        return status;
    return w->by_itself ? put_new(w) : replace(w);
}

static unsigned delete_key(struct writing *w)
{
    CLEANUP(jwt_key_freep) struct jwt_key *signer = NULL;
    struct service_key k;
    unsigned status = read_token(w);
    if (status)
        return status;
    int found = store_key_find(w->store, w->service, w->kid, w->call->request->arena, &k, &w->error);
    if (found <= 0)
        return found < 0 ? 500 : refuse(w, 404, "there is no such key");
    if (w->by_itself && !(signer = jwt_key_read_jwk(k.jwk, &w->error)))
        return 500;
    if ((!signer && (status = find_signer(w, &signer))) ||
        (status = keys_token_verify(&w->token, signer, &w->error)))
        return status;
    if (store_key_delete(w->store, w->service, w->kid, &w->error) < 0)
        return 500;
    log_info("a key was deleted", LOG_TEXT("service", w->service), LOG_TEXT("kid", w->kid));
    return 204;
}

static void answer(struct writing *w, unsigned status)
{
    if (status >= 500 && w->error.kind != ERR_NONE)
        v1_failure(w->call, &w->error);
    else if (status >= 400)
        v1_error(w->call, status, str_from(w->error.text));
    else
        w->call->response->status = status;
    if (status == 429)
        response_header(w->call->response, "Retry-After", STR("3600"));
    if (status == 403 || status == 429)
        log_warning("a key is refused", LOG_TEXT("service", w->service), LOG_TEXT("kid", w->kid),
                    LOG_TEXT("error", str_from(w->error.text)), LOG_REQUEST(w->call->request));
}

static void run(struct call *c, unsigned (*what)(struct writing *w))
{
    if (!keys_served(c))
        return;
    if (rules_judge(c) == RULE_READONLY) {
        v1_error(c, 403, STR(RULE_READONLY_TEXT));
        return;
    }
    CLEANUP(writing_done)
    struct writing w = { .call = c, .service = c->parameters[0], .kid = c->parameters[1] };
    w.store = stores_take(c->api->stores, &w.error);
    answer(&w, w.store ? what(&w) : 500);
}

void keys_put(struct call *c) { run(c, put_key); }
void keys_delete(struct call *c) { run(c, delete_key); }
