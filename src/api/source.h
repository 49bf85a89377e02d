/*
 * source.h - where the bytes of a posted layer come from: a URL that the server fetches, or a file on the server (spec/api-v1.md 4).
 *
 * Errors     of source_open(): ERR_NOT_FOUND: there is nothing to be read, or it may not be; ERR_FORMAT: a folder. Errors of the transfer
 *            come from the input.
 * Limits     what api_options.fetch says; a minute without a byte, or with less than MIN_RATE bytes a second, ends the transfer (net/download.h
 *            says when it goes on); 10 redirects; link-local addresses are refused; of files only regular ones, and only where
 *            api.localpaths allows.
 */
#pragma once
#include "api/v1_layer.h"
#include "cage/cage.h"
#include "net/download.h"

#define MIN_RATE 1024

struct api_options;

struct source_place {
    str path; /* a URL, or of a file */
    const struct v1_header *headers;
    size_t header_count;
    const atomic_bool *stop; /* of a URL: nobody needs it any more (ERR_BUSY). NULL: somebody does */
};

struct source {
    struct cage_input input;
    int fd;
    struct download *download;
};

/* Does the request come from this machine, and for nobody else? */
bool source_is_here(const struct request *r);
/* `here`: of the request, for which files may be read. `arena` is the calling thread's. *ret must not move until source_done(). */
int source_open(const struct api_options *o, const struct source_place *p, bool here, struct arena *arena,
                struct source *ret, struct err *e);
void source_done(struct source *s);
