/* pieces.h - a stream that gives its bytes in pieces of one size: what is read must not depend on it. */
#pragma once
#include "codec/stream.h"

struct pieces {
    struct stream s;
    str rest;
    size_t step;
};

static inline int pieces_next(struct stream *s, str *ret, struct err *e)
{
    struct pieces *p = (struct pieces *)s;
    (void)e;
    *ret = str_head(p->rest, p->step);
    p->rest = str_skip(p->rest, p->step);
    return ret->len > 0;
}
