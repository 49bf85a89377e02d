/*
 * output.h - reports leave whole: a file gets its name only when every byte is in it.
 *
 * Links are followed, so that a link stays one. Devices, pipes and what a link in /dev or /proc leads to (/dev/stdout) are written
 * to as they are. A path that is NULL or "-" is standard output. Errors name the option that gave the
 * path: "--output PATH: ...".
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

int output_check(const char *option, const char *path,
                 struct err *e); /* before long work: could it be written there? Makes nothing */
int output_write(const char *option, const char *path, str bytes, struct err *e);
int output_all(int fd, str bytes); /* -1 with errno */
/* Ends the process by SIGPIPE, as it does for others, when nobody reads standard output any more ("| head"): that is no error to tell. */
void output_end_if_closed(void);
