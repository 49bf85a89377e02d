/* v1_notifications.c - GET and DELETE of notifications (spec/api-v1.md 8, 9). */
#include "api/internal.h"

#include "api/path.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/fernet.h"

#include <stdlib.h>

#define ANSWER_MEMORY_MAX ((size_t)1 << 30)
#define PAGE_MAX          10000 /* layers of a page, whatever its client asks for */
#define TOKEN_AGE_S       3600
#define FINISHED          (-1)

enum { OLD, NEW, SIDES };
static const char *const side_names[SIDES] = { "Old", "New" };
static const char *const token_names[SIDES] = { "OldVulnerability", "NewVulnerability" };

struct side {
    int64_t from, next; /* number of a layer, or FINISHED */
    bool there;
    struct v1_vulnerability vulnerability;
    struct introducing_layer *layers;
    size_t count;
};

struct notice {
    struct call *call;
    struct arena *arena;
    str page; /* as the client sent it; empty: the first */
    int64_t limit, from[SIDES];
    struct notification n;
    struct side sides[SIDES];
};

static void notice_done(struct notice *n) { arena_freep(&n->arena); }

static int oom(struct err *e) { return err_set(e, ERR_OOM, "answer: out of memory"); }

/* ---- the page token ---- */

static bool to_place(str text, int64_t *ret)
{
    uint64_t n;
    if (str_eq(text, STR("-1"))) {
        *ret = FINISHED;
        return true;
    }
    if (!str_to_u64(text, &n) || n > INT64_MAX)
        return false;
    *ret = (int64_t)n;
    return true;
}

/* {"OldVulnerability":0,"NewVulnerability":12} */
static int read_places(str text, int64_t ret[SIDES], struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    str key, number;
    enum json_type type;
    int more = 0;
    if (!j || json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        int side = str_eq(key, str_from(token_names[OLD])) ? OLD : NEW;
        bool known = str_eq(key, str_from(token_names[side]));
        if (json_next(j, &type, &number, e) < 0)
            return -1;
        if (!known || type != JSON_NUMBER || !to_place(number, &ret[side]))
            return err_set(e, ERR_FORMAT, "a page token of something else");
    }
    return more;
}

/* False: the answer is there. */
static bool read_page(struct notice *n)
{
    struct call *c = n->call;
    struct arena *arena = c->request->arena;
    struct err e = { 0 };
    str text;
    if (!query_has(c->request->query, STR("page")))
        return true;
    if (query_value(c->request->query, STR("page"), arena, &n->page) && n->page.len &&
        fernet_open(c->options->pagination_key, n->page, clock_now(), TOKEN_AGE_S, arena, &text, &e) == 0 &&
        read_places(text, n->from, &e) == 0)
        return true;
    v1_error(c, 400, STR("invalid page format: invalid or expired pagination token"));
    return false;
}

static int write_token(const struct notice *n, struct json_writer *w, const char *key, int64_t old,
                       int64_t new, struct err *e)
{
    CLEANUP(buf_done) struct buf text = { 0 }, token = { 0 };
    buf_printf(&text, "{\"%s\":%lld,\"%s\":%lld}\n", token_names[OLD], (long long)old, token_names[NEW],
               (long long)new);
    if (fernet_seal(n->call->options->pagination_key, buf_view(&text), clock_now(), &token, e) < 0)
        return -1;
    json_w_key(w, key);
    json_w_str(w, buf_view(&token));
    return 0;
}

/* ---- reading ---- */

static int read_side(struct notice *n, struct store *s, struct side *side, int64_t advisory, struct err *e)
{
    struct stored_advisory said;
    size_t limit = n->limit < 0 ? 0 : n->limit < PAGE_MAX ? (size_t)n->limit : PAGE_MAX;
    int found = advisory ? store_advisory_get(s, advisory, n->arena, &said, e) : 0;
    side->next = FINISHED;
    if (found <= 0)
        return found;
    side->there = v1_vulnerability_of(&said, 1, n->n.namespace, n->arena, &side->vulnerability);
    if (!side->there || side->from == FINISHED || n->limit < 0)
        return arena_failed(n->arena) ? oom(e) : 0;
    return store_introducing(s, advisory, n->n.namespace, side->from, limit, n->arena, &side->layers,
                             &side->count, &side->next, e);
}

