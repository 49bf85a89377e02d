/*
 * buf.h - bytes that grow, up to a maximum that is part of the buffer.
 *
 * After a refused addition `failed` stays set and all later additions are dropped, so that a writer
 * checks once at the end.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len, cap;
    size_t max; /* in bytes; 0 = no maximum */
    bool failed;
};

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_str(struct buf *b, str s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *buf_reserve(struct buf *b,
                  size_t n); /* n writable bytes at the end (raise len yourself); NULL when refused */
static inline str buf_view(const struct buf *b) { return (str){ b->ptr, b->len }; }
static inline void buf_clear(struct buf *b) { b->len = 0, b->failed = false; }
/* Appends a whole file: "open PATH: ...", or ERR_LIMIT when it is larger than `max` leaves room for (a step of 16 KiB less). A pipe without a
 * writer is not waited for. */
int buf_read_file(struct buf *b, const char *path, struct err *e);
void buf_done(struct buf *b); /* frees and zeroes; for CLEANUP() on a struct buf */
