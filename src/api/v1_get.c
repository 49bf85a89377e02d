/* v1_get.c - GET and DELETE /v1/layers/{name}: what is at a layer, and what is wrong with it (spec/api-v1.md 4). */
#include "api/internal.h"

#include "api/path.h"
#include "api/v1_vulnerability.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"
#include "model/distribution.h"

#include <stdlib.h>

#define REPORT_MEMORY_MAX ((size_t)1 << 30)

struct feature {
    str name, version, namespace;
    const struct image_package *package;
    const struct finding **findings; /* by id */
    size_t finding_count;
};

struct reading {
    struct call *call;
    struct store *store;
    struct arena *arena;
    struct named_layer *layer;
    struct named_link *chain;
    size_t chain_count;
    bool vulnerabilities;
    int64_t generation;
    str key;     /* of the answer in api.reports; empty: it is not kept */
    bool cached; /* the answer is in the response already */
    struct feature *features;
    size_t feature_count, feature_cap;
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "report: out of memory"); }

static int by_feature(const void *pa, const void *pb)
{
    const struct feature *a = pa, *b = pb;
    int r = str_cmp(a->name, b->name);
    r = r ? r : str_cmp(a->version, b->version);
    return r ? r : (a->package > b->package) - (a->package < b->package);
}

static bool same_feature(const struct feature *a, const struct feature *b)
{
    return str_eq(a->name, b->name) && str_eq(a->version, b->version);
}

static int by_id(const void *pa, const void *pb)
{
    const struct finding *const *a = pa, *const *b = pb;
    return str_cmp((*a)->id, (*b)->id);
}

/* The findings of packages lie together, by package: where those of each begin. */
static const size_t *starts(const struct image_index *view, const struct match *m, struct arena *arena)
{
    size_t *at = arena_array(arena, size_t, view->package_count + 1);
    for (size_t i = 0, k = 0; at && i <= view->package_count; i++) {
        while (k < m->finding_count && m->findings[k].package < i)
            k++;
        at[i] = k;
    }
    return at;
}

/* Several binary packages of one source are one feature: each vulnerability once. */
static int add_findings(struct reading *r, struct feature *f, const struct match *m, size_t from, size_t to)
{
    if (from == to)
        return 0;
    const struct finding **more =
        arena_array(r->arena, const struct finding *, f->finding_count + to - from + 1);
    size_t n = f->finding_count, kept = 0;
    if (!more)
        return -1;
    if (n)
        memcpy(more, f->findings, n * sizeof *more);
    for (size_t i = from; i < to; i++)
        if (!v1_is_hidden(m->findings[i].feed, m->findings[i].id))
            more[n++] = &m->findings[i];
    if (f->finding_count)
        qsort(more, n, sizeof *more, by_id);
    for (size_t i = 0; i < n; i++)
        if (!kept || !str_eq(more[kept - 1]->id, more[i]->id))
            more[kept++] = more[i];
    f->findings = more;
    f->finding_count = kept;
    return 0;
}

static int read_view(struct reading *r, int64_t id, struct err *e)
{
    struct image_index *view;
    struct match m = { 0 };
    int found = store_image_get(r->store, id, r->arena, &view, e);
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_INTERNAL, "a view vanished from the store");
    if (r->vulnerabilities && (store_match(r->store, view, MATCH_AS_NAMED, r->arena, &m, e) < 0 ||
                               store_match_manual(r->store, m.data, r->arena, &m, e) < 0))
        return -1;
    struct feature *all = arena_array(r->arena, struct feature, view->package_count + 1);
    const size_t *at = starts(view, &m, r->arena);
    if (!all || !at)
        return oom(e);
    for (size_t i = 0; i < view->package_count; i++) {
        all[i] = (struct feature){ .namespace = view->distribution.namespace, .package = &view->packages[i] };
        package_feature(&view->packages[i].package, &all[i].name, &all[i].version);
    }
    if (view->package_count)
        qsort(all, view->package_count, sizeof *all, by_feature);
    for (size_t i = 0; i < view->package_count; i++) {
        size_t number = (size_t)(all[i].package - view->packages);
        if (!i || !same_feature(&all[i], &all[i - 1])) {
            struct feature *more =
                arena_grow(r->arena, r->features, r->feature_count, &r->feature_cap, sizeof *more);
            if (!more)
                return oom(e);
            r->features = more;
            more[r->feature_count++] = all[i];
        }
        if (add_findings(r, &r->features[r->feature_count - 1], &m, at[number], at[number + 1]) < 0)
            return oom(e);
    }
    return 0;
}

static int read_features(struct reading *r, struct err *e)
{
    if (store_named_chain(r->store, r->layer->name, r->arena, &r->chain, &r->chain_count, e) < 0)
        return -1;
    for (size_t i = 0; i < r->layer->view_count; i++)
        if (read_view(r, r->layer->views[i], e) < 0)
            return -1;
    if (r->layer->view_count > 1)
        qsort(r->features, r->feature_count, sizeof *r->features, by_feature);
    return arena_failed(r->arena) ? oom(e) : 0;
}

/* ---- writing ---- */

