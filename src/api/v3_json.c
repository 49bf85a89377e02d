/* v3_json.c - protobuf-c's messages to and from JSON, by their descriptors: the rules of the gateway that Clair had (spec/api-v3.md 3). */
#include "api/v3_call.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"
#include "timestamp.pb-c.h"

#include <stdio.h>

#define DEPTH_MAX 64 /* of JSON: a message in a list is two */

typedef const ProtobufCFieldDescriptor field_type;
typedef Google__Protobuf__Timestamp timestamp;

static bool is_timestamp(const ProtobufCMessageDescriptor *d)
{
    return d == &google__protobuf__timestamp__descriptor;
}

/* protoc makes of map<K, V> a repeated message of key and value with such a name, which nobody else may use. */
static bool is_map(field_type *f)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;
    return f->type == PROTOBUF_C_TYPE_MESSAGE && f->label == PROTOBUF_C_LABEL_REPEATED &&
           str_ends(str_from(d->short_name), STR("Entry")) && d->n_fields == 2 &&
           !strcmp(d->fields[0].name, "key") && !strcmp(d->fields[1].name, "value");
}

/* Of an element in memory. */
static size_t size_of(field_type *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    }
    return 0;
}

/* ---- writing ---- */

static void put_message(struct json_writer *w, const ProtobufCMessage *m);

static void put_enum(struct json_writer *w, const ProtobufCEnumDescriptor *d, int number)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, number);
    if (v)
        json_w_str(w, str_from(v->name));
    else
        json_w_int(w, number);
}

/* Other types no message of ours has: null. */
static void put_value(struct json_writer *w, field_type *f, const void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        json_w_str(w, str_from(*(char *const *)at));
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_message(w, *(ProtobufCMessage *const *)at);
        return;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(w, f->descriptor, *(const int *)at);
        return;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        json_w_int(w, *(const int32_t *)at);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        json_w_int(w, *(const uint32_t *)at);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        json_w_bool(w, *(const protobuf_c_boolean *)at);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BYTES:
        json_w_null(w);
        return;
    }
}

/* Fields with such values are left out. */
static bool is_default(field_type *f, const void *at)
{
    static const char zeroes[sizeof(ProtobufCBinaryData)];
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return !*(char *const *)at || !**(char *const *)at;
    return !memcmp(at, zeroes, size_of(f));
}

static void put_map_entry(struct json_writer *w, const ProtobufCMessage *entry)
{
    field_type *f = entry->descriptor->fields;
    json_w_key_str(w, str_from(*(char *const *)((const char *)entry + f[0].offset)));
    put_value(w, &f[1], (const char *)entry + f[1].offset);
}

static void put_repeated(struct json_writer *w, field_type *f, const ProtobufCMessage *m)
{
    size_t count = *(const size_t *)((const char *)m + f->quantifier_offset);
    const char *at = *(const char *const *)((const char *)m + f->offset);
    bool map = is_map(f);
    if (!count)
        return;
    json_w_key(w, f->name);
    map ? json_w_object(w) : json_w_array(w);
    for (size_t i = 0; i < count; i++, at += size_of(f))
        if (map)
            put_map_entry(w, *(ProtobufCMessage *const *)at);
        else
            put_value(w, f, at);
    map ? json_w_object_end(w) : json_w_array_end(w);
}

static void put_timestamp(struct json_writer *w, const timestamp *t)
{
    char text[CLOCK_TEXT], more[CLOCK_TEXT + 12];
    if (t->seconds < -62135596800 || t->seconds > 253402300799 || t->nanos < 0 || t->nanos > 999999999) {
        json_w_null(w); /* no year of four digits */
        return;
    }
    clock_format(t->seconds, text);
    if (t->nanos)
        snprintf(more, sizeof more, "%.19s.%09dZ", text, t->nanos);
    json_w_str(w, str_from(t->nanos ? more : text));
}

static void put_message(struct json_writer *w, const ProtobufCMessage *m)
{
    if (is_timestamp(m->descriptor)) {
        put_timestamp(w, (const timestamp *)m);
        return;
    }
    json_w_object(w);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        field_type *f = &m->descriptor->fields[i];
        const char *at = (const char *)m + f->offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            put_repeated(w, f, m);
        } else if (!is_default(f, at)) {
            json_w_key(w, f->name);
            put_value(w, f, at);
        }
    }
    json_w_object_end(w);
}

void v3_json_write(const ProtobufCMessage *m, struct buf *out)
{
    struct json_writer w = { .out = out, .go = true };
    put_message(&w, m);
}

/* ---- reading ---- */

struct reading {
    struct json *j;
    struct v3_memory *memory;
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "the message is too large"); }

static void *take(struct v3_memory *m, size_t n) { return m->allocator.alloc(m, n); }

static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *d, struct v3_memory *memory)
{
    ProtobufCMessage *m = take(memory, d->sizeof_message);
    if (m)
        protobuf_c_message_init(d, m);
    return m;
}

