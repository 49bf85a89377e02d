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

/* A finding that somebody said not to count, and why. */
struct suppressed {
    struct finding finding;
    str by;     /* who said so: "clair-whitelist.yaml: line 3", "image.openvex.json: statement 2" */
    str reason; /* in words, as given; empty: none was */
    str status; /* of VEX: "not_affected", "fixed"; empty: it was ignored by a list */
};

struct report {
    const struct image_index *image;
    struct match match; /* findings sorted by (package, id) */
    enum coverage coverage;
    str end_of_life; /* of the distribution: "2026-08-31"; empty when not known */
    str *warnings;
    size_t warning_count;
    size_t left_out; /* findings that a policy took out for their severity, or for they have no fix */
    struct suppressed *suppressed; /* that lists and VEX documents took out; sorted as findings are */
    size_t suppressed_count;
    int64_t now; /* seconds since 1970: ages are counted from here */
};

int match_image(struct store *s, const struct image_index *image, int64_t now, struct arena *arena,
                struct report *ret, struct err *e);
