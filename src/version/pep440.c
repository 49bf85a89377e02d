/*
 * pep440.c - versions of Python packages: [N!]N(.N)*[{a|b|rc}N][.postN][.devN][+local], in all the spellings that PEP 440 takes.
 *
 * The order is that of the parts; trailing zeros of the release do not count. Versions from before PEP 440 are not valid.
 */
#include "version/key.h"

#include <strings.h>

/* What stands before the final release, in order; a development release of the final itself is before all of them. */
enum stage { STAGE_DEV = 1, STAGE_A, STAGE_B, STAGE_RC, STAGE_FINAL };

struct parts {
    str epoch, release; /* digits; "1.2.0" */
    enum stage stage;
    bool has_post, has_dev;
    str pre, post, dev; /* digits, empty counts as 0 */
    str local;          /* "ubuntu.1", separators as they are; empty: none */
};

static bool is_separator(char c) { return c == '.' || c == '-' || c == '_'; }

static bool at_digit(str s) { return s.len && version_is_digit(s.ptr[0]); }

static bool skip_word(str *s, str word)
{
    if (s->len < word.len || strncasecmp(s->ptr, word.ptr, word.len))
        return false;
    *s = str_skip(*s, word.len);
    return true;
}

static str skip_separator(str s) { return s.len && is_separator(s.ptr[0]) ? str_skip(s, 1) : s; }

struct spelling {
    const char *word;
    int meaning;
};

/* "[.-_] word [.-_] [digits]" at the front; 0 if there is none. Longer words stand before their beginnings. */
static int suffix(str *s, const struct spelling *spellings, str *digits)
{
    str rest = skip_separator(*s);
    for (; spellings->word; spellings++) {
        if (!skip_word(&rest, str_from(spellings->word)))
            continue;
        rest = skip_separator(rest);
        *digits = version_digits(&rest);
        *s = rest;
        return spellings->meaning;
    }
    return 0;
}

static const struct spelling pre_words[] = {
    { "alpha", STAGE_A }, { "a", STAGE_A },        { "beta", STAGE_B }, { "b", STAGE_B }, { "rc", STAGE_RC },
    { "c", STAGE_RC },    { "preview", STAGE_RC }, { "pre", STAGE_RC }, { NULL, 0 },
};
static const struct spelling post_words[] = { { "post", 1 }, { "rev", 1 }, { "r", 1 }, { NULL, 0 } };
static const struct spelling dev_words[] = { { "dev", 1 }, { NULL, 0 } };

static bool take_release(str *s, struct parts *p)
{
    str rest = *s;
    if (!at_digit(rest))
        return false;
    version_digits(&rest);
    while (rest.len > 1 && rest.ptr[0] == '.' && version_is_digit(rest.ptr[1])) {
        rest = str_skip(rest, 1);
        version_digits(&rest);
    }
    p->release = str_head(*s, s->len - rest.len);
    *s = rest;
    return true;
}

static void take_post(str *s, struct parts *p)
{
    if (s->len > 1 && s->ptr[0] == '-' && version_is_digit(s->ptr[1])) { /* "1.0-1" */
        *s = str_skip(*s, 1);
        p->post = version_digits(s);
        p->has_post = true;
        return;
    }
    p->has_post = suffix(s, post_words, &p->post);
}

static bool local_valid(str local)
{
    size_t length = 0;
    for (size_t i = 0; i < local.len; i++) {
        char c = local.ptr[i];
        if (is_separator(c) ? !length : !version_is_digit(c) && !version_is_letter(c))
            return false;
        length = is_separator(c) ? 0 : length + 1;
    }
    return length > 0;
}

