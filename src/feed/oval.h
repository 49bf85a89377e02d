/*
 * oval.h - one reader of OVAL definition files, for all who publish them.
 *
 * Shape      A definition is a tree of criteria over tests; it comes out as rows: one package with one bound, of one product. Vendors whose
 *            comments tell all ("bind is earlier than 30:9.3.3-8.el5") are read by comment, definition by definition. Of the others all
 *            definitions are held until the tests, objects and states that follow them are read.
 * Rules      AND combines what its children say, OR lists it; what is negated, and what no rule knows ("is signed with"), counts as not
 *            there. Comments that are read whoever it is: "PRODUCT is installed" with a blank in PRODUCT, "... arch is ARCH", "Module N:S is
 *            enabled".
 * Limits     64 MiB for what is held, 32 MiB for one definition, criteria 32 deep, 65,536 combinations of one definition, 1,024 CVEs, 2 KiB of
 *            a description that is held (64 KiB otherwise).
 * Errors     ERR_FORMAT with line and byte, the definition's title in front; a test, object, state or variable that is referred to
 *            and not there.
 * Source     OVAL 5.11; spec/feeds.md 5, 9, 11; spec/updaters-legacy.md 5 (how criteria combine).
 */
#pragma once
#include "base/arena.h"
#include "feed/feed.h"

enum oval_operation {
    OVAL_OTHER, /* none, or one that says nothing here: "pattern match" */
    OVAL_LESS,
    OVAL_LESS_OR_EQUAL,
    OVAL_GREATER,
    OVAL_EQUALS,
};

struct oval_row {
    str namespace; /* of its product; empty: it names none */
    str package, evr, arch, module;
    enum oval_operation operation;
};

struct oval_definition {
    str key; /* the end of its id, unique in the file */
    str class, title, severity, description, link, patchable;
    const str *cves, *cpes; /* cpes: of readers by comment only */
    size_t cve_count, cpe_count;
    const struct oval_row *rows; /* sorted, each once */
    size_t row_count;
    struct arena *arena; /* for what the receiver makes of it: gone with the definition */
};

struct oval_reader {
    bool by_comment;
    const char *link; /* source="..." of the reference that is the link; NULL: it has none */
    /* The namespace of a product ("Oracle Linux 8"); empty: another's, whose rows are left out. Called once for each; NULL: products do not
     * matter. */
    str (*namespace)(struct arena *a, str product);
    int (*put)(void *ctx, const struct oval_definition *d, struct err *e);
    void *ctx;
};
int oval_read(struct stream *in, const struct oval_reader *reader, struct err *e);

str oval_evr(str evr); /* without an epoch of 0 */
/* Its rows as a matcher wants them that compares one architecture with that of a package, in d->arena: a version that all architectures of
 * the package have counts for any, of another there is one row for each. `of_system`: they are those of machines, on which
 * packages without an architecture and 32 bit ones lie, too. NULL without any, or past the limit: see arena_failed(). */
const struct oval_row *oval_spread(const struct oval_definition *d, bool of_system, size_t *count);
