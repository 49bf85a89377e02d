/*
 * vex_csaf.c - CSAF 2.0 documents (profile VEX): product_tree says what product ids are, vulnerabilities say what is so of them.
 *
 * A product is what its purl names; one that is a part of another ("openssl as a component of Red Hat Enterprise Linux 9") counts on what that one
 * is: an image, or by its CPE a distribution. What is said of products without a purl is not used, which is one warning.
 */
#include "base/cleanup.h"
#include "policy/ignore_reader.h"

#include <stdio.h>

#define DEPTH_MAX 32

struct product {
    const struct purl *purl;
    str cpe;
    struct product *of; /* the platform that it is a part of */
};

struct csaf {
    const struct reader *r;
    struct arena *arena;
    struct strmap products; /* id -> struct product */
    int64_t said;
    unsigned unknown; /* statuses of products that nothing names */
    unsigned unknown_line;
};

static void csaf_done(struct csaf *c) { strmap_done(&c->products); }

static int oom(const struct csaf *c, struct err *e) { return err_set(e, ERR_OOM, "%s", c->r->file); }

/* ---- products ---- */

static int identify(struct csaf *c, const struct yaml *product, struct product *p, struct err *e)
{
    const struct yaml *helper;
    struct err why = { 0 };
    str text;
    if (reader_map(c->r, product, "product_identification_helper", &helper, e) < 0)
        return -1;
    if (!helper)
        return 0;
    if (reader_text(c->r, helper, "purl", &text, e) < 0 || reader_text(c->r, helper, "cpe", &p->cpe, e) < 0)
        return -1;
    if (!text.len)
        return 0;
    struct purl *purl = arena_array(c->arena, struct purl, 1);
    if (!purl)
        return oom(c, e);
    if (purl_parse(text, c->arena, purl, &why) < 0)
        return reader_fail(c->r, helper->line, e, "purl: %s", why.text);
    p->purl = purl;
    return 0;
}

static int add_product(struct csaf *c, const struct yaml *product, struct product **ret, struct err *e)
{
    str id;
    if (reader_is_map(c->r, product, "product", e) < 0 ||
        reader_text(c->r, product, "product_id", &id, e) < 0)
        return -1;
    if (!id.len)
        return reader_fail(c->r, product->line, e, "product_id: is missing");
    void **at = strmap_at(&c->products, id);
    struct product *p = arena_array(c->arena, struct product, 1);
    if (!at || !p)
        return oom(c, e);
    *at = p;
    *ret = p;
    return identify(c, product, p, e);
}

static int add_products(struct csaf *c, const struct yaml *list, struct err *e)
{
    struct product *p;
    for (size_t i = 0; list && i < list->count; i++)
        if (add_product(c, list->pairs[i].value, &p, e) < 0)
            return -1;
    return 0;
}

static int read_branches(struct csaf *c, const struct yaml *in, unsigned depth, struct err *e)
{
    const struct yaml *list, *product;
    struct product *p;
    if (reader_list(c->r, in, "branches", &list, e) < 0)
        return -1;
    if (depth == DEPTH_MAX)
        return reader_fail(c->r, in->line, e, "branches: more than %u levels", DEPTH_MAX);
    for (size_t i = 0; list && i < list->count; i++) {
        const struct yaml *b = list->pairs[i].value;
        if (reader_is_map(c->r, b, "branches", e) < 0 || reader_map(c->r, b, "product", &product, e) < 0 ||
            (product && add_product(c, product, &p, e) < 0) || read_branches(c, b, depth + 1, e) < 0)
            return -1;
        str category;
        if (product && (reader_text(c->r, b, "category", &category, e) < 0))
            return -1;
        if (product && str_eq(category, STR("product_version_range")))
            p->purl = NULL; /* of which versions it speaks is in its name alone */
    }
    return 0;
}

static int read_relationship(struct csaf *c, const struct yaml *y, struct err *e)
{
    const struct yaml *full;
    struct product *p;
    str part, whole;
    if (reader_is_map(c->r, y, "relationships", e) < 0 ||
        reader_map(c->r, y, "full_product_name", &full, e) < 0 ||
        reader_text(c->r, y, "product_reference", &part, e) < 0 ||
        reader_text(c->r, y, "relates_to_product_reference", &whole, e) < 0)
        return -1;
    if (!full)
        return reader_fail(c->r, y->line, e, "full_product_name: is missing");
    if (add_product(c, full, &p, e) < 0)
        return -1;
    const struct product *is = strmap_get(&c->products, part);
    if (is && is != p && !p->purl)
        p->purl = is->purl;
    p->of = strmap_get(&c->products, whole);
    if (!p->of || p->of == p) /* a platform that nobody describes: nothing holds there */
        p->purl = NULL, p->of = NULL;
    return 0;
}

