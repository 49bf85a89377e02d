/*
 * sql_match.h - one report, shared by its files: sql_match.c (which ranges contain the image's packages), sql_findings.c (which of them are
 *               to be seen, and under which names), sql_spaces.c (whose ranges count for it).
 */
#pragma once
#include "base/strmap.h"
#include "model/ecosystem.h"
#include "store/rows.h"
#include "store/sql.h"

/* ---- whose ranges count ---- */

struct sql_space {
    int64_t id;
    str name, scheme;
    int64_t kinds; /* a set of enum sql_kinds: what there is in it */
};
int sql_space_find(struct sql *s, str name, struct arena *arena, struct sql_space *ret,
                   struct err *e); /* 1, 0 it was never seen, -1 */
#define SQL_SPACES 2
/* The namespaces by whose ranges images of `namespace` are judged (distribution_data()), its own first; those that were never seen are left
 * out. *ret_data: the one whose word it is, which is another where no feed speaks of its own. Inside a transaction. */
int sql_spaces_of(struct sql *s, str namespace, struct arena *arena, struct sql_space ret[SQL_SPACES],
                  size_t *ret_count, str *ret_data, struct err *e);

struct sql_cpes { /* of the repositories of an image */
    str *list;
    size_t count;
    struct strmap judged; /* what was asked for: yes or no */
    struct arena *arena;
};
/* Those that feeds say of the repositories (facts "content-set"), or, when they know none of them, those that a system of that namespace has. */
int sql_cpes_of(struct sql *s, const struct image_fact *facts, size_t fact_count, str data,
                int64_t generation, struct arena *arena, struct sql_cpes *ret, struct err *e);
/* Does a range of that CPE speak of the image? 1, 0, -1 out of memory. Of none: yes. */
int sql_cpe_applies(struct sql_cpes *c, str cpe);
void sql_cpes_done(struct sql_cpes *c);

/* ---- one report ---- */

/* Names and versions that ranges may speak of, each once: several binary packages have one source. */
struct pairs {
    struct sql_pair *list;
    size_t count;
    uint32_t *members; /* packages, by position: those of pair i are members[starts[i]] up to starts[i + 1] */
    size_t *starts;
};

/* Packages that are judged together: those of the distribution's kind, or of an ecosystem's. */
struct judged {
    str kind, scheme;
    const struct ecosystem *ecosystem; /* NULL: the distribution */
    bool covered;                      /* by a feed, not by clients alone */
    struct pairs pairs[AFFECTS_BINARY + 1];
};

struct matching {
    struct sql *s;
    struct arena *arena;
    const struct image_index *image;
    enum match_names names;
    int64_t generation;
    bool metadata; /* is there any? */
    struct match_space {
        struct sql_space space;
        struct judged *judged;
    } spaces[SQL_SPACES + ECOSYSTEMS];
    size_t space_count;
    struct judged judged[1 + ECOSYSTEMS]; /* the distribution's first */
    size_t judged_count;
    str data;
    bool unlabelled; /* distribution_unlabelled() */
    struct sql_cpes cpes;
    struct feed_rank {
        int64_t feed, rank;
    } * ranks; /* of match.feeds */
    struct hit *hits;
    size_t hit_count, hit_cap;
    int64_t *ids; /* the advisories of the hits, each once, in order; and their texts */
    struct texts *texts;
    size_t text_count;
    struct strmap
        negatives; /* what a negative statement says no to: the best rank of those who say so, plus one */
};

int match_oom(const struct sql *s, struct err *e);
/* Its place in match.feeds; their number when it is none of them. */
size_t match_feed_at(const struct matching *m, const struct match *match, int64_t feed);
/* j->pairs[kind], made once. */
int match_pairs(struct matching *m, struct judged *j, enum affected_kind kind, struct err *e);
/* Does a range speak of this package, whose version is below its end? An invalid version has an empty key, which is below all. `qualifiers` as
 * they are stored. 1, 0, -1. */
int match_fits(struct matching *m, const struct package *p, str key, str introduced, str arch, str qualifiers,
               struct err *e);
/* Of m->hits those that count, as ret->findings. */
int match_findings(struct matching *m, struct match *ret, struct err *e);
