/*
 * text.h - bytes of images and feeds, made harmless for where they go.
 *
 * What is not UTF-8, no character, or turns the direction of writing becomes U+FFFD; control characters are left out. One line: line
 * ends and tabs become blanks.
 */
#pragma once
#include "base/buf.h"

enum text_kind {
    TEXT_XML,       /* between tags, of XML and HTML; line ends and tabs stay */
    TEXT_ATTRIBUTE, /* between double quotes, of XML and HTML; line ends are kept as references */
    TEXT_MARKDOWN, /* one line of GitHub's, in a cell of a table too: nothing of it is markup, a link, or names somebody */
    TEXT_TERMINAL, /* one line: a '?' for all that would be left out or replaced, so that text_columns() counts right */
};
void text_put(struct buf *out, str s, enum text_kind kind);
size_t text_columns(str s); /* characters; each byte that belongs to none is one */
str text_columns_head(str s, size_t columns);
