#include "api/v1_layer.h"

#include "api/v1_read.h"
#include "api/v1_vulnerability.h"

#define HEADERS_MAX 256

struct reading {
    struct v1_layer *to;
    struct v1_header *headers;
    bool given; /* there is a Layer */
};

static int add_header(struct reading *l, str key, str value, struct err *e)
{
    size_t i = 0, n = l->to->header_count;
    while (i < n && str_cmp(l->headers[i].key, key) < 0)
        i++;
    bool known = i < n && str_eq(l->headers[i].key, key);
    if (!known && n == HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d Headers", HEADERS_MAX);
    if (!known) {
        memmove(&l->headers[i + 1], &l->headers[i], (n - i) * sizeof *l->headers);
        l->to->header_count++;
    }
    l->headers[i] = (struct v1_header){ key, value };
    return 0;
}

static int read_header(struct v1_reading *r, str key, void *ctx, struct err *e)
{
    str value = STR("");
    return v1_read_text(r, "struct field Layer.Layer.Headers", &value, e) < 0
               ? -1
               : add_header(ctx, key, value, e);
}

static int read_headers(struct v1_reading *r, struct reading *l, struct err *e)
{
    bool ignored = false;
    l->headers = arena_array(r->arena, struct v1_header, HEADERS_MAX + 1);
    if (!l->headers)
        return err_set(e, ERR_OOM, "out of memory");
    l->to->headers = l->headers;
    l->to->header_count = 0;
    return v1_read_object(r, "struct field Layer.Layer.Headers", "map[string]string", read_header, l,
                          &ignored, e);
}

static int read_field(struct v1_reading *r, str key, void *ctx, struct err *e)
{
    struct reading *l = ctx;
    if (v1_named(key, "Name"))
        return v1_read_text(r, "struct field Layer.Layer.Name", &l->to->name, e);
    if (v1_named(key, "Path"))
        return v1_read_text(r, "struct field Layer.Layer.Path", &l->to->path, e);
    if (v1_named(key, "ParentName"))
        return v1_read_text(r, "struct field Layer.Layer.ParentName", &l->to->parent, e);
    if (v1_named(key, "Format"))
        return v1_read_text(r, "struct field Layer.Layer.Format", &l->to->format, e);
    if (v1_named(key, "Headers"))
        return read_headers(r, l, e);
    return v1_skip(r, e);
}

static int read_envelope(struct v1_reading *r, str key, void *ctx, struct err *e)
{
    struct reading *l = ctx;
    if (!v1_named(key, "Layer"))
        return v1_skip(r, e);
    return v1_read_object(r, "struct field LayerEnvelope.Layer", "v1.Layer", read_field, l, &l->given, e);
}

int v1_layer_read(const struct request *request, struct v1_layer *ret, struct err *e)
{
    struct reading l = { .to = ret };
    struct v1_reading r = { 0 };
    *ret = (struct v1_layer){ 0 };
    if (v1_read_body(&r, request, "v1.LayerEnvelope", read_envelope, &l, e) < 0)
        return -1;
    return l.given ? 0 : err_set(e, ERR_FORMAT, "failed to provide layer");
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
    v1_text(&w, "Name", l->name);
    v1_text(&w, "Path", l->path);
    write_headers(&w, l);
    v1_text(&w, "ParentName", l->parent);
    v1_text(&w, "Format", l->format);
    json_w_number(&w, "IndexedByVersion", engine);
    json_w_object_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
}