static int read_tree(struct csaf *c, const struct yaml *top, struct err *e)
{
    const struct yaml *tree, *list;
    if (reader_map(c->r, top, "product_tree", &tree, e) < 0)
        return -1;
    if (!tree)
        return 0;
    if (read_branches(c, tree, 0, e) < 0 || reader_list(c->r, tree, "full_product_names", &list, e) < 0 ||
        add_products(c, list, e) < 0 || reader_list(c->r, tree, "relationships", &list, e) < 0)
        return -1;
    for (size_t i = 0; list && i < list->count; i++)
        if (read_relationship(c, list->pairs[i].value, e) < 0)
            return -1;
    return 0;
}

/* ---- what is said of them ---- */

/* Why: from flags ("vulnerable_code_not_present") and threats of the category impact, by product. */
struct reasons {
    struct strmap labels, words; /* product -> str */
    str all;                     /* of a threat that names no product */
};

static void reasons_done(struct reasons *r)
{
    strmap_done(&r->labels);
    strmap_done(&r->words);
}

static int put_all(struct csaf *c, const struct yaml *ids, const str *text, struct strmap *to, struct err *e)
{
    for (size_t i = 0; ids && ids->type == YAML_LIST && i < ids->count; i++) {
        void **at = strmap_at(to, ids->pairs[i].value->text);
        if (!at)
            return oom(c, e);
        if (!*at)
            *at = (void *)text;
    }
    return 0;
}

static int read_flags(struct csaf *c, const struct yaml *v, struct reasons *ret, struct err *e)
{
    const struct yaml *list;
    if (reader_list(c->r, v, "flags", &list, e) < 0)
        return -1;
    for (size_t i = 0; list && i < list->count; i++) {
        const struct yaml *f = list->pairs[i].value, *label = yaml_get(f, STR("label"));
        if (label && put_all(c, yaml_get(f, STR("product_ids")), &label->text, &ret->labels, e) < 0)
            return -1;
    }
    return 0;
}

static int read_threats(struct csaf *c, const struct yaml *v, struct reasons *ret, struct err *e)
{
    const struct yaml *list;
    if (reader_list(c->r, v, "threats", &list, e) < 0)
        return -1;
    for (size_t i = 0; list && i < list->count; i++) {
        const struct yaml *t = list->pairs[i].value, *category = yaml_get(t, STR("category")),
                          *details = yaml_get(t, STR("details")), *ids = yaml_get(t, STR("product_ids"));
        if (!category || !details || !str_eq(category->text, STR("impact")))
            continue;
        if (!ids)
            ret->all = details->text;
        if (put_all(c, ids, &details->text, &ret->words, e) < 0)
            return -1;
    }
    return 0;
}

static str reason_of(const struct reasons *r, str id, struct arena *arena)
{
    const str *label = strmap_get(&r->labels, id), *words = strmap_get(&r->words, id);
    words = words ? words : &r->all;
    if (label && words->len)
        return arena_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(str_head(*label, 80)),
                            STR_ARG(str_head(*words, 1024)));
    return label ? *label : *words;
}

static bool is_image(const struct purl *p)
{
    return str_eq(p->type, STR("oci")) || str_eq(p->type, STR("docker"));
}

/* The rule's products; false: nothing says what it is. */
static bool scope(const struct product *p, struct ignore_rule *rule)
{
    if (!p || !p->purl)
        return false;
    if (is_image(p->purl))
        rule->image_purl = p->purl;
    else
        rule->purl = p->purl;
    const struct product *of = p->of;
    if (!of)
        return true;
    if (of->purl && is_image(of->purl))
        rule->image_purl = of->purl;
    else if (of->cpe.len)
        rule->cpe = of->cpe;
    else
        return false;
    return !of->of;
}

struct names {
    str cve;
    const struct yaml *ids; /* [{"text": "GHSA-..."}]; NULL: none */
};

