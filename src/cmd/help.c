#include "cmd/command.h"

static int run(const void *options, char **args, int count, struct err *e)
{
    (void)options;
    if (!count) {
        help_overview();
        return 0;
    }
    const struct command *c = command_by_name(args[0]);
    if (!c)
        return err_set(e, ERR_USAGE, "unknown command '%s' (eclair help lists them)", args[0]);
    help_command(c);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Lists the commands, or tells about one",
    .options = (const struct option[]){ { 0 } },
    .args_max = 1,
    .run = run,
};
