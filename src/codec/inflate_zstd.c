/* zstd (RFC 8878) by libzstd. Skippable frames are frames without output. */
#include "codec/decoder.h"

#include <zstd.h>
#include <zstd_errors.h>

static int window_log(uint64_t max_window)
{
    int log = 63 - __builtin_clzll(max_window);
    ZSTD_bounds b = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    return log < b.lowerBound ? b.lowerBound : log > b.upperBound ? b.upperBound : log;
}

static void *open_zstd(uint64_t max_window, struct err *e)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();
    if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, window_log(max_window)))) {
        ZSTD_freeDCtx(z);
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    return z;
}

static int explain(size_t r, struct err *e)
{
    switch (ZSTD_getErrorCode(r)) {
    case ZSTD_error_frameParameter_windowTooLarge:
        return err_set(e, ERR_LIMIT, "window larger than the limit");
    case ZSTD_error_memory_allocation:
        return err_set(e, ERR_OOM, "out of memory");
    default: /* the rest of a long list of another project */
        return err_set(e, ERR_FORMAT, "%s", ZSTD_getErrorName(r));
    }
}

static int step(void *state, str *in, bool last, str room, size_t *made, struct err *e)
{
    ZSTD_inBuffer from = { in->ptr, in->len, 0 };
    ZSTD_outBuffer to = { (void *)room.ptr, room.len, 0 };
    size_t r = ZSTD_decompressStream(state, &to, &from);
    *in = str_skip(*in, from.pos);
    *made = to.pos;
    if (ZSTD_isError(r))
        return explain(r, e);
    return r != 0;
}

/* libzstd begins the next frame by itself. That a frame begins with the magic's first byte was checked by inflate.c,
 * which keeps out the old formats before 0.8 (their first bytes differ), whose decoders know no window limit. */
static int again(void *state, struct err *e) { return 0; }

static void close_zstd(void *state) { ZSTD_freeDCtx(state); }

const struct codec codec_zstd = {
    .name = "zstd",
    .magics = { { 4, { 0x28, 0xb5, 0x2f, 0xfd }, { 0xff, 0xff, 0xff, 0xff } },
                { 4, { 0x50, 0x2a, 0x4d, 0x18 }, { 0xf0, 0xff, 0xff, 0xff } } },
    .open = open_zstd,
    .step = step,
    .again = again,
    .close = close_zstd,
};
