/*
 * forward.h - one request of HTTP/1.1 that was judged goes to an upstream, and its answer back; bodies flow both ways at once.
 *
 * Head       goes on as it came, without what is of one connection; Host and Authorization stay. Upgrade goes on if it is "websocket"
 *            alone (of h2c not all requests would be judged), and after a 101 all that follows as it is. 100 Continue comes from the upstream.
 * Limits     60 s without a byte of the request's body or of the answer's on their way to the client, 20 min until the upstream begins to answer
 *            or goes on; an hour of silence in what was upgraded.
 * Upstream   that does not answer: 500 with Go's text (spec/clair-jwt.md 6). A kept connection that ends without a byte of an answer is replaced by a
 *            new one once, if the request has no body and is GET, HEAD, OPTIONS or TRACE, or if not all of its head could be sent.
 */
#pragma once
#include "proxy/upstream.h"

struct forward {
    struct link *client;
    const struct head *head;
    struct upstream *upstream;
    struct link *link; /* in place of the upstream: used for this request alone, and freed */
    str target;        /* what is asked for there */
    str extra;         /* more headers, each with its line end */
    int halt;
};

/* False: the connection of the client ends. *status: what its client was told, 0 nothing; e: why it was an answer of ours. */
bool forward_run(const struct forward *f, unsigned *status, struct err *e);
