/* explain.h - what `eclair explain` knows of one id and one image, shared by its files. */
#pragma once
#include "base/strmap.h"
#include "cmd/scan_run.h"

struct explaining {
    struct scan *scan;
    str id;
    struct buf *out;
    struct stored_advisory *said; /* under that id, or of feeds of the image with that alias */
    size_t said_count;
    /* What was seen of what they say. */
    bool of_namespace, of_package, fits, denied;
    str other_spaces[8]; /* of those that are none of the image's */
    size_t other_space_count;
    str other_packages[8]; /* of those that are not installed */
    size_t other_package_count;
    str denier;                                  /* the feed that says no */
    struct strmap installed[AFFECTS_BINARY + 1]; /* names of sources, of packages */
    str *names; /* of the image's packages: as their ecosystem compares them */
    str *cpes;  /* of the image's repositories */
    size_t cpe_count;
};

/* explain_ranges.c: what each range says of the image, step by step. */
int explain_ranges(struct explaining *x, struct err *e);
/* Without what a terminal would obey, new lines too; explain_line() ends with one. */
void explain_text(struct explaining *x, const char *fmt, ...) PRINTF(2, 3);
void explain_line(struct explaining *x, const char *fmt, ...) PRINTF(2, 3);
