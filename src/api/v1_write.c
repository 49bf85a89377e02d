/*
 * v1_write.c - vulnerabilities and fixes that clients post, put and delete (spec/api-v1.md 6 and 7, server.md 9).
 *
 * What is written is the whole new state of (namespace, name), merged with what was to be seen before, be it a feed's; it belongs to the feed
 * STORE_MANUAL (store.h). Only one at a time writes, and not while a feed is being loaded: the others wait for WAIT_MS, or most of
 * api.timeout if that is less, and are then told to come again.
 */
#include "api/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strmap.h"
#include "detect/distro.h"
#include "model/package.h"
#include "version/version.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS   30000
#define POLL_US   20000
#define FIXES_MAX 65536u /* of one vulnerability */
#define NOT_NAMED "insertVulnerability needs at least the Name and the Namespace"
#define NOT_THERE                                                                                            \
    "could not insert an invalid vulnerability that contains FixedIn FeatureVersion that are not in the "    \
    "same "                                                                                                  \
    "namespace as the Vulnerability"
#define REMOVES STR("#MINV#") /* the version of a fix that is to go */

enum outcome { UNCHANGED, CHANGED, DELETED, UNKNOWN, REFUSED /* the answer is there */ };

/* What is to become of one vulnerability. */
struct change {
    struct call *call;
    const char *query;   /* as Clair's metrics call it */
    str namespace, name; /* as the client calls them */
    /* `v` is what there is, and becomes what there is to be; nothing but a name and a namespace unless `there` */
    enum outcome (*apply)(struct change *ch, bool there, struct v1_vulnerability *v);
    const struct v1_vulnerability *posted;
    const struct v1_fix *fixes; /* to be merged */
    size_t fix_count;
    struct arena *arena;
    struct stored_namespace space; /* where it is stored */
};

static bool refuse(struct call *c, const char *message)
{
    v1_error(c, 400, str_from(message));
    return false;
}

/* ---- what a client may say ---- */

static bool is_unfixed(str version) { return str_eq(version, V1_NO_FIX) || str_eq(version, STR("#MAXV#")); }

/* Whatever is said of alpine, its versions are those of apk. Empty: no such format. */
static str scheme_of(str format, str namespace)
{
    bool apk = str_eq(distribution_scheme(namespace), STR("apk"));
    if (str_eq(format, STR("dpkg")) && apk)
        return STR("apk");
    return str_eq(format, STR("dpkg")) || str_eq(format, STR("rpm")) || (str_eq(format, STR("apk")) && apk)
               ? format
               : STR("");
}

static bool is_version(str version, str scheme)
{
    const struct version_scheme *s = version_scheme_by_name(scheme);
    struct version_key key;
    return s && s->valid(version) && s->key(version, &key);
}

static bool check_version(struct call *c, const struct v1_fix *f, str namespace)
{
    if (is_unfixed(f->version))
        return true;
    str scheme = scheme_of(f->format, f->namespace.len ? f->namespace : namespace);
    if (!scheme.len)
        return refuse(c, "unknown version format");
    return str_eq(f->version, REMOVES) || is_version(f->version, scheme) || refuse(c, "invalid version");
}

static bool check_fix(struct call *c, const struct v1_fix *f, str namespace)
{
    if (!f->name.len)
        return refuse(c, "could not find/insert invalid Feature");
    if (f->name.len > PACKAGE_TEXT_MAX)
        return refuse(c, "the name of a feature has at most 512 bytes");
    return !f->namespace.len || str_eq(f->namespace, namespace) || refuse(c, NOT_THERE);
}

static bool check_severity(struct call *c, const struct v1_vulnerability *v)
{
    enum severity ignored;
    return severity_parse(v->severity, &ignored) || refuse(c, "failed to parse Severity from input");
}

/* Names can be stored, and be told from each other: see store_manual_namespace(). */
static bool check_names(struct call *c, str namespace, str name)
{
    if (!namespace.len || !name.len)
        return refuse(c, NOT_NAMED);
    if (namespace.len > V1_NAME_MAX || name.len > V1_NAME_MAX)
        return refuse(c, "a name has at most 1024 bytes");
    return str_find(namespace, '/') < 0 || refuse(c, "the name of a namespace has no slash");
}

static bool check_posted(struct call *c, const struct v1_vulnerability *v)
{
    if (!check_severity(c, v))
        return false;
    for (size_t i = 0; i < v->fixed_in_count; i++)
        if (!check_version(c, &v->fixed_in[i], v->namespace))
            return false;
    if (!check_names(c, v->namespace, v->name))
        return false;
    for (size_t i = 0; i < v->fixed_in_count; i++)
        if (!check_fix(c, &v->fixed_in[i], v->namespace))
            return false;
    return true;
}

