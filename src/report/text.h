/* text.h - text from images and feeds, where it goes to a terminal. */
#pragma once
#include "base/buf.h"

/* Appends it without anything that a terminal would obey: control bytes, and bytes that are not UTF-8, become "?". */
void text_clean(struct buf *out, str s);
