#include "match/match.h"
#include "base/clock.h"

const char *coverage_name(enum coverage c)
{
    static const char *const names[] = {
        [COVERAGE_FULL] = "full", [COVERAGE_NONE] = "none", [COVERAGE_EMPTY] = "empty"
    };
    return names[c];
}

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

static size_t count_judged(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->image->package_count; i++)
        n += str_eq(r->image->packages[i].package.kind, r->match.scheme);
    return n;
}

static void add_warning(struct report *r, str text) { r->warnings[r->warning_count++] = text; }

static void judge(struct report *r, struct arena *arena)
{
    const struct image_index *i = r->image;
    size_t judged = count_judged(r);
    if (i->unreadable) {
        r->coverage = COVERAGE_NONE;
        add_warning(r, STR("not covered: a part of the image that may hold packages was not read"));
    } else if (!i->package_count) {
        r->coverage = COVERAGE_EMPTY;
        add_warning(r, STR("the image has no package that a package manager installed"));
    } else if (!r->match.feed_count) {
        r->coverage = COVERAGE_NONE;
        add_warning(r, missing(r, arena));
    } else if (judged < i->package_count) {
        r->coverage = judged ? COVERAGE_FULL : COVERAGE_NONE;
        add_warning(r,
                    arena_printf(arena,
                                 "%s%zu of %zu packages are of another package manager than that of " STR_FMT
                                 " and were not judged",
                                 judged ? "" : "not covered: ", i->package_count - judged, i->package_count,
                                 STR_ARG(i->distribution.namespace)));
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
                            .warnings = arena_array(arena, str, image->note_count + 3) };
    if (!ret->warnings)
        return err_set(e, ERR_OOM, "report");
    if (store_match(s, image, MATCH_BY_FLAW, arena, &ret->match, e) < 0)
        return -1;
    judge(ret, arena);
    return arena_failed(arena) ? err_set(e, ERR_OOM, "report") : 0;
}
