/* v3_notifications.c - NotificationService: what changed, and which ancestries it hits; each side pages on its own (spec/api-v3.md 5). */
#include "api/v3_call.h"

#include "api/change.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/fernet.h"

#include <stdio.h>

#define ANSWER_MEMORY_MAX ((size_t)256 << 20)
#define TOKEN_AGE_S       3600

typedef Coreos__Clair__GetNotificationRequest get_request;
typedef Coreos__Clair__GetNotificationResponse__Notification notification_message;
typedef Coreos__Clair__PagedVulnerableAncestries paged;
typedef Coreos__Clair__PagedVulnerableAncestries__IndexedAncestryName indexed_name;

struct reading {
    struct call *call;
    const get_request *request;
    struct arena *arena; /* of what is read; the reply has its own copies */
    struct change change;
    int64_t from[2];
    struct change_page old, new; /* of ancestries */
};

static void reading_done(struct reading *r) { arena_freep(&r->arena); }

/* ---- tokens ---- */

/* An empty one is the first page. */
static int read_token(struct call *c, const char *token, int64_t *ret, struct err *e)
{
    static const char *const keys[] = { "StartID" };
    str text;
    if (!*token)
        return 0;
    return fernet_open(c->options->pagination_key, str_from(token), clock_now(), TOKEN_AGE_S,
                       c->request->arena, &text, e) < 0
               ? -1
               : change_token(text, keys, 1, ret, e);
}

/* NULL: out of memory, or *e. */
static char *write_token(struct call *c, int64_t from, struct err *e)
{
    CLEANUP(buf_done) struct buf token = { 0 };
    char text[48];
    snprintf(text, sizeof text, "{\"StartID\":%lld}\n", (long long)from);
    if (fernet_seal(c->options->pagination_key, str_from(text), clock_now(), &token, e) < 0)
        return NULL;
    return arena_cstr(c->request->arena, buf_view(&token));
}

/* ---- reading ---- */

static int read_all(struct store *s, struct reading *r, struct err *e)
{
    const struct change *c = &r->change;
    int64_t limit = r->request->limit;
    int found = change_find(s, str_from(r->request->name), r->arena, &r->change, e);
    if (found <= 0)
        return found;
    if (change_page(s, c, &c->old, store_affected_ancestries, r->from[0], limit, r->arena, &r->old, e) < 0 ||
        change_page(s, c, &c->new, store_affected_ancestries, r->from[1], limit, r->arena, &r->new, e) < 0)
        return -1;
    return arena_failed(r->arena) ? err_set(e, ERR_OOM, "answer: out of memory") : 1;
}

static int ask(struct store *s, void *ctx, struct err *e)
{
    struct reading *r = ctx;
    arena_freep(&r->arena);
    r->arena = arena_new(ANSWER_MEMORY_MAX);
    if (!r->arena)
        return err_set(e, ERR_OOM, "answer: out of memory");
    if (store_view_begin(s, e) < 0)
        return -1;
    int64_t began = clock_ns();
    int found = read_all(s, r, e);
    v1_asked(r->call, "FindVulnerabilityNotification", began);
    store_view_end(s);
    return found;
}

/* ---- the reply: what is NULL for want of memory, v3_call() notices by the arena ---- */

/* Empty when unset. */
static char *time_text(struct call *c, int64_t t)
{
    char text[24] = "";
    if (t)
        snprintf(text, sizeof text, "%lld", (long long)t);
    return v3_text(c, str_from(text));
}

static Coreos__Clair__Vulnerability *make_vulnerability(struct call *c, const struct v1_vulnerability *v)
{
    Coreos__Clair__Vulnerability *m = arena_array(c->request->arena, Coreos__Clair__Vulnerability, 1);
    if (!m)
        return NULL;
    coreos__clair__vulnerability__init(m);
    m->name = v3_text(c, v->name);
    m->namespace_name = v3_text(c, v->namespace);
    m->description = v3_text(c, v->description);
    m->link = v3_text(c, v->link);
    m->severity = v3_text(c, v->severity);
    m->metadata = v3_text(c, v->metadata);
    return m;
}

static void add_names(struct call *c, const struct change_page *page, paged *m)
{
    m->ancestries = arena_array(c->request->arena, indexed_name *, page->count + 1);
    for (size_t i = 0; m->ancestries && i < page->count; i++) {
        indexed_name *n = arena_array(c->request->arena, indexed_name, 1);
        if (!n)
            return;
        coreos__clair__paged_vulnerable_ancestries__indexed_ancestry_name__init(n);
        n->index = page->names[i].id < INT32_MAX ? (int32_t)page->names[i].id : INT32_MAX;
        n->name = v3_text(c, page->names[i].name);
        m->ancestries[m->n_ancestries++] = n;
    }
}

