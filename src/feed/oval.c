/* oval.c - definitions, and the order in which a file tells of things. */
#include "base/cleanup.h"
#include "feed/oval_parts.h"

#define CVES_MAX         METADATA_ALIASES
#define DESCRIPTION_HELD ((size_t)2 << 10)
#define DESCRIPTION_MAX  ((size_t)64 << 10)
#define ARCHES_MAX       32u
#define SHOWN            100 /* bytes of a name in an error: the reason must fit too */

/* What is kept of a definition until the end of the file. */
struct held {
    struct oval_definition d;
    const uint32_t *tokens;
    size_t token_count;
    struct held *next;
};

struct reading {
    const struct oval_reader *reader;
    struct xml *x;
    struct arena *arena; /* of the file */
    struct oval_criteria criteria;
    struct held *first, **last;
    struct strmap ids; /* of definitions: how often */
    /* of the definition that is being read */
    struct oval_definition d;
    str *cves, *cpes;
    size_t cve_cap, cpe_cap;
};

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "more than %zu bytes", OVAL_DEFINITION_MAX);
}

static str keep(struct reading *r, str s) { return arena_dup(r->d.arena, s); }

/* Cuts where a character begins. */
static str head(str s, size_t max)
{
    size_t n = s.len < max ? s.len : max;
    while (n && n < s.len && ((uint8_t)s.ptr[n] & 0xc0) == 0x80)
        n--;
    return str_head(s, n);
}

static int content(struct reading *r, str *to, size_t max, struct err *e)
{
    str text;
    if (xml_content(r->x, &text, e) < 0)
        return -1;
    *to = keep(r, head(text, max));
    return arena_failed(r->d.arena) ? too_much(e) : 0;
}

/* ---- CVEs ---- */

static int add_cve(struct reading *r, str id, struct err *e)
{
    id = str_head(id, FEED_TEXT_MAX);
    for (size_t i = 0; i < r->d.cve_count; i++)
        if (str_eq(r->cves[i], id))
            return 0;
    if (r->d.cve_count == CVES_MAX)
        return err_set(e, ERR_LIMIT, "more than %u CVEs", CVES_MAX);
    r->cves = arena_grow(r->d.arena, r->cves, r->d.cve_count, &r->cve_cap, sizeof *r->cves);
    if (!r->cves)
        return too_much(e);
    r->cves[r->d.cve_count++] = keep(r, id);
    return arena_failed(r->d.arena) ? too_much(e) : 0;
}

/* "CVE-2019-1", "Mitre CVE-2019-1", "CVE:00001:CVE-2019-1", "CVE-2019-1 at NVD" */
static str cve_in(str s)
{
    while (s.len && !str_starts(s, STR("CVE-")))
        s = str_skip(s, 1);
    return str_word(&s);
}

static int read_reference(struct reading *r, struct err *e)
{
    str source = xml_attribute(r->x, "source"), cve = cve_in(xml_attribute(r->x, "ref_id"));
    if (r->reader->link && str_eq(source, str_from(r->reader->link)) && !r->d.link.len)
        r->d.link = keep(r, str_head(xml_attribute(r->x, "ref_url"), METADATA_TEXT));
    if (str_eq(source, STR("CVE")) && cve.len && add_cve(r, cve, e) < 0)
        return -1;
    return xml_skip(r->x, e);
}

static int read_cve(struct reading *r, struct err *e)
{
    str text;
    if (xml_content(r->x, &text, e) < 0)
        return -1;
    str cve = cve_in(text);
    return cve.len ? add_cve(r, cve, e) : 0;
}

static int read_cpes(struct reading *r, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(r->x, &name, e)) > 0) {
        r->cpes = arena_grow(r->d.arena, r->cpes, r->d.cpe_count, &r->cpe_cap, sizeof *r->cpes);
        if (!r->cpes)
            return too_much(e);
        if (content(r, &r->cpes[r->d.cpe_count++], FEED_TEXT_MAX, e) < 0)
            return -1;
    }
    return found;
}

/* ---- metadata ---- */

static int read_metadata(struct reading *r, struct err *e);

