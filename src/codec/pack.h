/*
 * pack.h - how structs travel inside frames and blobs: unsigned numbers as LEB128, strings as length and bytes.
 *
 * The reader trusts nothing: after any overrun, overlong number or string above `max_str` it gives zeroes and stays
 * `failed`; ask once at the end. Strings are views into the body.
 */
#pragma once
#include "base/buf.h"
#include "base/str.h"

void pack_u64(struct buf *b, uint64_t v);
void pack_str(struct buf *b, str s);

struct unpack {
    str rest;
    size_t max_str; /* 0 = no maximum but the body's */
    bool failed;
};
uint64_t unpack_u64(struct unpack *u);
str unpack_str(struct unpack *u);
bool unpack_end(const struct unpack *u); /* nothing failed and nothing is left */
