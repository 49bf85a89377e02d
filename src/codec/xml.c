/*
 * xml.c - expat pushes; here its events wait in a queue until they are asked for. Expat is given small slices, so that the queue stays
 * small.
 */
#include "codec/xml.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <expat.h>
#include <stdlib.h>
#include <sys/random.h>

#define SLICE          ((size_t)16 << 10)
#define TEXT_LIMIT     ((size_t)1 << 20)
#define DEPTH_MAX      64
#define ATTRIBUTES_MAX 64

struct event {
    enum xml_type type;
    size_t at, len;          /* in xml.bytes */
    size_t attribute, count; /* of an element: in xml.attributes */
    uint64_t offset;
};

struct attribute {
    size_t name, name_len, value, value_len; /* in xml.bytes */
};

struct xml {
    XML_Parser parser;
    struct stream *in;
    str rest;   /* of the stream's chunk: what expat has not seen */
    bool ended; /* expat has been told that nothing more comes */
    struct err failure;

    struct event *events;
    size_t count, cap, next;
    struct attribute *attributes;
    size_t attribute_count, attribute_cap;
    struct buf bytes; /* names and texts of the events */
    struct buf text;  /* since the last tag */
    unsigned depth;
    const struct event *now; /* the one that was given last */
    struct buf content;
};

/* ---- what expat calls ---- */

/* Of what is parsed now; of a document without a byte some versions of the library say -1. */
static uint64_t offset_now(const struct xml *x)
{
    XML_Index at = XML_GetCurrentByteIndex(x->parser);
    return at < 0 ? 0 : (uint64_t)at;
}

static void fail(struct xml *x, enum err_kind kind, const char *what)
{
    if (!x->failure.kind)
        err_set(&x->failure, kind, "xml: line %lu byte %llu: %s",
                (unsigned long)XML_GetCurrentLineNumber(x->parser), (unsigned long long)offset_now(x), what);
    XML_StopParser(x->parser, XML_FALSE);
}

/* NULL when out of memory. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    size_t more = *cap ? *cap * 2 : 64;
    void *bigger = realloc(array, more * size);
    if (bigger)
        *cap = more;
    return bigger;
}

static struct event *add_event(struct xml *x, enum xml_type type, const char *text, size_t len)
{
    struct event *bigger = grow(x->events, x->count, &x->cap, sizeof *x->events);
    if (bigger)
        x->events = bigger;
    size_t at = x->bytes.len;
    buf_add(&x->bytes, text, len);
    if (!bigger || x->bytes.failed) {
        fail(x, ERR_OOM, "out of memory");
        return NULL;
    }
    struct event *event = &x->events[x->count++];
    *event = (struct event){ .type = type, .at = at, .len = len, .offset = offset_now(x) };
    return event;
}

static void flush_text(struct xml *x)
{
    if (str_trim(buf_view(&x->text)).len)
        add_event(x, XML_TEXT, x->text.ptr, x->text.len);
    buf_clear(&x->text);
}

static str local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return str_from(colon ? colon + 1 : name);
}

static bool declares_namespace(const char *name)
{
    return !strcmp(name, "xmlns") || !strncmp(name, "xmlns:", 6);
}

static bool add_attribute(struct xml *x, const char *name, const char *value)
{
    struct attribute *bigger =
        grow(x->attributes, x->attribute_count, &x->attribute_cap, sizeof *x->attributes);
    if (!bigger)
        return false;
    x->attributes = bigger;
    str local = local_name(name);
    struct attribute *a = &x->attributes[x->attribute_count++];
    a->name = x->bytes.len;
    a->name_len = local.len;
    buf_str(&x->bytes, local);
    a->value = x->bytes.len;
    a->value_len = strlen(value);
    buf_add(&x->bytes, value, a->value_len);
    return !x->bytes.failed;
}

static void on_open(void *ctx, const char *name, const char **attributes)
{
    struct xml *x = ctx;
    flush_text(x);
    if (x->depth++ == DEPTH_MAX)
        return fail(x, ERR_LIMIT, "nested deeper than 64");
    str local = local_name(name);
    struct event *event = add_event(x, XML_OPEN, local.ptr, local.len);
    if (!event)
        return;
    size_t first = x->attribute_count, bytes = x->bytes.len;
    for (; *attributes; attributes += 2) {
        if (declares_namespace(attributes[0]))
            continue;
        if (x->attribute_count - first == ATTRIBUTES_MAX)
            return fail(x, ERR_LIMIT, "more than 64 attributes");
        if (!add_attribute(x, attributes[0], attributes[1]))
            return fail(x, ERR_OOM, "out of memory");
    }
    if (x->bytes.len - bytes > TEXT_LIMIT)
        return fail(x, ERR_LIMIT, "more than 1 MiB of attributes");
    event->attribute = first;
    event->count = x->attribute_count - first;
}

static void on_close(void *ctx, const char *name)
{
    struct xml *x = ctx;
    flush_text(x);
    x->depth--;
    str local = local_name(name);
    add_event(x, XML_CLOSE, local.ptr, local.len);
}

static void on_text(void *ctx, const char *text, int len)
{
    struct xml *x = ctx;
    if (x->text.len + (size_t)len > TEXT_LIMIT)
        return fail(x, ERR_LIMIT, "a text of more than 1 MiB");
    buf_add(&x->text, text, (size_t)len);
    if (x->text.failed)
        fail(x, ERR_OOM, "out of memory");
}

static void on_doctype(void *ctx, const char *name, const char *system, const char *public, int internal)
{
    if (internal)
        fail(ctx, ERR_UNSUPPORTED, "a document type with declarations of its own");
}

/* ---- life ---- */

