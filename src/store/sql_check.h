/*
 * store_check.h - store_check() inside: parts, each in one read view, and sums that tell many rows from others without keeping them.
 */
#pragma once
#include "store/sql.h"

#define CHECK_SHOWN 100 /* problems of one part that are told one by one */

struct checking {
    struct sql *s;
    bool full;
    store_problem *report;
    void *ctx;
    int64_t found; /* in this part */
};
void check_problem(struct checking *c, const char *fmt, ...) PRINTF(2, 3);

int check_postings(struct checking *c, struct err *e);   /* sets, packages, the queue and segments */
int check_advisories(struct checking *c, struct err *e); /* their ranges, and what is counted of them */
