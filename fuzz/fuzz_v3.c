/* What a client sends to API v3: a first byte chooses a message of clair.proto and how it comes, as protobuf or as JSON. What is taken must come out
 * as JSON and as protobuf, and in again, as the same. */
#include "api/v3_call.h"
#include "base/cleanup.h"

#include <stdlib.h>

#define MEMORY ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &coreos__clair__post_ancestry_request__descriptor,
    &coreos__clair__get_notification_request__descriptor,
    &coreos__clair__get_ancestry_response__descriptor,
    &coreos__clair__get_notification_response__descriptor,
    &coreos__clair__get_ancestry_request__descriptor,
    &coreos__clair__get_status_response__descriptor,
    &coreos__clair__mark_notification_as_read_request__descriptor,
};
#define TYPES (sizeof types / sizeof *types)

static void set_fields(const ProtobufCMessageDescriptor *d, str bytes, struct v3_memory *memory)
{
    str name = str_cut(&bytes, '=');
    struct err e = { 0 };
    ProtobufCMessage *m = v3_json_read(d, STR(""), memory, &e);
    if (!m || v3_json_set(m, name, bytes, memory, &e) == (e.kind != ERR_NONE))
        abort();
}

/* NULL: out of memory. */
static ProtobufCMessage *by_json(const ProtobufCMessage *m, struct v3_memory *memory, struct buf *text)
{
    struct err e = { 0 };
    v3_json_write(m, text);
    ProtobufCMessage *again = v3_json_read(m->descriptor, buf_view(text), memory, &e);
    if (!again && e.kind != ERR_OOM)
        abort();
    return again;
}

static ProtobufCMessage *by_wire(const ProtobufCMessage *m, struct arena *arena)
{
    struct v3_reply why = { 0 };
    str packed = v3_pack(m, arena);
    ProtobufCMessage *again = packed.ptr ? v3_unpack(m->descriptor, packed, arena, &why) : NULL;
    if (packed.ptr && !again && why.code != GRPC_RESOURCE_EXHAUSTED)
        abort();
    return again;
}

/* A time that JSON cannot tell is null, and then nothing: so the second text is compared with the third. */
static void there_and_back(const ProtobufCMessage *m, struct v3_memory *memory)
{
    CLEANUP(buf_done) struct buf first = { 0 }, second = { 0 }, third = { 0 };
    const ProtobufCMessage *again = by_json(m, memory, &first);
    again = again ? by_wire(again, memory->arena) : NULL;
    again = again ? by_json(again, memory, &second) : NULL;
    if (!again)
        return;
    v3_json_write(again, &third);
    if (!str_eq(buf_view(&second), buf_view(&third)))
        abort();
    if (!str_contains(buf_view(&first), STR("null")) && !str_eq(buf_view(&first), buf_view(&second)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena || !size)
        return 0;
    str bytes = { (const char *)data + 1, size - 1 };
    const ProtobufCMessageDescriptor *d = types[data[0] / 4 % TYPES];
    struct v3_memory memory;
    struct v3_reply why = { 0 };
    struct err e = { 0 };
    v3_memory_init(&memory, arena, MEMORY);
    ProtobufCMessage *m = NULL;
    switch (data[0] % 4) {
    case 0:
        m = v3_unpack(d, bytes, arena, &why);
        if (!m == (why.code == GRPC_OK))
            abort();
        break;
    case 1:
        set_fields(d, bytes, &memory);
        break;
    default:
        m = v3_json_read(d, bytes, &memory, &e);
        if (!m == (e.kind == ERR_NONE))
            abort();
    }
    if (m)
        there_and_back(m, &memory);
    return 0;
}
