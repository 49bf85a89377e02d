#include "proxy/head.h"

#include <strings.h>

bool head_is(str name, const char *want)
{
    return name.len == strlen(want) && !strncasecmp(name.ptr, want, name.len);
}

size_t head_find_end(str bytes, size_t *seen)
{
    size_t from = *seen > 3 ? *seen - 3 : 0;
    const char *at = bytes.len > from ? memmem(bytes.ptr + from, bytes.len - from, "\r\n\r\n", 4) : NULL;
    *seen = bytes.len;
    return at ? (size_t)(at - bytes.ptr) + 4 : 0;
}

static int wrong(struct err *e, const char *what) { return err_set(e, ERR_FORMAT, "HTTP: %s", what); }

static bool is_token_byte(char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_byte(s.ptr[i]))
            return false;
    return s.len > 0;
}

/* Visible ASCII; in a field's value also blanks and what is beyond ASCII. */
static bool is_clean(str s, bool value)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (value ? (c < 0x20 && c != '\t') || c == 0x7f : c <= 0x20 || c >= 0x7f)
            return false;
    }
    return true;
}

/* A line up to its CR LF; false: there is none, or a CR or LF alone. */
static bool take_line(str *rest, str *ret)
{
    const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (!end || end == rest->ptr || end[-1] != '\r')
        return false;
    *ret = str_of(rest->ptr, (size_t)(end - rest->ptr) - 1);
    *rest = str_skip(*rest, (size_t)(end - rest->ptr) + 1);
    return !memchr(ret->ptr, '\r', ret->len);
}

int head_read_field(str line, struct head_field *ret, struct err *e)
{
    ptrdiff_t colon = str_find(line, ':');
    if (line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
        return wrong(e, "a header that is folded");
    if (colon < 0 || !is_token(str_head(line, (size_t)colon)))
        return wrong(e, "a header without a proper name");
    ret->name = str_head(line, (size_t)colon);
    ret->value = str_trim(str_skip(line, (size_t)colon + 1));
    return is_clean(ret->value, true) ? 0 : wrong(e, "a control byte in a header");
}

static int read_fields(str rest, struct head *ret, struct err *e)
{
    str line;
    for (ret->count = 0;; ret->count++) {
        if (!take_line(&rest, &line))
            return wrong(e, "a line that does not end with CR LF");
        if (!line.len)
            return rest.len ? wrong(e, "bytes behind the head") : 0;
        if (ret->count == HEAD_FIELDS)
            return err_set(e, ERR_LIMIT, "HTTP: more than %d headers", HEAD_FIELDS);
        if (head_read_field(line, &ret->fields[ret->count], e) < 0)
            return -1;
    }
}

str head_field(const struct head *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (head_is(h->fields[i].name, name))
            return h->fields[i].value;
    return (str){ 0 };
}

static size_t count_of(const struct head *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->count; i++)
        n += head_is(h->fields[i].name, name);
    return n;
}

/* Does a list in one of these fields name it? */
static bool connection_names(const struct head *h, str word)
{
    for (size_t i = 0; i < h->count; i++) {
        str list = h->fields[i].value;
        if (!head_is(h->fields[i].name, "Connection") && !head_is(h->fields[i].name, "Proxy-Connection"))
            continue;
        while (list.len) {
            str one = str_trim(str_cut(&list, ','));
            if (one.len == word.len && !strncasecmp(one.ptr, word.ptr, word.len))
                return true;
        }
    }
    return false;
}

static void read_connection(struct head *h)
{
    h->close = h->http10 ? !connection_names(h, STR("keep-alive")) : connection_names(h, STR("close"));
    h->upgrade = connection_names(h, STR("upgrade")) ? head_field(h, "Upgrade") : STR("");
}

