/* feed.h - the actions of `eclair feed`: each returns the exit code, or -1 with e. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct feed;
struct feed_options {
    const char *document, *cursor, *format;
};

int feed_test(const struct feed_options *o, const struct feed *feed, const char *file, struct err *e);
