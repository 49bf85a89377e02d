/* ignore_whitelist.c - clair-scanner's whitelist: which vulnerabilities are approved, for every image or for one (spec/clair-scanner.md 5). */
#include "base/cleanup.h"
#include "policy/ignore_reader.h"

#include <stdio.h>

struct whitelist {
    whitelist_take *take;
    void *ctx;
    struct buf *why;
};

/* What is not of the shape: in the words of gopkg.in/yaml.v2, all of it. */
static void misshapen(struct buf *why, const struct yaml *y, const char *wanted)
{
    const char *is = y->type == YAML_LIST ? "!!seq" : y->type == YAML_MAP ? "!!map" : "!!str";
    if (!why->len)
        buf_str(why, STR("yaml: unmarshal errors:"));
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

/* What does not count must have the shape, too. */
static void take_names(struct whitelist *w, const struct yaml *map, str image, bool counts)
{
    if (!map || !is_shape(w->why, map, YAML_MAP, "map[string]string"))
        return;
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_pair *p = &map->pairs[i];
        is_shape(w->why, p->value, YAML_SCALAR, "string");
        struct whitelist_entry entry = { image, p->key, p->value->text, p->line };
        if (counts && !w->take(w->ctx, &entry))
            w->why->failed = true;
    }
}

static bool put_last(struct strmap *m, const struct yaml_pair *p)
{
    void **at = strmap_at(m, p->key);
    if (at)
        *at = (void *)p;
    return at;
}

static void take_all(struct whitelist *w, const struct yaml *top)
{
    CLEANUP(strmap_done) struct strmap last = { 0 };
    if (!is_shape(w->why, top, YAML_MAP, "main.vulnerabilitiesWhitelist"))
        return;
    take_names(w, yaml_get(top, STR("generalwhitelist")), STR(""), true);
    const struct yaml *images = yaml_get(top, STR("images"));
    if (!images || !is_shape(w->why, images, YAML_MAP, "map[string]map[string]string"))
        return;
    for (size_t i = 0; i < images->count; i++) /* of a key that comes twice the last value counts */
        if (!put_last(&last, &images->pairs[i]))
            w->why->failed = true;
    for (size_t i = 0; i < images->count; i++) {
        const struct yaml_pair *p = &images->pairs[i];
        take_names(w, p->value, p->key, p->key.len && strmap_get(&last, p->key) == p);
    }
}

int whitelist_read(str bytes, struct arena *arena, whitelist_take *take, void *ctx, struct buf *why)
{
    struct err e = { 0 };
    struct whitelist w = { take, ctx, why };
    struct yaml *top = yaml_read(bytes, arena, &e);
    if (!top)
        buf_printf(why, "yaml: %s", e.text);
    else
        take_all(&w, top);
    return why->len || why->failed ? -1 : 0;
}

/* ---- as rules ---- */

struct taking {
    const struct reader *r;
    struct err *e;
};

static bool take_rule(void *ctx, const struct whitelist_entry *entry)
{
    struct taking *t = ctx;
    struct ignore_rule rule = {
        .id = entry->id, .image = entry->image, .reason = entry->reason, .by = reader_place(t->r, entry->line)
    };
    return !entry->id.len || reader_add(t->r, &rule, t->e) == 0;
}

/* Of several lines one. */
static void join_lines(str lines, struct buf *ret)
{
    for (str line; lines.len;) {
        line = str_trim(str_line(&lines));
        buf_str(ret, line);
        if (lines.len)
            buf_str(ret, str_ends(line, STR(":")) ? STR(" ") : STR("; "));
    }
    buf_char(ret, '\0');
}

int read_whitelist(const struct reader *r, str bytes, struct err *e)
{
    struct err inner = { 0 };
    CLEANUP(buf_done) struct buf why = { 0 };
    struct taking t = { r, &inner };
    if (whitelist_read(bytes, r->list->arena, take_rule, &t, &why) == 0)
        return 0;
    if (inner.kind) {
        *e = inner;
        return -1;
    }
    CLEANUP(buf_done) struct buf line = { 0 };
    join_lines(buf_view(&why), &line);
    return why.failed || line.failed ? err_set(e, ERR_OOM, "%s", r->file)
                                     : reader_fail(r, 0, e, "%s", line.ptr);
}
