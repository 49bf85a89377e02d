/*
 * http2_internal.h - what the parts of http2.h share.
 *
 * http2.c         the connection: two sessions, their bytes, their time
 * http2_stream.c  a stream: its heads, its data, its end, from one session to the other
 */
#pragma once
#include "proxy/http2.h"

#include <nghttp2/nghttp2.h>

#define H2_FIELDS 128

enum side { CLIENT, UPSTREAM, SIDES };

/* Fields of a head as they come: names and values one behind the other. */
struct fields {
    struct buf bytes;
    struct {
        size_t name, value; /* lengths */
    } of[H2_FIELDS];
    size_t count;
    bool too_many;
};

struct h2;
struct half {           /* of a stream: what one side sends */
    int32_t id;         /* its stream with that side; 0: none any more, or not yet */
    struct fields head; /* being received */
    struct buf data;    /* not yet taken by the other side, from `at` */
    size_t at;
    bool ended; /* it sends no more */
    bool open;  /* the other side has a source of data that is to be woken */
    struct fields trailers;
    bool has_trailers;
};

struct stream {
    struct stream *next, **self;
    struct h2 *h;
    struct half of[SIDES];
    bool begun;     /* the client has its response's head */
    char body[600]; /* of an answer of ours */
};

struct h2 {
    const struct http2_options *o;
    struct link *links[SIDES]; /* [UPSTREAM] is NULL until a request was judged, and when it cannot be had */
    nghttp2_session *sessions[SIDES];
    struct buf out[SIDES];
    size_t at[SIDES];
    struct stream *streams;
    unsigned stream_count;
    unsigned resets;
    bool broken;
    struct err why; /* the upstream cannot be had */
    int64_t retry_ms;
};

/* Opens it, if it is not open; waits. False: it cannot be had, see `why`. For requests that were judged. */
bool http2_open_upstream(struct h2 *h);

struct stream *stream_new(struct h2 *h, int32_t id);
void stream_end(struct h2 *h, struct stream *s, enum side side,
                uint32_t code); /* that side's stream is closed */
void stream_free(struct stream *s);
int stream_add_field(struct stream *s, enum side side, str name, str value); /* -1: too large */
int stream_head(struct h2 *h, struct stream *s, enum side side,
                bool last); /* its head, or its trailers, are complete */
void stream_data(struct h2 *h, struct stream *s, enum side side, str bytes);
void stream_last(struct h2 *h, struct stream *s, enum side side); /* it sends no more */
