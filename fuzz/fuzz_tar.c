/* Whatever the bytes: the walk ends, its members are as promised, and it is the same in large and in small pieces. */
#include "base/cleanup.h"
#include "codec/sha256.h"
#include "image/tar.h"
#include "pieces.h"

static void check(const struct tar_member *m)
{
    bool escapes = false;
    for (str rest = m->path; rest.len;) {
        str part = str_cut(&rest, '/');
        if (!part.len || str_eq(part, STR(".")) || str_find(part, '\0') >= 0)
            abort();
        escapes |= str_eq(part, STR(".."));
    }
    if (escapes != m->escapes || m->path.len > 200 || m->link.len > 200 || (m->size && m->type != TAR_FILE) ||
        (m->link.len && m->type != TAR_SYMLINK && m->type != TAR_HARDLINK) || str_ends(m->path, STR("/")))
        abort();
}

/* Up to 64 KiB of the content go into the sum: those of a hole cost no input. */
static int read_some(struct tar *t, const struct tar_member *m, struct sha256 *sum, struct err *e)
{
    uint64_t got = 0;
    str part;
    int r = 1;
    while (got < 65536 && (r = tar_chunk(t, &part, e)) > 0) {
        if (!part.len)
            abort();
        sha256_add(sum, part.ptr, got + part.len < 65536 ? part.len : 65536 - got);
        got += part.len;
    }
    if ((r == 0 && got != m->size) || got > m->size)
        abort();
    return r;
}

static int walk(str bytes, size_t step, char hex[65], struct err *e)
{
    struct pieces source = { { pieces_next, NULL }, bytes, step };
    struct tar_limits limits = { .max_members = 1000, .max_path = 200 };
    CLEANUP(tar_freep) struct tar *t = tar_new(&source.s, &limits, e);
    CLEANUP(sha256_freep) struct sha256 *sum = sha256_new(e);
    struct tar_member m;
    int r;
    for (unsigned i = 0; (r = tar_next(t, &m, e)) > 0; i++) {
        check(&m);
        sha256_add(sum, m.path.ptr, m.path.len);
        sha256_add(sum, m.link.ptr, m.link.len);
        sha256_add(sum, &m.size, sizeof m.size);
        sha256_add(sum, &m.offset, sizeof m.offset);
        sha256_add(sum, &m.type, sizeof m.type);
        if (m.type == TAR_FILE && i % 3 != 2) /* some are skipped */
            read_some(t, &m, sum, e);
    }
    sha256_hex(sum, hex);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char large[65], small[65];
    struct err e = { 0 }, f = { 0 };
    int r = walk(str_of(data, size), SIZE_MAX, large, &e);
    if (walk(str_of(data, size), 37, small, &f) != r || strcmp(large, small) || strcmp(e.text, f.text))
        abort();
    return 0;
}
