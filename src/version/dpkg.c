/*
 * dpkg.c - versions of Debian and Ubuntu: [epoch:]upstream[-revision].
 *
 * Where deb-version(7) and dpkg differ, dpkg decides: what it only warns about ("a", "1_2") is valid, what it
 * gives up on is not (an empty part, an epoch above 2147483647, blanks inside). Non-ASCII and control
 * characters are refused too.
 */
#include "version/key.h"

#include <limits.h>

struct parts {
    str epoch, upstream, revision;
};

static bool split(str v, struct parts *ret)
{
    struct parts p = { .epoch = STR("0"), .revision = STR("0") }; /* as if absent */
    if (!version_printable(v, true))
        return false;
    ptrdiff_t colon = str_find(v, ':');
    if (colon >= 0) {
        uint64_t epoch;
        p.epoch = str_head(v, (size_t)colon);
        if (!str_to_u64(p.epoch, &epoch) || epoch > INT_MAX)
            return false;
        v = str_skip(v, (size_t)colon + 1);
    }
    ptrdiff_t dash = str_rfind(v, '-');
    if (dash >= 0) {
        p.revision = str_skip(v, (size_t)dash + 1);
        if (!p.revision.len)
            return false;
        v = str_head(v, (size_t)dash);
    }
    p.upstream = v;
    *ret = p;
    return v.len > 0;
}

static bool dpkg_valid(str v)
{
    struct parts p;
    return split(v, &p);
}

static bool at_text(str s) { return s.len && !version_is_digit(s.ptr[0]); }

/* The order of what stands at the front: tilde, the end (a digit ends a text too), letters, all else. */
static int rank(str s)
{
    if (!at_text(s))
        return 0;
    char c = s.ptr[0];
    return c == '~' ? -1 : version_is_letter(c) ? c : c + 256;
}

static int compare_part(str a, str b)
{
    while (a.len || b.len) {
        for (; at_text(a) || at_text(b); a = str_skip(a, 1), b = str_skip(b, 1)) {
            int difference = rank(a) - rank(b);
            if (difference)
                return version_sign(difference);
        }
        str x = version_digits(&a), y = version_digits(&b);
        int order = version_number_compare(x, y);
        if (order)
            return order;
    }
    return 0;
}

static int dpkg_compare(str a, str b)
{
    struct parts x = { 0 }, y = { 0 };
    split(a, &x), split(b, &y);
    int order = version_number_compare(x.epoch, y.epoch);
    if (!order)
        order = compare_part(x.upstream, y.upstream);
    return order ? order : compare_part(x.revision, y.revision);
}

/* Text and number in turn, always both, so that "1a" is "1a0" and the empty part is "0". Then the end: 02
 * stands above the tilde and below all text, and no text is empty there. */
static void key_part(struct version_key *k, str s)
{
    do {
        for (; at_text(s); s = str_skip(s, 1)) {
            uint8_t c = (uint8_t)s.ptr[0];
            vk_byte(k, c == '~' ? 0x01 : version_is_letter(s.ptr[0]) ? c : 0x80 + c);
        }
        vk_number(k, version_digits(&s), 0x02);
    } while (s.len);
    vk_byte(k, 0x02);
}

static bool dpkg_key(str v, struct version_key *ret)
{
    struct parts p;
    ret->len = 0;
    if (!split(v, &p))
        return false;
    vk_number(ret, p.epoch, 0x02);
    key_part(ret, p.upstream);
    key_part(ret, p.revision);
    return vk_finish(ret);
}

const struct version_scheme version_dpkg = {
    .name = "dpkg",
    .valid = dpkg_valid,
    .exact = dpkg_valid,
    .compare = dpkg_compare,
    .key = dpkg_key,
};
