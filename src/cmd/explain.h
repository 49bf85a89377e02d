/* explain.h - what `eclair explain` knows of one id and one image, shared by its files. */
#pragma once
#include "cmd/scan_run.h"

struct explaining {
    struct scan *scan;
    str id;
    struct buf *out;
    struct stored_advisory *said; /* under that id, or of feeds of the image with that alias */
    size_t said_count;
    /* What was seen of what they say. */
    bool of_namespace, of_package, fits, denied;
    bool by_cpe;         /* what fits is for certain repositories */
    str other_spaces[8]; /* of those that are none of the image's */
    size_t other_space_count;
    str other_packages[8]; /* of those that are not installed */
    size_t other_package_count;
    str denier; /* the feed that says no */
};

/* explain_ranges.c: what each range says of the image, step by step. */
void explain_ranges(struct explaining *x);
/* Without what a terminal would obey, new lines too; explain_line() ends with one. */
void explain_text(struct explaining *x, const char *fmt, ...) PRINTF(2, 3);
void explain_line(struct explaining *x, const char *fmt, ...) PRINTF(2, 3);
