/* clair2_internal.h - what the parts of the import of a Clair 2 database share. */
#pragma once
#include "import/clair2.h"

struct taking {
    struct clair2 *from;
    struct store *to; /* NULL: dry, and there is nothing */
    const struct import_clair2_options *o;
    struct import_clair2_counts *n;
    bool quiet; /* all has been told */
};

int take_layers(struct taking *t, struct err *e);
int take_vulnerabilities(struct taking *t, struct err *e);
int take_notifications(struct taking *t, struct err *e);

/* "WHAT NAME is left out: why" */
void taking_tell(struct taking *t, const char *what, str name, const char *fmt, ...) PRINTF(4, 5);
void taking_progress(struct taking *t);
int taking_oom(struct err *e);

bool name_fits(str name); /* not empty, and short enough */
/* Of the packages of a namespace; `format` is what Clair says of it, which may be nothing. Never empty. */
str namespace_scheme(str namespace, str format);
/* Where REST v1 keeps vulnerabilities of a namespace that it calls so (api/v1_vulnerabilities.c). *ret->name is never empty. */
int namespace_place(struct store *s, str shown, struct arena *arena, struct stored_namespace *ret,
                    struct err *e);
