/* fuzz_layer.c - a whole layer as the worker sees it: inflate, tar, detectors, frames; also when links made other places wanted. */
#include "base/cleanup.h"
#include "index/layer.h"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(str data, str aliases)
{
    static int null = -1;
    if (null < 0)
        null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct err e = { 0 };
    struct layer_sums sums;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(data, &e);
    CLEANUP(frame_writer_freep) struct frame_writer *out = frame_writer_new(null);
    if (!in || !out)
        return;
    int r = layer_walk(in, HASH_STORED | HASH_DIFF, aliases, out, &sums, &e);
    if ((r < 0) != (e.kind != ERR_NONE) || (r == 0 && (strlen(sums.stored) != 64 || strlen(sums.diff) != 64)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct alias aliases[] = { { { "opt", 3 }, { "var/lib/dpkg", 12 } },
                                            { { "a/b", 3 }, { "etc/os-release", 14 } },
                                            { { "d", 1 }, { "var", 3 } } };
    CLEANUP(buf_done) struct buf packed = { 0 };
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        alias_pack(&packed, &aliases[i]);
    walk(str_of(data, size), STR(""));
    walk(str_of(data, size), buf_view(&packed));
    return 0;
}
