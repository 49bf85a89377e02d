/* oval_refs.c - tests, objects and states of an OVAL file, as far as definitions refer to them. */
#include "feed/oval_parts.h"

#include <stdlib.h>

#define SPACE_BITS 8
#define NUMBER_MAX (UINT64_MAX >> SPACE_BITS)
#define SHOWN      100
#define ABSENT     UINT32_MAX

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "definitions that take more than %zu bytes", OVAL_HELD_MAX);
}

void oval_refs_done(struct oval_refs *r)
{
    free(r->test_ids.slots);
    free(r->object_ids.slots);
    free(r->state_ids.slots);
    free(r->tests);
    free(r->objects);
    free(r->states);
    free(r->variable_ids.slots);
    free(r->variables);
}

/* ---- ids ---- */

/* "oval:com.oracle.elsa:tst:2007": what stands before the kind, and the number. OVAL knows no others. */
static int id_of(struct oval_refs *r, str id, uint64_t *ret, struct err *e)
{
    ptrdiff_t end = str_rfind(id, ':');
    str space = str_head(id, end > 0 ? (size_t)end : 0);
    uint64_t number = 0;
    if (!space.len || !str_to_u64(str_skip(id, space.len + 1), &number) || number > NUMBER_MAX)
        return err_set(e, ERR_FORMAT, "'" STR_FMT "' is no OVAL id", STR_ARG(str_head(id, SHOWN)));
    size_t i = 0;
    while (i < r->space_count && !str_eq(r->spaces[i], space))
        i++;
    if (i == r->space_count) {
        if (i == sizeof r->spaces / sizeof *r->spaces)
            return err_set(e, ERR_LIMIT, "OVAL ids of more than %zu name spaces", i);
        r->spaces[r->space_count++] = arena_dup(r->arena, space);
        if (arena_failed(r->arena))
            return too_much(e);
    }
    *ret = (uint64_t)i << (64 - SPACE_BITS) | number;
    return 0;
}

static struct oval_slot *slot_of(const struct oval_ids *ids, uint64_t id)
{
    size_t i = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (ids->cap - 1);
    while (ids->slots[i].place && ids->slots[i].id != id)
        i = (i + 1) & (ids->cap - 1);
    return &ids->slots[i];
}

/* Tables and arena have one limit together. */
static bool take(struct oval_refs *r, size_t old, size_t wanted)
{
    if (arena_used(r->arena) + r->taken + (wanted - old) > OVAL_HELD_MAX)
        return false;
    r->taken += wanted - old;
    return true;
}

static int grow_ids(struct oval_refs *r, struct oval_ids *ids, struct err *e)
{
    struct oval_ids bigger = { .cap = ids->cap ? ids->cap * 2 : 256, .count = ids->count };
    if (!take(r, ids->cap * sizeof *ids->slots, bigger.cap * sizeof *ids->slots))
        return too_much(e);
    if (!(bigger.slots = calloc(bigger.cap, sizeof *bigger.slots)))
        return err_set(e, ERR_OOM, "oval: out of memory");
    for (size_t i = 0; i < ids->cap; i++)
        if (ids->slots[i].place)
            *slot_of(&bigger, ids->slots[i].id) = ids->slots[i];
    free(ids->slots);
    *ids = bigger;
    return 0;
}

/* Makes room in *rows for one more of `count`; new ones are zero. */
static int grow_rows(struct oval_refs *r, void **rows, size_t count, size_t *cap, size_t size, struct err *e)
{
    if (count < *cap)
        return 0;
    size_t more = *cap ? *cap * 2 : 128;
    if (!take(r, *cap * size, more * size))
        return too_much(e);
    char *bigger = realloc(*rows, more * size);
    if (!bigger)
        return err_set(e, ERR_OOM, "oval: out of memory");
    memset(bigger + *cap * size, 0, (more - *cap) * size);
    *rows = bigger;
    *cap = more;
    return 0;
}

/* The place of an id, made if it is new. */
static int place_of(struct oval_refs *r, struct oval_ids *ids, str id, void **rows, size_t *cap, size_t size,
                    uint32_t *ret, struct err *e)
{
    uint64_t number;
    if (id_of(r, id, &number, e) < 0 || (ids->count * 4 >= ids->cap * 3 && grow_ids(r, ids, e) < 0) ||
        grow_rows(r, rows, ids->count, cap, size, e) < 0)
        return -1;
    struct oval_slot *slot = slot_of(ids, number);
    if (!slot->place)
        *slot = (struct oval_slot){ number, (uint32_t)++ids->count };
    *ret = slot->place - 1;
    return 0;
}

/* ABSENT: nobody refers to it. */
static int find(struct oval_refs *r, const struct oval_ids *ids, str id, uint32_t *ret, struct err *e)
{
    uint64_t number;
    *ret = ABSENT;
    if (id_of(r, id, &number, e) < 0)
        return -1;
    if (ids->cap)
        *ret = slot_of(ids, number)->place - 1; /* 0 - 1 is ABSENT */
    return 0;
}

int oval_refs_test(struct oval_refs *r, str id, uint32_t *ret, struct err *e)
{
    return place_of(r, &r->test_ids, id, (void **)&r->tests, &r->test_cap, sizeof *r->tests, ret, e);
}

/* ---- tests ---- */

static int read_test(struct oval_refs *r, struct xml *x, struct oval_test *t, struct err *e)
{
    str name;
    int found;
    uint32_t place;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (str_eq(name, STR("object")) && !t->object) {
            if (place_of(r, &r->object_ids, xml_attribute(x, "object_ref"), (void **)&r->objects,
                         &r->object_cap, sizeof *r->objects, &place, e) < 0)
                return -1;
            t->object = place + 1;
        } else if (str_eq(name, STR("state")) && !t->state) {
            if (place_of(r, &r->state_ids, xml_attribute(x, "state_ref"), (void **)&r->states, &r->state_cap,
                         sizeof *r->states, &place, e) < 0)
                return -1;
            t->state = place + 1;
        }
        if (xml_skip(x, e) < 0)
            return -1;
    }
    t->known = true;
    return found;
}

