/* What a client sends to REST v1: a first byte chooses a layer's body or a path. */
#include "api/path.h"
#include "api/v1_layer.h"
#include "base/cleanup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body(str bytes, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    struct err e = { 0 };
    struct v1_layer layer;
    struct request r = { .body = bytes, .arena = arena };
    int result = v1_layer_read(&r, &layer, &e);
    if ((result < 0) != (e.kind != ERR_NONE))
        abort();
    if (result < 0)
        return;
    for (size_t i = 1; i < layer.header_count; i++)
        if (str_cmp(layer.headers[i - 1].key, layer.headers[i].key) >= 0)
            abort();
    /* what is answered is the same object again, where its texts are UTF-8 */
    v1_layer_write(&layer, 3, &out);
    struct v1_layer again;
    struct request echo = { .body = buf_view(&out), .arena = arena };
    if (v1_layer_read(&echo, &again, &e) < 0 || again.header_count > layer.header_count)
        abort();
    if (str_utf8(layer.name) && !str_eq(layer.name, again.name))
        abort();
}

static void path(str bytes, struct arena *arena)
{
    str decoded, clean = path_clean(bytes, arena);
    if (!clean.len || clean.ptr[0] != '/' || !str_eq(path_clean(clean, arena), clean))
        abort();
    if (path_decode(bytes, arena, &decoded) &&
        (decoded.len > bytes.len || memchr(decoded.ptr, 0, decoded.len)))
        abort();
    query_has(bytes, STR("features"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena || !size)
        return 0;
    str bytes = { (const char *)data + 1, size - 1 };
    (data[0] == 'p' ? path : body)(bytes, arena);
    return 0;
}
