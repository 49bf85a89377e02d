/* fuzz_layer.c - a whole layer as the worker sees it: inflate, tar, detectors, frames. */
#include "base/cleanup.h"
#include "index/layer.h"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int null = -1;
    if (null < 0)
        null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct err e = { 0 };
    struct layer_sums sums;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(str_of(data, size), &e);
    CLEANUP(frame_writer_freep) struct frame_writer *out = frame_writer_new(null);
    if (!in || !out)
        return 0;
    int r = layer_walk(in, HASH_STORED | HASH_DIFF, out, &sums, &e);
    if ((r < 0) != (e.kind != ERR_NONE) || (r == 0 && (strlen(sums.stored) != 64 || strlen(sums.diff) != 64)))
        abort();
    return 0;
}
