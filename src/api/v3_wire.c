/* v3_wire.c - protobuf's wire format, as far as one must look at it before protobuf-c does (protobuf.dev/programming-guides/encoding). */
#include "api/v3_call.h"

#define DEPTH_MAX                                                                                            \
    16 /* of messages in messages: protobuf-c follows types that hold themselves without an end */

static bool take_varint(str *rest, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && rest->len; shift += 7) {
        uint8_t byte = (uint8_t)*rest->ptr;
        *rest = str_skip(*rest, 1);
        v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (!(byte & 0x80)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool take_bytes(str *rest, uint64_t n, str *ret)
{
    if (n > rest->len)
        return false;
    *ret = str_head(*rest, (size_t)n);
    *rest = str_skip(*rest, (size_t)n);
    return true;
}

int wire_next(str *rest, struct wire_field *ret)
{
    uint64_t tag, n;
    if (!rest->len)
        return 0;
    *ret = (struct wire_field){ 0 };
    if (!take_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        return -1;
    ret->number = (uint32_t)(tag >> 3);
    ret->type = tag & 7;
    if (ret->type == 0)
        return take_varint(rest, &ret->value) ? 1 : -1;
    if (ret->type == 2)
        return take_varint(rest, &n) && take_bytes(rest, n, &ret->bytes) ? 1 : -1;
    bool fixed = ret->type == 1 || ret->type == 5;
    return fixed && take_bytes(rest, ret->type == 1 ? 8 : 4, &ret->bytes) ? 1 : -1;
}

static int check_text(str text, struct err *e)
{
    if (str_find(text, '\0') >= 0)
        return err_set(e, ERR_UNSUPPORTED, "a text with a NUL byte");
    return str_utf8(text) ? 0 : err_set(e, ERR_FORMAT, "string field contains invalid UTF-8");
}

static int check(const ProtobufCMessageDescriptor *d, str bytes, unsigned depth, struct err *e)
{
    struct wire_field field;
    int more, r = 0;
    if (depth == DEPTH_MAX)
        return err_set(e, ERR_FORMAT, "messages are nested deeper than %u", DEPTH_MAX);
    while ((more = wire_next(&bytes, &field)) > 0) {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, field.number);
        if (!f || field.type != 2)
            continue; /* another type than it should have: protobuf-c refuses it */
        if (f->type == PROTOBUF_C_TYPE_STRING)
            r = check_text(field.bytes, e);
        else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
            r = check(f->descriptor, field.bytes, depth + 1, e);
        if (r < 0)
            return err_wrap(e, "%s", f->name);
    }
    return more < 0 ? err_set(e, ERR_FORMAT, "unexpected EOF") : 0;
}

int wire_check(const ProtobufCMessageDescriptor *d, str bytes, struct err *e)
{
    return check(d, bytes, 0, e);
}
