/* v3_ancestry.c - GetAncestry: what each layer of an image brought, and what is wrong with it (spec/api-v3.md 4). */
#include "api/v3.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strmap.h"
#include "index/ancestry.h"

#include <stdlib.h>

#define REPORT_MEMORY_MAX ((size_t)1 << 30)

typedef Coreos__Clair__Vulnerability Vulnerability;
typedef Coreos__Clair__Feature Feature;
typedef Coreos__Clair__GetAncestryResponse__AncestryLayer AncestryLayer;

struct answering {
    struct call *call;
    struct v3_reply *reply;
    str name;
    Coreos__Clair__ClairStatus *status;
    struct arena *arena; /* of what the store says; the message is in that of the request */
    struct store *store;
    struct ancestry ancestry;
    struct image_index *image; /* NULL: it has no layers */
    struct match match;
    struct ancestry_feature *features;
    size_t feature_count;
    struct strmap texts; /* copies, by where they were: findings share most of theirs */
};

static void answering_done(struct answering *a)
{
    arena_freep(&a->arena);
    strmap_done(&a->texts);
}

static int oom(struct err *e) { return err_set(e, ERR_OOM, "ancestry: out of memory"); }

/* ---- reading ---- */

static int read_image(struct answering *a, struct err *e)
{
    if (!a->ancestry.image)
        return 0;
    int found = store_image_get(a->store, a->ancestry.image, a->arena, &a->image, e);
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_INTERNAL, "an image vanished from the store");
    if (store_match(a->store, a->image, MATCH_AS_NAMED, a->arena, &a->match, e) < 0 ||
        store_match_manual(a->store, a->match.data, a->arena, &a->match, e) < 0)
        return -1;
    return ancestry_features(a->image, a->arena, &a->features, &a->feature_count, e);
}

/* A number is never given to another ancestry, and one that is replaced gets a new one. The end of the newest update is told, too. */
static int find_reply(struct answering *a, struct err *e)
{
    int64_t generation;
    str last = STR("");
    if (store_generation(a->store, &generation, e) < 0 ||
        store_value_get(a->store, STR("updater/last"), a->arena, &last, e) < 0)
        return -1;
    str key = arena_printf(a->arena, "%lld %u " STR_FMT, (long long)a->ancestry.id, a->ancestry.indexer,
                           STR_ARG(last));
    v3_kept(a->call, key, generation, a->reply);
    return 0;
}

static int read_ancestry(struct answering *a, struct err *e)
{
    if (store_view_begin(a->store, e) < 0)
        return -1;
    int found = store_ancestry_find(a->store, a->name, a->arena, &a->ancestry, e);
    if (found > 0)
        found = find_reply(a, e) < 0 || (!a->reply->kept && read_image(a, e) < 0) ? -1 : 1;
    store_view_end(a->store);
    return found;
}

static int read_anew(struct store *s, void *ctx, struct err *e)
{
    struct answering *a = ctx;
    answering_done(a);
    *a = (struct answering){
        .call = a->call, .reply = a->reply, .name = a->name, .store = s, .arena = arena_new(REPORT_MEMORY_MAX)
    };
    int64_t began = clock_ns();
    int found = a->arena ? read_ancestry(a, e) : oom(e);
    v1_asked(a->call, "FindAncestry", began);
    return found;
}

/* ---- the message: whether there was memory for all of it is asked once, at the end ---- */

static void *make(struct answering *a, size_t n, size_t size)
{
    return arena_alloc(a->call->request->arena, n, size);
}

/* Empty ones are protobuf-c's, which it leaves out. */
static char *text(struct answering *a, str s)
{
    return s.len ? v3_text(a->call, s) : (char *)protobuf_c_empty_string;
}

struct place {
    const void *ptr;
    size_t len;
};

