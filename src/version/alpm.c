/*
 * alpm.c - versions of Arch Linux: [epoch:]pkgver[-pkgrel], in the order of pacman's vercmp(8).
 *
 * The parts are compared like rpm's, but '~' and '^' are separators like any other, the longer of two runs of separators is
 * newer, and letters that follow directly are older than the end ("1.0rc" < "1.0"). After equal beginnings this is one order:
 *
 *     letters < the end < separators at the end < digits < one separator and letters < one and digits < two and letters ...
 *
 * vercmp itself goes round in a circle where separators are last: "1." < "1.1" < "1..a" < "1.". Here they stand where all its
 * other answers put them; makepkg gives no such version. What a missing pkgrel means stands in version.h, under rpm: vercmp
 * takes "1" and every "1-R" as equal, which is no order.
 */
#include "version/key.h"

/* What comes next in a part: its class in the order above (of separators only the number counts), and its text. */
enum class { CLASS_LETTERS, CLASS_END, CLASS_TRAILING, CLASS_DIGITS };
struct token {
    enum class class;
    size_t separators; /* before letters or digits */
    str text;
};

static struct token next(str *s)
{
    struct token t = { .class = CLASS_END };
    size_t n = 0;
    while (n < s->len && !version_is_digit(s->ptr[n]) && !version_is_letter(s->ptr[n]))
        n++;
    *s = str_skip(*s, n);
    if (!s->len) {
        t.class = n ? CLASS_TRAILING : CLASS_END;
        return t;
    }

    t.separators = n;
    if (version_is_digit(s->ptr[0])) {
        t.class = CLASS_DIGITS;
        t.text = version_digits(s);
        return t;
    }
    for (n = 0; n < s->len && version_is_letter(s->ptr[n]);)
        n++;
    t.class = CLASS_LETTERS;
    t.text = str_head(*s, n);
    *s = str_skip(*s, n);
    return t;
}

static bool is_end(const struct token *t) { return t->class == CLASS_END || t->class == CLASS_TRAILING; }

static int token_compare(const struct token *a, const struct token *b)
{
    if (a->separators != b->separators)
        return a->separators < b->separators ? -1 : 1;
    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    if (a->class == CLASS_DIGITS)
        return version_number_compare(a->text, b->text);
    return version_sign(str_cmp(a->text, b->text));
}

static int part_compare(str a, str b)
{
    for (;;) {
        struct token x = next(&a), y = next(&b);
        int order = token_compare(&x, &y);
        if (order || is_end(&x))
            return order;
    }
}

static int alpm_compare(str a, str b) { return version_evr_compare(a, b, part_compare); }

/* The first bytes of tokens are in their order: letters as they are, 7b the end, 7c separators at the end, from 80 numbers; bf
 * for each separator. */
static void key_part(struct version_key *k, str s)
{
    for (;;) {
        struct token t = next(&s);
        for (size_t i = 0; i < t.separators; i++)
            vk_byte(k, 0xbf);
        if (t.class == CLASS_LETTERS)
            vk_text(k, t.text);
        else if (t.class == CLASS_DIGITS)
            vk_number(k, t.text, 0x80);
        else
            vk_byte(k, t.class == CLASS_END ? 0x7b : 0x7c);
        if (is_end(&t))
            return;
    }
}

static bool alpm_key(str v, struct version_key *ret) { return version_evr_key(v, key_part, ret); }

const struct version_scheme version_alpm = {
    .name = "alpm",
    .valid = version_evr_valid,
    .exact = version_evr_valid,
    .compare = alpm_compare,
    .key = alpm_key,
};