/* With the words of Go's decoder, which clients may know. */
static int wrong_type(enum json_type is, const char *wanted, struct err *e)
{
    const char *what = is == JSON_OBJECT   ? "object"
                       : is == JSON_ARRAY  ? "array"
                       : is == JSON_STRING ? "string"
                       : is == JSON_NUMBER ? "number"
                       : is == JSON_NULL   ? "null"
                                           : "bool";
    return err_set(e, ERR_FORMAT, "json: cannot unmarshal %s into Go value of type %s", what, wanted);
}

/* "ancestryName" is "ancestry_name". */
static bool is_camel(str key, const char *name)
{
    size_t i = 0;
    for (; *name; name++) {
        bool up = *name == '_' && name[1] >= 'a' && name[1] <= 'z';
        name += up;
        if (i == key.len || key.ptr[i++] != (up ? (char)(*name - 'a' + 'A') : *name))
            return false;
    }
    return i == key.len;
}

static field_type *find_field(const ProtobufCMessageDescriptor *d, str key)
{
    for (unsigned i = 0; i < d->n_fields; i++)
        if (str_eq(key, str_from(d->fields[i].name)) || is_camel(key, d->fields[i].name))
            return &d->fields[i];
    return NULL;
}

static int set_text(struct v3_memory *m, str text, void *at, struct err *e)
{
    char *copy = take(m, text.len + 1);
    if (!copy)
        return oom(e);
    if (str_find(text, '\0') >= 0)
        return err_set(e, ERR_FORMAT, "a text with a NUL byte");
    if (!str_utf8(text))
        return err_set(e, ERR_FORMAT, "a text that is not UTF-8");
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *(char **)at = copy;
    return 0;
}

/* As Go's strconv.ParseInt() with 32 bits. */
static int set_int32(str text, void *at, struct err *e)
{
    bool negative = str_starts(text, STR("-")), digits = true;
    str rest = str_skip(text, negative || str_starts(text, STR("+")));
    uint64_t n = 0;
    for (size_t i = 0; i < rest.len; i++)
        digits &= rest.ptr[i] >= '0' && rest.ptr[i] <= '9';
    digits &= rest.len > 0;
    if (digits && str_to_u64(rest, &n) && n <= (uint64_t)INT32_MAX + negative) {
        *(int32_t *)at = (int32_t)(negative ? -(int64_t)n : (int64_t)n);
        return 0;
    }
    str shown = str_head(text, 100);
    return err_set(e, ERR_FORMAT, "strconv.ParseInt: parsing \"" STR_FMT "\": %s", STR_ARG(shown),
                   digits ? "value out of range" : "invalid syntax");
}

static int set_enum(field_type *f, enum json_type type, str text, void *at, struct err *e)
{
    const ProtobufCEnumDescriptor *d = f->descriptor;
    if (type == JSON_NUMBER)
        return set_int32(text, at, e);
    if (type != JSON_STRING)
        return wrong_type(type, "string", e);
    for (unsigned i = 0; i < d->n_values; i++)
        if (str_eq(text, str_from(d->values[i].name))) {
            *(int *)at = d->values[i].value;
            return 0;
        }
    str shown = str_head(text, 100);
    return err_set(e, ERR_FORMAT, "unknown value \"" STR_FMT "\" for enum %s", STR_ARG(shown), d->name);
}

static int set_timestamp(struct v3_memory *memory, enum json_type type, str text, void *at, struct err *e)
{
    int64_t seconds;
    timestamp *t = (timestamp *)new_message(&google__protobuf__timestamp__descriptor, memory);
    if (!t)
        return oom(e);
    if (type != JSON_STRING)
        return wrong_type(type, "string", e);
    /* "…:40.000000001Z": nine digits or none, as it is written here */
    bool fraction = text.len == 30 && text.ptr[19] == '.';
    char whole[21];
    uint64_t nanos = 0;
    if (fraction)
        snprintf(whole, sizeof whole, "%.19sZ", text.ptr);
    if ((fraction && !str_to_u64(str_of(text.ptr + 20, 9), &nanos)) ||
        !clock_parse(fraction ? str_from(whole) : text, &seconds))
        return err_set(e, ERR_FORMAT, "bad Timestamp: RFC 3339 in UTC is wanted");
    t->seconds = seconds;
    t->nanos = (int32_t)nanos;
    *(timestamp **)at = t;
    return 0;
}

static int read_object(struct reading *r, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
                       struct err *e);

static int read_message(struct reading *r, const ProtobufCMessageDescriptor *d, enum json_type type, str text,
                        void *at, struct err *e)
{
    if (is_timestamp(d))
        return set_timestamp(r->memory, type, text, at, e);
    if (type != JSON_OBJECT)
        return wrong_type(type, "map[string]json.RawMessage", e);
    return read_object(r, d, at, e);
}

