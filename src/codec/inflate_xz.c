/* xz (file format 1.2) by liblzma, which reads concatenated streams and their padding by itself. */
#include "codec/decoder.h"

#include <lzma.h>
#include <stdlib.h>

#define OVERHEAD ((uint64_t)1 << 20) /* of the decoder itself beside its dictionary */

static void close_xz(void *state)
{
    lzma_end(state);
    free(state);
}

static void *open_xz(uint64_t max_window, struct err *e)
{
    lzma_stream *z = calloc(1, sizeof *z);
    uint64_t limit = max_window > UINT64_MAX - OVERHEAD ? UINT64_MAX : max_window + OVERHEAD;
    if (!z || lzma_stream_decoder(z, limit, LZMA_CONCATENATED) != LZMA_OK) {
        free(z);
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    return z;
}

static int explain(lzma_ret r, struct err *e)
{
    if (r == LZMA_MEMLIMIT_ERROR)
        return err_set(e, ERR_LIMIT, "dictionary larger than the limit");
    if (r == LZMA_MEM_ERROR)
        return err_set(e, ERR_OOM, "out of memory");
    return err_set(e, ERR_FORMAT, "%s",
                   r == LZMA_BUF_ERROR       ? "truncated"
                   : r == LZMA_FORMAT_ERROR  ? "not an xz stream"
                   : r == LZMA_OPTIONS_ERROR ? "unknown option"
                                             : "invalid data");
}

static int step(void *state, str *in, bool last, str room, size_t *made, struct err *e)
{
    lzma_stream *z = state;
    z->next_in = (const uint8_t *)in->ptr;
    z->avail_in = in->len;
    z->next_out = (uint8_t *)room.ptr;
    z->avail_out = room.len;
    lzma_ret r = lzma_code(z, last ? LZMA_FINISH : LZMA_RUN);
    *in = str_skip(*in, in->len - z->avail_in);
    *made = room.len - z->avail_out;
    if (r == LZMA_OK || r == LZMA_STREAM_END)
        return r == LZMA_OK;
    return explain(r, e);
}

static int again(void *state, struct err *e) { return err_set(e, ERR_INTERNAL, "xz ended before its input"); }

const struct codec codec_xz = {
    .name = "xz",
    .magics = { { 6, { 0xfd, '7', 'z', 'X', 'Z', 0 }, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } } },
    .open = open_xz,
    .step = step,
    .again = again,
    .close = close_xz,
};
