/* v3_kept.c - replies that were packed once, given again while the database says the same (reports.h). */
#include "api/v3.h"

#include "base/cleanup.h"

bool v3_kept(struct call *c, str key, int64_t generation, struct v3_reply *ret)
{
    CLEANUP(buf_done) struct buf kept = { 0 };
    struct metrics *m = c->options->metrics;
    ret->generation = generation;
    ret->key = arena_printf(c->request->arena, "v3 %s " STR_FMT, c->face ? c->face : "", STR_ARG(key));
    bool found = ret->key.len && reports_get(c->api->reports, ret->key, generation, &kept);
    if (found)
        ret->packed = arena_dup(c->request->arena, buf_view(&kept));
    found = found && ret->packed.ptr;
    metrics_add(m, METRIC_REPORTS, 1, found ? STR("yes") : STR("no"), STR(""));
    return found;
}

void v3_keep(struct call *c, const struct v3_reply *r, str packed)
{
    if (r->key.len && !r->packed.ptr)
        reports_put(c->api->reports, r->key, r->generation, packed);
}
