/* path.h - paths of URLs (RFC 3986), as Clair's router took them. */
#pragma once
#include "base/arena.h"

/* %XX decoded once; false: a bad escape, or a byte 0. */
bool path_decode(str part, struct arena *arena, str *ret);
/* Without empty, "." and ".." parts and without "/" at the end; "/" when nothing is left. */
str path_clean(str path, struct arena *arena);
/* Is there a query parameter of that name, with a value or without? */
bool query_has(str query, str name);
/* The first value of that name, decoded; false: there is none, or it cannot be decoded. */
bool query_value(str query, str name, struct arena *arena, str *ret);
