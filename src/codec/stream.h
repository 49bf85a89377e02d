/*
 * stream.h - pull bytes in chunks, without copies.
 *
 * Shape      a stream gives views one after the other until its end; streams wrap each other (fd -> sha256 ->
 *            gzip -> tar). What sits where: stream.c sources and taps, inflate.c decompression.
 * Units      sizes in bytes.
 * Ownership  a stream borrows the one below it, which must outlive it; a view lives until the next call on that stream.
 * Errors     ERR_IO of the source; ERR_FORMAT names the codec and the byte offset in the compressed input;
 *            ERR_LIMIT names the limit. After an error every call fails alike.
 */
#pragma once
#include "base/err.h"
#include "base/helper.h"
#include "base/str.h"

struct stream {
    /* 1 with a view of at least one byte, 0 at the end, -1 with e set */
    int (*next)(struct stream *s, str *ret, struct err *e);
    void (*free)(struct stream *s);
    bool
        keeps; /* a view lives until the next call but one, so that others can work at it beside the next one */
};

static inline int stream_next(struct stream *s, str *ret, struct err *e) { return s->next(s, ret, e); }
void stream_freep(struct stream **s); /* for CLEANUP(); NULL is fine; leaves the streams below it alone */

struct stream *stream_from_fd(int fd, struct err *e);     /* reads until end of file; does not close fd */
struct stream *stream_from_mem(str bytes, struct err *e); /* borrows the bytes; chunks of at most 64 KiB */

/* Reads `in` to its end through a SHA-256, which `helper` computes beside what is done with the bytes (NULL: inline); stream_sha256_hex() then gives 64 lower-case digits and a NUL
 * (only after the tap has returned 0). stream_sha256_size() gives the bytes that passed so far. */
struct stream *stream_sha256(struct stream *in, struct helper *helper, struct err *e);
void stream_sha256_hex(struct stream *tap, char ret[65]);
uint64_t stream_sha256_size(const struct stream *tap);

/* Reads and drops what is left, so that taps below see all bytes. 0 or -1. */
int stream_drain(struct stream *s, struct err *e);

/* A view of the first bytes (at least n, unless the stream is shorter) that next() will give again.
 * Works on a stream made by stream_peekable() only; n <= 4096. */
struct stream *stream_peekable(struct stream *in, struct err *e);
int stream_peek(struct stream *peekable, size_t n, str *ret, struct err *e);
