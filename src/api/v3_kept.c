/* v3_kept.c - replies that were packed once, given again while the database says the same (reports.h). */
#include "api/v3.h"

bool v3_kept(struct call *c, str key, int64_t generation, struct v3_reply *ret)
{
    ret->generation = generation;
    ret->key = arena_printf(c->request->arena, "v3 %s " STR_FMT, c->face ? c->face : "", STR_ARG(key));
    ret->kept = ret->key.len && reports_get(c->api->reports, ret->key, generation, &c->response->body);
    metrics_add(c->options->metrics, METRIC_REPORTS, 1, ret->kept ? STR("yes") : STR("no"), STR(""));
    return ret->kept;
}

void v3_keep(struct call *c, const struct v3_reply *r)
{
    if (r->key.len && !r->kept && !c->response->body.failed)
        reports_put(c->api->reports, r->key, r->generation, buf_view(&c->response->body));
}
