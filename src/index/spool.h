/*
 * spool.h - an image archive that comes as a stream or compressed, as a plain file that can be read at random.
 *
 * The file has no name: O_TMPFILE, or unlinked at once, in $TMPDIR or /tmp. Its size is that of the plain archive, bounded by the
 * disk (ERR_FULL, the text names the folder) and LAYER_INFLATE_LIMITS. Outside bytes are inflated in the cage.
 */
#pragma once
#include "cage/cage.h"

/* Gives the plain bytes of its input as INDEX_CONTENT frames; a cage for it needs SPOOL_OUTPUT_MAX as its max_output. */
extern const struct cage_task index_inflate_task;
#define SPOOL_OUTPUT_MAX ((uint64_t)80 << 30)

int spool_open(struct err *e);                   /* an empty file, or -1; close it as any other */
int spool_copy(int from, int to, struct err *e); /* the rest of `from`, from where it stands */
bool spool_is_tar(int fd, uint64_t at); /* does a plain tar begin there? False for what cannot be asked */
int spool_inflate(struct cage *c, int from, int to,
                  struct err *e); /* `from`: a regular file, from where it stands */
