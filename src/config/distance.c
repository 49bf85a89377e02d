#include "config/distance.h"

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

static char lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

unsigned edit_distance(str a, str b)
{
    unsigned row[DISTANCE_MAX + 1]; /* of a's head, to each head of b */
    if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX)
        return DISTANCE_MAX;
    for (unsigned k = 0; k <= b.len; k++)
        row[k] = k;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= b.len; k++) {
            unsigned replaced = corner + (lower(a.ptr[i - 1]) != lower(b.ptr[k - 1]));
            corner = row[k];
            row[k] = least(replaced, 1 + least(row[k], row[k - 1]));
        }
    }
    return row[b.len];
}
