/*
 * apk.c - versions of Alpine and Wolfi in the order of apk-tools 3 (spec/matching.md 4):
 *
 *   digits {.digits} [letter [digits {.digits}]] {_suffix [digits]} [~hash] [-r digits]
 *
 * apk-tools 3 itself has no digits after the letter, but packages have ("6.0.2p1-r4").
 */
#include "version/key.h"

/* In their order. The first PRE_SUFFIXES come before the release, the others after it. */
static const char *const suffixes[] = { "alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p" };
#define SUFFIXES     (int)(sizeof suffixes / sizeof *suffixes)
#define PRE_SUFFIXES 4

static int suffix_index(str word) /* SUFFIXES if it is none */
{
    int i = 0;
    while (i < SUFFIXES && !str_eq(word, str_from(suffixes[i])))
        i++;
    return i;
}

static str span(str s, bool (*member)(char c))
{
    size_t n = 0;
    while (n < s.len && member(s.ptr[n]))
        n++;
    return str_head(s, n);
}

static bool is_hex(char c) { return version_is_digit(c) || (c >= 'a' && c <= 'f'); }

static bool apk_valid(str v) { return v.len && version_printable(v, true); }

/* Where kinds differ, the earlier is the newer (a pre-release suffix is an exception). BAD: something follows
 * that the grammar does not know. */
enum kind { FIRST, NUMBER, LETTER, LETTER_NUMBER, SUFFIX, SUFFIX_NUMBER, HASH, REVISION, END, BAD };

struct token {
    enum kind kind;
    str text;   /* digits, letter or hash */
    int suffix; /* its index */
};

static enum kind kind_of_digits(enum kind last)
{
    return last == LETTER ? LETTER_NUMBER : last == SUFFIX ? SUFFIX_NUMBER : BAD;
}

/* The token at the front of *rest, after one of kind `last`; *rest keeps what follows. */
static struct token next(str *rest, enum kind last)
{
    struct token t = { .kind = BAD };
    str s = *rest, tail = str_skip(s, 1);
    if (!s.len)
        return (struct token){ .kind = END };
    if (version_is_digit(s.ptr[0])) {
        t.kind = kind_of_digits(last);
        t.text = span(s, version_is_digit);
    } else if (s.ptr[0] == '.' && (last <= NUMBER || last == LETTER_NUMBER)) {
        s = tail;
        t.text = span(s, version_is_digit);
        t.kind = last == LETTER_NUMBER ? LETTER_NUMBER : NUMBER;
    } else if (version_is_lower(s.ptr[0]) && last <= NUMBER) {
        t.text = str_head(s, 1);
        t.kind = LETTER;
    } else if (s.ptr[0] == '_' && last <= SUFFIX_NUMBER) {
        s = tail;
        t.text = span(s, version_is_lower);
        t.suffix = suffix_index(t.text);
        t.kind = t.suffix < SUFFIXES ? SUFFIX : BAD;
    } else if (s.ptr[0] == '~' && last < HASH) {
        s = tail;
        t.text = span(s, is_hex);
        t.kind = HASH;
    } else if (str_starts(s, STR("-r")) && last < REVISION) {
        s = str_skip(s, 2);
        t.text = span(s, version_is_digit);
        t.kind = REVISION;
    }
    if (!t.text.len)
        t.kind = BAD;
    *rest = str_skip(s, t.text.len);
    return t;
}

static int compare_kinds(struct token a, struct token b)
{
    bool a_pre = a.kind == SUFFIX && a.suffix < PRE_SUFFIXES,
         b_pre = b.kind == SUFFIX && b.suffix < PRE_SUFFIXES;
    if (a_pre != b_pre)
        return a_pre ? -1 : 1;
    return a.kind < b.kind ? 1 : -1;
}

/* Two tokens of one kind. A later number with a zero in front reads as a fraction: "1.05" before "1.1". */
static int compare_texts(struct token a, struct token b)
{
    bool number = a.kind == NUMBER || a.kind == LETTER_NUMBER;
    if (a.kind == SUFFIX)
        return version_sign(a.suffix - b.suffix);
    if (a.kind == LETTER || a.kind == HASH || (number && (a.text.ptr[0] == '0' || b.text.ptr[0] == '0')))
        return version_sign(str_cmp(a.text, b.text));
    return version_number_compare(a.text, b.text);
}

