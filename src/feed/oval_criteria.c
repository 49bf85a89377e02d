/* oval_criteria.c - a tree of criteria becomes rows. */
#include "feed/oval_parts.h"

#include <stdlib.h>

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "more than %zu bytes", OVAL_DEFINITION_MAX);
}

/* ---- reading ---- */

static int push(struct oval_criteria *c, enum oval_token kind, size_t number, struct err *e)
{
    c->tokens = arena_grow(c->arena, c->tokens, c->token_count, &c->token_cap, sizeof *c->tokens);
    if (!c->tokens || number > OVAL_NUMBER_MAX)
        return too_much(e);
    c->tokens[c->token_count++] = OVAL_TOKEN(kind, number);
    return 0;
}

static int push_word(struct oval_criteria *c, enum oval_token kind, str text, struct err *e)
{
    struct oval_words *w = &c->words;
    text = str_head(text, FEED_TEXT_MAX);
    size_t place = (uintptr_t)strmap_get(&w->places, text);
    if (!place) {
        text = arena_dup(w->arena, text);
        w->list = arena_grow(w->arena, w->list, w->count, &w->cap, sizeof *w->list);
        void **at = w->list && !arena_failed(w->arena) ? strmap_at(&w->places, text) : NULL;
        if (!at)
            return too_much(e);
        w->list[w->count] = (struct oval_word){ .text = text };
        *at = (void *)(uintptr_t)(place = ++w->count);
    }
    place--;
    struct oval_word *word = &w->list[place];
    if (kind == OVAL_PRODUCT && !word->asked) {
        word->asked = true;
        word->namespace = c->reader->namespace(w->arena, word->text);
        if (arena_failed(w->arena))
            return too_much(e);
    }
    return push(c, kind, place, e);
}

/* "PACKAGE is earlier than EVR" */
static int push_package(struct oval_criteria *c, str name, str evr, struct err *e)
{
    c->packages = arena_grow(c->arena, c->packages, c->package_count, &c->package_cap, sizeof *c->packages);
    if (!c->packages)
        return too_much(e);
    c->packages[c->package_count++] = (struct oval_row){
        .package = arena_dup(c->arena, str_head(name, FEED_TEXT_MAX)),
        .evr = arena_dup(c->arena, str_head(evr, FEED_TEXT_MAX)),
        .operation = OVAL_LESS,
    };
    return arena_failed(c->arena) ? too_much(e) : push(c, OVAL_PACKAGE, c->package_count - 1, e);
}

/* Cuts `text` at the first `middle`. */
static bool split(str text, str middle, str *before, str *after)
{
    for (size_t i = 0; i + middle.len <= text.len; i++)
        if (!memcmp(text.ptr + i, middle.ptr, middle.len)) {
            *before = str_trim(str_head(text, i));
            *after = str_trim(str_skip(text, i + middle.len));
            return true;
        }
    return false;
}

static bool cut(str *text, str head, str tail)
{
    if (text->len <= head.len + tail.len || !str_starts(*text, head) || !str_ends(*text, tail))
        return false;
    *text = str_head(str_skip(*text, head.len), text->len - head.len - tail.len);
    return true;
}

static int read_criterion(struct oval_criteria *c, struct xml *x, struct err *e)
{
    str comment = str_trim(xml_attribute(x, "comment")), test = xml_attribute(x, "test_ref"), before, after;
    if (str_eq(xml_attribute(x, "negate"), STR("true")))
        return 0;
    str product = comment, module = comment;
    if (cut(&product, STR(""), STR(" is installed")) && str_find(product, ' ') >= 0)
        return c->reader->namespace ? push_word(c, OVAL_PRODUCT, product, e) : 0;
    if (cut(&module, STR("Module "), STR(" is enabled")))
        return push_word(c, OVAL_MODULE, module, e);
    if (split(comment, STR(" arch is "), &before, &after))
        return push_word(c, OVAL_ARCH, after, e);
    if (c->reader->by_comment)
        return split(comment, STR(" is earlier than "), &before, &after) && before.len && after.len
                   ? push_package(c, before, after, e)
                   : 0;
    uint32_t place;
    if (split(comment, STR(" is signed with "), &before, &after))
        return 0;
    return oval_refs_test(&c->refs, test, &place, e) < 0 ? -1 : push(c, OVAL_PACKAGE, place, e);
}

