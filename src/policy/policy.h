/* policy.h - which findings a person wants to see, and what a run's exit code says about them. */
#pragma once
#include "match/match.h"

struct policy {
    enum severity minimum; /* findings below are left out; Unknown ones are always shown */
    bool ignore_unfixed;   /* findings without a fixed version are left out, for the exit code too */
    int exit_code;         /* of a run with findings that count; 0 = as without */
    bool fail;             /* fail_on was given: it decides which findings count, whatever `minimum` hides */
    enum severity fail_on;
};

struct verdict {
    int exit_code; /* design.md 9: 3 not covered, else exit_code (4 when only fail_on was given) if a finding counts, else 0 */
    size_t unknown; /* findings that fail_on could not weigh, because nobody gave them a severity */
};

/* Takes out of the report what the policy hides (the order stays), and judges what was there. */
struct verdict policy_apply(const struct policy *p, struct report *r);