static int read_member(struct reading *r, str name, struct err *e)
{
    struct oval_definition *d = &r->d;
    if (str_eq(name, STR("title")))
        return content(r, &d->title, FEED_TEXT_MAX, e);
    if (str_eq(name, STR("severity")))
        return content(r, &d->severity, FEED_TEXT_MAX, e);
    if (str_eq(name, STR("description")))
        return content(r, &d->description, r->reader->by_comment ? DESCRIPTION_MAX : DESCRIPTION_HELD, e);
    if (str_eq(name, STR("patchable")))
        return content(r, &d->patchable, FEED_TEXT_MAX, e);
    if (str_eq(name, STR("reference")))
        return read_reference(r, e);
    if (str_eq(name, STR("cve")))
        return read_cve(r, e);
    if (str_eq(name, STR("advisory")))
        return read_metadata(r, e);
    if (str_eq(name, STR("affected_cpe_list")) && r->reader->by_comment)
        return read_cpes(r, e);
    return xml_skip(r->x, e);
}

/* Of <metadata> and <advisory>: vendors put the same members here or there. */
static int read_metadata(struct reading *r, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(r->x, &name, e)) > 0)
        if (read_member(r, name, e) < 0)
            return -1;
    return found;
}

/* ---- definitions ---- */

static int give(struct reading *r, struct oval_definition *d, struct err *e)
{
    if (oval_criteria_rows(&r->criteria, &d->rows, &d->row_count, e) < 0)
        return -1;
    d->arena = r->criteria.arena;
    return r->reader->put(r->reader->ctx, d, e);
}

static int hold(struct reading *r, struct err *e)
{
    struct held *h = arena_array(r->arena, struct held, 1);
    uint32_t *tokens = arena_array(r->arena, uint32_t, r->criteria.token_count + 1);
    str *cves = arena_array(r->arena, str, r->d.cve_count + 1);
    if (h && tokens && cves) {
        if (r->criteria.token_count)
            memcpy(tokens, r->criteria.tokens, r->criteria.token_count * sizeof *tokens);
        *h = (struct held){ .d = r->d, .tokens = tokens, .token_count = r->criteria.token_count };
        struct oval_definition *d = &h->d;
        str *texts[] = {
            &d->key, &d->class, &d->title, &d->severity, &d->description, &d->link, &d->patchable
        };
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            *texts[i] = arena_dup(r->arena, *texts[i]);
        for (size_t i = 0; i < d->cve_count; i++)
            cves[i] = arena_dup(r->arena, d->cves[i]);
        d->cves = cves;
        *r->last = h;
        r->last = &h->next;
    }
    if (arena_failed(r->arena) || arena_used(r->arena) + r->criteria.refs.taken > OVAL_HELD_MAX)
        return err_set(e, ERR_LIMIT, "definitions that take more than %zu bytes", OVAL_HELD_MAX);
    return 0;
}

/* Ids should be unique in a file; should they not be, the later ones get a number more. */
static int name_definition(struct reading *r, struct err *e)
{
    str id = xml_attribute(r->x, "id");
    id = str_trim(str_skip(id, (size_t)(str_rfind(id, ':') + 1)));
    if (!id.len)
        return err_set(e, ERR_FORMAT, "xml: byte %llu: a definition without an id",
                       (unsigned long long)xml_offset(r->x));
    id = arena_dup(r->arena, str_head(id, FEED_TEXT_MAX));
    void **times = arena_failed(r->arena) ? NULL : strmap_at(&r->ids, id);
    if (!times)
        return too_much(e);
    *times = (void *)((uintptr_t)*times + 1);
    r->d.key = (uintptr_t)*times == 1
                   ? keep(r, id)
                   : arena_printf(r->d.arena, STR_FMT "#%zu", STR_ARG(id), (size_t)(uintptr_t)*times);
    return arena_failed(r->d.arena) ? too_much(e) : 0;
}

static int read_parts(struct reading *r, struct err *e)
{
    str name;
    int found;
    if (name_definition(r, e) < 0)
        return -1;
    r->d.class = keep(r, str_head(xml_attribute(r->x, "class"), FEED_TEXT_MAX));
    while ((found = xml_child(r->x, &name, e)) > 0) {
        int done = str_eq(name, STR("metadata"))   ? read_metadata(r, e)
                   : str_eq(name, STR("criteria")) ? oval_criteria_read(&r->criteria, r->x, 1, e)
                                                   : xml_skip(r->x, e);
        if (done < 0)
            return -1;
    }
    if (found == 0 && !r->d.title.len)
        return err_set(e, ERR_FORMAT, "xml: byte %llu: a definition without a title",
                       (unsigned long long)xml_offset(r->x));
    return found;
}

