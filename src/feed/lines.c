#include "feed/lines.h"

void lines_done(struct lines *l) { buf_done(&l->part); }

static int too_long(const struct lines *l, struct err *e)
{
    return err_set(e, ERR_LIMIT, "line %llu: more than %u bytes", (unsigned long long)l->number,
                   LINE_MAX_BYTES);
}

/* Keeps what has come of a line that goes on in the next chunk. */
static int keep(struct lines *l, str s, struct err *e)
{
    if (s.len > LINE_MAX_BYTES - l->part.len)
        return too_long(l, e);
    buf_str(&l->part, s);
    return l->part.failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int give(const struct lines *l, str line, str *ret, struct err *e)
{
    if (line.len > LINE_MAX_BYTES)
        return too_long(l, e);
    *ret = str_head(line, line.len - str_ends(line, STR("\r")));
    return 1;
}

int lines_next(struct lines *l, str *ret, struct err *e)
{
    l->part.len = 0;
    l->number++;
    for (;;) {
        const char *end = l->rest.len ? memchr(l->rest.ptr, '\n', l->rest.len) : NULL;
        str head = end ? str_head(l->rest, (size_t)(end - l->rest.ptr)) : l->rest;
        l->rest = end ? str_skip(l->rest, head.len + 1) : (str){ 0 };
        if (end && !l->part.len)
            return give(l, head, ret, e);
        if (keep(l, head, e) < 0)
            return -1;
        if (end)
            return give(l, buf_view(&l->part), ret, e);
        int r = stream_next(l->in, &l->rest, e);
        if (r < 0)
            return -1;
        if (r == 0 && !l->part.len)
            return 0;
        if (r == 0)
            return give(l, buf_view(&l->part), ret, e);
    }
}
