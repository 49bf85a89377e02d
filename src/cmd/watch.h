/*
 * watch.h - a thread beside a command that works for long. It ends the command when Ctrl-C, SIGTERM, SIGHUP or --timeout say so, and draws the line
 *           that tells how far it is.
 *
 * Order      watch_block() first, then cage_new() (its processes inherit what is blocked, and die with us), then watch_start() before any other
 *            thread.
 * End        the line is wiped, files that have no name yet are removed, and the signal ends the process as if nobody had waited for it; of
 *            a time-out: one line, exit code 1. A signal that was ignored when we started stays ignored.
 * Line       of standard error, drawn ten times a second at most, as wide as the terminal is at that time. Its functions may be called from
 *            any thread, and with a NULL watch, which does nothing.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <signal.h>

struct watch;

struct watch_options {
    sigset_t before;    /* of watch_block() */
    bool shows;         /* the line */
    const char *what;   /* "image.tar": in the error of a time-out */
    int64_t timeout_ms; /* 0: none */
    const char
        *remove; /* this file, and what SQLite puts beside it, goes when the process is ended; NULL: none */
};

void watch_block(sigset_t *ret_before);
struct watch *watch_start(const struct watch_options *o, struct err *e);
void watch_freep(struct watch **w); /* wipes the line; signals are as they were. NULL is fine */

/* "--timeout": at least a millisecond; NULL: 0, none. */
int watch_read_timeout(const char *text, int64_t *ret_ms, struct err *e);
/* A terminal on standard error that can wipe a line. */
bool watch_can_show(void);

void watch_keep(struct watch *w); /* nothing is to be removed any more */

/* ---- the line ---- */

/* Begins another piece of work. Text from outside is cleaned. */
void watch_label(struct watch *w, const char *fmt, ...) PRINTF(2, 3);
void watch_parts(struct watch *w, size_t done, size_t of, const char *noun); /* "2 of 5 layers" */
void watch_bytes(struct watch *w, uint64_t done, int64_t total);             /* total: -1 when nobody knows */
/* Asked when the line is drawn, for the bytes that were done; its total is not known. NULL: not any more. */
void watch_meter(struct watch *w, uint64_t (*bytes)(void *ctx), void *ctx);
/* Wipes it until the next watch_label(): something else is to be told. */
void watch_hide(struct watch *w);
