/* push_whitelist.c - which vulnerabilities a file approves, for every image or for one (spec/clair-scanner.md 5). */
#include "base/cleanup.h"
#include "cmd/push.h"
#include "codec/yaml.h"
#include "policy/ignore.h"

#include <errno.h>
#include <fcntl.h>

static int read_file(const char *path, struct buf *ret, struct err *e)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return push_go_error(e, "open", path);
    for (;;) {
        char *room = buf_reserve(ret, 64 << 10);
        if (!room)
            return err_set(e, ERR_LIMIT, "read %s: more than %zu MiB", path, YAML_MAX >> 20);
        ssize_t n = read(fd, room, 64 << 10);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? push_go_error(e, "read", path) : 0;
        ret->len += (size_t)n;
    }
}

struct taking {
    str image;
    struct strmap *ret;
};

static bool take(void *ctx, const struct whitelist_entry *entry)
{
    struct taking *t = ctx;
    if (entry->image.len && !str_eq(entry->image, t->image))
        return true;
    void **at = strmap_at(t->ret, entry->id);
    if (at)
        *at = t;
    return at;
}

int push_whitelist_read(const char *path, str image, struct arena *arena, struct strmap *ret, struct buf *why)
{
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf text = { .max = YAML_MAX + (64 << 10) };
    if (read_file(path, &text, &e) < 0) {
        buf_printf(why, "could not read file %s", e.text);
        return -1;
    }
    str bytes = arena_dup(arena, buf_view(&text));
    struct taking t = { image, ret };
    CLEANUP(buf_done) struct buf said = { 0 };
    if (whitelist_read(bytes, arena, take, &t, &said) == 0)
        return 0;
    buf_printf(why, "could not unmarshal " STR_FMT, STR_ARG(buf_view(&said)));
    why->failed |= said.failed;
    return -1;
}
