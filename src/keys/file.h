/* file.h - a key in a file of PEM, read again when that changes. Not thread-safe: who shares one holds a lock. */
#pragma once
#include "jwt/key.h"

#include <sys/stat.h>

struct key_file {
    const char *path, *kid; /* kid NULL: its thumbprint */
    bool private;           /* others that may read it: a warning */
    struct stat seen;
    struct jwt_key *key; /* that was read last */
};
/* 0, or -1 when there has never been a key in it. One that cannot be read any more leaves the old key, and a line in the log. */
int key_file_read(struct key_file *f, struct err *e);
void key_file_done(struct key_file *f);
/* Warns when others than its owner and group may read the file. */
void key_file_warn(const char *path, const struct stat *st);
