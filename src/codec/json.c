#include "codec/json.h"

#include <stdlib.h>

#define DEPTH 64
#define TEXT  ((size_t)1 << 20)

enum state {
    WANT_VALUE,
    WANT_KEY,
    WANT_FIRST, /* key, element or the end of what has just begun */
    AFTER_KEY,
    AFTER_VALUE,
    BROKEN,
};
enum { INPUT_ENDS = 256 }; /* beside the values of a byte */

struct json {
    struct stream *in;
    const char *p, *end; /* what is left of the current chunk */
    uint64_t chunk_end;  /* its offset in the input */
    uint64_t start;      /* of the event read last */
    enum state state;
    unsigned depth, max_depth;
    size_t max_text;
    struct buf text;  /* a string or number with escapes, or from more than one chunk */
    struct err error; /* when BROKEN */
    char nest[];      /* '{' or '[' of each level */
};

struct json *json_new(struct stream *in, const struct json_limits *limits, struct err *e)
{
    unsigned depth = limits && limits->max_depth ? limits->max_depth : DEPTH;
    struct json *j = calloc(1, sizeof *j + depth);
    if (!j || !buf_reserve(&j->text, 1)) { /* so that an empty text is never NULL */
        json_freep(&j);
        err_set(e, ERR_OOM, "json: out of memory");
        return NULL;
    }
    j->in = in;
    j->max_depth = depth;
    j->max_text = limits && limits->max_text ? limits->max_text : TEXT;
    return j;
}

void json_freep(struct json **j)
{
    if (*j) {
        buf_done(&(*j)->text);
        free(*j);
    }
    *j = NULL;
}

uint64_t json_offset(const struct json *j) { return j->chunk_end - (uint64_t)(j->end - j->p); }

static int bad_at(uint64_t offset, const char *what, struct err *e)
{
    return err_set(e, ERR_FORMAT, "json: byte %llu: %s", (unsigned long long)offset, what);
}

static int bad(const struct json *j, const char *what, struct err *e)
{
    return bad_at(json_offset(j), what, e);
}

/* 1 there is at least one more byte, 0 the input has ended, -1 error. */
static int refill(struct json *j, struct err *e)
{
    if (j->p < j->end)
        return 1;
    str chunk;
    int r = stream_next(j->in, &chunk, e);
    if (r > 0) {
        j->p = chunk.ptr;
        j->end = chunk.ptr + chunk.len;
        j->chunk_end += chunk.len;
    }
    return r;
}

/* The next byte, not yet consumed; -1 also when there is none. */
static int peek(struct json *j, struct err *e)
{
    int r = j->p < j->end ? 1 : refill(j, e);
    if (r == 0)
        return bad(j, "the input ends inside a value", e);
    return r < 0 ? -1 : (uint8_t)*j->p;
}

/* The first byte that is no white space, or INPUT_ENDS where that is allowed, or -1. */
static int look(struct json *j, struct err *e)
{
    for (;; j->p++) {
        if (j->p == j->end) {
            int r = refill(j, e);
            if (r == 0 && j->state == AFTER_VALUE && !j->depth)
                return INPUT_ENDS;
            if (r == 0)
                return bad(j, "the input ends inside a value", e);
            if (r < 0)
                return -1;
        }
        if (*j->p != ' ' && *j->p != '\n' && *j->p != '\r' && *j->p != '\t')
            return (uint8_t)*j->p;
    }
}

static int keep(struct json *j, const void *bytes, size_t n, struct err *e)
{
    if (n > j->max_text || j->text.len > j->max_text - n)
        return err_set(e, ERR_LIMIT, "json: byte %llu: longer than %zu bytes", (unsigned long long)j->start,
                       j->max_text);
    buf_add(&j->text, bytes, n);
    return j->text.failed ? err_set(e, ERR_OOM, "json: out of memory") : 0;
}

