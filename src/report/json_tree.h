/*
 * json_tree.h - a JSON document as nodes, for the template.
 *
 * Ownership  nodes and texts live in the arena. Limits: those of the reader, and the arena's.
 */
#pragma once
#include "base/arena.h"
#include "codec/json.h"

struct json_node {
    enum json_type
        type; /* JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL */
    str key;  /* as a member of an object */
    str text; /* of a string; of a number as it is written */
    const struct json_node *first, *next;
};

const struct json_node *json_tree(str document, struct arena *arena, struct err *e); /* NULL on error */
const struct json_node *json_member(const struct json_node *object, str key);        /* NULL: it has none */
