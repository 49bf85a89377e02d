/* What a CSAF document says of each CVE: "vulnerabilities". */
#include "feed/csaf_reader.h"
#include "feed/decimal.h"

#define DESCRIPTION_MAX ((size_t)16 << 10)
#define LINK_MAX        2048

bool csaf_is_rejection(str text)
{
    text = str_trim(text);
    while (text.len && (*text.ptr == '*' || *text.ptr == ' '))
        text = str_skip(text, 1);
    return str_starts(text, STR("REJECT")) || str_starts(text, STR("Rejected reason"));
}

static int read_cve(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct csaf_vulnerability *)into)->cve, e);
}

static int read_title(struct csaf_reader *r, void *into, struct err *e)
{
    struct csaf_vulnerability *v = into;
    int got = csaf_text(r, CSAF_TITLE_MAX, &v->title, e);
    v->rejected |= got == 0 && csaf_is_rejection(v->title);
    return got;
}

struct note {
    str category, text;
};

static int read_category(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct note *)into)->category, e);
}

static int read_note_text(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, DESCRIPTION_MAX, &((struct note *)into)->text, e);
}

/* The description, or else the summary. */
static int read_note(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "category", read_category },
                                                  { "text", read_note_text },
                                                  { 0 } };
    struct csaf_vulnerability *v = into;
    struct note n = { 0 };
    if (csaf_members(r, members, &n, e) < 0)
        return -1;
    bool description = str_eq(n.category, STR("description"));
    if (description || (str_eq(n.category, STR("summary")) && !v->description.len))
        v->description = n.text;
    v->rejected |= description && csaf_is_rejection(n.text);
    return 0;
}

static int read_notes(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_note, into, e);
}

static int read_fixed(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_products(r, &((struct csaf_vulnerability *)into)->fixed, e);
}

static int read_affected(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_products(r, &((struct csaf_vulnerability *)into)->affected, e);
}

static int read_not_affected(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_products(r, &((struct csaf_vulnerability *)into)->not_affected, e);
}

/* under_investigation says nothing yet. */
static int read_status(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "fixed", read_fixed },
                                                  { "known_affected", read_affected },
                                                  { "known_not_affected", read_not_affected },
                                                  { 0 } };
    return csaf_object(r, members, into, e);
}

struct remediation {
    str category, details, url;
    struct csaf_list products;
};

static int read_remedy_category(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct remediation *)into)->category, e);
}

static int read_details(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct remediation *)into)->details, e);
}

static int read_url(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, LINK_MAX, &((struct remediation *)into)->url, e);
}

static int read_remedy_products(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_products(r, &((struct remediation *)into)->products, e);
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

static int read_remediation(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "category", read_remedy_category },
                                                  { "details", read_details },
                                                  { "url", read_url },
                                                  { "product_ids", read_remedy_products },
                                                  { 0 } };
    struct csaf_vulnerability *v = into;
    struct remediation m = { 0 };
    if (csaf_members(r, members, &m, e) < 0)
        return -1;
    struct csaf_remedy *n = arena_alloc(r->arena, 1, sizeof *n);
    if (!n)
        return csaf_too_much(e);
    *n = (struct csaf_remedy){ v->remedies, state_of(&m), fix_of(m.url), m.url, m.products };
    v->remedies = n;
    return 0;
}

static int read_remediations(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_remediation, into, e);
}

struct threat {
    str category, details;
    struct csaf_list products;
};

static int read_threat_category(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct threat *)into)->category, e);
}

static int read_threat_details(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct threat *)into)->details, e);
}

static int read_threat_products(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_products(r, &((struct threat *)into)->products, e);
}

static int read_threat(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "category", read_threat_category },
                                                  { "details", read_threat_details },
                                                  { "product_ids", read_threat_products },
                                                  { 0 } };
    struct csaf_vulnerability *v = into;
    struct threat t = { 0 };
    if (csaf_members(r, members, &t, e) < 0)
        return -1;
    enum severity severity = severity_of_word(t.details);
    if (!str_eq(t.category, STR("impact")) || severity == SEVERITY_UNKNOWN)
        return 0;
    struct csaf_threat *n = arena_alloc(r->arena, 1, sizeof *n);
    if (!n)
        return csaf_too_much(e);
    *n = (struct csaf_threat){ v->threats, severity, !t.products.count, t.products };
    v->threats = n;
    return 0;
}

static int read_threats(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_threat, into, e);
}

struct score {
    struct cvss_score cvss[3]; /* v2, v3, v4 */
    unsigned count;
    struct csaf_list products;
};

static int read_score_version(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct cvss_score *)into)->version, e);
}

static int read_vector(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_text(r, FEED_TEXT_MAX, &((struct cvss_score *)into)->vector, e);
}

static int read_base(struct csaf_reader *r, void *into, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(r->json, &type, &text, e) < 0)
        return -1;
    uint32_t base;
    if (type == JSON_NUMBER && decimal_parse(text, 1, CVSS_BASE_MAX, &base))
        ((struct cvss_score *)into)->base = (uint16_t)base;
    return json_skip_rest(r->json, type, e);
}

static int read_cvss(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = {
        { "baseScore", read_base }, { "vectorString", read_vector }, { "version", read_score_version }, { 0 }
    };
    struct score *s = into;
    struct cvss_score one = { .base = CVSS_BASE_MAX + 1 };
    if (csaf_object(r, members, &one, e) < 0)
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
static int read_score_products(struct csaf_reader *r, void *into, struct err *e)
{
    struct score *s = into;
    return highest_of(s) ? json_skip(r->json, e) : csaf_products(r, &s->products, e);
}

static bool has_score(const struct csaf_vulnerability *v, const struct cvss_score *s)
{
    for (size_t i = 0; i < v->score_count; i++)
        if (str_eq(v->scores[i].version, s->version) && str_eq(v->scores[i].vector, s->vector) &&
            v->scores[i].base == s->base)
            return true;
    return false;
}

static int add_score(struct csaf_reader *r, struct csaf_vulnerability *v, const struct cvss_score *s,
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

static int read_score(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "cvss_v2", read_cvss },
                                                  { "cvss_v3", read_cvss },
                                                  { "cvss_v4", read_cvss },
                                                  { "products", read_score_products },
                                                  { 0 } };
    struct csaf_vulnerability *v = into;
    struct score s = { 0 };
    if (csaf_members(r, members, &s, e) < 0)
        return -1;
    for (unsigned i = 0; i < s.count; i++)
        if (add_score(r, v, &s.cvss[i], e) < 0)
            return -1;
    for (size_t i = 0; s.count && !highest_of(&s) && i < s.products.count; i++)
        if (csaf_add_product(r, &v->scored_zero, s.products.items[i]->id, e) < 0)
            return -1;
    return 0;
}

static int read_scores(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_score, into, e);
}

static int read_vulnerability(struct csaf_reader *r, void *into, struct err *e)
{
    static const struct csaf_member members[] = { { "cve", read_cve },
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
    return csaf_members(r, members, v, e) < 0 ? err_wrap(e, STR_FMT, STR_ARG(str_head(v->cve, 100))) : 0;
}

int csaf_read_flaws(struct csaf_reader *r, void *into, struct err *e)
{
    return csaf_array(r, read_vulnerability, into, e);
}
