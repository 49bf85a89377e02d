/* sql_reverse.h - what an advisory hits: the packages that its ranges mean, in images of each namespace. */
#pragma once
#include "store/sql_match.h"
#include "store/sql_posting.h"

struct bounds { /* of a range */
    str introduced, fixed, arch, module, cpe;
};

/* A package that is affected in images with a repository of `cpe`, and with none of those that deny it. */
struct affected_package {
    int64_t id;
    uint64_t feature; /* names what REST v1 calls so (package_feature()) */
    str cpe;
    const struct bounds *denials;
    size_t denial_count;
};

/* What an advisory affects in images of one namespace. */
struct affected_space {
    struct affected_space *next;         /* by number */
    struct sql_space spaces[SQL_SPACES]; /* by whose ranges they are judged; its own first */
    size_t space_count;
    int64_t id;
    str name, data;
    struct affected_package *list;
    size_t list_count, cap;
    bool depends;      /* of some it is the repositories that tell */
    int64_t *packages; /* all of them: ascending, each once */
    size_t count;
    uint64_t *features; /* of these */
    int64_t *usual;     /* those in images that name no repository; NULL: not asked for yet */
    size_t usual_count;
};

struct reverse {
    struct sql *s;
    struct arena *arena;
    int64_t generation;
    bool metadata;
    str only; /* the namespace of ranges that is wanted; empty: all */
    struct stored_advisory stored;
    struct affected_space *spaces; /* by number */
};

/* All but s, arena and only. 1, 0 the advisory is unknown, -1. Inside a transaction. */
int sql_reverse_read(struct reverse *v, int64_t advisory, struct err *e);
/* Of the packages those that are affected in that image; they may be the space's own. */
int sql_reverse_packages(struct reverse *v, struct affected_space *n, int64_t image, struct arena *arena,
                         int64_t **ret, size_t *ret_count, struct err *e);
/* A set that has one of n->packages: is the image, whose it is, hit? 1, 0, -1. */
int sql_reverse_hits(struct reverse *v, struct affected_space *n, int64_t image, int64_t set, struct err *e);

/* store_introducing() or store_affected_ancestries(). Names that are hit are found in one of two ways: by a walk over all of them that looks
 * at `walk` rows at most, then from what is hit; INT64_MAX: as many as seem worthwhile. */
enum names_asked { NAMES_INTRODUCING, NAMES_OF_ANCESTRIES };
struct names_question {
    enum names_asked what;
    int64_t advisory;
    str namespace;
    int64_t from;
    size_t limit;
    int64_t walk;
};
int sql_names_hit(struct sql *s, const struct names_question *q, struct arena *arena,
                  struct affected_name **ret, size_t *ret_count, struct err *e);