/* The scratch of one definition. */
static int begin(struct reading *r, struct arena *arena, struct err *e)
{
    struct oval_criteria *c = &r->criteria;
    if (!arena)
        return err_set(e, ERR_OOM, "oval: out of memory");
    c->arena = arena;
    c->tokens = NULL;
    c->packages = NULL;
    c->token_count = c->token_cap = c->package_count = c->package_cap = 0;
    return 0;
}

static int read_definition(struct reading *r, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(OVAL_DEFINITION_MAX);
    if (begin(r, arena, e) < 0)
        return -1;
    r->d = (struct oval_definition){ .arena = arena };
    r->cves = r->cpes = NULL;
    r->cve_cap = r->cpe_cap = 0;
    int result = read_parts(r, e);
    if (result == 0) {
        r->d.cves = r->cves;
        r->d.cpes = r->cpes;
        result = r->reader->by_comment ? give(r, &r->d, e) : hold(r, e);
    }
    return result < 0 && r->d.title.len ? err_wrap(e, STR_FMT, STR_ARG(str_head(r->d.title, SHOWN))) : result;
}

static int read_definitions(struct reading *r, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(r->x, &name, e)) > 0)
        if ((str_eq(name, STR("definition")) ? read_definition(r, e) : xml_skip(r->x, e)) < 0)
            return -1;
    return found;
}

static int give_held(struct reading *r, struct err *e)
{
    for (struct held *h = r->first; h; h = h->next) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(OVAL_DEFINITION_MAX);
        if (begin(r, arena, e) < 0)
            return -1;
        r->criteria.tokens = (uint32_t *)h->tokens;
        r->criteria.token_count = h->token_count;
        if (give(r, &h->d, e) < 0)
            return err_wrap(e, STR_FMT, STR_ARG(str_head(h->d.title, SHOWN)));
    }
    return 0;
}

/* ---- the file ---- */

/* OVAL has them in this order; each at most once. */
static const char *const parts[] = { "generator", "definitions", "tests", "objects", "states", "variables" };
enum part { PART_GENERATOR, PART_DEFINITIONS, PART_TESTS, PART_OBJECTS, PART_STATES, PART_VARIABLES, PARTS };

static int read_part(struct reading *r, enum part part, struct err *e)
{
    if (part == PART_DEFINITIONS)
        return read_definitions(r, e);
    if (r->reader->by_comment)
        return xml_skip(r->x, e);
    struct oval_refs *refs = &r->criteria.refs;
    return part == PART_TESTS       ? oval_refs_tests(refs, r->x, e)
           : part == PART_OBJECTS   ? oval_refs_objects(refs, r->x, e)
           : part == PART_STATES    ? oval_refs_states(refs, r->x, e)
           : part == PART_VARIABLES ? oval_refs_variables(refs, r->x, e)
                                    : xml_skip(r->x, e);
}

static int read_file(struct reading *r, struct err *e)
{
    str name;
    int found;
    unsigned next = 0;
    bool seen = false;
    if (xml_root(r->x, &name, e) < 0)
        return -1;
    if (!str_eq(name, STR("oval_definitions")))
        return err_set(e, ERR_FORMAT, "xml: byte 0: '" STR_FMT "' instead of 'oval_definitions'",
                       STR_ARG(str_head(name, SHOWN)));
    while ((found = xml_child(r->x, &name, e)) > 0) {
        unsigned part = 0;
        while (part < PARTS && !str_eq(name, str_from(parts[part])))
            part++;
        if (part < next)
            return err_set(e, ERR_FORMAT, "xml: byte %llu: '%s' is not where it should be",
                           (unsigned long long)xml_offset(r->x), parts[part]);
        if (read_part(r, (enum part)part, e) < 0)
            return -1;
        seen |= part == PART_DEFINITIONS;
        next = part < PARTS ? part + 1 : next;
    }
    if (found < 0 || xml_finish(r->x, e) < 0)
        return -1;
    if (!seen)
        return err_set(e, ERR_FORMAT, "it has no definitions");
    return give_held(r, e);
}

