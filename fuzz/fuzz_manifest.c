/* fuzz_manifest.c - the small files of an image. The input is "path\n" and content, separated by NUL bytes. */
#include "base/cleanup.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct image_files files;
    str bytes;
};

static int read_file(struct image_files *f, str path, struct arena *arena, str *ret, struct err *e)
{
    (void)arena, (void)e;
    for (str rest = ((struct input *)f)->bytes; rest.len;) {
        str content = str_cut(&rest, '\0');
        if (!str_eq(str_cut(&content, '\n'), path))
            continue;
        *ret = content;
        return 1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    struct input in = { { read_file }, str_of(data, size) };
    struct image_manifest m;
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    /* the first byte chooses: this machine's platform, or one that must be there */
    struct image_platform platform = image_platform_here();
    if (size && (data[0] & 1))
        image_platform_parse(STR("linux/arm/v7"), &platform, &e);
    int r = image_manifest_read(&in.files, &platform, arena, &m, &e);
    if ((r < 0) != (e.kind != ERR_NONE))
        abort();
    for (size_t i = 0; r == 0 && i < m.layer_count; i++)
        if (m.layers[i].digest.len != 71)
            abort();
    return 0;
}
