/* version.c - the list of schemes, and what their keys and comparators share. */
#include "version/key.h"

const struct version_scheme *const version_schemes[] = {
    &version_dpkg,  &version_rpm,    &version_rpmvercmp, &version_apk,   &version_alpm,      &version_semver,
    &version_nuget, &version_pep440, &version_gem,       &version_maven, &version_packagist, NULL,
};

const struct version_scheme *version_scheme_by_name(str name)
{
    for (size_t i = 0; version_schemes[i]; i++)
        if (str_eq(name, str_from(version_schemes[i]->name)))
            return version_schemes[i];
    return NULL;
}

bool version_printable(str v, bool ascii)
{
    if (v.len > VERSION_TEXT_MAX)
        return false;
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.ptr[i];
        if (c <= ' ' || c == 0x7f || (ascii && c > 0x7f))
            return false;
    }
    return true;
}

str version_digits(str *rest)
{
    size_t n = 0;
    while (n < rest->len && version_is_digit(rest->ptr[n]))
        n++;
    str digits = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return digits;
}

static str strip_zeros(str digits)
{
    while (digits.len && digits.ptr[0] == '0')
        digits = str_skip(digits, 1);
    return digits;
}

int version_number_compare(str a, str b)
{
    a = strip_zeros(a), b = strip_zeros(b);
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return version_sign(str_cmp(a, b));
}

bool version_is_number(str s)
{
    version_digits(&s);
    return !s.len;
}

int version_dotted_compare(str a, str b)
{
    while (a.len || b.len) {
        int order = version_number_compare(str_cut(&a, '.'), str_cut(&b, '.'));
        if (order)
            return order;
    }
    return 0;
}

int version_folded_compare(str a, str b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        unsigned char x = (unsigned char)version_lower(a.ptr[i]), y = (unsigned char)version_lower(b.ptr[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.len > b.len) - (a.len < b.len);
}

int version_sign(int difference) { return (difference > 0) - (difference < 0); }

void vk_byte(struct version_key *k, uint8_t byte)
{
    if (k->len < VERSION_KEY_MAX)
        k->bytes[k->len] = byte;
    k->len++;
}

void vk_text(struct version_key *k, str s)
{
    for (size_t i = 0; i < s.len; i++)
        vk_byte(k, (uint8_t)s.ptr[i]);
    vk_byte(k, 0);
}

void vk_folded(struct version_key *k, str s)
{
    for (size_t i = 0; i < s.len; i++)
        vk_byte(k, (uint8_t)version_lower(s.ptr[i]));
    vk_byte(k, 0);
}

/* Decimal to binary, the lowest byte first; returns the number of bytes, 0 for zero. */
static size_t to_binary(str digits, uint8_t ret[VERSION_TEXT_MAX / 2])
{
    size_t n = 0;
    for (size_t d = 0; d < digits.len; d++) {
        unsigned carry = (unsigned)(digits.ptr[d] - '0');
        for (size_t i = 0; i < n; i++, carry >>= 8)
            ret[i] = (uint8_t)(carry += ret[i] * 10u);
        if (carry)
            ret[n++] = (uint8_t)carry;
    }
    return n;
}

/* One byte for the numbers below 40, which are most; the others begin with the number of bytes that follow.
 */
void vk_number(struct version_key *k, str digits, uint8_t base)
{
    uint8_t w[VERSION_TEXT_MAX / 2]; /* 512 decimal digits are 213 bytes */
    size_t n = to_binary(digits, w);
    if (n == 0 || (n == 1 && w[0] < 40)) {
        vk_byte(k, (uint8_t)(base + (n ? w[0] : 0)));
        return;
    }

    for (size_t i = 0, borrow = 40; borrow; i++) {
        bool below = w[i] < borrow;
        w[i] = (uint8_t)(w[i] - borrow);
        borrow = below;
    }
    while (n > 1 && !w[n - 1])
        n--;

    if (n <= 22) {
        vk_byte(k, (uint8_t)(base + 39 + n));
    } else {
        vk_byte(k, (uint8_t)(base + 62));
        vk_byte(k, (uint8_t)(n >> 8));
        vk_byte(k, (uint8_t)n);
    }
    while (n)
        vk_byte(k, w[--n]);
}

bool vk_finish(struct version_key *k)
{
    if (k->len <= VERSION_KEY_MAX)
        return true;
    k->len = 0;
    return false;
}
