/* Reads CSAF documents into what csaf_ranges.c works on. */
#include "feed/csaf.h"

#include "base/cleanup.h"
#include "codec/json.h"
#include "feed/csaf_document.h"

#define DESCRIPTION_MAX ((size_t)16 << 10)
#define TITLE_MAX       1024
#define LINK_MAX        2048

struct reader {
    struct json *json;
    struct arena *arena;
    struct csaf_document *document;
};

int csaf_too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a document with more than %zu bytes of products and statements",
                   CSAF_MEMORY);
}

/* ---- JSON by tables ---- */

/* Members that are read, and what they are read into. The others are skipped. */
struct member {
    const char *name;
    int (*read)(struct reader *r, void *into, struct err *e);
};

/* Inside an object. */
static int read_members(struct reader *r, const struct member *members, void *into, struct err *e)
{
    str key;
    int got;
    while ((got = json_key(r->json, &key, e)) > 0) {
        const struct member *m = members;
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

static int read_object(struct reader *r, const struct member *members, void *into, struct err *e)
{
    int got = json_enter_or_null(r->json, JSON_OBJECT, e);
    return got <= 0 ? got : read_members(r, members, into, e);
}

/* An array of objects; `element` begins inside each. */
static int read_array(struct reader *r, int (*element)(struct reader *r, void *into, struct err *e),
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

static int read_text(struct reader *r, size_t max, str *ret, struct err *e)
{
    str s;
    if (json_string(r->json, &s, e) < 0)
        return -1;
    str head = str_head(s, max);
    while (head.len && head.len < s.len && ((uint8_t)s.ptr[head.len] & 0xc0) == 0x80)
        head.len--; /* no half characters */
    *ret = arena_dup(r->arena, head);
    return 0;
}

/* ---- products ---- */

static struct csaf_product *product_of(struct reader *r, str id)
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
static int read_product_name(struct reader *r, struct csaf_product **ret, struct err *e)
{
    str id;
    if (json_string(r->json, &id, e) < 0)
        return -1;
    *ret = id.len ? product_of(r, id) : NULL;
    return id.len && !*ret ? csaf_too_much(e) : 0;
}

static int add_product(struct reader *r, struct csaf_list *list, str id, struct err *e)
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

static int read_list(struct reader *r, struct csaf_list *list, struct err *e)
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
        if (add_product(r, list, text, e) < 0)
            return -1;
    }
    return got;
}

struct leaf { /* what a product object says */
    struct csaf_product *product;
    struct csaf_package *package;
    str cpe, namespace;
};

static int read_leaf_id(struct reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct leaf *)into)->product, e);
}

static int read_cpe(struct reader *r, void *into, struct err *e)
{
    struct leaf *l = into;
    if (read_text(r, FEED_TEXT_MAX, &l->cpe, e) < 0)
        return -1;
    l->namespace = csaf_namespace_of_cpe(r->arena, l->cpe);
    return 0;
}

static int read_purl(struct reader *r, void *into, struct err *e)
{
    str purl;
    if (json_string(r->json, &purl, e) < 0)
        return -1;
    ((struct leaf *)into)->package = csaf_package_of_purl(r->arena, purl);
    return 0;
}

static int read_helper(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "cpe", read_cpe }, { "purl", read_purl }, { 0 } };
    return read_object(r, members, into, e);
}

static int read_product_members(struct reader *r, void *ignored, struct err *e)
{
    static const struct member members[] = { { "product_id", read_leaf_id },
                                             { "product_identification_helper", read_helper },
                                             { 0 } };
    struct leaf l = { 0 };
    if (read_members(r, members, &l, e) < 0)
        return -1;
    if (l.product) {
        l.product->package = l.package;
        l.product->cpe = l.cpe;
        l.product->namespace = l.namespace;
    }
    return 0;
}

static int read_product(struct reader *r, void *into, struct err *e)
{
    int got = json_enter_or_null(r->json, JSON_OBJECT, e);
    return got <= 0 ? got : read_product_members(r, into, e);
}

static int read_full_names(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_product_members, into, e);
}

static int read_branches(struct reader *r, void *into, struct err *e);

/* Branches in branches: the reader of JSON bounds the depth. */
static int read_branch(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "branches", read_branches },
                                             { "product", read_product },
                                             { 0 } };
    return read_members(r, members, into, e);
}

