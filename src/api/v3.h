/*
 * v3.h - API v3: one function a method, called with messages, whichever of its two faces the client sees (spec/api-v3.md).
 *
 * Shape      gRPC (v3_grpc.c) and the REST gateway (v3_gateway.c) turn requests into messages of proto/clair.proto, call the same method, and
 *            turn its reply into bytes: protobuf, or JSON by the messages' descriptors (v3_json.c).
 * Ownership  requests and replies live in the arena of the request, in which `allocator` works: it is bounded, NULL means GRPC_RESOURCE_EXHAUSTED.
 * Texts      of protobuf-c are C strings; those of clients may hold no NUL byte, which both faces refuse (GRPC_INVALID_ARGUMENT).
 */
#pragma once
#include "api/internal.h"
#include "net/grpc.h"

#include "clair.pb-c.h"

struct v3_reply {
    enum grpc_code code;
    str why;                         /* of a failure */
    const ProtobufCMessage *message; /* of a success */
    bool kept; /* of a success: its answer is in call.response.body already, as this face wrote it once */
    str key;   /* of a message that is to be kept: all that it depends on but for the generation */
    int64_t generation; /* of the store, in which it was made */
};
/* Was the same asked in this generation, in this form (call.face)? Then ret->kept, and the method is done: its face adds no more than headers. Else
 * the face keeps what it makes of the method's message, the whole body of the answer. (v3_kept.c) */
bool v3_kept(struct call *c, str key, int64_t generation, struct v3_reply *ret);
void v3_keep(struct call *c, const struct v3_reply *r); /* nothing when it is not to be kept */
void v3_fail(struct v3_reply *ret, enum grpc_code code, str why);
/* GRPC_INTERNAL, with one of Clair's reasons: "clair error reason: 'failed to query the database.'"; what happened goes to the log. */
void v3_failure(const struct call *c, struct v3_reply *ret, const char *reason, const struct err *e);

typedef void v3_method(struct call *c, const ProtobufCMessage *request, struct v3_reply *ret);
v3_method v3_get_ancestry, v3_post_ancestry;              /* v3_ancestry.c, v3_post.c */
v3_method v3_get_notification, v3_mark_notification_read; /* v3_notifications.c */
v3_method v3_get_status;                                  /* v3_status.c */

/* Of a reply: the detectors, listers first, and the end of the newest update. NULL: out of memory, or *e. (v3_status.c) */
Coreos__Clair__ClairStatus *v3_status(struct call *c, struct err *e);
/* Those of v3_status() by name: "dpkg", "os-release"; NULL: none is called so. Constants. */
const Coreos__Clair__Detector *v3_detector(const char *name);
/* A text in the arena of the request, for a message: with a NUL behind it. NULL: out of memory. */
char *v3_text(struct call *c, str text);
