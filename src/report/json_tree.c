#include "report/json_tree.h"
#include "base/cleanup.h"

static struct json_node *read_value(struct json *j, enum json_type type, str text, struct arena *arena,
                                    struct err *e);

static int read_children(struct json *j, struct json_node *parent, struct arena *arena, struct err *e)
{
    const struct json_node **at = &parent->first;
    enum json_type type;
    str text, key = { 0 };
    for (;;) {
        int r = parent->type == JSON_OBJECT ? json_key(j, &key, e) : json_element(j, &type, &text, e);
        if (r <= 0)
            return r;
        key = arena_dup(arena, key);
        if (parent->type == JSON_OBJECT && json_next(j, &type, &text, e) < 0)
            return -1;
        struct json_node *child = read_value(j, type, text, arena, e);
        if (!child)
            return -1;
        child->key = key;
        *at = child;
        at = &child->next;
    }
}

/* Nesting is bounded by the reader. */
static struct json_node *read_value(struct json *j, enum json_type type, str text, struct arena *arena,
                                    struct err *e)
{
    struct json_node *node = arena_alloc(arena, 1, sizeof *node);
    if (!node) {
        err_set(e, ERR_LIMIT, "the report is too large for a template");
        return NULL;
    }
    node->type = type;
    if (type == JSON_STRING || type == JSON_NUMBER)
        node->text = arena_dup(arena, text);
    if ((type == JSON_OBJECT || type == JSON_ARRAY) && read_children(j, node, arena, e) < 0)
        return NULL;
    return node;
}

const struct json_node *json_tree(str document, struct arena *arena, struct err *e)
{
    const struct json_limits limits = { .max_text = document.len + 1 };
    CLEANUP(stream_freep) struct stream *s = stream_from_mem(document, e);
    CLEANUP(json_freep) struct json *j = s ? json_new(s, &limits, e) : NULL;
    enum json_type type;
    str text;
    if (!j || json_next(j, &type, &text, e) < 0)
        return NULL;
    struct json_node *node = read_value(j, type, text, arena, e);
    if (node && arena_failed(arena)) {
        err_set(e, ERR_LIMIT, "the report is too large for a template");
        return NULL;
    }
    return node;
}

const struct json_node *json_member(const struct json_node *object, str key)
{
    if (object->type != JSON_OBJECT)
        return NULL;
    for (const struct json_node *n = object->first; n; n = n->next)
        if (str_eq(n->key, key))
            return n;
    return NULL;
}
