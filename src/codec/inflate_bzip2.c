/* bzip2 by libbz2; its largest block is 900 kB, so it needs no window limit. */
#include "codec/decoder.h"

#include <bzlib.h>
#include <stdlib.h>

#define IN_MAX ((size_t)1 << 30) /* libbz2 counts in 32 bits */

static int begin(bz_stream *z, struct err *e)
{
    *z = (bz_stream){ 0 };
    return BZ2_bzDecompressInit(z, 0, 0) == BZ_OK ? 0 : err_set(e, ERR_OOM, "out of memory");
}

static void *open_bzip2(uint64_t max_window, struct err *e)
{
    bz_stream *z = malloc(sizeof *z);
    if (!z) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    if (begin(z, e) < 0) {
        free(z);
        return NULL;
    }
    return z;
}

static int step(void *state, str *in, bool last, str room, size_t *made, struct err *e)
{
    bz_stream *z = state;
    str now = str_head(*in, IN_MAX);
    z->next_in = (char *)now.ptr;
    z->avail_in = (unsigned)now.len;
    z->next_out = (char *)room.ptr;
    z->avail_out = (unsigned)room.len;
    int r = BZ2_bzDecompress(z);
    *in = str_skip(*in, now.len - z->avail_in);
    *made = room.len - z->avail_out;
    if (r == BZ_OK || r == BZ_STREAM_END)
        return r == BZ_OK;
    return r == BZ_MEM_ERROR ? err_set(e, ERR_OOM, "out of memory") : err_set(e, ERR_FORMAT, "invalid data");
}

static int again(void *state, struct err *e)
{
    BZ2_bzDecompressEnd(state);
    return begin(state, e);
}

static void close_bzip2(void *state)
{
    BZ2_bzDecompressEnd(state);
    free(state);
}

/* "BZh", the block size, then the mark of a first block or of an empty stream: the name of a tar's first member
 * could well begin with "BZh". */
const struct codec codec_bzip2 = {
    .name = "bzip2",
    .magics = { { 10,
                  { 'B', 'Z', 'h', 0, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59 },
                  { 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
                { 10,
                  { 'B', 'Z', 'h', 0, 0x17, 0x72, 0x45, 0x38, 0x50, 0x90 },
                  { 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } } },
    .open = open_bzip2,
    .step = step,
    .again = again,
    .close = close_bzip2,
};
