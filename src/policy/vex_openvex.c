/*
 * vex_openvex.c - OpenVEX documents, of 0.2.0 and before (spec/integrations.md D5).
 *
 * A product is a package, or an image ("pkg:oci/...", a name, a hash); subcomponents are packages of an image. Of packages within packages
 * nothing can be told from what is installed: such statements are not used, which is a warning.
 */
#include "policy/ignore_reader.h"

#include <stdio.h>

struct statement {
    const struct reader *r;
    unsigned line, number;
    struct ignore_rule rule;
    const struct yaml *aliases; /* further names of the vulnerability; NULL: none */
};

static int add_names(const struct statement *s, struct ignore_rule rule, struct err *e)
{
    if (reader_add(s->r, &rule, e) < 0)
        return -1;
    for (size_t i = 0; s->aliases && i < s->aliases->count; i++) {
        rule.id = s->aliases->pairs[i].value->text;
        if (rule.id.len && reader_add(s->r, &rule, e) < 0)
            return -1;
    }
    return 0;
}

static int parse(const struct statement *s, const struct yaml *at, str text, const struct purl **ret,
                 struct err *e)
{
    struct err why = { 0 };
    struct purl *purl = arena_array(s->r->list->arena, struct purl, 1);
    *ret = purl;
    if (!purl)
        return err_set(e, ERR_OOM, "%s", s->r->file);
    if (purl_parse(text, s->r->list->arena, purl, &why) < 0)
        return reader_fail(s->r, at->line, e, "products: %s", why.text);
    return 0;
}

/* A product or subcomponent: its purl where it has one, else its name. */
static int name_of(const struct statement *s, const struct yaml *y, str *ret, struct err *e)
{
    const struct yaml *identifiers;
    str purl;
    *ret = y->text;
    if (y->type == YAML_SCALAR)
        return 0;
    if (reader_is_map(s->r, y, "products", e) < 0 || reader_text(s->r, y, "@id", ret, e) < 0 ||
        reader_map(s->r, y, "identifiers", &identifiers, e) < 0)
        return -1;
    if (purl_is(*ret) || !identifiers)
        return 0;
    if (reader_text(s->r, identifiers, "purl", &purl, e) < 0)
        return -1;
    if (purl.len)
        *ret = purl;
    return 0;
}

static int hash_of(const struct statement *s, const struct yaml *product, str *ret, struct err *e)
{
    const struct yaml *hashes = NULL;
    str hex = STR("");
    *ret = STR("");
    if (product->type == YAML_MAP && reader_map(s->r, product, "hashes", &hashes, e) < 0)
        return -1;
    if (hashes && reader_text(s->r, hashes, "sha-256", &hex, e) < 0)
        return -1;
    if (hex.len)
        *ret = arena_printf(s->r->list->arena, "sha256:" STR_FMT, STR_ARG(str_head(hex, 64)));
    return 0;
}

static bool is_image(const struct purl *p)
{
    return str_eq(p->type, STR("oci")) || str_eq(p->type, STR("docker"));
}

static int add_subcomponents(const struct statement *s, const struct yaml *list, struct ignore_rule rule,
                             struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml *y = list->pairs[i].value;
        str name;
        if (name_of(s, y, &name, e) < 0)
            return -1;
        if (!purl_is(name)) {
            if (reader_warn(s->r, y->line, e, "subcomponents: '" STR_FMT "' is no purl and is not used",
                            STR_ARG(str_head(name, 80))) < 0)
                return -1;
            continue;
        }
        if (parse(s, y, name, &rule.purl, e) < 0 || add_names(s, rule, e) < 0)
            return -1;
    }
    return 0;
}

static int add_product(const struct statement *s, const struct yaml *y, const struct yaml *within,
                       struct err *e)
{
    struct ignore_rule rule = s->rule;
    const struct yaml *parts = NULL;
    const struct purl *purl = NULL;
    str name, hash;
    if (name_of(s, y, &name, e) < 0 || hash_of(s, y, &hash, e) < 0 ||
        (y->type == YAML_MAP && reader_list(s->r, y, "subcomponents", &parts, e) < 0))
        return -1;
    parts = parts && parts->count ? parts : within;
    if (purl_is(name) && parse(s, y, name, &purl, e) < 0)
        return -1;
    if (!name.len && !hash.len)
        return reader_fail(s->r, y->line, e, "products: @id, a purl or a hash is missing");
    bool image = !purl || is_image(purl);
    if (image && purl)
        rule.image_purl = purl;
    else if (image)
        rule.image = hash.len ? hash : name;
    else
        rule.purl = purl;
    if (!parts)
        return add_names(s, rule, e);
    if (!image)
        return reader_warn(s->r, y->line, e, "products: what is said of a part of a package is not used");
    return add_subcomponents(s, parts, rule, e);
}

