/*
 * What a CSAF document says of one vulnerability, as affected ranges.
 *
 * A product id stands for a package in a stream of a product. Packages with an architecture or none are binary ones, those of "src" are
 * sources. A fix names the binary packages of each architecture; older documents only the source, which counts where no binary
 * package is named beside it (a source's epoch is not known in images, so it would be found where it is not).
 *
 * That something is not affected is said only of RHEL as such (its CPE without an edition), for all versions, and never of a package that
 * the same document calls fixed or affected anywhere in that release.
 */
#include "base/cleanup.h"
#include "feed/csaf.h"
#include "feed/csaf_document.h"

#define DEPTH       6    /* of products made of products: a package in a module in a stream is 3 */
#define RANGES_MAX  4096 /* of one advisory; the next ones go on in another */
#define BYTES_MAX   ((size_t)384 << 10)
#define RANGE_BYTES 32 /* of a range beside its texts, about */
#define LINK        "https://access.redhat.com/security/cve/"

struct candidate {
    str fix, link; /* empty: of the CVE itself */
    struct affected_range range;
};

struct work {
    struct arena *arena; /* of this vulnerability */
    struct csaf_document *document;
    struct csaf_vulnerability *vulnerability;
    unsigned number;
    enum severity severity; /* of products of which none is told */
    struct candidate *list;
    size_t count, cap;
    struct strmap positive; /* names of packages that are fixed or affected in a release */
};

/* What a product id stands for. */
struct parts {
    const struct csaf_package *package;
    const struct csaf_product *stream;
    str module;
};

static void resolve(const struct csaf_product *p, unsigned depth, struct parts *ret)
{
    if (!p || depth == DEPTH)
        return;
    if (p->package && p->package->name.len && !ret->package)
        ret->package = p->package;
    if (p->package && p->package->module.len && !ret->module.len)
        ret->module = p->package->module;
    if (p->cpe.len && !ret->stream)
        ret->stream = p;
    resolve(p->part, depth + 1, ret);
    resolve(p->whole, depth + 1, ret);
}

static struct csaf_product *fresh(const struct work *w, struct csaf_product *p)
{
    if (p->seen == w->number)
        return p;
    p->seen = w->number;
    p->severity = SEVERITY_UNKNOWN;
    p->state = FIX_AFFECTED;
    p->fixed = p->scored_zero = p->has_fix = false;
    return p;
}

/* ---- what is said of products ---- */

static enum severity severity_of_all(const struct csaf_vulnerability *v)
{
    enum severity severity = SEVERITY_UNKNOWN;
    for (const struct csaf_threat *t = v->threats; t; t = t->next)
        if (t->all)
            severity = t->severity; /* the list is in reverse: the first counts, here and below */
    return severity;
}

static void mark_products(struct work *w)
{
    struct csaf_vulnerability *v = w->vulnerability;
    w->severity = severity_of_all(v);
    for (size_t i = 0; i < v->fixed.count; i++)
        fresh(w, v->fixed.items[i])->fixed = true;
    for (size_t i = 0; i < v->scored_zero.count; i++)
        fresh(w, v->scored_zero.items[i])->scored_zero = true;
    for (const struct csaf_threat *t = v->threats; t; t = t->next)
        for (size_t i = 0; i < t->products.count; i++)
            fresh(w, t->products.items[i])->severity = t->severity;
    for (const struct csaf_remedy *m = v->remedies; m; m = m->next)
        for (size_t i = 0; m->state && m->state != FIX_FIXED && i < m->products.count; i++)
            fresh(w, m->products.items[i])->state = m->state;
}

static bool is_source(const struct csaf_package *p)
{
    return str_eq(p->arch, STR("src")) || str_eq(p->arch, STR("nosrc"));
}

static int add(struct work *w, const struct candidate *c, struct err *e)
{
    struct candidate *list = arena_grow(w->arena, w->list, w->count, &w->cap, sizeof *list);
    if (!list)
        return csaf_too_much(e);
    w->list = list;
    list[w->count++] = *c;
    return 0;
}

static str positive_name(struct work *w, const struct affected_range *r)
{
    return arena_printf(w->arena, STR_FMT "\n" STR_FMT "\n" STR_FMT, STR_ARG(r->namespace),
                        STR_ARG(r->package), STR_ARG(r->module));
}

static int remember_positive(struct work *w, const struct affected_range *r, struct err *e)
{
    str name = positive_name(w, r);
    void **at = name.ptr ? strmap_at(&w->positive, name) : NULL;
    if (!at)
        return csaf_too_much(e);
    *at = w;
    return 0;
}

