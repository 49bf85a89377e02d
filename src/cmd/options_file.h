/*
 * options_file.h - options of the commands in a file: "severity: High" for all commands that know --severity,
 *                  "scan: {severity: High, ignore-file: [a, b]}" for one.
 *
 * Place      --config, else $ECLAIR_CONFIG, else .eclair.yaml in the current folder, else $XDG_CONFIG_HOME/eclair/config.yaml
 *            (~/.config/eclair/config.yaml): the first that is there, alone. "--config=" is none.
 * Shape      YAML. Keys are long options, or names of commands with a map of such; "clair" belongs to the server and is skipped, so that one
 *            file may serve both. A switch is true or false, an option that may be given again a text or a list of texts.
 * Trust      The current folder may be somebody else's (a pull request that CI checks out): a file that was found there says nothing of places,
 *            authorities and secrets, nor which files are written. Who names it (--config, $ECLAIR_CONFIG) believes it.
 * Errors     ERR_USAGE "FILE: line N: KEY: what": unknown keys, also those of other commands; wrong types; what such a file may not say.
 */
#pragma once
#include "base/arena.h"
#include "cmd/command.h"

struct options_file {
    const char *path; /* NULL: there is none */
    struct yaml *root;
    bool found_here; /* nobody named it */
};
/* `named`: of --config; NULL: not given. */
int options_file_read(const char *named, struct arena *arena, struct options_file *ret, struct err *e);

/* What it says of one option of a command: *ret NULL for nothing; *ret_section tells whether it stands below the command's name. */
struct yaml *options_file_get(const struct options_file *f, const struct command *c, const struct option *o,
                              bool *ret_section);
