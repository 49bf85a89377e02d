#include "codec/yaml.h"

#include "base/strmap.h"

#include <yaml.h>

#define DEPTH_MAX 32
#define NODES_MAX 100000u

struct reading {
    yaml_parser_t parser;
    struct arena *arena;
    struct strmap anchors;
    size_t nodes;
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "yaml: out of memory"); }

static int next(struct reading *r, yaml_event_t *ret, struct err *e)
{
    if (yaml_parser_parse(&r->parser, ret))
        return 0;
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return oom(e);
    return err_set(e, ERR_FORMAT, "line %zu: %s", p->problem_mark.line + 1,
                   p->problem ? p->problem : "not YAML");
}

static str text_of(const yaml_event_t *ev, struct arena *arena)
{
    return arena_dup(arena, str_of(ev->data.scalar.value, ev->data.scalar.length));
}

/* What YAML 1.1 takes for null. */
static bool is_null(str s)
{
    return !s.len || str_eq(s, STR("~")) || str_eq(s, STR("null")) || str_eq(s, STR("Null")) ||
           str_eq(s, STR("NULL"));
}

static int anchor(struct reading *r, const yaml_char_t *name, struct yaml *node, struct err *e)
{
    if (!name)
        return 0;
    void **at = strmap_at(&r->anchors, arena_dup(r->arena, str_from((const char *)name)));
    if (!at || arena_failed(r->arena))
        return oom(e);
    *at = node;
    return 0;
}

static int node_of(struct reading *r, yaml_event_t *ev, unsigned depth, struct yaml **ret, struct err *e);

static int add(struct reading *r, struct yaml *to, size_t *cap, struct yaml_pair pair, struct err *e)
{
    struct yaml_pair *more = arena_grow(r->arena, to->pairs, to->count, cap, sizeof *more);
    if (!more)
        return oom(e);
    to->pairs = more;
    more[to->count++] = pair;
    return 0;
}

static int key_of(struct reading *r, yaml_event_t *ev, struct yaml_pair *ret, struct err *e)
{
    ret->line = (unsigned)ev->start_mark.line + 1;
    if (ev->type != YAML_SCALAR_EVENT)
        return err_set(e, ERR_FORMAT, "line %u: a key that is no text", ret->line);
    ret->key = text_of(ev, r->arena);
    return 0;
}

/* The next event of a list or map into *pair: 1, 0 the end, -1. */
static int member(struct reading *r, const struct yaml *in, unsigned depth, struct yaml_pair *pair,
                  struct err *e)
{
    yaml_event_t ev;
    if (next(r, &ev, e) < 0)
        return -1;
    int result = 1;
    if (ev.type == YAML_SEQUENCE_END_EVENT || ev.type == YAML_MAPPING_END_EVENT)
        result = 0;
    else if (in->type == YAML_MAP)
        result = key_of(r, &ev, pair, e) < 0 ? -1 : 1;
    else
        result = node_of(r, &ev, depth + 1, &pair->value, e) < 0 ? -1 : 1;
    yaml_event_delete(&ev);
    if (result <= 0 || in->type != YAML_MAP)
        return result;
    if (next(r, &ev, e) < 0)
        return -1;
    result = node_of(r, &ev, depth + 1, &pair->value, e) < 0 ? -1 : 1;
    yaml_event_delete(&ev);
    return result;
}

static int members(struct reading *r, struct yaml *to, unsigned depth, struct err *e)
{
    size_t cap = 0;
    for (;;) {
        struct yaml_pair pair = { 0 };
        int more = member(r, to, depth, &pair, e);
        if (more <= 0)
            return more;
        if (add(r, to, &cap, pair, e) < 0)
            return -1;
    }
}

static int alias(struct reading *r, const yaml_event_t *ev, struct yaml **ret, struct err *e)
{
    *ret = strmap_get(&r->anchors, str_from((const char *)ev->data.alias.anchor));
    return *ret ? 0
                : err_set(e, ERR_FORMAT, "line %zu: unknown anchor '%s'", ev->start_mark.line + 1,
                          (const char *)ev->data.alias.anchor);
}

static int scalar(struct reading *r, const yaml_event_t *ev, struct yaml *n, struct err *e)
{
    n->text = text_of(ev, r->arena);
    n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    n->type = !n->quoted && is_null(n->text) ? YAML_NULL : YAML_SCALAR;
    return anchor(r, ev->data.scalar.anchor, n, e);
}

static int node_of(struct reading *r, yaml_event_t *ev, unsigned depth, struct yaml **ret, struct err *e)
{
    unsigned line = (unsigned)ev->start_mark.line + 1;
    if (ev->type == YAML_ALIAS_EVENT)
        return alias(r, ev, ret, e);
    if (depth > DEPTH_MAX || ++r->nodes > NODES_MAX)
        return err_set(e, ERR_LIMIT, "line %u: more than %d levels or %u values", line, DEPTH_MAX, NODES_MAX);
    struct yaml *n = *ret = arena_alloc(r->arena, 1, sizeof *n);
    if (!n)
        return oom(e);
    n->line = line;
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return scalar(r, ev, n, e);
    case YAML_SEQUENCE_START_EVENT:
        n->type = YAML_LIST; /* its anchor is known behind it: no list is inside itself */
        return members(r, n, depth, e) < 0 ? -1 : anchor(r, ev->data.sequence_start.anchor, n, e);
    case YAML_MAPPING_START_EVENT:
        n->type = YAML_MAP;
        return members(r, n, depth, e) < 0 ? -1 : anchor(r, ev->data.mapping_start.anchor, n, e);
    default:
        return err_set(e, ERR_FORMAT, "line %u: a value is missing", line);
    }
}

static int nothing(struct reading *r, struct yaml **ret, struct err *e)
{
    *ret = arena_alloc(r->arena, 1, sizeof **ret);
    if (!*ret)
        return oom(e);
    (*ret)->line = 1;
    return 0;
}

static int document(struct reading *r, struct yaml **ret, struct err *e)
{
    for (;;) {
        yaml_event_t ev;
        if (next(r, &ev, e) < 0)
            return -1;
        bool begins = ev.type == YAML_STREAM_START_EVENT || ev.type == YAML_DOCUMENT_START_EVENT;
        int result = 0;
        if (ev.type == YAML_STREAM_END_EVENT)
            result = nothing(r, ret, e);
        else if (!begins)
            result = node_of(r, &ev, 0, ret, e);
        yaml_event_delete(&ev);
        if (!begins)
            return result;
    }
}

struct yaml *yaml_read(str bytes, struct arena *arena, struct err *e)
{
    struct reading r = { .arena = arena };
    struct yaml *root = NULL;
    if (bytes.len > YAML_MAX) {
        err_set(e, ERR_LIMIT, "larger than %zu MiB", YAML_MAX >> 20);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        oom(e);
        return NULL;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(bytes.len ? bytes.ptr : ""), bytes.len);
    int result = document(&r, &root, e);
    if (result == 0 && arena_failed(arena))
        result = oom(e);
    yaml_parser_delete(&r.parser);
    strmap_done(&r.anchors);
    return result < 0 ? NULL : root;
}

struct yaml *yaml_get(const struct yaml *map, str key)
{
    for (size_t i = map && map->type == YAML_MAP ? map->count : 0; i; i--)
        if (str_eq(map->pairs[i - 1].key, key))
            return map->pairs[i - 1].value;
    return NULL;
}
