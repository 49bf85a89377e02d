/* gate.h - so many at once, first come first served. Any thread. */
#pragma once
#include <pthread.h>
#include <stdint.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned free;
    uint64_t next, turn; /* numbers: whose comes, and who may go in when one is free */
};

void gate_init(struct gate *g, unsigned free);
void gate_done(struct gate *g); /* nobody is in it */
void gate_enter(struct gate *g);
void gate_leave(struct gate *g);
