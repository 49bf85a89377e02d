/*
 * progress.h - one line of a terminal that tells how far some work is: "LABEL [====>     ] 2 of 5 layers, 45.2 MB, 12.3 MB/s".
 *
 * What does not fit is left out: first the bar, then the beginning of the label. Not for two threads at once.
 */
#pragma once
#include "base/str.h"

#define PROGRESS_LABEL 1024

struct progress {
    char label[PROGRESS_LABEL]; /* clean; empty: nothing is drawn */
    size_t parts_done, parts;   /* parts 0: none are counted */
    const char *noun;           /* of parts: "layers" */
    uint64_t bytes;
    int64_t total; /* -1 unknown */
    uint64_t (*meter)(void *ctx);
    void *meter_ctx;
    uint64_t meter_first; /* what it said when it began */
    int64_t begun_ms;
    bool drawn;
};

void progress_begin(struct progress *p, const char *label);
/* The line for a terminal of so many columns, without control bytes: at most columns - 1 of them. */
void progress_format(const struct progress *p, size_t columns, int64_t now_ms, char *ret, size_t size);
void progress_draw(struct progress *p);
void progress_wipe(struct progress *p);
