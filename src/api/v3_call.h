/*
 * v3_call.h - what both faces of API v3 have in common: which methods there are, and how a message gets in and out.
 *
 * Shape      One table says of each method what it takes, who answers it, and where REST has it (spec/api-v3.md 1).
 * Limits     a request's message: GRPC_MESSAGE_MAX; unpacked, V3_MEMORY_MAX, for many small fields become larger in memory.
 */
#pragma once
#include "api/v3.h"

#define V3_MEMORY_MAX ((size_t)16 << 20)

struct v3_stream;
/* An event of a stream, on the loop: as server_handler.message. What is in *ret is sent, if there is a message; false: the stream ends with its
 * code. `scratch` lives until the return. */
typedef bool v3_stream_event(struct v3_stream *s, enum stream_event event, const ProtobufCMessage *request,
                             struct arena *scratch, struct v3_reply *ret);

struct v3_rpc {
    const char *service, *name; /* "coreos.clair.StatusService", "GetStatus" */
    const ProtobufCMessageDescriptor *request;
    v3_method *call; /* NULL: it is a stream */
    v3_stream_event *stream;
    enum service kind;
    bool writes;               /* `readonly` and the token hold for it */
    const char *method, *path; /* over REST; NULL: it is not there. "{}" stands for `field` */
    const char *field;
    const char *metric; /* what REST calls it in metrics */
    bool streams_in;    /* a stream to which its client may send many messages */
};
extern const struct v3_rpc v3_rpcs[]; /* ends with a NULL service */

struct v3_stream {
    struct api *api;
    struct arena *arena; /* as long as the stream lives */
    int32_t told;        /* a health watch: the state told last; 0: none yet */
    str about;           /* what it watches */
    bool asked;          /* its request has come */
};

v3_method v3_health_check;                   /* v3_health.c */
v3_stream_event v3_health_watch, v3_reflect; /* v3_health.c, v3_reflection.c */

/* May it be called, and if so, what does it say? ret->message is there when the code is GRPC_OK. */
void v3_call(struct call *c, const struct v3_rpc *rpc, const ProtobufCMessage *request, struct v3_reply *ret);

/* Memory for protobuf-c in an arena. */
struct v3_memory {
    ProtobufCAllocator allocator; /* its data is this struct, which must not move */
    struct arena *arena;
    size_t left;
    bool failed; /* more was wanted */
};
void v3_memory_init(struct v3_memory *m, struct arena *arena, size_t limit);

/* A message from its bytes, checked: NULL and *ret tells what is wrong with them. */
ProtobufCMessage *v3_unpack(const ProtobufCMessageDescriptor *d, str bytes, struct arena *arena,
                            struct v3_reply *ret);
/* Its bytes, in the arena; ptr NULL: out of memory. */
str v3_pack(const ProtobufCMessage *m, struct arena *arena);

/* ---- wire format (v3_wire.c) ---- */

struct wire_field {
    uint32_t number;
    unsigned type;  /* 0 a number, 2 bytes; 1 and 5: fixed, without a value here */
    uint64_t value; /* of type 0 */
    str bytes;      /* of type 2 */
};
/* The next field of a message: 1, 0 the end, -1 it is damaged. */
int wire_next(str *rest, struct wire_field *ret);
/* protobuf-c does not look into texts: they must be UTF-8 (ERR_FORMAT) without NUL bytes (ERR_UNSUPPORTED), and fields be whole (ERR_FORMAT). The
 * text names the field. Depth is that of the types. */
int wire_check(const ProtobufCMessageDescriptor *d, str bytes, struct err *e);

/* ---- JSON (v3_json.c), as spec/api-v3.md 3 has it ---- */

void v3_json_write(const ProtobufCMessage *m, struct buf *out);
/* NULL: e->text is for the client; ERR_OOM: it is too large. Nothing at all is an empty message. What follows the value is not looked at, as Clair's
 * gateway did. */
ProtobufCMessage *v3_json_read(const ProtobufCMessageDescriptor *d, str text, struct v3_memory *memory,
                               struct err *e);
/* A field of a message by a text, as a query has it. False: e->text is for the client. A name that is no field is fine. */
bool v3_json_set(ProtobufCMessage *m, str name, str value, struct v3_memory *memory, struct err *e);