/* ---- merging (server.md 9) ---- */

struct merging {
    struct change *ch;
    struct v1_fix *list;
    size_t count;
    struct strmap places; /* of names in the list, and one more */
};

static void merging_done(struct merging *m) { strmap_done(&m->places); }

static int place(struct merging *m, const struct v1_fix *f)
{
    void **at = strmap_at(&m->places, f->name);
    if (!at)
        return -1;
    if (*at) {
        struct v1_fix *old = &m->list[(uintptr_t)*at - 1];
        enum affected_kind kind = old->kind;
        *old = *f;
        old->kind = f->kind ? f->kind : kind;
        return 0;
    }
    m->list[m->count++] = *f;
    *at = (void *)(uintptr_t)m->count;
    return 0;
}

/* One that is given replaces the version, or goes; others stay. -1 without memory. */
static int merge_fixes(struct change *ch, struct v1_vulnerability *v)
{
    CLEANUP(merging_done) struct merging m = { .ch = ch };
    size_t kept = 0;
    m.list = arena_array(ch->arena, struct v1_fix, v->fixed_in_count + ch->fix_count + 1);
    if (!m.list)
        return -1;
    for (size_t i = 0; i < v->fixed_in_count; i++)
        if (place(&m, &v->fixed_in[i]) < 0)
            return -1;
    for (size_t i = 0; i < ch->fix_count; i++) {
        struct v1_fix f = ch->fixes[i];
        f.version = is_unfixed(f.version) ? V1_NO_FIX : f.version;
        f.namespace = v->namespace;
        if (place(&m, &f) < 0)
            return -1;
    }
    for (size_t i = 0; i < m.count; i++)
        if (!str_eq(m.list[i].version, REMOVES))
            m.list[kept++] = m.list[i];
    v->fixed_in = m.list;
    v->fixed_in_count = kept;
    return 0;
}

static bool same_fixes(const struct v1_vulnerability *a, const struct v1_vulnerability *b)
{
    if (a->fixed_in_count != b->fixed_in_count)
        return false;
    for (size_t i = 0; i < a->fixed_in_count; i++) /* what is merged keeps its order */
        if (!str_eq(a->fixed_in[i].name, b->fixed_in[i].name) ||
            !str_eq(a->fixed_in[i].version, b->fixed_in[i].version))
            return false;
    return true;
}

static bool same(const struct v1_vulnerability *a, const struct v1_vulnerability *b)
{
    return str_eq(a->description, b->description) && str_eq(a->link, b->link) &&
           str_eq(a->severity, b->severity) && str_eq(a->metadata, b->metadata) && same_fixes(a, b);
}

/* All but the fixes is replaced. */
static void replace_texts(const struct v1_vulnerability *posted, struct v1_vulnerability *v)
{
    enum severity severity = SEVERITY_UNKNOWN;
    severity_parse(posted->severity, &severity);
    v->description = posted->description;
    v->link = posted->link;
    v->metadata = posted->metadata;
    v->severity = str_from(severity_name(severity));
}

/* ---- writing ---- */

/* Of the feature that clients name: the source of dpkg, the package itself elsewhere (package_feature()). */
static enum affected_kind kind_of(const struct v1_fix *f, str scheme)
{
    if (f->kind)
        return f->kind;
    return str_eq(scheme, STR("dpkg")) ? AFFECTS_SOURCE : AFFECTS_BINARY;
}

/* The scheme of the namespace, which the first who names a format decides. */
static str space_scheme(const struct change *ch, const struct v1_vulnerability *v)
{
    if (ch->space.scheme.len)
        return ch->space.scheme;
    str known = distribution_scheme(ch->space.name);
    for (size_t i = 0; i < v->fixed_in_count && !known.len; i++)
        known = scheme_of(v->fixed_in[i].format, ch->space.name);
    return known;
}

/* False: the answer is there, or there is no memory. */
static bool make_ranges(struct change *ch, const struct v1_vulnerability *v, enum severity severity,
                        struct advisory *ret)
{
    str scheme = space_scheme(ch, v);
    ret->ranges = arena_array(ch->arena, struct affected_range, v->fixed_in_count + 1);
    if (!ret->ranges)
        return false;
    for (size_t i = 0; i < v->fixed_in_count; i++) {
        const struct v1_fix *f = &v->fixed_in[i];
        bool fixed = !str_eq(f->version, V1_NO_FIX);
        if (fixed && !f->kind && !is_version(f->version, scheme))
            return refuse(ch->call, "invalid version");
        ret->ranges[ret->range_count++] = (struct affected_range){
            .namespace = ch->space.name,
            .scheme = scheme,
            .package = f->name,
            .kind = kind_of(f, scheme),
            .fixed_version = fixed ? f->version : STR(""),
            .severity = severity,
            .state = fixed ? FIX_FIXED : FIX_AFFECTED,
        };
    }
    return true;
}

