/* push_clair.c - POST /v1/layers and GET /v1/layers/NAME?vulnerabilities, of any Clair 2. */
#include "base/cleanup.h"
#include "cmd/push.h"
#include "codec/json.h"
#include "net/http.h"

#define ANSWER_MAX  ((size_t)64 << 20)
#define MESSAGE_MAX ((size_t)64 << 10) /* of an answer that is shown to a person */
#define ROWS_MAX    250000u            /* as of a scan */

/* ---- what goes wrong ---- */

static int explain(struct buf *why, const char *what, const struct err *e)
{
    buf_printf(why, "%s %s", what, e->text);
    return -1;
}

int push_explain_answer(struct buf *why, const char *what, struct http *h)
{
    str chunk;
    struct err ignored = { 0 };
    size_t left = MESSAGE_MAX;
    buf_printf(why, "%s: Got response %u with message ", what, http_head(h)->status);
    while (left && http_read(h, &chunk, &ignored) > 0) {
        chunk = str_head(chunk, left);
        push_put_clean(why, chunk);
        left -= chunk.len;
    }
    return -1;
}

/* ---- post ---- */

str push_layer_url(const struct push_clair *c, str path)
{
    bool bare_six = strchr(c->ip, ':') && c->ip[0] != '[';
    return arena_printf(c->server->arena, "http://%s%s%s:%u" STR_FMT, bare_six ? "[" : "", c->ip,
                        bare_six ? "]" : "", c->port, STR_ARG(path));
}

static void layer_json(str name, str path, str parent, struct buf *out)
{
    struct json_writer w = { .out = out };
    json_w_object(&w);
    json_w_key(&w, "Layer");
    json_w_object(&w);
    json_w_text(&w, "Name", name);
    json_w_text(&w, "Path", path);
    if (parent.len)
        json_w_text(&w, "ParentName", parent);
    json_w_text(&w, "Format", STR("Docker"));
    json_w_object_end(&w);
    json_w_object_end(&w);
}

int push_clair_post(const struct push_server *s, str name, str path, str parent, struct buf *why)
{
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf body = { 0 };
    layer_json(name, path, parent, &body);
    if (body.failed)
        err_set(&e, ERR_OOM, "out of memory");
    CLEANUP(http_freep)
    struct http *h = e.kind ? NULL : push_ask(s, "POST", "/v1/layers", buf_view(&body), NULL, &e);
    if (!h)
        return explain(why, "Could not analyze layer: POST to Clair failed", &e);
    if (http_head(h)->status != 201)
        return push_explain_answer(why, "Could not analyze layer: Clair responded with a failure", h);
    return 0;
}

/* ---- get ---- */

struct body { /* an answer as a stream */
    struct stream base;
    struct http *h;
    size_t left;
};

static int next_of_body(struct stream *s, str *ret, struct err *e)
{
    struct body *b = (struct body *)s;
    int more = http_read(b->h, ret, e);
    if (more <= 0)
        return more;
    if (ret->len > b->left)
        return err_set(e, ERR_LIMIT, "more than %zu MiB", ANSWER_MAX >> 20);
    b->left -= ret->len;
    return 1;
}

struct answer {
    struct arena *arena;
    struct json *json;
    struct push_vulnerabilities *ret;
    bool has_layer, has_error;
    str message;
};

static int keep(struct answer *a, str *ret, struct err *e)
{
    str text;
    if (json_string(a->json, &text, e) < 0)
        return -1;
    *ret = arena_dup(a->arena, text);
    return arena_failed(a->arena) ? err_set(e, ERR_LIMIT, "too much text") : 0;
}

struct clair_scanner_row *push_row(struct push_vulnerabilities *v, struct arena *arena, struct err *e)
{
    if (v->count < ROWS_MAX)
        v->rows = arena_grow(arena, v->rows, v->count, &v->cap, sizeof *v->rows);
    if (v->count >= ROWS_MAX || !v->rows) {
        err_set(e, ERR_LIMIT, "more than %u vulnerabilities, or too many for the memory", ROWS_MAX);
        return NULL;
    }
    struct clair_scanner_row *r = &v->rows[v->count++];
    *r = (struct clair_scanner_row){ 0 };
    return r;
}

static int read_vulnerability(struct answer *a, struct err *e)
{
    str key;
    int more;
    struct clair_scanner_row *r = push_row(a->ret, a->arena, e);
    if (!r)
        return -1;
    while ((more = json_key(a->json, &key, e)) > 0) {
        str *field = str_eq(key, STR("Name"))            ? &r->vulnerability
                     : str_eq(key, STR("NamespaceName")) ? &r->namespace
                     : str_eq(key, STR("Description"))   ? &r->description
                     : str_eq(key, STR("Link"))          ? &r->link
                     : str_eq(key, STR("Severity"))      ? &r->severity
                     : str_eq(key, STR("FixedBy"))       ? &r->fixed_by
                                                         : NULL;
        if ((field ? keep(a, field, e) : json_skip(a->json, e)) < 0)
            return -1;
    }
    return more;
}