static int read_branches(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_branch, into, e);
}

struct relation {
    struct csaf_product *product, *part, *whole;
};

static int read_part(struct reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct relation *)into)->part, e);
}

static int read_whole(struct reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct relation *)into)->whole, e);
}

static int read_relation_id(struct reader *r, void *into, struct err *e)
{
    return read_product_name(r, &((struct relation *)into)->product, e);
}

static int read_relation_name(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "product_id", read_relation_id }, { 0 } };
    return read_object(r, members, into, e);
}

static int read_relationship(struct reader *r, void *ignored, struct err *e)
{
    static const struct member members[] = { { "full_product_name", read_relation_name },
                                             { "product_reference", read_part },
                                             { "relates_to_product_reference", read_whole },
                                             { 0 } };
    struct relation l = { 0 };
    if (read_members(r, members, &l, e) < 0)
        return -1;
    if (l.product) {
        l.product->part = l.part;
        l.product->whole = l.whole;
    }
    return 0;
}

static int read_relationships(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_relationship, into, e);
}

static int read_tree(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "branches", read_branches },
                                             { "full_product_names", read_full_names },
                                             { "relationships", read_relationships },
                                             { 0 } };
    return read_object(r, members, into, e);
}

/* ---- vulnerabilities ---- */

/* "** REJECT ** ...", "Rejected reason: ...": an id that stands for nothing any more. */
static bool is_rejection(str text)
{
    text = str_trim(text);
    while (text.len && (*text.ptr == '*' || *text.ptr == ' '))
        text = str_skip(text, 1);
    return str_starts(text, STR("REJECT")) || str_starts(text, STR("Rejected reason"));
}

static int read_cve(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct csaf_vulnerability *)into)->cve, e);
}

static int read_title(struct reader *r, void *into, struct err *e)
{
    struct csaf_vulnerability *v = into;
    int got = read_text(r, TITLE_MAX, &v->title, e);
    v->rejected |= got == 0 && is_rejection(v->title);
    return got;
}

struct note {
    str category, text;
};

static int read_category(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct note *)into)->category, e);
}

static int read_note_text(struct reader *r, void *into, struct err *e)
{
    return read_text(r, DESCRIPTION_MAX, &((struct note *)into)->text, e);
}

/* The description, or else the summary. */
static int read_note(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "category", read_category },
                                             { "text", read_note_text },
                                             { 0 } };
    struct csaf_vulnerability *v = into;
    struct note n = { 0 };
    if (read_members(r, members, &n, e) < 0)
        return -1;
    bool description = str_eq(n.category, STR("description"));
    if (description || (str_eq(n.category, STR("summary")) && !v->description.len))
        v->description = n.text;
    v->rejected |= description && is_rejection(n.text);
    return 0;
}

static int read_notes(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_note, into, e);
}

static int read_fixed(struct reader *r, void *into, struct err *e)
{
    return read_list(r, &((struct csaf_vulnerability *)into)->fixed, e);
}

static int read_affected(struct reader *r, void *into, struct err *e)
{
    return read_list(r, &((struct csaf_vulnerability *)into)->affected, e);
}

static int read_not_affected(struct reader *r, void *into, struct err *e)
{
    return read_list(r, &((struct csaf_vulnerability *)into)->not_affected, e);
}

/* under_investigation says nothing yet. */
static int read_status(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "fixed", read_fixed },
                                             { "known_affected", read_affected },
                                             { "known_not_affected", read_not_affected },
                                             { 0 } };
    return read_object(r, members, into, e);
}

struct remediation {
    str category, details, url;
    struct csaf_list products;
};

static int read_remedy_category(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct remediation *)into)->category, e);
}

static int read_details(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct remediation *)into)->details, e);
}

static int read_url(struct reader *r, void *into, struct err *e)
{
    return read_text(r, LINK_MAX, &((struct remediation *)into)->url, e);
}

static int read_remedy_products(struct reader *r, void *into, struct err *e)
{
    return read_list(r, &((struct remediation *)into)->products, e);
}

static enum fix_state state_of(const struct remediation *m)
{
    if (str_eq(m->category, STR("vendor_fix")))
        return FIX_FIXED;
    if (str_eq(m->category, STR("no_fix_planned")))
        return str_starts(m->details, STR("Out of support")) ? FIX_END_OF_LIFE : FIX_WILL_NOT_FIX;
    if (!str_eq(m->category, STR("none_available")))
        return 0; /* a workaround */
    return str_starts(m->details, STR("Under investigation")) ? FIX_UNDER_INVESTIGATION : FIX_AFFECTED;
}

