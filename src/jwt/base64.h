/* base64.h - base64url (RFC 4648 5), strictly: no white space, no other letters, no bits that mean nothing. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

void base64url_put(str bytes, struct buf *out); /* without padding */
/* Padding may be there only with `padded`, and then whole or not at all. False: it is none, or the arena is full. */
bool base64url_read(str text, bool padded, struct arena *a, str *ret);
