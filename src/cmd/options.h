/*
 * options.h - the parts of options_parse(): options.c reads the command line, options_elsewhere.c what holds where that says nothing.
 */
#pragma once
#include "base/arena.h"
#include "cmd/command.h"

struct common_options { /* of every command */
    const char *config;
};

struct options_found {
    const struct command *c;
    void *ret;
    struct common_options common;
    struct option_origins *origins;
    struct arena *arena;
    bool as_old_program; /* values are not held against option.words */
};

/* Sets its field; a list grows. The error's text does not name the option. `value`: NULL for none; must live. */
int option_set(struct options_found *f, const struct option *o, const char *value, struct err *e);
/* Is it one of the words, in any letter case? *word becomes the table's. */
int option_check_word(words_of *words, str text, const char **word, struct err *e);
/* From where it is, under whatever name; NULL: not set. */
const char *option_from(const struct options_found *f, const struct option *o);
void option_note(struct options_found *f, const struct option *o, const char *from);
int options_from_environment(struct options_found *f, struct err *e);
int options_from_file(struct options_found *f, struct err *e);
