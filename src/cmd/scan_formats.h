/*
 * scan_formats.h - the outputs of one command: "-f NAME" to where --output says, "-f NAME=FILE" to a file of its own.
 *
 * One report goes to standard output at most. Each file is whole or not at all (output.h).
 */
#pragma once
#include "cmd/command.h"
#include "report/report.h"
#include "report/template.h"

struct scan_output {
    const struct report_format *format;
    const char *option; /* that named the path, for errors */
    const char *path;   /* NULL or "-": standard output */
};
struct scan_formats {
    struct scan_output outputs[OPTION_LIST_MAX];
    size_t count;
};

/* Before any work: are the names known, could all be written? `table`: those that the command has, ends with NULL; without any name it is its
 * first. */
int scan_formats_read(const struct report_format *const *table, const struct option_list *names,
                      const char *output, struct scan_formats *ret, struct err *e);
/* Reads the template (`path` may be NULL) into `text`, where options->template_text then lies. ERR_USAGE: it and --format template come
 * together only. */
int scan_formats_template(const struct scan_formats *f, const char *path, struct buf *text,
                          struct report_options *options, struct err *e);
/* That one which a person reads as it comes: warnings stand in it. */
bool scan_formats_show(const struct scan_formats *f, const struct report_format *format);
/* `image`: for errors. Width and colour are those of the terminal where there is one; `colour`: auto (NULL), always, never. */
int scan_formats_write(const struct scan_formats *f, const char *image, const struct report *r,
                       const struct report_options *options, const char *colour, struct err *e);
