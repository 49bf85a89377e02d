#include "policy/policy.h"

static bool keeps(const struct policy *p, const struct finding *f)
{
    if (p->ignore_unfixed && !f->fixed_version.len)
        return false;
    return f->severity == SEVERITY_UNKNOWN || f->severity >= p->minimum;
}

void policy_apply(const struct policy *p, struct match *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->finding_count; i++)
        if (keeps(p, &m->findings[i]))
            m->findings[kept++] = m->findings[i];
    m->finding_count = kept;
}

int policy_exit(const struct policy *p, const struct report *r)
{
    if (r->coverage == COVERAGE_NONE)
        return 3;
    int code = p->exit_code ? p->exit_code : p->fail ? 4 : 0;
    for (size_t i = 0; i < r->match.finding_count; i++)
        if (!p->fail || r->match.findings[i].severity >= p->fail_on)
            return code;
    return 0;
}