static int add_rules(struct csaf *c, const struct names *n, struct ignore_rule rule, struct err *e)
{
    rule.id = n->cve;
    if (rule.id.len && reader_add(c->r, &rule, e) < 0)
        return -1;
    for (size_t i = 0; n->ids && i < n->ids->count; i++) {
        const struct yaml *text = yaml_get(n->ids->pairs[i].value, STR("text"));
        rule.id = text ? text->text : STR("");
        if (rule.id.len && reader_add(c->r, &rule, e) < 0)
            return -1;
    }
    return 0;
}

static int read_status(struct csaf *c, const struct yaml *ids, const struct names *names,
                       const struct reasons *why, struct ignore_rule rule, struct err *e)
{
    for (size_t i = 0; ids && i < ids->count; i++) {
        const struct yaml *id = ids->pairs[i].value;
        rule.purl = rule.image_purl = NULL;
        rule.cpe = STR("");
        if (!scope(strmap_get(&c->products, id->text), &rule)) {
            if (!c->unknown++)
                c->unknown_line = id->line;
            continue;
        }
        rule.reason = reason_of(why, id->text, c->arena);
        if (add_rules(c, names, rule, e) < 0)
            return -1;
    }
    return 0;
}

static int read_statuses(struct csaf *c, const struct yaml *v, const struct names *names, str by,
                         struct err *e)
{
    CLEANUP(reasons_done) struct reasons why = { 0 };
    static const struct {
        const char *key;
        enum vex_status status;
    } keys[] = { { "known_not_affected", VEX_NOT_AFFECTED },
                 { "fixed", VEX_FIXED },
                 { "first_fixed", VEX_FIXED },
                 { "known_affected", VEX_AFFECTED },
                 { "under_investigation", VEX_UNDER_INVESTIGATION } };
    const struct yaml *statuses, *ids;
    if (reader_map(c->r, v, "product_status", &statuses, e) < 0)
        return -1;
    if (read_flags(c, v, &why, e) < 0 || read_threats(c, v, &why, e) < 0)
        return -1;
    for (size_t k = 0; statuses && k < sizeof keys / sizeof *keys; k++) {
        struct ignore_rule rule = { .is = keys[k].status, .said = c->said, .by = by };
        if (reader_list(c->r, statuses, keys[k].key, &ids, e) < 0 ||
            read_status(c, ids, names, &why, rule, e) < 0)
            return -1;
    }
    return 0;
}

static int read_vulnerability(struct csaf *c, const struct yaml *v, unsigned number, struct err *e)
{
    struct names names;
    if (reader_is_map(c->r, v, "vulnerabilities", e) < 0 || reader_text(c->r, v, "cve", &names.cve, e) < 0 ||
        reader_list(c->r, v, "ids", &names.ids, e) < 0)
        return -1;
    if (!names.cve.len && !names.ids)
        return reader_fail(c->r, v->line, e, "cve: is missing");
    str by = arena_printf(c->arena, "%s: vulnerability %u", c->r->file, number);
    return read_statuses(c, v, &names, by, e);
}

/* document.tracking.current_release_date */
static int read_said(struct csaf *c, const struct yaml *top, struct err *e)
{
    const struct yaml *document, *tracking = NULL;
    str text = STR("");
    if (reader_map(c->r, top, "document", &document, e) < 0 ||
        (document && reader_map(c->r, document, "tracking", &tracking, e) < 0) ||
        (tracking && reader_text(c->r, tracking, "current_release_date", &text, e) < 0))
        return -1;
    if (!text.len || reader_time(text, &c->said))
        return 0;
    return reader_fail(c->r, tracking->line, e, "current_release_date: '" STR_FMT "' is no time of RFC 3339",
                       STR_ARG(str_head(text, 80)));
}

int read_csaf(const struct reader *r, const struct yaml *top, struct err *e)
{
    CLEANUP(csaf_done) struct csaf c = { .r = r, .arena = r->list->arena, .said = INT64_MIN };
    const struct yaml *list;
    if (reader_is_map(r, top, "the document", e) < 0 || read_said(&c, top, e) < 0 ||
        read_tree(&c, top, e) < 0 || reader_list(r, top, "vulnerabilities", &list, e) < 0)
        return -1;
    for (size_t i = 0; list && i < list->count; i++)
        if (read_vulnerability(&c, list->pairs[i].value, (unsigned)i + 1, e) < 0)
            return -1;
    if (!c.unknown)
        return 0;
    return reader_warn(
        r, c.unknown_line, e,
        "not used is what is said of products that no purl names, or that are parts of something "
        "that is neither an image nor has a CPE (%u)",
        c.unknown);
}
