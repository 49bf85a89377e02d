/*
 * command.h - a command is one file with one const struct; the table in main.c names them all. Help comes from the same tables.
 *
 * Commands stay thin: parse options, call one function, map the error. Only this folder prints and exits.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

enum option_type {
    OPT_FLAG,   /* bool */
    OPT_TEXT,   /* const char * */
    OPT_NUMBER, /* int, 0 to 255 */
};

struct option {
    const char *name;  /* without the dashes */
    const char *value; /* what stands for it in help: "FILE"; NULL for flags */
    enum option_type type;
    size_t field; /* offset in the command's option struct */
    const char *help;
};

#define OPTIONS_SIZE_MAX 256

struct command {
    const char *name;
    const char *arguments;        /* "IMAGE"; "" for none */
    const char *summary;          /* one line without a full stop */
    const char *details;          /* more for --help; may be NULL */
    const struct option *options; /* ends with a NULL name */
    int args_min, args_max;
    int (*run)(const void *options, char **args, int count, struct err *e); /* the exit code, or -1 with e */
};

extern const struct command *const commands[]; /* ends with NULL */
extern const struct command command_scan, command_update, command_db, command_version_compare, command_help;

/* Fills `ret` (OPTIONS_SIZE_MAX zeroed bytes) and moves the arguments to the front of argv: their number, -2 when help was asked
 * for, -1 with e. */
int options_parse(const struct command *c, int argc, char **argv, void *ret, struct err *e);
void help_overview(void);
void help_command(const struct command *c);
const struct command *command_by_name(const char *name);

void warn(const char *fmt, ...) PRINTF(1, 2); /* one line on stderr: "eclair: warning: ..." */

#define DATABASE_HELP "the database [$XDG_CACHE_HOME or ~/.cache, then eclair/eclair.db]"

/* Where the database is: `db` if given, else $XDG_CACHE_HOME/eclair/eclair.db, ~/.cache/eclair/eclair.db, for root without a HOME
 * /var/lib/eclair/eclair.db (design.md 9, Store place). */
int database_place(const char *db, char *ret, size_t size, struct err *e);

/* Opens for writing; where that cannot be, for reading with a scratch side, and says so once unless quiet. */
struct store;
struct store *database_open(const char *place, bool quiet, struct err *e);
