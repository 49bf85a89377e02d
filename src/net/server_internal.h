/*
 * server_internal.h - what the parts of the server share.
 *
 * server.c            the server's life: start, stop, the acceptor's thread and its sweeps
 * server_listen.c     an address becomes listening sockets
 * server_conn.c       whom a connection comes from, how many there are, and what protocol it opens with
 * server_http1.c      HTTP/1.1 by libmicrohttpd, on one thread of its own
 * server_loop.c       all other connections, on one more thread: first bytes, TLS, time limits
 * server_tls.c        the certificate and its changes, handshakes, records, by GnuTLS
 * server_pump.c       HTTP/1.1 in TLS: bytes between TLS and libmicrohttpd
 * server_http2.c      HTTP/2 by nghttp2
 * server_live.c       streams of HTTP/2 whose messages are handed on as they come
 * server_upload.c     bodies that are read while they come
 * server_exchange.c   one request and its answer, whatever the protocol
 * server_pool.c       bounded threads for what may block
 *
 * Locks: server.lock before pool.lock; nothing is called with either held, except wakes, MHD_suspend_connection() and
 * MHD_resume_connection(), so that whoever decides an exchange's fate also resumes it, and nobody twice.
 */
#pragma once
#include "net/server.h"

#include <netinet/in.h>
#include <pthread.h>

#define LISTENERS_MAX 4
#define BODIES_MAX                                                                                           \
    256 /* times body_max is what all bodies together may hold; further requests are told to come again */
#ifdef ECLAIR_SANITIZED
#define THREAD_STACK ((size_t)4 << 20)
#else
#define THREAD_STACK ((size_t)512 << 10) /* libpq, SQLite and libcurl run on it */
#endif

struct MHD_Connection;
struct MHD_Daemon;
struct gnutls_session_int;
struct nghttp2_session;
struct conn;
struct stream;
struct tls;
struct tls_keys;

/* ---- an exchange ---- */

enum fate {               /* guarded by server.lock */
            FATE_OPEN,    /* its request is being received, or its answer sent: the loop has it */
            FATE_WAITING, /* for a thread; its connection is suspended */
            FATE_DONE,    /* handle() is back; the loop will answer */
            FATE_LATE,    /* timeout_ms is over first; the loop will answer */
            FATE_CLOSED,  /* the server closes; nobody answers */
};

struct exchange {
    struct request r; /* first: request_header() finds the rest by it */
    struct response response;
    struct buf body;
    size_t dropped; /* bytes of the body beyond body_max */
    size_t held;    /* of server.answer_bytes */
    struct server *s;
    struct header {
        str name, value;
    } * headers; /* one piece of memory with their bytes */
    size_t header_count;
    unsigned refs; /* atomic: its connection's, its job's */
    enum fate fate;
    enum service service;
    struct upload *upload; /* of SERVE_UPLOAD, while somebody may read it */
    bool ran;              /* handle() of an upload is back; under server.lock */
    bool listed;           /* in the loop's row of those that are done; under server.lock */
    int64_t late_ms;       /* clock_ms() when its time is up */
    bool routed, answered;
    bool active;                       /* counted in server.active; under its lock */
    bool starved;                      /* there was no room for its body */
    struct exchange *next;             /* in a pool's queue, then in the loop's of those that are done */
    struct MHD_Connection *connection; /* of HTTP/1.1, else NULL */
    struct stream *stream;             /* of HTTP/2; valid while the fate is not FATE_CLOSED */
    char target[];
};

struct exchange *exchange_new(struct server *s, const char *target, const struct conn *c);
/* Room for so many headers, and behind them so many bytes of text; NULL when out of memory. */
char *exchange_headers(struct exchange *x, size_t count, size_t bytes);
struct exchange *exchange_hold(struct exchange *x);
void exchange_drop(struct exchange *x);               /* the last one frees it; NULL is fine */
bool exchange_receive(struct exchange *x, str bytes); /* false: close the connection */
void exchange_begin(struct exchange *x);              /* its head is there: calls route() */
void exchange_complete(struct exchange *x);           /* from now on a graceful stop waits for it */
void exchange_over(struct exchange *x); /* its connection has done with it; drops it. NULL is fine */
/* The request is complete. What is to be sent now: x->response, or *other (busy, too late), which response_done() frees; NULL:
 * nothing, as a thread has it (FATE_WAITING) or the server closes (any other fate). */
struct response *exchange_serve(struct exchange *x, struct response *other);
/* The same when it has waited: for what has become of it. */
struct response *exchange_go_on(struct exchange *x, struct response *other);
void exchange_resume(struct exchange *x); /* server.lock is held */
/* True: its time is up, and the loop is to answer. server.lock is held. */
bool exchange_late(struct exchange *x, int64_t now);
/* clock_ms() when an answer of that size must be gone. */
int64_t send_limit(const struct server *s, size_t bytes);
void exchange_run(struct exchange *x); /* handle(), then what any protocol needs done to the response */
void exchange_told(struct exchange *x, unsigned status); /* calls answered(), once */
void response_finish(struct response *r);                /* gzip, and 500 when it did not fit into memory */
void response_done(struct response *r);

