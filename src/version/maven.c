/*
 * maven.c - versions of Maven, in the order of its ComparableVersion (maven-artifact 3.8).
 *
 * A version is numbers and words, in lists. "." separates; "-" opens a list inside, to the end of the version, and so does each change between
 * digits and letters. Before a word that ends the version, or that digits follow, "." is as "-". What counts for nothing (0, "", "ga", "final", "release") vanishes at the end of a list. Compared is item by item:
 * words are older than lists, lists than numbers, and what is missing is "nothing": alpha, beta, milestone, rc and snapshot are older than
 * that, sp and all other words newer, numbers newer if they are not 0, and a list is what its first item is that is not nothing.
 *
 * Of Maven this is no order: "1.0.rc" < "1" < "1.x" < "1.0.rc", for x is older than 0, as a word. It goes in a circle only where one version
 * is older and the other newer than what both begin with, and only through that. Here the older is then the older one; all else is as Maven
 * has it. What an item stands for so depends on whether the rest of its version is older or newer than nothing:
 *
 *     older:    words < nothing, then older < lists < 0, then older
 *     the end
 *     newer:    nothing, then newer < words < lists < 0, then newer < numbers
 */
#include "version/key.h"

#define TOKENS_MAX (2 * VERSION_TEXT_MAX + 2) /* each byte may open a list, and begin an item */

enum kind { KIND_NUMBER, KIND_WORD, KIND_LIST };

struct token {
    uint8_t kind;
    uint8_t rank;     /* of a word: its place among the qualifiers, or OTHERS */
    int8_t side;      /* of this and all that follows: -1 older than nothing, 1 newer, 0 nothing */
    uint16_t at, len; /* its text */
};

struct version {
    str text;
    size_t count;
    struct token tokens[TOKENS_MAX];
};

/* In the order of Maven; "" is nothing. */
static const char *const qualifiers[] = { "alpha", "beta", "milestone", "rc", "snapshot", "", "sp" };
#define NOTHING 5
#define OTHERS  7

static const struct {
    const char *word, *meaning;
} aliases[] = { { "ga", "" }, { "final", "" }, { "release", "" }, { "cr", "rc" } };

static str text_of(const struct version *v, const struct token *t)
{
    return str_head(str_skip(v->text, t->at), t->len);
}

static bool is_word(str s, const char *word) { return !version_folded_compare(s, str_from(word)); }

static int rank_of(str s, bool digit_follows)
{
    if (digit_follows && s.len == 1) {
        static const char letters[] = "abm";
        const char *at = strchr(letters, version_lower(s.ptr[0]));
        if (at && *at)
            return (int)(at - letters);
    }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (is_word(s, aliases[i].word))
            s = str_from(aliases[i].meaning);
    for (int i = 0; i < OTHERS; i++)
        if (is_word(s, qualifiers[i]))
            return i;
    return OTHERS;
}

/* An item alone against nothing. */
static int side_of(const struct version *v, const struct token *t)
{
    if (t->kind == KIND_NUMBER)
        return version_number_compare(text_of(v, t), STR("0"));
    return version_sign(t->rank - NOTHING);
}

/* Takes away what is nothing at the end of the innermost list. */
static void trim(struct version *v)
{
    while (v->count && v->tokens[v->count - 1].kind != KIND_LIST && !side_of(v, &v->tokens[v->count - 1]))
        v->count--;
}

static void open_list(struct version *v)
{
    trim(v);
    v->tokens[v->count++] = (struct token){ .kind = KIND_LIST };
}

static void add_item(struct version *v, size_t from, size_t to)
{
    bool number = from == to || version_is_digit(v->text.ptr[from]); /* between two separators is a 0 */
    bool digit_follows = !number && to < v->text.len && version_is_digit(v->text.ptr[to]);
    bool in_list = v->count && v->tokens[v->count - 1].kind != KIND_LIST;
    if (in_list && !number && (digit_follows || to == v->text.len))
        open_list(v);
    v->tokens[v->count++] = (struct token){
        .kind = number ? KIND_NUMBER : KIND_WORD,
        .rank = number ? 0 : (uint8_t)rank_of(str_head(str_skip(v->text, from), to - from), digit_follows),
        .at = (uint16_t)from,
        .len = (uint16_t)(to - from),
    };
}