int oval_refs_tests(struct oval_refs *r, struct xml *x, struct err *e)
{
    str name;
    int found;
    uint32_t place;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (find(r, &r->test_ids, xml_attribute(x, "id"), &place, e) < 0 ||
            (place == ABSENT ? xml_skip(x, e) : read_test(r, x, &r->tests[place], e)) < 0)
            return -1;
    }
    return found;
}

/* ---- objects and states ---- */

static int keep(struct oval_refs *r, struct xml *x, str *to, struct err *e)
{
    str text;
    if (xml_content(x, &text, e) < 0)
        return -1;
    *to = arena_dup(r->arena, str_head(text, FEED_TEXT_MAX));
    return arena_failed(r->arena) ? too_much(e) : 0;
}

static int read_name(struct oval_refs *r, struct xml *x, struct oval_object *o, struct err *e)
{
    str variable = xml_attribute(x, "var_ref");
    uint32_t place;
    if (!variable.len)
        return keep(r, x, &o->name, e);
    if (place_of(r, &r->variable_ids, variable, (void **)&r->variables, &r->variable_cap,
                 sizeof *r->variables, &place, e) < 0)
        return -1;
    o->variable = place + 1;
    return xml_skip(x, e);
}

static int read_object(struct oval_refs *r, struct xml *x, struct oval_object *o, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(x, &name, e)) > 0)
        if ((str_eq(name, STR("name")) ? read_name(r, x, o, e) : xml_skip(x, e)) < 0)
            return -1;
    o->known = true;
    return found;
}

int oval_refs_objects(struct oval_refs *r, struct xml *x, struct err *e)
{
    str name;
    int found;
    uint32_t place;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (find(r, &r->object_ids, xml_attribute(x, "id"), &place, e) < 0 ||
            (place == ABSENT ? xml_skip(x, e) : read_object(r, x, &r->objects[place], e)) < 0)
            return -1;
    }
    return found;
}

static enum oval_operation operation_of(str s)
{
    if (str_eq(s, STR("less than")))
        return OVAL_LESS;
    if (str_eq(s, STR("less than or equal")))
        return OVAL_LESS_OR_EQUAL;
    if (str_eq(s, STR("greater than")))
        return OVAL_GREATER;
    return !s.len || str_eq(s, STR("equals")) ? OVAL_EQUALS : OVAL_OTHER; /* OVAL's default is "equals" */
}

/* A version alone ("equals 0") says the same as an evr. */
static int read_state(struct oval_refs *r, struct xml *x, struct oval_state *s, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(x, &name, e)) > 0) {
        bool evr = str_eq(name, STR("evr")) || str_eq(name, STR("version"));
        enum oval_operation operation = operation_of(xml_attribute(x, "operation"));
        if (evr)
            s->operation = operation;
        bool arch = str_eq(name, STR("arch"));
        if ((evr || arch ? keep(r, x, evr ? &s->evr : &s->arch, e) : xml_skip(x, e)) < 0)
            return -1;
    }
    s->known = true;
    return found;
}

int oval_refs_states(struct oval_refs *r, struct xml *x, struct err *e)
{
    str name;
    int found;
    uint32_t place;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (find(r, &r->state_ids, xml_attribute(x, "id"), &place, e) < 0 ||
            (place == ABSENT ? xml_skip(x, e) : read_state(r, x, &r->states[place], e)) < 0)
            return -1;
    }
    return found;
}

static int read_variable(struct oval_refs *r, struct xml *x, struct oval_variable *v, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (!str_eq(name, STR("value"))) {
            if (xml_skip(x, e) < 0)
                return -1;
            continue;
        }
        v->values = arena_grow(r->arena, v->values, v->count, &v->cap, sizeof *v->values);
        if (!v->values)
            return too_much(e);
        if (keep(r, x, &v->values[v->count++], e) < 0)
            return -1;
    }
    v->known = true;
    return found;
}

int oval_refs_variables(struct oval_refs *r, struct xml *x, struct err *e)
{
    str name;
    int found;
    uint32_t place;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (find(r, &r->variable_ids, xml_attribute(x, "id"), &place, e) < 0 ||
            (place == ABSENT ? xml_skip(x, e) : read_variable(r, x, &r->variables[place], e)) < 0)
            return -1;
    }
    return found;
}

int oval_refs_row(const struct oval_refs *r, uint32_t test, struct oval_row *ret, const str **names,
                  size_t *name_count, struct err *e)
{
    const struct oval_test *t = &r->tests[test];
    const struct oval_object *object = t->object ? &r->objects[t->object - 1] : NULL;
    const struct oval_state *state = t->state ? &r->states[t->state - 1] : NULL;
    const struct oval_variable *variable =
        object && object->variable ? &r->variables[object->variable - 1] : NULL;
    const char *missing = !t->known                      ? "a test"
                          : object && !object->known     ? "an object"
                          : state && !state->known       ? "a state"
                          : variable && !variable->known ? "a variable"
                                                         : NULL;
    if (missing)
        return err_set(e, ERR_FORMAT, "it refers to %s that is not there", missing);
    *names = variable ? variable->values : object ? &object->name : NULL;
    *name_count = variable ? variable->count : object != NULL;
    *ret = (struct oval_row){ 0 };
    if (state) {
        ret->evr = state->evr;
        ret->arch = state->arch;
        ret->operation = state->operation;
    }
    return 0;
}
