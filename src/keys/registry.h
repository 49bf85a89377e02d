/*
 * registry.h - one key registry asked: Quay's protocol, without cache and without retries.
 *
 * Threads    any number at once, each with connections of its own.
 * Errors     ERR_NETWORK: no answer. Any status is an answer.
 * Headers    User-Agent is the old client's, KeyRegistryClient/0.1.0.
 * Source     spec/clair-jwt.md 7.
 */
#pragma once
#include "jwt/key.h"
#include "net/http.h"

#define REGISTRY_ASK_MS 10000u
#define REGISTRY_BODY   ((size_t)64 << 10)

struct registry;
struct registry_options {
    const char *url;            /* base: "https://quay.example.com/keys/" */
    const char *const *trusted; /* see source.h */
    bool insecure;
    const atomic_bool *stop; /* NULL: never */
};
struct registry *registry_new(const struct registry_options *o, struct err *e);
void registry_freep(struct registry **r); /* when nobody asks; NULL is fine */

struct registry_answer {
    unsigned status;
    struct http_head head;
    struct buf body; /* at most REGISTRY_BODY */
};
void registry_answer_done(struct registry_answer *a); /* for CLEANUP() */

/* `headers`: NULL, or validators; ends with NULL. */
int registry_get(struct registry *r, str service, str kid, const char *const headers[],
                 struct registry_answer *ret, struct err *e);
/* `k` becomes a key of the service, signed for by `by` (itself: a new one, to be approved). expires 0: never; rotation_s 0: none told. */
int registry_put(struct registry *r, str service, const struct jwt_key *k, const struct jwt_key *by,
                 int64_t expires, int64_t rotation_s, struct registry_answer *ret, struct err *e);
int registry_delete(struct registry *r, str service, str kid, const struct jwt_key *by,
                    struct registry_answer *ret, struct err *e);
