/* table_terminal.h - the findings part of the table, for a terminal: by package, as wide as it is. */
#pragma once
#include "report/parts.h"

void table_terminal(const struct report *r, const struct report_options *o, struct buf *out);