static int keep_rune(struct json *j, uint32_t c, struct err *e)
{
    char out[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    out[0] = (char)(lead[n] | c);
    return keep(j, out, n, e);
}

static int hex4(struct json *j, uint32_t *ret, struct err *e)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(j, e);
        if (c < 0)
            return -1;
        int letter = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            v = v << 4 | (uint32_t)(letter - 'a' + 10);
        else
            return bad(j, "four hexadecimal digits wanted", e);
        j->p++;
    }
    *ret = v;
    return 0;
}

static int simple_escape(struct json *j, int c, struct err *e)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *at = c ? strchr(names, c) : NULL;
    if (!at)
        return bad(j, "unknown escape", e);
    j->p++;
    return keep(j, bytes + (at - names), 1, e);
}

/* At a backslash. A high surrogate needs the escape that follows it, so one call may take several. */
static int escapes(struct json *j, struct err *e)
{
    uint32_t high = 0;
    int c;
    do {
        j->p++;
        if ((c = peek(j, e)) < 0)
            return -1;
        if (c != 'u')
            return (high && keep_rune(j, 0xfffd, e) < 0) ? -1 : simple_escape(j, c, e);
        j->p++;
        uint32_t unit = 0;
        if (hex4(j, &unit, e) < 0)
            return -1;
        bool low = unit >= 0xdc00 && unit < 0xe000;
        if (high && low)
            return keep_rune(j, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00), e);
        if (high && keep_rune(j, 0xfffd, e) < 0)
            return -1;
        if (unit < 0xd800 || unit >= 0xdc00)
            return keep_rune(j, low ? 0xfffd : unit, e);
        high = unit;
        if ((c = peek(j, e)) < 0)
            return -1;
    } while (c == '\\');
    return keep_rune(j, 0xfffd, e);
}

static bool is_plain(char c) { return (uint8_t)c >= 0x20 && c != '"' && c != '\\'; }

/* The end of the run of bytes that stand for themselves, eight at a time: in each byte of `hit` the top bit
 * is set where the byte is below 0x20, a quote or a backslash (or stands above such a byte, which the loop
 * behind sorts out). */
static const char *plain_run(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101, tops = ones << 7;
    for (; end - p >= 8; p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
        uint64_t hit = ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
        if (hit & tops)
            break;
    }
    while (p < end && is_plain(*p))
        p++;
    return p;
}

/* At the quote. */
static int string(struct json *j, str *ret, struct err *e)
{
    j->p++;
    j->text.len = 0;
    for (;;) {
        const char *from = j->p;
        j->p = plain_run(from, j->end);
        size_t n = (size_t)(j->p - from);
        if (j->p < j->end && *j->p == '"' && !j->text.len && n <= j->max_text) {
            j->p++;
            *ret = str_of(from, n);
            return 0;
        }
        if (n && keep(j, from, n, e) < 0)
            return -1;
        int c = peek(j, e);
        if (c < 0)
            return -1;
        if (c == '"') {
            j->p++;
            *ret = buf_view(&j->text);
            return 0;
        }
        if (c == '\\' && escapes(j, e) < 0)
            return -1;
        if (c < 0x20)
            return bad(j, "a control character inside a string", e);
    }
}

static size_t digits(str s, size_t at)
{
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
        at++;
    return at;
}

/* How many bytes of s follow the grammar of a number (RFC 8259, 6); *whole when they may end there. */
static size_t number_grammar(str s, bool *whole)
{
    size_t at = s.ptr[0] == '-', from = at;
    at = at < s.len && s.ptr[at] == '0' ? at + 1 : digits(s, at);
    *whole = at > from;
    if (*whole && at < s.len && s.ptr[at] == '.') {
        from = at + 1;
        at = digits(s, from);
        *whole = at > from;
    }
    if (*whole && at < s.len && (s.ptr[at] | 0x20) == 'e') {
        at++;
        from = at += at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-');
        at = digits(s, from);
        *whole = at > from;
    }
    return at;
}

