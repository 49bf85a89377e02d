#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names of files come from images. */
void err_clean(char *to, size_t room, const char *from)
{
    size_t n = 0;
    for (str s = str_from(from); s.len && n + 5 < room;) {
        size_t take = 1;
        while (take < 4 && take < s.len && (s.ptr[take] & 0xc0) == 0x80)
            take++;
        unsigned char c = (unsigned char)s.ptr[0];
        bool c1 = c == 0xc2 && take > 1 && (unsigned char)s.ptr[1] < 0xa0;
        if (c < 0x80)
            take = 1;
        if (c >= 0x20 && c != 0x7f && !c1 && str_utf8(str_head(s, take))) {
            memcpy(to + n, s.ptr, take);
            n += take;
        } else {
            take = 1;
            n += (size_t)snprintf(to + n, room - n, "\\x%02x", c);
        }
        s = str_skip(s, take);
    }
    to[n] = '\0';
}

#define REASON_MIN ((size_t)240)

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e->kind = kind;
    err_clean(e->text, sizeof e->text, text);
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char head[sizeof e->text], clean[sizeof e->text], old[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    err_clean(clean, sizeof clean, head);
    memcpy(old, e->text, sizeof old);
    /* a long name in front must not push out the reason */
    size_t n = strlen(clean), reason = strnlen(old, sizeof old - 1);
    size_t room = sizeof e->text - 3 - (reason < REASON_MIN ? reason : REASON_MIN);
    if (n > room) {
        n = room;
        memcpy(clean + n - 3, "...", 3);
    }
    memcpy(e->text, clean, n);
    memcpy(e->text + n, ": ", 2);
    size_t left = sizeof e->text - n - 3;
    size_t m = reason < left ? reason : left;
    memcpy(e->text + n + 2, old, m);
    e->text[n + 2 + m] = '\0';
    return -1;
}

static enum err_kind kind_of(int code)
{
    switch (code) {
    case ENOMEM:
        return ERR_OOM;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_FULL;
    case EROFS:
        return ERR_READONLY;
    default:
        return ERR_IO;
    }
}

int err_errno(struct err *e, const char *fmt, ...)
{
    int code = errno;
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, kind_of(code), "%s: %s", text, strerror(code));
}

static const struct {
    const char *name;
    int exit_code;
} kinds[ERR_KINDS] = {
    [ERR_NONE] = { "none", 0 },
    [ERR_OOM] = { "memory", 1 },
    [ERR_IO] = { "io", 1 },
    [ERR_FORMAT] = { "format", 1 },
    [ERR_LIMIT] = { "limit", 1 },
    [ERR_DIGEST] = { "digest", 1 },
    [ERR_NOT_FOUND] = { "not found", 1 },
    [ERR_UNSUPPORTED] = { "unsupported", 1 },
    [ERR_USAGE] = { "usage", 2 },
    [ERR_CAGE] = { "cage", 1 },
    [ERR_BUSY] = { "busy", 1 },
    [ERR_READONLY] = { "read-only", 1 },
    [ERR_FULL] = { "full", 1 },
    [ERR_NEWER] = { "newer", 1 },
    [ERR_NETWORK] = { "network", 1 },
    [ERR_INTERNAL] = { "internal", 1 },
    [ERR_DENIED] = { "denied", 1 },
    [ERR_FILE_LIMIT] = { "file limit", 1 },
};

const char *err_kind_name(enum err_kind kind) { return kind < ERR_KINDS ? kinds[kind].name : "unknown"; }

int err_exit_code(enum err_kind kind) { return kind < ERR_KINDS ? kinds[kind].exit_code : 1; }
