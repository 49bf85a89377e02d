/*
 * grpc.h - gRPC as requests and responses of server.h: what an HTTP/2 stream carries, and nothing of what it means.
 *
 * Shape      A unary call is a request whose body is one message with five bytes before it. Its answer is either a framed message with the status
 *            as trailers, or the status alone ("Trailers-Only": headers that end the stream). The HTTP status is always 200 but for a
 *            content type that is none of gRPC's (415, by whoever routes).
 * Limits     GRPC_MESSAGE_MAX for a message, inflated or not: GRPC_RESOURCE_EXHAUSTED beyond, as grpc-go's default.
 * Ownership  what a call returns lives in the request's arena.
 * Source     github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, doc/statuscodes.md, doc/compression.md.
 */
#pragma once
#include "net/server.h"

#define GRPC_MESSAGE_MAX ((size_t)4 << 20)
#define GRPC_PREFIX      5 /* bytes before a message: is it compressed, and its size */

enum grpc_code {
    GRPC_OK,
    GRPC_CANCELLED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
    GRPC_CODES
};
const char *grpc_code_name(
    enum grpc_code code); /* "OK", "Canceled", "NotFound": grpc-go's, which the metrics of Clair have */

/* HTTP/2's POST with a content type of application/grpc, application/grpc+proto or either with parameters. */
bool grpc_is(const struct request *r);
/* What the client's grpc-timeout says, in milliseconds, at least 1; 0: none, or no valid one. */
int64_t grpc_timeout(const struct request *r);

/* A message of the body, from *at on, which moves behind it: 1, 0 there is none any more. -1: *ret_code and *ret_why (a constant) tell what is wrong: cut
 * off, too large, an encoding that is not known (GRPC_UNIMPLEMENTED; gzip and identity are), or no gzip. */
int grpc_next(const struct request *r, size_t *at, str *ret, enum grpc_code *ret_code, const char **ret_why);
/* For who reads frames as they come: the size that a prefix names, and the content of a frame as it is meant, up to `max` bytes: 0 or -1 as
 * above. */
size_t grpc_size(str prefix);
int grpc_unpack(const struct request *r, bool packed, str bytes, size_t max, str *ret,
                enum grpc_code *ret_code, const char **ret_why);
/* The one message of a unary call; a second one, or none, is GRPC_INTERNAL, as grpc-go has it. 0 or -1. */
int grpc_message(const struct request *r, str *ret, enum grpc_code *ret_code, const char **ret_why);

/* Does the client take frames that are compressed? */
bool grpc_packs(const struct request *r);
/* Appends a frame, compressed when the client accepts gzip (grpc-accept-encoding) and it pays. False: out of memory. */
bool grpc_frame(const struct request *r, str message, struct buf *out);
/* What an answer begins with: status and headers. For who sends messages as they come; the others do it by themselves. */
void grpc_begin(const struct request *r, struct response *ret);
/* The whole answer of a unary call. */
void grpc_answer(const struct request *r, struct response *ret, str message);
/* The status alone; `why` is percent-encoded into grpc-message, in the arena: from timed_out() it must be empty. */
void grpc_fail(const struct request *r, struct response *ret, enum grpc_code code, str why);
/* The trailers behind what is in ret->body. */
void grpc_end(const struct request *r, struct response *ret, enum grpc_code code, str why);