/* NULL also when there is no such side. */
static paged *make_side(struct reading *r, const struct change_side *side, const struct change_page *page,
                        int64_t from, struct err *e)
{
    paged *m = side->known ? arena_array(r->call->request->arena, paged, 1) : NULL;
    if (!m)
        return NULL;
    coreos__clair__paged_vulnerable_ancestries__init(m);
    m->current_page = write_token(r->call, from, e);
    if (page->next != CHANGE_ENDED)
        m->next_page = write_token(r->call, page->next, e);
    m->limit = r->request->limit;
    m->vulnerability = make_vulnerability(r->call, &side->vulnerability);
    add_names(r->call, page, m);
    return m;
}

static const ProtobufCMessage *make_reply(struct reading *r, struct err *e)
{
    struct arena *arena = r->call->request->arena;
    const struct notification *from = &r->change.notification;
    Coreos__Clair__GetNotificationResponse *m = arena_array(arena, Coreos__Clair__GetNotificationResponse, 1);
    notification_message *n = arena_array(arena, notification_message, 1);
    if (!m || !n)
        return NULL;
    coreos__clair__get_notification_response__init(m);
    coreos__clair__get_notification_response__notification__init(n);
    n->name = v3_text(r->call, from->name);
    n->created = time_text(r->call, from->created);
    n->notified = time_text(r->call, from->notified);
    n->deleted = time_text(r->call, from->deleted);
    n->old = make_side(r, &r->change.old, &r->old, r->from[0], e);
    n->new_ = make_side(r, &r->change.new, &r->new, r->from[1], e);
    m->notification = n;
    return &m->base;
}

/* ---- the methods ---- */

static bool is_named(const char *name, struct v3_reply *ret)
{
    if (!*name)
        v3_fail(ret, GRPC_INVALID_ARGUMENT, STR("notification name should not be empty"));
    return *name;
}

static bool is_found(struct call *c, const char *name, int found, const struct err *e, struct v3_reply *ret)
{
    if (found < 0)
        v3_failure(c, ret, "failed to query the database.", e);
    else if (!found)
        v3_fail(ret, GRPC_NOT_FOUND,
                arena_printf(c->request->arena, "requested notification '%s' is not found", name));
    return found > 0;
}

void v3_get_notification(struct call *c, const ProtobufCMessage *request, struct v3_reply *ret)
{
    CLEANUP(reading_done) struct reading r = { .call = c, .request = (const get_request *)request };
    struct err e = { 0 }, bad = { 0 };
    if (!is_named(r.request->name, ret))
        return;
    if (r.request->limit < 1) {
        v3_fail(ret, GRPC_INVALID_ARGUMENT,
                STR("notification page limit should not be empty or less than 1"));
        return;
    }
    bool good = read_token(c, r.request->old_vulnerability_page, &r.from[0], &bad) == 0 &&
                read_token(c, r.request->new_vulnerability_page, &r.from[1], &bad) == 0;
    if (!is_found(c, r.request->name, v1_ask(c, ask, &r, &e), &e, ret))
        return;
    if (!good) {
        v3_failure(c, ret, "invalid or expired pagination token", &bad);
        return;
    }
    ret->message = make_reply(&r, &e);
    if (e.kind)
        v3_failure(c, ret, "failed to make a page token", &e);
}

/* It can still be read; a second time there is none. */
void v3_mark_notification_read(struct call *c, const ProtobufCMessage *request, struct v3_reply *ret)
{
    static const Coreos__Clair__MarkNotificationAsReadResponse done =
        COREOS__CLAIR__MARK_NOTIFICATION_AS_READ_RESPONSE__INIT;
    const char *name = ((const Coreos__Clair__MarkNotificationAsReadRequest *)request)->name;
    struct err e = { 0 };
    if (!is_named(name, ret))
        return;
    struct store *s = stores_take(c->api->stores, &e);
    int64_t began = clock_ns();
    int found = s ? store_notification_delete(s, str_from(name), &e) : -1;
    v1_asked(c, "DeleteNotification", began);
    stores_give(c->api->stores, s);
    if (is_found(c, name, found, &e, ret))
        ret->message = &done.base;
}
