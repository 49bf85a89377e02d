/* decimal.h - decimal numbers of documents as scaled integers, without floating point. */
#pragma once
#include "base/str.h"

/* "0.00043" with 6 digits is 430, "9.8" with 1 is 98; "6e-05" is fine, what is beyond the digits is rounded half up. False: no such number
 * (a sign, a blank), or above `max` once scaled. */
bool decimal_parse(str s, unsigned digits, uint32_t max, uint32_t *ret);
