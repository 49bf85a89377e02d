#include "codec/deflate_zstd.h"

#include <stdlib.h>
#include <zstd.h>

#define LEVEL      9
#define WINDOW_LOG 22
#define ROOM       (128u << 10)

struct deflate {
    deflate_put *put;
    void *ctx;
    ZSTD_CCtx *z;
    char room[ROOM];
};

void deflate_freep(struct deflate **d)
{
    if (*d)
        ZSTD_freeCCtx((*d)->z);
    free(*d);
    *d = NULL;
}

struct deflate *deflate_zstd(deflate_put *put, void *ctx, struct err *e)
{
    struct deflate *d = malloc(sizeof *d);
    if (d) {
        d->put = put;
        d->ctx = ctx;
        d->z = ZSTD_createCCtx();
        if (d->z && !ZSTD_isError(ZSTD_CCtx_setParameter(d->z, ZSTD_c_compressionLevel, LEVEL)) &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(d->z, ZSTD_c_windowLog, WINDOW_LOG)) &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(d->z, ZSTD_c_checksumFlag, 1)))
            return d;
    }
    deflate_freep(&d);
    err_set(e, ERR_OOM, "zstd: out of memory");
    return NULL;
}

static int step(struct deflate *d, str bytes, ZSTD_EndDirective how, struct err *e)
{
    ZSTD_inBuffer in = { bytes.ptr, bytes.len, 0 };
    size_t left;
    do {
        ZSTD_outBuffer out = { d->room, ROOM, 0 };
        left = ZSTD_compressStream2(d->z, &out, &in, how);
        if (ZSTD_isError(left))
            return err_set(e, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
        if (out.pos && d->put(d->ctx, str_of(d->room, out.pos), e) < 0)
            return -1;
    } while (in.pos < in.size || (how == ZSTD_e_end && left));
    return 0;
}

int deflate_add(struct deflate *d, str bytes, struct err *e)
{
    return bytes.len ? step(d, bytes, ZSTD_e_continue, e) : 0;
}

int deflate_end(struct deflate *d, struct err *e) { return step(d, STR(""), ZSTD_e_end, e); }
