/* Reads CSAF documents, and their products, into what csaf_ranges.c works on. */
#include "feed/csaf.h"

#include "base/cleanup.h"
#include "feed/csaf_reader.h"

int csaf_too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a document with more than %zu bytes of products and statements",
                   CSAF_MEMORY);
}

/* ---- JSON by tables ---- */

int csaf_members(struct csaf_reader *r, const struct csaf_member *members, void *into, struct err *e)
{
    str key;
    int got;
    while ((got = json_key(r->json, &key, e)) > 0) {
        const struct csaf_member *m = members;
        while (m->name && !str_eq(key, str_from(m->name)))
            m++;
        if (!m->name && json_skip(r->json, e) < 0)
            return -1;
        if (m->name && m->read(r, into, e) < 0)
            return err_wrap(e, "%s", m->name);
        if (arena_failed(r->arena))
            return csaf_too_much(e);
    }
    return got;
}

int csaf_object(struct csaf_reader *r, const struct csaf_member *members, void *into, struct err *e)
{
    int got = json_enter_or_null(r->json, JSON_OBJECT, e);
    return got <= 0 ? got : csaf_members(r, members, into, e);
}

int csaf_array(struct csaf_reader *r, int (*element)(struct csaf_reader *r, void *into, struct err *e),
               void *into, struct err *e)
{
    int got = json_enter_or_null(r->json, JSON_ARRAY, e);
    if (got <= 0)
        return got;
    enum json_type type;
    str text;
    while ((got = json_element(r->json, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "json: byte %llu: an element is not an object",
                           (unsigned long long)json_offset(r->json));
        if (element(r, into, e) < 0)
            return -1;
    }
    return got;
}

int csaf_text(struct csaf_reader *r, size_t max, str *ret, struct err *e)
{
    str s;
    if (json_string(r->json, &s, e) < 0)
        return -1;
    str head = str_head(s, max);
    while (max > FEED_TEXT_MAX && head.len && head.len < s.len && ((uint8_t)s.ptr[head.len] & 0xc0) == 0x80)
        head.len--; /* no half characters; names that are too long stay too long */
    *ret = arena_dup(r->arena, head);
    return 0;
}

/* ---- products ---- */

static struct csaf_product *product_of(struct csaf_reader *r, str id)
{
    struct csaf_product *p = strmap_get(&r->document->products, id);
    if (p)
        return p;
    p = arena_alloc(r->arena, 1, sizeof *p);
    str copy = arena_dup(r->arena, id);
    void **at = p && copy.ptr ? strmap_at(&r->document->products, copy) : NULL;
    if (!at)
        return NULL;
    p->id = copy;
    *at = p;
    return p;
}

/* NULL in *ret: it is no name. */
static int read_product_name(struct csaf_reader *r, struct csaf_product **ret, struct err *e)
{
    str id;
    if (json_string(r->json, &id, e) < 0)
        return -1;
    *ret = id.len ? product_of(r, id) : NULL;
    return id.len && !*ret ? csaf_too_much(e) : 0;
}

int csaf_add_product(struct csaf_reader *r, struct csaf_list *list, str id, struct err *e)
{
    if (!id.len)
        return 0;
    struct csaf_product *p = product_of(r, id);
    struct csaf_product **items =
        p ? arena_grow(r->arena, list->items, list->count, &list->cap, sizeof *items) : NULL;
    if (!items)
        return csaf_too_much(e);
    list->items = items;
    items[list->count++] = p;
    return 0;
}

int csaf_products(struct csaf_reader *r, struct csaf_list *list, struct err *e)
{
    int got = json_enter_or_null(r->json, JSON_ARRAY, e);
    if (got <= 0)
        return got;
    enum json_type type;
    str text;
    while ((got = json_element(r->json, &type, &text, e)) > 0) {
        if (type != JSON_STRING)
            return err_set(e, ERR_FORMAT, "json: byte %llu: the id of a product is not a string",
                           (unsigned long long)json_offset(r->json));
        if (csaf_add_product(r, list, text, e) < 0)
            return -1;
    }
    return got;
}

struct leaf { /* what a product object says */
    struct csaf_product *product;
    struct csaf_package *package;
    str cpe, namespace;
};

static int read_leaf_id(struct csaf_reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct leaf *)into)->product, e);
}

static int read_cpe(struct csaf_reader *r, void *into, struct err *e)
{
    struct leaf *l = into;
    if (csaf_text(r, FEED_TEXT_MAX, &l->cpe, e) < 0)
        return -1;
    l->namespace = csaf_namespace_of_cpe(r->arena, l->cpe);
    return 0;
}

static int read_purl(struct csaf_reader *r, void *into, struct err *e)
{
    str purl;
    if (json_string(r->json, &purl, e) < 0)
        return -1;
    ((struct leaf *)into)->package = csaf_package_of_purl(r->arena, purl);
    return 0;
}

static int read_helper(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "cpe", read_cpe }, { "purl", read_purl }, { 0 } };
    return csaf_object(r, members, into, e);
}

