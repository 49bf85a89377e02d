/* ignore_json.c - a whole small JSON document with the lines in which its values stand. */
#include "base/cleanup.h"
#include "codec/json.h"
#include "policy/ignore_reader.h"

#define NODES_MAX 500000u

struct growing {
    struct json *json;
    str bytes;
    struct arena *arena;
    uint64_t at; /* up to where lines were counted */
    unsigned line;
    size_t nodes;
};

static unsigned line_now(struct growing *g)
{
    uint64_t to = json_offset(g->json);
    for (; g->at < to && g->at < g->bytes.len; g->at++)
        g->line += g->bytes.ptr[g->at] == '\n';
    return g->line;
}

static int node(struct growing *g, enum json_type type, str text, struct yaml **ret, struct err *e);

static int add(struct growing *g, struct yaml *to, size_t *cap, struct yaml_pair pair, struct err *e)
{
    struct yaml_pair *more = arena_grow(g->arena, to->pairs, to->count, cap, sizeof *more);
    if (!more)
        return err_set(e, ERR_OOM, "json");
    to->pairs = more;
    more[to->count++] = pair;
    return 0;
}

static int members(struct growing *g, struct yaml *to, struct err *e)
{
    size_t cap = 0;
    for (;;) {
        enum json_type type;
        str text;
        struct yaml_pair pair = { 0 };
        int more =
            to->type == YAML_MAP ? json_key(g->json, &text, e) : json_element(g->json, &type, &text, e);
        if (more <= 0)
            return more;
        pair.line = line_now(g);
        if (to->type == YAML_MAP) {
            pair.key = arena_dup(g->arena, text);
            if (json_next(g->json, &type, &text, e) < 0)
                return -1;
        }
        if (node(g, type, text, &pair.value, e) < 0 || add(g, to, &cap, pair, e) < 0)
            return -1;
    }
}

static int node(struct growing *g, enum json_type type, str text, struct yaml **ret, struct err *e)
{
    struct yaml *y = arena_array(g->arena, struct yaml, 1);
    if (!y)
        return err_set(e, ERR_OOM, "json");
    if (g->nodes++ == NODES_MAX)
        return err_set(e, ERR_LIMIT, "more than %u values", NODES_MAX);
    *ret = y;
    y->line = line_now(g);
    switch (type) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        y->type = type == JSON_OBJECT ? YAML_MAP : YAML_LIST;
        return members(g, y, e);
    case JSON_TRUE:
    case JSON_FALSE:
        y->type = YAML_SCALAR;
        y->text = type == JSON_TRUE ? STR("true") : STR("false");
        return 0;
    case JSON_STRING:
    case JSON_NUMBER:
        y->type = YAML_SCALAR;
        y->quoted = type == JSON_STRING;
        y->text = arena_dup(g->arena, text);
        return 0;
    default:
        return 0; /* null */
    }
}

struct yaml *ignore_json(str bytes, struct arena *arena, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, e);
    CLEANUP(json_freep) struct json *json = in ? json_new(in, NULL, e) : NULL;
    struct growing g = { .json = json, .bytes = bytes, .arena = arena, .line = 1 };
    struct yaml *top = NULL;
    enum json_type type;
    str text;
    if (!json)
        return NULL;
    if (json_next(json, &type, &text, e) < 0 || node(&g, type, text, &top, e) < 0 ||
        json_finish(json, e) < 0) {
        err_wrap(e, "line %u", line_now(&g));
        return NULL;
    }
    if (!arena_failed(arena))
        return top;
    err_set(e, ERR_OOM, "json");
    return NULL;
}
