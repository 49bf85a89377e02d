/*
 * cage.h - run code over hostile bytes in a process that can do nothing but compute (design.md law 5).
 *
 * Shape      cage_new() forks the zygote, which forks one worker per job. A worker has its input on a pipe, its frames on
 *            another, no file system, no network, no new processes: seccomp with a short allow-list (EPERM otherwise),
 *            no-new-privileges, Landlock, rlimits, dies with the zygote, which dies with its parent. A few workers are kept
 *            waiting once there was work; each does one job and ends.
 * Threads    call cage_new() before the first thread; cage_run() may be called from many threads at once.
 * Errors     what the task returned, as it was; ERR_CAGE "worker died of signal N (what that means)" when it died;
 *            ERR_LIMIT for time and output limits; a task that runs out of memory says so itself (ERR_OOM).
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "cage/frame.h"

struct cage;
struct stream;

struct cage_limits { /* of one worker; 0 = the default in brackets */
    uint64_t
        max_memory; /* bytes of address space beyond those of the zygote [512 MiB]; off in sanitizer builds */
    unsigned max_cpu_s;  /* seconds of CPU time [600] */
    unsigned max_wall_s; /* seconds [1200] */
    uint64_t max_output; /* bytes of frames [1 GiB] */
};

/* What a worker can be asked to do. `params` is what the caller of cage_run() gave; `in` ends when the input does
 * (NULL for random access jobs, which use cage_want()). Return 0 (summary becomes the END frame's body) or -1. */
struct cage_task {
    const char *name; /* "layer": for error texts and process listings */
    int (*run)(str params, struct stream *in, struct frame_writer *out, struct buf *summary, struct err *e);
    bool random_access;
    bool helper; /* it can use a second thread: cage_helper() */
};

/* What feeds a worker. Either a range of a seekable file (moved with splice(2), never seen by the parent), or a
 * callback that gives bytes. */
struct cage_input {
    int fd; /* a regular file, or -1 */
    uint64_t offset, size;
    int (*read)(void *ctx, str *ret,
                struct err *e); /* 1 a chunk that lives until the next call, 0 end, -1 error */
    void *ctx;
    str first; /* of a callback: bytes that come before what read() gives, and are waited for by nobody */
    bool
        wait; /* call read() only when wait_fd is readable, so that a slow giver stops neither frames nor time limits */
    int wait_fd;
};

typedef int cage_on_frame(void *ctx, unsigned type, str body,
                          struct err *e); /* 0 go on, -1 stop the job with e */

struct cage *cage_new(const struct cage_task *const tasks[], const struct cage_limits *limits, struct err *e);
int cage_run(struct cage *c, const struct cage_task *task, str params, const struct cage_input *in,
             cage_on_frame *on_frame, void *ctx, struct buf *summary,
             struct err *e); /* summary: NULL, or gets the END frame's body */
void cage_freep(struct cage **c);

struct cage_load { /* since cage_new() */
    uint64_t jobs, input,
        output;       /* input and output in bytes; input as it moves, output of jobs that ended */
    unsigned running; /* now */
    uint64_t died, late,
        too_much; /* jobs: of a signal or without a result; beyond a time limit; beyond max_output */
};
void cage_load(const struct cage *c, struct cage_load *ret); /* any thread */

/* Beside seccomp a worker has neither file system nor network, where the kernel offers that (Landlock: Linux 5.13 for files, 6.7 for
 * TCP; or namespaces; of the network's other kinds seccomp alone keeps it).
 * Empty, or what is missing, for people. Call it from one thread. */
const char *cage_notice(struct cage *c);

/* Worker side: a second thread that was made before the cage was shut; NULL where there is none (one core, or outside a worker). */
struct helper *cage_helper(struct frame_writer *out);

/* Worker side of random access jobs: exactly `size` bytes at `offset` of the input into `ret`, or -1. */
int cage_want(struct frame_writer *out, uint64_t offset, size_t size, void *ret, struct err *e);
