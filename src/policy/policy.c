#include "policy/policy.h"

static bool is_shown(const struct policy *p, const struct finding *f)
{
    return f->severity == SEVERITY_UNKNOWN || f->severity >= p->minimum;
}

static bool is_hidden(const struct policy *p, const struct finding *f)
{
    return (p->ignore_unfixed && !f->fixed_version.len) || !is_shown(p, f);
}

static bool counts(const struct policy *p, const struct finding *f)
{
    return p->fail ? f->severity >= p->fail_on : is_shown(p, f);
}

/* Of what lists took out those are told that would have been seen. */
static void filter_suppressed(const struct policy *p, struct report *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->suppressed_count; i++)
        if (!is_hidden(p, &r->suppressed[i].finding))
            r->suppressed[kept++] = r->suppressed[i];
    r->left_out += r->suppressed_count - kept;
    r->suppressed_count = kept;
}

struct verdict policy_apply(const struct policy *p, struct report *r)
{
    struct verdict v = { 0 };
    struct match *m = &r->match;
    size_t kept = 0, counted = 0;
    for (size_t i = 0; i < m->finding_count; i++) {
        const struct finding *f = &m->findings[i];
        if (p->ignore_unfixed && !f->fixed_version.len)
            continue;
        counted += counts(p, f);
        v.unknown += p->fail && !counts(p, f) && f->severity == SEVERITY_UNKNOWN;
        if (is_shown(p, f))
            m->findings[kept++] = *f;
    }
    r->left_out = m->finding_count - kept;
    m->finding_count = kept;
    filter_suppressed(p, r);
    if (r->coverage == COVERAGE_NONE)
        v.exit_code = 3;
    else if (counted)
        v.exit_code = p->exit_code ? p->exit_code : p->fail ? 4 : 0;
    return v;
}