int oval_criteria_read(struct oval_criteria *c, struct xml *x, unsigned depth, struct err *e)
{
    str name, operator= xml_attribute(x, "operator");
    int found;
    bool any = str_eq(operator, STR("OR"));
    if (depth > OVAL_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "xml: byte %llu: criteria more than %u deep",
                       (unsigned long long)xml_offset(x), OVAL_DEPTH_MAX);
    if ((!any && operator.len && !str_eq(operator, STR("AND"))) ||
        str_eq(xml_attribute(x, "negate"), STR("true")))
        return xml_skip(x, e);
    if (push(c, any ? OVAL_OR : OVAL_AND, 0, e) < 0)
        return -1;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (str_eq(name, STR("criteria"))) {
            if (oval_criteria_read(c, x, depth + 1, e) < 0)
                return -1;
            continue;
        }
        if ((str_eq(name, STR("criterion")) && read_criterion(c, x, e) < 0) || xml_skip(x, e) < 0)
            return -1;
    }
    return found < 0 ? -1 : push(c, OVAL_CLOSE, 0, e);
}

/* ---- combining ---- */

struct way { /* one way to fulfil a part of the tree; words: places + 1, 0 none */
    uint32_t product, arch, module;
    const uint32_t *packages;
    size_t package_count;
};

struct ways {
    struct way *list;
    size_t count, cap;
    bool said; /* false: nothing in it that a rule knows */
};

struct combining {
    struct oval_criteria *c;
    size_t at;   /* in the tokens */
    size_t made; /* ways, of all parts */
};

static int add_way(struct combining *g, struct ways *to, struct way w, struct err *e)
{
    if (++g->made > OVAL_COMBINATIONS_MAX)
        return err_set(e, ERR_LIMIT, "more than %u combinations", OVAL_COMBINATIONS_MAX);
    to->list = arena_grow(g->c->arena, to->list, to->count, &to->cap, sizeof *to->list);
    if (!to->list)
        return too_much(e);
    to->list[to->count++] = w;
    return 0;
}

static bool same_namespace(const struct oval_words *w, uint32_t a, uint32_t b)
{
    return a && b && str_eq(w->list[a - 1].namespace, w->list[b - 1].namespace);
}

/* Many products are of one namespace: each counts once. */
static bool has_product(const struct combining *g, const struct ways *ways, const struct way *w)
{
    for (size_t i = 0; i < ways->count; i++) {
        const struct way *o = &ways->list[i];
        if (!o->package_count && !o->arch && !o->module &&
            same_namespace(&g->c->words, o->product, w->product))
            return true;
    }
    return false;
}

static int join(struct combining *g, const struct way *a, const struct way *b, struct way *ret, struct err *e)
{
    *ret = (struct way){
        .product = a->product ? a->product : b->product,
        .arch = a->arch ? a->arch : b->arch,
        .module = a->module ? a->module : b->module,
        .packages = a->package_count ? a->packages : b->packages,
        .package_count = a->package_count + b->package_count,
    };
    if (!a->package_count || !b->package_count)
        return 0;
    uint32_t *both = arena_array(g->c->arena, uint32_t, ret->package_count);
    if (!both)
        return too_much(e);
    memcpy(both, a->packages, a->package_count * sizeof *both);
    memcpy(both + a->package_count, b->packages, b->package_count * sizeof *both);
    ret->packages = both;
    return 0;
}

/* A criterion; no way at all: it is of a product that does not matter. */
static int leaf(struct combining *g, uint32_t token, struct ways *ret, struct err *e)
{
    struct oval_criteria *c = g->c;
    uint32_t number = token & OVAL_NUMBER_MAX;
    struct way w = { 0 };
    ret->said = true;
    switch ((enum oval_token)(token >> 29)) {
    case OVAL_PRODUCT:
        if (!c->words.list[number].namespace.len)
            return 0;
        w.product = number + 1;
        break;
    case OVAL_ARCH:
        w.arch = number + 1;
        break;
    case OVAL_MODULE:
        w.module = number + 1;
        break;
    default: {
        uint32_t *one = arena_array(c->arena, uint32_t, 1);
        if (!one)
            return too_much(e);
        *one = number;
        w.packages = one;
        w.package_count = 1;
    }
    }
    return add_way(g, ret, w, e);
}

