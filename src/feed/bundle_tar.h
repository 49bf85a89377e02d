/* bundle_tar.h - the little of tar (POSIX ustar) that a bundle is made of: regular files with short names. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define TAR_BLOCK 512u
#define TAR_NAME  100u

struct bundle_member {
    char name[TAR_NAME + 1];
    uint64_t offset, size; /* of its bytes in the file */
};

/* 1 a member, 0 the end, -1: it is no tar, or another kind of member. `offset`: of the header; moves on to the next. `file_size`: no member goes
 * beyond it. */
int bundle_tar_next(int fd, uint64_t file_size, uint64_t *offset, struct bundle_member *ret, struct err *e);

int bundle_tar_head(int fd, const char *name, uint64_t size, int64_t mtime, struct err *e);
int bundle_tar_pad(int fd, uint64_t size, struct err *e); /* behind the bytes of a member */
int bundle_tar_end(int fd, struct err *e);
int bundle_put(int fd, str bytes, struct err *e);
int bundle_pread(int fd, void *to, size_t n, uint64_t offset, struct err *e); /* all of them */
