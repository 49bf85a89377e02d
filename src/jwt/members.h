/* members.h - one JSON object whose members come once each: what two readers could read in two ways is no key and no token. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct json;
/* Is called for each member and reads or skips its value; the name lives in the arena. ERR_FORMAT: no object, a member twice, nested too
 * deep, anything behind it. */
typedef int jwt_member(void *ctx, str name, struct json *j, struct err *e);
int jwt_members(str json, struct arena *a, jwt_member *read, void *ctx, struct err *e);
