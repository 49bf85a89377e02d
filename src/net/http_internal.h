/*
 * http_internal.h - one transfer, for the files of the HTTP client alone.
 *
 * http.c          pools, the transfer itself, what its head says, and the face
 * http_request.c  what of the options libcurl is told
 * http_hops.c     where it may go: each hop, and each address, judged before it is gone
 */
#pragma once
#include "base/buf.h"
#include "net/http.h"

#include <curl/curl.h>

struct http {
    CURLM *multi; /* of the pool */
    CURL *easy;
    struct curl_slist *headers; /* given ones, then ours */
    struct curl_slist *ours;    /* what any host may see */
    struct curl_slist
        *connect; /* where the first host is, when the URL carries the name of its certificate */
    char *url;    /* the first one */
    const struct places *places; /* NULL: anywhere */
    bool steps;                  /* we follow redirects, not libcurl: with places, or a certificate of ours */
    bool posts;
    char *hop;                 /* with steps: the URL that is asked now */
    bool direct, name_allowed; /* no proxy is between; what places say of its name */
    bool refused;
    bool stay_secure; /* it is asked by https, and must be */
    unsigned max_redirects;
    unsigned min_rate;
    const atomic_bool *stop;
    int64_t waited_ms; /* of this look at the rate, before the pump that runs */
    uint64_t waited_bytes;
    const struct http_upload *upload; /* NULL when there is none, or it has been sent */
    str upload_rest;
    struct err upload_error;
    char text[CURL_ERROR_SIZE];
    unsigned idle_ms;
    struct http_head head;
    size_t head_bytes;
    struct buf body;   /* received, not yet given (or given last) */
    bool given;        /* body is with the reader until the next call */
    bool paused, done; /* done: `result` is known */
    CURLcode result;
    int64_t last_byte; /* clock_ms() */
};

/* Of the transfer's end, or of what ended it before: 0 when all is well. */
int http_fail(const struct http *h, struct err *e);
/* The answer's head, or what went wrong. */
int http_await_head(struct http *h, struct err *e);
/* The text of a 404, which nobody reads: a connection with an answer left in it is of no use to the next transfer. */
void http_drain(struct http *h);

/* Before anything else: a line end in a value would be a header, or a request, of its own. */
int http_check_headers(const char *const headers[], struct err *e);
/* False: out of memory. */
bool http_set_up(struct http *h, const char *const headers[], const struct http_options *o,
                 const struct http_limits *l);

/* For libcurl. */
curl_socket_t http_on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a);
int http_on_request(void *ctx, char *ip, char *local_ip, int port, int local_port);
/* The head of the last hop, if we follow redirects (`steps`), else of the first. */
int http_go(struct http *h, struct err *e);
