#include "notify/stomp_frame.h"

static int bad(const char *what, struct err *e) { return err_set(e, ERR_FORMAT, "STOMP: %s", what); }

/* Without its end; false: it is not whole. */
static bool line_of(str *rest, str *ret)
{
    ptrdiff_t at = str_find(*rest, '\n');
    if (at < 0)
        return false;
    *ret = str_head(*rest, (size_t)at);
    *rest = str_skip(*rest, (size_t)at + 1);
    if (str_ends(*ret, STR("\r")))
        ret->len--;
    return true;
}

static int add_header(struct stomp_frame *f, str line, struct err *e)
{
    ptrdiff_t at = str_find(line, ':');
    if (at <= 0)
        return bad("a header without a name", e);
    if (f->header_count == STOMP_HEADERS)
        return err_set(e, ERR_LIMIT, "STOMP: more than %u headers", STOMP_HEADERS);
    f->headers[f->header_count++] =
        (struct stomp_header){ str_head(line, (size_t)at), str_skip(line, (size_t)at + 1) };
    return 0;
}

/* 1 the head is whole, 0, -1. */
static int parse_head(str *rest, struct stomp_frame *f, struct err *e)
{
    str line;
    if (!line_of(rest, &f->command))
        return 0;
    for (size_t i = 0; i < f->command.len; i++)
        if (f->command.ptr[i] < 'A' || f->command.ptr[i] > 'Z')
            return bad("no command", e);
    for (;;) {
        if (!line_of(rest, &line))
            return 0;
        if (!line.len)
            return 1;
        if (add_header(f, line, e) < 0)
            return -1;
    }
}

/* By its length where it is told, else up to the first NUL. */
static int parse_body(str *rest, struct stomp_frame *f, struct err *e)
{
    str told = stomp_header(f, STR("content-length"));
    uint64_t n = 0;
    if (told.ptr && (!str_to_u64(told, &n) || n > STOMP_FRAME_MAX))
        return bad("content-length", e);
    if (!told.ptr) {
        ptrdiff_t at = str_find(*rest, '\0');
        if (at < 0)
            return 0;
        n = (uint64_t)at;
    }
    if (rest->len <= n)
        return 0;
    if (rest->ptr[n])
        return bad("no NUL behind a body", e);
    f->body = str_head(*rest, n);
    *rest = str_skip(*rest, n + 1);
    return 1;
}

int stomp_parse(str bytes, struct stomp_frame *ret, size_t *ret_used, struct err *e)
{
    size_t skip = 0;
    *ret = (struct stomp_frame){ 0 };
    while (skip < bytes.len && (bytes.ptr[skip] == '\n' || bytes.ptr[skip] == '\r'))
        skip++;
    *ret_used = skip;
    str rest = str_of(bytes.len ? bytes.ptr + skip : NULL, bytes.len - skip);
    size_t all = rest.len;
    if (!all)
        return 0;
    int r = parse_head(&rest, ret, e);
    if (r > 0)
        r = parse_body(&rest, ret, e);
    if (r == 0 && all > STOMP_FRAME_MAX)
        return err_set(e, ERR_LIMIT, "STOMP: a frame of more than %u bytes", STOMP_FRAME_MAX);
    if (r > 0)
        *ret_used = skip + all - rest.len;
    return r;
}

str stomp_header(const struct stomp_frame *f, str name)
{
    for (size_t i = 0; i < f->header_count; i++)
        if (str_eq(f->headers[i].name, name))
            return f->headers[i].value.len ? f->headers[i].value : STR("");
    return (str){ 0 };
}

static char plain(char c) { return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'c' ? ':' : c; }

bool stomp_says(const struct stomp_frame *f, str name, str value)
{
    str there = stomp_header(f, name);
    size_t at = 0, i = 0;
    for (; i < there.len && at < value.len; i++, at++) {
        bool escaped = there.ptr[i] == '\\' && i + 1 < there.len;
        i += escaped;
        if ((escaped ? plain(there.ptr[i]) : there.ptr[i]) != value.ptr[at])
            return false;
    }
    return there.ptr && i == there.len && at == value.len;
}

void stomp_begin(struct buf *out, const char *command) { buf_printf(out, "%s\n", command); }

void stomp_add(struct buf *out, const char *name, str value, bool escape)
{
    buf_printf(out, "%s:", name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (escape && c == ':')
            buf_str(out, STR("\\c"));
        else if (escape && c == '\\')
            buf_str(out, STR("\\\\"));
        else if (c && c != '\n' && c != '\r')
            buf_char(out, c);
    }
    buf_char(out, '\n');
}

void stomp_end(struct buf *out, str body)
{
    buf_char(out, '\n');
    buf_str(out, body);
    buf_char(out, '\0');
}