static int read_product_members(struct csaf_reader *r, void *ignored, struct err *e)
{
    static const struct csaf_member members[] = { { "product_id", read_leaf_id },
                                                  { "product_identification_helper", read_helper },
                                                  { 0 } };
    struct leaf l = { 0 };
    if (csaf_members(r, members, &l, e) < 0)
        return -1;
    if (l.product) {
        l.product->package = l.package;
        l.product->cpe = l.cpe;
        l.product->namespace = l.namespace;
    }
    return 0;
}

static int read_product(struct csaf_reader *r, void *into, struct err *e)
{
    int got = json_enter_or_null(r->json, JSON_OBJECT, e);
    return got <= 0 ? got : read_product_members(r, into, e);
}

static int read_full_names(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_product_members, into, e);
}

static int read_branches(struct csaf_reader *r, void *into, struct err *e);

/* Branches in branches: the reader of JSON bounds the depth. */
static int read_branch(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "branches", read_branches },
                                                  { "product", read_product },
                                                  { 0 } };
    return csaf_members(r, members, into, e);
}

static int read_branches(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_branch, into, e);
}

struct relation {
    struct csaf_product *product, *part, *whole;
};

static int read_part(struct csaf_reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct relation *)into)->part, e);
}

static int read_whole(struct csaf_reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct relation *)into)->whole, e);
}

static int read_relation_id(struct csaf_reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct relation *)into)->product, e);
}

static int read_relation_name(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "product_id", read_relation_id }, { 0 } };
    return csaf_object(r, members, into, e);
}

static int read_relationship(struct csaf_reader *r, void *ignored, struct err *e)
{
    static const struct csaf_member members[] = { { "full_product_name", read_relation_name },
                                                  { "product_reference", read_part },
                                                  { "relates_to_product_reference", read_whole },
                                                  { 0 } };
    struct relation l = { 0 };
    if (csaf_members(r, members, &l, e) < 0)
        return -1;
    if (l.product) {
        l.product->part = l.part;
        l.product->whole = l.whole;
    }
    return 0;
}

static int read_relationships(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_relationship, into, e);
}

static int read_tree(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "branches", read_branches },
                                                  { "full_product_names", read_full_names },
                                                  { "relationships", read_relationships },
                                                  { 0 } };
    return csaf_object(r, members, into, e);
}

/* ---- the document ---- */

static int read_id(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct csaf_document *)into)->id, e);
}

static int read_document_status(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct csaf_document *)into)->status, e);
}

static int read_tracking(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "id", read_id },
                                                  { "status", read_document_status },
                                                  { 0 } };
    return csaf_object(r, members, into, e);
}

static int read_document_title(struct csaf_reader *r, void *into, struct err *e)
{
    struct csaf_document *d = into;
    int got = csaf_text(r, CSAF_TITLE_MAX, &d->title, e);
    d->rejected |= got == 0 && csaf_is_rejection(d->title);
    return got;
}

static int read_head(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "title", read_document_title },
                                                  { "tracking", read_tracking },
                                                  { 0 } };
    return csaf_object(r, members, into, e);
}

static int read_document(struct csaf_reader *r, struct err *e)
{
    static const struct csaf_member members[] = { { "document", read_head },
                                                  { "product_tree", read_tree },
                                                  { "vulnerabilities", csaf_read_flaws },
                                                  { 0 } };
    if (json_enter(r->json, JSON_OBJECT, e) < 0 || csaf_members(r, members, r->document, e) < 0 ||
        json_finish(r->json, e) < 0)
        return -1;
    return r->document->id.len ? 0
                               : err_set(e, ERR_FORMAT, "no id (document, tracking): not a CSAF document");
}

static int put_document(struct csaf_document *d, struct advisory_sink *sink, struct err *e)
{
    unsigned number = 0;
    if (d->rejected || str_eq(d->status, STR("deleted")))
        return 0;
    for (struct csaf_vulnerability *v = d->first; v; v = v->next) {
        number++;
        if (!v->cve.len && !d->first->next) /* VEX is of one CVE, whose name the document has */
            v->cve = d->id;
        if (!v->title.len)
            v->title = d->title;
        if (v->cve.len && !v->rejected && csaf_put(d, v, number, sink, e) < 0)
            return err_wrap(e, STR_FMT, STR_ARG(str_head(v->cve, 100)));
    }
    return 0;
}

static void document_done(struct csaf_document *d)
{
    strmap_done(&d->products);
    arena_freep(&d->arena);
}

int csaf_read(struct stream *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(json_freep) struct json *json = json_new(in, NULL, e);
    if (!json)
        return -1;
    CLEANUP(document_done) struct csaf_document d = { .arena = arena_new(CSAF_MEMORY) };
    if (!d.arena)
        return err_set(e, ERR_OOM, "csaf: out of memory");
    d.last = &d.first;
    struct csaf_reader r = { json, d.arena, &d };
    return read_document(&r, e) < 0 ? -1 : put_document(&d, sink, e);
}
