/*
 * json.h - a bounded pull reader and a writer for JSON (RFC 8259).
 *
 * Shape      json_next() gives one event after the other; object members come as JSON_KEY, then their value's events.
 *            Numbers come as their text. Duplicate keys are the caller's business.
 * Units      offsets and sizes in bytes.
 * Ownership  a reader borrows its stream; a text view lives until the next call.
 * Limits     nesting, bytes of one string or number: see json_limits.
 * Errors     ERR_FORMAT "json: byte N: what", also for input that ends inside a value and for bytes behind the top value
 *            (white space is fine); invalid UTF-8 inside strings is passed through as bytes (feeds have some), lone
 *            surrogates become U+FFFD; a byte order mark is skipped.
 */
#pragma once
#include "codec/stream.h"
#include "base/buf.h"

enum json_type {
    JSON_END, /* the top value is complete and the input has ended */
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_limits {
    unsigned max_depth; /* 0 = 64 */
    size_t max_text;    /* bytes of one string, key or number; 0 = 1 MiB */
};

struct json;
struct json *json_new(struct stream *in, const struct json_limits *limits, struct err *e);
void json_freep(struct json **j); /* for CLEANUP(); NULL is fine */

int json_next(struct json *j, enum json_type *type, str *text,
              struct err *e);               /* 0 or -1; text of KEY, STRING, NUMBER */
uint64_t json_offset(const struct json *j); /* bytes consumed: for error texts of the caller */

/* Helpers that every parser needs. They fail with ERR_FORMAT, offset and what was wanted. */
int json_enter(struct json *j, enum json_type want,
               struct err *e); /* next event must be JSON_OBJECT or JSON_ARRAY */
int json_enter_or_null(struct json *j, enum json_type want, struct err *e); /* 1 entered, 0 it was null */
int json_key(struct json *j, str *ret, struct err *e); /* 1 a key, 0 end of this object */
int json_element(struct json *j, enum json_type *type, str *text,
                 struct err *e);                          /* 1 an element begins, 0 end of array */
int json_string(struct json *j, str *ret, struct err *e); /* next must be a string; null gives {NULL, 0} */
int json_skip(struct json *j, struct err *e);             /* over the next value, whatever it is */
int json_finish(struct json *j, struct err *e);           /* nothing but white space may follow */
int json_skip_rest(struct json *j, enum json_type seen,
                   struct err *e); /* over the rest of the value whose first event was seen */

/* The writer: appends to a buf; commas and escapes are its business. Bytes that are not UTF-8 become U+FFFD.
 * `indent` > 0 gives one member a line. `go`: escapes as Go's encoding/json does, with which Clair was written: < > & U+2028
 * U+2029 as \u003c and so on. Ask buf.failed once at the end. */
struct json_writer {
    struct buf *out;
    int indent;
    bool go;
    unsigned depth;
    bool comma, after_key;
};
void json_w_object(struct json_writer *w);
void json_w_object_end(struct json_writer *w);
void json_w_array(struct json_writer *w);
void json_w_array_end(struct json_writer *w);
void json_w_name(struct json_writer *w, const char *key, size_t len);
/* A key of ours: printable ASCII without quotes, written as it is. */
static inline void json_w_key(struct json_writer *w, const char *key) { json_w_name(w, key, strlen(key)); }
void json_w_key_str(struct json_writer *w, str key);
void json_w_str(struct json_writer *w, str s);
void json_w_str_or_null(struct json_writer *w, str s); /* null for an empty one */
void json_w_int(struct json_writer *w, int64_t v);
void json_w_decimal(struct json_writer *w, uint64_t v, unsigned digits); /* 98 and 1: 9.8; digits 1 to 18 */
void json_w_bool(struct json_writer *w, bool v);
void json_w_null(struct json_writer *w);
void json_w_raw(struct json_writer *w, str value); /* a whole value that is JSON already */

/* Members of an object, key and value. */
static inline void json_w_text(struct json_writer *w, const char *key, str value)
{
    json_w_key(w, key);
    json_w_str(w, value);
}
static inline void json_w_text_or_null(struct json_writer *w, const char *key, str value)
{
    json_w_key(w, key);
    json_w_str_or_null(w, value);
}
static inline void json_w_number(struct json_writer *w, const char *key, int64_t value)
{
    json_w_key(w, key);
    json_w_int(w, value);
}
static inline void json_w_flag(struct json_writer *w, const char *key, bool value)
{
    json_w_key(w, key);
    json_w_bool(w, value);
}
