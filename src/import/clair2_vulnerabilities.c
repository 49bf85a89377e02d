/* clair2_vulnerabilities.c - Clair 2's vulnerabilities that clients may have posted become such of ours (store.h, "vulnerabilities"). */
#include "import/clair2_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strmap.h"
#include "codec/json.h"
#include "codec/stream.h"
#include "version/version.h"

#include <unistd.h>

#define PAGE           1024
#define BATCH          64
#define LOOKED_MAX     1024  /* of a batch: also what is kept takes memory */
#define PATIENCE_MS    30000 /* with others who write what vulnerabilities are */
#define POLL_US        100000
#define METADATA_DEPTH 1000

/* What Clair's updaters call a vulnerability of a namespace (updaters-legacy.md 1). */
static const struct {
    const char *namespace, *names[2];
} updaters[] = {
    { "debian:", { "CVE-" } },  { "ubuntu:", { "CVE-" } }, { "centos:", { "RHSA-" } },
    { "oracle:", { "ELSA-" } }, { "amzn:", { "ALAS" } },   { "alpine:", { "CVE-", "XSA-" } },
};

static bool is_updaters(const struct clair2_name *v)
{
    for (size_t i = 0; i < sizeof updaters / sizeof *updaters; i++) {
        if (!str_starts(v->namespace, str_from(updaters[i].namespace)))
            continue;
        for (size_t k = 0; k < 2 && updaters[i].names[k]; k++)
            if (str_starts(v->name, str_from(updaters[i].names[k])))
                return true;
    }
    return false;
}

static bool is_wanted(const struct import_clair2_options *o, const struct clair2_name *v)
{
    for (size_t i = 0; i < o->vulnerability_count; i++) {
        str word = str_from(o->vulnerabilities[i]);
        if (str_eq(word, STR("all")) || str_eq(word, v->namespace))
            return true;
    }
    return !o->vulnerability_count && !is_updaters(v);
}

/* ---- one of them as an advisory ---- */

/* Clair stored what it had read: an object, or null. False: it is not that. */
static bool is_object(str text, bool *ret_empty)
{
    struct err ignored = { 0 };
    str key;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, &ignored);
    const struct json_limits limits = { .max_depth = METADATA_DEPTH, .max_text = CLAIR2_TEXT_MAX };
    CLEANUP(json_freep) struct json *j = in ? json_new(in, &limits, &ignored) : NULL;
    *ret_empty = true;
    if (!str_starts(text, STR("{")) || !j || json_enter(j, JSON_OBJECT, &ignored) < 0)
        return false;
    int more;
    while ((more = json_key(j, &key, &ignored)) > 0) {
        *ret_empty = false;
        if (json_skip(j, &ignored) < 0)
            return false;
    }
    return more == 0 && json_finish(j, &ignored) == 0;
}

struct batch {
    struct taking *t;
    struct arena *arena;
    struct strmap keys; /* of this batch */
    struct advisory list[BATCH];
    size_t count, looked;
    int64_t fixes; /* left out */
};

static void batch_done(struct batch *b)
{
    strmap_done(&b->keys);
    arena_freep(&b->arena);
}

static bool is_version(str version, str scheme)
{
    const struct version_scheme *s = version_scheme_by_name(scheme);
    struct version_key key;
    return s && s->valid(version) && s->key(version, &key);
}

static bool is_unfixed(str version) { return str_eq(version, STR("#MAXV#")) || str_eq(version, STR("None")); }

/* As REST v1 makes one of what is posted. "Not affected" was nothing to Clair but the end of a fix. */
static void add_range(struct batch *b, const struct clair2_fix *f, str namespace, str scheme,
                      enum severity severity, struct advisory *to)
{
    bool unfixed = is_unfixed(f->version);
    if (str_eq(f->version, STR("#MINV#")))
        return;
    if (!f->feature.len || f->feature.len > PACKAGE_TEXT_MAX ||
        (!unfixed && !is_version(f->version, scheme))) {
        b->fixes++;
        return;
    }
    to->ranges[to->range_count++] = (struct affected_range){
        .namespace = namespace,
        .scheme = scheme,
        .package = f->feature,
        .kind = str_eq(scheme, STR("dpkg")) ? AFFECTS_SOURCE : AFFECTS_BINARY,
        .fixed_version = unfixed ? STR("") : f->version,
        .severity = severity,
        .state = unfixed ? FIX_AFFECTED : FIX_FIXED,
    };
}

static int make(struct batch *b, const struct clair2_vulnerability *v, const struct stored_namespace *space,
                struct advisory *to, struct err *e)
{
    enum severity severity = SEVERITY_UNKNOWN;
    bool empty;
    str scheme = space->scheme.len ? space->scheme : namespace_scheme(space->name, v->format);
    severity_parse(v->severity, &severity);
    to->description = v->description;
    to->link = v->link;
    to->meta.has_severity = severity != SEVERITY_UNKNOWN;
    to->meta.severity = severity;
    if (is_object(v->metadata, &empty) && !empty)
        to->meta.client.metadata = v->metadata;
    to->ranges = arena_array(b->arena, struct affected_range, v->fix_count + 1);
    if (!to->ranges)
        return taking_oom(e);
    for (size_t i = 0; i < v->fix_count; i++)
        add_range(b, &v->fixes[i], space->name, scheme, severity, to);
    return 0;
}

/* ---- a batch: one update, and so one generation ---- */

