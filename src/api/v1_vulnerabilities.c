/* v1_vulnerabilities.c - GET of namespaces, vulnerabilities and fixes (spec/api-v1.md 5, 6, 7). */
#include "api/internal.h"

#include "api/path.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strmap.h"
#include "detect/distro.h"
#include "model/distribution.h"

#include <stdlib.h>

#define ANSWER_MEMORY_MAX ((size_t)1 << 30)
#define PAGE_MAX          10000 /* entries of a page, whatever its client asks for: there is a next one */

struct reading {
    struct call *call;
    struct arena *arena;
    struct stored_namespace namespace;
    struct stored_vulnerability one;
    struct stored_vulnerability *list;
    size_t count;
    int64_t from, limit, next;
    struct stored_namespace *namespaces;
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "answer: out of memory"); }

static void reading_done(struct reading *r) { arena_freep(&r->arena); }

/* With an arena of its own: an answer may be larger than what a request may take. */
static int begin(struct reading *r, struct err *e)
{
    arena_freep(&r->arena);
    r->arena = arena_new(ANSWER_MEMORY_MAX);
    return r->arena ? 0 : oom(e);
}

int v1_namespace_find(struct store *s, str shown, struct arena *arena, struct stored_namespace *ret,
                      struct err *e)
{
    int found = store_namespace_find(s, shown, arena, ret, e);
    str other = found == 0 ? distribution_of_v1_name(arena, shown) : STR("");
    if (found > 0 && !str_eq(ret->data, ret->name))
        other = ret->data; /* CentOS by RHEL's */
    return other.len ? store_namespace_find(s, other, arena, ret, e) : found;
}

static void answer(struct call *c)
{
    buf_char(&c->response->body, '\n');
    v1_headers(c, 200);
}

/* One without entries is null (spec/api-v1.md 3). */
static void begin_list(struct json_writer *w, const char *key, size_t count)
{
    json_w_key(w, key);
    if (count)
        json_w_array(w);
    else
        json_w_null(w);
}

static void end_list(struct json_writer *w, size_t count)
{
    if (count)
        json_w_array_end(w);
}

/* ---- namespaces ---- */

static int ask_namespaces(struct store *s, void *ctx, struct err *e)
{
    struct reading *r = ctx;
    return begin(r, e) < 0 || store_namespaces(s, r->arena, &r->namespaces, &r->count, e) < 0 ? -1 : 1;
}

static void write_namespace(struct json_writer *w, str shown, const struct stored_namespace *n)
{
    json_w_object(w);
    v1_text(w, "Name", shown);
    v1_text(w, "VersionFormat", v1_version_format(n->scheme.len ? n->scheme : distribution_scheme(n->name)));
    json_w_object_end(w);
}

/* Two of ours may have one name there. */
static int write_namespaces(struct reading *r, struct buf *out, struct err *e)
{
    CLEANUP(strmap_done) struct strmap shown = { 0 };
    struct json_writer w = { .out = out, .go = true };
    json_w_object(&w);
    begin_list(&w, "Namespaces", r->count);
    for (size_t i = 0; i < r->count; i++) {
        str name = distribution_v1_name(r->arena, r->namespaces[i].name);
        void **at = strmap_at(&shown, name);
        if (!at)
            return oom(e);
        if (!*at)
            write_namespace(&w, name, &r->namespaces[i]);
        *at = r;
    }
    end_list(&w, r->count);
    json_w_object_end(&w);
    return arena_failed(r->arena) ? oom(e) : 0;
}

void v1_get_namespaces(struct call *c)
{
    struct err e = { 0 };
    CLEANUP(reading_done) struct reading r = { .call = c };
    int64_t began = clock_ns();
    int found = v1_ask(c, ask_namespaces, &r, &e);
    v1_asked(c, "listNamespaces", began);
    if (found < 0 || write_namespaces(&r, &c->response->body, &e) < 0)
        v1_failure(c, &e);
    else
        answer(c);
}

/* ---- one ---- */

static int ask_one(struct store *s, void *ctx, struct err *e)
{
    struct reading *r = ctx;
    const str *parameters = r->call->parameters;
    if (begin(r, e) < 0 || store_view_begin(s, e) < 0)
        return -1;
    int found = v1_namespace_find(s, parameters[0], r->arena, &r->namespace, e);
    if (found > 0)
        found = store_vulnerability_find(s, r->namespace.name, parameters[1], r->arena, &r->one, e);
    store_view_end(s);
    return found;
}

