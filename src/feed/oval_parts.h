/*
 * oval_parts.h - the two halves behind oval.h: criteria as rows (oval_criteria.c), and what they refer to (oval_refs.c).
 *
 * Units      a criteria tree is a row of tokens: the kind in the upper three bits, a number in the others.
 */
#pragma once
#include "codec/xml.h"
#include "base/strmap.h"
#include "feed/oval.h"

#define OVAL_HELD_MAX         ((size_t)64 << 20)
#define OVAL_DEFINITION_MAX   ((size_t)32 << 20)
#define OVAL_DEPTH_MAX        32u
#define OVAL_COMBINATIONS_MAX 65536u

/* ---- tests, objects, states ---- */

struct oval_test {
    uint32_t object, state; /* places + 1; 0: none */
    bool known;
};

struct oval_object {
    str name;
    uint32_t variable; /* place + 1 of one that holds its names; 0: none */
    bool known;
};

struct oval_variable {
    str *values;
    size_t count, cap;
    bool known;
};

struct oval_state {
    str evr, arch;
    enum oval_operation operation;
    bool known;
};

/* From an id ("oval:com.oracle.elsa:tst:2007") to its place. Its name space is a number, too: most files have only one. */
struct oval_ids {
    struct oval_slot {
        uint64_t id;
        uint32_t place;
    } * slots;
    size_t count, cap;
};

struct oval_refs {
    struct arena *arena;
    size_t taken; /* bytes of the tables below; with the arena OVAL_HELD_MAX at most */
    str spaces[256];
    size_t space_count;
    struct oval_ids test_ids, object_ids, state_ids, variable_ids;
    struct oval_test *tests;
    struct oval_object *objects;
    struct oval_state *states;
    struct oval_variable *variables;
    size_t test_cap, object_cap, state_cap, variable_cap; /* their counts are those of the ids */
};

void oval_refs_done(struct oval_refs *r);
/* The place of a test that a definition refers to. */
int oval_refs_test(struct oval_refs *r, str id, uint32_t *ret, struct err *e);
/* Inside <tests>, <objects>, <states>, <variables>: reads those that are referred to. */
int oval_refs_tests(struct oval_refs *r, struct xml *x, struct err *e);
int oval_refs_objects(struct oval_refs *r, struct xml *x, struct err *e);
int oval_refs_states(struct oval_refs *r, struct xml *x, struct err *e);
int oval_refs_variables(struct oval_refs *r, struct xml *x, struct err *e);
/* What a test says, and of which packages; ERR_FORMAT: it, its object, state or variable is not there. */
int oval_refs_row(const struct oval_refs *r, uint32_t test, struct oval_row *ret, const str **names,
                  size_t *name_count, struct err *e);

/* ---- criteria ---- */

enum oval_token { OVAL_AND, OVAL_OR, OVAL_CLOSE, OVAL_PRODUCT, OVAL_ARCH, OVAL_MODULE, OVAL_PACKAGE };
#define OVAL_TOKEN(kind, number) ((uint32_t)(kind) << 29 | (uint32_t)(number))
#define OVAL_NUMBER_MAX          ((1u << 29) - 1)

struct oval_words { /* products, architectures, modules: few different ones in a document */
    struct arena *arena;
    struct strmap places;
    struct oval_word {
        str text, namespace;
        bool asked; /* as a product: namespace is what the reader said */
    } * list;
    size_t count, cap;
};

struct oval_criteria {
    const struct oval_reader *reader;
    struct oval_words words;
    struct oval_refs refs;
    /* of one definition */
    struct arena *arena;
    uint32_t *tokens;
    size_t token_count, token_cap;
    struct oval_row *packages; /* by comment: what OVAL_PACKAGE counts; otherwise it counts tests */
    size_t package_count, package_cap;
};

/* Inside <criteria>: appends its tokens. */
int oval_criteria_read(struct oval_criteria *c, struct xml *x, unsigned depth, struct err *e);
/* The rows of the tokens, sorted, each once; in c->arena. */
int oval_criteria_rows(struct oval_criteria *c, const struct oval_row **ret, size_t *count, struct err *e);
