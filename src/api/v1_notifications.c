/* v1_notifications.c - GET and DELETE /v1/notifications/{name}: what changed, and which layers brought what it is about (spec/api-v1.md 8). */
#include "api/internal.h"

#include "api/change.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>

#define ANSWER_MEMORY_MAX ((size_t)256 << 20)

struct reading {
    struct call *call;
    struct arena *arena;
    struct change change;
    int64_t limit;
    str page; /* the client's; empty: it wants the first one */
    int64_t from[2];
    struct change_page old, new; /* of layers */
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "answer: out of memory"); }

static void reading_done(struct reading *r) { arena_freep(&r->arena); }

/* ---- tokens ---- */

/* {"OldVulnerability":0,"NewVulnerability":12}. False: the answer is there. */
static bool read_page(struct reading *r)
{
    static const char *const keys[] = { "OldVulnerability", "NewVulnerability" };
    struct err e = { 0 };
    str text;
    if (!v1_page(r->call, &r->page, &text))
        return false;
    return !r->page.len || change_token(text, keys, 2, r->from, &e) == 0 || v1_page_refuse(r->call);
}

static int write_token(const struct reading *r, int64_t old, int64_t new, const char *key,
                       struct json_writer *w, struct err *e)
{
    char text[96];
    snprintf(text, sizeof text, "{\"OldVulnerability\":%lld,\"NewVulnerability\":%lld}\n", (long long)old,
             (long long)new);
    return v1_page_write(r->call, key, text, w, e);
}

/* ---- reading ---- */

static int read_all(struct store *s, struct reading *r, struct err *e)
{
    const struct change *c = &r->change;
    int found = change_find(s, r->call->parameters[0], r->arena, &r->change, e);
    if (found <= 0)
        return found;
    if (change_page(s, c, &c->old, store_introducing, r->from[0], r->limit, r->arena, &r->old, e) < 0 ||
        change_page(s, c, &c->new, store_introducing, r->from[1], r->limit, r->arena, &r->new, e) < 0)
        return -1;
    return arena_failed(r->arena) ? oom(e) : 1;
}

static int ask(struct store *s, void *ctx, struct err *e)
{
    struct reading *r = ctx;
    arena_freep(&r->arena);
    r->arena = arena_new(ANSWER_MEMORY_MAX);
    if (!r->arena)
        return oom(e);
    if (store_view_begin(s, e) < 0)
        return -1;
    int64_t began = clock_ns();
    int found = read_all(s, r, e);
    v1_asked(r->call, "GetNotification", began);
    store_view_end(s);
    return found;
}

/* ---- writing ---- */

/* As a text: so the old server had it. */
static void put_time(struct json_writer *w, const char *key, int64_t t)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)t);
    v1_text(w, key, t ? str_from(text) : STR(""));
}

static void put_layers(struct json_writer *w, const struct change_page *s)
{
    json_w_key(w, "OrderedLayersIntroducingVulnerability");
    json_w_array(w);
    for (size_t i = 0; i < s->count; i++) {
        json_w_object(w);
        json_w_number(w, "Index", s->names[i].id);
        json_w_text(w, "LayerName", s->names[i].name);
        json_w_object_end(w);
    }
    json_w_array_end(w);
    json_w_key(w, "LayersIntroducingVulnerability");
    json_w_array(w);
    for (size_t i = 0; i < s->count; i++)
        json_w_str(w, s->names[i].name);
    json_w_array_end(w);
}

static void put_side(struct json_writer *w, const char *key, const struct change_side *side,
                     const struct change_page *s)
{
    if (!side->known)
        return;
    json_w_key(w, key);
    json_w_object(w);
    json_w_key(w, "Vulnerability");
    v1_vulnerability_write(w, &side->vulnerability, true);
    if (s->count)
        put_layers(w, s);
    json_w_object_end(w);
}

static int write_answer(const struct reading *r, struct buf *out, struct err *e)
{
    const struct notification *n = &r->change.notification;
    struct json_writer w = { .out = out, .go = true };
    json_w_object(&w);
    json_w_key(&w, "Notification");
    json_w_object(&w);
    v1_text(&w, "Name", n->name);
    put_time(&w, "Created", n->created);
    put_time(&w, "Notified", n->notified);
    put_time(&w, "Deleted", n->deleted);
    if (r->limit) {
        json_w_number(&w, "Limit", r->limit);
    }
    if (r->page.len)
        v1_text(&w, "Page", r->page);
    else if (write_token(r, 0, 0, "Page", &w, e) < 0)
        return -1;
    bool ended = r->old.next == CHANGE_ENDED && r->new.next == CHANGE_ENDED;
    if (!ended && write_token(r, r->old.next, r->new.next, "NextPage", &w, e) < 0)
        return -1;
    put_side(&w, "Old", &r->change.old, &r->old);
    put_side(&w, "New", &r->change.new, &r->new);
    json_w_object_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
    return 0;
}

void v1_get_notification(struct call *c)
{
    struct err e = { 0 };
    CLEANUP(reading_done) struct reading r = { .call = c };
    if (!v1_limit(c, &r.limit) || !read_page(&r))
        return;
    if (r.limit < -1) {
        v1_error(c, 400, STR("limit value should not be less than -1"));
        return;
    }
    int found = v1_ask(c, ask, &r, &e);
    if (found > 0 && write_answer(&r, &c->response->body, &e) < 0)
        found = -1;
    if (v1_found(c, found, &e))
        v1_headers(c, 200);
}

/* It may be said twice, as long as it is there. */
void v1_delete_notification(struct call *c)
{
    struct err e = { 0 };
    struct notification n;
    struct store *s = stores_take(c->api->stores, &e);
    int64_t began = clock_ns();
    int found = s ? store_notification_delete(s, c->parameters[0], &e) : -1;
    if (found == 0)
        found = store_notification_find(s, c->parameters[0], c->request->arena, &n, &e);
    v1_asked(c, "DeleteNotification", began);
    stores_give(c->api->stores, s);
    if (v1_found(c, found, &e))
        c->response->status = 200; /* empty, without Server */
}
