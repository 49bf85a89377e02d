/* bundle_manifest.c - what a bundle says of itself. */
#include "base/cleanup.h"
#include "codec/json.h"
#include "feed/bundle.h"
#include "feed/feed.h"

#include <stdlib.h>

void bundle_manifest_write(const struct bundle_manifest *m, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_object(&w);
    json_w_number(&w, "format", BUNDLE_FORMAT);
    json_w_number(&w, "created", m->created);
    json_w_number(&w, "generation", m->generation);
    json_w_key(&w, "sources");
    json_w_array(&w);
    for (size_t i = 0; i < m->count; i++) {
        const struct bundle_source *s = &m->sources[i];
        json_w_object(&w);
        json_w_text(&w, "name", s->name);
        json_w_text(&w, "sha256", s->sha256);
        json_w_flag(&w, "here", s->here);
        json_w_number(&w, "size", (int64_t)s->size);
        json_w_number(&w, "generation", s->generation);
        json_w_number(&w, "last_success", s->last_success);
        json_w_number(&w, "documents", s->documents);
        json_w_number(&w, "advisories", s->advisories);
        json_w_object_end(&w);
    }
    json_w_array_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

const struct bundle_source *bundle_source_of(const struct bundle_manifest *m, str name)
{
    for (size_t i = 0; i < m->count; i++)
        if (str_eq(m->sources[i].name, name))
            return &m->sources[i];
    return NULL;
}

/* ---- reading ---- */

static int read_number(struct json *j, int64_t *ret, struct err *e)
{
    enum json_type type;
    str text;
    uint64_t n;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type != JSON_NUMBER || !str_to_u64(text, &n) || n > INT64_MAX)
        return err_set(e, ERR_FORMAT, "json: byte %llu: a whole number is wanted",
                       (unsigned long long)json_offset(j));
    *ret = (int64_t)n;
    return 0;
}

static int read_flag(struct json *j, bool *ret, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    *ret = type == JSON_TRUE;
    return type == JSON_TRUE || type == JSON_FALSE
               ? 0
               : err_set(e, ERR_FORMAT, "json: byte %llu: true or false is wanted",
                         (unsigned long long)json_offset(j));
}

static int read_text(struct json *j, struct arena *arena, str *ret, struct err *e)
{
    str text;
    if (json_string(j, &text, e) < 0)
        return -1;
    *ret = arena_dup(arena, text);
    return arena_failed(arena) ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int read_member(struct json *j, str key, struct arena *arena, struct bundle_source *s, struct err *e)
{
    int64_t size = 0;
    if (str_eq(key, STR("name")))
        return read_text(j, arena, &s->name, e);
    if (str_eq(key, STR("sha256")))
        return read_text(j, arena, &s->sha256, e);
    if (str_eq(key, STR("here")))
        return read_flag(j, &s->here, e);
    if (str_eq(key, STR("size"))) {
        int r = read_number(j, &size, e);
        s->size = (uint64_t)size;
        return r;
    }
    if (str_eq(key, STR("generation")))
        return read_number(j, &s->generation, e);
    if (str_eq(key, STR("last_success")))
        return read_number(j, &s->last_success, e);
    if (str_eq(key, STR("documents")))
        return read_number(j, &s->documents, e);
    if (str_eq(key, STR("advisories")))
        return read_number(j, &s->advisories, e);
    return json_skip(j, e);
}

static bool name_valid(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !(i && (c == '-' || c == '_' || c == '.')))
            return false;
    }
    return s.len && s.len <= 64;
}

static bool hex_valid(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.ptr[i] >= '0' && s.ptr[i] <= '9') && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'f'))
            return false;
    return s.len == 64;
}

static int read_source(struct json *j, struct arena *arena, struct bundle_manifest *m, struct err *e)
{
    struct bundle_source s = { 0 };
    str key;
    int r;
    if (m->count == BUNDLE_SOURCES)
        return err_set(e, ERR_LIMIT, "more than %u sources", BUNDLE_SOURCES);
    while ((r = json_key(j, &key, e)) > 0)
        if (read_member(j, key, arena, &s, e) < 0)
            return -1;
    if (r < 0)
        return -1;
    if (!name_valid(s.name) || !hex_valid(s.sha256))
        return err_set(e, ERR_FORMAT, "json: byte %llu: a source without a name and the SHA-256 of its part",
                       (unsigned long long)json_offset(j));
    if (bundle_source_of(m, s.name))
        return err_set(e, ERR_FORMAT, STR_FMT ": comes twice", STR_ARG(s.name));
    m->sources[m->count++] = s;
    return 0;
}

static int read_sources(struct json *j, struct arena *arena, struct bundle_manifest *m, struct err *e)
{
    enum json_type type;
    str text;
    int r;
    if (json_enter(j, JSON_ARRAY, e) < 0)
        return -1;
    while ((r = json_element(j, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "json: byte %llu: a source is no object",
                           (unsigned long long)json_offset(j));
        if (read_source(j, arena, m, e) < 0)
            return -1;
    }
    return r;
}

static int read_manifest(struct json *j, struct arena *arena, struct bundle_manifest *m, struct err *e)
{
    int64_t format = 0;
    str key;
    int r;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((r = json_key(j, &key, e)) > 0) {
        if (str_eq(key, STR("format")))
            r = read_number(j, &format, e);
        else if (str_eq(key, STR("created")))
            r = read_number(j, &m->created, e);
        else if (str_eq(key, STR("generation")))
            r = read_number(j, &m->generation, e);
        else if (str_eq(key, STR("sources")))
            r = read_sources(j, arena, m, e);
        else
            r = json_skip(j, e);
        if (r < 0)
            return -1;
    }
    if (r < 0 || json_finish(j, e) < 0)
        return -1;
    if (format > BUNDLE_FORMAT)
        return err_set(e, ERR_NEWER, "made by a newer version (format %lld, this one reads %d)",
                       (long long)format, BUNDLE_FORMAT);
    return format == BUNDLE_FORMAT ? 0 : err_set(e, ERR_FORMAT, "no manifest of a bundle");
}

int bundle_manifest_read(str json, struct arena *arena, struct bundle_manifest *ret, struct err *e)
{
    static const struct json_limits limits = { .max_depth = 8, .max_text = 4096 };
    *ret = (struct bundle_manifest){ .sources = arena_array(arena, struct bundle_source, BUNDLE_SOURCES) };
    if (!ret->sources)
        return err_set(e, ERR_OOM, "out of memory");
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(json, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, &limits, e) : NULL;
    return j && read_manifest(j, arena, ret, e) == 0 ? 0 : err_wrap(e, "manifest.json");
}
