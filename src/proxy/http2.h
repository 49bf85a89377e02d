/*
 * http2.h - HTTP/2 of a client to HTTP/2 of the upstream, stream by stream, each judged by itself: for gRPC.
 *
 * Shape      one connection to the upstream for each of the client's; both sessions are nghttp2's, on the thread of the connection, which also waits
 *            for keys. Heads, data, trailers and resets go on as they come.
 * Limits     128 streams at once, 64 KiB of each wait on either side (nothing more is let in); 32 KiB of headers; 1,000 resets and frames without
 *            use beyond what was answered; 2 min without a stream, 20 min in which nothing moves.
 */
#pragma once
#include "proxy/listen.h"
#include "proxy/upstream.h"

struct http2_options {
    struct link *client;
    struct upstream *upstream;
    int halt;
    bool (*judge)(void *ctx, str authorization, unsigned *status, char *body, size_t room);
    const struct listen *is_leaving; /* no further streams then */
    void *ctx;
};

void http2_run(const struct http2_options *o);
