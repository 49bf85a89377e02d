#include "match/match.h"
#include "base/clock.h"
#include "model/purl.h"

#define WARNINGS 4 /* at most, beside the notes of the image */

const char *coverage_name(enum coverage c)
{
    static const char *const names[] = {
        [COVERAGE_FULL] = "full", [COVERAGE_NONE] = "none", [COVERAGE_EMPTY] = "empty"
    };
    return names[c];
}

/* Why the packages of the distribution are not judged. */
static str missing(const struct report *r, struct arena *arena)
{
    const struct distribution *d = &r->image->distribution;
    if (!d->id.len)
        return STR("not covered: no distribution was recognised in the image");
    if (!d->namespace.len)
        return arena_printf(arena, "not covered: the distribution '" STR_FMT " " STR_FMT "' is not supported",
                            STR_ARG(d->id), STR_ARG(d->version));
    return arena_printf(arena, "not covered: no feed is loaded for " STR_FMT " (eclair update loads them)",
                        STR_ARG(d->namespace));
}

static void check_age(struct report *r, struct arena *arena)
{
    char today[CLOCK_TEXT];
    clock_format(r->now, today);
    r->end_of_life = distribution_end_of_life(r->image->distribution.namespace);
    if (r->end_of_life.len && str_cmp(r->end_of_life, str_head(str_from(today), r->end_of_life.len)) < 0)
        r->warnings[r->warning_count++] = arena_printf(
            arena,
            STR_FMT " reached its end of life on " STR_FMT ": its feed may not tell what was found since",
            STR_ARG(r->image->distribution.namespace), STR_ARG(r->end_of_life));
}

static bool is_judged(const struct match *m, str kind)
{
    bool judged = str_eq(kind, m->scheme);
    for (size_t i = 0; i < m->ecosystem_count && !judged; i++)
        judged = str_eq(kind, m->ecosystems[i]);
    return judged;
}

static void add_warning(struct report *r, str text) { r->warnings[r->warning_count++] = text; }

/* Packages that nobody judges: of ecosystems whose feeds are not loaded, and of other package managers than the distribution's. */
struct unjudged {
    size_t all, others;
    bool system; /* some are a distribution's */
    str ecosystems[ECOSYSTEMS];
    size_t ecosystem_count;
};

static void note_ecosystem(struct unjudged *u, str kind)
{
    size_t k = 0;
    while (k < u->ecosystem_count && !str_eq(u->ecosystems[k], kind))
        k++;
    if (k == u->ecosystem_count)
        u->ecosystems[u->ecosystem_count++] = kind;
}

static void find_unjudged(const struct report *r, struct unjudged *ret)
{
    for (size_t i = 0; i < r->image->package_count; i++) {
        str kind = r->image->packages[i].package.kind;
        if (is_judged(&r->match, kind))
            continue;
        ret->all++;
        if (ecosystem_of(kind)) {
            note_ecosystem(ret, kind);
            continue;
        }
        ret->others++;
        ret->system |= purl_of_distribution(kind);
    }
}

static void warn_of(struct report *r, const struct unjudged *u, struct arena *arena)
{
    const char *none = u->all == r->image->package_count ? "not covered: " : "";
    str names = STR(""), own = r->image->distribution.namespace;
    for (size_t i = 0; i < u->ecosystem_count; i++)
        names = arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(names), i ? ", " : "",
                             STR_ARG(u->ecosystems[i]));
    if (u->others && r->match.scheme.len)
        add_warning(r,
                    arena_printf(arena,
                                 "%s%zu of %zu packages are of another package manager than that of " STR_FMT
                                 " and were not judged",
                                 none, u->others, r->image->package_count, STR_ARG(own)));
    else if (u->others && !u->system)
        add_warning(r,
                    arena_printf(arena,
                                 "%s%zu of %zu packages are of a kind that no feed knows and were not judged",
                                 none, u->others, r->image->package_count));
    if (u->ecosystem_count)
        add_warning(r, arena_printf(arena,
                                    "%s%zu of %zu packages were not judged: no feed is loaded for " STR_FMT
                                    " (eclair update loads them)",
                                    none, u->all - u->others, r->image->package_count, STR_ARG(names)));
}

static void judge(struct report *r, struct arena *arena)
{
    const struct image_index *i = r->image;
    struct unjudged u = { 0 };
    find_unjudged(r, &u);
    bool uncovered = u.system && !r->match.scheme.len;
    if (i->unreadable) {
        r->coverage = COVERAGE_NONE;
        add_warning(r, STR("not covered: a part of the image that may hold packages was not read"));
    } else if (!i->package_count) {
        r->coverage = COVERAGE_EMPTY;
        add_warning(r, STR("the image has no package that a package manager installed"));
    } else {
        r->coverage = uncovered || u.all == i->package_count ? COVERAGE_NONE : COVERAGE_FULL;
        if (uncovered)
            add_warning(r, missing(r, arena));
        warn_of(r, &u, arena);
    }
    for (size_t k = 0; k < i->note_count; k++)
        add_warning(r, i->notes[k]);
    check_age(r, arena);
}

int match_image(struct store *s, const struct image_index *image, int64_t now, struct arena *arena,
                struct report *ret, struct err *e)
{
    *ret = (struct report){ .image = image,
                            .now = now,
                            .warnings = arena_array(arena, str, image->note_count + WARNINGS) };
    if (!ret->warnings)
        return err_set(e, ERR_OOM, "report");
    if (store_match(s, image, MATCH_BY_FLAW, arena, &ret->match, e) < 0)
        return -1;
    judge(ret, arena);
    return arena_failed(arena) ? err_set(e, ERR_OOM, "report") : 0;
}
