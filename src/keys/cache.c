#include "keys/cache.h"

#include "base/clock.h"

#include <stdlib.h>
#include <strings.h>

#define SEED 0x6b657973u /* which names meet tells nobody anything: a registry gave them */

struct control {
    bool no_store, no_cache, must_revalidate;
    uint64_t max_age_s;
};

static bool is_word(str s, const char *word)
{
    return s.len == strlen(word) && !strncasecmp(s.ptr, word, s.len);
}

/* RFC 9111 5.2.2; what is not understood is nothing. */
static struct control read_control(const char *text)
{
    struct control c = { 0 };
    for (str rest = str_from(text); rest.len;) {
        str value = str_trim(str_cut(&rest, ',')), name = str_trim(str_cut(&value, '='));
        value = str_trim(value);
        if (value.len > 1 && str_starts(value, STR("\"")) && str_ends(value, STR("\"")))
            value = str_of(value.ptr + 1, value.len - 2);
        c.no_store |= is_word(name, "no-store");
        c.no_cache |= is_word(name, "no-cache");
        c.must_revalidate |= is_word(name, "must-revalidate");
        if (is_word(name, "max-age") && !str_to_u64(value, &c.max_age_s))
            c.max_age_s = 0;
    }
    return c;
}

void cache_refresh(struct cached *k, const struct http_head *head)
{
    struct control c = read_control(head->cache_control);
    uint64_t age = head->age_s, good = c.max_age_s < CACHE_AGE_S ? c.max_age_s : CACHE_AGE_S;
    good = c.no_cache || age >= good ? 0 : good - age;
    k->fresh_ms = clock_ms() + (int64_t)good * 1000;
    k->never_stale = c.no_cache || c.must_revalidate;
    if (head->etag[0])
        memcpy(k->etag, head->etag, sizeof k->etag);
    if (head->last_modified[0])
        memcpy(k->last_modified, head->last_modified, sizeof k->last_modified);
}

/* `parts` bytes of the name, then a NUL that no issuer of a registry has, then the kid. */
static bool is_named(const struct cached *k, str issuer, str kid)
{
    return k->name_len == issuer.len + 1 + kid.len && str_eq(str_of(k->name, issuer.len), issuer) &&
           !k->name[issuer.len] && str_eq(str_of(k->name + issuer.len + 1, kid.len), kid);
}

static uint64_t hash_of(str issuer, str kid) { return str_hash(kid, str_hash(issuer, SEED)); }

struct cached *cache_find(struct cache *c, str issuer, str kid)
{
    uint64_t hash = hash_of(issuer, kid);
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].hash == hash && is_named(&c->list[i], issuer, kid)) {
            c->list[i].used_ms = clock_ms();
            return &c->list[i];
        }
    return NULL;
}

static void empty(struct cached *k)
{
    free(k->name);
    jwt_key_freep(&k->key);
    *k = (struct cached){ 0 };
}

/* A place for one more: the one that was not asked for the longest goes. NULL: no memory. */
static struct cached *make_room(struct cache *c)
{
    if (!c->list && !(c->list = calloc(CACHE_KEYS, sizeof *c->list)))
        return NULL;
    if (c->count < CACHE_KEYS)
        return &c->list[c->count++];
    struct cached *oldest = c->list;
    for (size_t i = 1; i < c->count; i++)
        if (c->list[i].used_ms < oldest->used_ms)
            oldest = &c->list[i];
    empty(oldest);
    return oldest;
}

void cache_drop(struct cache *c, str issuer, str kid)
{
    struct cached *k = cache_find(c, issuer, kid);
    if (!k)
        return;
    empty(k);
    *k = c->list[--c->count];
    c->list[c->count] = (struct cached){ 0 };
}

void cache_put(struct cache *c, str issuer, str kid, struct jwt_key *key, const struct http_head *head)
{
    size_t len = issuer.len + 1 + kid.len;
    cache_drop(c, issuer, kid);
    char *name = read_control(head->cache_control).no_store ? NULL : malloc(len);
    struct cached *k = name ? make_room(c) : NULL;
    if (!k) {
        free(name); /* it is asked for again */
        return;
    }
    memcpy(name, issuer.ptr, issuer.len);
    name[issuer.len] = '\0';
    memcpy(name + issuer.len + 1, kid.ptr, kid.len);
    *k = (struct cached){ .hash = hash_of(issuer, kid),
                          .name = name,
                          .name_len = len,
                          .key = jwt_key_ref(key),
                          .used_ms = clock_ms() };
    cache_refresh(k, head);
}

void cache_done(struct cache *c)
{
    for (size_t i = 0; i < c->count; i++)
        empty(&c->list[i]);
    free(c->list);
    *c = (struct cache){ 0 };
}