static bool in_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || (c | 0x20) == 'e';
}

static int number(struct json *j, str *ret, struct err *e)
{
    str s;
    j->text.len = 0;
    for (;;) {
        const char *from = j->p;
        while (j->p < j->end && in_number(*j->p))
            j->p++;
        s = str_of(from, (size_t)(j->p - from));
        bool all = j->p < j->end;
        if (all && !j->text.len && s.len <= j->max_text)
            break;
        if (s.len && keep(j, s.ptr, s.len, e) < 0)
            return -1;
        s = buf_view(&j->text);
        int r = all ? 0 : refill(j, e);
        if (r < 0)
            return -1;
        if (r == 0)
            break;
    }
    bool whole;
    size_t good = number_grammar(s, &whole);
    if (good < s.len || !whole)
        return bad_at(j->start + good, "not a number", e);
    *ret = s;
    return 0;
}

static int literal(struct json *j, const char *word, struct err *e)
{
    for (; *word; word++, j->p++) {
        int c = peek(j, e);
        if (c < 0)
            return -1;
        if (c != *word)
            return bad(j, "true, false or null wanted", e);
    }
    return 0;
}

static int begin(struct json *j, char c, struct err *e)
{
    if (j->depth == j->max_depth)
        return err_set(e, ERR_LIMIT, "json: byte %llu: nested deeper than %u", (unsigned long long)j->start,
                       j->max_depth);
    j->nest[j->depth++] = c;
    j->p++;
    j->state = WANT_FIRST;
    return 0;
}

static int end(struct json *j, enum json_type *type)
{
    *type = j->nest[--j->depth] == '{' ? JSON_OBJECT_END : JSON_ARRAY_END;
    j->p++;
    j->state = AFTER_VALUE;
    return 0;
}

static int value(struct json *j, int c, enum json_type *type, str *text, struct err *e)
{
    j->state = AFTER_VALUE;
    switch (c) {
    case '{':
        *type = JSON_OBJECT;
        return begin(j, '{', e);
    case '[':
        *type = JSON_ARRAY;
        return begin(j, '[', e);
    case '"':
        *type = JSON_STRING;
        return string(j, text, e);
    case 't':
        *type = JSON_TRUE;
        return literal(j, "true", e);
    case 'f':
        *type = JSON_FALSE;
        return literal(j, "false", e);
    case 'n':
        *type = JSON_NULL;
        return literal(j, "null", e);
    default:
        break;
    }
    if (c != '-' && (c < '0' || c > '9'))
        return bad(j, "a value wanted", e);
    *type = JSON_NUMBER;
    return number(j, text, e);
}

/* Over a byte order mark at the very beginning. */
static int skip_mark(struct json *j, struct err *e)
{
    if (json_offset(j) || j->state != WANT_VALUE)
        return 0;
    int c = peek(j, e);
    if (c != 0xef)
        return c < 0 ? -1 : 0;
    for (const char *bom = "\xef\xbb\xbf"; *bom; bom++, j->p++) {
        if ((c = peek(j, e)) < 0)
            return -1;
        if (c != (uint8_t)*bom)
            return bad(j, "a value wanted", e);
    }
    return 0;
}

/* At what must be a colon or comma; gives the first byte of what follows it. */
static int separator(struct json *j, int c, char in, struct err *e)
{
    if (j->state == AFTER_KEY && c != ':')
        return bad(j, "':' wanted", e);
    if (j->state == AFTER_VALUE && c != ',')
        return bad(j, in == '{' ? "',' or '}' wanted" : "',' or ']' wanted", e);
    j->p++;
    j->state = j->state == AFTER_VALUE && in == '{' ? WANT_KEY : WANT_VALUE;
    return look(j, e);
}