static enum outcome put(struct change *ch, struct store_writing **w, const struct v1_vulnerability *v,
                        struct err *e)
{
    struct advisory a = { .description = v->description, .link = v->link };
    enum severity severity = SEVERITY_UNKNOWN;
    severity_parse(v->severity, &severity);
    a.meta.has_severity = severity != SEVERITY_UNKNOWN;
    a.meta.severity = severity;
    a.meta.client.metadata = v->metadata;
    if (v->fixed_in_count > FIXES_MAX) {
        refuse(ch->call, "too many entries of FixedIn");
        return REFUSED;
    }
    if (!make_ranges(ch, v, severity, &a)) {
        if (arena_failed(ch->arena))
            err_set(e, ERR_OOM, "out of memory");
        return REFUSED;
    }
    struct store_writing *writing = *w;
    *w = NULL;
    store_writing_put(writing, &a, clock_now(), e);
    return CHANGED;
}

/* With the database to ourselves. e->kind: it failed. */
static enum outcome write_it(struct change *ch, struct store_writing *writing,
                             const struct stored_vulnerability *stored, bool there, struct err *e)
{
    CLEANUP(store_writing_freep) struct store_writing *w = writing;
    struct v1_vulnerability before = { .name = ch->name, .namespace = ch->namespace }, v;
    if (there && !v1_vulnerability_of(stored->said, stored->said_count, ch->space.name, ch->arena, &before)) {
        err_set(e, ERR_OOM, "out of memory");
        return REFUSED;
    }
    v = before;
    enum outcome result = ch->apply(ch, there, &v);
    if (result == REFUSED || arena_failed(ch->arena))
        err_set(e, ERR_OOM, "out of memory");
    if (e->kind || (result == CHANGED && there && same(&before, &v)))
        return e->kind ? REFUSED : UNCHANGED;
    if (result == CHANGED)
        return put(ch, &w, &v, e);
    if (result == DELETED) {
        writing = w;
        w = NULL;
        store_writing_delete(writing, clock_now(), e);
    }
    return result;
}

static enum outcome try_write(struct change *ch, struct store *s, struct err *e)
{
    struct stored_vulnerability stored;
    int there = 0, known = v1_namespace_find(s, ch->namespace, ch->arena, &ch->space, e);
    if (known < 0)
        return REFUSED;
    if (!known)
        ch->space = (struct stored_namespace){ .name = ch->namespace };
    struct store_writing *w = store_writing_begin(s, ch->space.name, ch->name, ch->arena, &stored, &there, e);
    return w ? write_it(ch, w, &stored, there, e) : REFUSED;
}

/* Until when a write may wait for its turn. */
static int64_t deadline(const struct call *c)
{
    int64_t most = c->options->timeout_ms * 9 / 10;
    return clock_ms() + (most && most < WAIT_MS ? most : WAIT_MS);
}

static bool lock_until(pthread_mutex_t *lock, int64_t until)
{
    struct timespec t;
    int64_t left = until - clock_ms();
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += left / 1000;
    return pthread_mutex_timedlock(lock, &t) == 0;
}

/* ERR_BUSY: not before the deadline. */
static enum outcome write_in_turn(struct change *ch, struct err *e)
{
    struct api *a = ch->call->api;
    int64_t until = deadline(ch->call);
    enum outcome result = REFUSED;
    if (!lock_until(&a->writing, until)) {
        err_set(e, ERR_BUSY, "other writes take too long");
        return REFUSED;
    }
    struct store *s = stores_take(a->stores, e);
    while (s) {
        result = try_write(ch, s, e);
        if (e->kind != ERR_BUSY || clock_ms() >= until)
            break;
        *e = (struct err){ 0 };
        usleep(POLL_US);
    }
    stores_give(a->stores, s);
    pthread_mutex_unlock(&a->writing);
    return result;
}

/* The answer of whatever does not change anything is given here. False: it is there. */
static bool perform(struct change *ch)
{
    struct err e = { 0 };
    struct call *c = ch->call;
    int64_t began = clock_ns();
    ch->arena = c->request->arena;
    enum outcome result = write_in_turn(ch, &e);
    v1_asked(c, ch->query, began);
    if (e.kind == ERR_BUSY) {
        log_warning("a write could not wait any longer", LOG_TEXT("error", str_from(e.text)),
                    LOG_REQUEST(c->request));
        v1_error(c, 503, STR("vulnerabilities are being updated: try again later"));
        response_header(c->response, "Retry-After", STR("10"));
    } else if (e.kind) {
        v1_failure(c, &e);
    } else if (result == UNKNOWN) {
        v1_not_found(c);
    }
    return !e.kind && result != UNKNOWN && result != REFUSED;
}