typedef int read_element(struct answer *a, struct err *e);

static int read_objects(struct answer *a, read_element *element, size_t *count, struct err *e)
{
    enum json_type type;
    str text;
    int more;
    if ((more = json_enter_or_null(a->json, JSON_ARRAY, e)) <= 0)
        return more;
    for (; (more = json_element(a->json, &type, &text, e)) > 0; ++*count) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object",
                           (unsigned long long)json_offset(a->json));
        if (element(a, e) < 0)
            return -1;
    }
    return more;
}

static int read_feature(struct answer *a, struct err *e)
{
    size_t first = a->ret->count, ignored = 0;
    str key, name = { 0 }, version = { 0 };
    int more;
    while ((more = json_key(a->json, &key, e)) > 0) {
        int r = str_eq(key, STR("Name"))              ? keep(a, &name, e)
                : str_eq(key, STR("Version"))         ? keep(a, &version, e)
                : str_eq(key, STR("Vulnerabilities")) ? read_objects(a, read_vulnerability, &ignored, e)
                                                      : json_skip(a->json, e);
        if (r < 0)
            return -1;
    }
    for (size_t i = first; i < a->ret->count; i++) /* only now: keys come in any order */
        a->ret->rows[i].feature = name, a->ret->rows[i].version = version;
    return more;
}

static int read_layer(struct answer *a, struct err *e)
{
    str key;
    int more;
    if ((more = json_enter_or_null(a->json, JSON_OBJECT, e)) <= 0)
        return more;
    a->has_layer = true;
    while ((more = json_key(a->json, &key, e)) > 0)
        if ((str_eq(key, STR("Features")) ? read_objects(a, read_feature, &a->ret->features, e)
                                          : json_skip(a->json, e)) < 0)
            return -1;
    return more;
}

static int read_error(struct answer *a, struct err *e)
{
    str key;
    int more;
    if ((more = json_enter_or_null(a->json, JSON_OBJECT, e)) <= 0)
        return more;
    a->has_error = true;
    while ((more = json_key(a->json, &key, e)) > 0)
        if ((str_eq(key, STR("Message")) ? keep(a, &a->message, e) : json_skip(a->json, e)) < 0)
            return -1;
    return more;
}

static int read_answer(struct answer *a, struct err *e)
{
    str key;
    int more;
    if (json_enter(a->json, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(a->json, &key, e)) > 0) {
        int r = str_eq(key, STR("Layer"))   ? read_layer(a, e)
                : str_eq(key, STR("Error")) ? read_error(a, e)
                                            : json_skip(a->json, e);
        if (r < 0)
            return -1;
    }
    if (more == 0 && !a->has_layer && !a->has_error)
        return err_set(e, ERR_FORMAT, "there is no Layer in it");
    return more;
}

static int decode(const struct push_server *s, struct http *h, struct push_vulnerabilities *ret,
                  struct buf *why)
{
    struct err e = { 0 };
    struct body body = { .base.next = next_of_body, .h = h, .left = ANSWER_MAX };
    CLEANUP(json_freep) struct json *j = json_new(&body.base, NULL, &e);
    struct answer a = { .arena = s->arena, .json = j, .ret = ret };
    if (!j || read_answer(&a, &e) < 0)
        return explain(why, "Fetch vulnerabilities, Could not decode response", &e);
    if (!a.has_error)
        return 0;
    buf_str(why, STR("Fetch vulnerabilities, Response contains errors "));
    push_put_clean(why, a.message);
    return -1;
}

int push_clair_get(const struct push_server *s, str name, struct push_vulnerabilities *ret, struct buf *why)
{
    struct err e = { 0 };
    str path = arena_printf(s->arena, "/v1/layers/" STR_FMT "?vulnerabilities", STR_ARG(name));
    if (!path.ptr)
        err_set(&e, ERR_OOM, "out of memory");
    CLEANUP(http_freep) struct http *h = e.kind ? NULL : push_ask(s, "GET", path.ptr, (str){ 0 }, NULL, &e);
    if (!h)
        return explain(why, "Fetch vulnerabilities, Clair responded with a failure", &e);
    if (http_head(h)->status != 200)
        return push_explain_answer(why, "Fetch vulnerabilities, Clair responded with a failure", h);
    return decode(s, h, ret, why);
}