static int event(struct json *j, enum json_type *type, str *text, struct err *e)
{
    int c = skip_mark(j, e) < 0 ? -1 : look(j, e);
    if (c < 0)
        return -1;
    j->start = json_offset(j);
    if (!j->depth && j->state == AFTER_VALUE) {
        *type = JSON_END;
        return c == INPUT_ENDS ? 0 : bad(j, "something follows the value", e);
    }
    char in = j->depth ? j->nest[j->depth - 1] : 0;
    bool ends = in && c == (in == '{' ? '}' : ']');
    if (ends && (j->state == AFTER_VALUE || j->state == WANT_FIRST))
        return end(j, type);
    if (j->state == WANT_FIRST) {
        j->state = in == '{' ? WANT_KEY : WANT_VALUE;
    } else if (j->state == AFTER_KEY || j->state == AFTER_VALUE) {
        if ((c = separator(j, c, in, e)) < 0)
            return -1;
        j->start = json_offset(j);
    }
    if (j->state == WANT_VALUE)
        return value(j, c, type, text, e);
    if (c != '"')
        return bad(j, "a key wanted", e);
    *type = JSON_KEY;
    j->state = AFTER_KEY;
    return string(j, text, e);
}

int json_next(struct json *j, enum json_type *type, str *text, struct err *e)
{
    enum json_type t = JSON_END;
    str s = { 0 };
    if (j->state != BROKEN) {
        if (event(j, &t, &s, &j->error) == 0) {
            *type = t;
            *text = s;
            return 0;
        }
        j->state = BROKEN;
    }
    *e = j->error;
    return -1;
}

static int wanted(const struct json *j, const char *want, enum json_type got, struct err *e)
{
    static const char *const names[] = {
        [JSON_END] = "the end",
        [JSON_OBJECT] = "an object",
        [JSON_OBJECT_END] = "the end of an object",
        [JSON_ARRAY] = "an array",
        [JSON_ARRAY_END] = "the end of an array",
        [JSON_KEY] = "a key",
        [JSON_STRING] = "a string",
        [JSON_NUMBER] = "a number",
        [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",
        [JSON_NULL] = "null",
    };
    return err_set(e, ERR_FORMAT, "json: byte %llu: %s wanted, not %s", (unsigned long long)j->start, want,
                   names[got]);
}

int json_enter_or_null(struct json *j, enum json_type want, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type == want || type == JSON_NULL)
        return type == want;
    return wanted(j, want == JSON_OBJECT ? "an object" : "an array", type, e);
}

int json_enter(struct json *j, enum json_type want, struct err *e)
{
    int r = json_enter_or_null(j, want, e);
    if (r == 0)
        return wanted(j, want == JSON_OBJECT ? "an object" : "an array", JSON_NULL, e);
    return r < 0 ? -1 : 0;
}

int json_key(struct json *j, str *ret, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type == JSON_OBJECT_END)
        return 0;
    if (type != JSON_KEY)
        return wanted(j, "a key", type, e);
    *ret = text;
    return 1;
}

int json_element(struct json *j, enum json_type *type, str *text, struct err *e)
{
    if (json_next(j, type, text, e) < 0)
        return -1;
    return *type != JSON_ARRAY_END;
}

int json_string(struct json *j, str *ret, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type != JSON_STRING && type != JSON_NULL)
        return wanted(j, "a string", type, e);
    *ret = text;
    return 0;
}

int json_skip_rest(struct json *j, enum json_type seen, struct err *e)
{
    if (seen != JSON_OBJECT && seen != JSON_ARRAY)
        return 0;
    enum json_type type;
    str text;
    for (unsigned outside = j->depth - 1; j->depth > outside;)
        if (json_next(j, &type, &text, e) < 0)
            return -1;
    return 0;
}

int json_skip(struct json *j, struct err *e)
{
    enum json_type type;
    str text;
    return json_next(j, &type, &text, e) < 0 ? -1 : json_skip_rest(j, type, e);
}

int json_finish(struct json *j, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    return type == JSON_END ? 0 : wanted(j, "the end", type, e);
}
