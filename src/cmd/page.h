/*
 * page.h - what `eclair help`, the man pages and the completions are made of.
 *
 * Shape      A topic writes plain text: paragraphs that are filled, and rows: two blanks, a term, two blanks or more, what it means; what
 *            follows at a deeper indent belongs to it. A line that ends with ":" before rows is their heading. "    $ ..." is shown as it is.
 */
#pragma once
#include "base/buf.h"
#include "cmd/command.h"

struct topic {
    const char *name;
    const char *summary; /* one line */
    char section;        /* of its man page */
    void (*write)(FILE *to);
};
extern const struct topic topics[]; /* ends with a NULL name */
const struct topic *topic_by_name(const char *name);
words_of topic_words; /* commands, then topics */

#define PAGE_WIDTH 80
/* Paragraphs, filled at PAGE_WIDTH columns, with what stands between them as it is: lines that begin with a blank, and empty ones. */
void page_text(FILE *to, const char *text);
/* A row, its text wrapped at PAGE_WIDTH columns. */
void page_row(FILE *to, size_t width, const char *term, const char *text);
/* "-f, --format NAME", or for Go's flags "-format NAME". */
void page_option_term(const struct command *c, const struct option *o, char *ret, size_t size);

/* ---- man pages ---- */

/* `page`: "eclair.1", "eclair-scan.1", "eclair-sources.7", "eclair-config.5". In man(7)'s language. False: no such page. */
bool man_write(const char *page, FILE *to);

/* ---- completions ---- */

/* What a shell offers for the value of an option without words. */
bool option_wants_file(const struct option *o);