/* What was made of what is there: its place in a->texts, NULL in it when nothing was. NULL: out of memory. */
static void **made_of(struct answering *a, struct place from)
{
    void *known = strmap_get(&a->texts, str_of((const char *)&from, sizeof from));
    str key = known ? STR("") : arena_dup(a->arena, str_of((const char *)&from, sizeof from));
    return known     ? strmap_at(&a->texts, str_of((const char *)&from, sizeof from))
           : key.len ? strmap_at(&a->texts, key)
                     : NULL;
}

/* Of a text that others have, too. */
static char *shared(struct answering *a, str s)
{
    void **at = s.len ? made_of(a, (struct place){ s.ptr, s.len }) : NULL;
    return !at ? text(a, s) : *at ? *at : (*at = text(a, s));
}

static char *metadata(struct answering *a, const struct finding_meta *meta)
{
    void **at = meta ? made_of(a, (struct place){ meta, 0 }) : NULL;
    return !at ? text(a, STR("")) : *at ? *at : (*at = text(a, v1_metadata(meta, a->arena)));
}

static Vulnerability *vulnerability(struct answering *a, const struct finding *f,
                                    const Coreos__Clair__Namespace *in)
{
    Vulnerability *v = make(a, 1, sizeof *v);
    if (!v)
        return NULL;
    coreos__clair__vulnerability__init(v);
    v->name = shared(a, f->id);
    v->namespace_name = in->name; /* of all findings of an image */
    v->description = shared(a, f->description.len ? f->description : f->title);
    v->link = shared(a, f->link);
    v->severity = (char *)severity_name(f->severity);
    v->metadata = metadata(a, f->meta);
    v->fixed_by = text(a, f->fixed_version);
    return v;
}

static size_t first_of(const struct match *m, uint32_t package)
{
    size_t low = 0, high = m->finding_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->findings[middle].package < package)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int by_id(const void *pa, const void *pb)
{
    const struct finding *const *a = pa, *const *b = pb;
    int r = str_cmp((*a)->id, (*b)->id);
    return r ? r : (*a > *b) - (*a < *b);
}

/* Several binary packages of one source are one feature: each vulnerability once. */
static size_t findings_of(struct answering *a, const struct ancestry_feature *f, const struct finding ***ret)
{
    const struct match *m = &a->match;
    const struct finding **list = NULL;
    size_t n = 0, cap = 0, kept = 0;
    for (size_t i = 0; i < f->package_count; i++)
        for (size_t k = first_of(m, f->packages[i]);
             k < m->finding_count && m->findings[k].package == f->packages[i]; k++) {
            const struct finding *one = &m->findings[k];
            if (!ancestry_has(f, one) || v1_is_hidden(one->feed, one->id))
                continue;
            list = arena_grow(a->arena, list, n, &cap, sizeof *list);
            if (!list)
                return 0;
            list[n++] = one;
        }
    if (n && f->package_count > 1)
        qsort(list, n, sizeof *list, by_id);
    for (size_t i = 0; i < n; i++)
        if (!kept || !str_eq(list[kept - 1]->id, list[i]->id))
            list[kept++] = list[i];
    *ret = list;
    return kept;
}

static void add_vulnerabilities(struct answering *a, const struct ancestry_feature *f, Feature *to)
{
    const struct finding **list = NULL;
    size_t n = findings_of(a, f, &list);
    to->vulnerabilities = n ? make(a, n, sizeof *to->vulnerabilities) : NULL;
    for (size_t i = 0; to->vulnerabilities && i < n; i++)
        if ((to->vulnerabilities[to->n_vulnerabilities] = vulnerability(a, list[i], to->namespace_)))
            to->n_vulnerabilities++;
}

static Coreos__Clair__Detector *detector(str name)
{
    char room[64];
    snprintf(room, sizeof room, STR_FMT, STR_ARG(name));
    return (Coreos__Clair__Detector *)v3_detector(room);
}

static Coreos__Clair__Namespace *namespace_of(struct answering *a)
{
    Coreos__Clair__Namespace *n = make(a, 1, sizeof *n);
    if (!n)
        return NULL;
    coreos__clair__namespace__init(n);
    n->name = text(a, distribution_v1_name(a->arena, a->image->distribution.namespace));
    for (size_t i = 0; i < a->image->fact_count && !n->detector; i++)
        if (str_eq(a->image->facts[i].fact.name, ANCESTRY_TOLD_BY))
            n->detector = detector(a->image->facts[i].fact.value);
    if (!n->detector)
        n->detector = detector(STR("os-release"));
    return n;
}

