/* output.h - reports leave whole: a file gets its name only when every byte is in it. */
#pragma once
#include "base/err.h"
#include "base/str.h"

int output_write(const char *path, str bytes, struct err *e); /* path NULL or "-" is standard output */
