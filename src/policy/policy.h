/* policy.h - which findings a person wants to see, and what a run's exit code says about them. */
#pragma once
#include "match/match.h"

struct policy {
    enum severity minimum; /* findings below are left out; Unknown ones are always shown */
    bool ignore_unfixed;   /* findings without a fixed version are left out */
    int exit_code;         /* of a run with findings left; 0 = as without */
    bool fail;             /* fail_on was given */
    enum severity fail_on; /* only findings of at least this severity count for the exit code */
};

void policy_apply(const struct policy *p, struct match *m); /* keeps the order; m->finding_count shrinks */

/* design.md 9: 3 not covered, else exit_code (4 when only fail_on was given) if a finding counts, else 0. */
int policy_exit(const struct policy *p, const struct report *r);
