/*
 * semver.c - Semantic Versioning 2.0 (npm, Cargo, Hex, Pub, Go), and NuGet's, which has four numbers and knows no letter case.
 *
 *     [v|=] number {"." number} ["-" identifier {"." identifier}] ["+" build]
 *
 * Build metadata is ignored, Go's "+incompatible" too. More is taken than the grammar has, for feeds have it: a leading "v", fewer numbers
 * than three (the others are 0), more than three (compared before any pre-release), zeros in front, empty build metadata.
 */
#include "version/key.h"

#define NUMBERS 3 /* that all versions have */

struct parts {
    str numbers, pre; /* "1.2.3", "rc.1": empty if it is a release */
};

static bool identifiers_valid(str pre)
{
    size_t length = 0;
    for (size_t i = 0; i < pre.len; i++) {
        char c = pre.ptr[i];
        if (c == '.' ? !length : !version_is_digit(c) && !version_is_letter(c) && c != '-')
            return false;
        length = c == '.' ? 0 : length + 1;
    }
    return length > 0;
}

static bool take_numbers(str *rest)
{
    for (;;) {
        if (!version_digits(rest).len)
            return false;
        if (!rest->len || rest->ptr[0] != '.')
            return true;
        *rest = str_skip(*rest, 1);
    }
}

static bool split(str v, struct parts *ret)
{
    if (!version_printable(v, true))
        return false;
    if (v.len && (v.ptr[0] == 'v' || v.ptr[0] == 'V' || v.ptr[0] == '='))
        v = str_skip(v, 1);
    v = str_cut(&v, '+');
    str rest = v;
    if (!take_numbers(&rest))
        return false;
    *ret = (struct parts){ .numbers = str_head(v, v.len - rest.len), .pre = str_skip(rest, 1) };
    return !rest.len || (rest.ptr[0] == '-' && identifiers_valid(ret->pre));
}

static bool semver_valid(str v)
{
    struct parts p;
    return split(v, &p);
}

static int compare_identifier(str a, str b, bool fold)
{
    bool number = version_is_number(a);
    if (number != version_is_number(b))
        return number ? -1 : 1;
    if (number)
        return version_number_compare(a, b);
    return fold ? version_folded_compare(a, b) : version_sign(str_cmp(a, b));
}

static int compare_pre(str a, str b, bool fold)
{
    if (!a.len || !b.len)
        return (b.len > 0) - (a.len > 0); /* a release is newer than its pre-releases */
    while (a.len && b.len) {
        int order = compare_identifier(str_cut(&a, '.'), str_cut(&b, '.'), fold);
        if (order)
            return order;
    }
    return (a.len > 0) - (b.len > 0);
}

static int compare(str a, str b, bool fold)
{
    struct parts x = { 0 }, y = { 0 };
    split(a, &x), split(b, &y);
    int order = version_dotted_compare(x.numbers, y.numbers);
    return order ? order : compare_pre(x.pre, y.pre, fold);
}

static int semver_compare(str a, str b) { return compare(a, b, false); }

static int nuget_compare(str a, str b) { return compare(a, b, true); }

/* Three numbers, then what says if there are more: an identifier (of a pre-release), fe the end of a release, ff and a number above 0, or
 * zeros before one. */
static void key_numbers(struct version_key *k, str numbers)
{
    size_t zeros = 0;
    for (size_t i = 0; i < NUMBERS || numbers.len; i++) {
        str digits = str_cut(&numbers, '.');
        if (i < NUMBERS) {
            vk_number(k, digits, 0x02);
            continue;
        }
        if (!version_number_compare(digits, STR("0"))) {
            zeros++;
            continue;
        }
        for (; zeros; zeros--)
            vk_byte(k, 0xff), vk_number(k, STR("0"), 0x02);
        vk_byte(k, 0xff);
        vk_number(k, digits, 0x02);
    }
}

/* Numbers from 02, texts behind 60, the end 01, which is below both. */
static void key_pre(struct version_key *k, str pre, bool fold)
{
    while (pre.len) {
        str id = str_cut(&pre, '.');
        if (version_is_number(id)) {
            vk_number(k, id, 0x02);
            continue;
        }
        vk_byte(k, 0x60);
        if (fold)
            vk_folded(k, id);
        else
            vk_text(k, id);
    }
    vk_byte(k, 0x01);
}

static bool key(str v, bool fold, struct version_key *ret)
{
    struct parts p;
    ret->len = 0;
    if (!split(v, &p))
        return false;
    key_numbers(ret, p.numbers);
    if (p.pre.len)
        key_pre(ret, p.pre, fold);
    else
        vk_byte(ret, 0xfe);
    return vk_finish(ret);
}

static bool semver_key(str v, struct version_key *ret) { return key(v, false, ret); }

static bool nuget_key(str v, struct version_key *ret) { return key(v, true, ret); }

const struct version_scheme version_semver = {
    .name = "semver",
    .valid = semver_valid,
    .exact = semver_valid,
    .compare = semver_compare,
    .key = semver_key,
};

const struct version_scheme version_nuget = {
    .name = "nuget",
    .valid = semver_valid,
    .exact = semver_valid,
    .compare = nuget_compare,
    .key = nuget_key,
};
