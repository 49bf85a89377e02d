#include "feed/decimal.h"

#define EXPONENT_MAX 1000 /* of ten; beyond it a number is 0, or too large */

struct number { /* mantissa times ten to the exponent */
    uint64_t mantissa;
    int exponent;
};

static bool digit(str s, size_t at) { return at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9'; }

/* Digits from `at` on; gives where they end. Behind the point each one moves the exponent down. */
static size_t add_digits(struct number *n, str s, size_t at, bool fraction)
{
    for (; digit(s, at); at++) {
        bool counts = n->mantissa < UINT64_C(100000000000000000); /* 18 digits fit 64 bits */
        if (counts)
            n->mantissa = 10 * n->mantissa + (uint64_t)(s.ptr[at] - '0');
        n->exponent +=
            counts ? -(fraction && n->exponent > -EXPONENT_MAX) : !fraction && n->exponent < EXPONENT_MAX;
    }
    return at;
}

/* "e-05", at its end. */
static bool add_exponent(struct number *n, str s)
{
    bool minus = s.len > 1 && s.ptr[1] == '-';
    size_t at = 1 + (minus || (s.len > 1 && s.ptr[1] == '+'));
    int e = 0;
    if (!digit(s, at))
        return false;
    for (; digit(s, at); at++)
        e = e < EXPONENT_MAX ? 10 * e + (s.ptr[at] - '0') : e;
    n->exponent += minus ? -e : e;
    return at == s.len;
}

static bool read_number(str s, struct number *n)
{
    size_t at = add_digits(n, s, 0, false);
    if (!at)
        return false;
    if (at < s.len && s.ptr[at] == '.') {
        if (!digit(s, ++at))
            return false;
        at = add_digits(n, s, at, true);
    }
    if (at < s.len && (s.ptr[at] | 0x20) == 'e')
        return add_exponent(n, str_skip(s, at));
    return at == s.len;
}

bool decimal_parse(str s, unsigned digits, uint32_t max, uint32_t *ret)
{
    struct number n = { 0 };
    if (!read_number(s, &n))
        return false;
    int shift = n.exponent + (int)digits;
    for (; shift > 0 && n.mantissa && n.mantissa <= max; shift--)
        n.mantissa *= 10;
    for (; shift < -1 && n.mantissa; shift++)
        n.mantissa /= 10;
    if (shift == -1)
        n.mantissa = (n.mantissa + 5) / 10;
    if (n.mantissa > max || (shift > 0 && n.mantissa))
        return false;
    *ret = (uint32_t)n.mantissa;
    return true;
}
