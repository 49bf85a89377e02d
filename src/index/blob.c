#include "index/blob.h"

#include "base/cleanup.h"
#include "codec/sha256.h"
#include "index/layer.h"

#include <strings.h>

bool blob_format_find(str name, enum blob_format *ret)
{
    bool docker = name.len == 6 && !strncasecmp(name.ptr, "docker", 6),
         aci = name.len == 3 && !strncasecmp(name.ptr, "aci", 3);
    *ret = aci ? BLOB_ACI : BLOB_DOCKER;
    return docker || aci;
}

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    return layer_builder_frame(ctx, type, body, e);
}

static int check(const struct layer_builder *b, str want, str digest, struct err *e)
{
    if (!b->ended || (!b->failure.kind && !*b->sums.stored))
        return err_set(e, ERR_CAGE, "worker sent no digest");
    if (digest_valid(want) && *b->sums.stored && !str_eq(want, digest))
        return err_set(e, ERR_DIGEST, "content is " STR_FMT ", but it is named " STR_FMT, STR_ARG(digest),
                       STR_ARG(want));
    if (b->failure.kind) {
        *e = b->failure;
        return -1;
    }
    return 0;
}

int index_blob(struct cage *c, const struct cage_input *in, enum blob_format format, str want,
               struct arena *arena, struct layer_index **ret, struct err *e)
{
    CLEANUP(layer_builder_done) struct layer_builder b = { .arena = arena };
    const char params = format == BLOB_ACI ? HASH_STORED | LAYER_BELOW_ROOTFS : HASH_STORED;
    if (cage_run(c, &index_layer_task, str_of(&params, 1), in, on_frame, &b, NULL, e) < 0)
        return -1;
    str digest = arena_printf(arena, "sha256:%s", b.sums.stored);
    if (check(&b, want, digest, e) < 0)
        return -1;
    b.layer.digest = format == BLOB_ACI ? arena_printf(arena, "aci:" STR_FMT, STR_ARG(digest)) : digest;
    struct layer_index *layer = arena_alloc(arena, 1, sizeof *layer);
    if (!layer || arena_failed(arena))
        return layer_memory_error(e);
    *layer = b.layer;
    *ret = layer;
    return 0;
}
