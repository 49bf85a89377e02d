/* internal.h - what a key is, and how one value of it is taken: shared by config.c and value.c. */
#pragma once
#include "config/config.h"

#define CONFIG_SOURCE   "<source>" /* in a key: any name */
#define CONFIG_WARNINGS 100
#define CONFIG_FEEDS    200

struct yaml;

enum type {
    TEXT,
    SECRET, /* text that nobody is shown */
    WORD,   /* one of `words`, in any letter case */
    BOOL,
    PORT,
    MILLISECONDS,
    SECONDS,
    BYTES,
    NUMBER,  /* 0 to 1,000,000 */
    LIST,    /* its count is the field behind it */
    IGNORED, /* from here on there is no field */
    WITHOUT_EFFECT,
    REFUSED
};

struct key {
    struct config_key about;
    enum type type;
    size_t field;      /* in struct config, or of a source's key in struct config_feed */
    const char *words; /* of a WORD: "auto json text" */
    bool of_source;
};

struct loading {
    const char *name; /* of the file; NULL: there is none */
    struct arena *arena;
    struct config *to;
    struct config_value *values;
    str *warnings;
    struct config_feed *feeds;
};

/* A key and what it is to be. */
struct setting {
    const struct key *key;
    const struct yaml *value;
    enum config_origin origin;
    const char *name;
    str source; /* of a pattern: what stands for it */
};

void config_warn(struct loading *l, str text); /* masked; beyond CONFIG_WARNINGS they are dropped */
#define CONFIG_WARN(l, ...) config_warn(l, arena_printf((l)->arena, __VA_ARGS__))
int config_oom(struct err *e);
bool config_is_word(str text, str word); /* in any letter case */
/* "config.yaml: line 7: clair.api.timeout", "ECLAIR_API_TIMEOUT", "--db". */
str config_place(const struct loading *l, const struct setting *s, unsigned line);
int config_set_field(struct loading *l, const struct setting *s, struct err *e);
int config_tell(struct loading *l, const struct setting *s, struct err *e); /* of a key that has no field */
