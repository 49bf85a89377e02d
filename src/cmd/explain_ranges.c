/* explain_ranges.c - the comparison of versions, step by step, as the store does it by keys. */
#include "cmd/explain.h"
#include "model/cpe.h"
#include "version/version.h"

#define PACKAGES_SHOWN 20u /* of one range */
#define RANGES_SHOWN   50u

static bool is_ours(const struct explaining *x, str namespace)
{
    const struct match *m = &x->scan->report.match;
    for (size_t i = 0; i < m->ecosystem_count; i++)
        if (str_eq(namespace, m->ecosystems[i]))
            return true;
    return str_eq(namespace, x->scan->image->distribution.namespace) ||
           (m->data.len && str_eq(namespace, m->data));
}

/* In x->installed: a package of an ecosystem has no name that a distribution's has. */
static str key_of(struct explaining *x, const struct ecosystem *of, str name)
{
    return of ? arena_printf(x->scan->arena, "%s " STR_FMT, of->name, STR_ARG(name)) : name;
}

static void note(str *list, size_t *count, size_t max, str s)
{
    for (size_t i = 0; i < *count && i < max; i++)
        if (str_eq(list[i], s))
            return;
    if (*count < max)
        list[*count] = s;
    ++*count;
}

static const char *or_any(str s, const char *any, str *ret)
{
    *ret = s.len ? s : str_from(any);
    return ret->ptr;
}

/* -1, 0, 1 by keys, as the store compares; -2: one of them is no version of that scheme. */
static int compare(const struct version_scheme *scheme, str a, str b)
{
    struct version_key x, y;
    if (!scheme || !scheme->key(a, &x) || !scheme->key(b, &y))
        return -2;
    int order = str_cmp(version_key_view(&x), version_key_view(&y));
    return order < 0 ? -1 : order > 0;
}

enum bound_of { BOUND_INTRODUCED, BOUND_FIXED, BOUND_LAST };

static const char *bound_words(enum bound_of of, bool holds)
{
    static const char *const words[][2] = {
        [BOUND_INTRODUCED] = { "below the first affected one: not affected",
                               "at or above the first affected one" },
        [BOUND_FIXED] = { "at or above the fix: not affected", "below the fix" },
        [BOUND_LAST] = { "above the last affected one: not affected", "not above the last affected one" },
    };
    return words[of][holds];
}

/* One bound: does it hold? 1, 0, -1 it cannot be told. */
static int step(struct explaining *x, const struct version_scheme *scheme, str installed, str bound,
                enum bound_of of)
{
    if (!bound.len) {
        explain_line(x, "        %s: holds",
                     of == BOUND_INTRODUCED ? "no lower bound" : "no upper bound, for there is no fix");
        return 1;
    }
    int order = compare(scheme, installed, bound);
    const char *sign = order == -2 ? "?" : order < 0 ? "<" : order > 0 ? ">" : "=";
    bool holds = of == BOUND_INTRODUCED ? order >= 0 : of == BOUND_FIXED ? order < 0 : order <= 0;
    explain_line(x, "        " STR_FMT " %s " STR_FMT ": %s", STR_ARG(installed), sign, STR_ARG(bound),
                 order == -2 ? "not versions of that scheme: judged by name alone" : bound_words(of, holds));
    return order == -2 ? -1 : holds;
}

/* Is the version in the range? Where it cannot be told, it may be. */
static bool in_range(struct explaining *x, const struct affected_range *r, str installed)
{
    const struct version_scheme *scheme = version_scheme_by_name(r->scheme);
    bool last = r->last_affected.len;
    return step(x, scheme, installed, r->introduced, BOUND_INTRODUCED) &&
           step(x, scheme, installed, last ? r->last_affected : r->fixed_version,
                last ? BOUND_LAST : BOUND_FIXED);
}

/* Is the package of that module? Packages of some distributions do not say of which they are, though they are of one. */
static bool of_module(struct explaining *x, const struct affected_range *r, const struct package *p)
{
    str wanted, is;
    if (str_eq(r->module, p->module))
        return true;
    or_any(r->module, "none", &wanted);
    or_any(p->module, "none that it names", &is);
    bool may = r->module.len && !p->module.len && distribution_unlabelled(x->scan->report.match.data);
    explain_line(x, "        is for module " STR_FMT ", the package is of " STR_FMT "%s", STR_ARG(wanted),
                 STR_ARG(is), may ? ", which here need not mean another" : ": not affected");
    return may;
}