/* ---- uploads ---- */

struct upload { /* guarded by server.lock */
    pthread_cond_t more;
    struct buf in, out; /* came, and waits for who reads; with who reads */
    size_t taken;       /* of HTTP/2: bytes for which its client was not given room again */
    size_t window;      /* bytes since `window_ms` was set: the loop's alone */
    bool whole;         /* nothing more comes */
    bool paused;        /* of HTTP/1.1: suspended until there is room */
    bool begun;         /* some of it has come, so "100 Continue" was sent if it had to be */
    bool
        small; /* it is said to have at most BODY_DROP_MAX: its answer comes behind it, and the connection lives on */
    bool told;   /* its answer was sent before its body was there */
    bool broken; /* only a part of that answer could be sent: nothing may follow it */
};

void upload_begin(
    struct exchange
        *x); /* its head is there: handle() begins. No place for it: it becomes a body that nobody wants */
enum upload_put { UPLOAD_TAKEN, UPLOAD_PAUSED, UPLOAD_UNWANTED, UPLOAD_BROKEN };
enum upload_put upload_put(struct exchange *x, str bytes);
/* clock_ms() by when more must have come; 0: as before. */
int64_t upload_limit(struct exchange *x, size_t came);
struct response *upload_serve(struct exchange *x); /* as exchange_serve(), of HTTP/1.1 */
void upload_whole(struct exchange *x);             /* of HTTP/2 */
size_t upload_taken(struct exchange *x);           /* bytes that were taken since the last call */
void upload_ran(struct exchange *x);               /* server.lock is held */
void upload_wake(struct exchange *x);              /* its fate has changed. server.lock is held */
void upload_freep(struct upload **u);

/* ---- threads ---- */

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct exchange *head, **tail;
    unsigned waiting, running, queue_max; /* jobs */
    uint64_t refused;                     /* jobs that found no place */
    unsigned idle, count, max;            /* threads */
    bool stop;
    pthread_t *threads;
    void (*done)(struct exchange *x); /* after exchange_run(); the job's reference is dropped behind it */
};

int pool_init(struct pool *p, unsigned threads, unsigned queue_max, void (*done)(struct exchange *x),
              struct err *e);
bool pool_add(struct pool *p, struct exchange *x); /* false: the queue is full, or no thread can be had */
void pool_stop(struct pool *p);                    /* forgets the queue; what runs goes on */
bool pool_busy(struct pool *p);                    /* something runs */
void pool_done(struct pool *p);                    /* waits for what runs */
int thread_start(pthread_t *ret, void *(*run)(void *), void *ctx); /* without signals; 0 or an errno */

/* ---- the server ---- */

enum conn_list {
    CONN_HANDED, /* given to libmicrohttpd, which has not begun with it */
    CONN_HTTP1,  /* libmicrohttpd has it */
    CONN_WIRE,   /* our loop has it */
    CONN_LISTS,
};

struct conn { /* guarded by server.lock */
    struct conn *next, **self;
    int fd;
    bool counted;     /* in server.conn_count: not libmicrohttpd's end of a pump, for its TLS connection is */
    bool half_closed; /* at the last sweep, with no whole request to be answered */
    int64_t cut_ms;   /* clock_ms() when the request must be complete, or its answer be sent */
    struct exchange *x;
    uint8_t host[16]; /* IPv6, or IPv4 in it; of IPv6 the network of 64 bits, which one customer has */
    char peer[64];
    bool loopback;
};

/* Takes the socket; counts it. NULL when out of memory, or when this peer has so many that others would find no place. */
struct conn *conn_new(struct server *s, int fd, const struct sockaddr *addr);
struct conn *conn_inner(struct server *s, int fd, const struct conn *outer); /* the end of a socket pair */
void conn_move(struct server *s, struct conn *c, enum conn_list to);
void conn_freep(struct server *s, struct conn **c); /* leaves its socket alone */

enum opening { OPENING_UNCLEAR, OPENING_HTTP1, OPENING_HTTP2, OPENING_GONE };
enum opening conn_opening(int fd); /* of plain text; looks without taking, and never waits */

/* ---- the loop ---- */

enum step { STEP_WAIT, STEP_AGAIN, STEP_CLOSE };

struct watch { /* a socket in epoll, edge-triggered: what is ready stays so until a call says EAGAIN */
    struct wire *wire;
    int fd;
    bool readable, writable;
    bool ended; /* the other side sends no more */
};

struct tls_link { /* one connection's */
    struct gnutls_session_int *session;
    struct watch *watch; /* its socket's */
    struct tls_keys *keys;
};

struct http2 {
    struct nghttp2_session *session;
    struct stream *streams;
    unsigned resets, finished; /* streams that ended badly, and well */
    unsigned chatter;          /* frames that carry nothing, since the last tick */
    bool broken;               /* nothing more is read */
    bool leaving;              /* GOAWAY was sent */
};

