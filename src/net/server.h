/*
 * server.h - an HTTP server that knows nothing of any API: a request in, a handler, a response out, whatever the protocol.
 *
 * Shape      The listener's own thread takes connections. Plain HTTP/1.1 is libmicrohttpd's; TLS, HTTP/2 in it and plain HTTP/2
 *            with prior knowledge are told apart by first bytes and ALPN, on a loop of ours. When the head of a request is there, route() says which kind
 *            of work it is; when its body is there too, handle() fills the response, on the loop itself (SERVE_NOW) or on one of
 *            two bounded pools. A slow SERVE_LONG never delays the others.
 * Ownership  A request and all its views live in its arena until handle() has returned and, if it is still there, its client was
 *            answered. A client that vanishes, or whose time is up, does not stop handle(): its response is dropped.
 * Bodies     Kept up to body_max; what follows is read and dropped (body_cut), up to BODY_DROP_MAX, then the connection is closed. All bodies together: 256 times body_max, else 503.
 * Uploads    Of a SERVE_UPLOAD nothing is kept: handle() runs as soon as the head is there, and takes the body by request_read() while it comes;
 *            at most UPLOAD_WAITS of it wait for that, then its client is not read. It must bring receive_rate. Over HTTP/1.1 an answer that is there
 *            before a body of more than BODY_DROP_MAX goes out at once. What still comes is dropped: all of it, or of an answer from 400 on BODY_DROP_MAX. api.timeout counts
 *            from the end of the body.
 * Responses  Date is added. Up to 2048 bytes with Content-Length, else chunked (HTTP/1.0: until the connection closes), both after
 *            gzip (spec/api-v1.md 1); over HTTP/2 always with Content-Length, unless there are trailers. A HEAD gets the headers alone.
 * Streams    A SERVE_STREAM is silent as long as it likes: dead peers are found by TCP. What its client does not take is not added to beyond 64 KiB:
 *            its messages wait, and there are no ticks; after idle_ms without a move it is reset. Messages have 64 KiB, all of one stream 256 KiB,
 *            and there are 1024 streams at once: RESOURCE_EXHAUSTED. server_stop() ends them with UNAVAILABLE, and does not wait for them.
 * Limits     32 KiB of headers (431 beyond); connections, of which one address (of IPv6: one /64) gets seven eighths; time without
 *            a byte; time until a request is complete; an answer must be taken at send_rate. HTTP/2: 128
 *            streams at once, a hundred resets more than answers. A full queue answers 503 with Retry-After.
 * TLS        1.2 and 1.3. The files are looked at when a handshake begins, once a second at most, and read again when they
 *            changed; what does not fit together changes nothing. Plain HTTP gets 400 there.
 * Threads    handle() runs on many at once. All calls below but server_load() belong to the thread that made the server.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define BODY_DROP_MAX ((size_t)8 << 20)
#define UPLOAD_WAITS  ((size_t)128 << 10)

enum service {
    SERVE_NOW,    /* on the loop: must not block, nor compute for long */
    SERVE_READ,   /* short work: look-ups */
    SERVE_LONG,   /* work of seconds to minutes */
    SERVE_UPLOAD, /* as SERVE_LONG, with a body of any size: request_read() */
    SERVE_STREAM, /* HTTP/2 only, of gRPC: message() gets each message as it comes, on the loop; the body is not kept */
};

struct request {
    str method; /* "GET" */
    str path;   /* as sent, undecoded: "/v1/layers/sha256%3Aabc" */
    str query;  /* as sent, without "?" */
    str target; /* both, for logs */
    str body;
    bool body_cut; /* it was longer than body_max */
    char peer[64]; /* "127.0.0.1:51312", "[::1]:51312" */
    bool loopback; /* the peer is this machine */
    bool http2;
    struct arena *arena;
    const void *route; /* what route() wants to remember; NULL before */
    size_t body_max;   /* what route() wants kept of the body; before: that of the options */
    int64_t
        timeout_ms; /* what route() wants: its client gives up then, counted from the head; 0: only that of the options holds */
    str id;           /* what route() wants it to be called in logs; empty before */
    int64_t began_ns; /* CLOCK_MONOTONIC */
};
/* The value of the first header of that name (any letter case); empty, and its ptr NULL, when it is not there. */
str request_header(const struct request *r, const char *name);

/* Of a SERVE_UPLOAD, in handle(): 1 a chunk of the body, which lives until the next call; 0 it is complete; -1 (ERR_NETWORK): its
 * client went away or was too slow, or the server stops. */
int request_read(struct request *r, str *ret, struct err *e);

enum stream_event { STREAM_MESSAGE, STREAM_ENDED, STREAM_TICK };

