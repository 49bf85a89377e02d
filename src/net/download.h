/*
 * download.h - one body that is fetched whole, whatever happens to its connections (design.md 9).
 *
 * Opening    a connection that fails (but for its certificate), and 429, 502, 503 and 504, are tried again twice, after half a second and one
 *            and a half, or what Retry-After says (20 s at most).
 * Breaks     a transfer that breaks off goes on up to three times: by Range and If-Range where the answer had a strong ETag, by Range
 *            alone where the URL stands for the same bytes for ever (`immutable`); else from the start, if no more than DOWNLOAD_AGAIN
 *            bytes were given, and what was given must be what comes again.
 *            Neither is done for a server that said nothing for half of idle_ms: it would only be waited for again.
 * Time       `timeout_ms` counts from the first read: a reader may let it wait before.
 * Errors     those of http.h; ERR_NOT_FOUND: another status than 2xx; ERR_LIMIT: too large. No URL is in a text, "host:port" is.
 * Threads    one.
 */
#pragma once
#include "net/http.h"

#define DOWNLOAD_AGAIN ((uint64_t)16 << 20)

struct download_options {
    struct http_options http;
    unsigned idle_ms;   /* as in http_limits; 0: 60,000 */
    uint64_t size_max;  /* bytes, after `decode`; 0: any */
    int64_t timeout_ms; /* 0: none */
    bool immutable;     /* whoever reads checks the bytes by their digest, so that any answer's go together */
    struct http_pool *pool; /* NULL: one of its own */
    /* An answer of 401: what is to be sent in place of `headers`, for one more try; NULL: nothing else. Lives as long as the download. */
    const char *const *(*renew)(void *ctx);
    void *ctx;
    struct http_head *refused; /* set to the head of an answer that was not 2xx; NULL: not wanted */
};

struct download;
/* Until its head, and the first of its bytes, are there. Borrows url, headers and what the options point to. */
struct download *download_open(const char *url, const char *const headers[], const struct download_options *o,
                               struct err *e);
int download_read(struct download *d, str *ret,
                  struct err *e); /* 1 a chunk, which lives until the next call; 0 complete; -1 */
void download_freep(struct download **d);
