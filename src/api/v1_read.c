#include "api/v1_read.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <strings.h>

#define DEPTH_MAX 1000 /* Go's decoder goes deeper than anybody needs */

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
static int mismatch(struct v1_reading *r, enum json_type t, const char *where, const char *type,
                    struct err *e)
{
    if (t != JSON_NULL && !r->wrong.kind)
        err_set(&r->wrong, ERR_FORMAT, "json: cannot unmarshal %s into Go %s of type %s", kind_of(t), where,
                type);
    return json_skip_rest(r->j, t, e);
}

static void check_text(struct v1_reading *r, str text, const char *where)
{
    if (r->no_nul && text.len && memchr(text.ptr, '\0', text.len) && !r->wrong.kind)
        err_set(&r->wrong, ERR_FORMAT, "U+0000 in %s", where);
}

bool v1_named(str key, const char *name)
{
    return key.len == strlen(name) && !strncasecmp(key.ptr, name, key.len);
}

int v1_skip(struct v1_reading *r, struct err *e) { return json_skip(r->j, e); }

int v1_read_text(struct v1_reading *r, const char *where, str *to, struct err *e)
{
    enum json_type t;
    str text;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    if (t != JSON_STRING)
        return mismatch(r, t, where, "string", e);
    check_text(r, text, where);
    *to = arena_dup(r->arena, text);
    return 0;
}

int v1_read_rest(struct v1_reading *r, enum json_type first, const char *where, const char *type,
                 v1_member *member, void *ctx, struct err *e)
{
    str key;
    int more;
    if (first != JSON_OBJECT)
        return mismatch(r, first, where, type, e);
    while ((more = json_key(r->j, &key, e)) > 0) {
        str kept = arena_dup(r->arena, key); /* the key lives until its value is read */
        if (member(r, kept, ctx, e) < 0)
            return -1;
    }
    return more;
}

int v1_read_object(struct v1_reading *r, const char *where, const char *type, v1_member *member, void *ctx,
                   bool *given, struct err *e)
{
    enum json_type t;
    str text;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    *given = t == JSON_OBJECT || (t != JSON_NULL && *given);
    return v1_read_rest(r, t, where, type, member, ctx, e);
}

int v1_read_list(struct v1_reading *r, const char *where, const char *type,
                 int (*element)(struct v1_reading *r, enum json_type first, void *ctx, struct err *e),
                 void *ctx, struct err *e)
{
    enum json_type t;
    str text;
    int more;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    if (t != JSON_ARRAY)
        return mismatch(r, t, where, type, e);
    while ((more = json_element(r->j, &t, &text, e)) > 0)
        if (element(r, t, ctx, e) < 0)
            return -1;
    return more;
}

/* ---- any object ---- */

struct member { /* of an object that is being read: where it stands in the output */
    str key;
    size_t from, to, number;
};

struct map {
    struct v1_reading *r;
    const char *where;
    struct buf out, work;
    struct member *members; /* of all objects around this place, the innermost last */
    size_t count, cap;
};

static int any_value(struct map *m, enum json_type t, str text, struct err *e);

static int by_key(const void *pa, const void *pb)
{
    const struct member *a = pa, *b = pb;
    int r = str_cmp(a->key, b->key);
    return r ? r : (a->number > b->number) - (a->number < b->number);
}

/* Members as they should stand, in place of those from `from` on. */
static void sort_members(struct map *m, size_t first, size_t from)
{
    struct member *list = m->members + first;
    size_t count = m->count - first, next;
    bool sorted = true;
    for (size_t i = 1; i < count; i++)
        sorted &= str_cmp(list[i - 1].key, list[i].key) < 0;
    if (sorted)
        return;
    qsort(list, count, sizeof *list, by_key);
    buf_clear(&m->work);
    for (size_t i = 0; i < count; i = next) {
        for (next = i + 1; next < count && str_eq(list[i].key, list[next].key);)
            next++;
        const struct member *last = &list[next - 1];
        if (m->work.len)
            buf_char(&m->work, ',');
        buf_add(&m->work, m->out.ptr + last->from, last->to - last->from);
    }
    m->out.failed |= m->work.failed;
    if (m->out.failed)
        return;
    m->out.len = from;
    buf_str(&m->out, buf_view(&m->work));
}

