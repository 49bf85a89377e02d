#include "image/tar_header.h"

static bool base256(str field, uint64_t *ret)
{
    const unsigned char *b = (const unsigned char *)field.ptr;
    uint64_t n = b[0] & 0x7f;
    if (b[0] & 0x40) /* negative */
        return false;
    for (size_t i = 1; i < field.len; i++) {
        if (n >> 56)
            return false;
        n = n << 8 | b[i];
    }
    *ret = n;
    return true;
}

bool tar_number(str field, uint64_t *ret)
{
    if (field.len && field.ptr[0] & 0x80)
        return base256(field, ret);
    size_t i = 0;
    uint64_t n = 0;
    while (i < field.len && (field.ptr[i] == ' ' || !field.ptr[i]))
        i++;
    for (; i < field.len && field.ptr[i] >= '0' && field.ptr[i] <= '7'; i++) {
        if (n >> 61)
            return false;
        n = n << 3 | (uint64_t)(field.ptr[i] - '0');
    }
    if (i < field.len && field.ptr[i] && field.ptr[i] != ' ')
        return false;
    *ret = n;
    return true;
}

bool tar_is_zero(const char block[TAR_BLOCK])
{
    static const char zero[TAR_BLOCK];
    return !memcmp(block, zero, TAR_BLOCK);
}

/* The sum of all bytes with blanks in the place of the sum itself; some old tars took the bytes as signed. */
bool tar_checksum_ok(const char block[TAR_BLOCK])
{
    uint64_t want;
    uint32_t sum = 0, high = 0;
    if (!tar_number(str_of(block + 148, 8), &want))
        return false;
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        sum += (unsigned char)block[i];
        high += (unsigned char)block[i] >> 7;
    }
    for (size_t i = 148; i < 156; i++) {
        sum = sum - (unsigned char)block[i] + ' ';
        high -= (unsigned char)block[i] >> 7;
    }
    return want == sum || (int64_t)want == (int64_t)sum - 256 * (int64_t)high;
}

str tar_field(const char *block, size_t at, size_t len)
{
    return str_of(block + at, strnlen(block + at, len));
}

bool tar_is_ustar(const char block[TAR_BLOCK]) { return !memcmp(block + 257, "ustar", 6); }

int tar_pax_record(str *rest, str *key, str *value)
{
    if (!rest->len)
        return 0;
    str after = *rest;
    str digits = str_cut(&after, ' ');
    uint64_t len;
    if (!str_to_u64(digits, &len) || len > rest->len || len < digits.len + 3 || rest->ptr[len - 1] != '\n')
        return -1;
    *value = str_of(rest->ptr + digits.len + 1, (size_t)len - digits.len - 2);
    *rest = str_skip(*rest, (size_t)len);
    if (str_find(*value, '=') < 1)
        return -1;
    *key = str_cut(value, '=');
    return 1;
}
