/* push_whitelist.c - which vulnerabilities a file approves, for every image or for one (spec/clair-scanner.md 5). */
#include "base/cleanup.h"
#include "cmd/push.h"
#include "codec/yaml.h"

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

/* What is not of the shape: in the words of gopkg.in/yaml.v2, all of it. */
static void misshapen(struct buf *why, const struct yaml *y, const char *wanted)
{
    const char *is = y->type == YAML_LIST ? "!!seq" : y->type == YAML_MAP ? "!!map" : "!!str";
    if (!why->len)
        buf_str(why, STR("could not unmarshal yaml: unmarshal errors:"));
    buf_printf(why, "\n  line %u: cannot unmarshal %s", y->line, is);
    if (y->type == YAML_SCALAR) {
        char text[64];
        err_clean(text, sizeof text, y->text.len ? y->text.ptr : "");
        bool cut = y->text.len > 10;
        str shown = str_head(str_from(text), cut ? 7 : y->text.len);
        buf_printf(why, " `" STR_FMT "%s`", STR_ARG(shown), cut ? "..." : "");
    }
    buf_printf(why, " into %s", wanted);
}

static bool is_shape(struct buf *why, const struct yaml *y, enum yaml_type type, const char *wanted)
{
    bool good = !y || y->type == type || y->type == YAML_NULL;
    if (!good)
        misshapen(why, y, wanted);
    return good;
}

static void take_names(struct buf *why, const struct yaml *map, struct strmap *ret)
{
    if (!map || !is_shape(why, map, YAML_MAP, "map[string]string"))
        return;
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_pair *p = &map->pairs[i];
        is_shape(why, p->value, YAML_SCALAR, "string");
        void **at = ret ? strmap_at(ret, p->key) : NULL;
        if (at)
            *at = (void *)p;
        else if (ret)
            why->failed = true;
    }
}

static void take_all(struct buf *why, const struct yaml *top, str image, struct strmap *ret)
{
    if (!is_shape(why, top, YAML_MAP, "main.vulnerabilitiesWhitelist"))
        return;
    take_names(why, yaml_get(top, STR("generalwhitelist")), ret);
    const struct yaml *images = yaml_get(top, STR("images"));
    if (!images || !is_shape(why, images, YAML_MAP, "map[string]map[string]string"))
        return;
    const struct yaml *ours = yaml_get(images, image);
    for (size_t i = 0; i < images->count; i++) { /* those of others must have the shape too */
        const struct yaml *y = images->pairs[i].value;
        take_names(why, y, y == ours ? ret : NULL);
    }
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
    struct yaml *top = yaml_read(bytes, arena, &e);
    if (!top)
        buf_printf(why, "could not unmarshal yaml: %s", e.text);
    else
        take_all(why, top, image, ret);
    return why->len || why->failed ? -1 : 0;
}