#define RESPONSE_HEADERS  16
#define RESPONSE_TRAILERS 3
struct response {
    unsigned status; /* 0: 500 */
    struct {
        const char *name;
        str value;
    } headers[RESPONSE_HEADERS];
    size_t header_count;
    struct {
        const char *name;
        str value;
    } trailers
        [RESPONSE_TRAILERS]; /* behind the body. HTTP/1.1: it is chunked then, however small, and "Trailer" announces them */
    size_t trailer_count;
    struct buf body;
    bool gzip; /* compress it, and say so */
};
/* Both views must live as long as the request: constants, or in its arena. More than RESPONSE_HEADERS are dropped. */
void response_header(struct response *r, const char *name, str value);
void response_trailer(struct response *r, const char *name, str value); /* the same */

enum server_notice {
    NOTICE_REFUSED,  /* a handshake failed; of no interest but to who looks for the reason */
    NOTICE_RELOADED, /* certificate, key or CA were read again */
    NOTICE_KEPT,     /* they changed, but the old ones stay: why */
    NOTICE_EXPIRED,  /* the certificate is not valid at this time */
};

struct server_tls { /* paths of PEM files; all NULL: plain text */
    const char *certfile, *keyfile;
    const char
        *cafile; /* NULL: clients need no certificate; else one that it signed, or the handshake fails */
};

struct server_options { /* 0 = the default in brackets */
    const char *
        address; /* "0.0.0.0:6060", "[::1]:6060", "localhost:6060", ":6060" (all addresses, IPv4 and IPv6); port 0: any */
    unsigned read_threads; /* [2 for each core] */
    unsigned long_threads; /* [1 for each core] */
    unsigned queue_max;    /* requests that wait for a pool, each [1024] */
    unsigned connections;  /* at once [4096]; further ones wait to be accepted */
    size_t body_max;       /* [1 MiB] */
    size_t
        answers_max; /* bytes of large answers that clients have not taken yet, together [1 GiB]; then 503 */
    int64_t timeout_ms;    /* from the complete head of a request to its answer [no limit] */
    unsigned idle_ms;      /* without a byte, in whole seconds [60,000] */
    unsigned receive_ms;   /* from the first byte of a request to its last [60,000] */
    unsigned receive_rate; /* bytes a second that a client must bring of an upload, over idle_ms [4 KiB] */
    unsigned send_rate;    /* bytes a second that a client must take of an answer, after idle_ms [16 KiB] */
    struct server_tls tls;
    void (*notice)(enum server_notice what, const char *peer,
                   const char *text); /* for a log; may be NULL. Any thread */
};

struct server_handler {
    void *ctx;
    enum service (*route)(void *ctx, struct request *r); /* body is not there yet; on the loop */
    void (*handle)(void *ctx, struct request *r, struct response *ret);
    /* timeout_ms has passed; on the loop, while handle() may still run: the arena is not to be used */
    void (*timed_out)(void *ctx, const struct request *r, struct response *ret);
    /* Once for each request that was routed: what its client was told (also 503 of a timeout or a full queue; 0: it was gone,
     * or the server closed, before it was told anything). May be NULL. Any thread. */
    void (*answered)(void *ctx, const struct request *r, unsigned status, int64_t elapsed_ns);
    /* Of SERVE_STREAM: `message` (unframed, inflated) has come, or its client sends no more (STREAM_ENDED), or a second has passed (STREAM_TICK),
     * both with an empty one; what goes to its client at once is appended to `out`, framed. False: the stream ends, with what handle()
     * then says in ret (grpc_end()). NULL: there are none. It must neither block nor compute for long. */
    bool (*message)(void *ctx, struct request *r, enum stream_event event, str message, struct buf *out);
};

struct server;
/* Binds and listens, but takes nobody in yet: "listen tcp :6060: bind: address already in use" (ERR_IO). Reads the files of TLS: an
 * error names the file; one of the CA begins with "could not initialize client cert authentication". */
struct server *server_new(const struct server_options *o, const struct server_handler *h, struct err *e);
unsigned server_port(const struct server *s);
int server_start(struct server *s, struct err *e);

struct server_load {
    unsigned connections;
    unsigned requests; /* that are complete, and not answered yet */
    struct {
        unsigned waiting, running;
    } read, work;     /* of SERVE_READ, of SERVE_LONG */
    uint64_t refused; /* requests that found a full queue, since the start */
};
/* Any thread. */
void server_load(struct server *s, struct server_load *ret);

/* Closes the listener at once and waits for running requests (those that have come whole), `wait_ms` at most (-1: as long as it takes), then closes all. */
void server_stop(struct server *s, int64_t wait_ms);
/* After that: waits until nothing runs that a request had begun, at most so long. False: something still does, though its client was
 * answered; server_freep() would wait for it. */
bool server_rest(struct server *s, int64_t wait_ms);
/* Stops it first, and waits for handlers that still run, however long: they use what is the caller's. NULL is fine. */
void server_freep(struct server **s);