static int list_ways(struct combining *g, struct ways *to, const struct ways *from, struct err *e)
{
    if (!to->count) {
        *to = *from;
        return 0;
    }
    for (size_t i = 0; i < from->count; i++) {
        const struct way *w = &from->list[i];
        bool product = w->product && !w->package_count && !w->arch && !w->module;
        if (!(product && has_product(g, to, w)) && add_way(g, to, *w, e) < 0)
            return -1;
    }
    return 0;
}

static int cross_ways(struct combining *g, struct ways *to, const struct ways *with, struct err *e)
{
    struct ways product = { .said = to->said };
    for (size_t i = 0; i < to->count; i++)
        for (size_t k = 0; k < with->count; k++) {
            struct way w;
            if (join(g, &to->list[i], &with->list[k], &w, e) < 0 || add_way(g, &product, w, e) < 0)
                return -1;
        }
    *to = product;
    return 0;
}

/* From the token behind the group's own to its CLOSE. Its depth is that of the tree, which was checked. */
static int group(struct combining *g, bool any, struct ways *ret, struct err *e)
{
    const struct oval_criteria *c = g->c;
    while (g->at < c->token_count) {
        uint32_t token = c->tokens[g->at++];
        enum oval_token kind = (enum oval_token)(token >> 29);
        struct ways part = { 0 };
        if (kind == OVAL_CLOSE)
            break;
        int r = kind <= OVAL_OR ? group(g, kind == OVAL_OR, &part, e) : leaf(g, token, &part, e);
        if (r < 0)
            return -1;
        if (!part.said)
            continue;
        bool first = !ret->said;
        ret->said = true;
        r = any || first ? list_ways(g, ret, &part, e) : cross_ways(g, ret, &part, e);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* ---- rows ---- */

static int by_row(const void *pa, const void *pb)
{
    const struct oval_row *a = pa, *b = pb;
    int r = str_cmp(a->namespace, b->namespace);
    r = r ? r : str_cmp(a->package, b->package);
    r = r ? r : str_cmp(a->module, b->module);
    r = r ? r : (int)a->operation - (int)b->operation;
    r = r ? r : str_cmp(a->evr, b->evr);
    return r ? r : str_cmp(a->arch, b->arch);
}

static str word_at(const struct oval_criteria *c, uint32_t place)
{
    return place ? c->words.list[place - 1].text : (str){ 0 };
}

struct row_list {
    struct oval_row *rows;
    size_t count, cap;
};

static int add_row(struct oval_criteria *c, struct row_list *to, const struct oval_row *row, struct err *e)
{
    if (!row->package.len)
        return 0;
    to->rows = arena_grow(c->arena, to->rows, to->count, &to->cap, sizeof *to->rows);
    if (!to->rows)
        return too_much(e);
    to->rows[to->count++] = *row;
    return 0;
}

/* What one package of a way says: a test may speak of several names. */
static int add_rows(struct oval_criteria *c, struct row_list *to, const struct way *w, uint32_t package,
                    struct err *e)
{
    struct oval_row row;
    const str *names = NULL;
    size_t count = 1;
    if (c->reader->by_comment) {
        row = c->packages[package];
        names = &c->packages[package].package;
    } else if (oval_refs_row(&c->refs, package, &row, &names, &count, e) < 0) {
        return -1;
    }
    row.namespace = w->product ? c->words.list[w->product - 1].namespace : (str){ 0 };
    row.module = word_at(c, w->module);
    if (w->arch)
        row.arch = word_at(c, w->arch);
    for (size_t i = 0; i < count; i++) {
        row.package = names[i];
        if (add_row(c, to, &row, e) < 0)
            return -1;
    }
    return 0;
}

int oval_criteria_rows(struct oval_criteria *c, const struct oval_row **ret, size_t *count, struct err *e)
{
    struct combining g = { .c = c };
    struct ways ways = { 0 };
    struct row_list list = { 0 };
    size_t kept = 0;
    if (group(&g, true, &ways, e) < 0)
        return -1;
    for (size_t i = 0; i < ways.count; i++)
        for (size_t k = 0; k < ways.list[i].package_count; k++)
            if (add_rows(c, &list, &ways.list[i], ways.list[i].packages[k], e) < 0)
                return -1;
    struct oval_row *rows = list.rows;
    if (list.count)
        qsort(rows, list.count, sizeof *rows, by_row);
    for (size_t i = 0; i < list.count; i++)
        if (!kept || by_row(&rows[kept - 1], &rows[i]))
            rows[kept++] = rows[i];
    *ret = rows;
    *count = kept;
    return 0;
}