static int ask(struct store *s, void *ctx, struct err *e)
{
    struct notice *n = ctx;
    arena_freep(&n->arena);
    n->arena = arena_new(ANSWER_MEMORY_MAX);
    memset(n->sides, 0, sizeof n->sides);
    for (int i = 0; i < SIDES; i++)
        n->sides[i].from = n->from[i];
    if (!n->arena)
        return oom(e);
    if (store_view_begin(s, e) < 0)
        return -1;
    int found = store_notification_find(s, n->call->parameters[0], n->arena, &n->n, e);
    if (found > 0 && n->limit >= -1 &&
        (read_side(n, s, &n->sides[OLD], n->n.before, e) < 0 ||
         read_side(n, s, &n->sides[NEW], n->n.after, e) < 0))
        found = -1;
    store_view_end(s);
    return found;
}

/* ---- writing ---- */

static void write_time(struct json_writer *w, const char *key, int64_t seconds, bool always)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)seconds);
    if (!seconds && !always)
        return;
    json_w_key(w, key);
    json_w_str(w, str_of(text, (size_t)n));
}

static void write_layers(struct json_writer *w, const struct side *s)
{
    if (!s->count)
        return;
    json_w_key(w, "OrderedLayersIntroducingVulnerability");
    json_w_array(w);
    for (size_t i = 0; i < s->count; i++) {
        json_w_object(w);
        json_w_key(w, "Index");
        json_w_int(w, s->layers[i].id);
        v1_text(w, "LayerName", s->layers[i].name);
        json_w_object_end(w);
    }
    json_w_array_end(w);
    json_w_key(w, "LayersIntroducingVulnerability");
    json_w_array(w);
    for (size_t i = 0; i < s->count; i++)
        json_w_str(w, s->layers[i].name);
    json_w_array_end(w);
}

static void write_side(struct json_writer *w, const char *key, const struct side *s)
{
    if (!s->there)
        return;
    json_w_key(w, key);
    json_w_object(w);
    json_w_key(w, "Vulnerability");
    v1_vulnerability_write(w, &s->vulnerability, true);
    write_layers(w, s);
    json_w_object_end(w);
}

static int write_pages(const struct notice *n, struct json_writer *w, struct err *e)
{
    int64_t old = n->sides[OLD].next, new = n->sides[NEW].next;
    if (!n->page.len) {
        if (write_token(n, w, "Page", 0, 0, e) < 0)
            return -1;
    } else {
        v1_text(w, "Page", n->page);
    }
    return old == FINISHED && new == FINISHED ? 0 : write_token(n, w, "NextPage", old, new, e);
}

static int write_notice(const struct notice *n, struct buf *out, struct err *e)
{
    struct json_writer w = { .out = out, .go = true };
    json_w_object(&w);
    json_w_key(&w, "Notification");
    json_w_object(&w);
    v1_text(&w, "Name", n->n.name);
    write_time(&w, "Created", n->n.created, true);
    write_time(&w, "Notified", n->n.notified, false);
    write_time(&w, "Deleted", n->n.deleted, false);
    if (n->limit) {
        json_w_key(&w, "Limit");
        json_w_int(&w, n->limit);
    }
    if (write_pages(n, &w, e) < 0)
        return -1;
    for (int i = 0; i < SIDES; i++)
        write_side(&w, side_names[i], &n->sides[i]);
    json_w_object_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
    return 0;
}

void v1_get_notification(struct call *c)
{
    struct err e = { 0 };
    CLEANUP(notice_done) struct notice n = { .call = c };
    if (!v1_limit(c, &n.limit) || !read_page(&n))
        return;
    int found = v1_ask(c, ask, &n, &e);
    if (found > 0 && n.limit < -1) /* as Clair's database said */
        v1_error(c, 500, STR("database: an error occured when querying the backend"));
    else if (found < 0 || (found > 0 && write_notice(&n, &c->response->body, &e) < 0))
        v1_failure(c, &e);
    else if (!found)
        v1_not_found(c);
    else
        v1_headers(c, 200);
}

void v1_delete_notification(struct call *c)
{
    struct err e = { 0 };
    struct notification n;
    str name = c->parameters[0];
    struct store *s = stores_take(c->api->stores, &e);
    int found = s ? store_notification_find(s, name, c->request->arena, &n, &e) : -1;
    if (found > 0 && !n.deleted)
        found = store_notification_delete(s, name, &e) < 0 ? -1 : 1;
    stores_give(c->api->stores, s);
    if (found < 0)
        v1_failure(c, &e);
    else if (!found)
        v1_not_found(c);
    else
        c->response->status = 200; /* empty, without Server */
}
