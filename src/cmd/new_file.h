/* new_file.h - a file that gets its name when it is whole, and replaces nothing unless that is wanted. */
#pragma once
#include "base/err.h"

#include <limits.h>
#include <stdbool.h>

struct new_file {
    const char *path;
    char temp[PATH_MAX]; /* beside it; empty: there is none (any more) */
    struct watch *watch; /* removes it when a signal ends us */
};

/* An empty file under another name. `place`: of the database, which it must not be. */
int new_file_begin(struct new_file *f, const char *path, const char *place, bool force, struct err *e);
int new_file_commit(struct new_file *f, struct err *e);
void new_file_done(struct new_file *f); /* for CLEANUP(): removes what has no name yet */
bool file_is_same(const char *a, const char *b);
