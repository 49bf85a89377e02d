#include "store/rows.h"

#include <stdlib.h>

static int number_cmp(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

/* The best first within each (package, id). */
static int by_rank(const void *pa, const void *pb)
{
    const struct candidate *a = pa, *b = pb;
    int r = number_cmp(a->finding.package, b->finding.package);
    r = r ? r : str_cmp(a->finding.id, b->finding.id);
    r = r ? r : number_cmp((uint64_t)a->rank, (uint64_t)b->rank);
    r = r ? r : number_cmp(a->finding.uncertain, b->finding.uncertain);
    r = r ? r : str_cmp(b->fixed_key, a->fixed_key);
    r = r ? r : str_cmp(a->finding.feed, b->finding.feed);
    r = r ? r : str_cmp(a->key, b->key);
    r = r ? r : number_cmp(b->finding.severity, a->finding.severity);
    return r ? r : str_cmp(a->finding.fixed_version, b->finding.fixed_version);
}

static bool same(const struct finding *a, const struct finding *b)
{
    return a->package == b->package && str_eq(a->id, b->id);
}

/* What the first of the best feeds by name says about everything but the fix. */
static void take_texts(struct finding *to, const struct finding *from)
{
    to->severity = from->severity;
    to->severity_source = from->severity_source;
    to->feed = from->feed;
    to->title = from->title;
    to->description = from->description;
    to->link = from->link;
}

size_t candidates_pick(struct candidate *c, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(c, count, sizeof *c, by_rank);
    for (size_t i = 0, next; i < count; i = next) {
        const struct candidate *first = &c[i];
        for (next = i + 1; next < count && same(&c[i].finding, &c[next].finding); next++)
            if (c[next].rank == c[i].rank && str_cmp(c[next].finding.feed, first->finding.feed) < 0)
                first = &c[next];
        struct candidate best = c[i];
        take_texts(&best.finding, &first->finding);
        c[kept++] = best;
    }
    return kept;
}
