/*
 * buildinfo.h - what the readers of Red Hat's notes on how an image was built have in common.
 *
 * Limits     BUILDINFO_MAX bytes of a file.
 * Errors     a note, and no fact of the file: a hint is not worth a layer. Only want of memory is an error.
 * Source     spec/packages.md 2.5
 */
#pragma once
#include "detect/detector.h"

#include "codec/json.h"

#define BUILDINFO_MAX (1u << 20)

/* Runs `read` over a JSON text: 1 read; 0 odd, and noted; -1. */
int buildinfo_json(str content, void *ctx,
                   int (*read)(void *ctx, struct json *j, struct detected *out, struct err *e),
                   struct detected *out, struct err *e);

/* The labels that tell what an image is; others are not kept. */
#define BUILDINFO_LABELS 7
struct buildinfo_labels {
    str value[BUILDINFO_LABELS]; /* in the arena of `out`; empty: not set */
};

/* The last value of a name counts; false when memory ran out. */
bool buildinfo_label_set(struct buildinfo_labels *l, str name, str value, struct detected *out);
bool buildinfo_labels_tell(const struct buildinfo_labels *l, struct detected *out); /* facts "label:NAME" */
