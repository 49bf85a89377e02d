#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t clock_now(void)
{
    int64_t fixed;
    const char *now = getenv("ECLAIR_NOW");
    if (now && clock_parse(str_from(now), &fixed))
        return fixed;
    return (int64_t)time(NULL);
}

int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_ms(void) { return clock_ns() / 1000000; }

int64_t clock_up(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec;
}

void clock_format(int64_t t, char ret[CLOCK_TEXT])
{
    time_t seconds = (time_t)t;
    struct tm tm = { 0 };
    if (!gmtime_r(&seconds, &tm) ||
        !strftime(ret, CLOCK_TEXT, "%04Y-%m-%dT%H:%M:%SZ", &tm)) /* also before the year 1000 */
        snprintf(ret, CLOCK_TEXT, "1970-01-01T00:00:00Z");
}

bool clock_parse(str s, int64_t *ret)
{
    char text[CLOCK_TEXT];
    struct tm tm = { 0 };
    if (s.len != 20)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!end || *end)
        return false;
    *ret = (int64_t)timegm(&tm);
    return true;
}
