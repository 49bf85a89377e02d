/* Whatever the bytes: unpacking ends, and gives the same whether the input comes in large or in small pieces. */
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "codec/sha256.h"
#include "pieces.h"

static int unpack(str bytes, size_t step, const char **name, char hex[65])
{
    struct pieces source = { { pieces_next, NULL }, bytes, step };
    struct inflate_limits limits = { .max_out = 4 << 20, .max_window = 1 << 20 };
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(&source.s, &limits, name, &e);
    CLEANUP(stream_freep) struct stream *tap = plain ? stream_sha256(plain, NULL, &e) : NULL;
    int r = tap ? stream_drain(tap, &e) : -1;
    if ((r < 0) != (e.kind != ERR_NONE) || e.kind == ERR_INTERNAL || e.kind == ERR_IO)
        abort();
    if (r == 0)
        stream_sha256_hex(tap, hex);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char large[65] = "", small[65] = "";
    const char *name = "";
    int r = unpack(str_of(data, size), SIZE_MAX, &name, large);
    bool same = unpack(str_of(data, size), 5, &name, small) == r;
    /* libzstd looks at a frame's content size behind an empty last block only when it has the whole frame at once. */
    if (!same && strcmp(name, "zstd"))
        abort();
    if (same && strcmp(large, small))
        abort();
    return 0;
}
