/* ignore_reader.h - what the readers of all kinds of files share. Private to policy/. */
#pragma once
#include "codec/yaml.h"
#include "policy/ignore.h"

struct reader {
    struct ignore_list *list;
    const char *file;
};

/* JSON as the tree that YAML is: numbers and truths are scalars, by their text. NULL on error, which has the line. */
struct yaml *ignore_json(str bytes, struct arena *arena, struct err *e);

int reader_fail(const struct reader *r, unsigned line, struct err *e, const char *fmt, ...) PRINTF(4, 5);
int reader_warn(const struct reader *r, unsigned line, struct err *e, const char *fmt, ...) PRINTF(4, 5);

/* A member of `map` (an error when that is no map). *ret: empty when it is not there, or null. */
int reader_text(const struct reader *r, const struct yaml *map, const char *key, str *ret, struct err *e);
/* *ret NULL: not there, or null. */
int reader_list(const struct reader *r, const struct yaml *map, const char *key, const struct yaml **ret,
                struct err *e);
int reader_map(const struct reader *r, const struct yaml *map, const char *key, const struct yaml **ret,
               struct err *e);
int reader_is_map(const struct reader *r, const struct yaml *y, const char *what, struct err *e);
/* Is there a key that is none of these (ends with NULL)? 1 after a warning, 0, -1. */
int reader_unknown(const struct reader *r, const struct yaml *map, const char *const known[], struct err *e);

/* "2026-01-31", which is its first moment in UTC, or RFC 3339. */
bool reader_time(str s, int64_t *ret);

/* Puts a copy of the rule into the list. */
int reader_add(const struct reader *r, const struct ignore_rule *rule, struct err *e);
str reader_place(const struct reader *r, unsigned line); /* "FILE: line N" */

/* One for each kind of file. */
int read_whitelist(const struct reader *r, str bytes, struct err *e);
int read_trivy_lines(const struct reader *r, str bytes, struct err *e);
int read_trivy_yaml(const struct reader *r, const struct yaml *top, struct err *e);
int read_grype(const struct reader *r, const struct yaml *top, struct err *e);
int read_openvex(const struct reader *r, const struct yaml *top, struct err *e);
int read_csaf(const struct reader *r, const struct yaml *top, struct err *e);
