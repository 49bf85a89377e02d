#include "store/rows.h"

#include <stdlib.h>

static int number_cmp(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static int by_finding(const struct candidate *a, const struct candidate *b)
{
    int r = number_cmp(a->hit->position, b->hit->position);
    return r || a->id.ptr == b->id.ptr ? r : str_cmp(a->id, b->id);
}

/* The best first within each (package, id). The last words between equals are there so that reports can be reproduced. */
static int by_rank(const void *pa, const void *pb)
{
    const struct candidate *a = pa, *b = pb;
    int r = by_finding(a, b);
    r = r ? r : number_cmp((uint64_t)a->rank, (uint64_t)b->rank);
    r = r ? r : number_cmp(a->hit->uncertain, b->hit->uncertain);
    r = r ? r : str_cmp(b->hit->fixed_key, a->hit->fixed_key);
    r = r ? r : str_cmp(*a->feed, *b->feed);
    r = r ? r : str_cmp(a->texts->key, b->texts->key);
    r = r ? r : number_cmp(b->hit->severity, a->hit->severity);
    return r ? r : str_cmp(a->hit->fixed, b->hit->fixed);
}

size_t candidates_pick(struct candidate *c, size_t count, struct candidate *room)
{
    size_t kept = 0;
    if (count)
        qsort(c, count, sizeof *c, by_rank);
    for (size_t i = 0, next; i < count; i = next) {
        const struct candidate *first = &c[i];
        for (next = i + 1; next < count && by_finding(&c[i], &c[next]) == 0; next++)
            if (c[next].rank == c[i].rank && str_cmp(*c[next].feed, *first->feed) < 0)
                first = &c[next];
        room[kept] = *first;
        c[kept] = c[i];
        c[kept].first = &room[kept];
        kept++;
    }
    return kept;
}