static void put_vulnerability(struct json_writer *w, const struct finding *f, struct arena *arena)
{
    const struct v1_vulnerability v = {
        .name = f->id,
        .namespace = distribution_v1_name(arena, f->namespace),
        .description = f->description.len ? f->description : f->title,
        .link = f->link,
        .severity = str_from(severity_name(f->severity)),
        .metadata = v1_metadata(f->meta, arena),
        .fixed_by = f->fixed_version,
    };
    v1_vulnerability_write(w, &v, false);
}

static void put_feature(struct json_writer *w, const struct reading *r, const struct feature *f)
{
    json_w_object(w);
    v1_text(w, "Name", f->name);
    v1_text(w, "NamespaceName", distribution_v1_name(r->arena, f->namespace));
    v1_text(w, "VersionFormat", v1_version_format(f->package->package.kind));
    v1_text(w, "Version", f->version);
    if (f->finding_count) {
        json_w_key(w, "Vulnerabilities");
        json_w_array(w);
        for (size_t i = 0; i < f->finding_count; i++)
            put_vulnerability(w, f->findings[i], r->arena);
        json_w_array_end(w);
    }
    if (f->package->layer < r->chain_count)
        v1_text(w, "AddedBy", r->chain[f->package->layer].name);
    json_w_object_end(w);
}

/* Room for the whole answer at once, as a rule: growing copies. */
static size_t guess_size(const struct reading *r)
{
    size_t n = 1024;
    for (size_t i = 0; i < r->feature_count; i++) {
        n += 160;
        for (size_t k = 0; k < r->features[i].finding_count; k++)
            n += 200 + r->features[i].findings[k]->description.len + r->features[i].findings[k]->link.len;
    }
    return n;
}

static void write_layer(const struct reading *r, struct buf *out)
{
    struct json_writer w = { .out = out, .go = true };
    buf_reserve(out, guess_size(r));
    json_w_object(&w);
    json_w_key(&w, "Layer");
    json_w_object(&w);
    v1_text(&w, "Name", r->layer->name);
    v1_text(&w, "NamespaceName", distribution_v1_name(r->arena, r->layer->namespace));
    v1_text(&w, "ParentName", r->layer->parent);
    json_w_number(&w, "IndexedByVersion", r->layer->engine);
    if (r->feature_count) {
        json_w_key(&w, "Features");
        json_w_array(&w);
        for (size_t i = 0; i < r->feature_count; i++)
            put_feature(&w, r, &r->features[i]);
        json_w_array_end(&w);
    }
    json_w_object_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

/* A named layer keeps its number, and its ancestors with their names, for as long as it is there; what it has follows from the chain. */
static int find_answer(struct reading *r, struct err *e)
{
    const struct named_layer *l = r->layer;
    if (store_generation(r->store, &r->generation, e) < 0)
        return -1;
    r->key = arena_printf(r->arena, "%lld %u %d " STR_FMT, (long long)l->id, l->engine, r->vulnerabilities,
                          STR_ARG(l->chain));
    if (!r->key.len)
        return oom(e);
    struct metrics *m = r->call->options->metrics;
    r->cached = reports_get(r->call->api->reports, r->key, r->generation, &r->call->response->body);
    metrics_add(m, METRIC_REPORTS, 1, r->cached ? STR("yes") : STR("no"), STR(""));
    metrics_add(m, METRIC_PGSQL_CACHE_QUERIES, 1, STR("report"), STR(""));
    metrics_add(m, METRIC_PGSQL_CACHE_HITS, r->cached, STR("report"), STR(""));
    return 0;
}

static int read_layer(struct reading *r, struct err *e)
{
    str query = r->call->request->query;
    r->vulnerabilities = query_has(query, STR("vulnerabilities"));
    if (store_view_begin(r->store, e) < 0)
        return -1;
    int found = store_named_find(r->store, r->call->parameters[0], r->arena, &r->layer, e);
    if (found > 0 && (r->vulnerabilities || query_has(query, STR("features"))))
        found = find_answer(r, e) < 0 || (!r->cached && read_features(r, e) < 0) ? -1 : 1;
    store_view_end(r->store);
    return found;
}

static void reading_done(struct reading *r) { arena_freep(&r->arena); }

static int read_anew(struct store *s, void *ctx, struct err *e)
{
    struct reading *r = ctx;
    struct call *c = r->call;
    reading_done(r);
    *r = (struct reading){ .call = c, .store = s, .arena = arena_new(REPORT_MEMORY_MAX) };
    int64_t began = clock_ns();
    int found = r->arena ? read_layer(r, e) : oom(e);
    v1_asked(c, "FindLayer", began);
    return found;
}

void v1_get_layer(struct call *c)
{
    struct err e = { 0 };
    CLEANUP(reading_done) struct reading r = { .call = c };
    int found = v1_ask(c, read_anew, &r, &e);
    if (!v1_found(c, found, &e))
        return;
    struct buf *body = &c->response->body;
    if (!r.cached)
        write_layer(&r, body);
    if (!r.cached && r.key.len && !body->failed)
        reports_put(c->api->reports, r.key, r.generation, buf_view(body));
    v1_headers(c, 200);
}

void v1_delete_layer(struct call *c)
{
    struct err e = { 0 };
    struct store *s = stores_take(c->api->stores, &e);
    int64_t began = clock_ns();
    int found = s ? store_named_delete(s, c->parameters[0], &e) : -1;
    v1_asked(c, "DeleteLayer", began);
    stores_give(c->api->stores, s);
    if (v1_found(c, found, &e))
        c->response->status = 200; /* empty, without Server */
}