struct wire { /* a connection that our loop serves; its thread's alone */
    struct wire *next, **self;
    struct wire *again; /* in the loop's row of those that have more to do */
    bool queued, closed;
    struct server *s;
    struct conn *c;
    struct watch net, pair; /* pair: our end of the pump */
    /* What to do when something is ready. The rest is set by whoever sets this. */
    enum step (*step)(struct wire *w);
    int64_t cut_ms;   /* clock_ms() when it is closed */
    int64_t moved_ms; /* when bytes of ours were taken last, while some wait */
    bool ended;       /* all that the peer sends has been read */
    struct tls_link tls;
    struct buf in,
        out; /* what the pump's other end, and the peer, have not taken yet; up to *_at they have */
    size_t in_at, out_at;
    struct http2 h2;
};

struct loop {
    int epoll, wake;
    pthread_t thread;
    bool started;
    struct tls *tls; /* NULL: plain text */
    struct wire *wires, *dead, *again, **again_tail;
    bool ending;   /* only what is on its way is still sent */
    unsigned live; /* streams of server_live.c */
    char scratch[32 << 10];
    /* guarded by server.lock */
    struct wire *arrivals;
    struct exchange *done;
    bool closing, calm; /* asked: nothing is handed to libmicrohttpd any more; it is so */
    bool end;           /* asked: what is to be sent is sent, for a moment, then all is closed */
    pthread_cond_t calmed;
};

int loop_start(struct server *s, struct err *e);
void loop_take(struct server *s, struct conn *c); /* takes c and its socket in any case */
void loop_wake(struct server *s);
void loop_calm(struct server *s); /* before http1_stop(): no connection reaches libmicrohttpd after that */
void loop_stop(struct server *s); /* after it */

#define IO_END   0
#define IO_AGAIN (-1)
#define IO_ERROR (-2)
/* Up to `room` bytes; else one of the above. */
ssize_t wire_recv(struct wire *w, char *to, size_t room);
void wire_add(struct wire *w, const void *bytes, size_t n); /* to `out` */
int wire_flush(struct wire *w);        /* 1: all of `out` is sent; else IO_AGAIN, IO_ERROR */
enum step wire_finish(struct wire *w); /* sends what is in `out`, tells the end, closes */
void wire_queue(struct wire *w);       /* its step is called again soon */

enum step pump_begin(struct wire *w);
void pump_done(struct wire *w);

enum step http2_begin(struct wire *w);
void http2_done(struct wire *w);
void http2_leave(struct wire *w);             /* takes no new streams, and ends after the last */
bool http2_tick(struct wire *w, int64_t now); /* false: close it */
void http2_resume(struct exchange *x);        /* server.lock is held */
void http2_go_on(struct exchange *x);         /* on the loop */

struct tls *tls_new(const struct server_options *o, struct err *e);
void tls_freep(struct tls **t);
int tls_begin(struct tls *t, struct watch *watch,
              struct tls_link *ret);                           /* rereads the files when they changed */
int tls_handshake(struct tls_link *l, char *why, size_t room); /* 1: done; else IO_AGAIN, IO_ERROR and why */
bool tls_is_http2(const struct tls_link *l);
ssize_t tls_recv(struct tls_link *l, char *to, size_t room);
ssize_t tls_send(struct tls_link *l, const char *bytes, size_t n);
int tls_bye(struct tls_link *l); /* 1: told */
void tls_done(struct tls_link *l);

/* ---- the server ---- */

struct server {
    struct server_options o; /* defaults filled in */
    struct server_handler h;
    int listeners[LISTENERS_MAX];
    size_t listener_count;
    unsigned port;
    int wake; /* eventfd of the acceptor */
    pthread_t acceptor;
    bool started, stopped;
    struct MHD_Daemon *http1;
    struct loop loop;
    struct pool read_pool, long_pool;

    pthread_mutex_t lock;
    pthread_cond_t quiet; /* active went to 0 */
    struct conn *conns[CONN_LISTS];
    unsigned conn_count; /* accepted and not yet closed */
    size_t body_bytes;   /* atomic: of all exchanges */
    size_t answer_bytes; /* atomic: of all exchanges, without small answers */
    unsigned active;     /* exchanges whose request is complete and that are not over */
    bool stopping;       /* no new connections */
    bool closing;        /* no new jobs: all is closed */
};

/* Fills s->listeners and s->port. */
int server_listen(struct server *s, const char *address, struct err *e);
void server_wake(struct server *s);

int http1_start(struct server *s, struct err *e);
void http1_take(struct server *s, struct conn *c,
                sa_family_t family);         /* takes c and its socket in any case */
void http1_suspend(struct exchange *x);      /* server.lock is held */
void http1_resume(struct exchange *x);       /* server.lock is held */
void http1_answer_early(struct exchange *x); /* of an upload that is not whole; server.lock is held */
void http1_stop(struct server *s);           /* closes all connections */
int sweep_period(const struct server *s); /* in milliseconds: limits are kept to an eighth of the shortest */
