/*
 * server_http2.h - what HTTP/2 and its live streams share.
 *
 * Shape      A stream is an exchange. Of one that is live (SERVE_STREAM, server_live.c) messages are handed on as they come, and its answer
 *            grows until one of the sides ends it.
 * Limits     A live stream whose client does not take what it is sent is not read either; there are LIVE_MAX of them at once.
 * Threads    The loop's alone.
 */
#pragma once
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>

struct stream {
    struct stream *next, **self;
    struct wire *w;
    int32_t id;
    struct buf head; /* names and values, each with a NUL behind it */
    size_t head_size, head_count;
    bool head_there, head_large, whole;
    struct exchange *x; /* NULL before its head is there */
    struct buf body;    /* of the answer, from `at` on */
    size_t at;
    bool sending;
    struct header trailers[RESPONSE_TRAILERS]; /* behind the body; names have a NUL */
    size_t trailer_count;
    int64_t cut_ms;   /* clock_ms() when the request must be complete, or its answer be sent */
    int64_t moved_ms; /* when some of the answer went last, or began to wait */
    /* of a live stream */
    bool live, over;    /* more of its answer may come; nothing more does */
    bool paused, ended; /* its messages wait until some of the answer is taken; STREAM_ENDED was told */
    struct buf in;      /* what has come of messages */
    size_t held;        /* bytes of `in` that its client was not given room for again */
    size_t all;         /* bytes of messages that came */
    int64_t live_ms;    /* since when it is */
    int64_t ticked_ms;  /* when it was ticked last */
};

void stream_reset(struct stream *t, uint32_t code);
size_t
streams_left(const struct wire *w); /* bytes of answers, of all streams: they share what their client takes */
/* Takes r's body. Of a live stream: only how it begins. */
void stream_answer(struct stream *t, struct response *r, bool head_only);

void live_begin(struct stream *t);
void live_receive(struct stream *t, str bytes);
void live_work(struct stream *t); /* hands on what has come, and that it has ended */
void live_gave(struct stream *t); /* some of its answer went */
bool live_go_on(struct wire *w);  /* true: a stream that was paused goes on, and there is more to send */
void live_tick(struct stream *t, int64_t now);
void live_leave(struct stream *t);        /* ends it, for the server stops */
bool live_lasted(const struct stream *t); /* it was live, and longer than one that is only to make work */
