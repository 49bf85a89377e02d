/*
 * nonces.h - tokens that were used: each is good once. In memory, or in the store that all instances share.
 *
 * Memory     2,000,000 of them (48 MiB, twice that for the moment in which those that have expired go, when room is needed, and at most once a
 *            second) by SHA-256 cut to 128 bits. Full: NONCE_FAILED, for forgetting one would let it in again.
 * Store      PostgreSQL: one round trip each (store_nonce_take()); 16 handles are kept. Away: NONCE_FAILED.
 * Threads    any.
 */
#pragma once
#include "proxy/verifier.h"

struct nonces;
struct nonces *nonces_new(const char *database, struct err *e); /* NULL: in memory. Borrowed */
enum nonce_result nonces_take(struct nonces *n, str issuer, str nonce, int64_t until, struct err *e);
void nonces_freep(struct nonces **n);