static struct store_update *begin(struct store *s, struct err *e)
{
    int64_t until = clock_ms() + PATIENCE_MS;
    for (;;) {
        struct store_update *u = store_update_begin(s, STORE_MANUAL, STORE_MANUAL_RANK, e);
        if (u || e->kind != ERR_BUSY || clock_ms() > until)
            return u;
        *e = (struct err){ 0 };
        usleep(POLL_US);
    }
}

/* 1: clients have written, or deleted, it here. */
static int is_written(struct batch *b, str key, struct err *e)
{
    str ignored;
    return store_document(b->t->to, STORE_MANUAL, key, b->arena, &ignored, e);
}

/* Nobody else can write now: what was written since it was looked at stays, too. */
static int drop_written(struct batch *b, struct err *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        int found = is_written(b, b->list[i].key, e);
        if (found < 0)
            return -1;
        if (!found)
            b->list[kept++] = b->list[i];
    }
    b->t->n->vulnerabilities.kept += (int64_t)(b->count - kept);
    b->count = kept;
    return 0;
}

static int write_batch(struct batch *b, struct err *e)
{
    struct update_counts ignored;
    CLEANUP(store_update_freep) struct store_update *u = begin(b->t->to, e);
    if (!u || drop_written(b, e) < 0)
        return -1;
    store_update_hush(u);
    for (size_t i = 0; i < b->count; i++)
        if (store_update_document(u, b->list[i].key, STR(""), e) < 0 ||
            store_update_put(u, &b->list[i], e) < 0)
            return -1;
    struct store_update *done = u;
    u = NULL;
    return store_update_commit(done, b->t->o->now, &ignored, e);
}

static int end_batch(struct batch *b, struct err *e)
{
    struct import_clair2_vulnerabilities *n = &b->t->n->vulnerabilities;
    if (b->count && !b->t->o->dry && write_batch(b, e) < 0)
        return err_wrap(e, "vulnerabilities");
    n->taken += (int64_t)b->count;
    n->fixes += b->fixes;
    b->count = b->looked = 0;
    b->fixes = 0;
    strmap_done(&b->keys);
    arena_freep(&b->arena);
    b->arena = arena_new(0);
    return b->arena ? 0 : taking_oom(e);
}

/* ---- all of them ---- */

static void leave_out(struct taking *t, const struct clair2_name *v, const char *why)
{
    t->n->vulnerabilities.left_out++;
    taking_tell(t, "vulnerability", v->name, "%s", why);
}

/* 1: clients have written, or deleted, it here, or it comes twice. */
static int is_kept(struct batch *b, str key, struct err *e)
{
    int found = b->t->to ? is_written(b, key, e) : 0;
    void **at = strmap_at(&b->keys, key);
    if (!at)
        return taking_oom(e);
    if (found == 0 && *at)
        found = 1;
    *at = b;
    return found;
}

static int add(struct batch *b, const struct clair2_name *v, struct err *e)
{
    struct clair2_vulnerability all;
    struct stored_namespace space;
    struct err why = { 0 };
    str shown = arena_dup(b->arena, v->namespace); /* a batch lives longer than a page */
    if (namespace_place(b->t->to, shown, b->arena, &space, e) < 0)
        return -1;
    struct advisory a = { .id = arena_dup(b->arena, v->name) };
    a.key = arena_printf(b->arena, STR_FMT "/" STR_FMT, STR_ARG(space.name), STR_ARG(v->name));
    if (arena_failed(b->arena))
        return taking_oom(e);
    int kept = is_kept(b, a.key, e);
    if (kept)
        b->t->n->vulnerabilities.kept += kept > 0;
    if (kept)
        return kept < 0 ? -1 : 0;
    int found = clair2_vulnerability_get(b->t->from, v->id, b->arena, &all, &why);
    if (found < 0 && why.kind == ERR_LIMIT) {
        leave_out(b->t, v, why.text);
        return 0;
    }
    if (found < 0)
        *e = why;
    if (found <= 0)
        return found;
    if (make(b, &all, &space, &a, e) < 0)
        return -1;
    b->list[b->count++] = a;
    return b->count == BATCH ? end_batch(b, e) : 0;
}

static int take_one(struct batch *b, const struct clair2_name *v, struct err *e)
{
    if (!is_wanted(b->t->o, v)) {
        b->t->n->vulnerabilities.updaters++;
        return 0;
    }
    if (!name_fits(v->name) || !name_fits(v->namespace))
        leave_out(b->t, v, "its name or that of its namespace is empty, or has more than 1024 bytes");
    else if (str_find(v->namespace, '/') >= 0)
        leave_out(b->t, v, "the name of its namespace has a slash");
    else if (add(b, v, e) < 0)
        return -1;
    return ++b->looked >= LOOKED_MAX ? end_batch(b, e) : 0;
}

int take_vulnerabilities(struct taking *t, struct err *e)
{
    CLEANUP(batch_done) struct batch b = { .t = t, .arena = arena_new(0) };
    if (!b.arena)
        return taking_oom(e);
    for (int64_t after = 0;;) {
        struct clair2_name *list;
        size_t n;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return taking_oom(e);
        if (clair2_vulnerabilities_after(t->from, after, PAGE, arena, &list, &n, e) < 0)
            return -1;
        if (!n)
            return end_batch(&b, e);
        for (size_t i = 0; i < n; i++)
            if (take_one(&b, &list[i], e) < 0)
                return -1;
        after = list[n - 1].id;
        taking_progress(t);
    }
}
