#include "codec/gzip.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

#define IN_MAX ((size_t)1 << 30) /* ISA-L counts in 32 bits */
#define ROOM   ((size_t)32 << 10)

/* Everything that packing needs, in one piece of memory: too large for a small stack. */
struct packer {
    struct isal_zstream z;
    uint8_t level[ISAL_DEF_LVL1_SMALL];
};

static void pack(struct packer *p, str bytes, struct buf *ret)
{
    isal_deflate_init(&p->z);
    p->z.avail_in = 0; /* left as it is by isal_deflate_init() */
    p->z.level = 1;
    p->z.level_buf = p->level;
    p->z.level_buf_size = sizeof p->level;
    p->z.gzip_flag = IGZIP_GZIP;
    do {
        if (!p->z.avail_in) {
            str now = str_head(bytes, IN_MAX);
            bytes = str_skip(bytes, now.len);
            p->z.next_in = (uint8_t *)now.ptr;
            p->z.avail_in = (uint32_t)now.len;
            p->z.end_of_stream = !bytes.len;
        }
        char *room = buf_reserve(ret, ROOM);
        if (!room)
            return;
        p->z.next_out = (uint8_t *)room;
        p->z.avail_out = ROOM;
        if (isal_deflate(&p->z) != COMP_OK) {
            ret->failed = true;
            return;
        }
        ret->len += ROOM - p->z.avail_out;
    } while (p->z.internal_state.state != ZSTATE_END);
}

void gzip_pack(str bytes, struct buf *ret)
{
    struct packer *p = malloc(sizeof *p);
    if (p)
        pack(p, bytes, ret);
    else
        ret->failed = true;
    free(p);
}
