#include "base/buf.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_STEP 16384

char *buf_reserve(struct buf *b, size_t n)
{
    size_t need;
    if (b->failed || __builtin_add_overflow(b->len, n, &need) || (b->max && need > b->max)) {
        b->failed = true;
        return NULL;
    }
    if (need > b->cap) {
        size_t cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
        cap = cap < 256 ? 256 : cap;
        cap = cap < need ? need : cap;
        cap = b->max && cap > b->max ? b->max : cap;
        char *p = realloc(b->ptr, cap);
        if (!p) {
            b->failed = true;
            return NULL;
        }
        b->ptr = p;
        b->cap = cap;
    }
    return b->ptr + b->len;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    char *p = n ? buf_reserve(b, n) : NULL;
    if (!p)
        return;
    memcpy(p, bytes, n);
    b->len += n;
}

void buf_str(struct buf *b, str s) { buf_add(b, s.ptr, s.len); }

void buf_char(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
    if (!p) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void buf_done(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){ 0 };
}

int buf_read_file(struct buf *b, const char *path, struct err *e)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_errno(e, "open %s", path);
    for (;;) {
        char *room = buf_reserve(b, FILE_STEP);
        if (!room)
            return err_set(e, ERR_LIMIT, "%s: is larger than %zu bytes", path, b->max);
        ssize_t n = read(fd, room, FILE_STEP);
        if (n < 0)
            return err_errno(e, "read %s", path);
        if (n == 0)
            return 0;
        b->len += (size_t)n;
    }
}