/* https://access.redhat.com/errata/RHSA-2024:1 */
static str fix_of(str url)
{
    str name = str_skip(url, (size_t)(str_rfind(url, '/') + 1));
    return str_starts(name, STR("RH")) && str_find(name, '-') > 0 && name.len <= PACKAGE_TEXT_MAX
               ? name
               : (str){ 0 };
}

static int read_remediation(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "category", read_remedy_category },
                                             { "details", read_details },
                                             { "url", read_url },
                                             { "product_ids", read_remedy_products },
                                             { 0 } };
    struct csaf_vulnerability *v = into;
    struct remediation m = { 0 };
    if (read_members(r, members, &m, e) < 0)
        return -1;
    struct csaf_remedy *n = arena_alloc(r->arena, 1, sizeof *n);
    if (!n)
        return csaf_too_much(e);
    *n = (struct csaf_remedy){ v->remedies, state_of(&m), fix_of(m.url), m.url, m.products };
    v->remedies = n;
    return 0;
}

static int read_remediations(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_remediation, into, e);
}

struct threat {
    str category, details;
    struct csaf_list products;
};

static int read_threat_category(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct threat *)into)->category, e);
}

static int read_threat_details(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct threat *)into)->details, e);
}

static int read_threat_products(struct reader *r, void *into, struct err *e)
{
    return read_list(r, &((struct threat *)into)->products, e);
}

static enum severity severity_of(str impact)
{
    static const struct {
        const char *name;
        enum severity severity;
    } impacts[] = { { "Critical", SEVERITY_CRITICAL },
                    { "Important", SEVERITY_HIGH },
                    { "Moderate", SEVERITY_MEDIUM },
                    { "Low", SEVERITY_LOW } };
    for (size_t i = 0; i < sizeof impacts / sizeof *impacts; i++)
        if (str_eq(impact, str_from(impacts[i].name)))
            return impacts[i].severity;
    return SEVERITY_UNKNOWN;
}

static int read_threat(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "category", read_threat_category },
                                             { "details", read_threat_details },
                                             { "product_ids", read_threat_products },
                                             { 0 } };
    struct csaf_vulnerability *v = into;
    struct threat t = { 0 };
    if (read_members(r, members, &t, e) < 0)
        return -1;
    enum severity severity = severity_of(t.details);
    if (!str_eq(t.category, STR("impact")) || severity == SEVERITY_UNKNOWN)
        return 0;
    struct csaf_threat *n = arena_alloc(r->arena, 1, sizeof *n);
    if (!n)
        return csaf_too_much(e);
    *n = (struct csaf_threat){ v->threats, severity, !t.products.count, t.products };
    v->threats = n;
    return 0;
}

static int read_threats(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_threat, into, e);
}

struct score {
    struct cvss_score cvss[3]; /* v2, v3, v4 */
    unsigned count;
    struct csaf_list products;
};

static int read_score_version(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct cvss_score *)into)->version, e);
}

static int read_vector(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct cvss_score *)into)->vector, e);
}

/* "9.8", "10", "0.0" in tenths; anything else is none. */
static uint16_t base_of(str number)
{
    str whole = str_cut(&number, '.');
    uint64_t units, tenths = 0;
    if (!str_to_u64(whole, &units) || units > 10 || (number.len && !str_to_u64(str_head(number, 1), &tenths)))
        return CVSS_BASE_MAX + 1;
    return (uint16_t)(units * 10 + tenths);
}

static int read_base(struct reader *r, void *into, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(r->json, &type, &text, e) < 0)
        return -1;
    if (type == JSON_NUMBER)
        ((struct cvss_score *)into)->base = base_of(text);
    return json_skip_rest(r->json, type, e);
}

static int read_cvss(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = {
        { "baseScore", read_base }, { "vectorString", read_vector }, { "version", read_score_version }, { 0 }
    };
    struct score *s = into;
    struct cvss_score one = { .base = CVSS_BASE_MAX + 1 };
    if (read_object(r, members, &one, e) < 0)
        return -1;
    if (one.base <= CVSS_BASE_MAX && cvss_version(one.version) >= 0 && s->count < 3)
        s->cvss[s->count++] = one;
    return 0;
}

