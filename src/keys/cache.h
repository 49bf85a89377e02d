/* cache.h - keys as their registry's answers say they may be kept (RFC 9111). Not thread-safe: its owner holds a lock. */
#pragma once
#include "jwt/key.h"
#include "net/http.h"

#define CACHE_KEYS  1024u
#define CACHE_AGE_S 86400 /* nothing is believed for longer */

struct cached {
    uint64_t hash;
    char *name; /* issuer and kid, of name_len bytes */
    size_t name_len;
    struct jwt_key *key;
    char etag[HTTP_TEXT], last_modified[HTTP_TEXT];
    int64_t fresh_ms; /* until then, by clock_ms() */
    bool never_stale; /* must-revalidate, no-cache: not to be used when it is out of date */
    int64_t used_ms;
};
struct cache {
    struct cached *list;
    size_t count;
};

struct cached *cache_find(struct cache *c, str issuer, str kid); /* NULL; lives until the next call */
/* As the head says: kept, or not. */
void cache_put(struct cache *c, str issuer, str kid, struct jwt_key *k, const struct http_head *head);
void cache_refresh(struct cached *k, const struct http_head *head); /* 304 */
void cache_drop(struct cache *c, str issuer, str kid);
void cache_done(struct cache *c);