static void read_tokens(struct version *v)
{
    size_t from = 0;
    for (size_t i = 0; i < v->text.len; i++) {
        char c = v->text.ptr[i];
        if (c == '.' || c == '-') {
            add_item(v, from, i);
            from = i + 1;
            if (c == '-')
                open_list(v);
        } else if (i > from && version_is_digit(c) != version_is_digit(v->text.ptr[i - 1])) {
            add_item(v, from, i);
            from = i;
            open_list(v);
        }
    }
    if (from < v->text.len)
        add_item(v, from, v->text.len);
}

static void read_version(str text, struct version *ret)
{
    ret->text = text;
    ret->count = 0;
    read_tokens(ret);
    for (trim(ret); ret->count && ret->tokens[ret->count - 1].kind == KIND_LIST; trim(ret))
        ret->count--; /* an empty list */
    int8_t side = 0;
    for (size_t i = ret->count; i--;) {
        struct token *t = &ret->tokens[i];
        int own = t->kind == KIND_LIST ? 0 : side_of(ret, t);
        side = own ? (int8_t)own : side;
        t->side = side;
    }
}

/* What stands at a place, in the order of the head of this file. Words, lists and 0 go on behind theirs. */
enum place {
    OLDER_WORD = 1,
    OLDER_NOTHING,
    OLDER_LIST,
    OLDER_ZERO,
    END,
    NEWER_NOTHING,
    NEWER_WORD,
    NEWER_LIST,
    NUMBER
};

static enum place place_at(const struct version *v, size_t at)
{
    if (at >= v->count)
        return END;
    const struct token *t = &v->tokens[at];
    bool newer = t->side > 0;
    if (t->kind == KIND_LIST)
        return newer ? NEWER_LIST : OLDER_LIST;
    if (t->kind == KIND_NUMBER)
        return newer ? NUMBER : OLDER_ZERO;
    if (t->rank == NOTHING)
        return newer ? NEWER_NOTHING : OLDER_NOTHING;
    return newer ? NEWER_WORD : OLDER_WORD;
}

static int compare_words(const struct version *x, const struct token *a, const struct version *y,
                         const struct token *b)
{
    int p = a->rank, q = b->rank;
    if (p != q || p < OTHERS)
        return version_sign(p - q);
    return version_folded_compare(text_of(x, a), text_of(y, b));
}

static bool maven_valid(str v) { return v.len && version_printable(v, false); }

static int maven_compare(str a, str b)
{
    struct version x, y;
    read_version(a, &x), read_version(b, &y);
    for (size_t i = 0;; i++) {
        enum place p = place_at(&x, i), q = place_at(&y, i);
        int order = version_sign((int)p - (int)q);
        if (!order && p == NUMBER)
            order = version_number_compare(text_of(&x, &x.tokens[i]), text_of(&y, &y.tokens[i]));
        if (!order && (p == OLDER_WORD || p == NEWER_WORD))
            order = compare_words(&x, &x.tokens[i], &y, &y.tokens[i]);
        if (order || p == END)
            return order;
    }
}

/* Places are their numbers, that of older words a row from 01, one for each; numbers from 20. */
static void key_token(struct version_key *k, const struct version *v, size_t at)
{
    enum place c = place_at(v, at);
    if (c == NUMBER) {
        vk_number(k, text_of(v, &v->tokens[at]), 0x20);
    } else if (c == OLDER_WORD) {
        vk_byte(k, (uint8_t)(OLDER_WORD + v->tokens[at].rank));
    } else if (c == NEWER_WORD) {
        bool sp = v->tokens[at].rank < OTHERS;
        vk_byte(k, sp ? 0x10 : 0x11);
        if (!sp)
            vk_folded(k, text_of(v, &v->tokens[at]));
    } else {
        vk_byte(k, (uint8_t)(c + (c > NEWER_WORD ? 0x10 : 0x08)));
    }
}

static bool maven_key(str text, struct version_key *ret)
{
    struct version v;
    ret->len = 0;
    if (!maven_valid(text))
        return false;
    read_version(text, &v);
    for (size_t i = 0; i <= v.count; i++)
        key_token(ret, &v, i);
    return vk_finish(ret);
}

const struct version_scheme version_maven = {
    .name = "maven",
    .valid = maven_valid,
    .exact = maven_valid,
    .compare = maven_compare,
    .key = maven_key,
};
