/*
 * gem.c - versions of RubyGems: digits and letters in turn, separated by dots; "-" stands for ".pre.".
 *
 * By position, numbers are newer than letters, and what is missing is 0, so that letters make a pre-release: "1.a" < "1". Zeros do not count
 * at the end, nor at the end of the numbers before the first letters.
 */
#include "version/key.h"

/* Where one is in a version. */
struct cursor {
    str rest;
    bool pre;  /* "pre" of a "-" comes next */
    bool tail; /* letters have come */
};

struct segment {
    bool number;
    str text;
};

/* The next segment, as it is written; false at the end. */
static bool next(struct cursor *c, struct segment *ret)
{
    if (c->pre) {
        c->pre = false, c->tail = true;
        *ret = (struct segment){ false, STR("pre") };
        return true;
    }
    while (c->rest.len && c->rest.ptr[0] == '.')
        c->rest = str_skip(c->rest, 1);
    if (!c->rest.len)
        return false;
    if (c->rest.ptr[0] == '-') {
        c->rest = str_skip(c->rest, 1);
        c->pre = true;
        return next(c, ret);
    }
    if (version_is_digit(c->rest.ptr[0])) {
        *ret = (struct segment){ true, version_digits(&c->rest) };
        return true;
    }
    size_t n = 0;
    while (n < c->rest.len && version_is_letter(c->rest.ptr[n]))
        n++;
    *ret = (struct segment){ false, str_head(c->rest, n) };
    c->rest = str_skip(c->rest, n);
    c->tail = true;
    return true;
}

static bool is_zero(const struct segment *s)
{
    return s->number && !version_number_compare(s->text, STR("0"));
}

/* What follows zeros: -1 letters, 1 a number above 0, 0 nothing. */
static int after_zeros(struct cursor c)
{
    struct segment s;
    while (next(&c, &s))
        if (!is_zero(&s))
            return s.number ? 1 : -1;
    return 0;
}

/* The next segment that counts; false at the end. */
static bool next_counting(struct cursor *c, struct segment *ret)
{
    for (;;) {
        bool tail = c->tail;
        if (!next(c, ret))
            return false;
        if (!is_zero(ret))
            return true;
        int after = after_zeros(*c);
        if (!after)
            return false;
        if (tail || after > 0)
            return true;
    }
}

/* Digits or letters, separated by single dots, a digit first; from the first "-" on, which separates too, a "-" is a letter. */
static bool gem_valid(str v)
{
    size_t length = 0;
    bool dashed = false;
    if (!version_printable(v, true) || !v.len || !version_is_digit(v.ptr[0]))
        return false;
    for (size_t i = 0; i < v.len; i++) {
        char c = v.ptr[i];
        if (c == '.' || (c == '-' && !dashed)) {
            if (!length)
                return false;
            dashed |= c == '-';
            length = 0;
        } else if (version_is_digit(c) || version_is_letter(c) || c == '-') {
            length++;
        } else {
            return false;
        }
    }
    return length > 0;
}

static int compare_segment(const struct segment *a, const struct segment *b)
{
    if (a->number != b->number)
        return a->number ? 1 : -1;
    return a->number ? version_number_compare(a->text, b->text) : version_sign(str_cmp(a->text, b->text));
}

static int gem_compare(str a, str b)
{
    struct cursor x = { .rest = a }, y = { .rest = b };
    for (;;) {
        struct segment zero = { true, STR("0") }, p = zero, q = zero;
        bool more_x = next_counting(&x, &p), more_y = next_counting(&y, &q);
        if (!more_x)
            p = zero;
        if (!more_y)
            q = zero;
        int order = compare_segment(&p, &q);
        if (order || (!more_x && !more_y))
            return order;
    }
}

/* Letters as they are; zeros before letters 7d, for the end, 7e, is a zero before zeros; numbers from 80. */
static bool gem_key(str v, struct version_key *ret)
{
    struct cursor c = { .rest = v };
    struct segment s;
    ret->len = 0;
    if (!gem_valid(v))
        return false;
    while (next_counting(&c, &s)) {
        if (!s.number)
            vk_text(ret, s.text);
        else if (is_zero(&s) && after_zeros(c) < 0)
            vk_byte(ret, 0x7d);
        else
            vk_number(ret, s.text, 0x80);
    }
    vk_byte(ret, 0x7e);
    return vk_finish(ret);
}

const struct version_scheme version_gem = {
    .name = "gem",
    .valid = gem_valid,
    .exact = gem_valid,
    .compare = gem_compare,
    .key = gem_key,
};
