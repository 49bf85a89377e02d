/*
 * http.h - one request over HTTP or HTTPS, its answer pulled in chunks.
 *
 * Shape      http_open() waits for the head of the final response; http_read() gives the body as it lies there
 *            (no Accept-Encoding is sent). Redirects are followed, proxies come from the environment, both as
 *            curl does; with `places` both as Go does (proxy.h), each hop is judged before it is gone (places.h), and
 *            of a proxy's own address nothing is asked. HTTP/1.1: the windows of HTTP/2 would hold megabytes for each transfer that waits.
 * Units      milliseconds, bytes.
 * Ownership  a view of http_read() lives until the next call on that transfer.
 * Limits     256 KiB wait for the reader, then the transfer pauses; 64 KiB of headers over all redirects;
 *            20 redirects, to http and https only.
 * Errors     each begins with "host:port: ". ERR_NETWORK: trying again may help (refused, timed out, broken
 *            off: also a body shorter than its Content-Length). ERR_UNSUPPORTED (no URL, other scheme), ERR_DENIED
 *            (`places`) and ERR_LIMIT: it will not. A status is no error here.
 * Pools      Transfers of one pool use each other's connections and TLS sessions, and may overlap.
 * Threads    http_init() before the first thread; one thread for each pool and its transfers.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>

struct places;

#define HTTP_TEXT  512 /* bytes for a validator with its NUL */
#define HTTP_PLACE 300 /* bytes for "host:port" */

struct http_limits {     /* 0 = the default in brackets */
    unsigned connect_ms; /* name, connection and TLS together [10,000] */
    unsigned idle_ms;    /* without a byte while the reader waits [60,000] */
    unsigned total_ms;   /* from the open to the last byte, over all redirects [any]: ERR_NETWORK */
};

struct http_head {
    unsigned status;
    char etag[HTTP_TEXT]; /* both as sent; empty when absent, too long or not printable */
    char last_modified[HTTP_TEXT];
    char cache_control[HTTP_TEXT]; /* the first of its headers */
    unsigned age_s;                /* Age; 0: not told */
    int64_t length;                /* of this body, -1 = not told */
    uint64_t range_from;           /* Content-Range of a 206 */
    int64_t range_total;           /* -1 = not told */
    unsigned retry_after_s;        /* 0 = not told */
    bool encoded; /* it came with a Content-Encoding: offsets of a range are not those of the body */
};

int http_init(struct err *e); /* once, from main */

struct http_pool;
struct http_pool *http_pool_new(struct err *e);
void http_pool_freep(struct http_pool **p); /* after its transfers; NULL is fine */

/* A body that is made while it is sent. No redirect is followed with it: what was read is gone. */
struct http_upload {
    int (*read)(void *ctx, str *ret,
                struct err *e); /* as of cage_input; its error becomes that of the transfer */
    void *ctx;
    int64_t size; /* bytes; -1: not known, and it is chunked */
};

/* What is not a plain GET of a public place; all zero is one. */
struct http_options {
    const char *method;               /* NULL: GET, with a body POST */
    str body;                         /* sent with its Content-Length; its type is one of the headers */
    const struct http_upload *upload; /* in place of `body`; lives as long as http_open() runs. Method: PUT */
    const char *user_agent;           /* NULL: "eclair/VERSION" */
    const char *unix_socket;          /* path: connect there, whatever the URL's host */
    const char *ca, *cert,
        *key; /* PEM files: authorities in place of the system's; our certificate, for the URL's place only */
    bool insecure;       /* believe any certificate and name */
    const char *ca_more; /* PEM file: authorities beside the system's; NULL: SSL_CERT_FILE, if that is set */
    const struct places *places; /* where each hop may go (GET only); NULL: anywhere */
    bool decode;                 /* ask for none, and undo what Content-Encoding says nevertheless */
    unsigned min_rate; /* bytes a second over idle_ms, while the reader waits; less is ERR_NETWORK; 0: any */
    bool stay_secure;  /* what begins with https follows no redirect to anything else: ERR_UNSUPPORTED */
    unsigned max_redirects; /* 0: 20. Headers given go on to the same host only */
    bool no_redirects;      /* a redirect is the answer: for bodies that only this host may see */
    const atomic_bool *
        stop; /* looked at while the reader waits: nobody needs it any more (ERR_BUSY). NULL: somebody does */
    const char *const
        *shared;       /* more headers, which other hosts behind redirects are told too; ends with NULL */
    const char *proxy; /* URL, in place of the environment's and whatever NO_PROXY says; empty: none */
    const char *servername; /* https: what the certificate must say, and SNI, in place of the URL's host */
};

struct http;
/* `headers`: "Name: value" (ERR_FORMAT with a line end in it), ends with NULL. `options`, `limits` and headers may be NULL. NULL on error. */
struct http *http_open(struct http_pool *pool, const char *url, const char *const headers[],
                       const struct http_options *options, const struct http_limits *limits, struct err *e);
const struct http_head *http_head(const struct http *h);
/* The value of the n-th header of a name in the final answer; false: there is none. Lives as long as the transfer. Any byte may be in it. */
bool http_header(const struct http *h, const char *name, size_t n, str *ret);
int http_read(struct http *h, str *ret, struct err *e); /* 1 a chunk, 0 complete, -1 error */
void http_freep(struct http **h);                       /* for CLEANUP(); NULL is fine */

/* Was it that nobody whom we believe vouches for the server? Another try says the same. */
bool http_distrusted(const struct err *e);

/* "host:port" of a URL, without what may be secret in it: for error texts. */
void http_place(const char *url, char ret[HTTP_PLACE]);
