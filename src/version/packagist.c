/*
 * packagist.c - versions of PHP packages, as Composer normalises them and PHP's version_compare() orders the result.
 *
 *     [v] number {"." number} [[._-] {dev|alpha|a|beta|b|RC|patch|pl|p|stable} [[.-] number]...] [[.-] dev] ["+" build]
 *
 * in any letter case. There are at least four numbers, the missing ones are 0. Dates have "-" and ":" between numbers too. A branch ("1.2.x-dev")
 * has 9999999 for each "x" and each number that is missing; other branches ("dev-main") have no place in an order and are not valid.
 */
#include "version/key.h"

#include <strings.h>

#define NUMBERS 4 /* that all versions have */

/* What may come next, in order. */
enum token_class {
    TOKEN_DEV = 1,
    TOKEN_ALPHA,
    TOKEN_BETA,
    TOKEN_RC,
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_PATCH,
    TOKEN_STABLE
};

struct token {
    enum token_class class;
    str digits;
};

/* Where one is in a version. Tokens are found one by one; which may follow is told by what has come. */
struct cursor {
    str rest, padding; /* padding: what a missing number is */
    unsigned numbers;
    bool word, dev, end; /* alpha ... patch has come; dev; nothing counts any more */
};

static const struct {
    const char *word;
    enum token_class class;
} words[] = {
    { "stable", TOKEN_STABLE }, { "alpha", TOKEN_ALPHA }, { "beta", TOKEN_BETA }, { "patch", TOKEN_PATCH },
    { "dev", TOKEN_DEV },       { "rc", TOKEN_RC },       { "pl", TOKEN_PATCH },  { "a", TOKEN_ALPHA },
    { "b", TOKEN_BETA },        { "p", TOKEN_PATCH },
};

static bool in(char c, const char *set) { return c && strchr(set, c); }

static bool at_digit(str s) { return s.len && version_is_digit(s.ptr[0]); }

static bool at_wildcard(str s) { return s.len && in(s.ptr[0], "xX*"); }

/* A separator of the set at the front, where something follows. */
static str skip(str s, const char *set) { return s.len > 1 && in(s.ptr[0], set) ? str_skip(s, 1) : s; }

static bool take_word(struct cursor *c, struct token *ret)
{
    str rest = skip(c->rest, c->word ? ".-" : "._-");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if (rest.len < n || strncasecmp(rest.ptr, words[i].word, n))
            continue;
        if (words[i].class != TOKEN_DEV && c->word)
            return false;
        c->word = true;
        c->dev = words[i].class == TOKEN_DEV;
        c->rest = str_skip(rest, n);
        ret->class = words[i].class;
        return true;
    }
    return false;
}

static bool take_number(struct cursor *c, struct token *ret)
{
    bool first = !c->numbers && !c->word;
    str rest = first ? c->rest : skip(c->rest, c->word ? ".-" : ".:-");
    if (c->dev || (!c->word && !first && rest.ptr == c->rest.ptr))
        return false;
    if (at_digit(rest)) {
        ret->digits = version_digits(&rest);
    } else if (!c->word && at_wildcard(rest)) {
        ret->digits = c->padding;
        rest = str_skip(rest, 1);
    } else {
        return false;
    }
    c->rest = rest;
    c->numbers += !c->word;
    ret->class = TOKEN_NUMBER;
    return true;
}

/* false: nothing of the grammar follows. */
static bool next(struct cursor *c, struct token *ret)
{
    *ret = (struct token){ .class = TOKEN_END };
    if (take_number(c, ret))
        return true;
    if (!c->word && c->numbers < NUMBERS) { /* before what else follows */
        c->numbers++;
        *ret = (struct token){ TOKEN_NUMBER, c->padding };
        return true;
    }
    return !c->rest.len || take_word(c, ret);
}

/* "stable" and all behind it does not count. */
static bool next_counting(struct cursor *c, struct token *ret)
{
    *ret = (struct token){ .class = TOKEN_END };
    if (c->end)
        return true;
    if (!next(c, ret))
        return false;
    if (ret->class == TOKEN_STABLE)
        ret->class = TOKEN_END;
    c->end = ret->class == TOKEN_END;
    return true;
}

static struct cursor cursor_of(str v)
{
    if (v.len && in(v.ptr[0], "vV"))
        v = str_skip(v, 1);
    v = str_cut(&v, '+');
    bool branch = false;
    for (str s = v; at_digit(s) || at_wildcard(s);) {
        branch |= at_wildcard(s);
        if (!version_digits(&s).len)
            s = str_skip(s, 1);
        s = skip(s, ".");
    }
    return (struct cursor){ .rest = v, .padding = branch ? STR("9999999") : STR("0") };
}

static bool packagist_valid(str v)
{
    struct cursor c = cursor_of(v);
    struct token t = { 0 };
    if (!version_printable(v, true) || !at_digit(c.rest))
        return false;
    bool branch = c.padding.len > 1;
    do {
        if (!next(&c, &t))
            return false;
    } while (t.class != TOKEN_END);
    return !branch || c.dev;
}

static int packagist_compare(str a, str b)
{
    struct cursor x = cursor_of(a), y = cursor_of(b);
    for (;;) {
        struct token p, q;
        next_counting(&x, &p), next_counting(&y, &q);
        int order = version_sign((int)p.class - (int)q.class);
        if (!order && p.class == TOKEN_NUMBER)
            order = version_number_compare(p.digits, q.digits);
        if (order || p.class == TOKEN_END)
            return order;
    }
}

/* Numbers from 10, patches 60; the rest is its class. */
static bool packagist_key(str v, struct version_key *ret)
{
    struct cursor c = cursor_of(v);
    struct token t;
    ret->len = 0;
    if (!packagist_valid(v))
        return false;
    do {
        next_counting(&c, &t);
        if (t.class == TOKEN_NUMBER)
            vk_number(ret, t.digits, 0x10);
        else
            vk_byte(ret, t.class == TOKEN_PATCH ? 0x60 : (uint8_t)t.class);
    } while (t.class != TOKEN_END);
    return vk_finish(ret);
}

const struct version_scheme version_packagist = {
    .name = "packagist",
    .valid = packagist_valid,
    .exact = packagist_valid,
    .compare = packagist_compare,
    .key = packagist_key,
};
