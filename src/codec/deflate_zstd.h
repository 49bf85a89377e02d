/* deflate_zstd.h - bytes into a zstd frame (RFC 8878), with a checksum and a window of at most 8 MiB. */
#pragma once
#include "base/err.h"
#include "base/str.h"

typedef int deflate_put(void *ctx, str bytes, struct err *e); /* what was made; 0 or -1 */

struct deflate;
struct deflate *deflate_zstd(deflate_put *put, void *ctx, struct err *e); /* NULL on failure */
int deflate_add(struct deflate *d, str bytes, struct err *e);
int deflate_end(struct deflate *d, struct err *e); /* once, at the end */
void deflate_freep(struct deflate **d);
