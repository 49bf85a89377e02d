/*
 * command.h - a command is one file with one const struct; the table in main.c names them all. Help comes from the same tables.
 *
 * Commands stay thin: parse options, call one function, map the error. Only this folder prints and exits.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdio.h>

enum option_type {
    OPT_FLAG, /* bool: "--x"; "--x=false" takes back what a variable or a file says */
    OPT_BOOL, /* int: 0 not given, 1 "--x" or "--x=true", -1 "--x=false" (the words of Go's strconv.ParseBool) */
    OPT_TEXT,   /* const char * */
    OPT_NUMBER, /* int, 0 to 255 */
    OPT_LIST,   /* struct option_list: may be given again and again */
};

#define OPTION_LIST_MAX 16
struct option_list {
    const char *values[OPTION_LIST_MAX]; /* in the order in which they were given */
    size_t count;
};

/* The i-th of the words that something may be; NULL behind the last. */
typedef const char *words_of(size_t i);

/* Two rows with the same field are two names of one option; the later one on the command line wins. */
struct option {
    const char *name;  /* without the dashes */
    const char *value; /* what stands for it in help: "FILE"; NULL for flags */
    enum option_type type;
    size_t field;     /* offset in the command's option struct */
    const char *help; /* NULL: not in the help, for an alias that only old scripts know */
    char letter;      /* the short form: "-c VALUE", "-cVALUE", "-c=VALUE", folded "-qc VALUE"; 0 for none */
    /* What the value may be, in any letter case; of "NAME=FILE" the NAME. Values are checked against it, but not those of the old
     * programs, which have error texts of their own. NULL: anything. */
    words_of *words;
};

#define OPTIONS_SIZE_MAX 1024
#define OPTIONS_MAX      48 /* of one command, with the common ones */

struct command {
    const char *name;
    const char *arguments;        /* "IMAGE"; "" for none */
    const char *summary;          /* one line without a full stop */
    const char *details;          /* more for --help; may be NULL */
    void (*more)(FILE *to);       /* the end of --help, made from a table of its own; may be NULL */
    const struct option *options; /* ends with a NULL name */
    int args_min, args_max;
    words_of *words; /* what the first argument may be; NULL: anything */
    bool words_all;  /* and all others, too */
    bool own_config; /* --config, if it has one, is another file: that of the commands is not read */
    /* As Go's flag package: "-name" is "--name", options end at the first argument, arguments beyond args_max are ignored, help and
     * usage errors show the usage on standard error and exit with 2. */
    bool go_flags;
    int (*run)(const void *options, char **args, int count, struct err *e); /* the exit code, or -1 with e */
};

extern const struct command *const commands[]; /* ends with NULL */
extern const struct command command_scan, command_update, command_db, command_version_compare, command_push,
    command_serve, command_config, command_feed, command_help, command_notify, command_explain, command_diff,
    command_packages, command_completion, command_keys, command_proxy;

/* Under which name we were called: options must then come before the arguments, as the old programs want it, and help and usage
 * errors go where theirs went. */
struct program {
    const char *name; /* the base name of argv[0] */
    const struct command *command;
};

/* The i-th option of a command, the common ones behind its own; NULL behind the last. */
const struct option *command_option(const struct command *c, size_t i);
bool option_is_common(const struct option *o);
bool option_takes_value(const struct option *o);
#define OPTION_VARIABLE_MAX 80
/* "ECLAIR_IGNORE_FILE": the variable that holds where the command line does not say; false: it has none (an alias). */
bool option_variable(const struct command *c, const struct option *o, char ret[OPTION_VARIABLE_MAX]);

/* From where each value is: "--db", "ECLAIR_DB", "FILE: line 3: scan.db"; NULL: nobody said anything. By command_option()'s order. */
struct option_origins {
    const char *from[OPTIONS_MAX];
    const char *file; /* that was read; NULL: none */
};

/* Fills `ret` (OPTIONS_SIZE_MAX zeroed bytes) and moves the arguments to the front of argv: their number, -2 when help was asked
 * for, -1 with e. `program`: NULL for "eclair COMMAND". What the command line does not say the environment does ($ECLAIR_...), and then
 * the configuration file (options_file.h), but not for a `program`. `arena` keeps their texts; NULL: the command line alone. `origins` may be
 * NULL. */
struct arena;
int options_parse(const struct command *c, const struct program *program, int argc, char **argv,
                  struct arena *arena, void *ret, struct option_origins *origins, struct err *e);
/* What holds for a command line that says nothing. */
int options_hold(const struct command *c, struct arena *arena, void *ret, struct option_origins *origins,
                 struct err *e);
void help_overview(void);
void help_command(const struct command *c, const struct program *program, FILE *to);
const struct command *command_by_name(const char *name);
/* -1: there is no such command (or topic of help), and which one may have been meant. */
int command_unknown(const char *name, bool topics_too, struct err *e);

/* One line on stderr: "eclair: ...", clean of control bytes and secrets. */
void complain(const char *what);
void warn(const char *fmt, ...) PRINTF(1, 2); /* one line on stderr: "eclair: warning: ..." */

#define DATABASE_HELP                                                                                        \
    "the database: a file [$XDG_CACHE_HOME or ~/.cache, then eclair/eclair.db], or postgresql://..."

/* --verbose: "eclair: WHAT: 0.35 s", since a time by clock_ms(). */
void tell_step(int64_t since_ms, const char *fmt, ...) PRINTF(2, 3);

/* Where the database is: `db` if given, else $XDG_CACHE_HOME/eclair/eclair.db, ~/.cache/eclair/eclair.db, for root without a HOME
 * /var/lib/eclair/eclair.db (design.md 9, Store place). */
int database_place(const char *db, char *ret, size_t size, struct err *e);

/* Opens for writing; where that cannot be, for reading with a scratch side, and says so once unless quiet. */
struct store;
struct store *database_open(const char *place, bool quiet, struct err *e);