int oval_read(struct stream *in, const struct oval_reader *reader, struct err *e)
{
    CLEANUP(xml_freep) struct xml *x = xml_new(in, e);
    if (!x)
        return -1;
    CLEANUP(arena_freep) struct arena *arena = arena_new(OVAL_HELD_MAX);
    if (!arena)
        return err_set(e, ERR_OOM, "oval: out of memory");
    struct reading r = { .reader = reader, .x = x, .arena = arena };
    r.last = &r.first;
    r.criteria = (struct oval_criteria){ .reader = reader, .words.arena = arena, .refs.arena = arena };
    int result = read_file(&r, e);
    strmap_done(&r.ids);
    strmap_done(&r.criteria.words.places);
    oval_refs_done(&r.criteria.refs);
    return result;
}

str oval_evr(str evr) { return str_starts(evr, STR("0:")) ? str_skip(evr, 2) : evr; }

/* ---- architectures ---- */

static bool same_package(const struct oval_row *a, const struct oval_row *b)
{
    return str_eq(a->namespace, b->namespace) && str_eq(a->package, b->package) &&
           str_eq(a->module, b->module) && a->operation == b->operation;
}

struct spread {
    struct arena *arena;
    struct oval_row *rows;
    size_t count, cap;
    bool of_system;
};

static void spread_row(struct spread *s, const struct oval_row *row, str arch)
{
    s->rows = arena_grow(s->arena, s->rows, s->count, &s->cap, sizeof *s->rows);
    if (!s->rows) {
        s->count = 0;
        return;
    }
    s->rows[s->count] = *row;
    s->rows[s->count++].arch = arch;
}

/* "(aarch64|x86_64)" or "x86_64": *rest begins as the whole; empty at the end. */
static str arch_in(str *rest)
{
    if (str_starts(*rest, STR("(")) && str_ends(*rest, STR(")")))
        *rest = str_head(str_skip(*rest, 1), rest->len - 2);
    return str_cut(rest, '|');
}

/* How many architectures rows name; 0: any, or too many to tell. */
static size_t count_arches(const struct oval_row *rows, size_t count)
{
    str seen[ARCHES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        str rest = rows[i].arch;
        if (!rest.len)
            return 0;
        while (rest.len) {
            str arch = arch_in(&rest);
            size_t k = 0;
            while (k < n && !str_eq(seen[k], arch))
                k++;
            if (k == ARCHES_MAX)
                return 0;
            seen[k] = arch;
            n += k == n;
        }
    }
    return n;
}

static void spread_arches(struct spread *s, const struct oval_row *row)
{
    str rest = row->arch;
    if (!rest.len)
        spread_row(s, row, rest);
    while (rest.len) {
        str arch = arch_in(&rest);
        spread_row(s, row, arch);
        if (!s->of_system)
            continue;
        spread_row(s, row, STR("noarch"));
        if (str_eq(arch, STR("x86_64")) || str_eq(arch, STR("i386")))
            spread_row(s, row, STR("i686"));
    }
}

/* The rows of one package; those of one version stand together. */
static void spread_package(struct spread *s, const struct oval_row *rows, size_t count)
{
    size_t all = count_arches(rows, count);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && str_eq(rows[i].evr, rows[end].evr);)
            end++;
        if (all > 1 && count_arches(rows + i, end - i) == all)
            spread_row(s, &rows[i], (str){ 0 });
        else
            for (size_t k = i; k < end; k++)
                spread_arches(s, &rows[k]);
    }
}

const struct oval_row *oval_spread(const struct oval_definition *d, bool of_system, size_t *count)
{
    struct spread s = { .arena = d->arena, .of_system = of_system };
    for (size_t i = 0, end; i < d->row_count; i = end) {
        for (end = i + 1; end < d->row_count && same_package(&d->rows[i], &d->rows[end]);)
            end++;
        spread_package(&s, &d->rows[i], end - i);
    }
    *count = s.rows ? s.count : 0;
    return s.rows;
}
