/* What a client sends to REST v1: a first byte chooses a body, of a layer, a vulnerability or a fix, a page token, or a path. */
#include "api/path.h"
#include "api/v1_layer.h"
#include "api/v1_vulnerability.h"
#include "base/cleanup.h"
#include "codec/fernet.h"

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

/* Written and read once more it is the same, byte for byte. */
static void vulnerability(str bytes, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = { 0 }, once_more = { 0 };
    struct err e = { 0 };
    struct v1_vulnerability v, again;
    struct request r = { .body = bytes, .arena = arena };
    int result = v1_vulnerability_read(&r, &v, &e);
    if ((result < 0) != (e.kind != ERR_NONE))
        abort();
    if (result < 0)
        return;
    struct json_writer w = { .out = &out, .go = true }, w2 = { .out = &once_more, .go = true };
    buf_str(&out, STR("{\"Vulnerability\":"));
    v1_vulnerability_write(&w, &v, true);
    buf_char(&out, '}');
    struct request echo = { .body = buf_view(&out), .arena = arena };
    if (v1_vulnerability_read(&echo, &again, &e) < 0 || again.fixed_in_count != v.fixed_in_count)
        abort();
    buf_str(&once_more, STR("{\"Vulnerability\":"));
    v1_vulnerability_write(&w2, &again, true);
    buf_char(&once_more, '}');
    /* what is no UTF-8 is read as bytes, and written as U+FFFD: keys of Metadata then stand in another order */
    if (str_utf8(bytes) && !str_eq(buf_view(&out), buf_view(&once_more)))
        abort();
}

static void fix(str bytes, struct arena *arena)
{
    struct err e = { 0 };
    struct v1_fix f;
    struct request r = { .body = bytes, .arena = arena };
    if ((v1_fix_read(&r, &f, &e) < 0) != (e.kind != ERR_NONE))
        abort();
}

static void token(str bytes, struct arena *arena)
{
    static const uint8_t key[FERNET_KEY] = { 1, 2, 3 };
    struct err e = { 0 };
    str text;
    if (fernet_open(key, bytes, 1000000, 3600, arena, &text, &e) == 0)
        abort(); /* nobody can make one */
}

static void path(str bytes, struct arena *arena)
{
    str decoded, clean = path_clean(bytes, arena);
    if (!clean.len || clean.ptr[0] != '/' || !str_eq(path_clean(clean, arena), clean))
        abort();
    if (path_decode(bytes, arena, &decoded) &&
        (decoded.len > bytes.len || memchr(decoded.ptr, 0, decoded.len)))
        abort();
    str value;
    if (query_value(bytes, STR("page"), arena, &value) && !query_has(bytes, STR("page")))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena || !size)
        return 0;
    str bytes = { (const char *)data + 1, size - 1 };
    switch (data[0]) {
    case 'p':
        path(bytes, arena);
        break;
    case 'v':
        vulnerability(bytes, arena);
        break;
    case 'f':
        fix(bytes, arena);
        break;
    case 't':
        token(bytes, arena);
        break;
    default:
        body(bytes, arena);
        break;
    }
    return 0;
}
