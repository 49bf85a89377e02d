/* options.c - one parser and one help for every command's table. */
#include "cmd/command.h"

#include <stdio.h>
#include <string.h>

static const struct option *find(const struct command *c, str name)
{
    for (const struct option *o = c->options; o->name; o++)
        if (str_eq(str_from(o->name), name))
            return o;
    return NULL;
}

static int set(const struct option *o, const char *value, void *ret, struct err *e)
{
    void *field = (char *)ret + o->field;
    uint64_t number;
    switch (o->type) {
    case OPT_FLAG:
        *(bool *)field = true;
        return 0;
    case OPT_TEXT:
        *(const char **)field = value;
        return 0;
    case OPT_NUMBER:
        if (!str_to_u64(str_from(value), &number) || number > 255)
            return err_set(e, ERR_USAGE, "--%s: '%s' is not a number from 0 to 255", o->name, value);
        *(int *)field = (int)number;
        return 0;
    }
    return err_set(e, ERR_INTERNAL, "--%s: no type", o->name);
}

/* "--name", "--name=value" or "--name value": how many words it took, or -1. */
static int take_option(const struct command *c, int left, char **words, void *ret, struct err *e)
{
    str text = str_from(words[0] + 2);
    bool inline_value = str_find(text, '=') >= 0;
    str name = str_cut(&text, '=');
    const struct option *o = find(c, name);
    if (!o)
        return err_set(e, ERR_USAGE, "%s: unknown option '--" STR_FMT "' (eclair %s --help lists them)",
                       c->name, STR_ARG(name), c->name);
    if (o->type == OPT_FLAG && inline_value)
        return err_set(e, ERR_USAGE, "--%s takes no value", o->name);
    if (o->type == OPT_FLAG || inline_value)
        return set(o, text.ptr, ret, e) < 0 ? -1 : 1;
    if (left < 2)
        return err_set(e, ERR_USAGE, "--%s needs a value: %s", o->name, o->value);
    return set(o, words[1], ret, e) < 0 ? -1 : 2;
}

int options_parse(const struct command *c, int argc, char **argv, void *ret, struct err *e)
{
    int args = 0;
    bool only_args = false;
    for (int i = 0; i < argc;) {
        const char *word = argv[i];
        if (only_args || word[0] != '-' || !word[1]) {
            argv[args++] = argv[i++];
        } else if (!strcmp(word, "--")) {
            only_args = true;
            i++;
        } else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            return -2;
        } else if (word[1] != '-') {
            return err_set(e, ERR_USAGE, "%s: unknown option '%s' (eclair %s --help lists them)", c->name,
                           word, c->name);
        } else {
            int used = take_option(c, argc - i, argv + i, ret, e);
            if (used < 0)
                return -1;
            i += used;
        }
    }
    if (args < c->args_min || args > c->args_max)
        return err_set(e, ERR_USAGE, "%s: %s (usage: eclair %s [OPTION...]%s%s)", c->name,
                       args < c->args_min ? "an argument is missing" : "too many arguments", c->name,
                       *c->arguments ? " " : "", c->arguments);
    return args;
}

void help_overview(void)
{
    printf("eclair " ECLAIR_VERSION
           " - finds known vulnerabilities in container images\n\nusage: eclair COMMAND [OPTION...]\n\n");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-16s %s\n", commands[i]->name, commands[i]->summary);
    printf("\neclair COMMAND --help tells more about one; eclair --version prints the version.\n");
}

void help_command(const struct command *c)
{
    printf("usage: eclair %s [OPTION...]%s%s\n\n%s.\n", c->name, *c->arguments ? " " : "", c->arguments,
           c->summary);
    if (c->details)
        printf("\n%s\n", c->details);
    if (c->options->name)
        printf("\n");
    for (const struct option *o = c->options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-24s %s\n", left, o->help);
    }
}
