/* Frames of gRPC: the first line of the input is a grpc-encoding, what follows a body. Whatever comes out fits, and can be packed and read again. */
#include "net/grpc.h"
#include "net/server_internal.h"

#include "base/cleanup.h"

static void again(const struct request *r, str message)
{
    struct exchange x = { .headers = ((const struct exchange *)r)->headers, .header_count = 2 };
    enum grpc_code code;
    const char *why;
    str got;
    CLEANUP(buf_done) struct buf out = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    x.headers[0].value = STR("gzip");
    x.r.arena = arena;
    if (!arena || !grpc_frame(&x.r, message, &out))
        return;
    x.r.body = buf_view(&out);
    if (grpc_message(&x.r, &got, &code, &why) < 0 || !str_eq(got, message))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str rest = str_of((const char *)data, size), encoding = str_cut(&rest, '\n'), message = { 0 };
    struct header headers[] = { { STR("grpc-encoding"), encoding },
                                { STR("grpc-accept-encoding"), encoding } };
    struct exchange x = { .headers = headers, .header_count = 2 };
    enum grpc_code code = GRPC_OK;
    const char *why = NULL;
    size_t at = 0;
    int more;
    x.r.arena = arena_new(64 << 20);
    x.r.body = rest;
    grpc_timeout(&x.r);
    while (x.r.arena && (more = grpc_next(&x.r, &at, &message, &code, &why)) > 0)
        if (message.len > GRPC_MESSAGE_MAX || at > rest.len)
            abort();
    if (x.r.arena && more < 0 && (!why || code == GRPC_OK))
        abort();
    if (message.ptr)
        again(&x.r, message);
    arena_freep(&x.r.arena);
    return 0;
}
