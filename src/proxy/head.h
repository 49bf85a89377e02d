/*
 * head.h - heads of HTTP/1.1 messages taken apart, strictly, and written again without what is of one connection only. Pure.
 *
 * Strict     What two parsers could read differently is refused: lines that end without CR, folded lines, blanks before a colon, more than
 *            one Content-Length or Host, Content-Length beside Transfer-Encoding, codings other than one "chunked", either of them in HTTP/1.0
 *            with chunked (RFC 9112 6.3 and 11.2). So what is forwarded is what was judged.
 * Ownership  all views are into the bytes that were read.
 * Limits     HEAD_MAX bytes, HEAD_FIELDS fields.
 * Errors     ERR_FORMAT says what is wrong; ERR_LIMIT: too many fields.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define HEAD_MAX    ((size_t)32 << 10)
#define HEAD_FIELDS 128

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct head_field {
    str name, value; /* value without blanks around it */
};

struct head {
    str method, target; /* of a request */
    unsigned status;    /* of a response */
    str reason;
    bool http10;
    struct head_field fields[HEAD_FIELDS];
    size_t count;
    enum body_kind body;
    uint64_t length; /* of BODY_LENGTH */
    bool close;      /* its sender wants the connection to end behind it */
    str upgrade;     /* what Upgrade says, where Connection names it; else empty */
};

/* How long the head at the beginning of these bytes is, with its empty line; 0: its end is not there. `seen`: so many bytes have been looked at
 * before, in vain; kept by the function. */
size_t head_find_end(str bytes, size_t *seen);
int head_read_request(str bytes, struct head *ret, struct err *e);
/* `method`: of the request that it answers. */
int head_read_response(str bytes, str method, struct head *ret, struct err *e);

/* The first field of that name, in any letter case; ptr NULL: none. */
str head_field(const struct head *h, const char *name);
bool head_is(str name, const char *want); /* in any letter case */
/* Appends all fields, a line each, but those of one connection (RFC 9110 7.6.1, also what Connection names) and of framing. */
void head_put_fields(const struct head *h, struct buf *out);
/* One "name: value" of a trailer section, without line end. */
int head_read_field(str line, struct head_field *ret, struct err *e);
bool head_is_hop(str name); /* of one connection, or of framing */
