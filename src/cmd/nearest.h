/* nearest.h - of known words the one that somebody may have meant. */
#pragma once
#include "base/str.h"

struct nearest {
    str word;         /* that was typed */
    const char *best; /* NULL: none is near */
    size_t distance;
};
/* Letters that are missing, too many, other ones or swapped with their neighbour count one each, whatever their case; a third of the
 * word's may. */
void nearest_try(struct nearest *n, const char *candidate);
