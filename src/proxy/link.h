/*
 * link.h - one end of a connection as the proxies use it: TCP or a Unix socket, in TLS or not; never waits but in link_wait() and what says so.
 *
 * Waiting    ends with the time, when there is something to do, or when the proxy stops (`halt`).
 * Ownership  a link owns its socket; its bytes that were read and not used stand in `in` from `at`.
 * Threads    one for each link.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#include <gnutls/gnutls.h>

struct credentials;
enum { LINK_AGAIN = -1, LINK_ERROR = -2 };
#define LINK_IN ((size_t)64 << 10) /* bytes that wait in a link */

struct link {
    int fd;
    int halt; /* readable: all waiting ends; -1: never */
    gnutls_session_t tls;
    struct buf in;
    size_t at;
    bool eof;
    struct credentials *hold; /* what its TLS was made with; dropped after it */
};

/* A socket of ours, which is set not to block; halt as above. */
struct link *link_new(int fd, int halt, struct err *e);
void link_freep(struct link **l); /* says goodbye in TLS, if that needs no waiting; NULL is fine */

/* More bytes into `in`: how many, 0 at the end, LINK_AGAIN also when there is no room. */
ptrdiff_t link_read(struct link *l);
ptrdiff_t link_write(struct link *l, str bytes);
static inline str link_bytes(const struct link *l)
{
    return str_of(l->in.ptr ? l->in.ptr + l->at : "", l->in.len - l->at);
}
void link_use(struct link *l, size_t n); /* the first n bytes are done with */

/* 1 something can be done, 0 time is up, -1 the proxy stops. `also`: another one, or NULL. Events as of poll(); a link without
 * any is not looked at, so POLLHUP alone waits for its end. */
int link_wait(struct link *l, short events, struct link *also, short also_events, int64_t end_ms);
int link_write_all(struct link *l, str bytes, int64_t end_ms, struct err *e); /* waits */
/* As server or client, waits. The session is the link's from now on. */
int link_handshake(struct link *l, gnutls_session_t session, int64_t end_ms, struct err *e);
bool link_is_http2(const struct link *l); /* by ALPN */
#define LINK_PEER 64
/* Its other end's address, "192.0.2.7", as X-Forwarded-For names it; "unknown" of a Unix socket. */
void link_peer(const struct link *l, char ret[LINK_PEER]);
/* The last words are out: takes what the other side still sends for a moment, so that it gets to read them. */
void link_linger(struct link *l);