/* Sets body and length; `none`: without either field. */
static int read_framing(struct head *h, enum body_kind none, struct err *e)
{
    size_t lengths = count_of(h, "Content-Length"), codings = count_of(h, "Transfer-Encoding");
    h->body = none;
    h->length = 0;
    if (lengths && codings)
        return wrong(e, "Content-Length beside Transfer-Encoding");
    if (lengths > 1)
        return wrong(e, "more than one Content-Length");
    if (codings > 1 || (codings && !head_is(head_field(h, "Transfer-Encoding"), "chunked")))
        return wrong(e, "a Transfer-Encoding other than chunked");
    if (codings && h->http10)
        return wrong(e, "Transfer-Encoding in HTTP/1.0");
    if (codings)
        h->body = BODY_CHUNKED;
    if (!lengths)
        return 0;
    if (!str_to_u64(head_field(h, "Content-Length"), &h->length) || h->length > INT64_MAX)
        return wrong(e, "a Content-Length that is no number");
    h->body = h->length ? BODY_LENGTH : BODY_NONE;
    return 0;
}

static bool read_version(str s, struct head *ret)
{
    ret->http10 = str_eq(s, STR("HTTP/1.0"));
    return ret->http10 || str_eq(s, STR("HTTP/1.1"));
}

int head_read_request(str bytes, struct head *ret, struct err *e)
{
    str rest = bytes, line;
    if (!take_line(&rest, &line))
        return wrong(e, "a line that does not end with CR LF");
    ret->method = str_cut(&line, ' ');
    ret->target = str_cut(&line, ' ');
    ret->status = 0;
    if (!is_token(ret->method) || !ret->target.len || !is_clean(ret->target, false))
        return wrong(e, "malformed request line");
    if (!read_version(line, ret))
        return wrong(e, "unsupported version");
    if (read_fields(rest, ret, e) < 0 || read_framing(ret, BODY_NONE, e) < 0)
        return -1;
    if (count_of(ret, "Host") > 1 || (!ret->http10 && !count_of(ret, "Host")))
        return wrong(e, "one Host header is wanted");
    if (!is_clean(head_field(ret, "Host"), false))
        return wrong(e, "malformed Host header");
    read_connection(ret);
    return 0;
}

int head_read_response(str bytes, str method, struct head *ret, struct err *e)
{
    str rest = bytes, line;
    uint64_t status;
    if (!take_line(&rest, &line))
        return wrong(e, "a line that does not end with CR LF");
    if (!read_version(str_cut(&line, ' '), ret))
        return wrong(e, "malformed status line");
    str code = str_cut(&line, ' ');
    if (code.len != 3 || !str_to_u64(code, &status) || status < 100 || !is_clean(line, true))
        return wrong(e, "malformed status line");
    ret->status = (unsigned)status;
    ret->reason = line;
    if (read_fields(rest, ret, e) < 0 || read_framing(ret, BODY_UNTIL_CLOSE, e) < 0)
        return -1;
    if (head_is(method, "HEAD") || status < 200 || status == 204 || status == 304)
        ret->body = BODY_NONE;
    read_connection(ret);
    ret->close |= ret->body == BODY_UNTIL_CLOSE;
    return 0;
}

bool head_is_hop(str name)
{
    static const char *const hops[] = {
        "Connection", "Proxy-Connection",    "Keep-Alive",        "Proxy-Authenticate",
        "TE",         "Proxy-Authorization", "Transfer-Encoding", "Content-Length",
        "Upgrade",    "HTTP2-Settings"
    };
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        if (head_is(name, hops[i]))
            return true;
    return false;
}

/* Connection cannot name away what was judged. */
static bool is_end_to_end(str name) { return head_is(name, "Host") || head_is(name, "Authorization"); }

void head_put_fields(const struct head *h, struct buf *out)
{
    for (size_t i = 0; i < h->count; i++) {
        str name = h->fields[i].name;
        if (head_is_hop(name) || (connection_names(h, name) && !is_end_to_end(name)))
            continue;
        buf_str(out, name);
        buf_str(out, STR(": "));
        buf_str(out, h->fields[i].value);
        buf_str(out, STR("\r\n"));
    }
}