struct xml *xml_new(struct stream *in, struct err *e)
{
    CLEANUP(xml_freep) struct xml *x = calloc(1, sizeof *x);
    if (!x || !(x->parser = XML_ParserCreate(NULL))) {
        err_set(e, ERR_OOM, "xml: out of memory");
        return NULL;
    }
    unsigned long salt = 0; /* against documents that are made to collide; expat would look for it in files */
    if (getrandom(&salt, sizeof salt, GRND_NONBLOCK) < 0 || !salt)
        salt = (uintptr_t)x;
    XML_SetHashSalt(x->parser, salt);
    XML_SetUserData(x->parser, x);
    XML_SetElementHandler(x->parser, on_open, on_close);
    XML_SetCharacterDataHandler(x->parser, on_text);
    XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
    x->in = in;
    struct xml *ret = x;
    x = NULL;
    return ret;
}

void xml_freep(struct xml **xml)
{
    struct xml *x = *xml;
    if (!x)
        return;
    if (x->parser)
        XML_ParserFree(x->parser);
    free(x->events);
    free(x->attributes);
    buf_done(&x->bytes);
    buf_done(&x->text);
    buf_done(&x->content);
    free(x);
    *xml = NULL;
}

/* ---- events ---- */

static int parse(struct xml *x, str slice, bool last, struct err *e)
{
    if (XML_Parse(x->parser, slice.ptr ? slice.ptr : "", (int)slice.len, last) != XML_STATUS_OK &&
        !x->failure.kind)
        fail(x, XML_GetErrorCode(x->parser) == XML_ERROR_NO_MEMORY ? ERR_OOM : ERR_FORMAT,
             XML_ErrorString(XML_GetErrorCode(x->parser)));
    if (!x->failure.kind)
        return 0;
    *e = x->failure;
    return -1;
}

/* Gives expat something to do. */
static int fill(struct xml *x, struct err *e)
{
    x->count = x->next = x->attribute_count = 0;
    buf_clear(&x->bytes);
    if (!x->rest.len) {
        int r = stream_next(x->in, &x->rest, e);
        if (r < 0) {
            x->failure = *e;
            return -1;
        }
        if (r == 0) {
            x->ended = true;
            return parse(x, (str){ 0 }, true, e);
        }
    }
    str slice = str_head(x->rest, SLICE);
    x->rest = str_skip(x->rest, slice.len);
    return parse(x, slice, false, e);
}

int xml_next(struct xml *x, enum xml_type *type, str *text, struct err *e)
{
    if (x->failure.kind) {
        *e = x->failure;
        return -1;
    }
    while (x->next == x->count && !x->ended)
        if (fill(x, e) < 0)
            return -1;
    if (x->next == x->count) {
        x->now = NULL;
        *type = XML_END;
        *text = (str){ 0 };
        return 0;
    }
    x->now = &x->events[x->next++];
    *type = x->now->type;
    *text = str_of(x->bytes.ptr + x->now->at, x->now->len);
    return 0;
}

str xml_attribute(const struct xml *x, const char *name)
{
    str wanted = str_from(name);
    for (size_t i = 0; x->now && i < x->now->count; i++) {
        const struct attribute *a = &x->attributes[x->now->attribute + i];
        if (str_eq(str_of(x->bytes.ptr + a->name, a->name_len), wanted))
            return str_of(x->bytes.ptr + a->value, a->value_len);
    }
    return (str){ 0 };
}

uint64_t xml_offset(const struct xml *x) { return x->now ? x->now->offset : offset_now(x); }

/* ---- helpers ---- */

int xml_root(struct xml *x, str *name, struct err *e)
{
    enum xml_type type;
    if (xml_next(x, &type, name, e) < 0)
        return -1;
    return type == XML_OPEN ? 0 : err_set(e, ERR_FORMAT, "xml: byte 0: no element");
}

int xml_child(struct xml *x, str *name, struct err *e)
{
    enum xml_type type;
    do {
        if (xml_next(x, &type, name, e) < 0)
            return -1;
    } while (type == XML_TEXT);
    return type == XML_OPEN;
}

int xml_skip(struct xml *x, struct err *e)
{
    enum xml_type type;
    str ignored;
    for (unsigned depth = 1; depth;) {
        if (xml_next(x, &type, &ignored, e) < 0)
            return -1;
        depth += type == XML_OPEN;
        depth -= type == XML_CLOSE;
    }
    return 0;
}

int xml_content(struct xml *x, str *ret, struct err *e)
{
    enum xml_type type;
    str text;
    buf_clear(&x->content);
    for (;;) {
        if (xml_next(x, &type, &text, e) < 0)
            return -1;
        if (type == XML_CLOSE)
            break;
        if (type == XML_TEXT && x->content.len + text.len > TEXT_LIMIT)
            return err_set(e, ERR_LIMIT, "xml: byte %llu: a text of more than 1 MiB",
                           (unsigned long long)xml_offset(x));
        if (type == XML_TEXT)
            buf_str(&x->content, text);
        else if (xml_skip(x, e) < 0)
            return -1;
    }
    *ret = str_trim(buf_view(&x->content));
    return x->content.failed ? err_set(e, ERR_OOM, "xml: out of memory") : 0;
}

int xml_finish(struct xml *x, struct err *e)
{
    enum xml_type type;
    str ignored;
    if (xml_next(x, &type, &ignored, e) < 0)
        return -1;
    return type == XML_END ? 0
                           : err_set(e, ERR_FORMAT, "xml: byte %llu: something behind the root",
                                     (unsigned long long)xml_offset(x));
}
