/*
 * rpm.c - versions of rpm: [epoch:]version[-release], each part in the order of rpmvercmp().
 *
 * All bytes but ASCII letters, digits, '~' and '^' only separate, those of UTF-8 too. What a missing release
 * means stands in version.h.
 */
#include "version/key.h"

static bool is_mark(str s, char mark) { return s.len && s.ptr[0] == mark; }

static str skip_separators(str s)
{
    while (s.len && !version_is_digit(s.ptr[0]) && !version_is_letter(s.ptr[0]) && !is_mark(s, '~') &&
           !is_mark(s, '^'))
        s = str_skip(s, 1);
    return s;
}

static str letters(str *rest)
{
    size_t n = 0;
    while (n < rest->len && version_is_letter(rest->ptr[n]))
        n++;
    str word = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return word;
}

/* One run of a's kind, digits or letters, from both; where b has none, numbers are newer than letters. */
static int compare_run(str *a, str *b)
{
    if (version_is_digit(a->ptr[0])) {
        str x = version_digits(a), y = version_digits(b);
        return y.len ? version_number_compare(x, y) : 1;
    }
    str x = letters(a), y = letters(b);
    return y.len ? version_sign(str_cmp(x, y)) : -1;
}

static int rpmvercmp_compare(str a, str b)
{
    for (;;) {
        a = skip_separators(a), b = skip_separators(b);
        bool tilde = is_mark(a, '~'), caret = is_mark(a, '^');
        if (tilde != is_mark(b, '~'))
            return tilde ? -1 : 1; /* older than all, the end included */
        if (!a.len || !b.len)
            return (a.len > 0) - (b.len > 0);
        if (caret != is_mark(b, '^'))
            return caret ? -1 : 1; /* newer than the end, older than the rest */
        if (tilde || caret) {
            a = str_skip(a, 1), b = str_skip(b, 1);
            continue;
        }
        int order = compare_run(&a, &b);
        if (order)
            return order;
    }
}

static int rpm_compare(str a, str b) { return version_evr_compare(a, b, rpmvercmp_compare); }

/* The first bytes of tokens are in their order: 01 tilde, 02 end, 03 caret, letters, from 80 numbers. */
static void key_part(struct version_key *k, str s)
{
    for (s = skip_separators(s); s.len; s = skip_separators(s)) {
        if (version_is_digit(s.ptr[0])) {
            vk_number(k, version_digits(&s), 0x80);
        } else if (version_is_letter(s.ptr[0])) {
            vk_text(k, letters(&s));
        } else {
            vk_byte(k, s.ptr[0] == '~' ? 0x01 : 0x03);
            s = str_skip(s, 1);
        }
    }
    vk_byte(k, 0x02);
}

static bool rpm_key(str v, struct version_key *ret) { return version_evr_key(v, key_part, ret); }

static bool rpmvercmp_valid(str v) { return version_printable(v, false); }

static bool rpmvercmp_key(str v, struct version_key *ret)
{
    ret->len = 0;
    if (!rpmvercmp_valid(v))
        return false;
    key_part(ret, v);
    return vk_finish(ret);
}

const struct version_scheme version_rpm = {
    .name = "rpm",
    .valid = version_evr_valid,
    .exact = version_evr_valid,
    .compare = rpm_compare,
    .key = rpm_key,
};

const struct version_scheme version_rpmvercmp = {
    .name = "rpmvercmp",
    .valid = rpmvercmp_valid,
    .exact = rpmvercmp_valid,
    .compare = rpmvercmp_compare,
    .key = rpmvercmp_key,
};
