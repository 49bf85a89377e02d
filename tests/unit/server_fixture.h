/*
 * server_fixture.h - an API for tests of the server: it says back what it was asked.
 *
 * Paths      /now.. on the loop, /read.. on the pool of look-ups, /long.. on the other, where it waits for gate_set(true);
 *            /up.. reads its body while it comes, and says "N bytes", or 400 and why not; /up/none reads nothing and says 403, /up/held first
 *            waits for the gate;
 *            /size?N a body of N bytes, gzip for who accepts it; /header?V as X-Long; /full 500; /peer with the peer.
 */
#pragma once
#include "net/server.h"

#include <pthread.h>

#define PATIENCE_S 30

extern struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open; /* the gate that "/long" waits at */
    unsigned routed;
    unsigned running, finished;           /* of "/long" */
    unsigned reading, broken;             /* uploads that are read; that were not read to their end */
    unsigned told[8], told_count, silent; /* what answered() heard; silent: status 0 */
} gate;

extern const struct server_handler handler;

void gate_set(bool open);
int open_gate(void **state); /* a teardown: also when an assertion fails, a handler must not wait for ever */
void wait_for(const unsigned *what, unsigned at_least); /* of the gate's */
struct server *serve(struct server_options o);          /* on any port of 127.0.0.1, if o has no address */

int dial_any(const struct server *s, bool v6); /* -1: refused */
void *open_when_closed(void *server);          /* a thread: gate_set(true) when nobody is let in any more */
int dial(const struct server *s);
bool say(int fd, str text); /* false when the other side does not take it any more */