static int any_object(struct map *m, struct err *e)
{
    enum json_type t;
    str key, text;
    int more;
    buf_char(&m->out, '{');
    size_t first = m->count, from = m->out.len;
    while ((more = json_key(m->r->j, &key, e)) > 0) {
        if (m->count > first)
            buf_char(&m->out, ',');
        m->members = arena_grow(m->r->arena, m->members, m->count, &m->cap, sizeof *m->members);
        if (!m->members)
            return err_set(e, ERR_OOM, "out of memory");
        size_t at = m->count++;
        m->members[at] =
            (struct member){ .key = arena_dup(m->r->arena, key), .from = m->out.len, .number = at };
        check_text(m->r, key, m->where);
        struct json_writer w = { .out = &m->out, .go = true };
        json_w_key_str(&w, key);
        if (json_next(m->r->j, &t, &text, e) < 0 || any_value(m, t, text, e) < 0)
            return -1;
        m->members[at].to = m->out.len;
    }
    if (more < 0)
        return -1;
    sort_members(m, first, from);
    m->count = first;
    buf_char(&m->out, '}');
    return 0;
}

static int any_array(struct map *m, struct err *e)
{
    enum json_type t;
    str text;
    int more;
    bool comma = false;
    buf_char(&m->out, '[');
    while ((more = json_element(m->r->j, &t, &text, e)) > 0) {
        if (comma)
            buf_char(&m->out, ',');
        comma = true;
        if (any_value(m, t, text, e) < 0)
            return -1;
    }
    buf_char(&m->out, ']');
    return more;
}

static int any_value(struct map *m, enum json_type t, str text, struct err *e)
{
    struct json_writer w = { .out = &m->out, .go = true };
    if (t == JSON_OBJECT)
        return any_object(m, e);
    if (t == JSON_ARRAY)
        return any_array(m, e);
    if (t == JSON_STRING) {
        check_text(m->r, text, m->where);
        json_w_str(&w, text);
    } else if (t == JSON_NUMBER) {
        json_w_raw(&w, text);
    } else {
        json_w_raw(&w, t == JSON_TRUE ? STR("true") : t == JSON_FALSE ? STR("false") : STR("null"));
    }
    return 0;
}

static void map_done(struct map *m)
{
    buf_done(&m->out);
    buf_done(&m->work);
}

int v1_read_map(struct v1_reading *r, const char *where, str *to, struct err *e)
{
    CLEANUP(map_done) struct map m = { .r = r, .where = where };
    enum json_type t;
    str text;
    if (json_next(r->j, &t, &text, e) < 0)
        return -1;
    if (t == JSON_NULL)
        *to = (str){ 0 };
    if (t != JSON_OBJECT)
        return mismatch(r, t, where, "map[string]interface {}", e);
    if (any_object(&m, e) < 0)
        return -1;
    if (m.out.failed)
        return err_set(e, ERR_OOM, "out of memory");
    *to = m.out.len > 2 ? arena_dup(r->arena, buf_view(&m.out)) : (str){ 0 };
    return 0;
}

/* ---- the body ---- */

/* It bounds its texts itself. */
static struct json *open_body(str body, struct stream **in, struct err *e)
{
    struct json_limits limits = { .max_depth = DEPTH_MAX, .max_text = body.len + 1 };
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

int v1_read_body(struct v1_reading *r, const struct request *request, const char *type, v1_member *member,
                 void *ctx, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = NULL;
    bool ignored = false;
    r->arena = request->arena;
    if (check_syntax(request->body, e) < 0)
        return -1;
    CLEANUP(json_freep) struct json *j = open_body(request->body, &in, e);
    r->j = j;
    if (!j || v1_read_object(r, "value", type, member, ctx, &ignored, e) < 0)
        return -1;
    if (arena_failed(r->arena))
        return err_set(e, ERR_OOM, "out of memory");
    if (!r->wrong.kind)
        return 0;
    *e = r->wrong;
    return -1;
}
