/*
 * listen.h - a listener of the proxies: takes connections, a thread for each, and the heads of their requests, one at a time.
 *
 * Address    "host:port", ":port" (all, IPv4 and IPv6), "unix:PATH" with permissions; a socket that a dead process left is replaced.
 * TLS        1.2 and 1.3; the files are looked at when a handshake begins, once a second at most, and read again when they changed; what does not
 *            fit together changes nothing.
 * Limits     1,024 connections, seven eighths of them for one address, further ones wait; 10 s for a handshake, 30 s for a head, 2 min
 *            between two requests.
 * Errors     "listen tcp :6060: bind: address already in use".
 */
#pragma once
#include "proxy/head.h"
#include "proxy/link.h"

enum proxy_level { PROXY_ERROR, PROXY_WARNING, PROXY_INFO, PROXY_DEBUG };
/* For a log; any thread. `error` may be NULL. */
struct proxy_log {
    void (*say)(void *ctx, enum proxy_level level, const char *event, const char *proxy, const char *error);
    void *ctx;
};

struct listen_options {
    const char *name; /* for the log */
    const char *address;
    unsigned permissions;
    const char *certfile, *keyfile; /* both, or neither */
    int64_t stop_ms;                /* what runs may go on so long when it is stopped */
    struct proxy_log log;
    /* One request of HTTP/1.1, whose head is there and used; its body follows in the link. False: the connection ends. */
    bool (*serve)(void *ctx, struct link *client, struct head *head);
    bool (*wants_http2)(void *ctx);                /* may HTTP/2 be spoken? May wait. NULL: no */
    void (*http2)(void *ctx, struct link *client); /* all of a connection, from its preface on */
    void *ctx;
};

struct listen;
struct listen *listen_new(const struct listen_options *o, struct err *e);
int listen_start(struct listen *l, struct err *e);
void listen_stop(struct listen *l); /* no more connections; those that rest end, the others have stop_ms */
void listen_freep(struct listen **l);
bool listen_is_leaving(const struct listen *l);
int listen_halt(const struct listen *l);      /* for links of the same connection to elsewhere */
unsigned listen_port(const struct listen *l); /* 0 of a Unix socket */

/* An answer of ours, whole. `keep`: the connection goes on. False: it does not. */
bool proxy_answer(struct link *client, unsigned status, const char *headers, str body, bool keep);
bool proxy_answer_head(struct link *client, const struct head *to, unsigned status, const char *headers,
                       str body);