/* False: nothing that we could match, or nothing that is meant to be. */
static bool range_of(struct work *w, struct csaf_product *p, struct affected_range *ret)
{
    struct parts parts = { 0 };
    resolve(p, 0, &parts);
    if (!parts.package || !parts.stream || !parts.stream->namespace.len)
        return false;
    fresh(w, p);
    enum severity severity = p->severity ? p->severity : w->severity;
    if (severity == SEVERITY_UNKNOWN && p->scored_zero) /* 0.0 without an impact: it is none */
        return false;
    *ret = (struct affected_range){
        .namespace = parts.stream->namespace,
        .scheme = STR("rpm"),
        .package = parts.package->name,
        .kind = is_source(parts.package) ? AFFECTS_SOURCE : AFFECTS_BINARY,
        .arch = is_source(parts.package) ? (str){ 0 } : parts.package->arch,
        .module = parts.module,
        .cpe = parts.stream->cpe,
        .severity = severity,
        .state = p->state,
    };
    return true;
}

static int add_fixed(struct work *w, struct csaf_product *p, const struct csaf_remedy *by, struct err *e)
{
    struct candidate c = { 0 };
    struct parts parts = { 0 };
    if (!range_of(w, p, &c.range))
        return 0;
    resolve(p, 0, &parts);
    if (!parts.package->evr.len || parts.package->unusable)
        return 0;
    if (!parts.package->arch.len) /* of a time when fixes named sources */
        c.range.kind = AFFECTS_SOURCE;
    c.range.fixed_version = parts.package->evr;
    c.range.state = FIX_FIXED;
    if (by) {
        c.fix = by->fix;
        c.link = by->link;
    }
    return remember_positive(w, &c.range, e) < 0 ? -1 : add(w, &c, e);
}

static int add_fixes(struct work *w, struct err *e)
{
    struct csaf_vulnerability *v = w->vulnerability;
    for (const struct csaf_remedy *m = v->remedies; m; m = m->next)
        for (size_t i = 0; m->state == FIX_FIXED && m->fix.len && i < m->products.count; i++) {
            struct csaf_product *p = fresh(w, m->products.items[i]);
            p->has_fix = true;
            if (p->fixed && add_fixed(w, p, m, e) < 0)
                return -1;
        }
    for (size_t i = 0; i < v->fixed.count; i++)
        if (!v->fixed.items[i]->has_fix && add_fixed(w, v->fixed.items[i], NULL, e) < 0)
            return -1;
    return 0;
}

static int add_affected(struct work *w, struct err *e)
{
    const struct csaf_list *list = &w->vulnerability->affected;
    for (size_t i = 0; i < list->count; i++) {
        struct candidate c = { 0 };
        if (range_of(w, list->items[i], &c.range) &&
            (remember_positive(w, &c.range, e) < 0 || add(w, &c, e) < 0))
            return -1;
    }
    return 0;
}