static bool of_repository(struct explaining *x, const struct affected_range *r)
{
    bool has = !r->cpe.len;
    for (size_t i = 0; i < x->cpe_count && !has; i++)
        has = cpe_covers(r->cpe, x->cpes[i]);
    if (r->cpe.len)
        explain_line(x, "        is for repositories of " STR_FMT "%s", STR_ARG(r->cpe),
                     has ? ": the image has one" : ", which the image has not: not affected");
    return has;
}

static void judge(struct explaining *x, const struct stored_advisory *s, const struct affected_range *r,
                  const struct package *p)
{
    str installed = r->kind == AFFECTS_SOURCE ? p->source_version : p->version, shown;
    explain_text(x, "      " STR_FMT " " STR_FMT, STR_ARG(p->name), STR_ARG(p->version));
    if (r->kind == AFFECTS_SOURCE)
        explain_text(x, " (source " STR_FMT " " STR_FMT ")", STR_ARG(p->source), STR_ARG(p->source_version));
    explain_line(x, ", versions by %s", or_any(r->scheme, "no scheme", &shown));
    if (r->arch.len && !str_eq(r->arch, p->arch)) {
        explain_line(x, "        is for architecture " STR_FMT ", not " STR_FMT ": not affected",
                     STR_ARG(r->arch), STR_ARG(p->arch));
        return;
    }
    bool all = r->negative && !r->introduced.len && !r->fixed_version.len;
    if (!all && !in_range(x, r, installed))
        return;
    if (!of_module(x, r, p) || !of_repository(x, r))
        return;
    explain_line(x, "        %s", r->negative ? "the feed says: not affected" : "affected");
    if (r->negative)
        x->denied = true, x->denier = s->feed;
    else
        x->fits = true;
}

static bool names(const struct explaining *x, const struct affected_range *r, size_t package)
{
    const struct package *p = &x->scan->image->packages[package].package;
    bool of_ecosystem = ecosystem_of(p->kind) != NULL;
    return str_eq(of_ecosystem ? r->namespace : r->scheme, p->kind) &&
           str_eq(r->package, of_ecosystem                ? x->names[package]
                              : r->kind == AFFECTS_SOURCE ? p->source
                                                          : p->name);
}

static void heading(struct explaining *x, const struct affected_range *r)
{
    str from, to;
    explain_text(x, "    " STR_FMT ": %s package " STR_FMT ", %s", STR_ARG(r->namespace),
                 r->kind == AFFECTS_SOURCE ? "source" : "binary", STR_ARG(r->package),
                 r->negative ? "not affected" : "affected");
    or_any(r->introduced, "the first version", &from);
    or_any(r->last_affected.len ? r->last_affected : r->fixed_version, r->negative ? "any" : "no fix", &to);
    explain_text(x, " from " STR_FMT ", %s " STR_FMT, STR_ARG(from),
                 r->fixed_version.len ? "fixed in" : "up to", STR_ARG(to));
    if (!r->negative)
        explain_text(x, " (%s, %s)", severity_name(r->severity), fix_state_name(r->state));
    buf_char(x->out, '\n');
}

/* How many packages of the image it names. */
static size_t one_range(struct explaining *x, const struct stored_advisory *s, const struct affected_range *r)
{
    const struct image_index *i = x->scan->image;
    size_t n = 0;
    for (size_t k = 0; k < i->package_count; k++) {
        if (!names(x, r, k))
            continue;
        if (!n++)
            heading(x, r);
        if (n <= PACKAGES_SHOWN)
            judge(x, s, r, &i->packages[k].package);
    }
    if (n > PACKAGES_SHOWN)
        explain_line(x, "      and %zu more packages", n - PACKAGES_SHOWN);
    return n;
}

static void head(struct explaining *x, const struct stored_advisory *s)
{
    explain_line(x, "  feed " STR_FMT ", " STR_FMT " (" STR_FMT ")", STR_ARG(s->feed),
                 STR_ARG(s->advisory.id), STR_ARG(s->advisory.key));
}

