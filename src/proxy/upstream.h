/*
 * upstream.h - where requests go: a URL, and connections to it that are kept.
 *
 * URL        "http://host[:port][/prefix][?query]", "https://...", "unix:PATH".
 * Kept       64 connections at most, 30 s without use.
 * Errors     as Go words them: "dial tcp 127.0.0.1:6062: connect: connection refused".
 * Threads    any.
 */
#pragma once
#include "proxy/credentials.h"

struct upstream_options {
    const char *url;
    const char *name;           /* for the log */
    const char *const *trusted; /* of https: in place of the system's; ends with NULL; NULL: the system's */
    bool insecure;              /* any certificate is believed */
    struct proxy_log log;
};

struct upstream;
struct upstream *upstream_new(const struct upstream_options *o, struct err *e);
void upstream_freep(struct upstream **u);
/* A connection: one that was kept, if `kept` is not NULL (*kept tells), else a new one. `http2`: ALPN of https says h2 alone. */
struct link *upstream_open(struct upstream *u, int halt, bool http2, bool *kept, struct err *e);
void upstream_keep(struct upstream *u, struct link **l); /* it may be used again; else link_freep() */
/* Does it speak HTTP/2? Asked once a minute at most (when it does not, once in 5 s); a second at most is waited for, by one that asks: the others
 * go by the last answer, if there is one. */
bool upstream_speaks_http2(struct upstream *u, int halt);
/* Its path joined with that of a request, and "its query&the request's", as Go's reverse proxy. `target`: origin-form. */
void upstream_target(const struct upstream *u, str target, struct buf *out);

/* For requests to any place: "http" or "https", host and port of their own; nothing is kept. */
struct link *upstream_dial(const char *host, const char *port, int halt, struct err *e);
struct dial_tls {
    struct credential_store *trust;
    bool insecure, http2;
};
/* TLS on a new connection; *hold is what it was made with, to be dropped after the link. */
int upstream_secure(struct link *l, const char *host, const struct dial_tls *t, struct credentials **hold,
                    struct err *e);
