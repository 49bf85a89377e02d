/*
 * tunnel.h - bytes from one link to another, framed anew on their way or not, with no more than a piece of them in memory.
 */
#pragma once
#include "proxy/framing.h"
#include "proxy/link.h"

struct flow {
    struct link *from, *to;
    struct framing framing;
    struct buf out; /* what `to` has not taken: from `at` */
    size_t at;
    uint64_t moved; /* bytes that were taken, for who looks whether it goes on */
};

enum flow_state { FLOW_DONE, FLOW_READS, FLOW_WRITES, FLOW_READ_FAILED, FLOW_WRITE_FAILED };

/* From what has been read already in `from` on. */
void flow_begin(struct flow *f, struct link *from, struct link *to, enum body_kind kind, uint64_t length,
                bool chunked);
/* Moves what can be moved without waiting; then what is to be waited for. */
enum flow_state flow_step(struct flow *f, struct err *e);
void flow_done(struct flow *f);

/* Both ways, until both have ended, one breaks, or nothing has moved for so long. */
void tunnel_run(struct link *a, struct link *b, int64_t idle_ms);
