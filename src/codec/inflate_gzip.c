/* gzip (RFC 1952) by ISA-L. */
#include "codec/decoder.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

#define IN_MAX ((size_t)1 << 30) /* ISA-L counts in 32 bits */

struct gzip {
    struct inflate_state z;
    /* Ours, because isal_inflate() forgets the header's flags when the header is split between two calls. */
    struct isal_gzip_header header;
    bool in_body;
};

static int again(void *state, struct err *e)
{
    struct gzip *g = state;
    isal_inflate_reset(&g->z);
    g->z.crc_flag = ISAL_GZIP_NO_HDR_VER;
    isal_gzip_header_init(&g->header);
    g->in_body = false;
    return 0;
}

static void *open_gzip(uint64_t max_window, struct err *e)
{
    struct gzip *g = malloc(sizeof *g);
    if (!g) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    isal_inflate_init(&g->z);
    again(g, e);
    return g;
}

static int explain(int r, struct err *e)
{
    const char *what = r == ISAL_INVALID_BLOCK        ? "invalid block"
                       : r == ISAL_INVALID_SYMBOL     ? "invalid symbol"
                       : r == ISAL_INVALID_LOOKBACK   ? "invalid distance"
                       : r == ISAL_INVALID_WRAPPER    ? "invalid header"
                       : r == ISAL_UNSUPPORTED_METHOD ? "unknown method"
                       : r == ISAL_INCORRECT_CHECKSUM ? "wrong checksum"
                                                      : "invalid data";
    return err_set(e, ERR_FORMAT, "%s", what);
}

static int step(void *state, str *in, bool last, str room, size_t *made, struct err *e)
{
    struct gzip *g = state;
    str now = str_head(*in, IN_MAX);
    g->z.next_in = (uint8_t *)now.ptr;
    g->z.avail_in = (uint32_t)now.len;
    g->z.next_out = (uint8_t *)room.ptr;
    g->z.avail_out = (uint32_t)room.len;

    int r = g->in_body ? ISAL_DECOMP_OK : isal_read_gzip_header(&g->z, &g->header);
    g->in_body |= r == ISAL_DECOMP_OK;
    if (g->in_body)
        r = isal_inflate(&g->z);
    *in = str_skip(*in, now.len - g->z.avail_in);
    *made = room.len - g->z.avail_out;
    if (r < 0)
        return explain(r, e);
    return g->z.block_state !=
           ISAL_BLOCK_FINISH; /* the only sign of a whole member: truncation is no error to ISA-L */
}

const struct codec codec_gzip = {
    .name = "gzip",
    .magics = { { 2, { 0x1f, 0x8b }, { 0xff, 0xff } } },
    .open = open_gzip,
    .step = step,
    .again = again,
    .close = free,
};
