/*
 * clair2.h - what a database of Clair 2 holds: the schema `public` of a PostgreSQL, as migrations 2 to 6 (2.0) and 7 (2.1) of Clair left it.
 *
 * Shape      All is read in one transaction, of the moment of the open, and nothing is written: a hot standby will do. Lists come in steps, as the
 *            walks of store.h do: what has a number above `after`, in order; *ret_count 0 is the end.
 * Limits     Names are cut behind CLAIR2_NAME_MAX bytes or a few more, so that who reads sees that they are too long.
 * Ownership  what a call returns lives in the arena passed to it.
 * Errors     ERR_UNSUPPORTED: not a database of Clair 2, or one too old or too new, and which. ERR_NETWORK and ERR_DENIED as in store.h.
 * Source     spec/server.md 11.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define CLAIR2_NAME_MAX     1024u
#define CLAIR2_FEATURES_MAX 100000u /* of one layer: ERR_LIMIT */
#define CLAIR2_FIXES_MAX    8192u   /* of one vulnerability: ERR_LIMIT */
#define CLAIR2_TEXT_MAX     (1u << 20)

struct store;
struct clair2;

/* `where`: a connection string, as store_open() takes it. PostgreSQL may be older than ours must be. */
struct clair2 *clair2_open(const char *where, struct err *e);
void clair2_freep(struct clair2 **c); /* NULL is fine */

/* Is there one beside ours, in the database of this handle? 1, 0, -1. */
int clair2_is_beside(struct store *s, struct err *e);

struct clair2_layer {
    int64_t id;
    str name;
    str namespace; /* empty: none */
    unsigned engine;
    bool changes; /* it added or removed something */
};
int clair2_layers_after(struct clair2 *c, int64_t after, size_t limit, struct arena *arena,
                        struct clair2_layer **ret, size_t *ret_count, struct err *e);

/* A layer and its ancestors, the root first. *ret_whole false: the first one has a parent that is not there, or there are more than `limit`. */
int clair2_chain(struct clair2 *c, int64_t layer, size_t limit, struct arena *arena, str **ret_names,
                 size_t *ret_count, bool *ret_whole, struct err *e);

struct clair2_feature {
    str namespace, format, name, version; /* empty: its row is not there */
    uint32_t depth;                       /* who added it: 0 the layer itself, 1 its parent, and so on */
};
/* What there is at a layer: all that it and its ancestors added and nobody above them removed. In no order. */
int clair2_features(struct clair2 *c, int64_t layer, size_t chain_max, struct arena *arena,
                    struct clair2_feature **ret, size_t *ret_count, struct err *e);

struct clair2_name { /* of a vulnerability that was not deleted */
    int64_t id;
    str namespace, name;
};
int clair2_vulnerabilities_after(struct clair2 *c, int64_t after, size_t limit, struct arena *arena,
                                 struct clair2_name **ret, size_t *ret_count, struct err *e);

struct clair2_fix {
    str feature, version; /* as Clair has it: "#MAXV#" is "no fix", "#MINV#" is "not affected" */
};
struct clair2_vulnerability {
    str format, description, link, severity;
    str metadata; /* JSON as it stands there; may be empty or null */
    struct clair2_fix *fixes;
    size_t fix_count;
};
/* 1, 0 unknown, -1; ERR_LIMIT: texts beyond CLAIR2_TEXT_MAX, or too many fixes. */
int clair2_vulnerability_get(struct clair2 *c, int64_t id, struct arena *arena,
                             struct clair2_vulnerability *ret, struct err *e);

struct clair2_notification { /* that was not deleted */
    int64_t id;
    str name;
    int64_t created;         /* seconds since 1970 */
    str namespace, old, new; /* names of the vulnerability, empty: none; of both sides the namespace is one */
};
int clair2_notifications_after(struct clair2 *c, int64_t after, size_t limit, struct arena *arena,
                               struct clair2_notification **ret, size_t *ret_count, struct err *e);

/* The keys of its key-values, by name, at most `limit`. */
int clair2_keys(struct clair2 *c, size_t limit, struct arena *arena, str **ret, size_t *ret_count,
                struct err *e);
