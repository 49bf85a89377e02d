/* distance.h - how far a misspelt word is from a right one. */
#pragma once
#include "base/str.h"

#define DISTANCE_MAX 64 /* bytes of a word; longer ones are far from everything */

/* The least number of bytes put in, left out or replaced that makes one of the other (Levenshtein), whatever the letter case. */
unsigned edit_distance(str a, str b);
