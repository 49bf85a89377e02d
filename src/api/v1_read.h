/*
 * v1_read.h - bodies of REST v1 as Go's decoder read them (spec/api-v1.md 1): keys in any letter case, unknown ones and what follows the
 *             first value are ignored, null leaves what was there, and a value of a wrong type is told only at the end.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "codec/json.h"
#include "net/server.h"

struct v1_reading {
    struct json *j;
    struct arena *arena;
    bool no_nul; /* U+0000 is refused: nothing of it can come from a person */
    struct err wrong;
};

/* Reads the value of that key, or v1_skip()s it. */
typedef int v1_member(struct v1_reading *r, str key, void *ctx, struct err *e);

/* The whole body: an object of Go's type `type`. -1: e->text is the message for the client. */
int v1_read_body(struct v1_reading *r, const struct request *request, const char *type, v1_member *member,
                 void *ctx, struct err *e);
/* `where` and `type` for messages: "struct field Layer.Layer.Name", "string". *given: false after null, true after an object, else as it was. */
int v1_read_object(struct v1_reading *r, const char *where, const char *type, v1_member *member, void *ctx,
                   bool *given, struct err *e);
int v1_read_text(struct v1_reading *r, const char *where, str *to, struct err *e);
/* Any JSON object as Go writes it again: keys sorted, the last of equal ones. null and {} are empty. */
int v1_read_map(struct v1_reading *r, const char *where, str *to, struct err *e);
/* Each element of a list, through null too: `element` gets the first event of the value. */
int v1_read_list(struct v1_reading *r, const char *where, const char *type,
                 int (*element)(struct v1_reading *r, enum json_type first, void *ctx, struct err *e),
                 void *ctx, struct err *e);
/* The members of an object whose beginning was read; other values are passed over and told. */
int v1_read_rest(struct v1_reading *r, enum json_type first, const char *where, const char *type,
                 v1_member *member, void *ctx, struct err *e);
int v1_skip(struct v1_reading *r, struct err *e);
bool v1_named(str key, const char *name);
