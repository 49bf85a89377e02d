#include "api/keys.h"

#include "base/clock.h"
#include "codec/json.h"

#include <stdio.h>

bool keys_served(struct call *c)
{
    if (!c->options->keys)
        plain_text(c->response, 404, "404 page not found\n");
    else if (c->parameters[0].len > KEYS_SERVICE_MAX || c->parameters[1].len > KEYS_KID_MAX)
        v1_error(c, 400, STR("a service's name or a key id is too long"));
    else
        return true;
    return false;
}

static bool is_expired(const struct service_key *k, int64_t now) { return k->expires && k->expires <= now; }

static int read_all(struct call *c, struct service_key **list, size_t *count, struct err *e)
{
    struct store *s = stores_take(c->api->stores, e);
    int r = s ? store_key_list(s, c->parameters[0], c->request->arena, list, count, e) : -1;
    stores_give(c->api->stores, s);
    return r;
}

/* GET /keys/services/{service}/keys: those that can be used. */
void keys_get_all(struct call *c)
{
    struct service_key *list;
    size_t count;
    struct err e = { 0 };
    int64_t now = clock_now();
    if (!keys_served(c))
        return;
    if (read_all(c, &list, &count, &e) < 0) {
        v1_failure(c, &e);
        return;
    }
    struct json_writer w = { .out = &c->response->body };
    json_w_object(&w);
    json_w_key(&w, "keys");
    json_w_array(&w);
    for (size_t i = 0; i < count; i++)
        if (list[i].approved && !is_expired(&list[i], now))
            json_w_raw(&w, list[i].jwk);
    json_w_array_end(&w);
    json_w_object_end(&w);
    c->response->status = 200;
    response_header(c->response, "Content-Type", STR("application/json"));
}

static void answer_key(struct call *c, const struct service_key *k, int64_t now)
{
    int64_t age = k->expires && k->expires - now < KEYS_MAX_AGE_S ? k->expires - now : KEYS_MAX_AGE_S;
    c->response->status = 200;
    response_header(c->response, "Content-Type", STR("application/json"));
    response_header(c->response, "Cache-Control",
                    arena_printf(c->request->arena, "max-age=%lld", (long long)age));
    buf_str(&c->response->body, k->jwk);
}

/* GET /keys/services/{service}/keys/{kid} */
void keys_get(struct call *c)
{
    struct service_key k;
    struct err e = { 0 };
    int64_t now = clock_now();
    if (!keys_served(c))
        return;
    struct store *s = stores_take(c->api->stores, &e);
    int found = s ? store_key_find(s, c->parameters[0], c->parameters[1], c->request->arena, &k, &e) : -1;
    stores_give(c->api->stores, s);
    if (found < 0)
        v1_failure(c, &e);
    else if (!found)
        v1_error(c, 404, STR("there is no such key"));
    else if (is_expired(&k, now))
        v1_error(c, 403, STR("the key has expired"));
    else if (!k.approved)
        v1_error(c, 409, STR("the key is not approved yet"));
    else
        answer_key(c, &k, now);
}
