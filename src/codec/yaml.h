/*
 * yaml.h - a small YAML file as a tree, by libyaml: what a person wrote, with the line where it stands.
 *
 * Shape      One document; an empty one is YAML_NULL. Anchors and aliases work, of a key that comes twice the last
 *            value counts (yaml_get(); as gopkg.in/yaml.v2 had it). Scalars stay text: their type is the reader's business.
 * Ownership  everything lives in the arena.
 * Limits     YAML_MAX bytes, 32 levels, 100,000 nodes (an alias is its target, not a copy).
 * Errors     ERR_FORMAT "line N: what", ERR_LIMIT.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define YAML_MAX ((size_t)4 << 20)

enum yaml_type { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_type type;
    unsigned line; /* from 1 */
    str text;      /* of a scalar */
    bool quoted;   /* '' or "" or a block: a string, whatever it looks like */
    struct yaml_pair {
        str key; /* empty in a list */
        unsigned line;
        struct yaml *value;
    } * pairs; /* of a list or a map, in their order */
    size_t count;
};

struct yaml *yaml_read(str bytes, struct arena *arena, struct err *e); /* NULL on error */
struct yaml *yaml_get(const struct yaml *map, str key);                /* NULL: not there, or no map */
