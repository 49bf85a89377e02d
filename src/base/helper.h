/*
 * helper.h - one more thread for pieces of work that go on beside the caller's own.
 *
 * Shape      helper_start() hands over one piece and returns; helper_wait() returns when it is done. One piece at a time: a second start
 *            waits for the first. Called from one thread only.
 *            After helper_new() the thread makes no system call but to sleep and to wake.
 * Memory     what the piece wrote is visible after helper_wait(). The thread has a small stack and never allocates by itself.
 * Errors     helper_new() gives NULL when there is no thread to have: then do the work inline.
 */
#pragma once
#include <stdbool.h>

struct helper;
struct helper *helper_new(void);
void helper_start(struct helper *h, void (*run)(void *ctx), void *ctx);
void helper_wait(struct helper *h);
void helper_freep(struct helper **h); /* waits; NULL is fine */
