#include "cmd/nearest.h"

#include <ctype.h>

#define LETTERS_MAX 40

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Optimal string alignment, row by row: before[] is the row above, older[] the one above that. */
static size_t distance(str a, str b)
{
    size_t older[LETTERS_MAX + 1] = { 0 }, before[LETTERS_MAX + 1], row[LETTERS_MAX + 1];
    for (size_t k = 0; k <= b.len; k++)
        before[k] = k;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t k = 1; k <= b.len; k++) {
            int x = tolower((unsigned char)a.ptr[i - 1]), y = tolower((unsigned char)b.ptr[k - 1]);
            row[k] = least(least(before[k], row[k - 1]) + 1, before[k - 1] + (x != y));
            bool swapped = i > 1 && k > 1 && x == tolower((unsigned char)b.ptr[k - 2]) &&
                           y == tolower((unsigned char)a.ptr[i - 2]);
            if (swapped)
                row[k] = least(row[k], older[k - 2] + 1);
        }
        memcpy(older, before, sizeof older);
        memcpy(before, row, sizeof before);
    }
    return before[b.len];
}

void nearest_try(struct nearest *n, const char *candidate)
{
    str c = str_from(candidate);
    if (!n->word.len || n->word.len > LETTERS_MAX || c.len > LETTERS_MAX)
        return;
    size_t far = distance(n->word, c), may = n->word.len / 3 ? n->word.len / 3 : 1;
    if (far > may || far >= c.len || (n->best && far >= n->distance))
        return;
    n->best = candidate;
    n->distance = far;
}
