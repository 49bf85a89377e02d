/* clair2_internal.h - between clair2.c and clair2_read.c. */
#pragma once
#include "store/clair2.h"
#include "store/postgres.h"

struct clair2 {
    struct postgres *p;
};

/* Of a statement without parameters: its rows, which the caller clears; NULL with e. */
PGresult *clair2_ask(struct clair2 *c, const char *doing, struct err *e, const char *fmt, ...) PRINTF(4, 5);
