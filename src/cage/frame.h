/*
 * frame.h - what a caged worker may say (design.md 9, Cage protocol).
 *
 * Shape      u32 length (little-endian, of the body), u8 type, body. The parent believes nothing: a wrong type or length
 *            ends the job with ERR_CAGE.
 * Limits     a body is at most FRAME_MAX; a job's frames together at most cage_limits.max_output.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define FRAME_MAX (1u << 20)

enum frame_type {
    FRAME_END = 1,   /* success; nothing follows. Body: the task's own summary */
    FRAME_ERROR = 2, /* failure; nothing follows. Body: kind, text (made and read by cage/) */
    FRAME_WANT = 3,  /* u64 offset, u64 length: send me these bytes of the input (random access jobs only) */
    FRAME_TASK = 16, /* from here on: the task's own types (index/: files and packages; feed/: advisories) */
};

/* Worker side. Frames are gathered and written in large pieces. */
struct frame_writer;
int frame_put(struct frame_writer *w, unsigned type, str body,
              struct err *e); /* -1: too large, or the parent is gone */
int frame_flush(struct frame_writer *w, struct err *e);

/* Outside a worker, for tests and fuzzers: frames go to fd, which stays the caller's. NULL when out of memory. */
struct frame_writer *frame_writer_new(int fd);
void frame_writer_freep(struct frame_writer **w);
