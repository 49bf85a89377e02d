/* cleanup.h - release by scope: an early return is always right. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void close_fdp(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
static inline void freep(void *pp)
{
    free(*(void **)pp);
    *(void **)pp = NULL;
}
static inline void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
    *f = NULL;
}
