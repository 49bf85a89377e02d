/*
 * keys.h - a registry of keys for services, in Quay's protocol: four routes over rows of the store (spec/clair-jwt.md 7).
 *
 * Who may    Anybody reads. Who writes shows a token that a key of that service has signed: itself, and then an operator approves it, or an
 *            approved one, in whose place the new one comes. api.token is not asked for, api.readonly holds.
 * Beyond it  A token is good for an hour at most; clocks may differ by a minute.
 * Limits     names of 256 and 512 bytes; 16 pending keys and 256 in all of a service, 1,024 pending and 16,384 in all: 429.
 */
#pragma once
#include "api/internal.h"
#include "jwt/token.h"

#define KEYS_SERVICE_MAX    256u
#define KEYS_KID_MAX        512u
#define KEYS_PENDING_OF_ONE 16
#define KEYS_OF_ONE         256
#define KEYS_PENDING        1024
#define KEYS_ALL            16384
#define KEYS_MAX_AGE_S      86400  /* that readers may keep one */
#define KEYS_BODY_MAX       65536u /* bytes of a JWK */

void keys_get_all(struct call *c);
void keys_get(struct call *c);
void keys_put(struct call *c);
void keys_delete(struct call *c);

/* Is there a registry, and are service and kid names of it? If not, the answer is there. */
bool keys_served(struct call *c);

/* The token of a request that writes. 0, or the status of the refusal, with `e`. */
unsigned keys_token_read(const struct call *c, struct jwt *ret, struct err *e); /* and its claims */
/* Signed by `k`? The token may be seen again: a key that it put in another's place has ended that one, and anybody could fill the database
 * with nonces of keys that nobody knows. */
unsigned keys_token_verify(const struct jwt *t, const struct jwt_key *k, struct err *e);