static int read_vulnerability(struct statement *s, const struct yaml *y, struct err *e)
{
    const struct yaml *v = yaml_get(y, STR("vulnerability"));
    if (v && v->type == YAML_SCALAR)
        s->rule.id = v->text;
    else if (v && v->type == YAML_MAP &&
             (reader_text(s->r, v, "name", &s->rule.id, e) < 0 ||
              reader_list(s->r, v, "aliases", &s->aliases, e) < 0))
        return -1;
    return s->rule.id.len ? 0 : reader_fail(s->r, y->line, e, "vulnerability: has no name");
}

static int read_status(struct statement *s, const struct yaml *y, struct err *e)
{
    str status, justification, impact, notes;
    if (reader_text(s->r, y, "status", &status, e) < 0 ||
        reader_text(s->r, y, "justification", &justification, e) < 0 ||
        reader_text(s->r, y, "impact_statement", &impact, e) < 0 ||
        reader_text(s->r, y, "status_notes", &notes, e) < 0)
        return -1;
    s->rule.is = vex_status_of(status);
    if (!s->rule.is)
        return reader_fail(s->r, y->line, e,
                           "status: '" STR_FMT
                           "' is none of not_affected, affected, fixed, under_investigation",
                           STR_ARG(str_head(status, 80)));
    str words = impact.len ? impact : notes;
    s->rule.reason = justification.len && words.len
                         ? arena_printf(s->r->list->arena, STR_FMT ": " STR_FMT, STR_ARG(justification),
                                        STR_ARG(str_head(words, 4096)))
                     : justification.len ? justification
                                         : words;
    return 0;
}

/* The later of two members. */
static int read_said(const struct reader *r, const struct yaml *y, int64_t *ret, struct err *e)
{
    static const char *const keys[] = { "timestamp", "last_updated" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        str text;
        int64_t t;
        if (reader_text(r, y, keys[i], &text, e) < 0)
            return -1;
        if (text.len && !reader_time(text, &t))
            return reader_fail(r, yaml_get(y, str_from(keys[i]))->line, e,
                               "%s: '" STR_FMT "' is no time of RFC 3339", keys[i],
                               STR_ARG(str_head(text, 80)));
        if (text.len && t > *ret)
            *ret = t;
    }
    return 0;
}

static int read_own_said(const struct reader *r, const struct yaml *y, int64_t *ret, struct err *e)
{
    int64_t own = INT64_MIN;
    if (read_said(r, y, &own, e) < 0)
        return -1;
    if (own != INT64_MIN)
        *ret = own;
    return 0;
}

static int read_statement(const struct reader *r, const struct yaml *y, unsigned number, int64_t said,
                          struct err *e)
{
    struct statement s = { .r = r, .line = y->line, .number = number };
    const struct yaml *products, *within;
    s.rule.said = said;
    s.rule.by = arena_printf(r->list->arena, "%s: statement %u", r->file, number);
    if (reader_is_map(r, y, "statements", e) < 0 || read_vulnerability(&s, y, e) < 0 ||
        read_status(&s, y, e) < 0 || read_own_said(r, y, &s.rule.said, e) < 0 ||
        reader_list(r, y, "products", &products, e) < 0 || reader_list(r, y, "subcomponents", &within, e) < 0)
        return -1;
    if (!products || !products->count)
        return reader_warn(r, y->line, e, "statement %u names no product and is not used", number);
    for (size_t i = 0; i < products->count; i++)
        if (add_product(&s, products->pairs[i].value, within, e) < 0)
            return -1;
    return 0;
}

int read_openvex(const struct reader *r, const struct yaml *top, struct err *e)
{
    const struct yaml *list;
    int64_t said = INT64_MIN;
    if (reader_is_map(r, top, "the document", e) < 0 || read_said(r, top, &said, e) < 0 ||
        reader_list(r, top, "statements", &list, e) < 0)
        return -1;
    if (!list)
        return reader_fail(r, 0, e, "statements: is missing");
    for (size_t i = 0; i < list->count; i++)
        if (read_statement(r, list->pairs[i].value, (unsigned)i + 1, said, e) < 0)
            return -1;
    return 0;
}
