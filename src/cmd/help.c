#include "cmd/command.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

static void help_config(void)
{
    printf("Keys of config.yaml, below `clair:`, with what holds without them. `eclair serve --config FILE` "
           "reads it.\n\n");
    for (size_t i = 0; config_key(i); i++) {
        const struct config_key *k = config_key(i);
        if (k->help)
            printf("  %-30s %s%s%s%s\n", k->key, k->help, *k->fallback ? " [" : "", k->fallback,
                   *k->fallback ? "]" : "");
    }
    printf("\nOther keys of Clair 2 and 3 are taken and have no meaning here.\n");
}

static int run(const void *options, char **args, int count, struct err *e)
{
    (void)options;
    if (!count) {
        help_overview();
        return 0;
    }
    if (!strcmp(args[0], "config")) {
        help_config();
        return 0;
    }
    const struct command *c = command_by_name(args[0]);
    if (!c)
        return err_set(e, ERR_USAGE, "unknown command '%s' (eclair help lists them)", args[0]);
    help_command(c, NULL, stdout);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND|config]",
    .summary = "Lists the commands, or tells about one, or about the keys of config.yaml",
    .options = (const struct option[]){ { 0 } },
    .args_max = 1,
    .run = run,
};
