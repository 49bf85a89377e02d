/*
 * verifying.h - a verifying proxy: what is signed as it should be goes on to the upstream, all else gets 403 (spec/clair-jwt.md 6).
 *
 * HTTP/2     is spoken to clients as long as the upstream speaks it (gRPC: http:// and unix: with prior knowledge, https:// by ALPN): http2.h. It
 *            is asked once a minute; else TLS clients get HTTP/1.1 by ALPN.
 * Ownership  the options' texts are borrowed.
 */
#pragma once
#include "proxy/listen.h"
#include "proxy/nonces.h"
#include "proxy/upstream.h"

struct verifying_options {
    const char *address;
    unsigned permissions;
    int64_t stop_ms;
    const char *certfile, *keyfile;
    const char *upstream;
    struct verifier rules; /* without callbacks */
    struct keys_source_options keys;
    const char *nonce_database; /* NULL: in memory */
    struct nonces
        *used; /* that memory, where it outlives the proxy, by audience; borrowed. NULL: one of its own */
    struct proxy_log log;
    /* Once for each judged request; `what` as in struct verdict. May be NULL. */
    void (*judged)(void *ctx, const char *what, unsigned status, int64_t judge_ns);
};

struct verifying;
struct verifying *verifying_new(const struct verifying_options *o, struct err *e);
int verifying_start(struct verifying *v, struct err *e);
unsigned verifying_port(const struct verifying *v);
void verifying_freep(struct verifying **v);