static Feature *feature(struct answering *a, const struct ancestry_feature *f, Coreos__Clair__Namespace *in)
{
    Feature *to = make(a, 1, sizeof *to);
    if (!to)
        return NULL;
    coreos__clair__feature__init(to);
    to->name = text(a, f->name);
    to->namespace_ = in;
    to->version = text(a, f->version);
    to->version_format = shared(a, v1_version_format(f->kind));
    to->detector = detector(f->kind);
    to->feature_type = (char *)(f->source ? "source" : "binary");
    add_vulnerabilities(a, f, to);
    return to;
}

/* The features of one layer are neighbours: from *at on. */
static AncestryLayer *layer(struct answering *a, size_t number, size_t *at, Coreos__Clair__Namespace *in)
{
    AncestryLayer *l = make(a, 1, sizeof *l);
    Coreos__Clair__Layer *called = make(a, 1, sizeof *called);
    size_t end = *at;
    while (end < a->feature_count && a->features[end].layer == number)
        end++;
    Feature **list = make(a, end - *at + 1, sizeof *list);
    if (!l || !called || !list)
        return NULL;
    coreos__clair__get_ancestry_response__ancestry_layer__init(l);
    coreos__clair__layer__init(called);
    called->hash = text(a, a->ancestry.hashes[number]);
    l->layer = called;
    l->detected_features = list;
    for (; *at < end; ++*at)
        if ((list[l->n_detected_features] = feature(a, &a->features[*at], in)))
            l->n_detected_features++;
    return l;
}

static const ProtobufCMessage *message(struct answering *a)
{
    Coreos__Clair__GetAncestryResponse *m = make(a, 1, sizeof *m);
    Coreos__Clair__GetAncestryResponse__Ancestry *to = make(a, 1, sizeof *to);
    Coreos__Clair__Namespace *in = a->image ? namespace_of(a) : NULL;
    if (!m || !to)
        return NULL;
    coreos__clair__get_ancestry_response__init(m);
    coreos__clair__get_ancestry_response__ancestry__init(to);
    to->name = text(a, a->ancestry.name);
    to->layers = make(a, a->ancestry.hash_count + 1, sizeof *to->layers);
    for (size_t i = 0, at = 0; to->layers && i < a->ancestry.hash_count; i++)
        if ((to->layers[to->n_layers] = layer(a, i, &at, in)))
            to->n_layers++;
    m->ancestry = to;
    m->status = a->status;
    return arena_failed(a->arena) ? NULL : &m->base;
}

/* ---- the method ---- */

void v3_get_ancestry(struct call *c, const ProtobufCMessage *request, struct v3_reply *ret)
{
    const Coreos__Clair__GetAncestryRequest *r = (const Coreos__Clair__GetAncestryRequest *)request;
    CLEANUP(answering_done)
    struct answering a = { .call = c, .reply = ret, .name = str_from(r->ancestry_name) };
    struct err e = { 0 };
    if (!a.name.len) {
        v3_fail(ret, GRPC_INVALID_ARGUMENT, STR("ancestry name should not be empty"));
        return;
    }
    int found = v1_ask(c, read_anew, &a, &e);
    if (found > 0 && ret->kept)
        return;
    if (found > 0 && !(a.status = v3_status(c, &e)))
        found = e.kind ? -1 : oom(&e);
    if (found < 0 && e.kind == ERR_OOM)
        v3_fail(ret, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
    else if (found < 0)
        v3_failure(c, ret, "failed to query the database.", &e);
    else if (!found)
        v3_fail(ret, GRPC_NOT_FOUND,
                arena_printf(c->request->arena, "requested ancestry '" STR_FMT "' is not found",
                             STR_ARG(a.name)));
    else
        ret->message = message(&a);
}
