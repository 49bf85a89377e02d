/*
 * visit.h - what a worker makes of the members of one layer: which concern a detector, and what is told of them.
 *
 * Shape      visit_member() for each member in the order of the tar, then visit_end(). A wanted file is read whole and scanned when it
 *            comes; one that may have a second file beside it (detector->beside) is kept until the end of the layer.
 *            A link at a wanted path, or at a folder above one, makes its target wanted for the members behind it, and a second walk
 *            (`aliases`) for all: the link and its target may lie in different layers, in either order.
 * Limits     DETECT_FILE_MAX bytes of one file and of all that are kept; 100,000 entries; ALIASES_MAX.
 * Source     OCI image-spec v1.1 layer.md "Whiteouts"; design.md 9, Cage protocol.
 */
#pragma once
#include "image/tar.h"
#include "index/layer.h"

#define ALIASES_MAX 64

struct visit;
/* `aliases`: as alias_pack() made them. NULL on failure. */
struct visit *visit_new(struct frame_writer *out, unsigned flags, str aliases, struct err *e);
int visit_member(struct visit *v, struct tar *tar, const struct tar_member *m, struct err *e);
int visit_end(struct visit *v, struct err *e);
void visit_freep(struct visit **v);