/* False: the answer is there. */
static bool read_one(struct reading *r, struct v1_vulnerability *ret)
{
    struct err e = { 0 };
    int64_t began = clock_ns();
    int found = v1_ask(r->call, ask_one, r, &e);
    v1_asked(r->call, "findVulnerability", began);
    if (found > 0 && !v1_vulnerability_of(r->one.said, r->one.said_count, r->namespace.name, r->arena, ret))
        found = oom(&e);
    return v1_found(r->call, found, &e);
}

void v1_get_vulnerability(struct call *c)
{
    CLEANUP(reading_done) struct reading r = { .call = c };
    struct v1_vulnerability v;
    if (!read_one(&r, &v))
        return;
    struct json_writer w = { .out = &c->response->body, .go = true };
    json_w_object(&w);
    json_w_key(&w, "Vulnerability");
    v1_vulnerability_write(&w, &v, query_has(c->request->query, STR("fixedIn")));
    json_w_object_end(&w);
    answer(c);
}

void v1_get_fixes(struct call *c)
{
    CLEANUP(reading_done) struct reading r = { .call = c };
    struct v1_vulnerability v;
    if (!read_one(&r, &v))
        return;
    struct json_writer w = { .out = &c->response->body, .go = true };
    json_w_object(&w);
    begin_list(&w, "Features", v.fixed_in_count);
    for (size_t i = 0; i < v.fixed_in_count; i++)
        v1_fix_write(&w, &v.fixed_in[i]);
    end_list(&w, v.fixed_in_count);
    json_w_object_end(&w);
    answer(c);
}

/* ---- the list ---- */

/* False: the answer is there. */
static bool read_page(struct call *c, int64_t *ret)
{
    str token, text;
    uint64_t n = 0;
    *ret = 0;
    if (!v1_page(c, &token, &text))
        return false;
    if (token.len && (!str_to_u64(str_trim(text), &n) || n > INT64_MAX))
        return v1_page_refuse(c);
    *ret = (int64_t)n;
    return true;
}

static int ask_list(struct store *s, void *ctx, struct err *e)
{
    struct reading *r = ctx;
    if (begin(r, e) < 0 || store_view_begin(s, e) < 0)
        return -1;
    int found = v1_namespace_find(s, r->call->parameters[0], r->arena, &r->namespace, e);
    if (found > 0 && store_vulnerabilities(s, r->namespace.name, r->from, (size_t)r->limit, r->arena,
                                           &r->list, &r->count, &r->next, e) < 0)
        found = -1;
    store_view_end(s);
    return found;
}

static int write_next(struct reading *r, struct json_writer *w, struct err *e)
{
    char text[24];
    snprintf(text, sizeof text, "%lld\n", (long long)r->next);
    return r->next ? v1_page_write(r->call, "NextPage", text, w, e) : 0;
}

static int write_list(struct reading *r, struct buf *out, struct err *e)
{
    struct json_writer w = { .out = out, .go = true };
    json_w_object(&w);
    begin_list(&w, "Vulnerabilities", r->count);
    for (size_t i = 0; i < r->count; i++) {
        struct v1_vulnerability v;
        if (!v1_vulnerability_of(r->list[i].said, r->list[i].said_count, r->namespace.name, r->arena, &v))
            return oom(e);
        v1_vulnerability_write(&w, &v, false);
    }
    end_list(&w, r->count);
    if (write_next(r, &w, e) < 0)
        return -1;
    json_w_object_end(&w);
    return 0;
}

void v1_get_vulnerabilities(struct call *c)
{
    struct err e = { 0 };
    CLEANUP(reading_done) struct reading r = { .call = c };
    if (!v1_limit(c, &r.limit))
        return;
    if (r.limit < 0) {
        v1_error(c, 400, STR("limit value should not be less than zero"));
        return;
    }
    if (!read_page(c, &r.from))
        return;
    r.limit = r.limit < PAGE_MAX ? r.limit : PAGE_MAX;
    int64_t began = clock_ns();
    int found = v1_ask(c, ask_list, &r, &e);
    v1_asked(c, "listVulnerabilities", began);
    if (found > 0 && write_list(&r, &c->response->body, &e) < 0)
        found = -1;
    if (v1_found(c, found, &e))
        answer(c);
}
