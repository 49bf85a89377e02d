/*
 * proxies.h - the proxies of a configuration, running: what `eclair serve` and `eclair proxy` share.
 *
 * Ownership  the configuration and the arena are borrowed until proxies_stop().
 */
#pragma once
#include "api/metrics.h"
#include "base/arena.h"
#include "config/jwtproxy.h"
#include "proxy/nonces.h"

struct proxies_options {
    const struct jwtproxy *config; /* NULL: none */
    const char *database;          /* PostgreSQL, for nonces; NULL: in memory */
    struct nonces *used;           /* used tokens in memory, which outlive a restart; borrowed */
    struct metrics *metrics;       /* may be NULL */
    struct arena *arena;
};

struct proxies;
/* NULL on error; without a proxy that is enabled it is an empty one. Opens all ports, or none. */
struct proxies *proxies_start(const struct proxies_options *o, struct err *e);
size_t proxies_count(const struct proxies *p);
/* Is this URL, a proxy for notifications, our own signer? */
bool proxies_is_signer(const struct jwtproxy *config, str url);
/* "Authorization: Bearer TOKEN" and a NUL for a request to `url`; ERR_BUSY without a key. `ctx`: struct proxies. Any thread. */
int proxies_sign(void *ctx, const char *url, struct buf *out, struct err *e);
void proxies_stop(struct proxies **p); /* what runs may go on for its shutdown_timeout */