/* ---- vulnerabilities ---- */

static enum outcome apply_posted(struct change *ch, bool there, struct v1_vulnerability *v)
{
    (void)there;
    replace_texts(ch->posted, v);
    return merge_fixes(ch, v) < 0 ? REFUSED : CHANGED;
}

static enum outcome apply_delete(struct change *ch, bool there, struct v1_vulnerability *v)
{
    (void)ch, (void)v;
    return there ? DELETED : UNKNOWN;
}

/* What was sent is answered. */
static void echo(struct call *c, unsigned status, const struct v1_vulnerability *v)
{
    struct json_writer w = { .out = &c->response->body, .go = true };
    json_w_object(&w);
    json_w_key(&w, "Vulnerability");
    v1_vulnerability_write(&w, v, true);
    json_w_object_end(&w);
    buf_char(&c->response->body, '\n');
    v1_headers(c, status);
}

static bool read_vulnerability(struct call *c, struct v1_vulnerability *ret)
{
    struct err e = { 0 };
    if (v1_vulnerability_read(c->request, ret, &e) == 0)
        return true;
    v1_error(c, 400, str_from(e.text));
    return false;
}

/* The namespace of the URL is ignored: that of the body counts (golden-v1/31). */
void v1_post_vulnerability(struct call *c)
{
    struct v1_vulnerability v;
    if (!read_vulnerability(c, &v) || !check_posted(c, &v))
        return;
    struct change ch = { .call = c,
                         .query = "insertVulnerability",
                         .namespace = v.namespace,
                         .name = v.name,
                         .apply = apply_posted,
                         .posted = &v,
                         .fixes = v.fixed_in,
                         .fix_count = v.fixed_in_count };
    if (perform(&ch))
        echo(c, 201, &v);
}

/* Here those of the URL count. */
void v1_put_vulnerability(struct call *c)
{
    struct v1_vulnerability v;
    if (!read_vulnerability(c, &v))
        return;
    if (v.fixed_in_count) {
        refuse(c, "Vulnerability.FixedIn must be empty");
        return;
    }
    if (!check_severity(c, &v) || !check_names(c, c->parameters[0], c->parameters[1]))
        return;
    struct change ch = { .call = c,
                         .query = "insertVulnerability",
                         .namespace = c->parameters[0],
                         .name = c->parameters[1],
                         .apply = apply_posted,
                         .posted = &v };
    if (perform(&ch))
        echo(c, 200, &v);
}

void v1_delete_vulnerability(struct call *c)
{
    struct change ch = { .call = c,
                         .query = "DeleteVulnerability",
                         .namespace = c->parameters[0],
                         .name = c->parameters[1],
                         .apply = apply_delete };
    if (perform(&ch))
        c->response->status = 200; /* empty, without Server */
}

/* ---- fixes ---- */

static enum outcome apply_fixes(struct change *ch, bool there, struct v1_vulnerability *v)
{
    if (!there)
        return UNKNOWN;
    return merge_fixes(ch, v) < 0 ? REFUSED : CHANGED;
}

static bool change_fix(struct call *c, const char *query, const struct v1_fix *f)
{
    struct change ch = { .call = c,
                         .query = query,
                         .namespace = c->parameters[0],
                         .name = c->parameters[1],
                         .apply = apply_fixes,
                         .fixes = f,
                         .fix_count = 1 };
    return perform(&ch);
}

void v1_put_fix(struct call *c)
{
    struct err e = { 0 };
    struct v1_fix f;
    if (v1_fix_read(c->request, &f, &e) < 0) {
        v1_error(c, 400, str_from(e.text));
        return;
    }
    if (!str_eq(f.name, c->parameters[2])) {
        refuse(c, "feature name in URL and JSON do not match");
        return;
    }
    if (!check_version(c, &f, c->parameters[0]) || !check_names(c, c->parameters[0], c->parameters[1]) ||
        !check_fix(c, &f, c->parameters[0]) || !change_fix(c, "InsertVulnerabilityFixes", &f))
        return;
    struct json_writer w = { .out = &c->response->body, .go = true };
    json_w_object(&w);
    json_w_key(&w, "Feature");
    v1_fix_write(&w, &f);
    json_w_object_end(&w);
    buf_char(&c->response->body, '\n');
    v1_headers(c, 200);
}

void v1_delete_fix(struct call *c)
{
    const struct v1_fix gone = { .name = c->parameters[2], .version = REMOVES };
    if (change_fix(c, "DeleteVulnerabilityFix", &gone))
        c->response->status = 200;
}
