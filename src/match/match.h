/*
 * match.h - an indexed image and the store make a report: what is wrong with it, and how much we know.
 *
 * Not covered is not clean (design.md 9): packages without a supported distribution, or without any feed that speaks about it,
 * or a package database that we cannot read, give COVERAGE_NONE and a warning.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/finding.h"
#include "model/layer.h"
#include "store/store.h"

enum coverage {
    COVERAGE_FULL,  /* at least one feed speaks about the distribution */
    COVERAGE_NONE,  /* the findings say nothing about this image */
    COVERAGE_EMPTY, /* there is no package to judge */
};
const char *coverage_name(enum coverage c); /* "full", "none", "empty" */

struct report {
    const struct image_index *image;
    struct match match; /* findings sorted by (package, id) */
    enum coverage coverage;
    str end_of_life; /* of the distribution: "2026-08-31"; empty when not known */
    str *warnings;
    size_t warning_count;
    size_t left_out; /* findings that a policy took out */
    int64_t now;     /* seconds since 1970: ages are counted from here */
};

int match_image(struct store *s, const struct image_index *image, int64_t now, struct arena *arena,
                struct report *ret, struct err *e);