/* Of a value its first event is known. */
static int read_value(struct reading *r, field_type *f, enum json_type type, str text, void *at,
                      struct err *e)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return type == JSON_STRING ? set_text(r->memory, text, at, e) : wrong_type(type, "string", e);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(r, f->descriptor, type, text, at, e);
    case PROTOBUF_C_TYPE_ENUM:
        return set_enum(f, type, text, at, e);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return type == JSON_NUMBER || type == JSON_STRING ? set_int32(text, at, e)
                                                          : wrong_type(type, "int32", e);
    case PROTOBUF_C_TYPE_BOOL:
        if (type != JSON_TRUE && type != JSON_FALSE)
            return wrong_type(type, "bool", e);
        *(protobuf_c_boolean *)at = type == JSON_TRUE;
        return 0;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BYTES:
        break;
    }
    return err_set(e, ERR_UNSUPPORTED, "values of this type cannot be read");
}

struct list { /* of a repeated field, while it grows */
    char *at;
    size_t count, cap;
};

/* A place for one more element, zeroed; NULL: there is no memory. */
static void *list_add(struct list *l, size_t size, struct v3_memory *memory)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 4;
        char *larger = take(memory, cap * size);
        if (!larger)
            return NULL;
        if (l->count)
            memcpy(larger, l->at, l->count * size);
        l->at = larger;
        l->cap = cap;
    }
    return l->at + l->count++ * size;
}

static void list_keep(const struct list *l, field_type *f, ProtobufCMessage *m)
{
    *(size_t *)((char *)m + f->quantifier_offset) = l->count;
    *(char **)((char *)m + f->offset) = l->count ? l->at : NULL;
}

static int read_array(struct reading *r, field_type *f, ProtobufCMessage *m, struct err *e)
{
    struct list l = { 0 };
    enum json_type type;
    str text;
    int more;
    while ((more = json_element(r->j, &type, &text, e)) > 0) {
        void *at = list_add(&l, size_of(f), r->memory);
        if (!at)
            return oom(e);
        if (read_value(r, f, type, text, at, e) < 0)
            return -1;
    }
    list_keep(&l, f, m);
    return more;
}

static int read_map(struct reading *r, field_type *f, ProtobufCMessage *m, struct err *e)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;
    struct list l = { 0 };
    enum json_type type;
    str text;
    int more;
    while ((more = json_key(r->j, &text, e)) > 0) {
        ProtobufCMessage *entry = new_message(d, r->memory), **at = list_add(&l, sizeof *at, r->memory);
        if (!entry || !at)
            return oom(e);
        *at = entry;
        if (set_text(r->memory, text, (char *)entry + d->fields[0].offset, e) < 0 ||
            json_next(r->j, &type, &text, e) < 0)
            return -1;
        if (type != JSON_NULL &&
            read_value(r, &d->fields[1], type, text, (char *)entry + d->fields[1].offset, e) < 0)
            return -1;
    }
    list_keep(&l, f, m);
    return more;
}

static int read_field(struct reading *r, field_type *f, ProtobufCMessage *m, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(r->j, &type, &text, e) < 0)
        return -1;
    if (type == JSON_NULL)
        return 0;
    if (f->label != PROTOBUF_C_LABEL_REPEATED)
        return read_value(r, f, type, text, (char *)m + f->offset, e);
    bool map = is_map(f);
    if (type != (map ? JSON_OBJECT : JSON_ARRAY))
        return wrong_type(type, map ? "map[string]json.RawMessage" : "[]json.RawMessage", e);
    return map ? read_map(r, f, m, e) : read_array(r, f, m, e);
}

/* Its "{" was seen. */
static int read_object(struct reading *r, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
                       struct err *e)
{
    ProtobufCMessage *m = new_message(d, r->memory);
    str key;
    int more;
    if (!m)
        return oom(e);
    while ((more = json_key(r->j, &key, e)) > 0) {
        field_type *f = find_field(d, key);
        if (f ? read_field(r, f, m, e) < 0 : json_skip(r->j, e) < 0)
            return -1;
    }
    *ret = m;
    return more;
}

static int read_top(struct reading *r, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
                    struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(r->j, &type, &text, e) < 0)
        return -1;
    if (type != JSON_NULL)
        return read_message(r, d, type, text, ret, e);
    *ret = new_message(d, r->memory);
    return *ret ? 0 : oom(e);
}

ProtobufCMessage *v3_json_read(const ProtobufCMessageDescriptor *d, str text, struct v3_memory *memory,
                               struct err *e)
{
    const struct json_limits limits = { DEPTH_MAX, GRPC_MESSAGE_MAX };
    ProtobufCMessage *m = NULL;
    if (!str_trim(text).len) {
        m = new_message(d, memory);
        if (!m)
            oom(e);
        return m;
    }
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, &limits, e) : NULL;
    struct reading r = { j, memory };
    if (j && read_top(&r, d, &m, e) == 0)
        return m;
    if (str_ends(str_from(e->text), STR("the input ends inside a value")))
        err_set(e, ERR_FORMAT, "unexpected EOF");
    return NULL;
}

bool v3_json_set(ProtobufCMessage *m, str name, str value, struct v3_memory *memory, struct err *e)
{
    field_type *f = find_field(m->descriptor, name);
    if (!f || f->label == PROTOBUF_C_LABEL_REPEATED)
        return true;
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return set_text(memory, value, (char *)m + f->offset, e) == 0;
    return f->type != PROTOBUF_C_TYPE_INT32 || set_int32(value, (char *)m + f->offset, e) == 0;
}
