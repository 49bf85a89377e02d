/* jwtproxy_load.c - a file for the proxies alone. */
#include "config/jwtproxy.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/yaml.h"
#include "config/internal.h"

struct warnings {
    struct arena *arena;
    str *list;
    size_t count;
};

static void keep_warning(void *ctx, str text)
{
    struct warnings *w = ctx;
    if (w->list && w->count < CONFIG_WARNINGS)
        w->list[w->count++] = text;
}

static str find_database(const struct yaml *root)
{
    const struct yaml *clair = yaml_get(root, STR("clair")),
                      *database = clair ? yaml_get(clair, STR("database")) : NULL;
    const struct yaml *type = database ? yaml_get(database, STR("type")) : NULL;
    const struct yaml *options = database ? yaml_get(database, STR("options")) : NULL;
    const struct yaml *source = options ? yaml_get(options, STR("source")) : NULL;
    bool shared = type && source && str_eq(type->text, STR("pgsql")) && source->type == YAML_SCALAR;
    return shared ? source->text : STR("");
}

int jwtproxy_load(const char *path, struct arena *arena, struct jwtproxy_file *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf bytes = { .max = YAML_MAX + (1 << 16) };
    struct warnings w = { arena, arena_array(arena, str, CONFIG_WARNINGS), 0 };
    const struct jwtproxy_reading r = { path ? path : "configuration", arena, keep_warning, &w };
    const struct yaml *root = NULL;
    *ret = (struct jwtproxy_file){ 0 };
    if (path && buf_read_file(&bytes, path, e) < 0)
        return -1;
    if (path && !(root = yaml_read(arena_dup(arena, buf_view(&bytes)), arena, e)))
        return err_wrap(e, "%s", path);
    const struct yaml *section = root ? yaml_get(root, STR("jwtproxy")) : NULL;
    if (root && !section)
        keep_warning(&w, arena_printf(arena, "%s: no section 'jwtproxy'", path));
    ret->proxy = jwtproxy_read(section, &r, e);
    ret->database = root ? find_database(root) : STR("");
    ret->warnings = w.list;
    ret->warning_count = w.count;
    return ret->proxy ? 0 : -1;
}