static int add_negatives(struct work *w, struct err *e)
{
    const struct csaf_list *list = &w->vulnerability->not_affected;
    for (size_t i = 0; i < list->count; i++) {
        struct candidate c = { 0 };
        if (!range_of(w, list->items[i], &c.range) || !csaf_cpe_is_plain(c.range.cpe))
            continue;
        str name = positive_name(w, &c.range);
        if (!name.ptr)
            return csaf_too_much(e);
        if (strmap_get(&w->positive, name))
            continue;
        c.range.negative = true;
        c.range.arch = c.range.cpe = (str){ 0 };
        c.range.severity = SEVERITY_UNKNOWN;
        c.range.state = FIX_AFFECTED;
        if (add(w, &c, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- putting ranges together ---- */

static int order(unsigned a, unsigned b) { return (a > b) - (a < b); }

/* Those of one fix in one stream stand together, its binary packages first. */
static int by_stream(const struct candidate *a, const struct candidate *b)
{
    int r = str_cmp(a->fix, b->fix);
    r = r ? r : str_cmp(a->range.namespace, b->range.namespace);
    return r ? r : str_cmp(a->range.cpe, b->range.cpe);
}

static int but_arch(const struct candidate *a, const struct candidate *b)
{
    const struct affected_range *x = &a->range, *y = &b->range;
    int r = by_stream(a, b);
    r = r ? r : order(y->kind, x->kind);
    r = r ? r : str_cmp(x->package, y->package);
    r = r ? r : str_cmp(x->module, y->module);
    r = r ? r : order(x->negative, y->negative);
    r = r ? r : str_cmp(x->fixed_version, y->fixed_version);
    r = r ? r : order(x->severity, y->severity);
    return r ? r : order(x->state, y->state);
}

static int by_all(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int r = but_arch(x, y);
    return r ? r : str_cmp(x->range.arch, y->range.arch);
}

static bool has_arch(const struct candidate *run, size_t count, str arch)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(run[i].range.arch, arch))
            return true;
    return false;
}

/* Are these the architectures of all packages there are? */
static bool all_arches(const struct candidate *run, size_t count)
{
    if (str_eq(run[0].range.arch, STR("noarch")) && str_eq(run[count - 1].range.arch, STR("noarch")))
        return true;
    return !run[0].range.arch.len ||
           (has_arch(run, count, STR("aarch64")) && has_arch(run, count, STR("ppc64le")) &&
            has_arch(run, count, STR("s390x")) && has_arch(run, count, STR("x86_64")));
}

/* One run, equal but for its architectures, to the front at *kept. */
static void merge_run(struct candidate *list, size_t from, size_t count, size_t *kept)
{
    bool all = all_arches(list + from, count);
    for (size_t i = 0; i < (all ? 1 : count); i++) {
        bool same = !all && i && str_eq(list[from + i].range.arch, list[from + i - 1].range.arch);
        struct candidate c = list[from + i];
        if (all)
            c.range.arch = (str){ 0 };
        if (!same)
            list[(*kept)++] = c;
    }
}

static bool is_source_fix(const struct candidate *c)
{
    return c->range.kind == AFFECTS_SOURCE && c->range.state == FIX_FIXED && !c->range.negative;
}

/* Drops fixes of sources beside those of binary packages, and merges architectures. */
static void merge(struct work *w)
{
    struct candidate *list = w->list;
    size_t kept = 0, run;
    bool binary = false;
    if (w->count)
        qsort(list, w->count, sizeof *list, by_all);
    for (size_t i = 0; i < w->count; i += run) {
        const struct candidate first = list[i]; /* merging moves what lies before */
        if (!i || by_stream(&list[i - 1], &first) != 0)
            binary = false;
        for (run = 1; i + run < w->count && but_arch(&first, &list[i + run]) == 0;)
            run++;
        binary |=
            first.range.kind == AFFECTS_BINARY && first.range.state == FIX_FIXED && !first.range.negative;
        if (!binary || !is_source_fix(&first))
            merge_run(list, i, run, &kept);
    }
    w->count = kept;
}

/* ---- advisories ---- */

static size_t bytes_of(const struct affected_range *r)
{
    return r->namespace.len + r->package.len + r->fixed_version.len + r->arch.len + r->module.len +
           r->cpe.len + RANGE_BYTES;
}

static int put_ranges(struct work *w, const struct candidate *c, struct affected_range *ranges, size_t count,
                      unsigned part, struct advisory_sink *sink, struct err *e)
{
    struct csaf_vulnerability *v = w->vulnerability;
    str cve = v->cve, fix = c ? c->fix : (str){ 0 };
    str key = fix.len ? arena_printf(w->arena, STR_FMT "/" STR_FMT, STR_ARG(cve), STR_ARG(fix)) : cve;
    struct advisory a = {
        .key = part > 1 ? arena_printf(w->arena, STR_FMT "/%u", STR_ARG(key), part) : key,
        .id = fix.len ? fix : cve,
        .title = v->title,
        .description = v->description,
        .link = fix.len ? c->link : arena_printf(w->arena, LINK STR_FMT, STR_ARG(cve)),
        .ranges = ranges,
        .range_count = count,
    };
    if (fix.len) {
        a.meta.aliases = &cve;
        a.meta.alias_count = 1;
    } else if (part == 1) {
        a.meta.scores = v->scores;
        a.meta.score_count = v->score_count;
    }
    return arena_failed(w->arena) ? csaf_too_much(e) : sink->put(sink, &a, e);
}

/* All of one fix: `count` candidates from c on. */
static int put_group(struct work *w, const struct candidate *c, size_t count, struct affected_range *ranges,
                     struct advisory_sink *sink, struct err *e)
{
    unsigned part = 0;
    for (size_t at = 0, n; at < count; at += n) {
        size_t bytes = 0;
        for (n = 0; at + n < count && n < RANGES_MAX && bytes < BYTES_MAX; n++) {
            ranges[n] = c[at + n].range;
            bytes += bytes_of(&ranges[n]);
        }
        if (put_ranges(w, c, ranges, n, ++part, sink, e) < 0)
            return -1;
    }
    return 0;
}

static int put_all(struct work *w, struct advisory_sink *sink, struct err *e)
{
    struct affected_range *ranges = arena_array(w->arena, struct affected_range, RANGES_MAX);
    if (!ranges)
        return csaf_too_much(e);
    bool own = false; /* was there one of the CVE itself? */
    for (size_t i = 0, n; i < w->count; i += n) {
        for (n = 1; i + n < w->count && str_eq(w->list[i].fix, w->list[i + n].fix);)
            n++;
        own |= !w->list[i].fix.len;
        if (put_group(w, &w->list[i], n, ranges, sink, e) < 0)
            return -1;
    }
    return own || !w->vulnerability->score_count ? 0 : put_ranges(w, NULL, ranges, 0, 1, sink, e);
}

static void work_done(struct work *w)
{
    strmap_done(&w->positive);
    arena_freep(&w->arena);
}

int csaf_put(struct csaf_document *d, struct csaf_vulnerability *v, unsigned number,
             struct advisory_sink *sink, struct err *e)
{
    CLEANUP(work_done)
    struct work w = { .arena = arena_new(CSAF_MEMORY), .document = d, .vulnerability = v, .number = number };
    if (!w.arena)
        return err_set(e, ERR_OOM, "csaf: out of memory");
    mark_products(&w);
    if (add_fixes(&w, e) < 0 || add_affected(&w, e) < 0 || add_negatives(&w, e) < 0)
        return -1;
    merge(&w);
    return put_all(&w, sink, e);
}
