/* v1_notifications.c - GET and DELETE /v1/notifications/{name}: what changed, and which layers brought what it is about (spec/api-v1.md 8). */
#include "api/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/stream.h"

#define ANSWER_MEMORY_MAX ((size_t)256 << 20)
#define PAGE_MAX          10000 /* layers of a side, whatever its client asks for: there is a next page */
#define ENDED             (-1)  /* in a token: nothing of that side is left */

/* The vulnerability as it was, or as it is. */
struct side {
    int64_t advisory; /* 0: there is none */
    struct stored_advisory said;
    bool known; /* `vulnerability` is there */
    struct v1_vulnerability vulnerability;
    int64_t next; /* the number of a layer; ENDED */
    struct affected_name *layers;
    size_t layer_count;
};

struct reading {
    struct call *call;
    struct arena *arena;
    struct notification notification;
    int64_t limit;
    str page; /* the client's; empty: it wants the first one */
    int64_t from[2];
    struct side old, new;
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "answer: out of memory"); }

static void reading_done(struct reading *r) { arena_freep(&r->arena); }

/* ---- tokens ---- */

/* {"OldVulnerability":0,"NewVulnerability":12} */
static int read_token(str text, int64_t from[2], struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, &(struct json_limits){ 4, 64 }, e) : NULL;
    enum json_type type;
    str key, value;
    int more;
    if (!j || json_next(j, &type, &value, e) < 0)
        return -1;
    if (type != JSON_OBJECT)
        return err_set(e, ERR_FORMAT, "no object");
    while ((more = json_key(j, &key, e)) > 0) {
        int side = str_eq(key, STR("OldVulnerability")) ? 0 : str_eq(key, STR("NewVulnerability")) ? 1 : -1;
        uint64_t n;
        if (side < 0 ? json_skip(j, e) < 0 : json_next(j, &type, &value, e) < 0)
            return -1;
        if (side < 0)
            continue;
        bool ended = type == JSON_NUMBER && str_eq(value, STR("-1"));
        if (!ended && (type != JSON_NUMBER || !str_to_u64(value, &n) || n > INT64_MAX))
            return err_set(e, ERR_FORMAT, "no number of a layer");
        from[side] = ended ? ENDED : (int64_t)n;
    }
    return more;
}

/* False: the answer is there. */
static bool read_page(struct reading *r)
{
    struct err e = { 0 };
    str text;
    if (!v1_page(r->call, &r->page, &text))
        return false;
    return !r->page.len || read_token(text, r->from, &e) == 0 || v1_page_refuse(r->call);
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

static void show(struct reading *r, struct side *s)
{
    s->known = s->advisory &&
               v1_vulnerability_of(&s->said, 1, r->notification.namespace, r->arena, &s->vulnerability);
}

static int read_said(struct store *s, struct reading *r, struct side *side, int64_t id, struct err *e)
{
    side->advisory = id;
    if (!id)
        return 0;
    int found = store_advisory_get(s, id, r->arena, &side->said, e);
    if (!found)
        side->advisory = 0; /* it has been let go */
    return found < 0 ? -1 : 0;
}

/* One more than is wanted tells where the next page begins. */
static int read_layers(struct store *s, struct reading *r, struct side *side, int64_t from, struct err *e)
{
    side->next = ENDED;
    if (!side->known || from == ENDED || r->limit < 0)
        return 0;
    size_t wanted = (size_t)(r->limit < PAGE_MAX ? r->limit : PAGE_MAX);
    if (store_introducing(s, side->advisory, r->notification.namespace, from, wanted + 1, r->arena,
                          &side->layers, &side->layer_count, e) < 0)
        return -1;
    if (side->layer_count > wanted) {
        side->layer_count = wanted;
        side->next = side->layers[wanted].id;
    }
    return 0;
}

static int read_all(struct store *s, struct reading *r, struct err *e)
{
    int found = store_notification_find(s, r->call->parameters[0], r->arena, &r->notification, e);
    if (found <= 0)
        return found;
    if (read_said(s, r, &r->old, r->notification.before, e) < 0 ||
        read_said(s, r, &r->new, r->notification.after, e) < 0)
        return -1;
    show(r, &r->old);
    show(r, &r->new);
    if (read_layers(s, r, &r->old, r->from[0], e) < 0 || read_layers(s, r, &r->new, r->from[1], e) < 0)
        return -1;
    return arena_failed(r->arena) ? oom(e) : 1;
}

static int ask(struct store *s, void *ctx, struct err *e)
{
    struct reading *r = ctx;
    arena_freep(&r->arena);
    r->arena = arena_new(ANSWER_MEMORY_MAX);
    r->old = r->new = (struct side){ 0 };
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

static void put_layers(struct json_writer *w, const struct side *s)
{
    json_w_key(w, "OrderedLayersIntroducingVulnerability");
    json_w_array(w);
    for (size_t i = 0; i < s->layer_count; i++) {
        json_w_object(w);
        json_w_number(w, "Index", s->layers[i].id);
        json_w_text(w, "LayerName", s->layers[i].name);
        json_w_object_end(w);
    }
    json_w_array_end(w);
    json_w_key(w, "LayersIntroducingVulnerability");
    json_w_array(w);
    for (size_t i = 0; i < s->layer_count; i++)
        json_w_str(w, s->layers[i].name);
    json_w_array_end(w);
}

static void put_side(struct json_writer *w, const char *key, const struct side *s)
{
    if (!s->known)
        return;
    json_w_key(w, key);
    json_w_object(w);
    json_w_key(w, "Vulnerability");
    v1_vulnerability_write(w, &s->vulnerability, true);
    if (s->layer_count)
        put_layers(w, s);
    json_w_object_end(w);
}

static int write_answer(const struct reading *r, struct buf *out, struct err *e)
{
    const struct notification *n = &r->notification;
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
    bool ended = r->old.next == ENDED && r->new.next == ENDED;
    if (!ended && write_token(r, r->old.next, r->new.next, "NextPage", &w, e) < 0)
        return -1;
    put_side(&w, "Old", &r->old);
    put_side(&w, "New", &r->new);
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