static uint16_t highest_of(const struct score *s)
{
    uint16_t highest = 0;
    for (unsigned i = 0; i < s->count; i++)
        highest = s->cvss[i].base > highest ? s->cvss[i].base : highest;
    return highest;
}

/* Only those of a score of 0.0 matter. */
static int read_score_products(struct reader *r, void *into, struct err *e)
{
    struct score *s = into;
    return highest_of(s) ? json_skip(r->json, e) : read_list(r, &s->products, e);
}

static bool has_score(const struct csaf_vulnerability *v, const struct cvss_score *s)
{
    for (size_t i = 0; i < v->score_count; i++)
        if (str_eq(v->scores[i].version, s->version) && str_eq(v->scores[i].vector, s->vector) &&
            v->scores[i].base == s->base)
            return true;
    return false;
}

static int add_score(struct reader *r, struct csaf_vulnerability *v, const struct cvss_score *s,
                     struct err *e)
{
    if (v->score_count == METADATA_LIST || has_score(v, s))
        return 0;
    struct cvss_score *scores =
        arena_grow(r->arena, v->scores, v->score_count, &v->score_cap, sizeof *scores);
    if (!scores)
        return csaf_too_much(e);
    v->scores = scores;
    scores[v->score_count++] = *s;
    return 0;
}

static int read_score(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "cvss_v2", read_cvss },
                                             { "cvss_v3", read_cvss },
                                             { "cvss_v4", read_cvss },
                                             { "products", read_score_products },
                                             { 0 } };
    struct csaf_vulnerability *v = into;
    struct score s = { 0 };
    if (read_members(r, members, &s, e) < 0)
        return -1;
    for (unsigned i = 0; i < s.count; i++)
        if (add_score(r, v, &s.cvss[i], e) < 0)
            return -1;
    for (size_t i = 0; s.count && !highest_of(&s) && i < s.products.count; i++)
        if (add_product(r, &v->scored_zero, s.products.items[i]->id, e) < 0)
            return -1;
    return 0;
}

static int read_scores(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_score, into, e);
}

static int read_vulnerability(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "cve", read_cve },
                                             { "notes", read_notes },
                                             { "product_status", read_status },
                                             { "remediations", read_remediations },
                                             { "scores", read_scores },
                                             { "threats", read_threats },
                                             { "title", read_title },
                                             { 0 } };
    struct csaf_document *d = into;
    struct csaf_vulnerability *v = arena_alloc(r->arena, 1, sizeof *v);
    if (!v)
        return csaf_too_much(e);
    *d->last = v;
    d->last = &v->next;
    return read_members(r, members, v, e) < 0 ? err_wrap(e, STR_FMT, STR_ARG(str_head(v->cve, 100))) : 0;
}

static int read_vulnerabilities(struct reader *r, void *into, struct err *e)
{
    return read_array(r, read_vulnerability, into, e);
}

/* ---- the document ---- */

static int read_id(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct csaf_document *)into)->id, e);
}

static int read_document_status(struct reader *r, void *into, struct err *e)
{
    return read_text(r, FEED_TEXT_MAX, &((struct csaf_document *)into)->status, e);
}

static int read_tracking(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "id", read_id }, { "status", read_document_status }, { 0 } };
    return read_object(r, members, into, e);
}

static int read_document_title(struct reader *r, void *into, struct err *e)
{
    struct csaf_document *d = into;
    int got = read_text(r, TITLE_MAX, &d->title, e);
    d->rejected |= got == 0 && is_rejection(d->title);
    return got;
}

static int read_head(struct reader *r, void *into, struct err *e)
{
    static const struct member members[] = { { "title", read_document_title },
                                             { "tracking", read_tracking },
                                             { 0 } };
    return read_object(r, members, into, e);
}

static int read_document(struct reader *r, struct err *e)
{
    static const struct member members[] = { { "document", read_head },
                                             { "product_tree", read_tree },
                                             { "vulnerabilities", read_vulnerabilities },
                                             { 0 } };
    if (json_enter(r->json, JSON_OBJECT, e) < 0 || read_members(r, members, r->document, e) < 0 ||
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
    struct reader r = { json, d.arena, &d };
    return read_document(&r, e) < 0 ? -1 : put_document(&d, sink, e);
}
