#include "base/secret.h"

#include <strings.h>

/* Where a secret may begin: what stands before it, in any letter case. */
static const char *const marks[] = { "password=", "passwd=", "token=", "secret=", "bearer ", "basic " };

static bool ends_value(char c) { return (unsigned char)c <= ' ' || strchr("&,;\"'<>)]}", c); }

/* The length of the value that begins at s: up to a separator that is neither quoted nor escaped. */
static size_t value_length(str s)
{
    size_t n = 0;
    for (char quote = '\0'; n < s.len; n++) {
        char c = s.ptr[n];
        if (c == '\\')
            n++;
        else if (quote ? c == quote : !n && (c == '\'' || c == '"'))
            quote = quote ? '\0' : c;
        else if (!quote && ends_value(c))
            break;
    }
    return n < s.len ? n : s.len;
}

static bool ends_url(char c) { return (unsigned char)c <= ' ' || strchr("\"'<>\\", c); }

/* What stands before "://" says what may follow. */
static bool is_database(str before)
{
    static const char *const schemes[] = { "postgres", "postgresql" };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i]);
        if (before.len >= n && !strncasecmp(before.ptr + before.len - n, schemes[i], n))
            return true;
    }
    return false;
}

/* What follows "://": the password up to the last "@" before the path, and a query that may be signed. Returns how much was
 * looked at. */
static size_t mask_url(str s, bool signed_perhaps, struct buf *ret)
{
    size_t n = 0;
    while (n < s.len && !ends_url(s.ptr[n]))
        n++;
    str url = str_head(s, n), path = url, authority = str_cut(&path, '/');
    bool query_first = str_find(authority, '?') >= 0; /* or a password that holds one */
    str front = query_first ? url : authority;
    ptrdiff_t at = str_rfind(front, '@'), colon = str_find(front, ':');
    str rest = url;
    if (at >= 0 && colon >= 0 && colon < at) {
        buf_str(ret, str_head(url, (size_t)colon + 1));
        buf_str(ret, STR(SECRET_MASK));
        rest = str_skip(url, (size_t)at);
    }
    str query = rest, place = str_cut(&query, '?');
    buf_str(ret, place);
    if (place.len == rest.len)
        return n;
    buf_char(ret, '?');
    if (!signed_perhaps) /* of a connection string: its keywords are looked at */
        return (size_t)(query.ptr - url.ptr);
    buf_str(ret, STR(SECRET_MASK));
    return n;
}

/* The length of the mark that begins at s, 0 for none. */
static size_t mark_length(str s)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        size_t n = strlen(marks[i]);
        if (s.len > n && !strncasecmp(s.ptr, marks[i], n))
            return n;
    }
    return 0;
}

/* The first letters of the marks: this is asked for every byte that is logged. */
static bool begins_mark(char c)
{
    switch (c | 0x20) {
    case 'p':
    case 't':
    case 's':
    case 'b':
        return true;
    default:
        return false;
    }
}

bool secret_suspected(str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.ptr[i] == ':' && str_starts(str_skip(text, i), STR("://"))) ||
            (begins_mark(text.ptr[i]) && mark_length(str_skip(text, i))))
            return true;
    return false;
}

void secret_mask(str text, struct buf *ret)
{
    for (size_t i = 0; i < text.len;) {
        str s = str_skip(text, i);
        size_t n = begins_mark(s.ptr[0]) ? mark_length(s) : 0;
        if (n) {
            buf_str(ret, str_head(s, n));
            buf_str(ret, STR(SECRET_MASK));
            i += n + value_length(str_skip(s, n));
        } else if (str_starts(s, STR("://"))) {
            buf_str(ret, STR("://"));
            i += 3 + mask_url(str_skip(s, 3), !is_database(str_head(text, i)), ret);
        } else {
            buf_char(ret, s.ptr[0]);
            i++;
        }
    }
}

bool secret_equal(str a, str b)
{
    volatile unsigned char differs = a.len != b.len;
    for (size_t i = 0; i < a.len && i < b.len; i++)
        differs |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    return !differs;
}
