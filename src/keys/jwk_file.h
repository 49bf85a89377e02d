/* jwk_file.h - private keys as files of JWK: mode 0600, written whole or not at all. */
#pragma once
#include "jwt/key.h"

int jwk_folder_make(const char *path, struct err *e); /* 0700; one that is there stays */
/* 1 and *ret, 0 there is none, -1. A file that others may read is used, with a warning in the log. */
int jwk_file_read(const char *path, struct jwt_key **ret, struct err *e);
int jwk_file_write(const char *path, const struct jwt_key *k, struct err *e);
int jwk_file_rename(const char *from, const char *to, struct err *e);