static bool is_installed(struct explaining *x, const struct affected_range *r)
{
    return r->kind <= AFFECTS_BINARY &&
           strmap_get(&x->installed[r->kind], key_of(x, ecosystem_of(r->namespace), r->package)) != NULL;
}

/* Does it speak of a package of the image? */
static bool one_advisory(struct explaining *x, const struct stored_advisory *s)
{
    const struct advisory *a = &s->advisory;
    size_t shown = 0;
    for (size_t i = 0; i < a->range_count; i++) {
        const struct affected_range *r = &a->ranges[i];
        if (!is_ours(x, r->namespace)) {
            note(x->other_spaces, &x->other_space_count, 8, r->namespace);
            continue;
        }
        x->of_namespace = true;
        if (!is_installed(x, r)) {
            note(x->other_packages, &x->other_package_count, 8, r->package);
            continue;
        }
        if (!shown++)
            head(x, s);
        if (shown <= RANGES_SHOWN)
            x->of_package |= one_range(x, s, r) > 0;
    }
    if (shown > RANGES_SHOWN)
        explain_line(x, "    and %zu more ranges", shown - RANGES_SHOWN);
    if (!a->range_count) {
        head(x, s);
        explain_line(x, "    severity, links and the like: of no package");
    }
    return shown || !a->range_count;
}

static int list_installed(struct explaining *x, struct err *e)
{
    const struct image_index *i = x->scan->image;
    struct arena *arena = x->scan->arena;
    x->names = arena_array(arena, str, i->package_count);
    for (size_t k = 0; x->names && k < i->package_count; k++) {
        const struct package *p = &i->packages[k].package;
        const struct ecosystem *of = ecosystem_of(p->kind);
        x->names[k] = of ? ecosystem_package(of, p->name, arena) : p->name;
        void **source = strmap_at(&x->installed[AFFECTS_SOURCE], key_of(x, of, of ? x->names[k] : p->source));
        void **binary = strmap_at(&x->installed[AFFECTS_BINARY], key_of(x, of, x->names[k]));
        if (!source || !binary)
            return err_set(e, ERR_OOM, "packages");
        *source = *binary = x;
    }
    return arena_failed(arena) ? err_set(e, ERR_OOM, "packages") : 0;
}

static int add_cpes(struct explaining *x, const struct stored_advisory *s, size_t *cap, struct err *e)
{
    for (size_t i = 0; i < s->advisory.meta.cpe_count; i++) {
        x->cpes = arena_grow(x->scan->arena, x->cpes, x->cpe_count, cap, sizeof *x->cpes);
        if (!x->cpes)
            return err_set(e, ERR_OOM, "repositories");
        x->cpes[x->cpe_count++] = s->advisory.meta.cpes[i];
    }
    return 0;
}

/* As store_match() has it: what feeds say of the repositories that the image names, else what its release has. */
static int find_cpes(struct explaining *x, struct err *e)
{
    struct scan *s = x->scan;
    size_t cap = 0;
    for (size_t i = 0; i < s->image->fact_count; i++) {
        const struct fact *f = &s->image->facts[i].fact;
        struct stored_advisory *said;
        size_t count;
        if (!str_eq(f->name, STR("content-set")))
            continue;
        if (store_said(s->store, f->value, s->arena, &said, &count, e) < 0)
            return -1;
        for (size_t k = 0; k < count; k++)
            if (add_cpes(x, &said[k], &cap, e) < 0)
                return -1;
    }
    if (!x->cpe_count)
        x->cpe_count = cpe_defaults(s->report.match.data, s->arena, &x->cpes);
    return arena_failed(s->arena) ? err_set(e, ERR_OOM, "repositories") : 0;
}

int explain_ranges(struct explaining *x, struct err *e)
{
    size_t silent = 0;
    if (list_installed(x, e) < 0 || find_cpes(x, e) < 0)
        return -1;
    if (x->said_count)
        buf_str(x->out, STR("\nWhat feeds say of it:\n"));
    for (size_t i = 0; i < x->said_count; i++)
        silent += !one_advisory(x, &x->said[i]);
    if (silent)
        explain_line(x, "  %zu advisor%s nothing about a package of this image", silent,
                     silent == 1 ? "y says" : "ies say");
    return 0;
}
