/* clock.h - the time. ECLAIR_NOW (RFC 3339, UTC) replaces the wall clock so that reports can be reproduced. */
#pragma once
#include "base/str.h"

int64_t clock_now(void); /* seconds since 1970-01-01 UTC */
int64_t clock_ms(void);  /* monotonic milliseconds */
int64_t clock_ns(void);  /* monotonic nanoseconds */
int64_t clock_up(void);  /* seconds since this machine started, asleep or not: nobody sets it */
#define CLOCK_TEXT 24    /* bytes for clock_format() */
void clock_format(int64_t t, char ret[CLOCK_TEXT]); /* "2026-01-02T03:04:05Z" */
bool clock_parse(str s, int64_t *ret);              /* RFC 3339 in UTC ("Z"), whole seconds */