static struct token first(str *rest)
{
    struct token t = { .kind = FIRST, .text = version_digits(rest) };
    if (!t.text.len)
        t.kind = BAD;
    return t;
}

static bool apk_exact(str v)
{
    if (!apk_valid(v))
        return false;
    struct token t = first(&v);
    while (t.kind < END)
        t = next(&v, t.kind);
    return t.kind == END;
}

static int apk_compare(str a, str b)
{
    struct token x = first(&a), y = first(&b);
    for (;; x = next(&a, x.kind), y = next(&b, y.kind)) {
        if (x.kind != y.kind)
            return compare_kinds(x, y);
        if (x.kind == END || x.kind == BAD)
            return 0;
        int order = compare_texts(x, y);
        if (order)
            return order;
    }
}

/* From here on the encoder: it follows the grammar itself, apart from next(), so that each is the other's
 * test. The bytes are those of the table in design.md 4. */
static bool starts_with_digit(str s) { return s.len && version_is_digit(s.ptr[0]); }

static void key_number(struct version_key *k, str digits)
{
    vk_byte(k, 0x09);
    if (digits.ptr[0] == '0') {
        vk_byte(k, 0x01);
        vk_text(k, digits);
    } else {
        vk_number(k, digits, 0x02);
    }
}

static void key_dotted(struct version_key *k, str *v) /* {.digits} */
{
    while (v->len && v->ptr[0] == '.' && starts_with_digit(str_skip(*v, 1))) {
        *v = str_skip(*v, 1);
        key_number(k, version_digits(v));
    }
}

static void key_letter(struct version_key *k, str *v) /* [letter [digits {.digits}]] */
{
    if (!v->len || !version_is_lower(v->ptr[0]))
        return;
    vk_byte(k, 0x08);
    vk_byte(k, (uint8_t)v->ptr[0]);
    *v = str_skip(*v, 1);
    if (starts_with_digit(*v)) {
        key_number(k, version_digits(v));
        key_dotted(k, v);
    }
}

static void key_suffixes(struct version_key *k, str *v) /* {_suffix [digits]} */
{
    while (v->len && v->ptr[0] == '_') {
        str word = span(str_skip(*v, 1), version_is_lower);
        int i = suffix_index(word);
        if (i == SUFFIXES)
            return;
        vk_byte(k, i < PRE_SUFFIXES ? 0x01 : 0x07);
        vk_byte(k, (uint8_t)i);
        *v = str_skip(*v, 1 + word.len);
        if (starts_with_digit(*v)) {
            vk_byte(k, 0x06);
            vk_number(k, version_digits(v), 0x02);
        }
    }
}

static void key_hash(struct version_key *k, str *v) /* [~hash] */
{
    if (!v->len || v->ptr[0] != '~')
        return;
    str hash = span(str_skip(*v, 1), is_hex);
    if (!hash.len)
        return;
    vk_byte(k, 0x05);
    vk_text(k, hash);
    *v = str_skip(*v, 1 + hash.len);
}

static void key_revision(struct version_key *k, str *v) /* [-r digits] */
{
    if (!str_starts(*v, STR("-r")) || !starts_with_digit(str_skip(*v, 2)))
        return;
    *v = str_skip(*v, 2);
    vk_byte(k, 0x04);
    vk_number(k, version_digits(v), 0x02);
}

static bool apk_key(str v, struct version_key *ret)
{
    ret->len = 0;
    if (!apk_valid(v))
        return false;
    if (starts_with_digit(v)) {
        vk_byte(ret, 0x0a);
        vk_number(ret, version_digits(&v), 0x02);
        key_dotted(ret, &v);
        key_letter(ret, &v);
        key_suffixes(ret, &v);
        key_hash(ret, &v);
        key_revision(ret, &v);
    }
    vk_byte(ret, v.len ? 0x02 : 0x03);
    return vk_finish(ret);
}

const struct version_scheme version_apk = {
    .name = "apk",
    .valid = apk_valid,
    .exact = apk_exact,
    .compare = apk_compare,
    .key = apk_key,
};
