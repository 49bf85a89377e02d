#include "api/v1_layer.h"

#include "base/cleanup.h"
#include "codec/json.h"

#include <stdlib.h>
#include <strings.h>

#define HEADERS_MAX 256

struct reading {
    struct json *j;
    struct arena *arena;
    struct v1_layer *to;
    struct v1_header *headers;
    bool given;       /* there is a Layer */
    struct err wrong; /* the first value of a wrong type: Go goes on and tells it at the end */
};

static const char *kind_of(enum json_type t)
{
    switch (t) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_NUMBER:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "bool";
    case JSON_NULL:
    case JSON_KEY:
    case JSON_END:
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        break;
    }
    return "null";
}

/* A value that does not fit is passed over and remembered, null is passed over. */
static int mismatch(struct reading *r, enum json_type t, const char *where, const char *type, struct err *e)
{
    if (t != JSON_NULL && !r->wrong.kind)
        err_set(&r->wrong, ERR_FORMAT, "json: cannot unmarshal %s into Go %s of type %s", kind_of(t), where,
                type);
    return json_skip_rest(r->j, t, e);
}

static bool named(str key, const char *name)
{
    return key.len == strlen(name) && !strncasecmp(key.ptr, name, key.len);
}

static int read_text(struct reading *r, const char *where, str *to, struct err *e)
{
    enum json_type t;
    str text;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    if (t != JSON_STRING)
        return mismatch(r, t, where, "string", e);
    *to = arena_dup(r->arena, text);
    return 0;
}

static int add_header(struct reading *r, str key, str value, struct err *e)
{
    size_t i = 0, n = r->to->header_count;
    while (i < n && str_cmp(r->headers[i].key, key) < 0)
        i++;
    bool known = i < n && str_eq(r->headers[i].key, key);
    if (!known && n == HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d Headers", HEADERS_MAX);
    if (!known) {
        memmove(&r->headers[i + 1], &r->headers[i], (n - i) * sizeof *r->headers);
        r->to->header_count++;
    }
    r->headers[i] = (struct v1_header){ key, value };
    return 0;
}

static int read_headers(struct reading *r, struct err *e)
{
    enum json_type t;
    str key, text;
    int more;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    if (t != JSON_OBJECT)
        return mismatch(r, t, "struct field Layer.Layer.Headers", "map[string]string", e);
    r->headers = arena_array(r->arena, struct v1_header, HEADERS_MAX + 1);
    if (!r->headers)
        return err_set(e, ERR_OOM, "out of memory");
    r->to->headers = r->headers;
    r->to->header_count = 0;
    while ((more = json_key(r->j, &key, e)) > 0) {
        str value = STR(""), name = arena_dup(r->arena, key);
        if (read_text(r, "struct field Layer.Layer.Headers", &value, e) < 0 ||
            add_header(r, name, value, e) < 0)
            return -1;
    }
    return more;
}

static int read_field(struct reading *r, str key, struct err *e)
{
    struct v1_layer *l = r->to;
    if (named(key, "Name"))
        return read_text(r, "struct field Layer.Layer.Name", &l->name, e);
    if (named(key, "Path"))
        return read_text(r, "struct field Layer.Layer.Path", &l->path, e);
    if (named(key, "ParentName"))
        return read_text(r, "struct field Layer.Layer.ParentName", &l->parent, e);
    if (named(key, "Format"))
        return read_text(r, "struct field Layer.Layer.Format", &l->format, e);
    if (named(key, "Headers"))
        return read_headers(r, e);
    return json_skip(r->j, e);
}

static int read_layer(struct reading *r, struct err *e)
{
    enum json_type t;
    str key, text;
    int more;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    if (t == JSON_NULL)
        r->given = false;
    if (t != JSON_OBJECT)
        return mismatch(r, t, "struct field LayerEnvelope.Layer", "v1.Layer", e);
    r->given = true;
    while ((more = json_key(r->j, &key, e)) > 0)
        if (read_field(r, key, e) < 0)
            return -1;
    return more;
}

static int read_envelope(struct reading *r, struct err *e)
{
    enum json_type t;
    str key, text;
    int more;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    if (t != JSON_OBJECT)
        return mismatch(r, t, "value", "v1.LayerEnvelope", e);
    while ((more = json_key(r->j, &key, e)) > 0)
        if ((named(key, "Layer") ? read_layer(r, e) : json_skip(r->j, e)) < 0)
            return -1;
    return more;
}

/* The body bounds its texts; Go's decoder goes deeper than anybody needs. */
static struct json *open_body(str body, struct stream **in, struct err *e)
{
    struct json_limits limits = { .max_depth = 1000, .max_text = body.len + 1 };
    *in = stream_from_mem(body, e);
    return *in ? json_new(*in, &limits, e) : NULL;
}

/* Go looks at the syntax of the whole value before it looks at what it says. */
static int check_syntax(str body, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = NULL;
    CLEANUP(json_freep) struct json *j = open_body(body, &in, e);
    if (!j)
        return -1;
    if (json_skip(j, e) == 0)
        return 0;
    if (e->kind == ERR_FORMAT && json_offset(j) >= body.len)
        return err_set(e, ERR_FORMAT, "%s", str_trim(body).len ? "unexpected EOF" : "EOF");
    return -1;
}

static int read_body(struct reading *r, str body, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = NULL;
    CLEANUP(json_freep) struct json *j = open_body(body, &in, e);
    r->j = j;
    return j ? read_envelope(r, e) : -1;
}

int v1_layer_read(const struct request *request, struct v1_layer *ret, struct err *e)
{
    struct reading r = { .arena = request->arena, .to = ret };
    *ret = (struct v1_layer){ 0 };
    if (check_syntax(request->body, e) < 0 || read_body(&r, request->body, e) < 0)
        return -1;
    if (arena_failed(r.arena))
        return err_set(e, ERR_OOM, "out of memory");
    if (r.wrong.kind) {
        *e = r.wrong;
        return -1;
    }
    return r.given ? 0 : err_set(e, ERR_FORMAT, "failed to provide layer");
}

static void text(struct json_writer *w, const char *key, str value)
{
    if (!value.len)
        return;
    json_w_key(w, key);
    json_w_str(w, value);
}

static void write_headers(struct json_writer *w, const struct v1_layer *l)
{
    if (!l->header_count)
        return;
    json_w_key(w, "Headers");
    json_w_object(w);
    for (size_t i = 0; i < l->header_count; i++) {
        json_w_key_str(w, l->headers[i].key);
        json_w_str(w, l->headers[i].value);
    }
    json_w_object_end(w);
}

void v1_layer_write(const struct v1_layer *l, unsigned engine, struct buf *out)
{
    struct json_writer w = { .out = out, .go = true };
    json_w_object(&w);
    json_w_key(&w, "Layer");
    json_w_object(&w);
    text(&w, "Name", l->name);
    text(&w, "Path", l->path);
    write_headers(&w, l);
    text(&w, "ParentName", l->parent);
    text(&w, "Format", l->format);
    json_w_key(&w, "IndexedByVersion");
    json_w_int(&w, engine);
    json_w_object_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
}