static bool split(str v, struct parts *ret)
{
    struct parts p = { .epoch = STR("0") };
    if (!version_printable(v, true))
        return false;
    skip_word(&v, STR("v"));
    ptrdiff_t mark = str_find(v, '!');
    if (mark >= 0) {
        p.epoch = version_digits(&v);
        if (mark == 0 || p.epoch.len != (size_t)mark)
            return false;
        v = str_skip(v, 1);
    }
    if (!take_release(&v, &p))
        return false;
    p.stage = (enum stage)suffix(&v, pre_words, &p.pre);
    take_post(&v, &p);
    p.has_dev = suffix(&v, dev_words, &p.dev);
    if (!p.stage)
        p.stage = p.has_dev && !p.has_post ? STAGE_DEV : STAGE_FINAL;
    if (v.len) {
        p.local = str_skip(v, 1);
        if (v.ptr[0] != '+' || !local_valid(p.local))
            return false;
    }
    *ret = p;
    return true;
}

static bool pep440_valid(str v)
{
    struct parts p;
    return split(v, &p);
}

static str segment(str *local)
{
    size_t n = 0;
    while (n < local->len && !is_separator(local->ptr[n]))
        n++;
    str s = str_head(*local, n);
    *local = str_skip(*local, n + 1);
    return s;
}

static int compare_segment(str a, str b)
{
    bool number = version_is_number(a);
    if (number != version_is_number(b))
        return number ? 1 : -1;
    return number ? version_number_compare(a, b) : version_folded_compare(a, b);
}

static int compare_local(str a, str b)
{
    while (a.len && b.len) {
        int order = compare_segment(segment(&a), segment(&b));
        if (order)
            return order;
    }
    return (a.len > 0) - (b.len > 0);
}

/* A post release is newer than none, a development release older. */
static int compare_optional(bool has_a, str a, bool has_b, str b, int with)
{
    if (has_a != has_b)
        return has_a ? with : -with;
    return version_number_compare(a, b);
}

static int pep440_compare(str a, str b)
{
    struct parts x = { 0 }, y = { 0 };
    split(a, &x), split(b, &y);
    int order = version_number_compare(x.epoch, y.epoch);
    order = order ? order : version_dotted_compare(x.release, y.release);
    order = order ? order : version_sign((int)x.stage - (int)y.stage);
    order = order ? order : version_number_compare(x.pre, y.pre);
    order = order ? order : compare_optional(x.has_post, x.post, y.has_post, y.post, 1);
    order = order ? order : compare_optional(x.has_dev, x.dev, y.has_dev, y.dev, -1);
    return order ? order : compare_local(x.local, y.local);
}

/* Zeros are written only when a number above 0 follows; the end is 01. */
static void key_release(struct version_key *k, str release)
{
    size_t zeros = 0;
    while (release.len) {
        str digits = str_cut(&release, '.');
        if (!version_number_compare(digits, STR("0"))) {
            zeros++;
            continue;
        }
        for (; zeros; zeros--)
            vk_number(k, STR("0"), 0x02);
        vk_number(k, digits, 0x02);
    }
    vk_byte(k, 0x01);
}

/* Texts behind 02, numbers from 80, the end 01, and 00 where there is none. */
static void key_local(struct version_key *k, str local)
{
    bool none = !local.len;
    while (local.len) {
        str s = segment(&local);
        if (version_is_number(s)) {
            vk_number(k, s, 0x80);
            continue;
        }
        vk_byte(k, 0x02);
        vk_folded(k, s);
    }
    vk_byte(k, none ? 0x00 : 0x01);
}

static bool pep440_key(str v, struct version_key *ret)
{
    struct parts p;
    ret->len = 0;
    if (!split(v, &p))
        return false;
    vk_number(ret, p.epoch, 0x02);
    key_release(ret, p.release);
    vk_byte(ret, (uint8_t)p.stage);
    if (p.stage > STAGE_DEV && p.stage < STAGE_FINAL)
        vk_number(ret, p.pre, 0x02);
    if (p.has_post)
        vk_number(ret, p.post, 0x02);
    else
        vk_byte(ret, 0x01);
    if (p.has_dev)
        vk_number(ret, p.dev, 0x02);
    else
        vk_byte(ret, 0xff);
    key_local(ret, p.local);
    return vk_finish(ret);
}

const struct version_scheme version_pep440 = {
    .name = "pep440",
    .valid = pep440_valid,
    .exact = pep440_valid,
    .compare = pep440_compare,
    .key = pep440_key,
};
