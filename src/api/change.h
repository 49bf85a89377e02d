/*
 * change.h - what a notification is about, for every API: the vulnerability before and after, and pages of what it hits.
 *
 * Ownership  all lives in the arena that is passed.
 */
#pragma once
#include "api/v1_vulnerability.h"

#define CHANGE_PAGE_MAX 10000 /* names of a side, whatever its client asks for: there is a next page */
#define CHANGE_ENDED    (-1)  /* in a token: nothing of that side is left */

struct change_side {
    int64_t advisory; /* 0: there is none */
    struct stored_advisory said;
    bool known; /* `vulnerability` is there */
    struct v1_vulnerability vulnerability;
};
struct change {
    struct notification notification;
    struct change_side old, new;
};
/* The notification of that name: 1, 0 unknown, -1. */
int change_find(struct store *s, str name, struct arena *arena, struct change *ret, struct err *e);

/* store_introducing(), store_affected_ancestries() */
typedef int change_list(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                        struct arena *arena, struct affected_name **ret, size_t *ret_count, struct err *e);
struct change_page {
    struct affected_name *names;
    size_t count;
    int64_t next; /* where to go on; CHANGE_ENDED */
};
/* At most `limit` names from the number `from` on. Empty and ended for a side that is not known, or from CHANGE_ENDED on. */
int change_page(struct store *s, const struct change *c, const struct change_side *side, change_list *list,
                int64_t from, int64_t limit, struct arena *arena, struct change_page *ret, struct err *e);

/* What a token says, {"OldVulnerability":0,"NewVulnerability":12}: values of some of the keys, numbers from 0 on, or CHANGE_ENDED. */
int change_token(str text, const char *const *keys, size_t count, int64_t *ret, struct err *e);
