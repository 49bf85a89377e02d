/*
 * stomp_frame.h - frames of STOMP 1.0 to 1.2 (stomp.github.io): a command, headers, an empty line, a body, NUL.
 *
 * Limits     STOMP_FRAME_MAX bytes, STOMP_HEADERS of them; line ends of both kinds; before a frame any number of empty lines (heart-beats).
 * Escapes    \n, \r, \c and \\ of 1.1 and later are undone where a header is asked for, not in the view.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define STOMP_FRAME_MAX (64u << 10)
#define STOMP_HEADERS   64u

struct stomp_frame { /* views into the bytes */
    str command;
    struct stomp_header {
        str name, value;
    } headers[STOMP_HEADERS]; /* the first of a name counts */
    size_t header_count;
    str body;
};

/* 1: a whole one, *ret_used bytes long. 0: more bytes are wanted (*ret_used of them may go). -1: ERR_FORMAT, ERR_LIMIT. */
int stomp_parse(str bytes, struct stomp_frame *ret, size_t *ret_used, struct err *e);
str stomp_header(const struct stomp_frame *f, str name); /* as it stands; empty when it is not there */
bool stomp_says(const struct stomp_frame *f, str name, str value); /* escapes undone */

/* Writing: headers one by one, then the body; in `escape`d form all but those of CONNECT. */
void stomp_begin(struct buf *out, const char *command);
void stomp_add(struct buf *out, const char *name, str value, bool escape);
void stomp_end(struct buf *out, str body);
