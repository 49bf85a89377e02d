/*
 * err.h - one failure, told from the outside in: "layer 2: var/lib/dpkg/status: line 118: no colon".
 *
 * A function that can fail takes a `struct err *e` last and returns -1 (or NULL) with it set; it leaves
 * `e` untouched on success. Nothing below cmd/ prints.
 */
#pragma once
#include <stddef.h>

/* What the caller can do about it. err_exit_code() is the one table from kind to exit code. */
enum err_kind {
    ERR_NONE,
    ERR_OOM,         /* memory or a memory limit of ours ran out */
    ERR_IO,          /* the operating system refused: open, read, write, connect */
    ERR_FORMAT,      /* outside bytes do not follow their format; the text says where */
    ERR_LIMIT,       /* a documented limit was passed; the text names it */
    ERR_DIGEST,      /* bytes do not have the digest they are named by */
    ERR_NOT_FOUND,   /* the thing named does not exist */
    ERR_UNSUPPORTED, /* well formed, but not something we handle */
    ERR_USAGE,       /* the command line or an option is wrong */
    ERR_CAGE,        /* a caged worker died; the text says of what */
    ERR_BUSY,        /* somebody else holds it: retry later */
    ERR_READONLY,    /* the store cannot be written: readers go on */
    ERR_FULL,        /* no space left on the device */
    ERR_NEWER,       /* the database was written by a newer version */
    ERR_NETWORK,     /* a server did not answer, or not as it should */
    ERR_INTERNAL,    /* our own mistake */
    ERR_DENIED,      /* a server does not let us in: wrong user or password */
    ERR_FILE_LIMIT,  /* ERR_LIMIT of one file of an image: it is larger than what is read of one */
    ERR_KINDS
};

struct err { /* lives on the stack of whoever will report it; owns nothing */
    enum err_kind kind;
    char text[512]; /* cut, never overrun; printable UTF-8, other bytes become \xNN */
};

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Both return -1, so a failing branch is one line. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);
int err_wrap(struct err *e, const char *fmt, ...)
    PRINTF(2, 3); /* puts "fmt: " before the text, keeps the kind */
int err_errno(struct err *e, const char *fmt, ...) PRINTF(2, 3); /* "fmt: strerror(errno)", kind from errno */

/* A copy that is safe on a terminal: control bytes and broken UTF-8 become \\xNN. Cut to `room`, NUL-terminated. */
void err_clean(char *to, size_t room, const char *from);

const char *err_kind_name(enum err_kind kind); /* "format": for frames and logs */
int err_exit_code(enum err_kind kind);         /* 0 none, 2 usage, 1 the rest (design.md 9) */
