/* gzip.h - bytes as one gzip member (RFC 1952), for answers and fixtures: fast rather than small. Reading is inflate.h's. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

/* Appends to *ret; the header names no file, no time and no system ("1f8b08 00 00000000 00 ff"). Ask ret->failed afterwards. */
void gzip_pack(str bytes, struct buf *ret);
