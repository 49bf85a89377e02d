/* fuzz_frames.c - the frames of an indexing worker as the parent sees them: type, u16 length, body, and so on. */
#include "base/cleanup.h"
#include "index/archive.h"
#include "index/layer.h"

#define MEMORY ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(MEMORY);
    CLEANUP(layer_builder_done) struct layer_builder b = { .arena = arena };
    int r = arena ? 0 : -1;
    while (r == 0 && size >= 3) {
        struct err e = { 0 };
        struct archive_member m;
        size_t n = data[1] | (size_t)data[2] << 8;
        n = n < size - 3 ? n : size - 3;
        str body = str_of(data + 3, n);
        if (data[0] == INDEX_MEMBER)
            r = archive_member_read(body, &m, &e);
        else
            r = layer_builder_frame(&b, data[0], body, &e);
        if ((r < 0) != (e.kind != ERR_NONE))
            abort();
        data += 3 + n;
        size -= 3 + n;
    }
    for (size_t i = 0; i < b.layer.entry_count; i++)
        if (b.layer.entries[i].path.len > size + 65536)
            abort();
    return 0;
}
