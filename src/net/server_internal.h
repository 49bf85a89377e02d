/*
 * server_internal.h - what the parts of the server share.
 *
 * server.c            the server's life: start, stop, the acceptor's thread and its sweeps
 * server_listen.c     an address becomes listening sockets
 * server_http1.c      HTTP/1.1 by libmicrohttpd, on one thread of its own ("the loop")
 * server_exchange.c   one request and its answer, whatever the protocol
 * server_pool.c       bounded threads for what may block
 *
 * Locks: server.lock before pool.lock; nothing of ours is called with either held, except MHD_suspend_connection() and
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
    struct server *s;
    struct header {
        str name, value;
    } * headers; /* one piece of memory with their bytes */
    size_t header_count;
    unsigned refs; /* atomic: its connection's, its job's */
    enum fate fate;
    enum service service;
    int64_t late_ms; /* clock_ms() when its time is up */
    bool routed, answered;
    bool active;           /* counted in server.active; under its lock */
    bool starved;          /* there was no room for its body */
    struct exchange *next; /* in a pool's queue */
    struct MHD_Connection *connection;
    char target[];
};

struct exchange *exchange_new(struct server *s, const char *target, const char *peer, bool loopback);
struct exchange *exchange_hold(struct exchange *x);
void exchange_drop(struct exchange *x);               /* the last one frees it; NULL is fine */
bool exchange_receive(struct exchange *x, str bytes); /* false: close the connection */
void exchange_run(struct exchange *x); /* handle(), then what any protocol needs done to the response */
void exchange_told(struct exchange *x, unsigned status); /* calls answered(), once */
void response_finish(struct response *r);                /* gzip, and 500 when it did not fit into memory */
void response_done(struct response *r);
int64_t clock_ns(void);

/* ---- threads ---- */

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct exchange *head, **tail;
    unsigned waiting, running, queue_max; /* jobs */
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

struct conn { /* guarded by server.lock */
    struct conn *next, **self;
    int fd;
    bool half_closed; /* at the last sweep, with no whole request to be answered */
    int64_t cut_ms;   /* clock_ms() when the request must be complete */
    struct exchange *x;
    char peer[64];
    bool loopback;
};

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
    struct pool read_pool, long_pool;

    pthread_mutex_t lock;
    pthread_cond_t quiet; /* active went to 0 */
    struct conn *conns;
    unsigned conn_count; /* accepted and not yet closed */
    size_t body_bytes;   /* atomic: of all exchanges */
    unsigned active;     /* exchanges whose request is complete and that are not over */
    bool stopping;       /* no new connections */
    bool closing;        /* no new jobs: all is closed */
};

/* Fills s->listeners and s->port. */
int server_listen(struct server *s, const char *address, struct err *e);
void server_wake(struct server *s);

int http1_start(struct server *s, struct err *e);
bool http1_take(struct server *s, int fd, const struct sockaddr *addr,
                socklen_t len);        /* takes fd in any case */
void http1_resume(struct exchange *x); /* server.lock is held */
void http1_stop(struct server *s);     /* closes all connections */
